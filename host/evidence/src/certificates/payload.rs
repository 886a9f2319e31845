//! The chain that a peer sends: `{"certificates": ["<base64 of DER>", ...]}`,
//! the leaf first.
//!
//! Trusts nothing. The length of the payload is bounded before
//! ([`RawEvidence`](crate::RawEvidence)), the number of certificates here, and
//! nothing is parsed as a certificate yet.

use super::CertificateError;
use crate::json::{Json, Object};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use serde::Serialize;

/// Certificates as bytes.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) leaf: CertificateDer<'static>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
}

#[derive(Serialize)]
struct Payload {
    certificates: Vec<String>,
}

/// A payload of `certificates`, as agents send it.
pub(super) fn encode(certificates: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<u8> {
    let certificates = certificates.into_iter().map(|der| STANDARD.encode(der));
    let payload = Payload {
        certificates: certificates.collect(),
    };
    // Strings always have a JSON form.
    serde_json::to_vec(&payload).unwrap_or_default()
}

impl Chain {
    pub(super) fn parse(
        payload: &[u8],
        max_intermediates: usize,
    ) -> Result<Self, CertificateError> {
        let mut object =
            Object::parse(payload).map_err(|source| CertificateError::ChainMalformed { source })?;
        let list = match object.take("certificates") {
            Some(Json::Array(list)) => list,
            // What Go writes for a list that is not there.
            None | Some(Json::Null) => return Err(CertificateError::Missing),
            Some(_) => return Err(CertificateError::ChainEncoding),
        };
        let count = list.len().saturating_sub(1);
        if count > max_intermediates {
            return Err(CertificateError::TooManyIntermediates {
                count,
                most: max_intermediates,
            });
        }
        let mut certificates = list.iter().map(|entry| match entry {
            Json::String(text) => STANDARD
                .decode(text.as_bytes())
                .map(CertificateDer::from)
                .map_err(|_unquoted| CertificateError::ChainEncoding),
            Json::Null
            | Json::Bool(_)
            | Json::Integer(_)
            | Json::OtherNumber
            | Json::Array(_)
            | Json::Object(_) => Err(CertificateError::ChainEncoding),
        });
        let leaf = certificates.next().ok_or(CertificateError::Missing)??;
        Ok(Self {
            leaf,
            intermediates: certificates.collect::<Result<_, _>>()?,
        })
    }
}
