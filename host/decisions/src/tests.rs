//! Logs written, broken on purpose, and read.

use crate::*;
use nameplate_policy::{Derivation, Digest, EngineIdentity, Facts, Limits};
use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

mod damage;
mod killed;
mod opening;
mod reading;
mod writing;

const FACTS: &str = r#"{"trust_domain":"example.org","attestor":"k8s_sat","attested_at":1800000000,"attestation_id":"3d9c2f0e-6a41-4b7c-9f25-1c8e7a5b4d30","subject":{"service_account":{"cluster":"production","namespace":"spire","name":"spire-agent","token_sha256":"abab"}}}"#;

fn facts() -> Facts {
    serde_json::from_str(FACTS).unwrap()
}

pub(crate) fn naming() -> Arc<NamingRecord> {
    Arc::new(NamingRecord {
        attestor: "k8s_sat".into(),
        trust_domain: "example.org".to_owned(),
        policy: PolicyRecord {
            name: "uuid".to_owned(),
            version: None,
            digest: Digest::of(b"component"),
        },
        settings: serde_json::json!({}),
        settings_digest: Digest::of(b"{}"),
        envelope: serde_json::json!({}),
        limits: Limits::default(),
        engine: EngineIdentity {
            version: "wasmtime 0".to_owned(),
            configuration: Digest::of(b""),
        },
    })
}

fn at(number: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + number)
}

/// A decision that says which it is.
pub(crate) fn entry(number: u64, naming: &Arc<NamingRecord>) -> Entry {
    let id = format!("spiffe://example.org/spire/agent/k8s_sat/production/{number}");
    Entry {
        time: at(number),
        decision: Decision {
            attestor: "k8s_sat".into(),
            generation: 1,
            cluster: Some("production".to_owned()),
            naming: None,
            facts: Some(facts()),
            redacted: Vec::new(),
            answer: Some(Answer::Derivation(Derivation {
                path: vec!["production".to_owned(), number.to_string()],
                selectors: vec!["cluster:production".to_owned()],
            })),
            fuel: Some(1_000 + number),
            outcome: Outcome::Identity,
            reason: None,
            detail: None,
            spiffe_id: Some(id),
        },
        naming: Some(Arc::clone(naming)),
        unproven: None,
    }
}

/// A rejection, for which no policy was asked.
pub(crate) fn rejection() -> Entry {
    Entry {
        time: at(0),
        decision: Decision {
            cluster: None,
            facts: None,
            answer: None,
            fuel: None,
            outcome: Outcome::Rejected,
            reason: Some(Cow::Borrowed("token_expired")),
            detail: Some("evidence rejected: token expired 312 s ago".to_owned()),
            spiffe_id: None,
            ..entry(0, &naming()).decision
        },
        naming: None,
        unproven: Some(Unproven { cluster: None }),
    }
}

fn options(directory: &Path) -> Options {
    Options {
        flush: Flush::Each,
        ..Options::new(directory.to_owned())
    }
}

/// Writes `count` decisions by `options`, and closes the log.
fn write(options: Options, count: u64) {
    let log = DecisionLog::open(options).unwrap();
    let naming = naming();
    for number in 1..=count {
        log.record(entry(number, &naming)).unwrap();
    }
}

/// Writes a log whose last line is a decision of 20 KiB.
fn write_long(directory: &Path) {
    write(options(directory), 1);
    let mut long = entry(2, &naming());
    long.decision.detail = Some("detail ".repeat(3_000));
    let log = DecisionLog::open(options(directory)).unwrap();
    log.record(long).unwrap();
    drop(log);
    // Without the checkpoint that it ends with.
    let segment = segments(directory).remove(0);
    let bytes = fs::read(&segment).unwrap();
    let checkpoint = bytes[..bytes.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n');
    fs::write(&segment, &bytes[..=checkpoint.unwrap()]).unwrap();
}

pub(crate) fn verify(path: &Path) -> Verification {
    Verification::of(path, Vec::new(), None, |_, _| {}).unwrap()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    segment::list(directory).unwrap()
}

fn lines(directory: &Path) -> Vec<Line> {
    let reader = Reader::open(directory).unwrap();
    reader.map(Result::unwrap).collect()
}

fn kinds(directory: &Path) -> String {
    let kinds: Vec<_> = lines(directory)
        .iter()
        .map(|line| line.event.kind())
        .collect();
    kinds.join(" ")
}

/// What is wrong with a log, without the directory's name.
fn faults(path: &Path) -> Vec<String> {
    let shown = |fault: &VerifyFault| {
        let mut text = fault.to_string();
        if let VerifyFault::Read(ReadError::Broken { fault, .. }) = fault {
            text = format!("{text}: {fault}");
        }
        match path.is_dir() {
            true => text.replace(&format!("{}/", path.display()), ""),
            false => text,
        }
    };
    verify(path).faults.iter().map(shown).collect()
}
