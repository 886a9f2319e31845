//! What must not show: evidence in an answer, and a credential anywhere.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::config::Config;
use nameplate_attestor::{Attempt, AttestError, Attestation, Attestor, Generation, chain};
use nameplate_evidence::{Method, RawEvidence, TokenVerifier};
use nameplate_policy::{Circumstances, Facts, Sandbox};
use nameplate_tests::{Clusters, Issuer, NOW, Token, at, facts, guest, patient};
use serde_json::json;
use std::fs;

const POLICIES: [&str; 5] = [
    r#"{ source = "builtin:uuid" }"#,
    r#"{ source = "builtin:node" }"#,
    r#"{ source = "builtin:pod" }"#,
    r#"{ source = "builtin:thumbprint" }"#,
    r#"{ source = "builtin:template", settings = { path = ["{cluster}", "{token_id}"] } }"#,
];

/// Production and staging, named by `policy`; staging may sign for production
/// too, so that one subject can have tokens of two keys.
fn attestor(clusters: &Clusters, policy: &str) -> Attestor {
    let folder = tempfile::tempdir().unwrap();
    clusters.write_keys(folder.path());
    let text = format!(
        r#"
        trust_domain = "example.org"
        [attestors.k8s_sat]
        policy = {policy}
        limits = {{ deadline = "60s" }}
        [attestors.k8s_sat.clusters.production]
        service_account_key_file   = "keys/both.pem"
        service_account_allow_list = ["spire:spire-agent"]
        issuer   = "https://kubernetes.default.svc.cluster.local"
        audience = ["spire-server"]
        ca_file  = "keys/production-ca.pem"
        "#
    );
    fs::create_dir(folder.path().join("policies")).unwrap();
    for guest in guest::files() {
        let file = format!("policies/{}.wasm", guest.name);
        fs::write(folder.path().join(file), guest.bytes).unwrap();
    }
    let config = match Config::from_toml(&text, "config.toml", folder.path()) {
        Ok(config) => config,
        Err(problems) => panic!("{}", problems.render(false)),
    };
    let sandbox = Sandbox::new().unwrap();
    match Generation::load(&config, &config.attestors[0], &sandbox) {
        Ok(generation) => Attestor::new(generation),
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

fn attest(attestor: &Attestor, token: &str) -> Result<Attestation, AttestError> {
    let raw = RawEvidence::service_account_token(Method::K8sSat, "production", token, None);
    let attempt = Attempt::replayed(at(NOW), facts::ATTESTATION_ID.parse().unwrap());
    attestor.attest(&raw.unwrap(), &attempt)
}

/// Different tokens that prove the same: of two keys, with a random part in
/// the signature, and with claims that are no facts.
#[test]
fn equal_facts_of_different_tokens_get_equal_answers_at_equal_fuel() {
    let clusters = Clusters::new();
    let unread = |claim: &str| Token {
        claims: json!({"sub": claim, "warnafter": 1})
            .as_object()
            .unwrap()
            .clone(),
        ..Token::default()
    };
    let pss = Token {
        header: json!({"alg": "PS256"}).as_object().unwrap().clone(),
        ..Token::default()
    };
    let tokens = [
        clusters.production.issue(&Token::default()),
        clusters.production.issue(&pss),
        clusters.production.issue(&pss),
        clusters
            .production
            .issue(&unread("system:serviceaccount:other:one")),
        clusters.staging.issue(&Token::default()),
        clusters.staging.issue(&Token::default()),
        clusters.staging.issue(&unread(&"a".repeat(4_000))),
    ];
    let mut distinct = tokens.to_vec();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), tokens.len());

    for policy in POLICIES {
        let attestor = attestor(&clusters, policy);
        let answers: Vec<_> = tokens
            .iter()
            .map(|token| attest(&attestor, token).unwrap())
            .collect();
        for answer in &answers {
            assert_eq!(answer, &answers[0], "{policy}");
        }
    }
}

/// And the twin: a policy that is asked to read the token's digest reads it.
#[test]
fn the_digest_of_the_token_is_the_one_fact_that_differs() {
    let clusters = Clusters::new();
    let policy = r#"{ source = "builtin:thumbprint", settings = { source = "token" } }"#;
    let attestor = attestor(&clusters, policy);
    let one = attest(&attestor, &clusters.staging.issue(&Token::default())).unwrap();
    let other = attest(&attestor, &clusters.staging.issue(&Token::default())).unwrap();
    assert_ne!(one.identity.spiffe_id(), other.identity.spiffe_id());
    assert_eq!(one.fuel, other.fuel);
}

/// Text that could only come from a token or its signature.
struct Secrets(Vec<String>);

impl Secrets {
    fn of(token: &str, canary: &str) -> Self {
        let mut secrets: Vec<_> = token.split('.').map(str::to_owned).collect();
        secrets.push(token.to_owned());
        secrets.push(canary.to_owned());
        // A header is the same for all tokens of a key and no secret.
        secrets.remove(0);
        // Too short to be anybody's: `AAAA` in the place of a signature.
        secrets.retain(|secret| secret.len() >= 16);
        // A part of a secret is one too.
        for secret in secrets.clone() {
            if secret.len() > 64 {
                secrets.push(secret[..48].to_owned());
                secrets.push(secret[secret.len() - 48..].to_owned());
            }
        }
        Self(secrets)
    }

