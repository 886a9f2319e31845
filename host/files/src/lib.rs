//! Opens the files an operator names: keys, tokens, certificates, policies.
//!
//! Two kinds of paths are told apart by who wrote them. The path that the
//! operator wrote is the operator's word, links and all: certbot's
//! `live/…/cert.pem`, `/etc/ssl/certs` and Nix's store are links out of their
//! directory ([`read()`]). What is found *inside* a directory, by listing it or
//! because this host keeps it there, is opened within it, and no link leads out
//! ([`Directory`], [`read_confined`]): whoever may write into the directory
//! cannot make the host read another file of the machine. Links within it are
//! followed: Kubernetes lays out every mounted volume that way (`case.json` →
//! `..data/case.json` → a dated directory).
//!
//! Only regular files are read, and only up to a stated size. A pipe, a
//! device or an endless file is an error, not a hang.
//!
//! What this host keeps for itself is [replaced](replace()), whole, in directories
//! that are [its own](DirectoryCheck).
//!
//! This is the only crate that knows `cap-std`, whose development has ended
//! upstream; replacing it means replacing this file.

mod own;
mod replace;

pub use own::{DirectoryCheck, DirectoryError};
pub use replace::{ReplaceError, replace, replace_readable};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use nameplate_words::grouped;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// `O_NONBLOCK` on Linux: opening a pipe returns at once instead of waiting for a writer.
const OPEN_NONBLOCKING: i32 = 0o4000;

/// A directory that files are read from, and nothing outside it.
#[derive(Debug)]
pub struct Directory {
    dir: Dir,
    path: PathBuf,
}

