//! Each check on the whole path, its twin that passes, and the order of them.

use std::time::{Duration, UNIX_EPOCH};

use nameplate_evidence::{
    ClusterTrust, EvidenceError, MAX_TOKEN_BYTES, Method, Node, Pod, RawEvidence, ServiceAccount,
    Subject, TokenVerifier, VerifiedEvidence,
};
use serde_json::{Value, json};

use crate::support::{
    NOW, RSA, RSA_OTHER, at, chain, claims, claims_with, claims_without, encode, evidence,
    production, refused, token, token_of, verify, verify_with,
};

const HEADER: &str = r#"{"alg":"RS256"}"#;

fn of(claims: &Value) -> Result<ServiceAccount, EvidenceError> {
    verify_with(RSA.keys(), &token(&RSA, "RS256", claims))
}

fn of_text(claims: &str) -> Result<ServiceAccount, EvidenceError> {
    verify_with(RSA.keys(), &token_of(&RSA, "RS256", HEADER, claims))
}

fn payload(text: &str) -> Result<VerifiedEvidence, EvidenceError> {
    let raw = RawEvidence::new(Method::K8sSat, text)?;
    TokenVerifier::new([production(RSA.keys())]).verify(&raw, at(NOW))
}

#[test]
fn a_bound_token_proves_all_that_it_says() {
    let text = token(&RSA, "RS256", &claims());
    let account = verify_with(RSA.keys(), &text).unwrap();
    let expected = ServiceAccount {
        cluster: "production".to_owned(),
        cluster_thumbprint: Some("c0ffee".to_owned()),
        namespace: "spire".to_owned(),
        name: "spire-agent".to_owned(),
        uid: Some("sa-uid".to_owned()),
        pod: Some(Pod {
            name: "spire-agent-x7k2p".to_owned(),
            uid: Some("pod-uid".to_owned()),
            address: None,
            labels: Vec::new(),
        }),
        node: Some(Node {
            name: "worker-1".to_owned(),
            uid: Some("node-uid".to_owned()),
            address: None,
            labels: Vec::new(),
        }),
        issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
        audiences: vec!["spire-server".to_owned()],
        token_id: Some("f1a3".to_owned()),
        token_sha256: account.token_sha256.clone(),
        issued_at: Some(NOW - 60),
        expires_at: Some(NOW + 600),
    };
    assert_eq!(account, expected);
}

fn legacy() -> Value {
    json!({
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "spire",
        "kubernetes.io/serviceaccount/secret.name": "spire-agent-token-zjnwp",
        "kubernetes.io/serviceaccount/service-account.name": "spire-agent",
        "kubernetes.io/serviceaccount/service-account.uid": "sa-uid",
        "sub": "system:serviceaccount:spire:spire-agent",
    })
}

fn old_cluster() -> ClusterTrust {
    ClusterTrust {
        issuer: Some("kubernetes/serviceaccount".to_owned()),
        audience: Vec::new(),
        allow_unexpiring_tokens: true,
        ..production(RSA.keys())
    }
}

#[test]
fn a_legacy_token_is_accepted_where_the_operator_allows_it() {
    let text = token(&RSA, "RS256", &legacy());
    let account = verify(old_cluster(), &text).unwrap();
    assert_eq!(
        (&*account.namespace, &*account.name),
        ("spire", "spire-agent")
    );
    assert_eq!(
        (account.expires_at, account.audiences, account.pod),
        (None, Vec::new(), None)
    );

    let strict = ClusterTrust {
        allow_unexpiring_tokens: false,
        ..old_cluster()
    };
    assert_eq!(
        refused(verify(strict, &text)),
        (
            "token_never_expires",
            "token never expires (no `exp`), which the cluster does not allow".to_owned()
        )
    );
}