    #[track_caller]
    fn are_not_in(&self, text: &str) {
        for secret in &self.0 {
            assert!(
                !text.contains(secret.as_str()),
                "`{secret}` shows in {text}"
            );
        }
    }
}

const CANARY: &str = "canary-4b1d-in-the-claims";

#[test]
fn no_credential_shows_in_a_success() {
    let clusters = Clusters::new();
    let token = clusters.production.issue(&Token {
        claims: json!({"canary": CANARY, "sub": CANARY})
            .as_object()
            .unwrap()
            .clone(),
        ..Token::default()
    });
    let secrets = Secrets::of(&token, CANARY);
    let attestor = attestor(&clusters, POLICIES[0]);
    let raw =
        RawEvidence::service_account_token(Method::K8sSat, "production", &token, None).unwrap();
    secrets.are_not_in(&format!("{raw:?} {raw:#?}"));
    let attestation = attest(&attestor, &token).unwrap();
    secrets.are_not_in(&format!("{attestation:?}"));
    secrets.are_not_in(&serde_json::to_string(&attestation).unwrap());
    secrets.are_not_in(&format!("{attestor:?}"));
}

#[test]
fn no_credential_is_among_the_facts() {
    let clusters = Clusters::new();
    let token = clusters.staging.issue(&Token {
        claims: json!({"canary": CANARY, "sub": CANARY})
            .as_object()
            .unwrap()
            .clone(),
        ..Token::default()
    });
    let folder = tempfile::tempdir().unwrap();
    clusters.write_keys(folder.path());
    let keys = fs::read(folder.path().join("keys/staging.pem")).unwrap();
    let verifier = TokenVerifier::new([nameplate_evidence::ClusterTrust {
        name: "production".to_owned(),
        keys: nameplate_evidence::KeySet::from_pem(&keys).unwrap(),
        allowed: vec!["spire:spire-agent".parse().unwrap()],
        issuer: None,
        audience: Vec::new(),
        leeway: patient().deadline,
        allow_unexpiring_tokens: false,
        ca_thumbprint: None,
    }]);
    let raw =
        RawEvidence::service_account_token(Method::K8sSat, "production", &token, None).unwrap();
    let verified = verifier.verify(&raw, at(NOW)).unwrap();
    let secrets = Secrets::of(&token, CANARY);
    secrets.are_not_in(&format!("{verifier:?}"));
    secrets.are_not_in(&format!("{verified:?}"));
    let circumstances = Circumstances {
        trust_domain: "example.org".to_owned(),
        attestor: "k8s_sat".to_owned(),
        attested_at: NOW,
        attestation_id: facts::ATTESTATION_ID.to_owned(),
    };
    let facts = Facts::new(circumstances, verified);
    secrets.are_not_in(&format!("{facts:?}"));
    secrets.are_not_in(&serde_json::to_string(&facts).unwrap());
}

#[test]
fn no_credential_shows_in_a_failure() {
    let clusters = Clusters::new();
    let with = |claims: serde_json::Value| {
        let mut claims = claims.as_object().unwrap().clone();
        claims.insert("canary".to_owned(), CANARY.into());
        Token {
            claims,
            ..Token::default()
        }
    };
    let issue = |issuer: &Issuer, claims| issuer.issue(&with(claims));
    let good = issue(&clusters.production, json!({}));
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    let rejected = [
        issue(&clusters.stranger, json!({})),
        issue(&clusters.production, json!({"exp": NOW - 1000})),
        issue(&clusters.production, json!({"exp": CANARY})),
        issue(&clusters.production, json!({"kubernetes.io": CANARY})),
        issue(&clusters.production, json!({"aud": null})),
        issue(&clusters.production, json!({"nbf": NOW + 1000})),
        format!("{unsigned}."),
        format!("{unsigned}.AAAA"),
        format!("{good}.more"),
        format!("{good}="),
        format!("{good}{}", "a".repeat(20_000)),
        good.replace('.', "..."),
        good[..good.len() / 2].to_owned(),
    ];
    let any = attestor(&clusters, POLICIES[0]);
    for token in &rejected {
        let error = attest(&any, token).unwrap_err();
        assert!(matches!(error, AttestError::Rejected(_)), "{error:?}");
        shows_nothing(&error, &Secrets::of(&good, CANARY));
        shows_nothing(&error, &Secrets::of(token, CANARY));
    }
    // Denials, faults and refusals of a policy for a token that holds.
    let denying = r#"{ source = "builtin:uuid", settings = { source = "claimed" } }"#;
    let file = |name: &str| format!("{{ source = \"policies/{name}.wasm\" }}");
    let failing = [
        denying.to_owned(),
        file("loop_in_derive"),
        file("trap_unreachable"),
        file("string_not_utf8"),
        file("realloc_misaligned"),
        file("realloc_over_itself"),
    ];
    for policy in failing {
        let error = attest(&attestor(&clusters, &policy), &good).unwrap_err();
        assert!(!matches!(error, AttestError::Rejected(_)), "{error:?}");
        shows_nothing(&error, &Secrets::of(&good, CANARY));
    }
}

fn shows_nothing(error: &AttestError, secrets: &Secrets) {
    secrets.are_not_in(&chain(error));
    secrets.are_not_in(&format!("{error:?} {error:#?} {error}"));
    secrets.are_not_in(&error.peer_message().to_string());
}
