//! Logs that are read while they are written.

use super::*;
use std::io::Write as _;

/// A log whose last line is half written: the rest of it, and its file.
fn half_written() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    write(options(dir.path()), 2);
    let segment = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let rest = bytes.split_off(bytes.len() - 40);
    fs::write(&segment, bytes).unwrap();
    (dir, segment, rest)
}

fn append(segment: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(segment).unwrap();
    file.write_all(bytes).unwrap();
}

/// The reader has seen half a line and is asked again when all of it is there.
#[test]
fn a_line_that_is_finished_meanwhile_is_no_damage() {
    for path_of in [
        |dir: &Path, _: &Path| dir.to_owned(),
        |_, segment| segment.to_owned(),
    ] as [fn(&Path, &Path) -> PathBuf; 2]
    {
        let (dir, segment, rest) = half_written();
        let path = path_of(dir.path(), &segment);
        let mut reader = Reader::open(&path).unwrap();
        let mut good = 0;
        let torn = loop {
            match reader.next().unwrap() {
                Ok(_) => good += 1,
                Err(error) => break error,
            }
        };
        assert!(torn.is_torn(), "{torn}");
        assert_eq!(reader.bytes_read(), reader.bytes());
        append(&segment, &rest);
        assert!(reader.next().is_none());
        // Its twin: whoever begins now reads the line.
        let all: Vec<_> = Reader::open(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(all.len(), good + 1);
    }
}

/// Half a line with more behind it was not torn, and is told with what follows.
#[test]
fn half_a_line_in_the_middle_is_damage() {
    let (dir, segment, rest) = half_written();
    append(&segment, b"\n");
    append(&segment, &rest);
    let found = faults(dir.path());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("the line was changed"), "{found:?}");
    assert!(found[1].ends_with("it has no hash"), "{found:?}");
}

/// What is longer than any line is not taken for an end: there is more behind it.
#[test]
fn a_line_without_end_is_not_torn_where_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    write(options(dir.path()), 1);
    let segment = segments(dir.path()).remove(0);
    let good = fs::read(&segment).unwrap();
    append(&segment, &vec![b' '; MAX_LINE_BYTES]);
    append(&segment, &good);
    let found = verify(dir.path());
    assert!(!found.holds());
    let first = faults(dir.path()).remove(0);
    let expected = "not a line of a decision log: it is longer than 16,777,216 bytes";
    assert!(first.ends_with(expected), "{first}");
    // Its twin: one byte less, and nothing behind it.
    let torn = [&*good, &vec![b' '; MAX_LINE_BYTES - 1]].concat();
    fs::write(&segment, torn).unwrap();
    let found = verify(dir.path());
    assert!(found.holds() && found.torn.is_some(), "{found:?}");
}
