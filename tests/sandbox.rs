//! Hostile guests: what becomes of each, and that the next policy answers.
//!
//! `guests/outcomes.txt` says what comes of every guest; one that stands not
//! there fails. `BLESS=1` writes the file anew, to be reviewed as a diff.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use libtest_mimic::{Arguments, Failed, Trial as Test};
use nameplate_attestor::{Envelope, chain};
use nameplate_policy::{
    Limits, LoadError, Policy, PolicyRequest, PolicySource, Sandbox, Trial, TrialAnswer, Verdict,
};
use nameplate_tests::guest::{self, Guest};
use nameplate_tests::{Watchdog, facts, golden, patient};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex};

/// One sandbox for all guests, as a host has one, and a policy that must
/// answer whatever they do.
static HOST: LazyLock<(Sandbox, Policy)> = LazyLock::new(|| {
    let sandbox = Sandbox::new().unwrap();
    let policy = load(&sandbox, &guest::file("good")).unwrap();
    (sandbox, policy)
});

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Blessing needs them all.
    if golden::blessing() {
        arguments.filter = None;
    }
    let guests: Vec<_> = guest::files()
        .into_iter()
        .chain(guest::generated())
        .collect();
    assert!(guests.len() >= 30, "{} guests", guests.len());
    let expected = Arc::new(expected());
    let found = Arc::new(Mutex::new(BTreeMap::new()));
    let mut tests: Vec<_> = guests
        .iter()
        .map(|guest| {
            let (guest, expected, found) = (guest.clone(), expected.clone(), found.clone());
            Test::test(guest.name.clone(), move || {
                let name = guest.name.clone();
                let outcome = Watchdog::watch(&name, move || outcome(&guest));
                found.lock().unwrap().insert(name.clone(), outcome.clone());
                still_answers()?;
                same(expected.get(&name), &outcome)
            })
        })
        .collect();
    tests.push(Test::test(
        "every outcome has its guest",
        move || match expected
            .keys()
            .find(|name| guests.iter().all(|guest| guest.name != **name))
        {
            Some(name) if !golden::blessing() => Err(format!("`{name}` is no guest").into()),
            _ => Ok(()),
        },
    ));
    tests.push(Test::test("a file torn anywhere is refused", || {
        Watchdog::watch("torn files", torn_anywhere);
        still_answers()
    }));
    tests.push(Test::test(
        "a file with any byte changed is contained",
        || {
            Watchdog::watch("changed files", changed_anywhere);
            still_answers()
        },
    ));
    tests.push(Test::test(
        "every way in goes through the same checks",
        || {
            every_way_in();
            still_answers()
        },
    ));
    let conclusion = libtest_mimic::run(&arguments, tests);
    if golden::blessing() {
        bless(&found.lock().unwrap());
    }
    conclusion.exit_code()
}

/// What comes of a guest, in one line.
fn outcome(guest: &Guest) -> String {
    let (sandbox, _) = &*HOST;
    let loaded = load(sandbox, guest);
    agrees_with_a_trial(guest, &loaded);
    let policy = match loaded {
        Ok(policy) => policy,
        Err(error) => return format!("not loaded: {}", chain(&error)),
    };
    let facts = facts::bound();
    let verdict = policy.derive(&facts);
    // Nothing is left over from the first question.
    assert_eq!(policy.derive(&facts), verdict, "asked again");
    match verdict {
        Err(fault) => format!("fault {}: {fault}", fault.reason()),
        Ok(Verdict {
            answer: Err(denial),
            ..
        }) => format!("denied {}: {}", denial.code, denial.detail),
        Ok(Verdict {
            answer: Ok(derivation),
            ..
        }) => match Envelope::default().admit(&facts::namespace(), &facts, derivation) {
            Err(error) => format!("not admitted {}: {}", error.reason(), chain(&error)),
            Ok(identity) => {
                let selectors: usize = identity.selectors().len();
                format!(
                    "identity {} and {selectors} selectors",
                    identity.spiffe_id()
                )
            }
        },
    }
}

fn load(sandbox: &Sandbox, guest: &Guest) -> Result<Policy, LoadError> {
    let source = PolicySource::Bytes(guest.bytes.clone().into());
    let request = PolicyRequest {
        limits: limits(guest),
        ..PolicyRequest::new(source)
    };
    Policy::load(sandbox, &request)
}

/// The default limits; with room for what some guests must write before they
/// can ask too much of the host.
fn limits(guest: &Guest) -> Limits {
    let large = ["million", "10_mib"]
        .iter()
        .any(|size| guest.name.contains(size));
    Limits {
        fuel: if large { 100_000_000 } else { patient().fuel },
        memory_bytes: if large {
            16 << 20
        } else {
            patient().memory_bytes
        },
        ..patient()
    }
}

