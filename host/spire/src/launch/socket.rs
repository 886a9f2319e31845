//! The socket that the plugin listens on.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use tempfile::TempPath;

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
        let directory = std::path::absolute(directory)?;
        let (listener, path) = tempfile::Builder::new()
            .prefix("nameplate-")
            .suffix(".sock")
            .make_in(directory, |path| {
                // The handshake line is split at this character.
                if path.to_string_lossy().contains('|') {
                    return Err(io::Error::other(
                        "a path with `|` cannot be handed to SPIRE",
                    ));
                }
                UnixListener::bind(path)
            })?
            .into_parts();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }
}
