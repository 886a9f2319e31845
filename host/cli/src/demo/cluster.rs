//! A throw-away Kubernetes cluster: keys, a certificate authority, and the
//! tokens that its API server would give an agent.
//!
//! Tokens are signed here by hand, so the tour shows the verifier tokens that
//! it had no part in making.

use anyhow::{Context as _, anyhow};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nameplate_evidence::{ClusterTrust, KeySet, Method, RawEvidence, thumbprint_of_pem};
use rcgen::{BasicConstraints, CertificateParams, IsCa};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
const AUDIENCE: &str = "spire-server";
const NAMESPACE: &str = "spire";
const SERVICE_ACCOUNT: &str = "spire-agent";

/// Which tokens a cluster gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    /// Bound to pod and node, and expiring after an hour.
    Bound,
    /// As before Kubernetes 1.22: they prove a service account, for ever.
    Legacy,
}

/// A cluster that nobody else has heard of.
pub(super) struct Cluster {
    name: &'static str,
    tokens: Tokens,
    key: KeyPair,
    ca_pem: String,
    service_account_uid: String,
    pod_uid: String,
    node_uid: String,
}

impl Cluster {
    /// Makes one: an RSA-2048 key that signs tokens, and a CA.
    ///
    /// # Errors
    /// When the machine has no randomness to spare.
    pub(super) fn new(name: &'static str, tokens: Tokens) -> anyhow::Result<Self> {
        let key = KeyPair::generate(KeySize::Rsa2048)
            .map_err(|_opaque| anyhow!("no RSA key could be made"))?;
        let ca_key = rcgen::KeyPair::generate().context("no key for the CA")?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).context("no CA certificate")?.pem();
        Ok(Self {
            name,
            tokens,
            key,
            ca_pem,
            service_account_uid: Uuid::new_v4().to_string(),
            pod_uid: Uuid::new_v4().to_string(),
            node_uid: Uuid::new_v4().to_string(),
        })
    }

    /// What an operator who trusts this cluster configures.
    ///
    /// # Errors
    /// When the key just made cannot be read back.
    pub(super) fn trust(&self) -> anyhow::Result<ClusterTrust> {
        let der = self
            .key
            .public_key()
            .as_der()
            .map_err(|_opaque| anyhow!("the public key has no DER form"))?;
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let legacy = self.tokens == Tokens::Legacy;
        Ok(ClusterTrust {
            name: self.name.to_owned(),
            keys: KeySet::from_pem(pem.as_bytes())?,
            allowed: vec![format!("{NAMESPACE}:{SERVICE_ACCOUNT}").parse()?],
            issuer: Some(if legacy { LEGACY_ISSUER } else { ISSUER }.to_owned()),
            audience: if legacy {
                Vec::new()
            } else {
                vec![AUDIENCE.to_owned()]
            },
            leeway: Duration::from_secs(60),
            allow_unexpiring_tokens: legacy,
            ca_thumbprint: Some(self.thumbprint()?),
        })
    }

    /// SHA-256 of its CA certificate.
    ///
    /// # Errors
    /// When the certificate just made cannot be read back.
    pub(super) fn thumbprint(&self) -> anyhow::Result<String> {
        Ok(thumbprint_of_pem(self.ca_pem.as_bytes())?)
    }

    /// UID of its only node.
    pub(super) fn node_uid(&self) -> &str {
        &self.node_uid
    }

    /// The token that its API server gives the agent at `now`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(super) fn token(&self, now: u64) -> anyhow::Result<Token> {
        let claims = match self.tokens {
            Tokens::Bound => json!({
                "aud": [AUDIENCE],
                "exp": now + 3600,
                "iat": now,
                "nbf": now,
                "iss": ISSUER,
                "jti": Uuid::new_v4().to_string(),
                "kubernetes.io": {
                    "namespace": NAMESPACE,
                    "node": { "name": "worker-1", "uid": self.node_uid },
                    "pod": { "name": "spire-agent-x7k2p", "uid": self.pod_uid },
                    "serviceaccount": { "name": SERVICE_ACCOUNT, "uid": self.service_account_uid },
                },
                "sub": format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"),
            }),
            Tokens::Legacy => json!({
                "iss": LEGACY_ISSUER,
                "kubernetes.io/serviceaccount/namespace": NAMESPACE,
                "kubernetes.io/serviceaccount/secret.name": "spire-agent-token-8vq4z",
                "kubernetes.io/serviceaccount/service-account.name": SERVICE_ACCOUNT,
                "kubernetes.io/serviceaccount/service-account.uid": self.service_account_uid,
                "sub": format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"),
            }),
        };
        self.sign(&claims)
    }

    fn sign(&self, claims: &Value) -> anyhow::Result<Token> {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256" }).to_string());
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                format!("{header}.{claims}").as_bytes(),
                &mut signature,
            )
            .map_err(|_opaque| anyhow!("the token could not be signed"))?;
        Ok(Token {
            cluster: self.name,
            header,
            claims,
            signature: URL_SAFE_NO_PAD.encode(signature),
        })
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.name)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// A token. It has no readable form outside the evidence that it becomes.
#[derive(Clone)]
pub(super) struct Token {
    cluster: &'static str,
    header: String,
    claims: String,
    signature: String,
}

impl Token {
    /// The same signature over claims that move the agent to another node.
    ///
    /// # Errors
    /// When the claims cannot be read back.
    pub(super) fn tampered(&self) -> anyhow::Result<Self> {
        let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&self.claims)?)?;
        let node = claims
            .pointer_mut("/kubernetes.io/node/name")
            .context("the token names no node")?;
        *node = Value::from("control-plane-1");
        Ok(Self {
            claims: URL_SAFE_NO_PAD.encode(claims.to_string()),
            ..self.clone()
        })
    }

    /// What an agent sends with it.
    ///
    /// # Errors
    /// When the payload is out of bounds.
    pub(super) fn evidence(&self) -> anyhow::Result<RawEvidence> {
        let token = format!("{}.{}.{}", self.header, self.claims, self.signature);
        Ok(RawEvidence::service_account_token(
            Method::K8sSat,
            self.cluster,
            &token,
            None,
        )?)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}
