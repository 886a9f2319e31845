//! Answers to a challenge that prove nothing.

use super::{ChainAttack, ChainGround, attack};
use crate::attack::Expected;
use crate::error::TortureError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::certificates::{NONCE_BYTES, Nonce, Prover};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::sync::Arc;

/// How the sender of a chain answers the challenge.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// With a signature over the nonce.
    Honest(Arc<Prover>),
    /// With a signature over another nonce.
    OtherNonce(Arc<Prover>),
    /// With one member of an honest answer replaced.
    Replaced(Arc<Prover>, &'static str, Value),
    /// With an honest answer whose numbers are exchanged.
    Exchanged(Arc<Prover>),
    /// With these bytes.
    Bytes(Vec<u8>),
    /// It has no answer.
    None,
}

impl Answer {
    pub(super) fn of(prover: Prover) -> Self {
        Self::Honest(Arc::new(prover))
    }

    /// What is sent for `challenge`; nothing where there is no answer.
    pub(crate) fn to(&self, challenge: &[u8]) -> Option<Vec<u8>> {
        let own = || Nonce::random();
        let honest = |prover: &Prover| prover.answer(challenge, own()?).ok();
        match self {
            Self::Honest(prover) => honest(prover),
            Self::OtherNonce(prover) => {
                let nonce = STANDARD.encode([1; NONCE_BYTES]);
                let other = json!({"rsa_signature": null, "ecdsa_signature": {"nonce": nonce}});
                prover.answer(other.to_string().as_bytes(), own()?).ok()
            }
            Self::Replaced(prover, member, value) => {
                let mut answer: Value = serde_json::from_slice(&honest(prover)?).ok()?;
                let arm = answer.pointer_mut("/ecdsa_signature")?.as_object_mut()?;
                arm.insert((*member).to_owned(), value.clone());
                Some(answer.to_string().into_bytes())
            }
            Self::Exchanged(prover) => {
                let mut answer: Value = serde_json::from_slice(&honest(prover)?).ok()?;
                let arm = answer.pointer_mut("/ecdsa_signature")?.as_object_mut()?;
                let (r, s) = (arm.remove("r")?, arm.remove("s")?);
                arm.insert("r".to_owned(), s);
                arm.insert("s".to_owned(), r);
                Some(answer.to_string().into_bytes())
            }
            Self::Bytes(bytes) => Some(bytes.clone()),
            Self::None => None,
        }
    }
}

pub(super) fn attacks(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let own = || Arc::clone(&ground.prover);
    let payload = ground.prover.payload();
    let mut attacks = Vec::new();
    let mut push = |name: String, answer, expected, incident| {
        attacks.push(attack(name, payload.clone(), answer, expected, incident));
    };
    push(
        "a chain and its proof, as they should be".to_owned(),
        ground.twin().1,
        Expected::Twin,
        None,
    );

    let unproven = || Expected::by("possession_unproven");
    let key = KeyPair::generate()?;
    let leaf = ground.leaf()?.signed_by(&key, &ground.root)?;
    let other = Answer::of(ground.prover(&leaf, &[], &key)?);
    push(
        "a signature by another certificate's key".to_owned(),
        other,
        unproven(),
        Some("SPIRE 1.14.7 (azure_imds)"),
    );
    push(
        "a signature over another nonce".to_owned(),
        Answer::OtherNonce(own()),
        unproven(),
        Some("SPIRE#1434"),
    );
    push(
        "a signature with its numbers exchanged".to_owned(),
        Answer::Exchanged(own()),
        unproven(),
        None,
    );
    push(
        "no answer".to_owned(),
        Answer::None,
        Expected::by("challenge_unanswered"),
        None,
    );
    let order = "/////wAAAAD//////////7zm+q2nF56E87nKwvxjJVE=";
    for (name, member, value, reason) in [
        ("r is nothing", "r", json!(""), "possession_unproven"),
        ("s is nothing", "s", json!(""), "possession_unproven"),
        ("r is zero", "r", json!("AA=="), "possession_unproven"),
        ("s is zero", "s", json!("AA=="), "possession_unproven"),
        (
            "r is the curve's order",
            "r",
            json!(order),
            "possession_unproven",
        ),
        (
            "s is the curve's order",
            "s",
            json!(order),
            "possession_unproven",
        ),
        (
            "r is longer than any",
            "r",
            json!(STANDARD.encode([1; 67])),
            "possession_unproven",
        ),
        (
            "s is 4 KiB",
            "s",
            json!(STANDARD.encode([1; 4096])),
            "possession_unproven",
        ),
        ("r is a number", "r", json!(1), "response_malformed"),
        ("s is no base64", "s", json!("?"), "response_malformed"),
        (
            "its nonce is another",
            "nonce",
            json!(STANDARD.encode([1; 32])),
            "possession_unproven",
        ),
        (
            "its nonce has 31 bytes",
            "nonce",
            json!(STANDARD.encode([9; 31])),
            "nonce_malformed",
        ),
        (
            "its nonce has 33 bytes",
            "nonce",
            json!(STANDARD.encode([9; 33])),
            "nonce_malformed",
        ),
        ("it has no nonce", "nonce", json!(null), "nonce_malformed"),
        (
            "its nonce is a list",
            "nonce",
            json!([9]),
            "response_malformed",
        ),
    ] {
        let incident = name.contains("zero").then_some("CVE-2022-21449");
        push(
            format!("an answer, but {name}"),
            Answer::Replaced(own(), member, value),
            Expected::by(reason),
            incident,
        );
    }
    for (name, bytes, reason) in [
        ("an empty answer", "", "response_malformed"),
        ("an answer that is no JSON", "yes", "response_malformed"),
        ("a list as answer", "[]", "response_malformed"),
        ("an answer with nothing in it", "{}", "response_kind"),
        (
            "an answer for another kind of key",
            r#"{"rsa_signature":{"nonce":"","signature":""},"ecdsa_signature":null}"#,
            "response_kind",
        ),
        (
            "a text in the place of the answer",
            r#"{"ecdsa_signature":"x"}"#,
            "response_malformed",
        ),
        (
            "two answers in one",
            r#"{"ecdsa_signature":null,"ecdsa_signature":{}}"#,
            "response_malformed",
        ),
    ] {
        push(
            name.to_owned(),
            Answer::Bytes(bytes.as_bytes().to_vec()),
            Expected::by(reason),
            None,
        );
    }
    Ok(attacks)
}