/// A policy's cases run without the state that loading keeps. They must end
/// as production ends.
fn agrees_with_a_trial(guest: &Guest, loaded: &Result<Policy, LoadError>) {
    let (sandbox, _) = &*HOST;
    let facts = facts::bound();
    if guest.bytes.len() > patient().component_bytes {
        return;
    }
    let trial = match Trial::new(sandbox, &guest.bytes, &limits(guest)) {
        Ok(trial) => trial,
        Err(error) => {
            let loaded = loaded.as_ref().err().map(|error| chain(error));
            assert_eq!(loaded, Some(chain(&error)));
            return;
        }
    };
    let settings = serde_json::json!({});
    match (trial.ask(&settings, &facts), loaded) {
        (TrialAnswer::Fault(fault), Err(LoadError::Configure(same))) => assert_eq!(&fault, same),
        (TrialAnswer::SettingsRefused(list), Err(LoadError::Settings(same))) => {
            assert_eq!(&list, same);
        }
        (TrialAnswer::Fault(fault), Ok(policy)) => assert_eq!(policy.derive(&facts), Err(fault)),
        (TrialAnswer::Verdict(verdict), Ok(policy)) => {
            assert_eq!(policy.derive(&facts), Ok(verdict));
        }
        (answer, loaded) => panic!("a trial gives {answer:?}, and loading {loaded:?}"),
    }
}

/// The good policy, on the sandbox that the guest was on.
fn still_answers() -> Result<(), Failed> {
    let (_, good) = &*HOST;
    let answer = good
        .derive(&facts::bound())
        .map_err(|fault| fault.to_string())?;
    match answer.answer {
        Ok(derivation) if derivation.path == ["good"] => Ok(()),
        other => Err(format!("the good policy answers {other:?}").into()),
    }
}

fn same(expected: Option<&String>, found: &str) -> Result<(), Failed> {
    match expected {
        _ if golden::blessing() => Ok(()),
        Some(expected) if expected == found => Ok(()),
        Some(expected) => Err(format!("expected {expected}\n   found {found}").into()),
        None => Err(format!("nothing is expected of this guest, and found is {found}").into()),
    }
}

const OUTCOMES: &str = "guests/outcomes.txt";

/// Outcomes by guest: a line with the name, an indented line with the outcome.
fn expected() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(nameplate_tests::path(OUTCOMES)).unwrap_or_default();
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    lines
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [name, outcome] => Some(((*name).to_owned(), outcome.trim_start().to_owned())),
            _ => None,
        })
        .collect()
}

fn bless(found: &BTreeMap<String, String>) {
    let mut text = String::new();
    for (name, outcome) in found {
        writeln!(text, "{name}\n    {outcome}").unwrap();
    }
    golden::compare(&nameplate_tests::path(OUTCOMES), &text).unwrap();
}

fn torn_anywhere() {
    let (sandbox, _) = &*HOST;
    let whole = guest::file("good");
    for length in 0..whole.bytes.len() {
        let torn = Guest::new("torn", whole.bytes.get(..length).unwrap().to_vec());
        // Only the custom section at the end, with names for people, can be missed.
        let only_names = whole.bytes.get(length) == Some(&0) && length > whole.bytes.len() / 2;
        match load(sandbox, &torn) {
            Ok(policy) => {
                assert!(only_names, "{length} bytes are loaded");
                assert!(policy.derive(&facts::bound()).is_ok());
            }
            Err(error) => assert_ne!(chain(&error), "", "{length}"),
        }
    }
}

/// Changes one byte after the other. Most changes are refused; what is loaded
/// all the same may answer anything, within the limits.
fn changed_anywhere() {
    let (sandbox, _) = &*HOST;
    let whole = guest::file("good");
    let facts = facts::bound();
    for at in 0..whole.bytes.len() {
        let mut changed = whole.clone();
        // A fixed choice that meets every bit.
        if let Some(byte) = changed.bytes.get_mut(at) {
            *byte ^= 1 << (at % 8);
        }
        if let Ok(policy) = load(sandbox, &changed) {
            assert_eq!(policy.derive(&facts), policy.derive(&facts), "byte {at}");
        }
    }
}

/// M15 of the prior art: a check that one way in has and another lacks.
fn every_way_in() {
    let (sandbox, _) = &*HOST;
    let hostile = guest::imported("wasi:sockets/tcp@0.2.0");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.wasm");
    std::fs::write(&path, &hostile.bytes).unwrap();
    let sources = [
        PolicySource::Bytes(hostile.bytes.clone().into()),
        PolicySource::File(path.clone()),
        PolicySource::parse(path.to_str().unwrap()),
    ];
    let said: Vec<_> = sources
        .into_iter()
        .map(|source| {
            let error = Policy::load(sandbox, &PolicyRequest::new(source)).unwrap_err();
            chain(&error)
        })
        .collect();
    assert!(said.iter().all(|chain| {
        chain.starts_with("not a policy: the component imports `wasi:sockets/tcp@0.2.0`")
    }));
    // M2: a digest is compared before anything of the file is believed.
    let mut pinned = PolicyRequest::new(PolicySource::File(path));
    pinned.digest = Some(nameplate_policy::Digest::of(b"another component"));
    let error = Policy::load(sandbox, &pinned).unwrap_err();
    assert!(matches!(error, LoadError::DigestMismatch { .. }), "{error}");
}
