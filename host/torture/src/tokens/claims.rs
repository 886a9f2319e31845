//! At the claims of tokens that the cluster's own key signed: what has to hold
//! of a token that is genuine.

mod bound;

use super::payload::of_other_types;
use super::{TokenAttack, TokenGround, header};
use crate::attack::Expected;
use crate::cluster::{OWN_AUDIENCE, Signer};
use crate::error::TortureError;
use nameplate_evidence::LocalProof;
use serde_json::{Value, json};

/// A name, claims, what has to come of them, and an incident.
pub(super) type Claimed = (String, Value, Expected, Option<&'static str>);

pub(super) fn attacks(ground: &TokenGround) -> Result<Vec<TokenAttack>, TortureError> {
    let mut claimed = Vec::new();
    // Where an API server judges tokens, it also judges their times and for
    // whom they are.
    if let Some(local) = ground.local() {
        claimed.extend(types(ground));
        claimed.extend(times(ground, local));
        claimed.extend(parties(ground, local));
        claimed.extend(places(ground));
    }
    claimed.extend(accounts(ground));
    claimed.extend(bound::unbound(ground));
    let mut attacks = Vec::new();
    let hostile = bound::hostile(ground).into_iter().map(|one| (one, true));
    let claimed = claimed.into_iter().map(|one| (one, false));
    for ((name, claims, expected, incident), named) in claimed.chain(hostile) {
        let token = ground.issued(&claims, Signer::Rsa)?;
        attacks.push(TokenAttack {
            name,
            incident,
            payload: ground.payload(&token),
            named,
            expected,
        });
    }
    if ground.local().is_some() {
        attacks.extend(texts(ground)?);
    }
    Ok(attacks)
}

/// Claims of another type than they have to be.
fn types(ground: &TokenGround) -> Vec<Claimed> {
    let malformed = || Expected::by("claim_malformed");
    let mut claimed = Vec::new();
    for claim in ["exp", "nbf", "iat"] {
        for wrong in [
            json!(null),
            json!("1900000000"),
            json!("never"),
            json!(1.5e9),
            json!(-1),
            json!(1e300),
            json!(true),
            json!([1_900_000_000]),
            json!({}),
            json!(u64::MAX),
            json!(253_402_300_800_u64),
        ] {
            claimed.push((
                format!("{wrong} as `{claim}`"),
                ground.claims_with(&[(&format!("/{claim}"), wrong)]),
                malformed(),
                Some("CVE-2026-25537"),
            ));
        }
    }
    for (claim, pointer) in [
        ("iss", "/iss"),
        ("jti", "/jti"),
        ("kubernetes.io.namespace", "/kubernetes.io/namespace"),
        (
            "kubernetes.io.serviceaccount.name",
            "/kubernetes.io/serviceaccount/name",
        ),
        ("kubernetes.io.pod.name", "/kubernetes.io/pod/name"),
        ("kubernetes.io.node.name", "/kubernetes.io/node/name"),
    ] {
        for wrong in of_other_types() {
            claimed.push((
                format!("{wrong} as `{claim}`"),
                ground.claims_with(&[(pointer, wrong)]),
                malformed(),
                Some("CVE-2026-25537"),
            ));
        }
    }
    for wrong in [
        json!(null),
        json!(1),
        json!({}),
        json!(""),
        json!([1]),
        json!([null]),
        json!([""]),
    ] {
        claimed.push((
            format!("{wrong} as `aud`"),
            ground.claims_with(&[("/aud", wrong)]),
            malformed(),
            None,
        ));
    }
    for wrong in [json!(1), json!("x"), json!([])] {
        claimed.push((
            format!("{wrong} as `kubernetes.io`"),
            ground.claims_with(&[("/kubernetes.io", wrong)]),
            malformed(),
            None,
        ));
    }
    claimed
}

/// Tokens of another time.
fn times(ground: &TokenGround, local: &LocalProof) -> Vec<Claimed> {
    let leeway = local.leeway.as_secs();
    let now = ground.now;
    let with = |claim: &str, time: u64| ground.claims_with(&[(claim, json!(time))]);
    let endless = if local.allow_unexpiring_tokens {
        Expected::Unasked("`allow_unexpiring_tokens = false`")
    } else {
        Expected::by("token_never_expires")
    };
    let past = |seconds: u64| now.saturating_sub(leeway).saturating_sub(seconds);
    let future = |seconds: u64| now.saturating_add(leeway).saturating_add(seconds);
    let by =
        |name: &str, claims: Value, reason| (name.to_owned(), claims, Expected::by(reason), None);
    vec![
        (
            "a token without an end".to_owned(),
            ground.claims_without("/exp"),
            endless,
            Some("SPIRE 1.12.3"),
        ),
        by(
            "a token that ended when the leeway did",
            with("/exp", past(0)),
            "token_expired",
        ),
        by(
            "a token that ended a minute before",
            with("/exp", past(60)),
            "token_expired",
        ),
        by(
            "a token of last year",
            with("/exp", past(31_536_000)),
            "token_expired",
        ),
        by(
            "a token that ended in 1970",
            with("/exp", 0),
            "token_expired",
        ),
        by(
            "a token for later",
            with("/nbf", future(60)),
            "token_not_yet_valid",
        ),
        by(
            "a token for the year 9999",
            with("/nbf", 253_402_300_799),
            "token_not_yet_valid",
        ),
        by(
            "a token from the future",
            with("/iat", future(60)),
            "token_issued_in_future",
        ),
    ]
}

/// Tokens of another issuer, or for somebody else.
fn parties(ground: &TokenGround, local: &LocalProof) -> Vec<Claimed> {
    let mut claimed = Vec::new();
    let issuer = local
        .issuer
        .clone()
        .unwrap_or_else(|| "https://issuer.example".to_owned());
    let known = |other: &str| other == issuer;
    let another = ground.strange(
        &["https://attacker.example", "https://issuer.invalid"],
        known,
    );
    let missing = |asked: bool, reason, what| match asked {
        true => Expected::by(reason),
        false => Expected::Unasked(what),
    };
    let asked = local.issuer.is_some();
    claimed.push((
        "no issuer".to_owned(),
        ground.claims_without("/iss"),
        missing(asked, "issuer_missing", "`issuer`"),
        Some("spire-identity-exchange#1"),
    ));
    for (name, other) in [
        ("another issuer", another.to_owned()),
        ("the issuer with a slash behind it", format!("{issuer}/")),
        ("the issuer in upper case", issuer.to_ascii_uppercase()),
        (
            "the issuer's name with more behind it",
            format!("{issuer}.attacker.example"),
        ),
        ("the issuer with a space behind it", format!("{issuer} ")),
        (
            "the issuer with a user before its name",
            issuer.replacen("://", "://a@", 1) + "#",
        ),
    ] {
        if known(&other) {
            continue;
        }
        claimed.push((
            name.to_owned(),
            ground.claims_with(&[("/iss", json!(other))]),
            missing(asked, "issuer_mismatch", "`issuer`"),
            Some("spire-identity-exchange#1"),
        ));
    }
    let asked = !local.audience.is_empty();
    let audience = local
        .audience
        .first()
        .cloned()
        .unwrap_or_else(|| "spire-server".to_owned());
    for (name, claims) in [
        ("no audience", ground.claims_without("/aud")),
        (
            "an empty list of audiences",
            ground.claims_with(&[("/aud", json!([]))]),
        ),
    ] {
        claimed.push((
            name.to_owned(),
            claims,
            missing(asked, "audience_missing", "`audience`"),
            Some("SPIRE#5142"),
        ));
    }
    let known = |audience: &str| local.audience.iter().any(|one| one == audience);
    let strange = ground.strange(&[OWN_AUDIENCE, "vault", "spire-server"], known);
    for (name, other) in [
        ("another audience", json!(strange)),
        (
            "an audience in upper case",
            json!([audience.to_ascii_uppercase()]),
        ),
        (
            "an audience with more behind it",
            json!([format!("{audience}x")]),
        ),
        ("audiences in one text", json!(format!("{audience},other"))),
        ("an audience in a pattern", json!(["*"])),
    ] {
        // One that the operator takes after all is no attack.
        if [&other, other.get(0).unwrap_or(&other)]
            .iter()
            .any(|one| one.as_str().is_some_and(known))
        {
            continue;
        }
        claimed.push((
            name.to_owned(),
            ground.claims_with(&[("/aud", other)]),
            missing(asked, "audience_mismatch", "`audience`"),
            Some("SPIRE#5142"),
        ));
    }
    claimed
}

/// Tokens of no one account.
fn places(ground: &TokenGround) -> Vec<Claimed> {
    let (namespace, account) = (&ground.namespace, &ground.account);
    let mut claimed = Vec::new();
    let flat = "/kubernetes.io~1serviceaccount~1";
    for (name, pointer, value, reason) in [
        (
            "a namespace in two places",
            "namespace",
            namespace,
            "namespace_found_twice",
        ),
        (
            "an account in two places",
            "service-account.name",
            account,
            "service_account_name_found_twice",
        ),
        (
            "a UID in two places",
            "service-account.uid",
            account,
            "service_account_uid_found_twice",
        ),
    ] {
        claimed.push((
            name.to_owned(),
            ground.claims_with(&[(&format!("{flat}{pointer}"), json!(value))]),
            Expected::by(reason),
            Some("SPIRE 1.14.6 (aws_iid)"),
        ));
    }
    for (name, pointer, reason) in [
        (
            "no namespace",
            "/kubernetes.io/namespace",
            "namespace_missing",
        ),
        (
            "no account",
            "/kubernetes.io/serviceaccount/name",
            "service_account_name_missing",
        ),
        (
            "nothing of Kubernetes",
            "/kubernetes.io",
            "namespace_missing",
        ),
    ] {
        claimed.push((
            name.to_owned(),
            ground.claims_without(pointer),
            Expected::by(reason),
            None,
        ));
    }
    claimed
}

/// Tokens of an account that nobody let in.
fn accounts(ground: &TokenGround) -> Vec<Claimed> {
    let (namespace, account) = (&ground.namespace, &ground.account);
    let mut claimed = Vec::new();
    let in_here = |other: &str| ground.lets_in(namespace, other);
    let of_there = |other: &str| ground.lets_in(other, account);
    let other_account = ground.strange(&["default", "builder", "deployer"], in_here);
    let other_namespace = ground.strange(&["kube-system", "default", "kube-public"], of_there);
    for (name, other_namespace, other_account) in [
        (
            "another account",
            namespace.clone(),
            other_account.to_owned(),
        ),
        (
            "another namespace",
            other_namespace.to_owned(),
            account.clone(),
        ),
        (
            "namespace and account exchanged",
            format!("{account}x"),
            namespace.clone(),
        ),
        (
            "a namespace with the account in it",
            format!("{namespace}:{account}"),
            account.clone(),
        ),
        (
            "an account with the namespace in it",
            namespace.clone(),
            format!("{namespace}:{account}"),
        ),
        (
            "an account with a space behind it",
            namespace.clone(),
            format!("{account} "),
        ),
        (
            "an account with a NUL behind it",
            namespace.clone(),
            format!("{account}\0"),
        ),
        (
            "an account with a zero-width space",
            namespace.clone(),
            format!("{account}\u{200b}"),
        ),
        (
            "an account that climbs",
            namespace.clone(),
            format!("../{account}"),
        ),
        (
            "an account that is a pattern",
            namespace.clone(),
            "*".to_owned(),
        ),
    ] {
        if ground.lets_in(&other_namespace, &other_account) {
            continue;
        }
        // A name with a colon in it is none for an API server's answer.
        let split = other_namespace.contains(':') || other_account.contains(':');
        let reason = match split && ground.local().is_none() {
            true => "username_malformed",
            false => "service_account_not_allowed",
        };
        claimed.push((
            name.to_owned(),
            ground.claims_with(&[
                ("/kubernetes.io/namespace", json!(other_namespace)),
                ("/kubernetes.io/serviceaccount/name", json!(other_account)),
            ]),
            Expected::by(reason),
            Some("SPIRE#5142"),
        ));
    }
    claimed
}

/// Claims that are no JSON object, or two.
fn texts(ground: &TokenGround) -> Result<Vec<TokenAttack>, TortureError> {
    let good = ground.claims().to_string();
    let twice = good.replacen('{', r#"{"exp":253402300799,"#, 1);
    let mut attacks = Vec::new();
    for (name, claims) in [
        ("no claims", String::new()),
        ("a list as claims", format!("[{good}]")),
        ("a text as claims", json!(good).to_string()),
        ("claims twice", good.repeat(2)),
        ("claims cut short", good.chars().take(40).collect()),
        ("two ends in one token", twice),
        ("claims with a byte order mark", format!("\u{feff}{good}")),
        (
            "claims 500 lists deep",
            format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500)),
        ),
    ] {
        let token = ground
            .keys
            .token(&header(Signer::Rsa), &claims, Signer::Rsa)?;
        attacks.push(TokenAttack {
            name: name.to_owned(),
            incident: (name == "two ends in one token").then_some("CVE-2026-25537"),
            payload: ground.payload(&token),
            named: false,
            expected: Expected::by("claims_malformed"),
        });
    }
    Ok(attacks)
}
