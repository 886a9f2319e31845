//! The chain that a peer sends: `{"certificates": ["<base64 of DER>", ...]}`,
//! the leaf first. An agent of `k8s` names the CertificateSigningRequest that
//! its leaf came from in `request`.
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
    /// The object that the peer says its leaf came from, as it wrote it.
    pub(super) request: Option<String>,
}

#[derive(Serialize)]
struct Payload<'a> {
    certificates: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
}

/// A payload of `certificates`, as agents send it.
pub(super) fn encode(
    certificates: impl IntoIterator<Item: AsRef<[u8]>>,
    request: Option<&str>,
) -> Vec<u8> {
    let certificates = certificates.into_iter().map(|der| STANDARD.encode(der));
    let payload = Payload {
        certificates: certificates.collect(),
        request,
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
        let request = match object.take("request") {
            Some(Json::String(name)) => Some(name.into_owned()),
            None | Some(Json::Null) => None,
            Some(_) => return Err(CertificateError::RequestNameMalformed),
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
            request,
        })
    }
}
