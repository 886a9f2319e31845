//! The keys that evidence of cases is made with.
//!
//! Everybody knows them, and nothing trusts them but the verifier of a case.
//! They are fixed, and so are the signatures made with them (RSA with PKCS#1
//! padding, Ed25519), because digests of tokens and certificates are facts: a
//! case that states a name with a digest in it must hold tomorrow.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::PKCS_ED25519;
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};

use super::evidence::MintError;

const CLUSTER: &str = include_str!("keys/cluster.pem");
const RSA: &str = include_str!("keys/rsa.pem");
const P256: &str = include_str!("keys/p256.pem");
const P384: &str = include_str!("keys/p384.pem");
const P521: &str = include_str!("keys/p521.pem");

/// PKCS#8 of an Ed25519 key up to its seed (RFC 8410 §7).
const ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The key that a cluster of a case signs tokens with.
pub(super) fn cluster() -> Result<TokenKey, MintError> {
    TokenKey::from_pem(CLUSTER)
}

/// A key that signs tokens as well, and that no cluster of a case has.
pub(super) fn foreign() -> Result<TokenKey, MintError> {
    TokenKey::from_pem(RSA)
}

/// Signs tokens as RS256 (RFC 7518 §3.3).
pub(super) struct TokenKey(KeyPair);

impl TokenKey {
    fn from_pem(pem: &str) -> Result<Self, MintError> {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).map_err(MintError::new)?;
        KeyPair::from_pkcs8(&der).map(Self).map_err(MintError::new)
    }

    /// Its public half, as PEM.
    pub(super) fn public_pem(&self) -> Result<String, MintError> {
        let der = self.0.public_key().as_der().map_err(MintError::new)?;
        let body = STANDARD.encode(der.as_ref());
        Ok(format!(
            "-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
        ))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, MintError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(MintError::new)?;
        Ok(signature)
    }
}

/// Kind of a leaf certificate's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeafKey {
    /// RSA with 2,048 bits.
    Rsa,
    /// ECDSA over NIST P-256.
    #[default]
    P256,
    /// ECDSA over NIST P-384.
    P384,
    /// ECDSA over NIST P-521.
    P521,
    /// Ed25519, which is refused.
    Ed25519,
}

impl LeafKey {
    /// The key, as a certificate is made with it.
    pub(super) fn pair(self) -> Result<rcgen::KeyPair, MintError> {
        let pem = match self {
            Self::Rsa => RSA,
            Self::P256 => P256,
            Self::P384 => P384,
            Self::P521 => P521,
            Self::Ed25519 => return authority(u8::MAX),
        };
        rcgen::KeyPair::from_pem(pem).map_err(MintError::new)
    }
}

/// The key of the authority with this number.
pub(super) fn authority(number: u8) -> Result<rcgen::KeyPair, MintError> {
    let pkcs8 = [ED25519.as_slice(), &[number; 32]].concat();
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ED25519)
        .map_err(MintError::new)
}
