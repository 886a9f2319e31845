//! A disk that is full, in the middle of writing.

use super::*;
use crate::log::Shared;
use crate::opening;
use crate::queue::Receipt;
use crate::tests::{entry, naming, verify};
use crate::{Counted, Entry, Event, Reader, Unproven, Unrecorded};
use nameplate_files::DirectoryCheck;
use std::borrow::Cow;
use std::fs::OpenOptions;
use std::path::Path;

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
    let lock = opening::lock(directory, DirectoryCheck::On).unwrap();
    let end = opening::end(directory, DirectoryCheck::On).unwrap();
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

/// An attestation with nothing proven, of which there may be any number.
fn unproven(second: u64, reason: &'static str) -> Entry {
    let mut entry = crate::tests::rejection();
    entry.time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    entry.decision.reason = Some(Cow::Borrowed(reason));
    entry.unproven = Some(Unproven {
        cluster: Some("production".into()),
    });
    entry
}

impl Writer {
    /// What comes in is written, as of `now`.
    fn turned(&mut self, closing: bool, now: Instant) -> io::Result<()> {
        let taken = self.shared.queue.take(Duration::ZERO, true);
        self.waiting.extend(taken.waiting);
        self.turn(taken.lost, closing, now)
    }

    fn comes(&self, entry: Entry, now: Instant) {
        let options = Arc::clone(&self.settings.options);
        self.shared.take(entry, &options, now).unwrap();
    }
}

/// The records of a log that say `outcome`, and what is counted in it.
fn told(directory: &Path, outcome: Outcome) -> (usize, Vec<Counted>) {
    let (mut records, mut counts) = (0, Vec::new());
    for line in Reader::open(directory).unwrap() {
        match line.unwrap().event {
            Event::Decision { decision, .. } => records += usize::from(decision.outcome == outcome),
            Event::Counted(counted) => counts.push(counted),
            Event::Segment(_)
            | Event::Naming(_)
            | Event::Gap(_)
            | Event::Checkpoint(_)
            | Event::Repair(_)
            | Event::Retired(_) => {}
        }
    }
    (records, counts)
}

/// Whoever proves nothing adds a few records and a line a minute to the log,
/// however often; and nothing of it is kept silent.
#[test]
fn a_flood_of_rejections_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Flush::Os);
    let now = Instant::now();
    for second in 0..10_000 {
        writer.comes(unproven(second, "token_expired"), now);
    }
    writer.turned(false, now).unwrap();
    assert_eq!(told(dir.path(), Outcome::Rejected), (16, vec![]));
    writer.turned(false, now + WINDOW).unwrap();
    let (records, counts) = told(dir.path(), Outcome::Rejected);
    assert_eq!((records, counts.len()), (16, 1));
    let [count] = &counts[0].counts[..] else {
        panic!("{counts:?}");
    };
    assert_eq!(count.cluster.as_deref(), Some("production"));
    assert_eq!((&*count.reason, count.count), ("token_expired", 9_984));
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    assert_eq!((seconds(count.first), seconds(count.last)), (16, 9_999));

    // What comes in the next window is told of at the end of the log.
    for second in 0..20 {
        writer.comes(unproven(second, "token_expired"), now + WINDOW);
    }
    writer.turned(true, now + WINDOW).unwrap();
    let status = writer.shared.status.status(0);
    drop(writer);
    let (records, counts) = told(dir.path(), Outcome::Rejected);
    let counted: u64 = counts.iter().map(Counted::total).sum();
    assert_eq!((records as u64, counted), (32, 10_020 - 32));
    assert_eq!(
        (status.recorded, status.counted, status.lost),
        (32, counted, 0)
    );
    let found = verify(dir.path());
    assert!(found.holds(), "{:?}", found.faults);
    assert_eq!((found.decisions, found.counted), (32, counted));
    // Told of in a segment that says so; those before it are as they were.
    let formats: Vec<_> = Reader::open(dir.path())
        .unwrap()
        .filter_map(|line| {
            let Event::Segment(header) = line.unwrap().event else {
                return None;
            };
            Some(header.format)
        })
        .collect();
    assert_eq!(formats, [FORMAT, FORMAT_WITH_COUNTS]);
    let bytes: u64 = segment::list(dir.path())
        .unwrap()
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(bytes < 40 << 10, "{bytes} bytes");
}

/// A configuration that asks for a record each gets them.
#[test]
fn each_rejection_is_recorded_where_that_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Flush::Os);
    let mut options = Options::clone(&writer.settings.options);
    options.rejections = Rejections::Each;
    writer.settings = Arc::new(Settings {
        options: Arc::new(options),
        key: None,
    });
    let now = Instant::now();
    let options = Arc::clone(&writer.settings.options);
    for second in 0..100 {
        let entry = unproven(second, "token_expired");
        writer.shared.take(entry, &options, now).unwrap();
    }
    let taken = writer.shared.queue.take(Duration::ZERO, true);
    writer.waiting.extend(taken.waiting);
    writer.write(taken.lost).unwrap();
    drop(writer);
    assert_eq!(told(dir.path(), Outcome::Rejected), (100, vec![]));
}

