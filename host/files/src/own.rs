//! Whether a directory is this process's own: what it keeps there decides later
//! who is who, so nobody else may write there.
//!
//! The directory is its owner's, who is this process's user or root, and
//! neither its group nor others may write to it. None above it may be written
//! to by everybody, unless only the owner of an entry may take that away
//! (sticky, as `/tmp` is). Access lists count: their mask shows as the group.
//!
//! A file is opened where it is, never where a link at the end of its path
//! leads: the link might be from a time when others could write there.

use rustix::fs::OFlags;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Whether directories in which this process keeps files are checked for other
/// writers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectoryCheck {
    /// Where somebody else may, nothing is kept; and no link is followed.
    #[default]
    On,
    /// The operator answers for it.
    Off,
}

/// Why this process keeps nothing in a directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The system does not say whose it is.
    #[error("cannot see who may write to `{}`", path.display())]
    Unknown {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Others may write to it, or to one above it.
    #[error("others may write to `{}` (mode {mode:04o}): `chmod {change} {}`", path.display(), path.display())]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What ends that.
        change: &'static str,
    },
    /// It is another user's.
    #[error("`{}` is user {owner}'s, and this process is user {user}'s: `chown {user} {}`", path.display(), path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose this process is.
        user: u32,
    },
}

impl DirectoryCheck {
    /// Whether this process may keep files in the directory at `path`.
    ///
    /// # Errors
    /// [`DirectoryError`], where it is looked at.
    pub fn of(self, path: &Path) -> Result<(), DirectoryError> {
        match self {
            Self::On => check(path, Some(rustix::process::geteuid().as_raw())),
            Self::Off => Ok(()),
        }
    }

    /// The same check, of the directory that the file at `path` is in.
    ///
    /// # Errors
    /// As [`DirectoryCheck::of`].
    pub fn of_parent(self, path: &Path) -> Result<(), DirectoryError> {
        self.of(parent_of(path))
    }

    /// Whether this process may make the directory at `path`, and keep files in
    /// it: nobody could put another in its place.
    ///
    /// # Errors
    /// As [`DirectoryCheck::of`].
    pub fn above(self, path: &Path) -> Result<(), DirectoryError> {
        match self {
            Self::On => check(parent_of(path), None),
            Self::Off => Ok(()),
        }
    }

    /// Opens the file at `path` by `options`, and follows no link there.
    ///
    /// # Errors
    /// What the system says, and where there is a link, that.
    pub fn open(self, options: &OpenOptions, path: &Path) -> io::Result<File> {
        if self == Self::Off {
            return options.open(path);
        }
        let mut options = options.clone();
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        options.open(path).map_err(|error| {
            if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
                io::Error::other("a link is there, and none is followed")
            } else {
                error
            }
        })
    }
}

/// The directory that `path` is in.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Whether nobody else may take an entry away from the directory at `path`, or
/// from one above it; and where it is a `user`'s own, whether that user alone, or
/// root, may write to it.
fn check(path: &Path, user: Option<u32>) -> Result<(), DirectoryError> {
    let unknown = |path: &Path| {
        let path = path.to_owned();
        |source| DirectoryError::Unknown { path, source }
    };
    // Where links on the way lead is the operator's word; the end is looked at.
    let whole = fs::canonicalize(path).map_err(unknown(path))?;
    for directory in whole.ancestors() {
        let last = directory == whole;
        // The operator finds the directory by the name that it was given.
        let named = if last { path } else { directory };
        let found = fs::metadata(directory).map_err(unknown(named))?;
        judge(&found, user.filter(|_| last), named)?;
    }
    Ok(())
}

