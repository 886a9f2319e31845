//! An attestor's folder of the state directory.
//!
//! One process at a time writes there. A file is another as a whole or not at
//! all, whatever moment the process or the machine ends. What is read back is
//! bounded.

use nameplate_files::{
    Directory, DirectoryCheck, DirectoryError, Failure, FileError, ReplaceError,
};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The file that the process holds locked.
const LOCK: &str = "lock";

/// An attestor's folder, locked for this process until it is dropped.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    path: PathBuf,
    _lock: File,
}

/// Why state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder cannot be made.
    #[error("cannot make `{path}`")]
    Make {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may write there.
    #[error("nothing is kept where others may write, unless `check_directories = false` says so")]
    Exposed(#[source] DirectoryError),
    /// Another process writes there.
    #[error("`{path}` is in use by another process")]
    InUse {
        /// The folder.
        path: String,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] ReplaceError),
    /// A file cannot be removed.
    #[error("cannot remove `{path}`")]
    Remove {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read what was kept")]
    Read(#[from] FileError),
    /// A file is not what this program writes.
    #[error("`{path}` is not what this version writes")]
    Malformed {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl StateDirectory {
    /// Makes the folder at `path` if there is none, sees to it by `check` that
    /// it and the state directory are this process's own, and locks it.
    pub(crate) fn open(path: &Path, check: DirectoryCheck) -> Result<Self, StateError> {
        make(path)?;
        check
            .of(path)
            .and_then(|()| check.of_parent(path))
            .map_err(StateError::Exposed)?;
        let shown = || path.display().to_string();
        let unmade = |source| StateError::Make {
            path: shown(),
            source,
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = check.open(&options, &path.join(LOCK)).map_err(unmade)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: shown() }),
            Err(TryLockError::Error(source)) => Err(unmade(source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts `bytes` in place of the file `name`, durably.
    pub(crate) fn write(&self, name: &Path, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            make(folder)?;
        }
        Ok(nameplate_files::replace(&path, bytes)?)
    }

    /// What the file `name` holds, at most `limit` bytes of it; `None` where
    /// there is no such file.
    pub(crate) fn read(&self, name: &Path, limit: usize) -> Result<Option<Vec<u8>>, StateError> {
        Ok(read(&self.path, name, limit)?)
    }

    /// Names of the files in the folder `name`; none where there is no folder.
    pub(crate) fn names(&self, name: &str) -> Result<Vec<String>, StateError> {
        let path = self.path.join(name);
        if !path.exists() {
            return Ok(Vec::new());
        }
        Ok(Directory::open(&path)?.names()?)
    }

    /// Removes the file `name`.
    pub(crate) fn remove(&self, name: &Path) -> Result<(), StateError> {
        let path = self.path.join(name);
        fs::remove_file(&path).map_err(|source| StateError::Remove {
            path: path.display().to_string(),
            source,
        })
    }
}

/// Makes the folder at `path`, and those above it, for the owner alone.
fn make(path: &Path) -> Result<(), StateError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StateError::Make {
            path: path.display().to_string(),
            source,
        })
}

/// Whether a process writes to the folder at `path`.
pub(super) fn in_use(path: &Path) -> bool {
    let Ok(lock) = File::open(path.join(LOCK)) else {
        return false;
    };
    // Shared: two that only look do not take each other for a writer.
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// What the file `name` of `folder` holds; `None` where there is no such file.
pub(super) fn read(folder: &Path, name: &Path, limit: usize) -> Result<Option<Vec<u8>>, FileError> {
    let read = nameplate_files::read_confined(&folder.join(name), limit);
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absent(error: &FileError) -> bool {
    matches!(error.failure(), Failure::Io(error) if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_is_one_process_s() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/k8s_sat");
        assert!(!in_use(&path));
        let first = StateDirectory::open(&path, DirectoryCheck::On).unwrap();
        assert!(in_use(&path));
        let refused = StateDirectory::open(&path, DirectoryCheck::On).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("`{}` is in use by another process", path.display())
        );
        drop(first);
        assert!(!in_use(&path));
        StateDirectory::open(&path, DirectoryCheck::On).unwrap();
    }

    #[test]
    fn nothing_is_kept_where_others_may_write() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let own = state.join("k8s_sat");
        fs::create_dir_all(&own).unwrap();
        let chmod = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        // The state directory as well as the attestor's folder of it.
        for exposed in [&state, &own] {
            chmod(&state, 0o755);
            chmod(&own, 0o755);
            StateDirectory::open(&own, DirectoryCheck::On).unwrap();
            chmod(exposed, 0o2775);
            let error = StateDirectory::open(&own, DirectoryCheck::On).unwrap_err();
            let shown = exposed.display();
            assert_eq!(
                crate::error::chain(&error),
                format!(
                    "nothing is kept where others may write, unless `check_directories = false` \
                     says so: others may write to `{shown}` (mode 2775): `chmod go-w {shown}`"
                )
            );
            StateDirectory::open(&own, DirectoryCheck::Off).unwrap();
        }
        chmod(&own, 0o755);
        fs::rename(own.join(LOCK), state.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", own.join(LOCK)).unwrap();
        let error = StateDirectory::open(&own, DirectoryCheck::On).unwrap_err();
        assert_eq!(
            crate::error::chain(&error),
            format!(
                "cannot make `{}`: a link is there, and none is followed",
                own.display()
            )
        );
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let directory = StateDirectory::open(&path, DirectoryCheck::On).unwrap();
        let name = Path::new("inner/file");
        assert!(directory.read(name, 10).unwrap().is_none());
        directory.write(name, b"one").unwrap();
        // What a killed process leaves behind is in nobody's way.
        fs::write(path.join("inner/.file.next"), "torn").unwrap();
        directory.write(name, b"two").unwrap();
        assert_eq!(directory.read(name, 10).unwrap().unwrap(), b"two");
        assert!(directory.read(name, 2).is_err());
        assert_eq!(directory.names("inner").unwrap(), ["file"]);
        let mode = fs::metadata(path.join(name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        directory.remove(name).unwrap();
        assert!(directory.names("inner").unwrap().is_empty());
    }
}
