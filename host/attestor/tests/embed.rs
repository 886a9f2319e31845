//! The example that the README shows is run, and is what the README shows.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should fail"
)]

#[expect(dead_code, reason = "the example's own `main`")]
#[path = "../examples/embed.rs"]
mod embed;
#[expect(
    dead_code,
    clippy::indexing_slicing,
    reason = "the server of another room's tests, as much of it as is needed here"
)]
#[path = "../../kubernetes/src/tests/server.rs"]
mod server;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use server::{Answer, TestServer};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

const CONFIG: &str = r#"
trust_domain = "example.org"

[attestors.k8s_sat]
policy = { source = "builtin:node" }

[attestors.k8s_sat.clusters.production]
service_account_key_file   = "production.pem"
service_account_allow_list = ["spire:spire-agent"]
issuer   = "https://kubernetes.default.svc.cluster.local"
audience = ["spire-server"]
"#;

/// A cluster in `dir`, and what one of its agents sends.
fn cluster(dir: &Path) -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    fs::write(dir.join("production.pem"), key.public_key_pem()).unwrap();
    fs::write(dir.join("nameplate.toml"), CONFIG).unwrap();
    let claims = serde_json::json!({
        "iss": "https://kubernetes.default.svc.cluster.local",
        "aud": ["spire-server"],
        "iat": 1_767_225_600, "nbf": 1_767_225_600, "exp": 1_767_229_200,
        "kubernetes.io": {
            "namespace": "spire",
            "serviceaccount": {"name": "spire-agent", "uid": "sa-uid"},
            "pod": {"name": "spire-agent-x8k2p", "uid": "pod-uid"},
            "node": {"name": "node-7", "uid": "node-uid"},
        },
    });
    let signer = EncodingKey::from_ec_der(&key.serialize_der());
    let token = encode(&Header::new(Algorithm::ES256), &claims, &signer).unwrap();
    serde_json::to_vec(&serde_json::json!({"cluster": "production", "token": token})).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn the_example_names_an_agent() {
    let dir = tempfile::tempdir().unwrap();
    let payload = cluster(dir.path());
    let config = dir.path().join("nameplate.toml");
    assert_eq!(
        embed::name(&config, "k8s_sat", payload.clone(), at(1_767_225_660)).unwrap(),
        "spiffe://example.org/spire/agent/k8s_sat/production/node-uid"
    );
    let other = embed::name(&config, "x509pop", payload.clone(), at(1_767_225_660)).unwrap_err();
    assert_eq!(other.to_string(), "no such attestor");
    let late = embed::name(&config, "k8s_sat", payload, at(1_767_999_999)).unwrap_err();
    assert_eq!(late.to_string(), "token_expired: the evidence was rejected");
}

#[test]
fn the_example_asks_who_knows() {
    // What the files of the other test hold, published.
    let dir = tempfile::tempdir().unwrap();
    let payload = cluster(dir.path());
    let pem = fs::read_to_string(dir.path().join("production.pem")).unwrap();
    let server = TestServer::start(move |_| Answer::json(jwks(&pem)));
    fs::write(dir.path().join("server.pem"), server.ca_pem()).unwrap();
    let published = format!(
        "jwks_url = \"{}/keys\"\njwks_ca_file = \"server.pem\"",
        server.url()
    );
    let keys = "service_account_key_file   = \"production.pem\"";
    let config = dir.path().join("nameplate.toml");
    fs::write(&config, CONFIG.replace(keys, &published)).unwrap();
    assert_eq!(
        embed::name(&config, "k8s_sat", payload, at(1_767_225_660)).unwrap(),
        "spiffe://example.org/spire/agent/k8s_sat/production/node-uid"
    );
    assert_eq!(server.requests(), 1);
}

/// The P-256 key of a PEM file as a JWK Set.
fn jwks(pem: &str) -> String {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let spki = STANDARD.decode(body).unwrap();
    let (_, point) = spki.split_at(spki.len() - 64);
    let (x, y) = point.split_at(32);
    serde_json::json!({"keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }]})
    .to_string()
}

#[test]
fn the_readme_shows_the_example() {
    let shown = include_str!("../../../README.md");
    assert!(shown.contains(include_str!("../examples/embed.rs")));
}
