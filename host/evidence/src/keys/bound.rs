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
use crate::token::SigningInput;

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
    pub(super) fn verifies(&self, input: &SigningInput<'_>, signature: &Vec<u8>) -> bool {
        match &self.key {
            // The same primitive, given the hash instead of the text.
            Key::Named(key) if self.algorithm.hashes_with_sha256() => key
                .parsed
                .verify_digest_sig(&input.sha256(), signature)
                .is_ok(),
            Key::Named(key) => key.verify(input.text(), signature).is_ok(),
            Key::Unnamed(key) => key.verify_sig(input.text(), signature).is_ok(),
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

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use jsonwebtoken::crypto::JwtVerifier;

    use super::{BoundKey, Key};
    use crate::algorithm::SignatureAlgorithm;
    use crate::token::CompactToken;

    #[test]
    fn a_key_is_a_verifier_of_jsonwebtoken() {
        let random = SystemRandom::new();
        let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let bound = BoundKey::parse(SignatureAlgorithm::Es256, pair.public_key().as_ref()).unwrap();
        let good = pair.sign(&random, b"a.b").unwrap().as_ref().to_vec();
        let bad = pair.sign(&random, b"a.c").unwrap().as_ref().to_vec();

        let token = CompactToken::split("a.b.c").unwrap();
        assert!(bound.verifies(&token.signing_input(), &good));
        assert!(!bound.verifies(&token.signing_input(), &bad));

        let Key::Named(key) = &bound.key else {
            panic!("ES256 has a name")
        };
        let verifier: &dyn JwtVerifier = key;
        assert_eq!(verifier.algorithm(), jsonwebtoken::Algorithm::ES256);
        assert!(verifier.verify(b"a.b", &good).is_ok());
        assert!(verifier.verify(b"a.b", &bad).is_err());
    }
}
