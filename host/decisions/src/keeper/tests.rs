//! A file of checkpoints that is torn, and one that nobody empties.

use super::*;
use nameplate_policy::Digest;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
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

fn kept_in(path: &Path, check: DirectoryCheck) -> KeptIn {
    KeptIn {
        path: path.to_owned(),
        check,
    }
}

/// Whoever could put a link there would choose which file of the machine gets
/// a line more.
#[test]
fn a_checkpoint_follows_no_link_and_goes_nowhere_that_others_write_to() {
    let dir = tempfile::tempdir().unwrap();
    let (path, secret) = (dir.path().join("kept"), dir.path().join("secret"));
    fs::write(&secret, "").unwrap();
    symlink(&secret, &path).unwrap();
    let checked = kept_in(&path, DirectoryCheck::On);
    let unchecked = kept_in(&path, DirectoryCheck::Off);
    let error = append_line(&checked, &checkpoint(1)).unwrap_err();
    assert_eq!(error.to_string(), "a link is there, and none is followed");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "");
    append_line(&unchecked, &checkpoint(1)).unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap().lines().count(), 1);

    fs::remove_file(&path).unwrap();
    append_line(&checked, &checkpoint(1)).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
    let error = append_line(&checked, &checkpoint(2)).unwrap_err();
    let shown = dir.path().display();
    let expected = format!("others may write to `{shown}` (mode 1777): `chmod go-w {shown}`");
    assert_eq!(error.to_string(), expected);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    append_line(&unchecked, &checkpoint(2)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn a_checkpoint_begins_a_line_whatever_is_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept");
    let place = kept_in(&path, DirectoryCheck::On);
    append_line(&place, &checkpoint(1)).unwrap();
    append_line(&place, &checkpoint(2)).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    assert_eq!(whole.lines().count(), 2);
    // Half of the second was written when the disk was full.
    fs::write(&path, whole.split_at(whole.len() - 30).0).unwrap();
    append_line(&place, &checkpoint(3)).unwrap();
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
    let add = |number, patience| {
        let nowhere = kept_in(Path::new(""), DirectoryCheck::On);
        desk.add(nowhere, checkpoint(number), patience)
    };
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