#[test]
fn the_claimed_id_stays_a_claim() {
    let uuid = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8";
    let text = token(&RSA, "RS256", &claims());
    let raw = RawEvidence::service_account_token(Method::K8sSat, "production", &text, Some(uuid))
        .unwrap();
    let verified = TokenVerifier::new([production(RSA.keys())])
        .verify(&raw, at(NOW))
        .unwrap();
    assert_eq!(verified.claimed_id(), Some(uuid.to_lowercase().as_str()));
    assert_eq!(verified.cluster(), "production");
    let Subject::ServiceAccount(account) = verified.subject() else {
        panic!()
    };
    assert_eq!(*account, verify_with(RSA.keys(), &text).unwrap());

    let raw = RawEvidence::service_account_token(Method::K8sSat, "production", &text, Some("../x"))
        .unwrap();
    let error = TokenVerifier::new([production(RSA.keys())])
        .verify(&raw, at(NOW))
        .unwrap_err();
    assert_eq!(error.reason(), "claimed_id_malformed");
}

/// One payload, repaired step by step: each refusal hides those behind it.
#[test]
fn refusals_come_in_the_order_of_spire() {
    let with = |token: &str| format!(r#"{{"cluster":"production","token":"{token}"}}"#);
    let signed = |claims: &Value| with(&token(&RSA, "RS256", claims));
    let mut subject = json!({
        "exp": 1, "nbf": NOW + 1000, "iat": NOW + 1000, "iss": "x", "aud": "x",
        "kubernetes.io": {"namespace": "a"},
    });
    let mut steps = vec![
        (String::new(), "payload_missing"),
        ("{".to_owned(), "payload_malformed"),
        (r#"{"cluster":"","token":""}"#.to_owned(), "cluster_missing"),
        (
            r#"{"cluster":"x","token":"","uuid":"x"}"#.to_owned(),
            "token_missing",
        ),
        (
            r#"{"cluster":"x","token":"x","uuid":"x"}"#.to_owned(),
            "claimed_id_malformed",
        ),
        (
            r#"{"cluster":"x","token":"x"}"#.to_owned(),
            "unknown_cluster",
        ),
        (with(&".".repeat(MAX_TOKEN_BYTES + 1)), "token_too_large"),
        (with("x"), "token_shape"),
        (with("!.!.!"), "token_encoding"),
        (with("AAAA.!.!"), "header_malformed"),
        (
            with(&format!("{}.!.!", encode(r#"{"alg":1,"crit":1}"#))),
            "header_critical",
        ),
        (
            with(&format!("{}.!.!", encode(r#"{"alg":1}"#))),
            "header_parameter_malformed",
        ),
        (
            with(&format!("{}.!.!", encode(r#"{"alg":"none"}"#))),
            "algorithm_refused",
        ),
        (with(&format!("{}.!.!", encode(HEADER))), "token_encoding"),
        (
            with(&format!("{}.!.AAAA", encode(HEADER))),
            "signature_invalid",
        ),
        (
            with(&token_of(&RSA, "RS256", HEADER, "[]")),
            "claims_malformed",
        ),
        (signed(&json!({"exp": "x"})), "claim_malformed"),
        (signed(&subject), "token_expired"),
    ];
    let repairs = [
        ("exp", json!(NOW + 2000), "token_not_yet_valid"),
        ("nbf", json!(1), "token_issued_in_future"),
        ("iat", json!(1), "issuer_mismatch"),
        ("iss", claims()["iss"].clone(), "audience_mismatch"),
        ("aud", json!("nameplate"), "service_account_name_missing"),
        (
            "kubernetes.io",
            json!({"namespace": "a", "serviceaccount": {"name": "b"}}),
            "service_account_not_allowed",
        ),
    ];
    for (claim, value, reason) in repairs {
        subject[claim] = value;
        steps.push((signed(&subject), reason));
    }
    for (text, reason) in steps {
        assert_eq!(payload(&text).unwrap_err().reason(), reason, "{text}");
    }
    subject["kubernetes.io"] = claims()["kubernetes.io"].clone();
    assert!(payload(&signed(&subject)).is_ok());
}

#[test]
fn a_cluster_is_known_by_its_exact_name() {
    let text = token(&RSA, "RS256", &claims());
    let verifier = TokenVerifier::new([production(RSA.keys())]);
    for name in ["Production", "production ", "../production", "x\n\u{1b}[2J"] {
        let raw = RawEvidence::service_account_token(Method::K8sSat, name, &text, None).unwrap();
        let error = verifier.verify(&raw, at(NOW)).unwrap_err();
        assert_eq!(error.reason(), "unknown_cluster");
        assert_eq!(
            error.to_string(),
            format!("cluster `{}` is not configured", name.escape_debug())
        );
    }
    assert!(verifier.verify(&evidence(&text), at(NOW)).is_ok());
}

#[test]
fn a_token_counts_for_its_own_cluster_only() {
    let staging = ClusterTrust {
        name: "staging".to_owned(),
        ..production(RSA_OTHER.keys())
    };
    let verifier = TokenVerifier::new([production(RSA.keys()), staging]);
    let text = token(&RSA_OTHER, "RS256", &claims());
    let raw = |name| RawEvidence::service_account_token(Method::K8sSat, name, &text, None).unwrap();
    assert_eq!(
        verifier.verify(&raw("staging"), at(NOW)).unwrap().cluster(),
        "staging"
    );
    assert_eq!(
        chain(&verifier.verify(&raw("production"), at(NOW)).unwrap_err()),
        "token for cluster `production` is refused: signature fits no key (of 1 tried)"
    );
}

#[test]
fn a_member_may_appear_once_at_any_depth() {
    let twice = |column| format!("member `exp` appears twice at line 1 column {column}");
    let claims = claims().to_string();
    let doubled = claims.replacen('{', r#"{"exp":1,"#, 1);
    assert_eq!(
        refused(of_text(&doubled)),
        (
            "claims_malformed",
            format!("token claims are malformed: {}", twice(doubled.len()))
        )
    );
    let nested = claims.replace(r#""pod":{"#, r#""pod":{"name":"other","#);
    let (reason, text) = refused(of_text(&nested));
    assert_eq!(reason, "claims_malformed");
    assert!(
        text.starts_with("token claims are malformed: member `name` appears twice"),
        "{text}"
    );
    let header = r#"{"alg":"RS256","alg":"none"}"#;
    assert_eq!(
        refused(verify_with(
            RSA.keys(),
            &token_of(&RSA, "RS256", header, &claims)
        )),
        (
            "header_malformed",
            "token header is malformed: member `alg` appears twice at line 1 column 28".to_owned()
        )
    );
    assert!(of_text(&claims).is_ok());
}

#[test]
fn every_part_is_base64url_and_nothing_else() {
    let good = token(&RSA, "RS256", &claims());
    let [header, claims, signature] = *good.split('.').collect::<Vec<_>>() else {
        panic!()
    };
    let refusal = |token: String| refused(verify_with(RSA.keys(), &token));
    assert_eq!(
        refusal(format!("{header}=.{claims}.{signature}")).1,
        "header of the token is not base64url without padding: it is padded"
    );
    assert_eq!(
        refusal(format!("{header}.{claims}.{signature}==")).1,
        "signature of the token is not base64url without padding: it is padded"
    );
    assert_eq!(
        refusal(format!(
            "{header}.{claims}.{}",
            signature.replacen(|_: char| true, "+", 1)
        ))
        .1,
        "signature of the token is not base64url without padding: byte 0 is not in the base64url alphabet"
    );
    // White space inside a token is not white space round it.
    assert_eq!(
        refusal(format!("{header}.{claims}.\n{signature}")).0,
        "token_encoding"
    );
    // The claims of a token are decoded once they are signed.
    let input = format!("{header}.{claims}=");
    let signed = format!("{input}.{}", encode(RSA.sign("RS256", input.as_bytes())));
    assert_eq!(refusal(signed).0, "token_encoding");
    assert_eq!(
        refusal(format!("{header}.{claims}=.{signature}")).0,
        "signature_invalid"
    );
}

#[test]
fn times_are_held_against_the_time_given() {
    let verifier = TokenVerifier::new([production(RSA.keys())]);
    let raw = evidence(&token(&RSA, "RS256", &claims()));
    let verify = |time| verifier.verify(&raw, time).map_err(|error| chain(&error));
    let refusal = |text: &str| Err(format!("token for cluster `production` is refused: {text}"));

    // From a minute before `nbf` to a minute after `exp`.
    assert!(verify(at(NOW - 120)).is_ok());
    assert_eq!(
        verify(at(NOW - 121)).map(drop),
        refusal("token is not valid for another 61 s (leeway 60 s)")
    );
    assert!(verify(at(NOW + 659)).is_ok());
    assert_eq!(
        verify(at(NOW + 660)).map(drop),
        refusal("token expired 60 s ago (leeway 60 s)")
    );
    assert_eq!(
        verify(UNIX_EPOCH - Duration::from_secs(1)).map(drop),
        Err("the time of verification lies before 1970-01-01".to_owned())
    );
}

#[test]
fn each_claim_is_checked() {
    let service_account = |namespace: &str, name: &str| {
        let mut claims = claims();
        claims["kubernetes.io"]["namespace"] = json!(namespace);
        claims["kubernetes.io"]["serviceaccount"]["name"] = json!(name);
        claims
    };
    let cases = [
        (claims_without("exp"), "token_never_expires"),
        (claims_with("exp", json!(NOW - 60)), "token_expired"),
        (claims_with("exp", Value::Null), "claim_malformed"),
        (claims_with("nbf", json!(NOW + 61)), "token_not_yet_valid"),
        (claims_with("nbf", json!("0")), "claim_malformed"),
        (
            claims_with("iat", json!(NOW + 61)),
            "token_issued_in_future",
        ),
        (claims_with("iat", json!(0.5)), "claim_malformed"),
        (claims_without("iss"), "issuer_missing"),
        (
            claims_with("iss", json!("https://elsewhere")),
            "issuer_mismatch",
        ),
        (
            claims_with("iss", json!(["https://elsewhere"])),
            "claim_malformed",
        ),
        (claims_without("aud"), "audience_missing"),
        (claims_with("aud", json!([])), "audience_missing"),
        (claims_with("aud", json!("vault")), "audience_mismatch"),
        (
            claims_with("aud", json!({"spire-server": 1})),
            "claim_malformed",
        ),
        (claims_with("jti", json!(1)), "claim_malformed"),
        (claims_without("kubernetes.io"), "namespace_missing"),
        (
            claims_with("kubernetes.io/serviceaccount/namespace", json!("spire")),
            "namespace_found_twice",
        ),
        (
            claims_with(
                "kubernetes.io/serviceaccount/service-account.name",
                json!("spire-agent"),
            ),
            "service_account_name_found_twice",
        ),
        (
            claims_with(
                "kubernetes.io/serviceaccount/service-account.uid",
                json!("sa-uid"),
            ),
            "service_account_uid_found_twice",
        ),
        (
            service_account("spire", "spire-server"),
            "service_account_not_allowed",
        ),
        (
            service_account("other", "spire-agent"),
            "service_account_not_allowed",
        ),
        (
            service_account("spire:spire-agent", "x"),
            "service_account_not_allowed",
        ),
    ];
    for (claims, reason) in cases {
        assert_eq!(refused(of(&claims)).0, reason, "{claims}");
    }
    for claims in [
        claims(),
        claims_without("nbf"),
        claims_without("iat"),
        claims_without("jti"),
        claims_with("aud", json!("nameplate")),
        claims_with("unknown", json!({"exp": "x"})),
        service_account("other", "one"),
    ] {
        assert!(of(&claims).is_ok(), "{claims}");
    }
    assert_eq!(
        refused(of(&service_account("default", "it\n"))).1,
        r"service account `default:it\n` is not on the allow list"
    );
}

#[test]
fn an_empty_allow_list_lets_nobody_in() {
    let cluster = ClusterTrust {
        allowed: Vec::new(),
        ..production(RSA.keys())
    };
    assert_eq!(
        refused(verify(cluster, &token(&RSA, "RS256", &claims()))).0,
        "service_account_not_allowed"
    );
}
