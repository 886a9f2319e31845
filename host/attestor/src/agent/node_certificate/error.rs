//! Why there is no certificate for this node.

use super::KeyDirectoryError;
use nameplate_evidence::ApiError;
use nameplate_evidence::certificates::ProverError;
use nameplate_kubernetes::NotIssued;
use std::time::Duration;

/// Why there is no certificate for this node. Holds nothing of a key or a
/// credential.
#[derive(Debug, thiserror::Error)]
pub enum NodeCertificateError {
    /// There is nothing to ask an API server with.
    #[error("no certificate can be asked for")]
    Access(#[source] ApiError),
    /// No key, or no request for it.
    #[error("no key can be made")]
    Key(#[from] rcgen::Error),
    /// The API server took no request.
    #[error("CertificateSigningRequest cannot be made")]
    Unmade(#[source] ApiError),
    /// There was a request, and no certificate.
    #[error("CertificateSigningRequest `{request}` brought no certificate in {} s", waited.as_secs())]
    NotIssued {
        /// The name of the request.
        request: String,
        /// How long it was waited for.
        waited: Duration,
        /// Why.
        source: NotIssued,
    },
    /// What was issued is not a certificate for the key.
    #[error("the certificate that was issued cannot be used")]
    Certificate(#[from] ProverError),
    /// The place for keys cannot be used.
    #[error(transparent)]
    Directory(#[from] KeyDirectoryError),
}

impl NodeCertificateError {
    /// Whether the same may succeed later, with nothing decided against it.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unmade(error) => error.is_transient(),
            Self::NotIssued { source, .. } => match source {
                NotIssued::NotApproved | NotIssued::NotSigned => true,
                NotIssued::Api(error) => error.is_transient(),
                NotIssued::Denied(_) | NotIssued::Failed(_) | NotIssued::Gone => false,
            },
            Self::Access(_) | Self::Key(_) | Self::Certificate(_) | Self::Directory(_) => false,
        }
    }
}
