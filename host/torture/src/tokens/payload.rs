//! At the payload and at the token's shape: nothing is signed or believed yet.

use super::{TokenAttack, TokenGround, header};
use crate::attack::Expected;
use crate::cluster::Signer;
use crate::error::TortureError;
use serde_json::{Value, json};

pub(super) fn attacks(ground: &TokenGround) -> Result<Vec<TokenAttack>, TortureError> {
    let token = ground.issued(&ground.claims(), Signer::Rsa)?;
    let mut attacks = texts(ground, &token);
    attacks.extend(members(ground, &token));
    attacks.extend(shapes(ground, &token)?);
    attacks.extend(encodings(ground, &token)?);
    Ok(attacks)
}

fn attack(
    name: impl Into<String>,
    payload: impl Into<Vec<u8>>,
    reason: &'static str,
) -> TokenAttack {
    TokenAttack {
        name: name.into(),
        incident: None,
        payload: payload.into(),
        named: false,
        expected: Expected::by(reason),
    }
}

fn repeating(incident: &'static str, mut attack: TokenAttack) -> TokenAttack {
    attack.incident = Some(incident);
    attack
}

/// Bytes that are no payload.
fn texts(ground: &TokenGround, token: &str) -> Vec<TokenAttack> {
    let cluster = &ground.cluster.name;
    let good = json!({"cluster": cluster, "token": token}).to_string();
    let cut: String = good.chars().take(good.chars().count() / 2).collect();
    let deep = format!("{{\"more\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let twice = |member: &str, one: &str, other: &str| {
        json!({"first": 1}).to_string().replace(
            "\"first\":1",
            &format!(
                "\"cluster\":{},\"token\":{},\"{member}\":{}",
                json!(cluster),
                json!(one),
                json!(other)
            ),
        )
    };
    let malformed = "payload_malformed";
    vec![
        attack("an empty payload", "", "payload_missing"),
        attack(
            "a payload of 40 KiB",
            " ".repeat(40 << 10) + &good,
            "payload_too_large",
        ),
        attack("the token itself as payload", token, malformed),
        attack("a list as payload", format!("[{good}]"), malformed),
        attack("a text as payload", json!(good).to_string(), malformed),
        attack("half a payload", cut, malformed),
        attack("two payloads", good.repeat(2), malformed),
        attack("a byte order mark", format!("\u{feff}{good}"), malformed),
        attack("a NUL behind it", format!("{good}\0"), malformed),
        attack(
            "bytes that are not UTF-8",
            [&b"{\"cluster\":\"\xff\",\"token\":\"a\"}"[..]].concat(),
            malformed,
        ),
        attack("a payload 500 lists deep", deep, malformed),
        repeating(
            "SPIRE 1.14.6 (aws_iid)",
            attack(
                "two tokens in one payload",
                twice("token", token, "a.b.c"),
                malformed,
            ),
        ),
        attack(
            "two clusters in one payload",
            twice("cluster", token, "other"),
            malformed,
        ),
        attack(
            "a comment in the payload",
            good.replacen('{', "{/* */", 1),
            malformed,
        ),
    ]
}

/// Members that are missing, or not what they should be.
fn members(ground: &TokenGround, token: &str) -> Vec<TokenAttack> {
    let cluster = ground.cluster.name.as_str();
    let mut attacks = Vec::new();
    for wrong in [json!(null), json!(1), json!(true), json!([]), json!({})] {
        for (name, payload) in [
            ("cluster", json!({"cluster": wrong, "token": token})),
            ("token", json!({"cluster": cluster, "token": wrong})),
        ] {
            attacks.push(attack(
                format!("{wrong} as `{name}`"),
                payload.to_string(),
                "payload_member_malformed",
            ));
        }
    }
    let with_id = |id: &str| json!({"cluster": cluster, "token": token, "uuid": id}).to_string();
    let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let of = |cluster: &str| json!({"cluster": cluster, "token": token}).to_string();
    for (name, payload, reason) in [
        (
            "no cluster",
            json!({"token": token}).to_string(),
            "cluster_missing",
        ),
        ("an empty cluster", of(""), "cluster_missing"),
        (
            "no token",
            json!({"cluster": cluster}).to_string(),
            "token_missing",
        ),
        (
            "a blank token",
            json!({"cluster": cluster, "token": " \n"}).to_string(),
            "token_missing",
        ),
        (
            "members in upper case",
            json!({"CLUSTER": cluster, "TOKEN": token}).to_string(),
            "cluster_missing",
        ),
        ("an empty claimed ID", with_id(""), "claimed_id_malformed"),
        (
            "a claimed ID that climbs",
            with_id("../../../../../../../../../../../../"),
            "claimed_id_malformed",
        ),
        (
            "a claimed ID without hyphens",
            with_id(&id.replace('-', "")),
            "claimed_id_malformed",
        ),
        (
            "a claimed ID in brackets",
            with_id(&format!("{{{id}}}")),
            "claimed_id_malformed",
        ),
    ] {
        attacks.push(attack(name, payload, reason));
    }
    for (name, other) in [
        ("a cluster that is not configured", format!("{cluster}-not")),
        ("a cluster with a space behind it", format!("{cluster} ")),
        ("a cluster with a NUL behind it", format!("{cluster}\0")),
        ("a cluster that climbs", format!("../{cluster}")),
        (
            "a cluster spelt with a zero-width space",
            format!("{cluster}\u{200b}"),
        ),
    ] {
        let attack = attack(name, of(&other), "unknown_cluster");
        attacks.push(repeating("CVE-2021-27099", attack));
    }
    attacks
}

