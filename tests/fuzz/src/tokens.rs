//! Tokens: the payload, the JOSE header, the signature and the claims.

use crate::{fit_to_show, path};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nameplate_evidence::{
    ClusterTrust, KeySet, Method, RawEvidence, ServiceAccount, Subject, TokenVerifier,
    VerifiedEvidence,
};
use nameplate_tests::{NOW, at};
use serde_json::Value;
use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

/// The cluster that every token of this package is of.
pub const CLUSTER: &str = "production";

const LEEWAY: u64 = 60;

/// A verifier of tokens that the key in `pem` signed.
pub fn token_verifier(pem: &[u8]) -> TokenVerifier {
    TokenVerifier::new([ClusterTrust {
        name: CLUSTER.to_owned(),
        keys: KeySet::from_pem(pem).unwrap(),
        allowed: vec!["spire:spire-agent".parse().unwrap()],
        issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
        audience: vec!["spire-server".to_owned()],
        leeway: Duration::from_secs(LEEWAY),
        allow_unexpiring_tokens: false,
        ca_thumbprint: None,
    }])
}

/// A payload as a peer sends it. Nobody has the key any more, so whatever is
/// accepted states what the one good seed states.
pub(crate) fn evidence(bytes: &[u8]) {
    static KNOWN: LazyLock<(TokenVerifier, ServiceAccount)> = LazyLock::new(|| {
        let verifier = token_verifier(&fs::read(path("keys/cluster.pem")).unwrap());
        let seed = fs::read(path("corpus/evidence/good.json")).unwrap();
        let account = account(verified(&verifier, &seed).unwrap());
        (verifier, account)
    });
    let (verifier, known) = &*KNOWN;
    if let Some(found) = verified(verifier, bytes) {
        // The bytes of the token may differ where they mean the same.
        let token_sha256 = known.token_sha256.clone();
        let found = ServiceAccount {
            token_sha256,
            ..account(found)
        };
        assert_eq!(&found, known);
    }
}

fn verified(verifier: &TokenVerifier, payload: &[u8]) -> Option<VerifiedEvidence> {
    let outcome =
        RawEvidence::new(Method::K8sSat, payload).and_then(|raw| verifier.verify(&raw, at(NOW)));
    match outcome {
        Ok(evidence) => Some(evidence),
        Err(error) => {
            fit_to_show(&error);
            assert!(!error.reason().is_empty());
            None
        }
    }
}

fn account(evidence: VerifiedEvidence) -> ServiceAccount {
    match evidence.into_parts() {
        (_, Subject::ServiceAccount(account)) => account,
        (_, Subject::Certificate(_)) => panic!("a token that proves a certificate"),
    }
}

/// A header and claims, a line each, signed by a key that is trusted: a peer
/// that holds an API server's key, or found a way to have it sign. What is
/// accepted is what another JSON reader finds in the claims.
pub(crate) fn claims(bytes: &[u8]) {
    static SIGNER: LazyLock<(EcdsaKeyPair, TokenVerifier)> = LazyLock::new(|| {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let spki = key.public_key().as_der().unwrap();
        let verifier = token_verifier(nameplate_tests::pem("PUBLIC KEY", spki.as_ref()).as_bytes());
        (key, verifier)
    });
    let (key, verifier) = &*SIGNER;
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let header = lines.next().unwrap_or_default();
    let claims = lines.next().unwrap_or_default();
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    let token = format!("{input}.{}", encode(signature.as_ref()));
    let payload = format!(r#"{{"cluster":"{CLUSTER}","token":"{token}"}}"#);
    let Some(evidence) = verified(verifier, payload.as_bytes()) else {
        return;
    };

    let account = account(evidence);
    let header: Value = serde_json::from_slice(header).unwrap();
    assert_eq!(header.get("alg"), Some(&Value::from("ES256")));
    assert_eq!(header.get("crit"), None);
    let claims: Value = serde_json::from_slice(claims).unwrap();
    let text = |pointer: &str| claims.pointer(pointer).and_then(Value::as_str);
    let number = |pointer: &str| claims.pointer(pointer).and_then(Value::as_f64);
    let now = Duration::from_secs(NOW).as_secs_f64();
    let leeway = Duration::from_secs(LEEWAY).as_secs_f64();
    assert!(number("/exp").unwrap() + leeway >= now);
    assert!(number("/nbf").is_none_or(|from| from - leeway <= now));
    assert!(number("/iat").is_none_or(|from| from - leeway <= now));
    assert_eq!(
        text("/iss"),
        Some("https://kubernetes.default.svc.cluster.local")
    );
    let audience = &claims["aud"];
    let ours = Value::from("spire-server");
    assert!(*audience == ours || audience.as_array().unwrap().contains(&ours));
    let either = |bound: &str, flat: &str| text(bound).or_else(|| text(flat));
    assert_eq!(
        (account.namespace.as_str(), account.name.as_str()),
        ("spire", "spire-agent")
    );
    assert_eq!(
        either(
            "/kubernetes.io/namespace",
            "/kubernetes.io~1serviceaccount~1namespace"
        ),
        Some("spire")
    );
    assert_eq!(
        either(
            "/kubernetes.io/serviceaccount/name",
            "/kubernetes.io~1serviceaccount~1service-account.name"
        ),
        Some("spire-agent")
    );
    let pod = account.pod.as_ref();
    assert_eq!(pod.map(|pod| &*pod.name), text("/kubernetes.io/pod/name"));
    let node = account.node.as_ref();
    assert_eq!(
        node.map(|node| &*node.name),
        text("/kubernetes.io/node/name")
    );
}

/// The two lines of a token, as `claims` takes them.
pub fn claims_of(token: &str) -> Vec<u8> {
    let mut parts = token.split('.').map(|part| {
        URL_SAFE_NO_PAD
            .decode(part)
            .or_else(|_| STANDARD.decode(part))
            .unwrap()
    });
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
    [&header[..], b"\n", &claims].concat()
}
