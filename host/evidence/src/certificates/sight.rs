//! Chains as they read, with nothing verified: for people to look at. No
//! decision is made by what is here.

use super::payload::{self, Chain};
use super::{CertificateError, Position, leaf};
use crate::digest::{sha1_hex, sha256_hex};
use crate::pem::{self, PemError};
use crate::subject::{AlternativeName, DistinguishedName};
use serde::Serialize;

/// Most certificates of a chain that are looked at.
const MAX_SEEN: usize = 32;

/// What a certificate says of itself. Nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateSight {
    /// Its subject.
    pub subject: DistinguishedName,
    /// The subject of whoever signed it.
    pub issuer: DistinguishedName,
    /// Serial number, hexadecimal with an even number of digits.
    pub serial: String,
    /// SHA-1 of its DER.
    pub sha1: String,
    /// SHA-256 of its DER.
    pub sha256: String,
    /// Its names.
    pub alternative_names: Vec<AlternativeName>,
    /// Start of the validity period, in seconds since 1970.
    pub not_before: u64,
    /// End of the validity period.
    pub not_after: u64,
    /// What its key is called, such as `P-256`, and an RSA key's bits.
    pub key: String,
}

/// The certificates of a payload, the leaf first.
///
/// # Errors
/// When it is no payload, or a certificate of it cannot be read.
pub fn sight(payload: &[u8]) -> Result<Vec<CertificateSight>, CertificateError> {
    let chain = Chain::parse(payload, MAX_SEEN)?;
    let positions = [Position::Leaf]
        .into_iter()
        .chain((0..).map(Position::Intermediate));
    let all = [&chain.leaf].into_iter().chain(&chain.intermediates);
    all.zip(positions)
        .map(|(der, position)| {
            let certificate = leaf::read(der, position)?;
            let tbs = certificate.tbs_certificate();
            let (not_before, not_after) = leaf::times(tbs.validity());
            Ok(CertificateSight {
                subject: leaf::subject(&certificate),
                issuer: leaf::issuer(&certificate),
                serial: leaf::serial(&certificate),
                sha1: sha1_hex(der),
                sha256: sha256_hex(der),
                alternative_names: leaf::alternative_names(&certificate)?,
                not_before,
                not_after,
                key: leaf::key_name(&certificate),
            })
        })
        .collect()
}

/// The payload that an agent sends for the certificates of a PEM file, and for
/// the CertificateSigningRequest `request` that the leaf came from, if any.
///
/// # Errors
/// When the file is not PEM.
pub fn payload_of_pem(file: &[u8], request: Option<&str>) -> Result<Vec<u8>, PemError> {
    let certificates = pem::blocks(file)?
        .iter()
        .filter(|block| block.label == "CERTIFICATE")
        .map(pem::Block::der)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(payload::encode(certificates, request))
}
