//! From a core module to the component that a host loads.
//!
//! Responsible for the bytes of a built policy: the component itself, and the
//! sections that say what it is. Trusts the compiler that made the module and
//! the files of the policy's own project; the result is foreign input again
//! to whoever loads it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Map, Value};
use wasm_encoder::{ComponentNameSection, ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

/// Section with the version, as registries define it: the text alone.
const VERSION: &str = "version";
/// Section with the description, as registries define it: the text alone.
const DESCRIPTION: &str = "description";
/// Section with the JSON Schema of the policy's settings.
const SETTINGS_SCHEMA: &str = "nameplate:settings-schema";
/// Section with the policy's cases: a JSON array, each with its `name`.
const CASES: &str = "nameplate:cases";

/// What a component says about itself.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// Name of the component, such as `uuid`.
    pub(crate) name: String,
    /// Version of the policy.
    pub(crate) version: String,
    /// What it does, in one sentence.
    pub(crate) description: Option<String>,
    /// JSON Schema of its settings.
    pub(crate) settings_schema: Option<Value>,
    /// Its cases by name.
    pub(crate) cases: BTreeMap<String, Map<String, Value>>,
}

/// The component of `core_module`, with `metadata` in its custom sections.
///
/// Equal arguments give equal bytes.
///
/// # Errors
/// Where the module was not built against `nameplate-guest`, or imports
/// something that no component can provide.
pub(crate) fn componentize(core_module: &[u8], metadata: &Metadata) -> anyhow::Result<Vec<u8>> {
    let mut component = ComponentEncoder::default()
        .module(core_module)
        .context("the module does not describe a component; is it built with `nameplate-guest`?")?
        .validate(true)
        .encode()
        .context("the module does not fit the contract it was built for")?;

    let mut name = ComponentNameSection::new();
    name.component(&metadata.name);
    name.append_to_component(&mut component);

    append(&mut component, VERSION, metadata.version.as_bytes());
    if let Some(description) = &metadata.description {
        append(&mut component, DESCRIPTION, description.as_bytes());
    }
    if let Some(schema) = &metadata.settings_schema {
        let json = serde_json::to_vec(&ordered(schema)).context("settings schema")?;
        append(&mut component, SETTINGS_SCHEMA, &json);
    }
    if !metadata.cases.is_empty() {
        let json = serde_json::to_vec(&named(&metadata.cases)).context("cases")?;
        append(&mut component, CASES, &json);
    }
    Ok(component)
}

fn append(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    CustomSection {
        name: name.into(),
        data: data.into(),
    }
    .append_to_component(component);
}

/// The cases as one array, by name, each with its name as a member.
fn named(cases: &BTreeMap<String, Map<String, Value>>) -> Value {
    cases
        .iter()
        .map(|(name, case)| {
            let mut case = case.clone();
            case.insert("name".into(), Value::from(name.as_str()));
            ordered(&Value::Object(case))
        })
        .collect()
}

/// `value` with every object's members in order of their keys.
///
/// Whether `serde_json` keeps the order of a file is a feature that any crate
/// of the build may switch on; the bytes of a component must not hang on that.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members = sorted
                .into_iter()
                .map(|(key, value)| (key.clone(), ordered(value)))
                .collect();
            Value::Object(members)
        }
        Value::Array(items) => items.iter().map(ordered).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
