//! Cases that state evidence: minted, verified, named.

use crate::support::Place;
use serde_json::{Value, json};

/// Runs one case of `builtin:` a policy, without an expectation.
fn found(policy: &str, case: &Value) -> Value {
    let place = Place::new();
    std::fs::create_dir(place.path().join("cases")).unwrap();
    place.write("cases/one.json", &case.to_string());
    let run = place.run(&format!(
        "policy test builtin:{policy} --cases cases --output json"
    ));
    run.json()["cases"][0]["found"].clone()
}

fn name(found: &Value) -> &str {
    found["identity"]["spiffe_id"].as_str().unwrap()
}

#[test]
fn a_token_is_signed_verified_and_named() {
    let token = |token: Value| json!({ "evidence": { "token": token } });
    let uid = "e4b7c1a9-0d52-4f83-a6e1-9b8c7d6e5f40";
    assert_eq!(
        name(&found("node", &token(json!({})))),
        format!("spiffe://example.org/spire/agent/k8s_sat/production/{uid}")
    );
    let moved = json!({ "claims": { "kubernetes.io": { "node": { "uid": "other" } } } });
    assert_eq!(
        name(&found("node", &token(moved))),
        "spiffe://example.org/spire/agent/k8s_sat/production/other"
    );
    assert_eq!(
        found("node", &token(json!({ "flaw": "foreign_key" }))),
        json!({ "rejected": "signature_invalid" })
    );
    assert_eq!(
        found(
            "node",
            &token(json!({ "cluster": "a", "trust": { "audience": ["b"] } }))
        ),
        json!({ "rejected": "audience_mismatch" })
    );
}

#[test]
fn a_certificate_is_issued_challenged_and_named() {
    let certificate = json!({
        "settings": { "source": "fingerprint", "selectors": [] },
        "evidence": { "certificate": { "key": "p521", "intermediates": ["Between"] } },
        "surrounding": { "trust_domain": "other.org", "attestor": "machines" },
    });
    let once = found("thumbprint", &certificate);
    assert!(
        name(&once).starts_with("spiffe://other.org/spire/agent/machines/"),
        "{once}"
    );
    // A digest in a name can be stated: it is the same every time.
    assert_eq!(found("thumbprint", &certificate), once);
    let mut flawed = certificate;
    flawed["evidence"]["certificate"]["flaw"] = "replayed_answer".into();
    assert_eq!(
        found("thumbprint", &flawed),
        json!({ "rejected": "possession_unproven" })
    );
}

#[test]
fn the_clock_is_the_cases() {
    let at = |clock: &str, claims: Value| {
        let case = json!({
            "evidence": { "token": { "claims": claims } },
            "surrounding": { "clock": clock },
        });
        found("node", &case)
    };
    let expires = json!({ "exp": 1_767_225_600 + 600 });
    let named = at("2026-01-01T00:10:59Z", expires.clone());
    assert!(name(&named).ends_with("e5f40"), "{named}");
    assert_eq!(
        at("2026-01-01T00:11:01Z", expires),
        json!({ "rejected": "token_expired" })
    );
}

#[test]
fn a_case_that_states_what_there_is_not_is_named() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("cases")).unwrap();
    let refused = |case: &Value| {
        place.write("cases/one.json", &case.to_string());
        let run = place.run("policy test builtin:node --cases cases").exits(1);
        run.stderr
    };
    let unknown = refused(&json!({ "evidence": { "token": { "flaw": "late" } } }));
    assert!(
        unknown.starts_with("error: `cases/one.json` is no case: unknown variant `late`"),
        "{unknown}"
    );
    let neither = refused(&json!({}));
    assert_eq!(
        neither,
        "error: `cases/one.json` is no case: a case states `facts` or `evidence`\n"
    );
}
