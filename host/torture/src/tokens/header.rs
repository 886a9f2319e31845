//! At the header and at the signature: whose key signed, by which algorithm,
//! and what the token itself would like to be verified with.

use super::{TokenAttack, TokenGround, header};
use crate::cluster::Signer;
use crate::error::TortureError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(super) fn attacks(ground: &TokenGround) -> Result<Vec<TokenAttack>, TortureError> {
    let claims = ground.claims().to_string();
    let mut attacks = Vec::new();
    let mut push = |name: String, token: String, expected, incident| {
        attacks.push(TokenAttack {
            name,
            incident,
            payload: ground.payload(&token),
            named: false,
            expected,
        });
    };
    for (name, header, signer, reason, incident) in headers(ground) {
        let token = ground.keys.token(&header, &claims, signer)?;
        let expected = match reason {
            // Whose signature is unknown here may be known to an API server.
            "algorithm_refused" if signer != Signer::Nobody => ground.judged_by_a_server(reason),
            _ => ground.refused_by(reason),
        };
        push(name, token, expected, incident);
    }
    for signer in [Signer::Rsa, Signer::P256] {
        let whole = ground.keys.token(&header(signer), &claims, signer)?;
        let (input, _) = whole.rsplit_once('.').unwrap_or_default();
        let signature = ground.keys.signature(input, signer)?;
        for (name, signature, incident) in signatures(&signature) {
            let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
            push(
                format!("{name} ({signer:?})"),
                token,
                ground.refused_by("signature_invalid"),
                incident,
            );
        }
        let other = ground.claims_with(&[("/kubernetes.io/node/name", json!("control-plane-1"))]);
        let forged = ground
            .keys
            .token(&header(signer), &other.to_string(), Signer::Nobody)?;
        let (forged, _) = forged.rsplit_once('.').unwrap_or_default();
        let token = format!("{forged}.{}", URL_SAFE_NO_PAD.encode(&signature));
        push(
            format!("other claims under a good signature ({signer:?})"),
            token,
            ground.refused_by("signature_invalid"),
            Some("SPIRE 1.14.6 (aws_iid)"),
        );
    }
    Ok(attacks)
}

type Header = (String, String, Signer, &'static str, Option<&'static str>);