/// Tokens that have not three parts, or too much in them.
fn shapes(ground: &TokenGround, token: &str) -> Result<Vec<TokenAttack>, TortureError> {
    let payload = |token: &str| ground.payload(token);
    let long = ground.claims_with(&[("/filler", json!("x".repeat(17 << 10)))]);
    let long = ground.issued(&long, Signer::Rsa)?;
    Ok(vec![
        attack("a token without dots", payload("token"), "token_shape"),
        attack("a token with one dot", payload("a.b"), "token_shape"),
        // No word that is said of any token may have a part of it.
        repeating(
            "SPIRE#6732",
            attack(
                "a good token with a part more, and what is said of it",
                payload(&format!("{token}.e30")),
                "token_shape",
            ),
        ),
        repeating(
            "CVE-2025-27144",
            attack(
                "a token of 10,000 dots",
                payload(&".".repeat(10_000)),
                "token_shape",
            ),
        ),
        repeating(
            "CVE-2025-22868",
            attack(
                "a token of 16,385 dots",
                payload(&".".repeat(16_385)),
                "token_too_large",
            ),
        ),
        repeating(
            "CVE-2025-63811",
            attack(
                "an encrypted token",
                payload(
                    "eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJwMmMiOjk5OTk5OTk5LCJlbmMiOiJBMTI4R0NNIn0.a.b.c.d",
                ),
                "token_encrypted",
            ),
        ),
        attack(
            "a token in JSON form",
            payload(&json!({"payload": "e30", "signatures": []}).to_string()),
            "token_shape",
        ),
        attack("a token of 23 KiB", payload(&long), "token_too_large"),
        attack(
            "two tokens with a space between",
            payload(&format!("{token} {token}")),
            "token_encrypted",
        ),
    ])
}

/// Parts that are not base64url as the standard has it.
fn encodings(ground: &TokenGround, token: &str) -> Result<Vec<TokenAttack>, TortureError> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else {
        return Ok(Vec::new());
    };
    let mut attacks = Vec::new();
    for (name, character) in [
        ("padding", "="),
        ("a plus sign", "+"),
        ("a space", " "),
        ("a line break", "\n"),
        ("a letter that is not ASCII", "\u{e4}"),
        ("a NUL", "\0"),
    ] {
        let broken = |text: &str| format!("A{character}{text}");
        // Without an API server to ask, what is signed is also what is read.
        let signed_claims = ground.keys.signed(
            &format!("{}.{}", encoded(&header(Signer::Rsa)), broken(claims)),
            Signer::Rsa,
        )?;
        for (part, token, expected) in [
            (
                "header",
                format!("{}.{claims}.{signature}", broken(head)),
                "token_encoding",
            ),
            ("claims", signed_claims, "token_encoding"),
            (
                "signature",
                format!("{head}.{claims}.{}", broken(signature)),
                "token_encoding",
            ),
        ] {
            attacks.push(TokenAttack {
                name: format!("{name} in the {part}"),
                incident: None,
                payload: ground.payload(&token),
                named: false,
                expected: ground.refused_by(expected),
            });
        }
    }
    Ok(attacks)
}

fn encoded(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// A member of a list of values that are of no type asked for.
pub(super) fn of_other_types() -> [Value; 6] {
    [
        json!(null),
        json!(1),
        json!(true),
        json!([1]),
        json!({}),
        json!(""),
    ]
}
