//! Reads small files that the operator named: kubeconfigs, credentials.
//!
//! Trusts the operator's path and, links included, where it leads; kubeconfigs
//! and mounted secrets are laid out with links. Does not trust the file to be
//! one: a pipe or an endless device is an error, not a hang.

use nameplate_evidence::ApiError;
use std::path::Path;

/// Longest file that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Reads a regular file of at most 1 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ApiError> {
    let fail = |why: String| ApiError::NotConfigured {
        what: format!("`{}` cannot be read: {why}", path.display()),
    };
    let target = path
        .canonicalize()
        .map_err(|error| fail(error.to_string()))?;
    nameplate_files::read(&target, MAX_BYTES).map_err(|error| fail(error.failure().to_string()))
}

/// Reads a bearer token: one line of printable characters.
pub(crate) fn read_token(path: &Path) -> Result<String, ApiError> {
    let bytes = read(path)?;
    let token = bytes.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(ApiError::NotConfigured {
            what: format!("`{}` holds no token", path.display()),
        });
    }
    Ok(String::from_utf8_lossy(token).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{MAX_BYTES, read, read_token};

    fn error_of<T>(result: Result<T, nameplate_evidence::ApiError>, path: &Path) -> String {
        let text = result.err().unwrap().to_string();
        text.replace(path.to_str().unwrap(), "FILE")
    }

    #[test]
    fn a_token_is_read_without_its_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "a.b.c\n").unwrap();
        assert_eq!(read_token(&path).unwrap(), "a.b.c");
        for wrong in ["", " \n", "a\nb", "a b", "a\u{e9}"] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(
                error_of(read_token(&path), &path),
                "cannot ask: `FILE` holds no token"
            );
        }
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, vec![b'x'; MAX_BYTES]).unwrap();
        assert_eq!(read(&path).unwrap().len(), MAX_BYTES);
        fs::write(&path, vec![b'x'; MAX_BYTES + 1]).unwrap();
        assert_eq!(
            error_of(read(&path), &path),
            "cannot ask: `FILE` cannot be read: larger than 1,048,576 bytes"
        );
        assert_eq!(
            error_of(read(folder.path()), folder.path()),
            "cannot ask: `FILE` cannot be read: not a regular file"
        );
        let missing = folder.path().join("missing");
        assert_eq!(
            error_of(read(&missing), &missing),
            "cannot ask: `FILE` cannot be read: No such file or directory (os error 2)"
        );
    }
}
