//! An SVID that a node is given by the SPIFFE Workload API: the certificate by
//! which an agent of one SPIRE attests to another, without a file in between.
//!
//! This crate speaks no gRPC; whoever does asks ([`SvidSource`]).

use nameplate_evidence::Patience;
use nameplate_evidence::certificates::{Prover, ProverError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How long an answer is waited for. An agent answers at once, also when it
/// has nothing to give.
pub(super) const SVID_TIMEOUT: Duration = Duration::from_secs(30);

/// The Unix socket that serves the Workload API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SvidEndpoint {
    path: PathBuf,
}

/// Why an address is not one of a Workload API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SvidEndpointError {
    /// Another scheme than `unix`, or a relative path.
    #[error("workload endpoint socket must be a `unix` URI or an absolute path")]
    Scheme,
    /// `tcp://`, which SPIRE takes.
    #[error(
        "workload endpoint socket must not be a `tcp` URI: the private key would travel unprotected"
    )]
    Tcp,
    /// `unix:name`.
    #[error("workload endpoint unix socket URI must not be opaque")]
    Opaque,
    /// `unix://host/path`.
    #[error("workload endpoint unix socket URI must not include a host")]
    Host,
    /// `unix://`.
    #[error("workload endpoint unix socket URI must include a path")]
    NoPath,
    /// `?` or `#`.
    #[error("workload endpoint unix socket URI must not include query values or a fragment")]
    Query,
    /// Longer than a path to a socket may be.
    #[error(
        "workload endpoint unix socket path has {bytes} bytes, and {MAX_SOCKET_BYTES} are the most \
         that a socket's can have"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Most bytes of the path of a Unix socket: `sun_path` less its end (unix(7)).
pub const MAX_SOCKET_BYTES: usize = 107;

/// Whoever asks a Workload API for the SVID of this process.
pub trait SvidSource: fmt::Debug + Send + Sync {
    /// The first SVID that `endpoint` gives now. Blocks until there is one, or
    /// until `patience` ends.
    ///
    /// # Errors
    /// [`SvidError`].
    fn svid(&self, endpoint: &SvidEndpoint, patience: &Patience) -> Result<Prover, SvidError>;
}

/// Why there is no SVID, in SPIRE's words.
#[derive(Debug, thiserror::Error)]
pub enum SvidError {
    /// The Workload API gave none.
    #[error("unable to fetch SVID from workload API: {what}")]
    NotGiven {
        /// What it said, or what happened to the question.
        what: String,
    },
    /// What it gave is not a certificate with its key.
    #[error("unable to fetch SVID from workload API")]
    Unusable(#[from] ProverError),
}

impl SvidEndpoint {
    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl FromStr for SvidEndpoint {
    type Err = SvidEndpointError;

    /// `unix:///path` and `unix:/path`, as SPIRE takes them (SPIFFE Workload
    /// Endpoint §4), or the path alone.
    fn from_str(address: &str) -> Result<Self, SvidEndpointError> {
        let path = path_of(address)?;
        if path.len() > MAX_SOCKET_BYTES {
            return Err(SvidEndpointError::TooLong { bytes: path.len() });
        }
        Ok(Self { path: path.into() })
    }
}

fn path_of(address: &str) -> Result<&str, SvidEndpointError> {
    if address.starts_with("tcp:") {
        return Err(SvidEndpointError::Tcp);
    }
    let Some(rest) = address.strip_prefix("unix:") else {
        return if address.starts_with('/') {
            Ok(address)
        } else {
            Err(SvidEndpointError::Scheme)
        };
    };
    if rest.contains(['?', '#']) {
        return Err(SvidEndpointError::Query);
    }
    match rest.strip_prefix("//") {
        None if rest.starts_with('/') => Ok(rest),
        None if rest.is_empty() => Err(SvidEndpointError::NoPath),
        None => Err(SvidEndpointError::Opaque),
        Some("") => Err(SvidEndpointError::NoPath),
        Some(path) if path.starts_with('/') => Ok(path),
        Some(_) => Err(SvidEndpointError::Host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_named_as_spire_names_it() {
        for address in ["unix:///run/a.sock", "unix:/run/a.sock", "/run/a.sock"] {
            let endpoint: SvidEndpoint = address.parse().unwrap();
            assert_eq!(endpoint.path(), Path::new("/run/a.sock"), "{address}");
        }
        let longest = format!("/{}", "s".repeat(MAX_SOCKET_BYTES - 1));
        let endpoint: SvidEndpoint = format!("unix://{longest}").parse().unwrap();
        assert_eq!(endpoint.path(), Path::new(&longest));
        let error = format!("unix:{longest}s")
            .parse::<SvidEndpoint>()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "workload endpoint unix socket path has 108 bytes, and 107 are the most that a \
             socket's can have"
        );
        for (address, why) in [
            ("", SvidEndpointError::Scheme),
            ("run/a.sock", SvidEndpointError::Scheme),
            ("http://localhost", SvidEndpointError::Scheme),
            ("tcp://127.0.0.1:8000", SvidEndpointError::Tcp),
            ("unix:run/a.sock", SvidEndpointError::Opaque),
            ("unix:", SvidEndpointError::NoPath),
            ("unix://", SvidEndpointError::NoPath),
            ("unix://run/a.sock", SvidEndpointError::Host),
            ("unix:///run/a.sock?x", SvidEndpointError::Query),
            ("unix:///run/a.sock#x", SvidEndpointError::Query),
        ] {
            assert_eq!(address.parse::<SvidEndpoint>(), Err(why), "{address}");
        }
    }
}