/// What was proven is recorded, each by itself: only who proves nothing can come
/// as often as it likes.
#[test]
fn what_was_proven_is_never_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Flush::Os);
    let now = Instant::now();
    for outcome in [
        Outcome::Identity,
        Outcome::Denied,
        Outcome::Rejected,
        Outcome::Fault,
    ] {
        for number in 0..100 {
            let mut entry = entry(number, &naming());
            entry.decision.outcome = outcome;
            writer.comes(entry, now);
        }
    }
    writer.turned(true, now).unwrap();
    drop(writer);
    for outcome in Outcome::ALL {
        assert_eq!(told(dir.path(), outcome), (100, vec![]), "{outcome:?}");
    }
}

/// A disk with nothing left but its reserve: rejections are only counted, and
/// told of once an hour. Identities have the reserve.
#[test]
fn the_last_of_the_disk_is_not_for_rejections() {
    for tight in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), Flush::Os);
        writer.gauge = Gauge::new(if tight {
            |_| {
                Ok(Room {
                    free: (64 << 20) - 1,
                    whole: 1 << 40,
                })
            }
        } else {
            |_| {
                Ok(Room {
                    free: 64 << 20,
                    whole: 1 << 40,
                })
            }
        });
        let now = Instant::now();
        writer.turned(false, now).unwrap();
        for second in 0..100 {
            writer.comes(unproven(second, "token_expired"), now);
            writer.comes(entry(second, &naming()), now);
        }
        writer.turned(false, now + WINDOW).unwrap();
        let rejected = told(dir.path(), Outcome::Rejected);
        if tight {
            assert_eq!(rejected, (0, vec![]));
        } else {
            assert_eq!((rejected.0, rejected.1[0].total()), (16, 84));
        }
        writer.turned(false, now + TIGHT_WINDOW).unwrap();
        drop(writer);
        let (records, counts) = told(dir.path(), Outcome::Rejected);
        let counted: u64 = counts.iter().map(Counted::total).sum();
        assert_eq!(records as u64 + counted, 100);
        assert_eq!(told(dir.path(), Outcome::Identity).0, 100);
    }
}

/// Half of the queue is for those who prove something, whatever else comes.
#[test]
fn rejections_fill_half_of_the_queue_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), Flush::Os);
    let mut options = Options::clone(&writer.settings.options);
    options.queue = 16;
    let now = Instant::now();
    for second in 0..100 {
        let entry = unproven(second, "token_expired");
        assert_eq!(writer.shared.take(entry, &options, now), Ok(()));
    }
    assert_eq!(writer.shared.queue.len(), 8);
    for number in 0..8 {
        let entry = entry(number, &naming());
        assert_eq!(writer.shared.take(entry, &options, now), Ok(()));
    }
    let full = Unrecorded::QueueFull { waiting: 16 };
    assert_eq!(
        writer.shared.take(entry(8, &naming()), &options, now),
        Err(full)
    );
    let status = writer.shared.status.status(0);
    assert_eq!((status.counted, status.lost), (92, 1));
}

/// A log that cannot be written loses no count, and says it when it can.
#[test]
fn counts_wait_for_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Flush::Os);
    let now = Instant::now();
    for second in 0..100 {
        writer.comes(unproven(second, "token_expired"), now);
    }
    writer.turned(false, now).unwrap();
    // The segment that is to hold the counts cannot be begun: behind the naming
    // and the record of an identity that comes first.
    let next = dir.path().join(segment::name(writer.head.sequence + 3));
    fs::create_dir(&next).unwrap();
    // That stands in nobody's way who has proven something.
    writer.comes(entry(1, &naming()), now + WINDOW);
    writer.turned(false, now + WINDOW).unwrap();
    fs::remove_dir(&next).unwrap();
    assert_eq!(told(dir.path(), Outcome::Identity).0, 1);
    assert_eq!(told(dir.path(), Outcome::Rejected), (16, vec![]));
    writer.turned(false, now + WINDOW * 2).unwrap();
    drop(writer);
    let (records, counts) = told(dir.path(), Outcome::Rejected);
    assert_eq!((records, counts[0].total()), (16, 84));
    assert!(verify(dir.path()).holds());
}

/// What keeps the clusters out of decisions keeps them out of counts.
#[test]
fn a_cluster_that_is_left_out_is_no_part_of_a_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Flush::Os);
    let mut options = Options::clone(&writer.settings.options);
    options.redact = vec!["/subject/certificate/cluster".parse().unwrap()];
    writer.settings = Arc::new(Settings {
        options: Arc::new(options),
        key: None,
    });
    let now = Instant::now();
    for cluster in ["production", "staging"] {
        for second in 0..20 {
            let mut entry = unproven(second, "token_expired");
            entry.unproven = Some(Unproven {
                cluster: Some(cluster.into()),
            });
            writer.comes(entry, now);
        }
    }
    writer.tell_counts(true, now);
    drop(writer);
    let (_, counts) = told(dir.path(), Outcome::Rejected);
    let [count] = &counts[0].counts[..] else {
        panic!("{counts:?}");
    };
    assert_eq!((&count.cluster, count.count), (&None, 8));
}
