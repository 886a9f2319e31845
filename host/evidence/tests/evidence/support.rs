//! Keys, tokens and clusters to test with.

use std::error::Error;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nameplate_evidence::{
    ClusterTrust, EvidenceError, KeySet, Method, RawEvidence, ServiceAccount, Subject,
    TokenVerifier,
};
use serde_json::{Value, json};
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

/// When every test happens.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) static RSA: LazyLock<Key> = LazyLock::new(|| Key::rsa(KeySize::Rsa2048));
pub(crate) static RSA_OTHER: LazyLock<Key> = LazyLock::new(|| Key::rsa(KeySize::Rsa2048));
pub(crate) static RSA_LONG: LazyLock<Key> = LazyLock::new(|| Key::rsa(KeySize::Rsa3072));
pub(crate) static P256: LazyLock<Key> = LazyLock::new(|| Key::ec(Curve::P256));
pub(crate) static P256_OTHER: LazyLock<Key> = LazyLock::new(|| Key::ec(Curve::P256));
pub(crate) static P384: LazyLock<Key> = LazyLock::new(|| Key::ec(Curve::P384));
pub(crate) static P384_OTHER: LazyLock<Key> = LazyLock::new(|| Key::ec(Curve::P384));
pub(crate) static P521: LazyLock<Key> = LazyLock::new(|| Key::ec(Curve::P521));
pub(crate) static P521_OTHER: LazyLock<Key> = LazyLock::new(|| Key::ec(Curve::P521));

pub(crate) const RSA_ALGORITHMS: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

#[derive(Clone, Copy)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }
}

/// A private key as an API server has one.
pub(crate) enum Key {
    Rsa(RsaKeyPair),
    Ec(Curve, EcdsaKeyPair, Vec<u8>),
}

impl Key {
    fn rsa(size: KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).unwrap())
    }

    fn ec(curve: Curve) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve.signing(), &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve.signing(), pkcs8.as_ref()).unwrap();
        Self::Ec(curve, pair, pkcs8.as_ref().to_vec())
    }

    /// Signs by the name of an algorithm; a curve has but one.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(_, pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    other => panic!("no RSA algorithm is called `{other}`"),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ec(_, pair, _) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    /// `RSAPublicKey`, or the uncompressed point.
    pub(crate) fn raw(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ec(_, pair, _) => pair.public_key().as_ref(),
        }
    }

    /// PKCS #8.
    pub(crate) fn private(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(pair)
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Ec(_, _, pkcs8) => pkcs8.clone(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }

    pub(crate) fn keys(&self) -> KeySet {
        KeySet::from_pem(self.pem().as_bytes()).unwrap()
    }

    /// A JWK with `kid` and nothing optional but that.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(_) => {
                let mut reader = SliceReader::new(self.raw()).unwrap();
                let (n, e) = reader
                    .sequence(|key| -> Result<_, x509_cert::der::Error> {
                        Ok((UintRef::decode(key)?, UintRef::decode(key)?))
                    })
                    .unwrap();
                json!({"kty": "RSA", "kid": kid, "n": encode(n.as_bytes()), "e": encode(e.as_bytes())})
            }
            Self::Ec(curve, ..) => {
                let (x, y) = self.raw()[1..].split_at(self.raw().len() / 2);
                json!({"kty": "EC", "crv": curve.name(), "kid": kid, "x": encode(x), "y": encode(y)})
            }
        }
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// A JWK Set of `keys`.
pub(crate) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

pub(crate) fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The claims of a bound token that every check of [`production`] accepts.
pub(crate) fn claims() -> Value {
    json!({
        "aud": ["spire-server"],
        "exp": NOW + 600,
        "iat": NOW - 60,
        "nbf": NOW - 60,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "jti": "f1a3",
        "sub": "system:serviceaccount:spire:spire-agent",
        "kubernetes.io": {
            "namespace": "spire",
            "serviceaccount": {"name": "spire-agent", "uid": "sa-uid"},
            "pod": {"name": "spire-agent-x7k2p", "uid": "pod-uid"},
            "node": {"name": "worker-1", "uid": "node-uid"}
        }
    })
}

/// The same with one claim replaced.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// The same with one claim left out.
pub(crate) fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name).unwrap();
    claims
}

/// A token with any header and any claims, signed over just those.
pub(crate) fn token_of(key: &Key, algorithm: &str, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign(algorithm, input.as_bytes());
    format!("{input}.{}", encode(signature))
}

/// A token with the usual header.
pub(crate) fn token(key: &Key, algorithm: &str, claims: &Value) -> String {
    token_of(
        key,
        algorithm,
        &json!({ "alg": algorithm }).to_string(),
        &claims.to_string(),
    )
}

/// A cluster that checks everything there is to check.
pub(crate) fn production(keys: KeySet) -> ClusterTrust {
    ClusterTrust {
        name: "production".to_owned(),
        keys,
        allowed: vec![
            "other:one".parse().unwrap(),
            "spire:spire-agent".parse().unwrap(),
        ],
        issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
        audience: vec!["nameplate".to_owned(), "spire-server".to_owned()],
        leeway: Duration::from_secs(60),
        allow_unexpiring_tokens: false,
        ca_thumbprint: Some("c0ffee".to_owned()),
    }
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn evidence(token: &str) -> RawEvidence {
    RawEvidence::service_account_token(Method::K8sSat, "production", token, None).unwrap()
}

/// What `cluster` says of `token`.
pub(crate) fn verify(cluster: ClusterTrust, token: &str) -> Result<ServiceAccount, EvidenceError> {
    let verified = TokenVerifier::new([cluster]).verify(&evidence(token), at(NOW))?;
    match verified.into_parts() {
        (None, Subject::ServiceAccount(account)) => Ok(account),
        other => panic!("{other:?}"),
    }
}

/// What a cluster with `keys` says of `token`.
pub(crate) fn verify_with(keys: KeySet, token: &str) -> Result<ServiceAccount, EvidenceError> {
    verify(production(keys), token)
}

/// An error and its causes, as an operator reads them.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The reason and the text of the refusal of `token`, less what every refusal
/// of a token begins with.
pub(crate) fn refused(result: Result<ServiceAccount, EvidenceError>) -> (&'static str, String) {
    let error = result.unwrap_err();
    let text = chain(&error);
    let text = text
        .strip_prefix("token for cluster `production` is refused: ")
        .unwrap_or(&text);
    (error.reason(), text.to_owned())
}
