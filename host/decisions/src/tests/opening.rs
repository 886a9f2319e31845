//! How a log is gone on with after its process ended, in whichever way.

use super::*;
use nameplate_files::DirectoryCheck;
use std::error::Error as _;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};

#[test]
fn a_log_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    write(options(dir.path()), 2);
    write(options(dir.path()), 1);
    assert_eq!(
        kinds(dir.path()),
        "segment naming decision decision checkpoint naming decision checkpoint"
    );
    let verification = verify(dir.path());
    assert!(verification.holds());
    assert_eq!(verification.decisions, 3);
}

#[test]
fn other_promises_begin_a_segment() {
    let dir = tempfile::tempdir().unwrap();
    write(options(dir.path()), 1);
    let redacting = Options {
        redact: vec!["/subject/service_account/token_sha256".parse().unwrap()],
        ..options(dir.path())
    };
    write(redacting, 1);
    assert_eq!(segments(dir.path()).len(), 2);
    assert!(verify(dir.path()).holds());
}

/// Cut anywhere, a log is mended: every whole line stays, the rest is kept.
#[test]
fn a_torn_end_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    write(options(dir.path()), 2);
    let segment = segments(dir.path()).remove(0);
    let bytes = fs::read(&segment).unwrap();
    for cut in (0..bytes.len()).step_by(61) {
        let dir = tempfile::tempdir().unwrap();
        let torn = dir.path().join(segment.file_name().unwrap());
        fs::write(&torn, &bytes[..cut]).unwrap();
        let whole = bytes[..cut].iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        write(options(dir.path()), 1);
        let verification = verify(dir.path());
        assert!(verification.holds(), "{cut}: {:?}", verification.faults);
        assert_eq!(verification.repairs, u64::from(cut > whole), "{cut}");
        let mended = fs::read(&segments(dir.path())[0]).unwrap();
        assert_eq!(&mended[..whole], &bytes[..whole], "{cut}");
        if cut > whole {
            let repairs: Vec<_> = lines(dir.path())
                .into_iter()
                .filter_map(|line| {
                    let Event::Repair(repair) = line.event else {
                        return None;
                    };
                    Some(repair)
                })
                .collect();
            let kept = fs::read(dir.path().join(&repairs[0].kept_in)).unwrap();
            assert_eq!(kept, &bytes[whole..cut]);
            assert_eq!(repairs[0].torn_bytes, (cut - whole) as u64);
        }
    }
}

/// Bytes that were lost with the power, of which the disk kept the place.
#[test]
fn an_end_of_zeros_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    write(options(dir.path()), 2);
    let segment = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let whole = bytes.len();
    bytes.extend([0; 4096]);
    fs::write(&segment, bytes).unwrap();
    write(options(dir.path()), 1);
    let verification = verify(dir.path());
    assert!(verification.holds());
    assert_eq!((verification.repairs, verification.decisions), (1, 3));
    assert!(fs::metadata(&segment).unwrap().len() > whole as u64);
}

