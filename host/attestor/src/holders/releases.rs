//! IDs that the operator has released: the next subject that is named so
//! holds them.
//!
//! A machine that is installed anew is another subject under the same name.
//! Only the operator knows that it is meant to be. A release is a file in the
//! state directory, so it can be written while the process runs and while it
//! does not, and it serves for one change of hands.
//!
//! Whoever releases may be another user than the process that attests. To use
//! a release up takes nothing but the folder, so the folder is the process's
//! own: it makes it when it opens the record, and nobody else makes it.

use super::HoldersError;
use crate::spiffe_id::SpiffeId;
use nameplate_files::ReplaceError;
use nameplate_policy::Digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a release serves. The machine that it was meant for comes within
/// days; whoever comes months later is another.
pub const RELEASE_HOLDS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The folder of releases in an attestor's state directory.
const FOLDER: &str = "released";

/// A release, as its file has it.
#[derive(Debug, Serialize, Deserialize)]
struct Release {
    id: String,
    /// When it was made, in seconds since 1970.
    at: u64,
}

/// An ID could not be released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// There is no place for the release.
    #[error("cannot write `{path}`")]
    Unwritable {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The release cannot be put in its place.
    #[error(transparent)]
    Write(#[from] ReplaceError),
    /// The folder of releases is not there, and would be one that the process
    /// that attests can take nothing from.
    #[error(
        "`{path}` is not there, and made by user {user} it would be closed to user {owner}, who owns the state: release as user {owner}, or start what attests with `on_collision` first"
    )]
    Foreign {
        /// The folder.
        path: String,
        /// Who would have made it.
        user: u32,
        /// Whose state it is.
        owner: u32,
    },
}

/// Releases `id` in the state directory of its attestor, at `at` (seconds
/// since 1970), for [`RELEASE_HOLDS`].
///
/// # Errors
/// [`ReleaseError`]; nothing is released.
pub fn release(directory: &Path, id: &SpiffeId, at: u64) -> Result<(), ReleaseError> {
    let folder = directory.join(FOLDER);
    let unwritable = |path: &Path| {
        let path = path.display().to_string();
        |source| ReleaseError::Unwritable { path, source }
    };
    if !folder.is_dir() {
        let owner = fs::metadata(directory)
            .map_err(unwritable(directory))?
            .uid();
        if let Some(user) = make_as(owner, &folder).map_err(unwritable(&folder))? {
            let path = folder.display().to_string();
            return Err(ReleaseError::Foreign { path, user, owner });
        }
    }
    let path = folder.join(name(id.as_str()));
    let release = Release {
        id: id.to_string(),
        at,
    };
    let mut text = serde_json::to_vec(&release)
        .map_err(io::Error::from)
        .map_err(unwritable(&path))?;
    text.push(b'\n');
    // Whoever releases may be another user than who takes it. Nobody else gets
    // into the folder.
    Ok(nameplate_files::replace_readable(&path, &text)?)
}

/// Makes the folder, if that makes it `owner`'s; whose it would be, if not.
///
/// Made under another name first: the process that attests never sees a
/// folder that it can take nothing from.
fn make_as(owner: u32, folder: &Path) -> io::Result<Option<u32>> {
    let next = folder.with_file_name(format!(".{FOLDER}.next"));
    match fs::remove_dir(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    DirBuilder::new().mode(0o700).create(&next)?;
    let user = fs::symlink_metadata(&next)?.uid();
    if user != owner {
        fs::remove_dir(&next)?;
        return Ok(Some(user));
    }
    match fs::rename(&next, folder) {
        // The process that attests was faster.
        Err(_) if folder.is_dir() => fs::remove_dir(&next)?,
        renamed => renamed?,
    }
    Ok(None)
}

/// The name of a release's file: an ID may be longer than a name.
fn name(id: &str) -> String {
    let digest = Digest::of(id.as_bytes()).to_string();
    digest.trim_start_matches("sha256:").to_owned()
}

/// Takes releases.
#[derive(Debug)]
pub(super) struct Releases {
    folder: PathBuf,
}

impl Releases {
    /// Those in an attestor's state directory. The folder is made here, by
    /// who takes from it, and one that nothing can be taken from is an error
    /// now rather than at a claim.
    pub(super) fn open(directory: &Path) -> Result<Self, HoldersError> {
        let folder = directory.join(FOLDER);
        usable(&folder).map_err(|source| HoldersError::Releases {
            path: folder.display().to_string(),
            source,
        })?;
        Ok(Self { folder })
    }

    /// When `id` was released, if it was; it is so no longer.
    ///
    /// Used up on disk before the change of hands is: a process that is killed
    /// between the two loses a release, and never gives one twice.
    pub(super) fn take(&self, id: &str) -> Result<Option<u64>, HoldersError> {
        let path = self.folder.join(name(id));
        self.take_file(&path).map_err(|source| {
            let path = path.display().to_string();
            let source = Arc::new(source);
            HoldersError::Release { path, source }
        })
    }

    fn take_file(&self, path: &Path) -> io::Result<Option<u64>> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let release: Release = serde_json::from_slice(&text)?;
        fs::remove_file(path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(Some(release.at))
    }
}

/// Makes the folder where there is none, and learns the only sure way whether
/// something can be taken from it.
fn usable(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let probe = folder.join(".probe");
    drop(
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&probe)?,
    );
    fs::remove_file(probe)?;
    // The folder's own name has to outlive a crash as what is put in it does.
    match folder.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
