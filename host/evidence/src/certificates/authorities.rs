//! The authorities that an operator trusts to have signed certificates.

use crate::pem::{self, PemError};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use x509_cert::der::Decode as _;

/// Authorities, at least one.
#[derive(Clone)]
pub struct TrustedAuthorities {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// One for each of them, in the same order.
    pub(super) anchors: Vec<TrustAnchor<'static>>,
}

impl std::fmt::Debug for TrustedAuthorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedAuthorities")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedAuthoritiesError {
    /// The file is not PEM.
    #[error("the bundle is not PEM")]
    Pem {
        /// What is wrong with it.
        #[from]
        source: PemError,
    },
    /// The file holds a private key.
    #[error("the bundle holds a private key; leave only certificates in it")]
    PrivateKey,
    /// There is no certificate. An empty bundle trusts nobody, and is never
    /// taken for the system's.
    #[error("no certificates found in the bundle")]
    Empty,
    /// A certificate cannot be read.
    #[error("certificate {number} of the bundle cannot be read")]
    Certificate {
        /// Which, counted from 1.
        number: usize,
    },
}

impl TrustedAuthorities {
    /// The certificates of a PEM file; blocks of other kinds are skipped.
    ///
    /// # Errors
    /// When the file is not PEM, holds a private key, or has no certificate, or
    /// one that cannot be read.
    pub fn from_pem(file: &[u8]) -> Result<Self, TrustedAuthoritiesError> {
        let blocks = pem::blocks(file)?;
        if blocks.iter().any(pem::Block::is_private_key) {
            return Err(TrustedAuthoritiesError::PrivateKey);
        }
        let certificates = blocks
            .iter()
            .filter(|block| block.label == "CERTIFICATE")
            .map(|block| block.der().map(CertificateDer::from))
            .collect::<Result<Vec<_>, _>>()?;
        Self::from_der(certificates)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.certificates.len()
    }

    /// These authorities and `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.certificates.extend(others.certificates);
        self.anchors.extend(others.anchors);
        self
    }

    /// These certificates.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn from_der(
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TrustedAuthoritiesError> {
        if certificates.is_empty() {
            return Err(TrustedAuthoritiesError::Empty);
        }
        let anchor = |(index, der): (usize, &CertificateDer<'static>)| {
            // Both readers have to: one builds paths, the other reads what the
            // first does not look at.
            let fail = TrustedAuthoritiesError::Certificate { number: index + 1 };
            match (
                webpki::anchor_from_trusted_cert(der),
                x509_cert::Certificate::from_der(der),
            ) {
                (Ok(anchor), Ok(_)) => Ok(anchor.to_owned()),
                (Err(_), _) | (_, Err(_)) => Err(fail),
            }
        };
        let anchors = certificates
            .iter()
            .enumerate()
            .map(anchor)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            certificates,
            anchors,
        })
    }
}
