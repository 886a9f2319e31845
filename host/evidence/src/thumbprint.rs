//! The thumbprint of a cluster's certificate authority.
//!
//! Trusts the operator's file to be the right one. It names keys by their
//! bytes, so that a policy can tell two clusters of one label apart.

use x509_cert::der::Decode as _;

use crate::digest::sha256_hex;
use crate::pem::{self, PemError};

/// Why a CA file has no thumbprint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThumbprintError {
    /// The file is not PEM.
    #[error("CA file is not PEM")]
    Pem {
        /// What is wrong with it.
        #[from]
        source: PemError,
    },
    /// The file holds a private key, which does not belong where public
    /// things are read from.
    #[error("CA file holds a private key; leave only the certificate in it")]
    PrivateKey,
    /// The file holds no certificate.
    #[error("CA file holds no certificate")]
    NoCertificate,
    /// The file holds several certificates, and a thumbprint names one.
    #[error("CA file holds {count} certificates, and a thumbprint names exactly 1")]
    SeveralCertificates {
        /// How many.
        count: usize,
    },
    /// The block is not a certificate.
    #[error("the certificate in the CA file cannot be read")]
    Certificate {
        /// What is wrong with its DER.
        source: x509_cert::der::Error,
    },
}

/// SHA-256 of the DER of the one certificate in a PEM file, in lower-case
/// hexadecimal. Blocks of other kinds are skipped.
///
/// # Errors
/// When the file is not PEM, holds a private key, or does not hold exactly one
/// X.509 certificate.
pub fn thumbprint_of_pem(file: &[u8]) -> Result<String, ThumbprintError> {
    let blocks = pem::blocks(file)?;
    if blocks.iter().any(pem::Block::is_private_key) {
        return Err(ThumbprintError::PrivateKey);
    }
    let mut certificates = blocks.iter().filter(|block| block.label == "CERTIFICATE");
    let certificate = certificates.next().ok_or(ThumbprintError::NoCertificate)?;
    let count = 1 + certificates.count();
    if count > 1 {
        return Err(ThumbprintError::SeveralCertificates { count });
    }
    let der = certificate.der()?;
    x509_cert::Certificate::from_der(&der)
        .map_err(|source| ThumbprintError::Certificate { source })?;
    Ok(sha256_hex(&der))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::thumbprint_of_pem;
    use crate::digest::sha256_hex;

    fn error(file: &str) -> String {
        thumbprint_of_pem(file.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_ca_file_holds_exactly_one_certificate() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let pem = certificate.pem();

        let file = format!("Cluster CA\n{pem}{}", key.public_key_pem());
        assert_eq!(
            thumbprint_of_pem(file.as_bytes()).unwrap(),
            sha256_hex(certificate.der())
        );

        assert_eq!(error(""), "CA file holds no certificate");
        assert_eq!(error(&key.public_key_pem()), "CA file holds no certificate");
        assert_eq!(
            error(&format!("{pem}{pem}{pem}")),
            "CA file holds 3 certificates, and a thumbprint names exactly 1"
        );
        assert_eq!(
            error(&format!("{pem}{}", key.serialize_pem())),
            "CA file holds a private key; leave only the certificate in it"
        );
        assert_eq!(error(&pem.replace("END", "")), "CA file is not PEM");
        assert_eq!(
            error(&key.public_key_pem().replace("PUBLIC KEY", "CERTIFICATE")),
            "the certificate in the CA file cannot be read"
        );
    }
}
