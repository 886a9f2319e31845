//! Puts a file in place of another, whole: after a crash there is the old one
//! or the new one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file that could not be written, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
pub struct ReplaceError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Writes `contents` to the file at `path`, for its owner alone (0600), on
/// the disk before the call returns. One process at a time: the new file has a
/// fixed name until it takes the old one's, so that a crash leaves one behind
/// at most, which the next call removes.
///
/// # Errors
/// [`ReplaceError`]; the old file is then still there.
pub fn replace(path: &Path, contents: &[u8]) -> Result<(), ReplaceError> {
    replace_with(path, contents, OWNER)
}

/// The same for whoever gets to it (0644, whatever the umask), as where a
/// folder decides who that is.
///
/// # Errors
/// As [`replace`].
pub fn replace_readable(path: &Path, contents: &[u8]) -> Result<(), ReplaceError> {
    replace_with(path, contents, READABLE)
}

const OWNER: u32 = 0o600;
const READABLE: u32 = 0o644;

fn replace_with(path: &Path, contents: &[u8], mode: u32) -> Result<(), ReplaceError> {
    write(path, contents, mode).map_err(|source| ReplaceError {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut next = std::ffi::OsString::from(".");
    next.push(name);
    next.push(".next");
    let next = directory.join(next);
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Not there before: nobody else has it open, and no link leads elsewhere.
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(OWNER)
        .open(&next)?;
    file.write_all(contents)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    // The name is part of the directory.
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;
    use std::os::unix::fs::symlink;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for contents in ["first, and longer", "second"] {
            replace(&path, contents.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), contents);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(names(dir.path()), ["key"]);
    }

    #[test]
    fn a_readable_file_is_for_whoever_gets_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("release");
        replace_readable(&path, b"read").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        // Its twin, in the same place, is not.
        replace(&path, b"kept").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_a_crash_left_behind_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, "theirs").unwrap();
        symlink(&elsewhere, dir.path().join(".key.next")).unwrap();
        replace(&dir.path().join("key"), b"ours").unwrap();
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "theirs");
        assert_eq!(names(dir.path()), ["elsewhere", "key"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        replace(&path, b"old").unwrap();
        fs::create_dir(dir.path().join(".key.next")).unwrap();
        let error = replace(&path, b"new").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write `{}`", path.display())
        );
        assert!(error.source().is_some());
        assert_eq!(fs::read_to_string(path).unwrap(), "old");
    }
}
