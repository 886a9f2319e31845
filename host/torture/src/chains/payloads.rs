//! Payloads that are none, and certificates that are none.

use super::{Answer, ChainAttack, ChainGround, attack, payload};
use crate::attack::Expected;
use crate::error::TortureError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};

/// Places of a certificate that are changed.
const CHANGED: usize = 80;

pub(super) fn attacks(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let key = KeyPair::generate()?;
    let own = ground.leaf()?.signed_by(&key, &ground.root)?;
    let der = own.der().as_ref();
    let good = STANDARD.encode(der);
    let list = |entry: &str| format!(r#"{{"certificates":["{entry}"]}}"#);
    let mut attacks = Vec::new();
    let mut push = |name: &str, payload: Vec<u8>, reason| {
        attacks.push(attack(
            name,
            payload,
            Answer::None,
            Expected::by(reason),
            None,
        ));
    };
    for (name, text, reason) in [
        ("an empty payload", String::new(), "payload_missing"),
        (
            "a payload of 40 KiB",
            " ".repeat(40 << 10),
            "payload_too_large",
        ),
        ("no certificates", "{}".to_owned(), "certificate_missing"),
        (
            "null for certificates",
            r#"{"certificates":null}"#.to_owned(),
            "certificate_missing",
        ),
        (
            "an empty list of certificates",
            r#"{"certificates":[]}"#.to_owned(),
            "certificate_missing",
        ),
        (
            "a payload that is no JSON",
            "certificates".to_owned(),
            "chain_malformed",
        ),
        (
            "half a payload",
            list(&good).chars().take(40).collect(),
            "chain_malformed",
        ),
        (
            "something behind the payload",
            list(&good) + "{}",
            "chain_malformed",
        ),
        (
            "a list as payload",
            format!(r#"["{good}"]"#),
            "chain_malformed",
        ),
        (
            "certificates twice",
            format!(r#"{{"certificates":["{good}"],"certificates":["{good}"]}}"#),
            "chain_malformed",
        ),
        (
            "a text in the place of the list",
            format!(r#"{{"certificates":"{good}"}}"#),
            "chain_malformed",
        ),
        (
            "a number as certificate",
            r#"{"certificates":[1]}"#.to_owned(),
            "chain_malformed",
        ),
        (
            "null as certificate",
            r#"{"certificates":[null]}"#.to_owned(),
            "chain_malformed",
        ),
        (
            "a payload 500 lists deep",
            format!(
                r#"{{"certificates":{}{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            ),
            "chain_malformed",
        ),
        (
            "a certificate in PEM",
            list(&own.pem().replace('\n', "\\n")),
            "chain_malformed",
        ),
        (
            "a space in the base64",
            list(&good.replacen('M', "M ", 1)),
            "chain_malformed",
        ),
        ("an empty certificate", list(""), "certificate_unreadable"),
    ] {
        push(name, text.into_bytes(), reason);
    }
    let request = CertificateParams::default().serialize_request(&key)?;
    let short = der.split_last().map_or(&[][..], |(_, rest)| rest);
    let open: Vec<u8> = der
        .iter()
        .enumerate()
        .map(|(at, byte)| if at == 1 { 0x80 } else { *byte })
        .collect();
    for (name, bytes) in [
        ("a certificate a byte short", short),
        ("a certificate a byte long", &[der, &[0]].concat()),
        ("a certificate of no stated length", &open),
        ("two certificates in one", &[der, der].concat()),
        (
            "a request in the place of a certificate",
            request.der().as_ref(),
        ),
        ("random bytes in the place of a certificate", &[0x5a; 600]),
    ] {
        push(name, payload(&[bytes]), "certificate_unreadable");
    }
    let flipped: Vec<u8> = der
        .iter()
        .enumerate()
        .map(|(at, byte)| if at + 1 == der.len() { byte ^ 1 } else { *byte })
        .collect();
    push(
        "a changed signature",
        payload(&[&flipped]),
        "chain_untrusted",
    );
    attacks.extend(changed(der));
    Ok(attacks)
}

/// A certificate with one byte changed, at places all over it.
fn changed(der: &[u8]) -> impl Iterator<Item = ChainAttack> {
    (0..CHANGED).map(move |number| {
        let at = number * der.len() / CHANGED;
        let change = |(index, byte): (usize, &u8)| if index == at { byte ^ 0x15 } else { *byte };
        let bytes: Vec<u8> = der.iter().enumerate().map(change).collect();
        attack(
            format!("a certificate with byte {at} changed"),
            payload(&[&bytes]),
            Answer::None,
            Expected::Stopped(vec!["certificate_unreadable", "chain_untrusted"]),
            None,
        )
    })
}
