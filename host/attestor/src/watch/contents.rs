//! What a set of files holds, as far as it takes to see a difference.

use nameplate_files::Failure;
use nameplate_policy::Digest;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Largest file whose content is compared, in bytes: the largest component
/// that an operator may allow.
const MAX_FILE_BYTES: usize = 64 << 20;

/// The contents of files, by path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents(BTreeMap<PathBuf, Content>);

/// What one file holds.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Bytes(Digest),
    /// Of a directory: the names in it, in order.
    Names(Vec<OsString>),
    Absent,
    /// With the reason, since another reason may call for another look.
    Unreadable(String),
}

impl Contents {
    /// Reads `files`.
    pub(crate) fn read(files: &[PathBuf]) -> Self {
        let contents = files.iter().map(|file| (file.clone(), Content::read(file)));
        Self(contents.collect())
    }

    /// Goes over to `files`: reads those that are new, forgets the rest.
    pub(super) fn follow(&mut self, files: &[PathBuf]) {
        let mut known = std::mem::take(&mut self.0);
        let contents = files.iter().map(|file| {
            let content = known.remove(file).unwrap_or_else(|| Content::read(file));
            (file.clone(), content)
        });
        self.0 = contents.collect();
    }
}

impl Content {
    fn read(file: &Path) -> Self {
        if let Ok(entries) = fs::read_dir(file) {
            let names = entries.flatten().map(|entry| entry.file_name());
            let mut names: Vec<_> = names.collect();
            names.sort();
            return Self::Names(names);
        }
        match nameplate_files::read(file, MAX_FILE_BYTES) {
            Ok(bytes) => Self::Bytes(Digest::of(&bytes)),
            Err(error) if is_absent(error.failure()) => Self::Absent,
            Err(error) => Self::Unreadable(error.failure().to_string()),
        }
    }
}

fn is_absent(failure: &Failure) -> bool {
    matches!(failure, Failure::Io(source) if source.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_makes_a_difference() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let read = || Contents::read(std::slice::from_ref(&file));
        let absent = read();
        fs::write(&file, "1").unwrap();
        let first = read();
        assert_ne!(absent, first);
        fs::write(&file, "2").unwrap();
        assert_ne!(first, read());
        fs::remove_file(&file).unwrap();
        assert_eq!(absent, read());
        fs::create_dir(&file).unwrap();
        let empty = read();
        assert_ne!(absent, empty);
        fs::write(file.join("b"), "1").unwrap();
        let one = read();
        assert_ne!(empty, one);
        fs::write(file.join("b"), "2").unwrap();
        assert_eq!(one, read());
        fs::remove_dir_all(&file).unwrap();
        fs::write(&file, "1").unwrap();
        assert_eq!(first, read());
    }

    #[test]
    fn a_known_file_keeps_its_content_from_before() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["a", "b", "c"].map(|name| dir.path().join(name));
        let [a, b, c] = files.clone();
        files.iter().for_each(|file| fs::write(file, "1").unwrap());
        let mut contents = Contents::read(&[a.clone(), b]);
        fs::write(&a, "2").unwrap();
        contents.follow(&[a.clone(), c.clone()]);
        assert_ne!(contents, Contents::read(&[a.clone(), c.clone()]));
        fs::write(&a, "1").unwrap();
        assert_eq!(contents, Contents::read(&[a, c]));
    }
}
