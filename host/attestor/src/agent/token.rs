//! A service account token, as a node sends it.
//!
//! The token is the node's secret. It is read at every attestation, since the
//! kubelet replaces it while it runs, and goes into the payload and nowhere
//! else.

use crate::token_method::TokenMethod;
use nameplate_files::FileError;
use serde::Serialize;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The longest token file that is read, in bytes.
pub const MAX_TOKEN_FILE_BYTES: usize = 16 * 1024;

/// Where a node has its token, and what it says with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// The cluster that it says it is in; the server's configuration names it
    /// the same way.
    pub cluster: String,
    /// Where its service account token is.
    pub token_path: PathBuf,
    /// Whether a fresh UUID goes along, which `k8s_sat` had in its first form.
    /// A server takes it for a claim and no more.
    pub send_uuid: bool,
}

/// Why there is no token to send.
///
/// Holds the path, and nothing of what is in the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// The file cannot be read.
    #[error("unable to load token from `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: FileError,
    },
    /// There is nothing in it.
    #[error("unable to load token from `{}`: the file is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// What is in it is not one word of printable ASCII (RFC 7515 §3.1).
    #[error("unable to load token from `{}`: the file holds no token", path.display())]
    NotAToken {
        /// The file.
        path: PathBuf,
    },
}

/// `{"cluster", "uuid", "token"}`, as SPIRE's own agents write it. Without
/// `Debug`, as it holds the token.
#[derive(Serialize)]
struct Payload<'a> {
    cluster: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
    token: &'a str,
}

impl TokenSource {
    /// Where the token of `method` is, unless the configuration says otherwise.
    #[must_use]
    pub fn default_token_path(method: TokenMethod) -> &'static Path {
        Path::new(match method {
            TokenMethod::K8sSat => "/var/run/secrets/kubernetes.io/serviceaccount/token",
            TokenMethod::K8sPsat => "/var/run/secrets/tokens/spire-agent",
        })
    }

    /// The payload of one attestation, with the token as it is now.
    ///
    /// # Errors
    /// When there is no token to send.
    pub fn payload(&self) -> Result<Vec<u8>, TokenFileError> {
        let path = || self.token_path.clone();
        let bytes =
            nameplate_files::read(&self.token_path, MAX_TOKEN_FILE_BYTES).map_err(|source| {
                TokenFileError::Unreadable {
                    path: path(),
                    source,
                }
            })?;
        // Editors and shells end a file with a newline; a token has none.
        let token = bytes.trim_ascii();
        if token.is_empty() {
            return Err(TokenFileError::Empty { path: path() });
        }
        let token = std::str::from_utf8(token)
            .ok()
            .filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| TokenFileError::NotAToken { path: path() })?;
        let payload = Payload {
            cluster: &self.cluster,
            uuid: self.send_uuid.then(|| Uuid::new_v4().to_string()),
            token,
        };
        // Strings alone always have a JSON form.
        serde_json::to_vec(&payload).map_err(|_never| TokenFileError::NotAToken { path: path() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain;
    use nameplate_evidence::{Method, RawEvidence};
    use serde_json::Value;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn at(path: PathBuf) -> TokenSource {
        TokenSource {
            cluster: "production".to_owned(),
            token_path: path,
            send_uuid: false,
        }
    }

    #[test]
    fn the_token_is_read_at_every_attestation_and_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        // As the kubelet lays a projected volume out.
        fs::create_dir(dir.path().join("..1")).unwrap();
        fs::create_dir(dir.path().join("..2")).unwrap();
        fs::write(dir.path().join("..1/token"), "first\n").unwrap();
        fs::write(dir.path().join("..2/token"), "second").unwrap();
        symlink("..1", dir.path().join("..data")).unwrap();
        symlink("..data/token", dir.path().join("token")).unwrap();
        let agent = at(dir.path().join("token"));
        assert_eq!(
            agent.payload().unwrap(),
            br#"{"cluster":"production","token":"first"}"#
        );
        symlink("..2", dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), dir.path().join("..data")).unwrap();
        assert_eq!(
            agent.payload().unwrap(),
            br#"{"cluster":"production","token":"second"}"#
        );
    }

    #[test]
    fn a_fresh_uuid_goes_along_when_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "t").unwrap();
        let agent = TokenSource {
            send_uuid: true,
            ..at(path)
        };
        let uuid = || {
            let payload = agent.payload().unwrap();
            assert!(RawEvidence::new(Method::K8sSat, payload.clone()).is_ok());
            let payload: Value = serde_json::from_slice(&payload).unwrap();
            let uuid: Uuid = payload["uuid"].as_str().unwrap().parse().unwrap();
            uuid
        };
        assert_ne!(uuid(), uuid());
    }

    #[test]
    fn an_error_names_the_path_and_not_the_contents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let agent = at(path.clone());
        let error = || {
            let text = chain(&agent.payload().unwrap_err());
            text.replace(path.to_str().unwrap(), "FILE")
        };
        let missing = error();
        assert!(
            missing.starts_with("unable to load token from `FILE`: "),
            "{missing}"
        );
        assert!(missing.contains("No such file or directory"), "{missing}");
        fs::write(&path, " \n").unwrap();
        assert_eq!(
            error(),
            "unable to load token from `FILE`: the file is empty"
        );
        for wrong in [&b"one two"[..], b"\xff", b"a\0b"] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(
                error(),
                "unable to load token from `FILE`: the file holds no token"
            );
        }
        fs::write(&path, "x".repeat(MAX_TOKEN_FILE_BYTES + 1)).unwrap();
        assert!(error().ends_with("larger than 16,384 bytes"), "{}", error());
        fs::write(&path, "x".repeat(MAX_TOKEN_FILE_BYTES)).unwrap();
        assert!(agent.payload().is_ok());
    }
}