fn headers(ground: &TokenGround) -> Vec<Header> {
    let mut headers = Vec::new();
    let mut push = |name: &str, header: Value, signer, reason, incident| {
        headers.push((
            name.to_owned(),
            header.to_string(),
            signer,
            reason,
            incident,
        ));
    };
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let name = format!("`{algorithm}` as algorithm");
        push(
            &name,
            json!({"alg": algorithm}),
            Signer::Nobody,
            "algorithm_refused",
            Some("CVE-2015-9235"),
        );
    }
    for algorithm in ["HS256", "HS384", "HS512"] {
        let name = format!("{algorithm} under the public key");
        push(
            &name,
            json!({"alg": algorithm}),
            Signer::PublicKey,
            "algorithm_refused",
            Some("Keats/jsonwebtoken#41"),
        );
    }
    push(
        "HS256 under a key of no bytes",
        json!({"alg": "HS256", "kid": ""}),
        Signer::EmptyKey,
        "algorithm_refused",
        Some("CVE-2026-45363"),
    );
    for algorithm in [
        "RS1", "EdDSA", "ES256K", "RSA-OAEP", "dir", "rs256", "RS256 ", "RS256\0",
    ] {
        let name = format!("{} as algorithm", json!(algorithm));
        push(
            &name,
            json!({"alg": algorithm}),
            Signer::Rsa,
            "algorithm_refused",
            None,
        );
    }
    push(
        "no algorithm",
        json!({"kid": "rsa"}),
        Signer::Rsa,
        "algorithm_missing",
        None,
    );
    for wrong in [json!(null), json!(256), json!(["RS256"]), json!({})] {
        let parameter = "header_parameter_malformed";
        push(
            &format!("{wrong} as algorithm"),
            json!({"alg": wrong}),
            Signer::Rsa,
            parameter,
            None,
        );
        push(
            &format!("{wrong} as key ID"),
            json!({"alg": "RS256", "kid": wrong}),
            Signer::Rsa,
            parameter,
            None,
        );
    }
    for critical in [
        json!(["exp"]),
        json!(["b64"]),
        json!([]),
        json!(null),
        json!("exp"),
    ] {
        let incident = if critical == json!(["b64"]) {
            "CVE-2026-32597"
        } else if critical == json!(["exp"]) {
            "GHSA-hm7r-c7qw-ghp6"
        } else {
            "CVE-2025-59420"
        };
        push(
            &format!("{critical} as critical extensions"),
            json!({"alg": "RS256", "kid": "rsa", "crit": critical}),
            Signer::Rsa,
            "header_critical",
            Some(incident),
        );
    }
    push(
        "a request to decompress",
        json!({"alg": "RS256", "kid": "rsa", "zip": "DEF"}),
        Signer::Rsa,
        "token_encrypted",
        Some("WS-2023-0431"),
    );
    push(
        "an encrypted header",
        json!({"alg": "RSA-OAEP", "enc": "A256GCM"}),
        Signer::Rsa,
        "token_encrypted",
        Some("CVE-2025-63811"),
    );
    // Which key is tried is the token's to say; which keys there are is not.
    let carried = ground.keys.stranger();
    for (name, header) in [
        (
            "a key that the token carries",
            json!({"alg": "RS256", "jwk": carried}),
        ),
        (
            "a key that the token points to",
            json!({"alg": "RS256", "jku": "https://attacker.example/keys"}),
        ),
        (
            "a certificate that the token points to",
            json!({"alg": "RS256", "x5u": "https://attacker.example/leaf"}),
        ),
        (
            "a certificate that the token carries",
            json!({"alg": "RS256", "x5c": ["AAAA"]}),
        ),
        (
            "an issuer in the header",
            json!({"alg": "RS256", "iss": "https://attacker.example"}),
        ),
        (
            "a key ID that nobody knows",
            json!({"alg": "RS256", "kid": "stranger"}),
        ),
        (
            "a key ID that climbs",
            json!({"alg": "RS256", "kid": "../../../../dev/null"}),
        ),
        (
            "a key ID with a quote",
            json!({"alg": "RS256", "kid": "x' UNION SELECT 'k"}),
        ),
        (
            "somebody else's key under a known ID",
            json!({"alg": "RS256", "kid": "rsa"}),
        ),
        ("somebody else's key and no ID", json!({"alg": "RS256"})),
    ] {
        push(
            name,
            header,
            Signer::Stranger,
            "signature_invalid",
            Some("spire-identity-exchange#1"),
        );
    }
    for (name, header, signer, reason, incident) in [
        (
            "RS256 with the ID of a curve's key",
            json!({"alg": "RS256", "kid": "p256"}),
            Signer::Rsa,
            "algorithm_mismatch",
            "nov/json-jwt#95",
        ),
        (
            "ES256 with the ID of an RSA key",
            json!({"alg": "ES256", "kid": "rsa"}),
            Signer::P256,
            "algorithm_mismatch",
            "latchset/jwcrypto#235",
        ),
        (
            "ES384 with the ID of a P-256 key",
            json!({"alg": "ES384", "kid": "p256"}),
            Signer::P384,
            "algorithm_mismatch",
            "latchset/jwcrypto#235",
        ),
        (
            "ES512, which no key is for",
            json!({"alg": "ES512"}),
            Signer::P384,
            "algorithm_mismatch",
            "latchset/jwcrypto#235",
        ),
        (
            "PS256 over a signature of RS256",
            json!({"alg": "PS256", "kid": "rsa"}),
            Signer::Rsa,
            "signature_invalid",
            "Keats/jsonwebtoken#264",
        ),
        (
            "RS256 over a signature of PS256",
            json!({"alg": "RS256", "kid": "rsa"}),
            Signer::Pss,
            "signature_invalid",
            "Keats/jsonwebtoken#264",
        ),
        (
            "ES256 over a signature of P-384",
            json!({"alg": "ES256"}),
            Signer::P384,
            "signature_invalid",
            "Keats/jsonwebtoken#264",
        ),
        (
            "ES384 over a signature of P-256",
            json!({"alg": "ES384"}),
            Signer::P256,
            "signature_invalid",
            "Keats/jsonwebtoken#264",
        ),
        (
            "RS512 over a signature of RS256",
            json!({"alg": "RS512", "kid": "rsa"}),
            Signer::Rsa,
            "signature_invalid",
            "Keats/jsonwebtoken#264",
        ),
    ] {
        push(name, header, signer, reason, Some(incident));
    }
    let good = header(Signer::Rsa);
    for (name, header) in [
        (
            "an algorithm twice",
            good.replacen('{', r#"{"alg":"none","#, 1),
        ),
        ("a list as header", format!("[{good}]")),
        ("an empty header", String::new()),
        ("two headers", good.repeat(2)),
        ("a header cut short", good.chars().take(10).collect()),
    ] {
        headers.push((
            name.to_owned(),
            header,
            Signer::Rsa,
            "header_malformed",
            None,
        ));
    }
    headers
}

/// A signature with one thing wrong.
fn signatures(good: &[u8]) -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let flipped = |at: usize| {
        let flip = |(index, byte): (usize, &u8)| if index == at { byte ^ 1 } else { *byte };
        good.iter().enumerate().map(flip).collect::<Vec<u8>>()
    };
    let mut reversed = good.to_vec();
    reversed.reverse();
    let (first, second) = good.split_at(good.len() / 2);
    vec![
        ("no signature", Vec::new(), Some("CVE-2015-9235")),
        (
            "a signature of zeros",
            vec![0; good.len()],
            Some("CVE-2022-21449"),
        ),
        ("a signature of ones", vec![0xff; good.len()], None),
        (
            "a signature a byte short",
            good.split_last()
                .map_or(Vec::new(), |(_, rest)| rest.to_vec()),
            None,
        ),
        ("a signature a byte long", [good, &[0]].concat(), None),
        (
            "a signature with a zero before it",
            [&[0], good].concat(),
            None,
        ),
        ("a signature twice", good.repeat(2), None),
        ("a signature with its first bit changed", flipped(0), None),
        (
            "a signature with a bit in the middle changed",
            flipped(good.len() / 2),
            None,
        ),
        (
            "a signature with its last bit changed",
            flipped(good.len().saturating_sub(1)),
            None,
        ),
        ("a signature backwards", reversed, None),
        (
            "a signature with its halves exchanged",
            [second, first].concat(),
            None,
        ),
    ]
}
