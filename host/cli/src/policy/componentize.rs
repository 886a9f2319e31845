//! From a core module to the component that a host loads.
//!
//! Responsible for the bytes of a built policy: the component itself, and the
//! sections that say what it is. Trusts the compiler that made the module and
//! the files of the policy's own project; the result is foreign input again
//! to whoever loads it.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use nameplate_policy::{
    CASES_SECTION, DENIALS_SECTION, SETTINGS_SCHEMA_SECTION, SUBJECT_KEYS_SECTION,
};
use serde_json::{Map, Value};
use wasm_encoder::{ComponentNameSection, ComponentSection, CustomSection};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldItem};

/// Section with the version, as registries define it: the text alone.
const VERSION: &str = "version";
/// Section with the description, as registries define it: the text alone.
const DESCRIPTION: &str = "description";

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
    /// The denials that it knows, and when each is said.
    pub(crate) denials: Option<BTreeMap<String, String>>,
    /// Its cases by name.
    pub(crate) cases: BTreeMap<String, Map<String, Value>>,
    /// Which facts keep its subjects apart.
    pub(crate) subject_keys: Option<Value>,
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
    require_contract(&component)?;

    let mut name = ComponentNameSection::new();
    name.component(&metadata.name);
    name.append_to_component(&mut component);

    append(&mut component, VERSION, metadata.version.as_bytes());
    if let Some(description) = &metadata.description {
        append(&mut component, DESCRIPTION, description.as_bytes());
    }
    if let Some(schema) = &metadata.settings_schema {
        let json = serde_json::to_vec(&ordered(schema)).context("settings schema")?;
        append(&mut component, SETTINGS_SCHEMA_SECTION, &json);
    }
    if let Some(denials) = &metadata.denials {
        let json = serde_json::to_vec(denials).context("denials")?;
        append(&mut component, DENIALS_SECTION, &json);
    }
    if !metadata.cases.is_empty() {
        let json = serde_json::to_vec(&named(&metadata.cases)).context("cases")?;
        append(&mut component, CASES_SECTION, &json);
    }
    if let Some(keys) = &metadata.subject_keys {
        let json = serde_json::to_vec(&ordered(keys)).context("subject keys")?;
        append(&mut component, SUBJECT_KEYS_SECTION, &json);
    }
    Ok(component)
}

/// Refuses a component that no host could ask anything.
fn require_contract(component: &[u8]) -> anyhow::Result<()> {
    let decoded = wit_component::decode(component).context("the component is not read back")?;
    let exports = match &decoded {
        DecodedWasm::Component(resolve, world) => resolve.worlds.get(*world).is_some_and(|world| {
            world
                .exports
                .values()
                .any(|item| is_contract(resolve, item))
        }),
        DecodedWasm::WitPackage(..) => false,
    };
    if !exports {
        bail!(
            "the module exports no policy; does its crate have a `nameplate_guest::export!(…)` line?"
        );
    }
    Ok(())
}

/// Whether `item` is the interface that a host asks, in whichever version.
fn is_contract(resolve: &Resolve, item: &WorldItem) -> bool {
    let WorldItem::Interface { id, .. } = item else {
        return false;
    };
    let Some(interface) = resolve.interfaces.get(*id) else {
        return false;
    };
    let package = interface
        .package
        .and_then(|package| resolve.packages.get(package));
    interface.name.as_deref() == Some("naming")
        && package.is_some_and(|package| {
            package.name.namespace == "nameplate" && package.name.name == "policy"
        })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
    use wit_parser::ManglingAndAbi;

    use super::*;

    /// A module that fits `world` of the contract in `wit` and traps.
    fn module(resolve: &Resolve, world: wit_parser::WorldId) -> Vec<u8> {
        let mut module = dummy_module(resolve, world, ManglingAndAbi::Standard32);
        embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
        module
    }

    fn policy_module() -> Vec<u8> {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(wit).unwrap();
        let world = resolve.select_world(&[package], Some("policy")).unwrap();
        module(&resolve, world)
    }

    fn other_module(wit: &str) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("other.wit", wit).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        module(&resolve, world)
    }

    fn case(json: &Value) -> Map<String, Value> {
        json.as_object().unwrap().clone()
    }

    fn metadata() -> Metadata {
        Metadata {
            name: "sample".into(),
            version: "1.2.3".into(),
            description: Some("Names nothing.".into()),
            settings_schema: Some(json!({ "type": "object", "title": "t" })),
            denials: Some(BTreeMap::from([
                ("no-node".into(), "the token is bound to no node".into()),
                ("a".into(), "b".into()),
            ])),
            cases: BTreeMap::from([
                (
                    "b".into(),
                    case(&json!({ "z": 1, "a": { "d": 1, "c": 2 } })),
                ),
                ("a".into(), case(&json!({}))),
            ]),
            subject_keys: Some(json!([{ "facts": ["/attestor"] }])),
        }
    }

    #[test]
    fn a_component_says_what_it_is() {
        let component = componentize(&policy_module(), &metadata()).unwrap();
        let manifest = nameplate_policy::Manifest::read(&component);
        assert_eq!(manifest.name.as_deref(), Some("sample"));
        assert_eq!(manifest.version.as_deref(), Some("1.2.3"));
        assert_eq!(manifest.description.as_deref(), Some("Names nothing."));
        assert_eq!(
            manifest.settings_schema.as_deref(),
            Some(r#"{"title":"t","type":"object"}"#)
        );
        assert_eq!(
            manifest.denials.as_deref(),
            Some(r#"{"a":"b","no-node":"the token is bound to no node"}"#)
        );
        assert_eq!(
            manifest.cases.as_deref(),
            Some(r#"[{"name":"a"},{"a":{"c":2,"d":1},"name":"b","z":1}]"#)
        );
        assert_eq!(
            manifest.subject_keys.as_deref(),
            Some(r#"[{"facts":["/attestor"]}]"#)
        );
    }

    #[test]
    fn what_is_not_there_has_no_section() {
        let component = componentize(&policy_module(), &Metadata::default()).unwrap();
        let manifest = nameplate_policy::Manifest::read(&component);
        assert_eq!(manifest.description, None);
        assert_eq!(manifest.settings_schema, None);
        assert_eq!(manifest.denials, None);
        assert_eq!(manifest.cases, None);
        assert_eq!(manifest.subject_keys, None);
    }

    #[test]
    fn equal_modules_give_equal_bytes() {
        let module = policy_module();
        assert_eq!(
            componentize(&module, &metadata()).unwrap(),
            componentize(&module, &metadata()).unwrap()
        );
    }

    fn refused(module: &[u8]) -> String {
        format!("{:#}", componentize(module, &metadata()).unwrap_err())
    }

    #[test]
    fn a_module_without_the_contract_is_refused() {
        let empty = b"\0asm\x01\0\0\0";
        let no_policy = "the module exports no policy; does its crate have a `nameplate_guest::export!(…)` line?";
        assert_eq!(refused(empty), no_policy);
        let other =
            "package other:policy; interface naming { f: func(); } world w { export naming; }";
        assert_eq!(refused(&other_module(other)), no_policy);
        let text = refused(b"not a module");
        assert!(
            text.starts_with("the module does not describe a component"),
            "{text}"
        );
    }
}
