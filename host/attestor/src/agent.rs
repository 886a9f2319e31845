//! The agent's side: what a node sends to prove what it is, and what it answers
//! to a challenge.

mod certificate;
mod token;

pub use certificate::{CertificateFiles, CertificateFilesError};
pub use token::{MAX_TOKEN_FILE_BYTES, TokenFileError, TokenSource};

use nameplate_evidence::certificates::Prover;

/// How a node proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentConfig {
    /// By a service account token.
    Token(TokenSource),
    /// By a certificate and its private key, in files.
    Certificate(CertificateFiles),
}

/// Why a node has nothing to prove itself with.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum CredentialError {
    /// No token.
    Token(#[from] TokenFileError),
    /// No certificate, or no key to it.
    Certificate(#[from] CertificateFilesError),
}

/// What a node sends, and what it will answer with.
#[derive(Debug)]
pub struct Credential {
    /// What is sent first. Holds the token, where there is one.
    pub payload: Vec<u8>,
    /// What answers challenges, where there will be one.
    pub prover: Option<Prover>,
}

impl AgentConfig {
    /// What proves this node, as it is now.
    ///
    /// # Errors
    /// When there is nothing to prove it with.
    pub fn credential(&self) -> Result<Credential, CredentialError> {
        match self {
            Self::Token(token) => Ok(Credential {
                payload: token.payload()?,
                prover: None,
            }),
            Self::Certificate(files) => {
                let prover = files.load()?;
                Ok(Credential {
                    payload: prover.payload(),
                    prover: Some(prover),
                })
            }
        }
    }
}
