//! Checkpoints that were kept elsewhere: of several logs, in any order, many.

use super::*;
use crate::tests::{entry, naming};
use crate::{DecisionLog, Flush, Options};
use std::fs;
use std::path::PathBuf;

/// A log with a checkpoint after each decision, and those checkpoints.
fn log(directory: PathBuf) -> (PathBuf, Vec<Checkpoint>) {
    let kept = directory.with_extension("kept");
    let mut options = Options::new(directory);
    options.flush = Flush::Each;
    options.checkpoints.lines = 1;
    options.checkpoints.file = Some(kept.clone());
    let directory = options.directory.clone();
    let log = DecisionLog::open(options).unwrap();
    let naming = naming();
    for number in 1..=6 {
        log.record(entry(number, &naming)).unwrap();
    }
    drop(log);
    let kept = fs::read_to_string(kept).unwrap();
    let kept = kept.lines().map(|line| serde_json::from_str(line).unwrap());
    (directory, kept.collect())
}

fn verify(path: &Path, kept: &[Checkpoint]) -> Verification {
    Verification::of(path, kept.to_vec(), None, |_, _| {}).unwrap()
}

/// Cuts the log off before its last checkpoint but one.
fn cut(directory: &Path) {
    let segment = crate::segment::list(directory).unwrap().remove(0);
    let text = fs::read_to_string(&segment).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    fs::write(&segment, lines[..lines.len() - 4].concat()).unwrap();
}

/// Two logs may be kept in one file, with lines of the same numbers: neither
/// hides what the other's checkpoints show.
#[test]
fn checkpoints_of_another_log_are_no_fault_and_hide_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (one, of_one) = log(dir.path().join("one"));
    let (two, of_two) = log(dir.path().join("two"));
    for kept in [
        [of_one.clone(), of_two.clone()].concat(),
        [of_two.clone(), of_one.clone()].concat(),
    ] {
        for (path, own) in [(&one, &of_one), (&two, &of_two)] {
            let found = verify(path, &kept);
            assert!(found.holds(), "{:?}", found.faults);
            assert_eq!(found.kept, own.len() as u64);
            assert_eq!(found.kept_foreign, (kept.len() - own.len()) as u64);
        }
    }
    cut(&one);
    let kept = [of_one, of_two.clone()].concat();
    let found = verify(&one, &kept);
    assert!(
        matches!(found.faults[..], [.., VerifyFault::CutOff { .. }]),
        "{:?}",
        found.faults
    );
    // With none of its own, nothing is shown.
    let found = verify(&one, &of_two);
    let count = of_two.len();
    let expected = format!(
        "no kept checkpoint is of this log, of {count}; the first is of the log `{}`",
        of_two[0].log
    );
    let faults: Vec<_> = found.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, [expected]);
}

/// Two that contradict each other are both looked at.
#[test]
fn of_two_checkpoints_of_one_line_neither_hides_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (path, kept) = log(dir.path().join("log"));
    let mut other = kept[0].clone();
    other.head = Digest::NONE;
    for kept in [
        [kept.clone(), vec![other.clone()]].concat(),
        [vec![other.clone()], kept.clone()].concat(),
    ] {
        let found = verify(&path, &kept);
        assert!(
            matches!(found.faults[..], [VerifyFault::Rewritten { .. }]),
            "{:?}",
            found.faults
        );
    }
}

/// However few are held at once, and in whichever order they come.
#[test]
fn more_checkpoints_than_are_held_are_compared_all() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut kept) = log(dir.path().join("log"));
    kept.reverse();
    let all = kept.len() as u64;
    let holding = |most, kept: &[Checkpoint]| {
        Verification::holding(most, &path, kept.to_vec(), None, |_, _| {}).unwrap()
    };
    for most in [1, 2, 3, 100] {
        let found = holding(most, &kept);
        assert!(found.holds(), "{most}: {:?}", found.faults);
        assert_eq!(found.kept, all, "{most}");
        let (lines, decisions) = (found.lines, found.decisions);
        assert_eq!((lines, decisions), (holding(100, &kept).lines, 6), "{most}");
    }
    let last = kept.len() - 1;
    kept[last].head = Digest::NONE;
    cut(&path);
    for most in [1, 2, 3, 100] {
        let found = holding(most, &kept);
        let of = |is: fn(&VerifyFault) -> bool| found.faults.iter().filter(|&f| is(f)).count();
        let rewritten = of(|fault| matches!(fault, VerifyFault::Rewritten { .. }));
        let cut_off = of(|fault| matches!(fault, VerifyFault::CutOff { .. }));
        assert_eq!((rewritten, cut_off), (1, 2), "{most}: {:?}", found.faults);
    }
}

/// The chain has no key: what vouches for a log is what whoever writes to it
/// does not have, and up to the line that it is of.
#[test]
fn a_log_is_proven_as_far_as_something_vouches_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (path, kept) = log(dir.path().join("log"));
    let found = verify(&path, &[]);
    assert!(found.holds() && !found.is_proven());
    assert_eq!((found.vouched_through, found.decisions_after), (None, 6));
    for most in [1, 100] {
        for count in 1..=6 {
            // In whichever order they come.
            let some: Vec<_> = kept.iter().take(count).rev().cloned().collect();
            let last = some[0].sequence;
            let found = Verification::holding(most, &path, some, None, |_, _| {}).unwrap();
            assert!(found.is_proven());
            let decisions = 6 - count as u64;
            let found = (found.vouched_through, found.decisions_after);
            assert_eq!(found, (Some(last), decisions), "{most}");
        }
    }
    let mut other = kept[5].clone();
    other.head = Digest::NONE;
    let found = verify(&path, &[kept[0].clone(), other]);
    assert!(found.vouched_through.is_some() && !found.is_proven());
}

/// A key vouches for what it has signed: a log without a checkpoint is signed
/// nowhere.
#[test]
fn a_key_alone_proves_nothing_of_a_log_without_checkpoints() {
    const PUBLIC: &[u8] = b"-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem");
    fs::write(&key, PRIVATE).unwrap();
    let mut options = Options::new(dir.path().join("log"));
    options.checkpoints.key = Some(key);
    let path = options.directory.clone();
    let log = DecisionLog::open(options).unwrap();
    log.record(entry(1, &naming())).unwrap();
    drop(log);
    let public = VerifyingKey::from_pem(PUBLIC).unwrap();
    let by_key = || Verification::of(&path, Vec::new(), Some(&public), |_, _| {}).unwrap();
    let found = by_key();
    assert!(found.is_proven());
    assert_eq!((found.vouched_through, found.decisions_after), (Some(3), 0));
    // The same without the key is consistent, and so is it without its end.
    assert!(!verify(&path, &[]).is_proven());
    let segment = crate::segment::list(&path).unwrap().remove(0);
    let text = fs::read_to_string(&segment).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    fs::write(&segment, lines[..3].concat()).unwrap();
    let found = by_key();
    assert!(found.holds() && !found.is_proven(), "{:?}", found.faults);
}
