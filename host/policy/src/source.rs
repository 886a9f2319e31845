//! Where a policy's component comes from.

use crate::builtin::{BUILTINS, Builtin};
use crate::digest::Digest;
use crate::error::LoadError;
use crate::limits::Limits;
use nameplate_files::Directory;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a policy's component comes from. Every way in ends in the same checks.
#[derive(Clone)]
pub enum PolicySource {
    /// `builtin:NAME`: one that ships with the host.
    Builtin(String),
    /// A file. No link out of its directory is followed.
    File(PathBuf),
    /// A file of a directory that is already open, by its relative path.
    Entry(Arc<Directory>, PathBuf),
    /// A component in memory.
    Bytes(Cow<'static, [u8]>),
}

impl PolicySource {
    /// Reads `builtin:NAME`, or else a path.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("builtin:") {
            Some(name) => Self::Builtin(name.to_owned()),
            None => Self::File(text.into()),
        }
    }

    /// The component, its size and digest checked, in this order.
    ///
    /// # Errors
    /// [`LoadError::UnknownBuiltin`], [`LoadError::Unreadable`],
    /// [`LoadError::TooLarge`] or [`LoadError::DigestMismatch`].
    pub fn read(
        &self,
        pinned: Option<Digest>,
        limits: &Limits,
    ) -> Result<(Cow<'static, [u8]>, Digest), LoadError> {
        let bytes = match self {
            Self::Builtin(name) => Cow::Borrowed(
                Builtin::find(name)
                    .ok_or_else(|| LoadError::UnknownBuiltin {
                        name: name.clone(),
                        known: BUILTINS.map(|builtin| builtin.name).join(", "),
                    })?
                    .component,
            ),
            Self::File(path) => Cow::Owned(nameplate_files::read(path, limits.component_bytes)?),
            Self::Entry(directory, name) => {
                Cow::Owned(directory.read(name, limits.component_bytes)?)
            }
            Self::Bytes(bytes) => {
                // Before they are copied.
                fits(bytes.len(), limits)?;
                bytes.clone()
            }
        };
        fits(bytes.len(), limits)?;
        let found = Digest::of(&bytes);
        match pinned {
            Some(pinned) if pinned != found => Err(LoadError::DigestMismatch { pinned, found }),
            _ => Ok((bytes, found)),
        }
    }
}

impl fmt::Display for PolicySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::File(path) | Self::Entry(_, path) => path.display().fmt(f),
            Self::Bytes(bytes) => write!(f, "{} bytes in memory", bytes.len()),
        }
    }
}

impl fmt::Debug for PolicySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicySource({self})")
    }
}

fn fits(bytes: usize, limits: &Limits) -> Result<(), LoadError> {
    let limit = limits.component_bytes;
    if bytes > limit {
        return Err(LoadError::TooLarge { bytes, limit });
    }
    Ok(())
}
