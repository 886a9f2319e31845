//! The proof that a peer has a private key: its signature over both nonces.
//!
//! What is signed is SHA-256 of the challenge's nonce followed by the peer's
//! own, as SPIRE's agents do it: RSASSA-PSS (RFC 8017 §8.1) with SHA-256 and a
//! salt of whatever length, as Go's agents take the longest there is; or ECDSA
//! over that digest, on whichever curve.

use super::{CertificateError, NONCE_BYTES};
use crate::json::{Json, Object};
use crate::subject::KeyKind;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P521_SHA256_ASN1, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::pss;
use rsa::signature::Verifier as _;
use sha2::Sha256;
use x509_cert::der::Encode as _;
use x509_cert::der::asn1::UintRef;

/// Longest number of an ECDSA signature that is looked at, in bytes: P-521's.
const MAX_SCALAR_BYTES: usize = 66;

/// The peer's nonce and signature.
pub(super) struct Response {
    nonce: [u8; NONCE_BYTES],
    signature: Signature,
}

enum Signature {
    Rsa(Vec<u8>),
    /// DER of `ECDSA-Sig-Value` (RFC 3279 §2.2.3).
    Ecdsa(Vec<u8>),
}

impl Response {
    pub(super) fn parse(bytes: &[u8], kind: KeyKind) -> Result<Self, CertificateError> {
        let malformed = || CertificateError::ResponseMalformed { source: None };
        let mut object =
            Object::parse(bytes).map_err(|source| CertificateError::ResponseMalformed {
                source: Some(source),
            })?;
        let (arm, expected) = match kind {
            KeyKind::Rsa => ("rsa_signature", "RSA"),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => ("ecdsa_signature", "ECDSA"),
        };
        let mut arm = match object.take(arm) {
            Some(Json::Object(arm)) => arm,
            None | Some(Json::Null) => return Err(CertificateError::ResponseKind { expected }),
            Some(_) => return Err(malformed()),
        };
        let mut bytes = |member: &str| match arm.take(member) {
            Some(Json::String(text)) => STANDARD
                .decode(text.as_bytes())
                .map_err(|_unquoted| malformed()),
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(_) => Err(malformed()),
        };
        let nonce = bytes("nonce")?;
        let signature = match kind {
            KeyKind::Rsa => Signature::Rsa(bytes("signature")?),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
                let (r, s) = (bytes("r")?, bytes("s")?);
                Signature::Ecdsa(sequence(&r, &s).ok_or(CertificateError::PossessionUnproven)?)
            }
        };
        let nonce = nonce
            .try_into()
            .map_err(|nonce: Vec<u8>| CertificateError::NonceMalformed { bytes: nonce.len() })?;
        Ok(Self { nonce, signature })
    }
}

/// Two unsigned numbers, big-endian and of any length, as one signature.
fn sequence(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    if r.len() > MAX_SCALAR_BYTES || s.len() > MAX_SCALAR_BYTES {
        return None;
    }
    let numbers = vec![UintRef::new(r).ok()?, UintRef::new(s).ok()?];
    numbers.to_der().ok()
}

/// Verifies that the key signed both nonces.
pub(super) fn verify(
    kind: KeyKind,
    key: &[u8],
    challenge: &[u8; NONCE_BYTES],
    response: &Response,
) -> Result<(), CertificateError> {
    let message = [*challenge, response.nonce].concat();
    let proven = match (kind, &response.signature) {
        (KeyKind::Rsa, Signature::Rsa(signature)) => rsa_pss(key, &message, signature),
        (KeyKind::P256, Signature::Ecdsa(signature)) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
                .verify(&message, signature)
                .is_ok()
        }
        (KeyKind::P384, Signature::Ecdsa(signature)) => {
            UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, key)
                .verify(&message, signature)
                .is_ok()
        }
        (KeyKind::P521, Signature::Ecdsa(signature)) => {
            UnparsedPublicKey::new(&ECDSA_P521_SHA256_ASN1, key)
                .verify(&message, signature)
                .is_ok()
        }
        (KeyKind::Rsa, Signature::Ecdsa(_))
        | (KeyKind::P256 | KeyKind::P384 | KeyKind::P521, Signature::Rsa(_)) => false,
    };
    if proven {
        Ok(())
    } else {
        Err(CertificateError::PossessionUnproven)
    }
}

/// aws-lc-rs takes a salt as long as the digest and no other.
fn rsa_pss(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = rsa::PublicKey::from_pkcs1_der(key) else {
        return false;
    };
    let Ok(signature) = pss::Signature::try_from(signature) else {
        return false;
    };
    pss::VerifyingKey::<Sha256>::new_with_auto_salt_len(key)
        .verify(message, &signature)
        .is_ok()
}
