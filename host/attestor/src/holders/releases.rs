//! IDs that the operator has released: the next subject that is named so
//! holds them.
//!
//! A machine that is installed anew is another subject under the same name.
//! Only the operator knows that it is meant to be. A release is a file in the
//! state directory, so it can be written while the process runs and while it
//! does not, and it serves for one change of hands.

use crate::spiffe_id::SpiffeId;
use nameplate_policy::Digest;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The folder of releases in an attestor's state directory.
const FOLDER: &str = "released";

/// An ID could not be released.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`")]
pub struct ReleaseError {
    /// The file.
    pub path: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Releases `id` in the state directory of its attestor.
///
/// # Errors
/// [`ReleaseError`].
pub fn release(directory: &Path, id: &SpiffeId) -> Result<(), ReleaseError> {
    let path = file(directory, id.as_str());
    write(directory, &path, id).map_err(|source| ReleaseError {
        path: path.display().to_string(),
        source,
    })
}

fn write(directory: &Path, path: &Path, id: &SpiffeId) -> io::Result<()> {
    let folder = directory.join(FOLDER);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // For people: the name is what counts.
    writeln!(file, "{id}")?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

fn file(directory: &Path, id: &str) -> PathBuf {
    let digest = Digest::of(id.as_bytes()).to_string();
    let name = digest.trim_start_matches("sha256:").to_owned();
    directory.join(FOLDER).join(name)
}

/// Takes releases.
#[derive(Debug)]
pub(super) struct Releases {
    directory: PathBuf,
}

impl Releases {
    pub(super) fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Whether `id` was released; it is so no longer.
    ///
    /// Used up on disk before the change of hands is: a process that is killed
    /// between the two loses a release, and never gives one twice.
    pub(super) fn take(&self, id: &str) -> io::Result<bool> {
        match fs::remove_file(file(&self.directory, id)) {
            Ok(()) => {
                File::open(self.directory.join(FOLDER))?.sync_all()?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
