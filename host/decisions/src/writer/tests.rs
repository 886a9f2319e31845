//! A disk that is full, in the middle of writing.

use super::*;
use crate::log::Shared;
use crate::opening;
use crate::queue::Receipt;
use crate::tests::{entry, naming, verify};
use std::fs::OpenOptions;

/// Bytes written to it find no room.
fn full() -> File {
    OpenOptions::new().append(true).open("/dev/full").unwrap()
}

fn writer(directory: &Path, flush: Flush) -> Writer {
    let options = Options {
        flush,
        ..Options::new(directory.to_owned())
    };
    let settings = Settings {
        options: Arc::new(options),
        key: None,
    };
    let shared = Arc::new(Shared::new(Arc::new(settings)));
    let lock = opening::lock(directory).unwrap();
    let end = opening::end(directory).unwrap();
    Writer::begin(shared, lock, end).unwrap()
}

fn waiting(number: u64) -> (Waiting, Arc<Receipt>) {
    let receipt = Arc::new(Receipt::default());
    let waiting = Waiting {
        entry: entry(number, &naming()),
        receipt: Some(Arc::clone(&receipt)),
    };
    (waiting, receipt)
}

#[test]
fn what_does_not_fit_waits_for_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Flush::Os);
    writer.waiting.push(waiting(1).0);
    writer.write(Lost::default()).unwrap();
    let before = writer.head;
    let room = std::mem::replace(&mut writer.segment.file, full());
    writer.waiting.push(waiting(2).0);
    let error = writer.write(Lost::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!((writer.head, writer.waiting.len()), (before, 1));
    assert!(writer.segment.ragged);
    // Half of a line that was there when the disk was full.
    writer.segment.file = room;
    writer.segment.file.write_all(b"{\"hash\":\"sha").unwrap();
    writer.write(Lost::default()).unwrap();
    assert_eq!(writer.waiting.len(), 0);
    drop(writer);
    let found = verify(dir.path());
    assert!(found.holds(), "{:?}", found.faults);
    assert_eq!((found.decisions, found.lost, found.repairs), (2, 0, 0));
}

/// Whoever waits is told, so the decision must not turn up later.
#[test]
fn what_was_waited_for_in_vain_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Flush::Each);
    let room = std::mem::replace(&mut writer.segment.file, full());
    let (one, receipt) = waiting(1);
    writer.waiting.push(one);
    writer.write(Lost::default()).unwrap_err();
    assert!(!receipt.wait(Duration::ZERO));
    assert_eq!(writer.waiting.len(), 0);
    writer.segment.file = room;
    let (two, receipt) = waiting(2);
    writer.waiting.push(two);
    let taken = writer.shared.queue.take(Duration::ZERO, true);
    writer.write(taken.lost).unwrap();
    assert!(receipt.wait(Duration::ZERO));
    drop(writer);
    let found = verify(dir.path());
    assert!(found.holds(), "{:?}", found.faults);
    assert_eq!((found.decisions, found.lost), (1, 1));
}

/// A segment that is left for another has no half line at its end.
#[test]
fn a_segment_is_trimmed_before_the_next_begins() {
    for half in [&b""[..], b"{\"hash\":\"sha"] {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), Flush::Os);
        writer.waiting.push(waiting(1).0);
        writer.write(Lost::default()).unwrap();
        let room = std::mem::replace(&mut writer.segment.file, full());
        let retired = Retired {
            through: 0,
            segments: Vec::new(),
        };
        writer.tell("retired", &retired).unwrap_err();
        writer.segment.file = room;
        writer.segment.file.write_all(half).unwrap();
        writer.rotate().unwrap();
        drop(writer);
        let found = verify(dir.path());
        assert!(found.holds(), "{:?}", found.faults);
        assert_eq!((found.segments, found.torn), (2, None));
    }
}

/// Who waits too long is refused; what the disk takes after that must not say
/// that there was an identity. Anything else that was decided is still told.
#[test]
fn an_identity_that_nobody_waits_for_any_more_is_a_gap() {
    for (outcome, decisions, lost) in [(Outcome::Identity, 1, 1), (Outcome::Denied, 2, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), Flush::Each);
        let (mut one, late) = waiting(1);
        one.entry.decision.outcome = outcome;
        let (two, receipt) = waiting(2);
        writer.waiting.extend([one, two]);
        assert!(!late.abandon());
        writer.write(Lost::default()).unwrap();
        let taken = writer.shared.queue.take(Duration::ZERO, true);
        writer.write(taken.lost).unwrap();
        assert!(receipt.abandon(), "it was written before");
        drop(writer);
        let found = verify(dir.path());
        assert!(found.holds(), "{:?}", found.faults);
        assert_eq!((found.decisions, found.lost), (decisions, lost));
    }
}
