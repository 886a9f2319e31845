//! Evidence made to be expensive, and evidence made to be repeated in a log.

use nameplate_evidence::{EvidenceError, MAX_TOKEN_BYTES, Method, RawEvidence, TokenVerifier};
use serde_json::{Value, json};

use crate::support::{
    NOW, RSA, RSA_OTHER, at, chain, claims, claims_with, evidence, production, refused, token,
    token_of, verify_with,
};

fn refusal(payload: &str) -> EvidenceError {
    let raw = RawEvidence::new(Method::K8sSat, payload).unwrap();
    TokenVerifier::new([production(RSA.keys())])
        .verify(&raw, at(NOW))
        .unwrap_err()
}

#[test]
fn a_token_has_16384_bytes_at_most() {
    // The signature takes 342 characters, a header `{"alg":"RS256"}` 20.
    let of_length = |length: usize| {
        let mut claims = claims();
        for pad in (0..length).rev() {
            claims["pad"] = json!("x".repeat(pad));
            let text = token(&RSA, "RS256", &claims);
            if text.len() <= length {
                return text;
            }
            // Four characters hold three bytes.
            if text.len() > length + 8 {
                let pad = pad.saturating_sub((text.len() - length) * 3 / 4);
                for pad in (pad.saturating_sub(8)..=pad + 8).rev() {
                    claims["pad"] = json!("x".repeat(pad));
                    let text = token(&RSA, "RS256", &claims);
                    if text.len() <= length {
                        return text;
                    }
                }
            }
        }
        panic!("no token of {length} characters");
    };
    let longest = of_length(MAX_TOKEN_BYTES);
    assert!(longest.len() > MAX_TOKEN_BYTES - 2);
    assert!(verify_with(RSA.keys(), &longest).is_ok());
    let longer = of_length(MAX_TOKEN_BYTES + 3);
    assert!(longer.len() > MAX_TOKEN_BYTES);
    assert_eq!(
        refused(verify_with(RSA.keys(), &longer)),
        (
            "token_too_large",
            format!(
                "token is {} bytes long, more than 16,384 bytes",
                nameplate_words::grouped(longer.len())
            )
        )
    );
}

#[test]
fn a_payload_full_of_members_ends_quickly_in_a_refusal() {
    let members: Vec<_> = (0..3_500).map(|i| format!("\"{i}\":0")).collect();
    let text = format!("{{{}}}", members.join(","));
    assert_eq!(refusal(&text).reason(), "cluster_missing");
    let dots = ".".repeat(30_000);
    let text = format!(r#"{{"cluster":"production","token":"{dots}"}}"#);
    assert_eq!(refusal(&text).reason(), "token_too_large");
}

/// No refusal, however it is shown, holds any part of a token.
#[test]
fn no_refusal_shows_the_token() {
    const CANARY: &str = "canary";
    let header = format!(r#"{{"alg":"RS256","x":"{CANARY}"}}"#);
    let marked = |claims: &Value| {
        let mut claims = claims.clone();
        claims["canary"] = json!(CANARY);
        token_of(&RSA, "RS256", &header, &claims.to_string())
    };
    let good = marked(&claims());
    let mut tokens = vec![
        good.replacen('.', "", 1),
        format!("{good}."),
        format!("{good}.."),
        format!("{good}!"),
        format!("!{good}"),
        format!("{good}{}", "x".repeat(MAX_TOKEN_BYTES)),
        good.replacen('.', "A.", 1),
        marked(&claims_with("exp", json!(1))),
        marked(&claims_with("exp", json!("1"))),
        marked(&claims_with("iss", json!("x"))),
        marked(&claims_with("aud", json!("x"))),
        marked(&json!({})),
    ];
    tokens.push(token_of(
        &RSA_OTHER,
        "RS256",
        &header,
        &claims().to_string(),
    ));
    let verifier = TokenVerifier::new([production(RSA.keys())]);
    for text in tokens {
        let raw = evidence(&text);
        let error = verifier.verify(&raw, at(NOW)).unwrap_err();
        let shown = format!(
            "{}\n{error:?}\n{error:#?}\n{raw:?}\n{verifier:?}",
            chain(&error)
        );
        for part in text.split('.').filter(|part| part.len() > 8) {
            let part = part.get(..16).unwrap_or(part);
            assert!(!shown.contains(part), "{shown}");
        }
        assert!(!shown.contains(CANARY), "{shown}");
    }
    let verified = verifier.verify(&evidence(&good), at(NOW)).unwrap();
    assert!(!format!("{verified:?}").contains(good.rsplit('.').next().unwrap()));
}
