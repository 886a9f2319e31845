//! Decision logs: a line that is read as good is one that was written.

use crate::{fit_to_show, path};
use nameplate_decisions::Reader;
use nameplate_policy::Digest;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Longest segment that is tried, in bytes: the changed byte of a line is looked
/// for in time that is quadratic in it, and a fuzzer is in a hurry.
const LONGEST: usize = 2 << 10;

/// A segment of a log. Whatever is changed of the seed, no line is good that
/// the seed has not: each carries the hash of itself and of all before it.
pub(crate) fn decision_log(bytes: &[u8]) {
    static KNOWN: LazyLock<Vec<Digest>> = LazyLock::new(|| {
        let seed = Reader::open(&path("corpus/decision_log/three.jsonl")).unwrap();
        seed.map(|line| line.unwrap().hash).collect()
    });
    if bytes.len() > LONGEST {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let segment = folder.path().join("00000001.jsonl");
    fs::write(&segment, bytes).unwrap();
    for line in read(&segment) {
        assert!(KNOWN.contains(&line));
    }
}

/// The hashes of the lines that are good, up to the first that is not.
fn read(segment: &Path) -> Vec<Digest> {
    let reader = match Reader::open(segment) {
        Ok(reader) => reader,
        Err(error) => {
            fit_to_show(&error);
            return Vec::new();
        }
    };
    let mut hashes = Vec::new();
    for line in reader {
        match line {
            Ok(line) => hashes.push(line.hash),
            Err(error) => {
                fit_to_show(&error);
                break;
            }
        }
    }
    hashes
}
