//! Key and certificate of a node, kept in a directory until they are renewed.
//!
//! One file holds both, and the name of the request, so that none of them is
//! ever another's. The directory has to be this process's own: who may write
//! there, or put another in its place, chooses with which key a node attests.

use super::NodeCertificate;
use nameplate_evidence::MAX_KEY_FILE_BYTES;
use nameplate_evidence::certificates::{Prover, ProverError};
use nameplate_files::{DirectoryCheck, DirectoryError, FileError, ReplaceError};
use nameplate_kubernetes::Requested;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where the key of a node is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDirectory {
    path: PathBuf,
    /// The attestor's name: others may share the directory.
    name: String,
    /// Whether nobody else may write to it.
    check: DirectoryCheck,
}

/// Why a key cannot be kept. Names paths, and nothing of what is in a file.
#[derive(Debug, thiserror::Error)]
pub enum KeyDirectoryError {
    /// There is no such directory, and none can be made.
    #[error("key directory `{}` cannot be used", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others than its owner may look into it.
    #[error(
        "key directory `{}` has mode {mode:04o}, which lets others than its owner in: it has to have 0700",
        path.display()
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Others may write to it, or put another in its place.
    #[error("no key is kept where others may write, unless `check_directories = false` says so")]
    Exposed(#[from] DirectoryError),
    /// The file is there and cannot be read.
    #[error("kept key cannot be read")]
    Unreadable(#[from] FileError),
    /// The file is not one that was written here.
    #[error("`{}` is not a kept key", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// It holds no certificate with its key.
    #[error("`{}` holds no certificate with its key", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ProverError,
    },
    /// The file cannot be written.
    #[error("key cannot be kept")]
    Unwritable(#[from] ReplaceError),
}

impl KeyDirectoryError {
    /// Whether another key, in place of this one, is the cure.
    pub(super) fn is_of_contents(&self) -> bool {
        match self {
            Self::Malformed { .. } | Self::Unfit { .. } => true,
            Self::Unusable { .. }
            | Self::Open { .. }
            | Self::Exposed(_)
            | Self::Unreadable(_)
            | Self::Unwritable(_) => false,
        }
    }
}

/// What is kept. Without `Debug`, as it holds the key.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// The node's name.
    pub(super) node: String,
    /// Who signed.
    pub(super) signer: String,
    /// By which request.
    pub(super) request: Requested,
    /// In PEM.
    certificate: String,
    /// In PEM, as PKCS#8.
    key: String,
    /// When the certificate begins to hold, and when it ends. Read from the
    /// certificate.
    #[serde(skip, default = "never")]
    from: SystemTime,
    #[serde(skip, default = "never")]
    pub(super) until: SystemTime,
}

fn never() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

impl Kept {
    pub(super) fn new(
        of: &NodeCertificate,
        request: &Requested,
        certificate: &str,
        key: &str,
    ) -> Self {
        Self {
            node: of.node.clone(),
            signer: of.signer.clone(),
            request: request.clone(),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            from: never(),
            until: never(),
        }
    }

    pub(super) fn prover(&self) -> Result<Prover, ProverError> {
        Prover::from_pem(self.certificate.as_bytes(), self.key.as_bytes())
    }

    pub(super) fn holds(&self, now: SystemTime) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether two thirds of its life are over, and it is time for another.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        let life = self.until.duration_since(self.from);
        let life = life.unwrap_or(Duration::ZERO);
        now >= self.from + life / 3 * 2
    }
}

impl KeyDirectory {
    /// The directory at `path`, for the attestor `name`, which is this process's
    /// own by `check`. It is made when a key is first kept.
    ///
    /// # Errors
    /// [`KeyDirectoryError`] when it cannot be used.
    pub fn new(
        path: PathBuf,
        name: &str,
        check: DirectoryCheck,
    ) -> Result<Self, KeyDirectoryError> {
        let directory = Self {
            path,
            name: name.to_owned(),
            check,
        };
        // A path of one part has an empty parent: where the process is.
        let parent = directory.path.parent();
        let makeable = parent.is_some_and(|parent| parent == Path::new("") || parent.is_dir());
        if directory.path.exists() || !makeable {
            directory.check()?;
        } else {
            check.above(&directory.path)?;
        }
        Ok(directory)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> PathBuf {
        self.path.join(format!("{}.json", self.name))
    }

    /// It is there, its owner's alone, and this process's own.
    fn check(&self) -> Result<(), KeyDirectoryError> {
        let unusable = |source| self.unusable(source);
        let metadata = fs::metadata(&self.path).map_err(unusable)?;
        if !metadata.is_dir() {
            return Err(unusable(io::ErrorKind::NotADirectory.into()));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyDirectoryError::Open {
                path: self.path.clone(),
                mode,
            });
        }
        Ok(self.check.of(&self.path)?)
    }

    fn unusable(&self, source: io::Error) -> KeyDirectoryError {
        KeyDirectoryError::Unusable {
            path: self.path.clone(),
            source,
        }
    }

    /// What is kept, if anything is.
    pub(super) fn read(&self) -> Result<Option<Kept>, KeyDirectoryError> {
        if !self.path.exists() {
            return Ok(None);
        }
        self.check()?;
        let path = self.file();
        let bytes = match nameplate_files::read_confined(&path, MAX_KEY_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(mut kept) = serde_json::from_slice::<Kept>(&bytes) else {
            // What is wrong with it may quote the key.
            return Err(KeyDirectoryError::Malformed { path });
        };
        let validity = kept.prover().and_then(|prover| prover.validity());
        (kept.from, kept.until) =
            validity.map_err(|source| KeyDirectoryError::Unfit { path, source })?;
        Ok(Some(kept))
    }

    /// Puts `kept` in place of what was kept before.
    pub(super) fn write(&self, kept: &Kept) -> Result<(), KeyDirectoryError> {
        match fs::DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(self.unusable(error));
            }
            Ok(()) | Err(_) => {}
        }
        self.check()?;
        // Text alone always has a JSON form.
        let bytes = serde_json::to_vec_pretty(kept).unwrap_or_default();
        nameplate_files::replace(&self.file(), &bytes)?;
        Ok(())
    }
}

fn is_missing(error: &FileError) -> bool {
    matches!(
        error.failure(),
        nameplate_files::Failure::Io(source) if source.kind() == io::ErrorKind::NotFound
    )
}