/// A last line too long for its changed bytes to be named has its end: it was
/// whole, and nobody takes it off.
#[test]
fn a_changed_last_line_is_not_torn_however_long_it_is() {
    let dir = tempfile::tempdir().unwrap();
    write_long(dir.path());
    let segment = segments(dir.path()).remove(0);
    let good = fs::read(&segment).unwrap();
    let mut bytes = good.clone();
    let at = bytes.len() - 9_000;
    bytes[at] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let error = DecisionLog::open(options(dir.path())).unwrap_err();
    let OpenError::Damaged { fault, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(*fault, LineFault::Changed { .. }), "{fault}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
    // Its twins have no end: half a line, and half a line with zeros behind it.
    for zeros in [0, 4_096] {
        let mut torn = bytes.clone();
        torn.pop();
        torn.extend(vec![0; zeros]);
        fs::write(&segment, &torn).unwrap();
        drop(DecisionLog::open(options(dir.path())).unwrap());
        let found = verify(dir.path());
        assert!(found.holds(), "{:?}", found.faults);
        assert_eq!(found.repairs, 1);
    }
    // And zeros with an end behind them are what no power cut leaves.
    fs::write(&segment, [&*good, &[0; 4_096], b"\n"].concat()).unwrap();
    let error = DecisionLog::open(options(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn a_changed_log_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    write(options(dir.path()), 3);
    let segment = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes[middle + 1] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let error = DecisionLog::open(options(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
    bytes[middle] ^= 1;
    bytes[middle + 1] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    DecisionLog::open(options(dir.path())).unwrap();
}

#[test]
fn a_directory_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let lock = crate::opening::lock(dir.path(), DirectoryCheck::On).unwrap();
    let error = DecisionLog::open(options(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(lock);
    let log = DecisionLog::open(options(dir.path())).unwrap();
    // The same process goes on with the log that it has, and as it is until
    // it is told otherwise.
    let before = log.options().queue;
    let same = DecisionLog::open(Options {
        queue: 7,
        ..options(dir.path())
    });
    let same = same.unwrap();
    assert_eq!(
        (same.options().queue, log.options().queue),
        (before, before)
    );
    same.apply();
    assert_eq!((same.options().queue, log.options().queue), (7, 7));
}

/// Options that were only tried leave no trace in the log.
#[test]
fn what_is_not_applied_changes_nothing() {
    for applied in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let log = DecisionLog::open(options(dir.path())).unwrap();
        log.record(entry(1, &naming())).unwrap();
        let tried = DecisionLog::open(Options {
            redact: vec!["/subject/service_account/token_sha256".parse().unwrap()],
            ..options(dir.path())
        });
        let tried = tried.unwrap();
        if applied {
            tried.apply();
        }
        drop(tried);
        log.record(entry(2, &naming())).unwrap();
        drop(log);
        assert_eq!(segments(dir.path()).len(), 1 + usize::from(applied));
        assert!(verify(dir.path()).holds());
        // And each segment's header says how its decisions are written.
        let mut redact = Vec::new();
        for line in lines(dir.path()) {
            match line.event {
                Event::Segment(header) => redact = header.redact,
                Event::Decision { decision, .. } => assert_eq!(decision.redacted, redact),
                Event::Naming(_)
                | Event::Counted(_)
                | Event::Gap(_)
                | Event::Checkpoint(_)
                | Event::Repair(_)
                | Event::Retired(_) => {}
            }
        }
    }
}

/// What a log is shown to be rests on who may write there.
#[test]
fn nothing_is_written_where_others_may_write() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    fs::create_dir(&log).unwrap();
    for (mode, good) in [(0o755, true), (0o2775, false), (0o1777, false)] {
        fs::set_permissions(&log, Permissions::from_mode(mode)).unwrap();
        let checked = DecisionLog::open(options(&log)).map(drop);
        if good {
            checked.unwrap();
        } else {
            let error = checked.unwrap_err();
            assert_eq!(
                error.to_string(),
                "nothing is kept where others may write, unless `check_directories = false` says so"
            );
            let shown = log.display();
            assert_eq!(
                error.source().unwrap().to_string(),
                format!("others may write to `{shown}` (mode {mode:04o}): `chmod go-w {shown}`")
            );
        }
        let unchecked = Options {
            directory_check: DirectoryCheck::Off,
            ..options(&log)
        };
        write(unchecked, 1);
    }
    assert!(verify(&log).holds());
}

/// A link in place of a file of the log leads nowhere.
#[test]
fn no_link_is_followed_to_a_file_of_the_log() {
    for name in ["lock", "decisions-000000000001.jsonl"] {
        let dir = tempfile::tempdir().unwrap();
        let (log, elsewhere) = (dir.path().join("log"), dir.path().join("elsewhere"));
        write(options(&log), 1);
        fs::rename(log.join(name), &elsewhere).unwrap();
        symlink(&elsewhere, log.join(name)).unwrap();
        let before = fs::read(&elsewhere).unwrap();
        let error = DecisionLog::open(options(&log)).unwrap_err();
        let OpenError::Unwritable { path, source } = error else {
            panic!("{error}");
        };
        assert_eq!(path, log.join(name));
        assert_eq!(source.to_string(), "a link is there, and none is followed");
        assert_eq!(fs::read(&elsewhere).unwrap(), before);
        let unchecked = Options {
            directory_check: DirectoryCheck::Off,
            ..options(&log)
        };
        write(unchecked, 1);
        assert_eq!(verify(&log).decisions, 2);
    }
}
