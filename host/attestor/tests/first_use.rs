//! First use, on the whole path: who may attest a second time, and who may not.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nameplate_attestor::{
    Attempt, AttestError, Attestation, Attestor, Envelope, Failure, Generation, KnownAgents,
    KnownAgentsError, Namespace, Naming, SpiffeId,
};
use nameplate_evidence::{ClusterTrust, KeySet, Method, Patience, RawEvidence, TokenVerifier};
use nameplate_policy::{Limits, PolicyRequest, PolicySource, Sandbox};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

const NOW: u64 = 1_800_000_000;

static KEY: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

fn keys() -> KeySet {
    let der = KEY.public_key().as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
    KeySet::from_pem(pem.as_bytes()).unwrap()
}

fn token(id: &str, ends: Option<u64>) -> String {
    let mut claims = json!({
        "iat": NOW, "jti": id, "sub": "system:serviceaccount:spire:spire-agent",
        "kubernetes.io": {"namespace": "spire", "serviceaccount": {"name": "spire-agent"}}
    });
    if let Some(ends) = ends {
        let claims = claims.as_object_mut().unwrap();
        claims.insert("exp".to_owned(), Value::from(ends));
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(&json!({"alg": "RS256"})), encode(&claims));
    let mut signature = vec![0; KEY.public_modulus_len()];
    let random = SystemRandom::new();
    KEY.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
        .unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn generation() -> Generation {
    let request = PolicyRequest {
        source: PolicySource::Builtin("uuid".to_owned()),
        digest: None,
        settings: json!({}),
        limits: Limits::default(),
    };
    let naming = Naming::load(&Sandbox::new().unwrap(), &request, Envelope::default()).unwrap();
    let namespace = Namespace {
        trust_domain: "example.org".parse().unwrap(),
        attestor: "k8s_sat".parse().unwrap(),
    };
    let verifier = TokenVerifier::new([ClusterTrust {
        name: "production".to_owned(),
        keys: keys(),
        allowed: vec!["spire:spire-agent".parse().unwrap()],
        issuer: None,
        audience: Vec::new(),
        leeway: Duration::from_secs(60),
        allow_unexpiring_tokens: true,
        ca_thumbprint: None,
    }]);
    Generation::new(namespace, verifier, naming)
}

fn send(attestor: &Attestor, method: Method, token: &str) -> Result<Attestation, AttestError> {
    attest(attestor, method, token, |attempt| attempt)
}

fn attest(
    attestor: &Attestor,
    method: Method,
    token: &str,
    how: impl FnOnce(Attempt) -> Attempt,
) -> Result<Attestation, AttestError> {
    // As a peer wrote it, white space included.
    let payload = json!({"cluster": "production", "token": token}).to_string();
    let evidence = RawEvidence::new(method, payload).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    attestor.attest(&evidence, &how(Attempt::at(now)))
}

fn refusal(result: Result<Attestation, AttestError>) -> (Failure, &'static str, String) {
    let error = result.unwrap_err();
    (error.failure(), error.reason(), error.chain())
}

#[test]
fn a_one_time_token_serves_once_whatever_its_bytes() {
    let attestor = Attestor::new(generation().with_one_time_tokens());
    let text = token("a", Some(NOW + 600));
    send(&attestor, Method::K8sSat, &text).unwrap();
    let used = (
        Failure::Rejected,
        "token_already_used",
        "evidence rejected: the token has already been used".to_owned(),
    );
    assert_eq!(refusal(send(&attestor, Method::K8sSat, &text)), used);
    let spaced = format!("{text}\n");
    assert_eq!(refusal(send(&attestor, Method::K8sSat, &spaced)), used);
    // A swap does not make it new; another token is.
    attestor.swap(generation().with_one_time_tokens());
    assert_eq!(refusal(send(&attestor, Method::K8sSat, &text)), used);
    send(&attestor, Method::K8sSat, &token("b", Some(NOW + 600))).unwrap();
}

#[test]
fn without_the_setting_a_token_serves_again() {
    let attestor = Attestor::new(generation());
    let text = token("a", Some(NOW + 600));
    let first = send(&attestor, Method::K8sSat, &text).unwrap();
    let second = send(&attestor, Method::K8sSat, &text).unwrap();
    assert_ne!(first.identity, second.identity);
    assert!(!second.can_reattest);
}

#[test]
fn a_one_time_token_ends() {
    let attestor = Attestor::new(generation().with_one_time_tokens());
    assert_eq!(
        refusal(send(&attestor, Method::K8sSat, &token("a", None))),
        (
            Failure::Rejected,
            "token_endless",
            "evidence rejected: a token that never expires cannot be accepted once only".to_owned()
        )
    );
}

#[derive(Debug)]
struct Agents(Result<bool, KnownAgentsError>);

impl KnownAgents for Agents {
    fn knows(&self, id: &SpiffeId, _: &Patience) -> Result<bool, KnownAgentsError> {
        assert!(
            id.to_string()
                .starts_with("spiffe://example.org/spire/agent/k8s_sat/")
        );
        self.0.clone()
    }
}

#[test]
fn an_agent_that_is_known_gets_no_second_identity() {
    let attestor = Attestor::new(generation().with_one_time_tokens());
    let text = token("a", Some(NOW + 600));
    let with = |answer| {
        attest(&attestor, Method::K8sSat, &text, |attempt| {
            attempt.knowing(Arc::new(Agents(answer)))
        })
    };
    assert_eq!(
        refusal(with(Ok(true))),
        (
            Failure::Rejected,
            "agent_already_attested",
            "an agent of this identity has already attested".to_owned()
        )
    );
    let unknown = with(Err(KnownAgentsError("not started yet".to_owned()))).unwrap_err();
    assert!(unknown.is_transient());
    assert_eq!(
        unknown.chain(),
        "first use cannot be checked: cannot say whether the agent is known: not started yet"
    );
    // None of that used the token up.
    with(Ok(false)).unwrap();
}

#[test]
fn a_method_that_can_reattest_asks_nobody() {
    let attestor = Attestor::new(generation().of(Method::K8sPsat));
    let text = token("a", Some(NOW + 600));
    let attestation = attest(&attestor, Method::K8sPsat, &text, |attempt| {
        attempt.knowing(Arc::new(Agents(Ok(true))))
    })
    .unwrap();
    assert!(attestation.can_reattest);
}

#[test]
fn evidence_of_another_method_is_not_looked_at() {
    let attestor = Attestor::new(generation());
    let text = token("a", Some(NOW + 600));
    assert_eq!(
        refusal(send(&attestor, Method::K8sPsat, &text)),
        (
            Failure::Rejected,
            "method_mismatch",
            "evidence rejected: evidence of method `k8s_psat` was sent where `k8s_sat` is expected"
                .to_owned()
        )
    );
}
