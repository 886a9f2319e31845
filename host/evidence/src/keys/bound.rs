//! A key tied to one algorithm, parsed once.
//!
//! Where `jsonwebtoken` has a name for the algorithm, the key is a
//! [`JwtVerifier`] and so fits wherever that crate takes one. Its own
//! verifiers parse the key at every call, which costs more than a seventh of
//! an RSA verification.

use aws_lc_rs::signature::ParsedPublicKey;
use jsonwebtoken::crypto::JwtVerifier;
use signature::Verifier;

use super::error::KeyProblem;
use crate::algorithm::SignatureAlgorithm;

/// A parsed key and the one algorithm it is used with.
pub(super) struct BoundKey {
    algorithm: SignatureAlgorithm,
    key: Key,
}

enum Key {
    Named(JwtKey),
    /// ES512, which `jsonwebtoken` does not know.
    Unnamed(ParsedPublicKey),
}

impl BoundKey {
    /// Parses `bytes`: PKCS #1 for RSA, an uncompressed point for ECDSA.
    pub(super) fn parse(algorithm: SignatureAlgorithm, bytes: &[u8]) -> Result<Self, KeyProblem> {
        let parsed = ParsedPublicKey::new(algorithm.primitive(), bytes)
            .map_err(|source| KeyProblem::Rejected { source })?;
        let key = match algorithm.jsonwebtoken() {
            Some(name) => Key::Named(JwtKey { name, parsed }),
            None => Key::Unnamed(parsed),
        };
        Ok(Self { algorithm, key })
    }

    pub(super) fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's over `input`.
    pub(super) fn verifies(&self, input: &[u8], signature: &Vec<u8>) -> bool {
        match &self.key {
            Key::Named(key) => key.verify(input, signature).is_ok(),
            Key::Unnamed(key) => key.verify_sig(input, signature).is_ok(),
        }
    }
}

/// A parsed key as `jsonwebtoken` sees one.
struct JwtKey {
    name: jsonwebtoken::Algorithm,
    parsed: ParsedPublicKey,
}

impl Verifier<Vec<u8>> for JwtKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.parsed
            .verify_sig(message, signature)
            .map_err(signature::Error::from_source)
    }
}

impl JwtVerifier for JwtKey {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.name
    }
}
