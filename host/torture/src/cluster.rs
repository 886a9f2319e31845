//! A throw-away cluster: the keys that sign its tokens, and an API server that
//! knows which those are.

mod api;
mod publisher;

pub(crate) use api::{KnownTokens, NODE, NODE_UID, OWN_AUDIENCE, POD_UID, PODS, Said};
pub(crate) use publisher::Publisher;

use crate::error::TortureError;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Whose signature a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The cluster, with RSA PKCS #1.
    Rsa,
    /// The cluster, with RSA PSS.
    Pss,
    /// The cluster, with P-256.
    P256,
    /// The cluster, with P-384.
    P384,
    /// Somebody else, with RSA.
    Stranger,
    /// Anybody: an HMAC under the cluster's public RSA key.
    PublicKey,
    /// Anybody: an HMAC under a key of no bytes.
    EmptyKey,
    /// Nobody.
    Nobody,
}

/// Keys of a cluster, and of somebody else.
pub(crate) struct Keys {
    rsa: RsaKeyPair,
    stranger: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
}

impl Keys {
    /// New keys.
    pub(crate) fn new() -> Result<Self, TortureError> {
        let rsa = || {
            RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_opaque| TortureError::Key("RSA key"))
        };
        let ec = |algorithm| {
            EcdsaKeyPair::generate(algorithm).map_err(|_opaque| TortureError::Key("curve key"))
        };
        Ok(Self {
            rsa: rsa()?,
            stranger: rsa()?,
            p256: ec(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
            p384: ec(&ECDSA_P384_SHA384_FIXED_SIGNING)?,
        })
    }

    /// The public keys of the cluster, as it publishes them: `rsa`, `p256` and
    /// `p384`.
    pub(crate) fn jwks(&self) -> String {
        let curve = |kid: &str, name: &str, key: &EcdsaKeyPair| {
            let point = key.public_key().as_ref();
            // The point is uncompressed: a four, and both coordinates.
            let coordinates = point.get(1..).unwrap_or_default();
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            json!({"kty": "EC", "kid": kid, "crv": name, "x": encode(x), "y": encode(y)})
        };
        json!({"keys": [
            rsa_jwk("rsa", &self.rsa),
            curve("p256", "P-256", &self.p256),
            curve("p384", "P-384", &self.p384),
        ]})
        .to_string()
    }

    /// What the cluster publishes once it has withdrawn `rsa` for another key.
    pub(crate) fn jwks_without_rsa(&self) -> String {
        json!({"keys": [rsa_jwk("rsa-2", &self.stranger)]}).to_string()
    }

    /// The public key of the stranger, as a header carries one.
    pub(crate) fn stranger(&self) -> Value {
        rsa_jwk("stranger", &self.stranger)
    }

    /// A token of these texts.
    pub(crate) fn token(
        &self,
        header: &str,
        claims: &str,
        signer: Signer,
    ) -> Result<String, TortureError> {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        self.signed(&format!("{}.{}", encode(header), encode(claims)), signer)
    }

    /// `input`, signed as it is.
    pub(crate) fn signed(&self, input: &str, signer: Signer) -> Result<String, TortureError> {
        let signature = URL_SAFE_NO_PAD.encode(self.signature(input, signer)?);
        Ok(format!("{input}.{signature}"))
    }

    /// The signature over `input`.
    pub(crate) fn signature(&self, input: &str, signer: Signer) -> Result<Vec<u8>, TortureError> {
        let random = SystemRandom::new();
        let failed = |_opaque| TortureError::Key("signature");
        let rsa = |key: &RsaKeyPair, encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(encoding, &random, input.as_bytes(), &mut signature)
                .map_err(failed)?;
            Ok(signature)
        };
        let ec = |key: &EcdsaKeyPair| {
            let signature = key.sign(&random, input.as_bytes()).map_err(failed)?;
            Ok(signature.as_ref().to_vec())
        };
        let mac = |key: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
        };
        match signer {
            Signer::Rsa => rsa(&self.rsa, &RSA_PKCS1_SHA256),
            Signer::Pss => rsa(&self.rsa, &RSA_PSS_SHA256),
            Signer::Stranger => rsa(&self.stranger, &RSA_PKCS1_SHA256),
            Signer::P256 => ec(&self.p256),
            Signer::P384 => ec(&self.p384),
            Signer::PublicKey => Ok(mac(self.rsa.public_key().as_ref())),
            Signer::EmptyKey => Ok(mac(&[])),
            Signer::Nobody => Ok(Vec::new()),
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// The public key of `pair`; 2048 bits, so that its numbers stand where they do.
fn rsa_jwk(kid: &str, pair: &RsaKeyPair) -> Value {
    // `RSAPublicKey` (RFC 8017 §A.1.1): two headers and a zero before the modulus.
    let der = pair.public_key().as_ref();
    let modulus = der
        .get(9..9 + pair.public_modulus_len())
        .unwrap_or_default();
    let n = URL_SAFE_NO_PAD.encode(modulus);
    json!({"kty": "RSA", "kid": kid, "n": n, "e": "AQAB"})
}
