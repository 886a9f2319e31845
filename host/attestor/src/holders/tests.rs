use super::*;
use crate::holders::release;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const LIMITS: HoldersLimits = HoldersLimits {
    entries: 1_000,
    forget_after: None,
};

const DAY: u64 = 24 * 60 * 60;

fn key(number: u64) -> SubjectKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SubjectKey::from(bytes)
}

fn id(name: impl std::fmt::Display) -> SpiffeId {
    format!("spiffe://example.org/spire/agent/k8s_sat/{name}")
        .parse()
        .unwrap()
}

fn claim(holders: &Holders, name: &str, subject: u64, at: u64) -> Claim {
    let words = format!("subject {subject}");
    holders.claim(&id(name), key(subject), words, at).unwrap()
}

fn collides_with(claim: &Claim) -> &str {
    match claim {
        Claim::Collision { holder } => &holder.words,
        Claim::Held | Claim::Inherited { .. } => panic!("{claim:?}"),
    }
}

#[test]
fn the_first_subject_holds_an_id_and_another_does_not_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    assert_eq!(claim(&holders, "a", 1, 20), Claim::Held);
    assert_eq!(collides_with(&claim(&holders, "a", 2, 30)), "subject 1");
    assert_eq!(claim(&holders, "b", 2, 30), Claim::Held);
    let status = holders.status().unwrap();
    assert_eq!((status.entries, status.collisions), (2, 1));
}

#[test]
fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    drop(holders);
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(collides_with(&claim(&holders, "a", 2, 20)), "subject 1");
    let holder = holders.holder(&id("a")).unwrap().unwrap();
    assert_eq!((holder.since, holder.seen), (10, 10));
}

#[test]
fn of_many_subjects_at_once_exactly_one_holds_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    let held: usize = thread::scope(|scope| {
        let racing: Vec<_> = (0..16)
            .map(|subject| {
                let holders = &holders;
                scope.spawn(move || claim(holders, "a", subject, 10) == Claim::Held)
            })
            .collect();
        let won = racing.into_iter().map(|one| one.join().unwrap());
        won.filter(|won| *won).count()
    });
    assert_eq!(held, 1);
}

#[test]
fn what_was_not_seen_for_longest_is_forgotten_for_want_of_room() {
    let folder = tempfile::tempdir().unwrap();
    let limits = HoldersLimits {
        entries: 3,
        ..LIMITS
    };
    let holders = Holders::open(folder.path(), limits).unwrap();
    for (name, at) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(claim(&holders, name, 1, at), Claim::Held);
    }
    // Seen a day later, and so no longer the oldest. The claim behind it says
    // when that is written.
    assert_eq!(claim(&holders, "a", 1, DAY), Claim::Held);
    assert_eq!(claim(&holders, "d", 1, DAY), Claim::Held);
    let there = |name| holders.holder(&id(name)).unwrap().is_some();
    assert!(there("a") && !there("b") && there("c") && there("d"));
    let status = holders.status().unwrap();
    assert_eq!((status.entries, status.limit, status.forgotten), (3, 3, 1));
    // Forgotten is free.
    assert_eq!(claim(&holders, "b", 2, DAY), Claim::Held);
}

#[test]
fn a_holder_not_seen_for_long_gives_way_where_that_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let limits = HoldersLimits {
        forget_after: Some(Duration::from_secs(DAY)),
        ..LIMITS
    };
    let holders = Holders::open(folder.path(), limits).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    collides_with(&claim(&holders, "a", 2, 10 + DAY));
    let Claim::Inherited { from, why } = claim(&holders, "a", 2, 11 + DAY) else {
        panic!("still held");
    };
    assert_eq!(
        (from.words.as_str(), why),
        ("subject 1", Inheritance::Expired)
    );
    collides_with(&claim(&holders, "a", 1, 12 + DAY));
    holders.limit(LIMITS);
    collides_with(&claim(&holders, "a", 1, 10 * DAY));
}

#[test]
fn a_release_serves_for_one_change_of_hands() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::open(folder.path(), LIMITS).unwrap();
    assert_eq!(claim(&holders, "a", 1, 10), Claim::Held);
    collides_with(&claim(&holders, "a", 2, 20));
    // Of another ID, it says nothing about this one.
    release(folder.path(), &id("b")).unwrap();
    collides_with(&claim(&holders, "a", 2, 20));
    release(folder.path(), &id("a")).unwrap();
    // Whoever holds it already does not use it up.
    assert_eq!(claim(&holders, "a", 1, 30), Claim::Held);
    let Claim::Inherited { from, why } = claim(&holders, "a", 2, 40) else {
        panic!("still held");
    };
    assert_eq!(
        (from.words.as_str(), why),
        ("subject 1", Inheritance::Released)
    );
    assert_eq!(claim(&holders, "a", 2, 50), Claim::Held);
    assert_eq!(collides_with(&claim(&holders, "a", 1, 60)), "subject 2");
}

/// The folder that the child of the test below claims in.
const CHILD: &str = "NAMEPLATE_TEST_HOLDERS";

/// A process is killed at fifty moments while four threads claim. Whatever it
/// said to be held is held afterwards, and the database opens.
#[test]
fn what_was_given_before_a_kill_is_held_after_it() {
    if let Some(folder) = std::env::var_os(CHILD) {
        claim_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut given: Vec<u64> = Vec::new();
    for round in 0..50 {
        given.extend(killed_after(&folder, round));
        let holders = Holders::open(folder.path(), LIMITS_OF_CHILD).unwrap();
        for name in &given {
            let holder = holders.holder(&id(name)).unwrap();
            assert_eq!(holder.map(|holder| holder.key), Some(key(*name)), "{name}");
        }
    }
    assert!(!given.is_empty());
}

const LIMITS_OF_CHILD: HoldersLimits = HoldersLimits {
    entries: 1_000_000,
    forget_after: None,
};

/// Kills the child after the lines that the round says, and gives what it said.
fn killed_after(folder: &TempDir, round: usize) -> Vec<u64> {
    let test = "holders::tests::what_was_given_before_a_kill_is_held_after_it";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = lines.map_while(Result::ok).filter_map(|line| {
        let (_, name) = line.split_once("held ")?;
        name.parse().ok()
    });
    // Moments that differ in what is being written: 1, 8, 15, … claims.
    let mut given: Vec<u64> = said.by_ref().take(1 + round * 7 % 90).collect();
    child.kill().unwrap();
    // What it had said by then is in the pipe.
    given.extend(said);
    child.wait().unwrap();
    given
}

fn claim_for_ever(folder: &Path) -> ! {
    let holders = Holders::open(folder, LIMITS_OF_CHILD).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let (name, _) = uuid::Uuid::new_v4().as_u64_pair();
                    let words = "a subject".to_owned();
                    let claim = holders.claim(&id(name), key(name), words, 10).unwrap();
                    assert_eq!(claim, Claim::Held);
                    // One write: lines of two threads do not mix.
                    std::io::Write::write_all(
                        &mut std::io::stdout().lock(),
                        format!("held {name}\n").as_bytes(),
                    )
                    .unwrap();
                }
            });
        }
    });
    panic!("the threads never end")
}
