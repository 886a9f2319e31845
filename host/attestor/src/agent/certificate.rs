//! A certificate and its private key, as a node has them in files.
//!
//! Read at every attestation, since they are renewed while the agent runs. The
//! key stays in this process: what leaves it are signatures.

use nameplate_evidence::MAX_KEY_FILE_BYTES;
use nameplate_evidence::certificates::{Prover, ProverError};
use nameplate_files::FileError;
use std::path::{Path, PathBuf};

/// Where a node has its certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The private key, in PEM: PKCS#8, PKCS#1 or SEC 1.
    pub private_key: PathBuf,
    /// The certificate, in PEM, followed by intermediates or not.
    pub certificate: PathBuf,
    /// More intermediates.
    pub intermediates: Option<PathBuf>,
}

/// Why the files prove nothing. In SPIRE's words; names paths, and nothing of
/// what is in a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFilesError {
    /// Certificate or key cannot be read.
    #[error("unable to load keypair: `{}`", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: FileError,
    },
    /// They are not a certificate and its key.
    #[error("unable to load keypair")]
    KeyPair(#[source] ProverError),
    /// The file of intermediates cannot be read.
    #[error("unable to load intermediate certificates: `{}`", path.display())]
    IntermediatesUnreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: FileError,
    },
    /// It holds no certificates.
    #[error("unable to load intermediate certificates")]
    Intermediates(#[source] ProverError),
}

impl CertificateFiles {
    /// Reads the files as they are now.
    ///
    /// # Errors
    /// When they do not hold a certificate and its key.
    pub fn load(&self) -> Result<Prover, CertificateFilesError> {
        let pair = |path: &Path| {
            nameplate_files::read(path, MAX_KEY_FILE_BYTES).map_err(|source| {
                CertificateFilesError::Unreadable {
                    path: path.to_owned(),
                    source,
                }
            })
        };
        let certificate = pair(&self.certificate)?;
        let key = pair(&self.private_key)?;
        let prover =
            Prover::from_pem(&certificate, &key).map_err(CertificateFilesError::KeyPair)?;
        let Some(path) = &self.intermediates else {
            return Ok(prover);
        };
        let file = nameplate_files::read(path, MAX_KEY_FILE_BYTES).map_err(|source| {
            CertificateFilesError::IntermediatesUnreadable {
                path: path.clone(),
                source,
            }
        })?;
        prover
            .with_intermediates(&file)
            .map_err(CertificateFilesError::Intermediates)
    }
}
