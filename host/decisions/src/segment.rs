//! The files of a log: segments, whose names sort as their lines do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "decisions-";
const SUFFIX: &str = ".jsonl";
const DIGITS: usize = 12;

/// Name of the segment whose first line has this sequence number.
pub(crate) fn name(first: u64) -> String {
    format!("{PREFIX}{first:0DIGITS$}{SUFFIX}")
}

/// The sequence number that a segment's name states; none for another file.
pub(crate) fn first_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let digital = digits.len() >= DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
    digital.then(|| digits.parse().ok()).flatten()
}

/// The segments in `directory`, in the order of their lines.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if let Some(first) = first_of(&path) {
            segments.push((first, path));
        }
    }
    segments.sort();
    Ok(segments.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_states_its_first_line() {
        for first in [1, 999_999_999_999, 1_000_000_000_000] {
            assert_eq!(first_of(Path::new(&name(first))), Some(first));
        }
        for other in [
            "decisions-1.jsonl",
            "decisions-00000000000x.jsonl",
            "decisions-000000000001.jsonl.torn",
            "lock",
        ] {
            assert_eq!(first_of(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn segments_come_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for first in [1_000_000_000_000, 7, 1] {
            fs::write(dir.path().join(name(first)), "").unwrap();
        }
        fs::write(dir.path().join("lock"), "").unwrap();
        let firsts: Vec<_> = list(dir.path())
            .unwrap()
            .iter()
            .filter_map(|path| first_of(path))
            .collect();
        assert_eq!(firsts, [1, 7, 1_000_000_000_000]);
    }
}
