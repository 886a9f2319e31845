//! The agent's side: what a node sends to prove what it is, and what it answers
//! to a challenge.

mod certificate;
mod node_certificate;
mod svid;
mod token;

pub use certificate::{CertificateFiles, CertificateFilesError};
pub use node_certificate::{
    KeyDirectory, KeyDirectoryError, NodeCertificate, NodeCertificateError, NodeLog, NodeProgress,
    OpenRequest,
};
pub use svid::{MAX_SOCKET_BYTES, SvidEndpoint, SvidEndpointError, SvidError, SvidSource};
pub use token::{MAX_TOKEN_FILE_BYTES, TokenFileError, TokenSource};

use nameplate_evidence::Patience;
use nameplate_evidence::certificates::Prover;
use std::time::{Duration, SystemTime};

/// How a node proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentConfig {
    /// By a service account token.
    Token(TokenSource),
    /// By a certificate and its private key, in files.
    Certificate(CertificateFiles),
    /// By an SVID that the Workload API gives.
    Svid(SvidEndpoint),
    /// By a certificate that its cluster makes for it.
    Requested(NodeCertificate),
}

/// Why a node has nothing to prove itself with.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum CredentialError {
    /// No token.
    Token(#[from] TokenFileError),
    /// No certificate, or no key to it.
    Certificate(#[from] CertificateFilesError),
    /// No SVID.
    Svid(#[from] SvidError),
    /// No certificate from the cluster.
    Requested(#[from] NodeCertificateError),
}

/// What surrounds one attestation of a node.
#[derive(Clone, Copy, Debug)]
pub struct NodeSurroundings<'a> {
    /// How long others may be waited for; [`AgentConfig::timeout`] says how
    /// long that can be.
    pub patience: &'a Patience,
    /// When it is.
    pub now: SystemTime,
    /// Who asks the Workload API.
    pub svids: &'a dyn SvidSource,
    /// Who follows what is done.
    pub log: &'a dyn NodeLog,
}

/// What a node sends, and what it will answer with.
#[derive(Debug)]
pub struct Credential {
    /// What is sent first. Holds the token, where there is one.
    pub payload: Vec<u8>,
    /// What answers challenges, where there will be one.
    pub prover: Option<Prover>,
    /// What is to be removed once the attestation is over, whatever came of it.
    pub request: Option<OpenRequest>,
}

impl AgentConfig {
    /// What proves this node, as it is now.
    ///
    /// # Errors
    /// When there is nothing to prove it with.
    pub fn credential(
        &self,
        surroundings: &NodeSurroundings<'_>,
    ) -> Result<Credential, CredentialError> {
        match self {
            Self::Token(token) => Ok(Credential {
                payload: token.payload()?,
                prover: None,
                request: None,
            }),
            Self::Certificate(files) => Ok(files.load()?.into()),
            Self::Svid(endpoint) => {
                let svids = surroundings.svids;
                let patience = surroundings.patience;
                Ok(svids.svid(endpoint, patience)?.into())
            }
            Self::Requested(certificate) => Ok(certificate.credential(surroundings)?),
        }
    }

    /// The longest that others are waited for.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match self {
            // Files are there or not.
            Self::Token(_) | Self::Certificate(_) => Duration::ZERO,
            Self::Svid(_) => svid::SVID_TIMEOUT,
            Self::Requested(certificate) => certificate.timeout(),
        }
    }
}

impl From<Prover> for Credential {
    fn from(prover: Prover) -> Self {
        Self {
            payload: prover.payload(),
            prover: Some(prover),
            request: None,
        }
    }
}