impl Directory {
    /// Opens a directory that the operator named.
    ///
    /// # Errors
    /// [`FileError`] when there is no such directory or it may not be read.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|source| FileError::new(path, Failure::Io(source)))?;
        Ok(Self {
            dir,
            path: path.to_owned(),
        })
    }

    /// Reads the regular file `name`, a relative path inside this directory.
    ///
    /// # Errors
    /// [`FileError`] when the path leaves the directory, when it is no
    /// regular file, when it holds more than `limit` bytes, or when the
    /// system refuses.
    pub fn read(&self, name: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
        let fail = |failure| FileError::new(&self.path.join(name), failure);
        if !name
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(fail(Failure::Outside));
        }
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OPEN_NONBLOCKING);
        let file = self.dir.open_with(name, &options).map_err(|source| {
            // How cap-std says that a link leads out of the directory.
            if source.kind() == io::ErrorKind::PermissionDenied && source.raw_os_error().is_none() {
                fail(Failure::Outside)
            } else {
                fail(Failure::Io(source))
            }
        })?;
        bounded(&file.into_std(), limit).map_err(fail)
    }

    /// Names of the entries of this directory, sorted; those that are not
    /// UTF-8 are left out.
    ///
    /// # Errors
    /// [`FileError`] when the directory cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, FileError> {
        let fail = |source| FileError::new(&self.path, Failure::Io(source));
        let mut names = Vec::new();
        for entry in self.dir.entries().map_err(fail)? {
            if let Ok(name) = entry.map_err(fail)?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// What a regular file holds, unless that is more than `limit` bytes.
fn bounded(file: &fs::File, limit: usize) -> Result<Vec<u8>, Failure> {
    if !file.metadata().map_err(Failure::Io)?.is_file() {
        return Err(Failure::NotAFile);
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(Failure::Io)?;
    if bytes.len() > limit {
        return Err(Failure::TooLarge { limit });
    }
    Ok(bytes)
}

/// Reads the regular file that the operator named by `path`, at most `limit`
/// bytes of it. Links are followed, wherever they lead.
///
/// # Errors
/// [`FileError`] when it is no regular file, when it holds more than `limit`
/// bytes, or when the system refuses.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let fail = |failure| FileError::new(path, failure);
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(OPEN_NONBLOCKING);
    let file = options
        .open(path)
        .map_err(|source| fail(Failure::Io(source)))?;
    bounded(&file, limit).map_err(fail)
}

/// Reads the regular file at `path`, at most `limit` bytes of it, following
/// no link out of its directory: one that this host keeps there itself.
///
/// # Errors
/// As [`Directory::open`] and [`Directory::read`].
pub fn read_confined(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let name = path
        .file_name()
        .ok_or_else(|| FileError::new(path, Failure::NotAFile))?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory = Directory::open(parent).map_err(|error| FileError::new(path, error.failure))?;
    directory
        .read(Path::new(name), limit)
        .map_err(|error| FileError::new(path, error.failure))
}

/// A file that could not be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`", path.display())]
pub struct FileError {
    path: PathBuf,
    #[source]
    failure: Failure,
}

impl FileError {
    fn new(path: &Path, failure: Failure) -> Self {
        Self {
            path: path.to_owned(),
            failure,
        }
    }

    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What kind of failure it was.
    pub fn failure(&self) -> &Failure {
        &self.failure
    }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The system refused.
    #[error(transparent)]
    Io(io::Error),
    /// The path, or a link on it, leads out of the directory.
    #[error("the path or a link leads out of the file's directory")]
    Outside,
    /// A directory, pipe, socket or device.
    #[error("not a regular file")]
    NotAFile,
    /// More bytes than this kind of file may have.
    #[error("larger than {} bytes", grouped(*.limit))]
    TooLarge {
        /// Most bytes that are read.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    type Reads = fn(&Path, usize) -> Result<Vec<u8>, FileError>;

    const BOTH: [Reads; 2] = [read, read_confined];

    fn failure(read: Reads, path: &Path) -> String {
        read(path, 16).unwrap_err().failure().to_string()
    }

    #[test]
    fn a_projected_volume_is_followed_inside_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("..2026_11_23")).unwrap();
        fs::write(dir.path().join("..2026_11_23/token"), "t").unwrap();
        symlink("..2026_11_23", dir.path().join("..data")).unwrap();
        symlink("..data/token", dir.path().join("token")).unwrap();
        for read in BOTH {
            assert_eq!(read(&dir.path().join("token"), 16).unwrap(), b"t");
        }
    }

    /// As certbot (`live/NAME/cert.pem`) and Nix (a link to a link, through a
    /// directory that is one) lay out certificates.
    #[test]
    fn the_operators_own_path_is_followed_wherever_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["live", "archive", "store", "etc"] {
            fs::create_dir(at(folder)).unwrap();
        }
        fs::write(at("archive/cert1.pem"), "c").unwrap();
        symlink("../archive/cert1.pem", at("live/cert.pem")).unwrap();
        symlink(at("store"), at("static")).unwrap();
        symlink(at("archive/cert1.pem"), at("store/cert.pem")).unwrap();
        symlink(at("static/cert.pem"), at("etc/cert.pem")).unwrap();
        for path in ["live/cert.pem", "etc/cert.pem"] {
            assert_eq!(read(&at(path), 16).unwrap(), b"c");
            assert_eq!(
                failure(read_confined, &at(path)),
                "the path or a link leads out of the file's directory"
            );
        }
        symlink("loop", at("loop")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        for path in ["loop", "dangling"] {
            let error = read(&at(path), 16).unwrap_err();
            assert!(matches!(error.failure(), Failure::Io(_)), "{path}");
        }
    }

    #[test]
    fn a_link_out_of_a_directory_is_refused_inside_it() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        fs::create_dir(&keys).unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        symlink("../secret", keys.join("relative")).unwrap();
        symlink(dir.path().join("secret"), keys.join("absolute")).unwrap();
        let outside = "the path or a link leads out of the file's directory";
        for link in ["relative", "absolute"] {
            assert_eq!(failure(read_confined, &keys.join(link)), outside);
            let keys = Directory::open(&keys).unwrap();
            let error = keys.read(Path::new(link), 16).unwrap_err();
            assert_eq!(error.failure().to_string(), outside);
        }
        let keys = Directory::open(&keys).unwrap();
        let error = keys.read(Path::new("../secret"), 16).unwrap_err();
        assert_eq!(error.failure().to_string(), outside);
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap();
        assert!(made.success());
        let link = dir.path().join("link");
        symlink("pipe", &link).unwrap();
        for read in BOTH {
            let file = dir.path().join("file");
            fs::write(&file, [0; 16]).unwrap();
            assert_eq!(read(&file, 16).unwrap().len(), 16);
            fs::write(&file, [0; 17]).unwrap();
            assert_eq!(failure(read, &file), "larger than 16 bytes");
            for path in [dir.path(), &pipe, &link, Path::new("/")] {
                assert_eq!(failure(read, path), "not a regular file");
            }
            assert!(matches!(
                read(&dir.path().join("absent"), 16).unwrap_err().failure(),
                Failure::Io(source) if source.kind() == io::ErrorKind::NotFound
            ));
        }
    }

    #[test]
    fn names_are_sorted() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b"), "").unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        let names = Directory::open(dir.path()).unwrap().names().unwrap();
        assert_eq!(names, ["a", "b"]);
    }
}