/// Judges a directory by who may write to it. The rules for a `user`'s own
/// directory are stricter than for those above it.
fn judge(found: &Metadata, user: Option<u32>, path: &Path) -> Result<(), DirectoryError> {
    const GROUP_OR_OTHERS: u32 = 0o022;
    const OTHERS: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let mode = found.mode() & 0o7777;
    let (writable, change) = match user {
        Some(_) => (mode & GROUP_OR_OTHERS != 0, "go-w"),
        None => (mode & OTHERS != 0 && mode & STICKY == 0, "o-w"),
    };
    if writable {
        return Err(DirectoryError::Writable {
            path: path.to_owned(),
            mode,
            change,
        });
    }
    let owner = found.uid();
    match user {
        Some(user) if owner != user && owner != 0 => Err(DirectoryError::Foreign {
            path: path.to_owned(),
            owner,
            user,
        }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// Judged by its mode bits, so this holds for root too.
    #[test]
    fn a_directory_is_its_owner_s_alone() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        fs::create_dir(&own).unwrap();
        for good in [0o700, 0o755, 0o2755, 0o1755] {
            chmod(&own, good);
            DirectoryCheck::On.of(&own).unwrap();
        }
        for bad in [0o720, 0o702, 0o775, 0o777, 0o2775, 0o1777] {
            chmod(&own, bad);
            let error = DirectoryCheck::On.of(&own).unwrap_err().to_string();
            let path = own.display();
            let expected =
                format!("others may write to `{path}` (mode {bad:04o}): `chmod go-w {path}`");
            assert_eq!(error, expected);
            DirectoryCheck::Off.of(&own).unwrap();
        }
        let error = DirectoryCheck::On.of(&dir.path().join("none")).unwrap_err();
        assert!(matches!(error, DirectoryError::Unknown { .. }), "{error}");
    }

    #[test]
    fn nobody_can_put_another_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let above = dir.path().join("above");
        let own = above.join("own");
        fs::create_dir_all(&own).unwrap();
        chmod(&own, 0o700);
        // Sticky: what is there stays its owner's.
        for good in [0o755, 0o775, 0o1777] {
            chmod(&above, good);
            DirectoryCheck::On.of(&own).unwrap();
        }
        chmod(&above, 0o777);
        let error = DirectoryCheck::On.of(&own).unwrap_err().to_string();
        let above = fs::canonicalize(&above).unwrap();
        let path = above.display();
        let expected = format!("others may write to `{path}` (mode 0777): `chmod o-w {path}`");
        assert_eq!(error, expected);
    }

    #[test]
    fn one_is_made_where_nobody_can_put_another_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let above = dir.path().join("above");
        let own = above.join("own");
        fs::create_dir(&above).unwrap();
        for good in [0o755, 0o775, 0o1777] {
            chmod(&above, good);
            DirectoryCheck::On.above(&own).unwrap();
        }
        chmod(&above, 0o777);
        let error = DirectoryCheck::On.above(&own).unwrap_err().to_string();
        let path = above.display();
        let expected = format!("others may write to `{path}` (mode 0777): `chmod o-w {path}`");
        assert_eq!(error, expected);
        DirectoryCheck::Off.above(&own).unwrap();
        assert!(!own.exists());
    }

    #[test]
    fn a_directory_of_another_user_than_this_or_root_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let owner = fs::metadata(dir.path()).unwrap().uid();
        check(dir.path(), Some(owner)).unwrap();
        let other = owner + 1;
        let judged = check(dir.path(), Some(other));
        if owner == 0 {
            judged.unwrap();
        } else {
            let path = dir.path().display();
            let expected = format!(
                "`{path}` is user {owner}'s, and this process is user {other}'s: `chown {other} {path}`"
            );
            assert_eq!(judged.unwrap_err().to_string(), expected);
        }
        // What root has, everybody may keep files in who can.
        check(Path::new("/"), Some(other)).unwrap();
    }

    #[test]
    fn a_link_at_the_end_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        DirectoryCheck::On.open(&options, &own).unwrap();
        DirectoryCheck::On.open(&options, &own).unwrap();
        for led_to in ["elsewhere", "own"] {
            symlink(led_to, &other).unwrap();
            let error = DirectoryCheck::On.open(&options, &other).unwrap_err();
            assert_eq!(error.to_string(), "a link is there, and none is followed");
            assert!(!dir.path().join("elsewhere").exists());
            fs::remove_file(&other).unwrap();
        }
        symlink("elsewhere", &other).unwrap();
        DirectoryCheck::Off.open(&options, &other).unwrap();
        assert!(dir.path().join("elsewhere").exists());
    }
}
