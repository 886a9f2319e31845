//! What a component says of itself, in excess: its cases are run when it is
//! loaded, and the rest is read. Each may be refused, or be done with in the
//! time that loading may take.

use super::ComponentAttack;
use super::limits::burning;
use crate::attack::{Expected, Group};
use crate::component::{AssemblyError, answering, assembled, padded};
use nameplate_policy::{
    CASES_SECTION, DENIALS_SECTION, SETTINGS_SCHEMA_SECTION, SUBJECT_KEYS_SECTION,
};
use serde_json::{Value, json};
use wasm_encoder::{CustomSection, Section as _};

/// Cases that a component carries.
const CASES: usize = 2_000;

/// Sections without a name or a content.
const SECTIONS: usize = 150_000;

/// Bytes of a text that is long.
const LONG: usize = 400 << 10;

/// Turns of a loop that use up nearly all of the usual fuel.
const TURNS: u64 = 150_000;

pub(super) fn attacks() -> Result<Vec<ComponentAttack>, AssemblyError> {
    let attack = |name: String, bytes| {
        ComponentAttack::new(Group::Component, name, bytes, Expected::Harmless)
    };
    let cases = cases(&json!({"facts": facts()}));
    let minted = self::cases(&json!({"evidence": {"certificate": {}}}));
    let burns = assembled(&burning("derive", TURNS))?;
    let mut attacks = vec![
        attack(
            format!("carries {CASES} cases"),
            Ok(named(answering(&["good"], &[])?, CASES_SECTION, &cases)),
        )?,
        attack(
            format!("carries {CASES} cases that take all their fuel"),
            Ok(named(burns, CASES_SECTION, &cases)),
        )?,
        attack(
            format!("carries {CASES} cases of evidence to be minted"),
            Ok(named(answering(&["good"], &[])?, CASES_SECTION, &minted)),
        )?,
        attack(
            format!("has {SECTIONS} custom sections"),
            Ok(padded(
                answering(&["good"], &[])?,
                &vec![Vec::new(); SECTIONS],
            )),
        )?,
        attack(
            format!("has a section whose name has {LONG} bytes"),
            Ok(named(answering(&["good"], &[])?, &"n".repeat(LONG), "")),
        )?,
    ];
    let deep = format!("{}{}", "[".repeat(LONG / 2), "]".repeat(LONG / 2));
    let long = json!("x".repeat(LONG)).to_string();
    let keys = json!(vec![["/subject/service_account/uid"]; 8_000]).to_string();
    for (what, section, content) in [
        ("cases", CASES_SECTION, &deep),
        ("subject keys", SUBJECT_KEYS_SECTION, &deep),
        ("subject keys", SUBJECT_KEYS_SECTION, &keys),
        ("denials", DENIALS_SECTION, &deep),
        ("denials", DENIALS_SECTION, &long),
        ("a schema", SETTINGS_SCHEMA_SECTION, &deep),
        ("a description", "description", &long),
        ("a version", "version", &long),
    ] {
        let shape = match content.starts_with("[[[") {
            true => "deep",
            false => "long",
        };
        attacks.push(attack(
            format!("has {what} as {shape} as a component may be"),
            Ok(named(answering(&["good"], &[])?, section, content)),
        )?);
    }
    Ok(attacks)
}

/// `component` with a custom section behind it.
fn named(component: Vec<u8>, name: &str, content: &str) -> Vec<u8> {
    [component, section(name, content)].concat()
}

fn section(name: &str, content: &str) -> Vec<u8> {
    let section = CustomSection {
        name: name.into(),
        data: content.as_bytes().into(),
    };
    let mut bytes = Vec::new();
    section.append_to(&mut bytes);
    bytes
}

/// [`CASES`] cases that know this, as a section has them.
fn cases(known: &Value) -> String {
    let mut case = known.clone();
    if let Value::Object(members) = &mut case {
        let id = "spiffe://e/spire/agent/a/good";
        let identity = json!({"identity": {"spiffe_id": id, "selectors": []}});
        members.insert("expect".to_owned(), identity);
    }
    json!(vec![case; CASES]).to_string()
}

/// As few facts as there can be.
fn facts() -> Value {
    json!({
        "trust_domain": "e", "attestor": "a", "attested_at": 0, "attestation_id": "",
        "subject": {"service_account": {"cluster": "", "namespace": "", "name": "", "token_sha256": ""}}
    })
}
