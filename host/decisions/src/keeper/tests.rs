//! A file of checkpoints that is torn, and one that nobody empties.

use super::*;
use nameplate_policy::Digest;
use std::fs;
use std::time::SystemTime;

fn checkpoint(sequence: u64) -> Checkpoint {
    Checkpoint {
        log: "a log".to_owned(),
        sequence,
        head: Digest::NONE,
        time: SystemTime::UNIX_EPOCH,
        signature: None,
    }
}

#[test]
fn a_checkpoint_begins_a_line_whatever_is_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept");
    append_line(&path, &checkpoint(1)).unwrap();
    append_line(&path, &checkpoint(2)).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    assert_eq!(whole.lines().count(), 2);
    // Half of the second was written when the disk was full.
    fs::write(&path, whole.split_at(whole.len() - 30).0).unwrap();
    append_line(&path, &checkpoint(3)).unwrap();
    let lines = fs::read_to_string(&path).unwrap();
    let numbers: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<Checkpoint>(line).map(|kept| kept.sequence))
        .map(|read| read.map_err(|error| error.is_eof()))
        .collect();
    assert_eq!(numbers, [Ok(1), Err(true), Ok(3)]);
}

#[test]
fn the_newest_stay_and_it_is_said_that_some_wait() {
    let desk = Desk::default();
    let add = |number, patience| desk.add(PathBuf::new(), checkpoint(number), patience);
    let long = Duration::from_secs(1 << 20);
    add(0, Duration::ZERO).unwrap();
    let error = add(1, Duration::ZERO).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file is slow or hangs: 2 checkpoints wait for it"
    );
    for number in 2..MOST as u64 - 1 {
        add(number, long).unwrap();
    }
    for number in MOST as u64 - 1..MOST as u64 + 3 {
        let error = add(number, long).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    desk.list().closing = true;
    let kept: Vec<_> = std::iter::from_fn(|| desk.next())
        .map(|(_, checkpoint)| checkpoint.sequence)
        .collect();
    assert_eq!(kept, (3..MOST as u64 + 3).collect::<Vec<_>>());
    // With nothing waiting, nothing is behind.
    add(99, Duration::ZERO).unwrap();
}
