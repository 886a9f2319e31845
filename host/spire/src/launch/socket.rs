//! The socket that the plugin listens on.
//!
//! A plugin that is killed leaves its file behind, and SPIRE never starts a
//! plugin twice: the next start removes what nobody listens on. A socket has its
//! name only once somebody does, so one under way is never taken for one that
//! was left.

use nameplate_attestor::MAX_SOCKET_BYTES;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

const PREFIX: &str = "nameplate-";
const SUFFIX: &str = ".sock";

/// Random characters of a name: two plugins never meet in one.
const RANDOM: usize = 12;

/// A Unix socket of the plugin's own, under a name nobody can guess, that its
/// user alone may open; its file goes away with it.
pub(super) struct Socket {
    /// Listens already.
    pub(super) listener: UnixListener,
    /// Its file.
    pub(super) path: TempPath,
}

impl Socket {
    /// Listens in `PLUGIN_UNIX_SOCKET_DIR`, as go-plugin has it, or where
    /// temporary files go.
    pub(super) fn bind() -> io::Result<Self> {
        let directory = std::env::var_os("PLUGIN_UNIX_SOCKET_DIR")
            .filter(|directory| !directory.is_empty())
            .map_or_else(std::env::temp_dir, PathBuf::from);
        Self::bind_in(&std::path::absolute(directory)?)
    }

    fn bind_in(directory: &Path) -> io::Result<Self> {
        remove_left(directory);
        let (listener, path) = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .rand_bytes(RANDOM)
            .make_in(directory, |path| {
                // The handshake line is split at this character.
                if path.to_string_lossy().contains('|') {
                    return Err(io::Error::other(
                        "a path with `|` cannot be handed to SPIRE",
                    ));
                }
                let bytes = path.as_os_str().len();
                if bytes > MAX_SOCKET_BYTES {
                    return Err(io::Error::other(format!(
                        "the socket `{}` has a path of {bytes} bytes, and {MAX_SOCKET_BYTES} are \
                         the most; let `PLUGIN_UNIX_SOCKET_DIR` or `TMPDIR` name a folder with a \
                         shorter one",
                        path.display()
                    )));
                }
                let unnamed = path.with_extension("new");
                let listener = UnixListener::bind(&unnamed)?;
                std::fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
                std::fs::rename(&unnamed, path)?;
                Ok(listener)
            })?
            .into_parts();
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }
}

/// Removes this user's sockets of plugins that are no more. What goes wrong is
/// no reason not to start: they only take up names.
fn remove_left(directory: &Path) {
    let user = rustix::process::geteuid().as_raw();
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.starts_with(PREFIX)
            && name.ends_with(SUFFIX)
            && entry.metadata().is_ok_and(|metadata| {
                // Somebody else's could keep us waiting.
                metadata.file_type().is_socket() && metadata.uid() == user
            });
        if ours
            && UnixStream::connect(entry.path())
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        {
            let _left = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_plugin_left_goes_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        drop(UnixListener::bind(at("nameplate-left.sock")).unwrap());
        drop(UnixListener::bind(at("other-left.sock")).unwrap());
        let _live = UnixListener::bind(at("nameplate-live.sock")).unwrap();
        std::fs::write(at("nameplate-file.sock"), "").unwrap();

        let socket = Socket::bind_in(directory.path()).unwrap();
        assert!(!at("nameplate-left.sock").exists());
        for kept in [
            "other-left.sock",
            "nameplate-live.sock",
            "nameplate-file.sock",
        ] {
            assert!(at(kept).exists(), "{kept}");
        }
        // And one that listens is not taken for one that was left.
        let other = Socket::bind_in(directory.path()).unwrap();
        assert!(socket.path.exists() && other.path.exists());
        let mode = std::fs::metadata(&socket.path).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        drop((socket, other));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_path_that_is_too_long_is_refused_with_what_is_too_long() {
        let directory = tempfile::tempdir().unwrap();
        let own = PREFIX.len() + RANDOM + SUFFIX.len();
        let room = MAX_SOCKET_BYTES - own - directory.path().as_os_str().len() - 2;
        let at = |length| {
            let folder = directory.path().join("d".repeat(length));
            std::fs::create_dir(&folder).unwrap();
            Socket::bind_in(&folder)
        };
        let socket = at(room).unwrap();
        assert_eq!(socket.path.as_os_str().len(), MAX_SOCKET_BYTES);
        let error = at(room + 1).err().unwrap().to_string();
        let named = format!(
            "the socket `{}/{}/nameplate-",
            directory.path().display(),
            "d".repeat(room + 1)
        );
        assert!(error.starts_with(&named), "{error}");
        assert!(
            error.ends_with(
                ".sock` has a path of 108 bytes, and 107 are the most; let \
                 `PLUGIN_UNIX_SOCKET_DIR` or `TMPDIR` name a folder with a shorter one"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_path_that_the_handshake_cannot_carry_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("a|b");
        std::fs::create_dir(&odd).unwrap();
        let error = Socket::bind_in(&odd).err().unwrap();
        assert_eq!(
            error.to_string(),
            "a path with `|` cannot be handed to SPIRE"
        );
        assert!(Socket::bind_in(directory.path()).is_ok());
    }
}
