//! The peer's part: a certificate, its private key, and answers to challenges.
//!
//! For the agent's side of `x509pop`, and for whoever plays it.

use super::{NONCE_BYTES, Nonce, payload};
use crate::json::{Json, Object};
use crate::pem::{self, PemError};
use crate::subject::KeyKind;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P521_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p384::ecdsa::signature::hazmat::PrehashSigner as _;
use p384::pkcs8::DecodePrivateKey as _;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, SystemTime};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

/// A certificate, what leads from it to an authority, and its private key.
///
/// `Debug` shows the number of certificates and nothing of the key.
pub struct Prover {
    certificates: Vec<Vec<u8>>,
    request: Option<String>,
    key: PrivateKey,
}

enum PrivateKey {
    Rsa(RsaKeyPair),
    /// On P-256 or P-521.
    Ecdsa(EcdsaKeyPair),
    /// aws-lc-rs signs no SHA-256 digest on this curve, which SPIRE asks for.
    P384(p384::ecdsa::SigningKey),
}

/// Why a certificate and a key prove nothing, or a challenge is not answered.
///
/// Holds nothing of a key or a nonce.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProverError {
    /// A file is not PEM.
    #[error("the file is not PEM")]
    Pem(#[from] PemError),
    /// A file of certificates has none.
    #[error("no certificates found in the file")]
    NoCertificate,
    /// The leaf is not X.509.
    #[error("certificate cannot be read")]
    CertificateUnreadable(#[source] x509_cert::der::Error),
    /// A file has no private key.
    #[error("no private key found in the file")]
    NoKey,
    /// The leaf's key is of a kind that cannot sign here.
    #[error("certificate has a key of an unsupported kind: {0}")]
    KeyUnsupported(String),
    /// The private key is damaged, of another kind than the certificate's, or
    /// in a form that is not read.
    #[error("private key cannot be read as one of the certificate's kind")]
    KeyUnreadable,
    /// The private key is another certificate's.
    #[error("private key does not match the certificate's public key")]
    KeyMismatch,
    /// What came as a challenge is none.
    #[error("challenge is malformed")]
    ChallengeMalformed,
    /// The challenge is for a key of another kind.
    #[error("challenge is not for the certificate's kind of key")]
    ChallengeKind,
    /// Signing failed.
    #[error("challenge cannot be signed")]
    Unsigned,
}

/// One arm, and `null` for the other, as SPIRE's agents write it.
#[derive(Default, Serialize)]
struct Answer {
    rsa_signature: Option<RsaAnswer>,
    ecdsa_signature: Option<EcdsaAnswer>,
}

#[derive(Serialize)]
struct RsaAnswer {
    nonce: String,
    signature: String,
}

#[derive(Serialize)]
struct EcdsaAnswer {
    nonce: String,
    r: String,
    s: String,
}

impl Prover {
    /// A certificate, with or without intermediates behind it, and its key.
    ///
    /// # Errors
    /// [`ProverError`], also when the key is another certificate's.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, ProverError> {
        let certificates = der_of(certificates)?;
        let key = pem::blocks(key)?
            .iter()
            .find(|block| block.is_private_key())
            .ok_or(ProverError::NoKey)?
            .der()?;
        Self::new(certificates, &key)
    }

    /// The same from DER: certificates one behind the other, as the SPIFFE
    /// Workload API gives them.
    ///
    /// # Errors
    /// As [`Prover::from_pem`].
    pub fn from_der(certificates: &[u8], key: &[u8]) -> Result<Self, ProverError> {
        let certificates = split(certificates).map_err(ProverError::CertificateUnreadable)?;
        Self::new(certificates, key)
    }

    fn new(certificates: Vec<Vec<u8>>, key: &[u8]) -> Result<Self, ProverError> {
        let leaf = certificates.first().ok_or(ProverError::NoCertificate)?;
        let key = PrivateKey::to(leaf, key)?;
        Ok(Self {
            certificates,
            request: None,
            key,
        })
    }

    /// The same, with the certificates of a PEM file behind those there are.
    ///
    /// # Errors
    /// When there are none.
    pub fn with_intermediates(mut self, file: &[u8]) -> Result<Self, ProverError> {
        self.certificates.extend(der_of(file)?);
        Ok(self)
    }

    /// The same, for a certificate that came from the CertificateSigningRequest
    /// `name`, which goes along: the server of `k8s` looks at it.
    #[must_use]
    pub fn requested_as(mut self, name: impl Into<String>) -> Self {
        self.request = Some(name.into());
        self
    }

    /// When the leaf begins to hold, and when it ends.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn validity(&self) -> Result<(SystemTime, SystemTime), ProverError> {
        let leaf = self
            .certificates
            .first()
            .ok_or(ProverError::NoCertificate)?;
        let leaf =
            x509_cert::Certificate::from_der(leaf).map_err(ProverError::CertificateUnreadable)?;
        let (from, until) = super::leaf::times(leaf.tbs_certificate().validity());
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Ok((at(from), at(until)))
    }

    /// What is sent first.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        payload::encode(&self.certificates, self.request.as_deref())
    }

    /// Signs a challenge together with a nonce of our own, so that nobody can
    /// choose what this key signs.
    ///
    /// # Errors
    /// When it is no challenge, or one for another kind of key.
    pub fn answer(&self, challenge: &[u8], own: Nonce) -> Result<Vec<u8>, ProverError> {
        let malformed = || ProverError::ChallengeMalformed;
        let mut object = Object::parse(challenge).map_err(|_quoted| malformed())?;
        let arm = match self.key {
            PrivateKey::Rsa(_) => "rsa_signature",
            PrivateKey::Ecdsa(_) | PrivateKey::P384(_) => "ecdsa_signature",
        };
        let mut arm = match object.take(arm) {
            Some(Json::Object(arm)) => arm,
            None | Some(Json::Null) => return Err(ProverError::ChallengeKind),
            Some(_) => return Err(malformed()),
        };
        let Some(Json::String(text)) = arm.take("nonce") else {
            return Err(malformed());
        };
        let nonce = STANDARD
            .decode(text.as_bytes())
            .map_err(|_quoted| malformed())?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_other| malformed())?;

        let own = own.into_bytes();
        let signature = self.key.sign(&[nonce, own].concat())?;
        let nonce = STANDARD.encode(own);
        let answer = match self.key {
            PrivateKey::Rsa(_) => Answer {
                rsa_signature: Some(RsaAnswer {
                    nonce,
                    signature: STANDARD.encode(signature),
                }),
                ..Answer::default()
            },
            PrivateKey::Ecdsa(_) | PrivateKey::P384(_) => {
                let (r, s) = signature.split_at(signature.len() / 2);
                Answer {
                    ecdsa_signature: Some(EcdsaAnswer {
                        nonce,
                        r: STANDARD.encode(shortest(r)),
                        s: STANDARD.encode(shortest(s)),
                    }),
                    ..Answer::default()
                }
            }
        };
        Ok(serde_json::to_vec(&answer).unwrap_or_default())
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// The key in `key`, which has to be that of the certificate `leaf`.
    fn to(leaf: &[u8], key: &[u8]) -> Result<Self, ProverError> {
        let leaf =
            x509_cert::Certificate::from_der(leaf).map_err(ProverError::CertificateUnreadable)?;
        let public = leaf.tbs_certificate().subject_public_key_info();
        let kind = super::leaf::key_kind(public).map_err(ProverError::KeyUnsupported)?;
        let key = Self::of(kind, key).ok_or(ProverError::KeyUnreadable)?;
        if key.public() == public.subject_public_key.raw_bytes() {
            Ok(key)
        } else {
            Err(ProverError::KeyMismatch)
        }
    }

    /// From PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 §A.1.2) or SEC 1 (RFC 5915).
    fn of(kind: KeyKind, der: &[u8]) -> Option<Self> {
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            EcdsaKeyPair::from_pkcs8(algorithm, der)
                .or_else(|_other| EcdsaKeyPair::from_private_key_der(algorithm, der))
                .ok()
                .map(Self::Ecdsa)
        };
        match kind {
            KeyKind::Rsa => RsaKeyPair::from_pkcs8(der)
                .or_else(|_other| RsaKeyPair::from_der(der))
                .ok()
                .map(Self::Rsa),
            KeyKind::P256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            KeyKind::P521 => ecdsa(&ECDSA_P521_SHA256_FIXED_SIGNING),
            KeyKind::P384 => p384::SecretKey::from_pkcs8_der(der)
                .ok()
                .or_else(|| p384::SecretKey::from_sec1_der(der).ok())
                .map(|key| Self::P384(key.into())),
        }
    }

    /// `subjectPublicKey` of whoever has it.
    fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
            Self::Ecdsa(key) => key.public_key().as_ref().to_vec(),
            Self::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// Over SHA-256 of `message`.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ProverError> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                    .map_err(|_unspecified| ProverError::Unsigned)?;
                Ok(signature)
            }
            Self::Ecdsa(key) => {
                let signature = key
                    .sign(&random, message)
                    .map_err(|_unspecified| ProverError::Unsigned)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::P384(key) => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
                let signature: p384::ecdsa::Signature = key
                    .sign_prehash(digest.as_ref())
                    .map_err(|_unspecified| ProverError::Unsigned)?;
                Ok(signature.to_bytes().to_vec())
            }
        }
    }
}

/// A number without leading zeros, as Go writes it.
fn shortest(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Values in DER, one behind the other.
fn split(der: &[u8]) -> Result<Vec<Vec<u8>>, x509_cert::der::Error> {
    let mut reader = SliceReader::new(der)?;
    let mut values = Vec::new();
    while !reader.is_finished() {
        values.push(reader.tlv_bytes()?.to_vec());
    }
    Ok(values)
}

/// The certificates of a PEM file; blocks of other kinds are skipped.
fn der_of(file: &[u8]) -> Result<Vec<Vec<u8>>, ProverError> {
    let certificates = pem::blocks(file)?
        .iter()
        .filter(|block| block.label == "CERTIFICATE")
        .map(pem::Block::der)
        .collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(ProverError::NoCertificate);
    }
    Ok(certificates)
}
