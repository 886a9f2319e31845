//! A throw-away cluster: its key, a token, and attestors that trust it.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nameplate_attestor::{Attestor, Envelope, Generation, Namespace, Naming};
use nameplate_evidence::{ClusterTrust, KeySet, Method, RawEvidence, TokenVerifier};
use nameplate_policy::{PolicyRequest, PolicySource, Sandbox};
use std::time::{Duration, SystemTime};

/// When everything happens: 2026-01-01T00:10:00Z.
pub(crate) const NOW: u64 = 1_767_226_200;

/// A cluster's signing key.
pub(crate) enum Signer {
    Rsa(KeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl Signer {
    pub(crate) fn rs256() -> Self {
        Self::Rsa(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn es256() -> Self {
        Self::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ecdsa(_) => "ES256",
        }
    }

    /// The public key, as `service_account_key_file` has it.
    pub(crate) fn pem(&self) -> String {
        let der = match self {
            Self::Rsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ecdsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
        };
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        )
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ecdsa(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    /// A bound token of the size that Kubernetes 1.36 issues.
    pub(crate) fn token(&self) -> String {
        let header = format!(
            r#"{{"alg":"{}","kid":"ZkVFzqoFhGLEnh3C2aEUxQIW1yQC4MCGPu_8Zc8JTPE"}}"#,
            self.algorithm()
        );
        let claims = format!(
            r#"{{"aud":["spire-server"],"exp":{},"iat":{},"iss":"https://kubernetes.default.svc.cluster.local","jti":"0e8a4d5c-1b7f-4b6e-9c53-6ad8e7b0a2f1","kubernetes.io":{{"namespace":"spire","node":{{"name":"node-7.example.internal","uid":"c56a4180-65aa-42ec-a945-5fd21dec0538"}},"pod":{{"name":"spire-agent-x8k2p","uid":"5dbad7b1-9a3e-4b62-8a5e-3d8f5f7b3f11"}},"serviceaccount":{{"name":"spire-agent","uid":"9c2f7a43-7d4f-4b8e-b6a4-2f3d1a9e8c70"}}}},"nbf":{},"sub":"system:serviceaccount:spire:spire-agent"}}"#,
            NOW + 3000,
            NOW - 600,
            NOW - 600
        );
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = URL_SAFE_NO_PAD.encode(self.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    /// What an agent sends.
    pub(crate) fn evidence(&self) -> RawEvidence {
        RawEvidence::service_account_token(Method::K8sSat, "production", &self.token(), None)
            .unwrap()
    }

    /// Trusts this cluster, with everything configured that can be.
    pub(crate) fn verifier(&self) -> TokenVerifier {
        TokenVerifier::new([ClusterTrust {
            name: "production".to_owned(),
            keys: KeySet::from_pem(self.pem().as_bytes()).unwrap(),
            allowed: vec!["spire:spire-agent".parse().unwrap()],
            issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
            audience: vec!["spire-server".to_owned()],
            leeway: Duration::from_secs(300),
            allow_unexpiring_tokens: false,
            ca_thumbprint: Some("b5".repeat(32)),
        }])
    }
}

/// The policies that ship, with settings where they need some.
pub(crate) fn policies() -> [(&'static str, serde_json::Value); 5] {
    let none = || serde_json::json!({});
    [
        ("uuid", none()),
        ("node", none()),
        ("pod", none()),
        ("thumbprint", none()),
        (
            "template",
            serde_json::json!({"path": ["{cluster}", "{namespace}", "node-{node_name}"]}),
        ),
    ]
}

pub(crate) fn request(name: &str, settings: serde_json::Value) -> PolicyRequest {
    PolicyRequest {
        settings,
        ..PolicyRequest::new(PolicySource::Builtin(name.to_owned()))
    }
}

/// An attestor with every limit on, and a bounded envelope.
pub(crate) fn attestor(signer: &Signer, request: &PolicyRequest) -> Attestor {
    let namespace = Namespace {
        trust_domain: "example.org".parse().unwrap(),
        attestor: "k8s_sat".parse().unwrap(),
    };
    let envelope = Envelope {
        leading: vec!["{cluster}".parse().unwrap()],
        ..Envelope::default()
    };
    let naming = Naming::load(&Sandbox::new().unwrap(), request, envelope).unwrap();
    Attestor::new(Generation::new(namespace, signer.verifier(), naming))
}

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}
