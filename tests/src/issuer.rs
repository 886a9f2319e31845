//! Clusters to attest from: keys of their API servers, and tokens they issue.
//!
//! Keys live as long as the process; their public parts are files, since a
//! configuration names files.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When every test happens: 2027-01-15T08:00:00Z.
pub const NOW: u64 = 1_800_000_000;

/// A time, in seconds since 1970-01-01T00:00:00Z.
pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// An API server's signing key.
pub enum Issuer {
    /// RSA, 2048 bits.
    Rsa(RsaKeyPair),
    /// ECDSA over P-256. The same claims signed twice give two tokens.
    Ec(EcdsaKeyPair),
}

/// The two forms in which Kubernetes writes a service account token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Bound to a pod and a node, for an hour, with an audience.
    #[default]
    Bound,
    /// From a secret: flat claims and no end.
    Legacy,
}

/// A token to issue: the usual one, and what differs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Token {
    /// Which form the claims have.
    pub form: Form,
    /// Members of the header to set, or with `null` to leave out.
    pub header: Map<String, Value>,
    /// Claims to set, or with `null` to leave out.
    pub claims: Map<String, Value>,
    /// Claims to set after they were signed.
    pub forged_claims: Map<String, Value>,
}

impl Issuer {
    /// A new RSA key.
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// A new P-256 key.
    pub fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The public key, as an operator gives it.
    pub fn pem(&self) -> String {
        let der = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        };
        pem("PUBLIC KEY", &der)
    }

    /// Issues `token`.
    pub fn issue(&self, token: &Token) -> String {
        let algorithm = match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        };
        let mut header = json!({"alg": algorithm, "typ": "JWT"});
        set(&mut header, &token.header);
        let mut claims = claims(token.form);
        set(&mut claims, &token.claims);
        let input = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.sign(header["alg"].as_str().unwrap_or_default(), &input);
        set(&mut claims, &token.forged_claims);
        format!(
            "{}.{}.{}",
            encode(&header),
            encode(&claims),
            URL_SAFE_NO_PAD.encode(signature)
        )
    }

    fn sign(&self, algorithm: &str, input: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair) => pair
                .sign(&random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, input.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "Issuer(RSA)",
            Self::Ec(_) => "Issuer(P-256)",
        })
    }
}

/// The clusters of the tests, and one that no configuration trusts.
#[derive(Debug)]
pub struct Clusters {
    /// Signs with RSA; has a CA certificate.
    pub production: Issuer,
    /// Signs with P-256.
    pub staging: Issuer,
    /// Nobody's.
    pub stranger: Issuer,
}

impl Clusters {
    /// New keys for all of them.
    pub fn new() -> Self {
        Self {
            production: Issuer::rsa(),
            staging: Issuer::ec(),
            stranger: Issuer::rsa(),
        }
    }

    /// The issuer called `name`.
    pub fn named(&self, name: &str) -> &Issuer {
        match name {
            "production" => &self.production,
            "staging" => &self.staging,
            "stranger" => &self.stranger,
            other => panic!("no cluster is called `{other}`"),
        }
    }

    /// Writes `keys/production.pem`, `keys/staging.pem`, `keys/both.pem` and
    /// the CA certificate of production below `folder`.
    pub fn write_keys(&self, folder: &Path) {
        let keys = folder.join("keys");
        fs::create_dir_all(&keys).unwrap();
        let (production, staging) = (self.production.pem(), self.staging.pem());
        fs::write(keys.join("production.pem"), &production).unwrap();
        fs::write(keys.join("staging.pem"), &staging).unwrap();
        fs::write(keys.join("both.pem"), staging + &production).unwrap();
        fs::copy(
            crate::path("keys/production-ca.pem"),
            keys.join("production-ca.pem"),
        )
        .unwrap();
    }
}

impl Default for Clusters {
    fn default() -> Self {
        Self::new()
    }
}

/// The claims that Kubernetes writes.
fn claims(form: Form) -> Value {
    match form {
        Form::Bound => json!({
            "aud": ["spire-server"],
            "exp": NOW + 3600,
            "iat": NOW - 60,
            "nbf": NOW - 60,
            "iss": "https://kubernetes.default.svc.cluster.local",
            "jti": "1d7d2b8e-5a41-4bdc-8c1c-5bb1f0f4a6f7",
            "sub": "system:serviceaccount:spire:spire-agent",
            "kubernetes.io": {
                "namespace": "spire",
                "serviceaccount": {
                    "name": "spire-agent",
                    "uid": "8a3f0a0e-9f0b-4b29-9c6c-25f8f5a3c1d2"
                },
                "pod": {
                    "name": "spire-agent-x7k2p",
                    "uid": "5f2c9c1b-0b64-4d0e-8f9d-6f1f2c3d4e5a"
                },
                "node": {
                    "name": "worker-1",
                    "uid": "c4d2e1f0-7a6b-4c5d-9e8f-0a1b2c3d4e5f"
                }
            }
        }),
        Form::Legacy => json!({
            "iss": "kubernetes/serviceaccount",
            "sub": "system:serviceaccount:spire:spire-agent",
            "kubernetes.io/serviceaccount/namespace": "spire",
            "kubernetes.io/serviceaccount/secret.name": "spire-agent-token-zjr8v",
            "kubernetes.io/serviceaccount/service-account.name": "spire-agent",
            "kubernetes.io/serviceaccount/service-account.uid":
                "8a3f0a0e-9f0b-4b29-9c6c-25f8f5a3c1d2"
        }),
    }
}

/// Sets the members of `changes` in `object`; `null` leaves one out.
fn set(object: &mut Value, changes: &Map<String, Value>) {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// `der` as a PEM block.
pub fn pem(label: &str, der: &[u8]) -> String {
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
