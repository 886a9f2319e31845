use super::{Hunt, Noticed, Report, hunt};
use crate::plan::Plan;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Two functions, the second with a branch and a text.
fn component() -> Vec<u8> {
    wat::parse_str(
        r#"(component (core module
            (memory 1)
            (data (i32.const 64) "text")
            (func $idle (result i32) i32.const 1)
            (func $busy (param i32) (result i32)
                local.get 0
                if (result i32)
                    i32.const 64
                else
                    i32.const 3
                    i32.const 4
                    i32.add
                end)))"#,
    )
    .unwrap()
}

fn run(notices: &(dyn Fn(&[u8]) -> Noticed + Sync), change: impl FnOnce(&mut Hunt<'_>)) -> Report {
    let bytes = component();
    let plan = Plan::of(&bytes).unwrap();
    let mut asked = Hunt {
        seed: 7,
        most: usize::MAX,
        threads: 2,
        over: &|| false,
        progress: &|_, _| {},
    };
    change(&mut asked);
    hunt(&plan, &asked, notices)
}

/// Notices whatever is not in `overlooked`, by the bytes of the code.
fn noticing(overlooked: &'static [&[u8]]) -> impl Fn(&[u8]) -> Noticed + Sync {
    move |bytes| {
        let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        if overlooked.iter().any(|part| has(part)) {
            Noticed::No
        } else {
            Noticed::Yes
        }
    }
}

#[test]
fn every_mutant_is_valid_and_another_component() {
    let original = component();
    let tried = Mutex::new(Vec::new());
    let report = run(
        &|bytes| {
            wasmparser::Validator::new().validate_all(bytes).unwrap();
            tried.lock().unwrap().push(bytes.to_vec());
            Noticed::Yes
        },
        |_| {},
    );
    // 5 constants twice, an `if`, an addition, a text.
    assert_eq!(report.mutants, 11);
    assert_eq!(report.noticed, 11);
    assert_eq!(report.untried, 0);
    let tried = tried.into_inner().unwrap();
    // And a trap in each of the stretches that were looked at.
    assert_eq!(tried.len(), 11 + 4);
    assert!(!tried.contains(&original));
    assert_eq!(tried.iter().collect::<BTreeSet<_>>().len(), tried.len());
}

#[test]
fn what_nobody_notices_is_said_with_its_place() {
    // `i32.const 5` after `i32.const 3`: what was 4, one more.
    let report = run(&noticing(&[&[0x41, 3, 0x41, 5]]), |_| {});
    assert_eq!(report.noticed, 10);
    let [unnoticed] = report.unnoticed.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(unnoticed.was, "i32.const 4");
    assert_eq!(unnoticed.becomes, "i32.const 5");
    assert_eq!(unnoticed.place.function, Some(1));
    assert_eq!(unnoticed.place.name.as_deref(), Some("busy"));
    let bytes = component();
    assert_eq!(&bytes[unnoticed.place.offset..][..2], [0x41, 4]);
}

#[test]
fn what_nothing_gets_to_is_said_once_and_not_tried() {
    let calls = AtomicUsize::new(0);
    // A trap before `i32.const 3`, and one behind the locals of `$idle`.
    let overlooks = noticing(&[&[0x00, 0x41, 3], &[0x00, 0x00, 0x41, 1]]);
    let report = run(
        &|bytes| {
            calls.fetch_add(1, Ordering::Relaxed);
            overlooks(bytes)
        },
        |_| {},
    );
    let unreached: Vec<_> = report
        .unreached
        .iter()
        .map(|unreached| {
            (
                unreached.place.name.as_deref().unwrap(),
                unreached.whole,
                unreached.mutants,
            )
        })
        .collect();
    assert_eq!(unreached, [("idle", true, 2), ("busy", false, 5)]);
    assert_eq!(report.noticed, 4);
    assert!(report.unnoticed.is_empty());
    assert_eq!(calls.into_inner(), 4 + 4);
}

#[test]
fn the_time_and_the_number_are_bounds() {
    let none = run(&noticing(&[]), |hunt| hunt.over = &|| true);
    assert_eq!((none.noticed, none.untried), (0, 11));
    let some = run(&noticing(&[]), |hunt| hunt.most = 4);
    assert_eq!((some.noticed, some.untried), (4, 7));
}

#[test]
fn a_seed_is_a_choice_whatever_the_threads() {
    // Nobody notices anything but a trap.
    let notices = |bytes: &[u8]| match bytes.len() == component().len() + 1 {
        true => Noticed::Yes,
        false => Noticed::No,
    };
    let chosen = |seed, threads| {
        let report = run(&notices, |hunt| {
            hunt.seed = seed;
            hunt.most = 3;
            hunt.threads = threads;
        });
        report.unnoticed
    };
    assert_eq!(chosen(1, 1), chosen(1, 4));
    assert!((2..10).any(|seed| chosen(seed, 1) != chosen(1, 1)));
}

#[test]
fn the_caller_is_told_how_far_it_is() {
    let text = format!(
        "(component (core module (func {})))",
        "i32.const 1 drop ".repeat(120)
    );
    let bytes = wat::parse_str(text).unwrap();
    let plan = Plan::of(&bytes).unwrap();
    let told = Mutex::new(Vec::new());
    let asked = Hunt {
        seed: 1,
        most: usize::MAX,
        threads: 1,
        over: &|| false,
        progress: &|done, of| told.lock().unwrap().push((done, of)),
    };
    hunt(&plan, &asked, &|_| Noticed::Refused);
    assert_eq!(told.into_inner().unwrap(), [(100, 240), (200, 240)]);
}
