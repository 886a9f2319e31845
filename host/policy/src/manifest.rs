//! What a component says about itself, in custom sections.
//!
//! Name, version and description stand in the sections that WebAssembly
//! tooling shares (`component-name`, `version`, `description`). The others are
//! ours: a JSON Schema of the settings, the denials that the policy knows, its
//! own cases, and the facts that keep its subjects apart. None of it is
//! believed for any decision, except that the cases are run.

use crate::contract::printable;
use wasmparser::{ComponentName, KnownCustom, Parser, Payload};

/// Custom section that holds the JSON Schema of the settings.
pub const SETTINGS_SCHEMA_SECTION: &str = "nameplate:settings-schema";

/// Custom section that holds the denials that the policy knows, as a JSON
/// object: each code, and when it is said.
pub const DENIALS_SECTION: &str = "nameplate:denials";

/// Custom section that holds the policy's cases, as a JSON array.
pub const CASES_SECTION: &str = "nameplate:cases";

/// Custom section that says which facts keep the policy's subjects apart, as
/// a JSON array of rules.
pub const SUBJECT_KEYS_SECTION: &str = "nameplate:subject-keys";

/// What a component says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the policy, from the `component-name` section.
    pub name: Option<String>,
    /// Version of the policy, from the `version` section.
    pub version: Option<String>,
    /// One line on what it does, from the `description` section.
    pub description: Option<String>,
    /// JSON Schema of its settings, as text.
    pub settings_schema: Option<String>,
    /// The denials that it knows, as the text of a JSON object.
    pub denials: Option<String>,
    /// Its cases, as the text of a JSON array.
    pub cases: Option<String>,
    /// Which facts keep its subjects apart, as the text of a JSON array.
    pub subject_keys: Option<String>,
}

impl Manifest {
    /// Reads the sections of the outermost component. What cannot be read is
    /// left out, as if it were not there.
    pub fn read(bytes: &[u8]) -> Self {
        let mut manifest = Self::default();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload {
                Ok(Payload::ComponentSection { .. } | Payload::ModuleSection { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
                Ok(Payload::CustomSection(section)) if depth == 0 => {
                    let text = std::str::from_utf8(section.data()).ok();
                    match section.name() {
                        "version" => manifest.version = text.map(|text| printable(text, 64)),
                        "description" => {
                            manifest.description = text.map(|text| printable(text, 512));
                        }
                        SETTINGS_SCHEMA_SECTION => {
                            manifest.settings_schema = text.map(str::to_owned);
                        }
                        DENIALS_SECTION => manifest.denials = text.map(str::to_owned),
                        CASES_SECTION => manifest.cases = text.map(str::to_owned),
                        SUBJECT_KEYS_SECTION => manifest.subject_keys = text.map(str::to_owned),
                        _ => {
                            if let KnownCustom::ComponentName(reader) = section.as_known() {
                                for name in reader.into_iter().flatten() {
                                    if let ComponentName::Component { name, .. } = name {
                                        manifest.name = Some(printable(name, 64));
                                    }
                                }
                            }
                        }
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        manifest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_sections_are_read() {
        let bytes = wat::parse_str(
            r#"(component $shown
                (component $inner (@custom "version" "9"))
                (@custom "version" "1.2.3")
                (@custom "description" "names\nthings")
                (@custom "nameplate:settings-schema" "{}")
                (@custom "nameplate:denials" "{ }")
                (@custom "nameplate:cases" "[]")
                (@custom "nameplate:subject-keys" "[ ]"))"#,
        )
        .unwrap();
        assert_eq!(
            Manifest::read(&bytes),
            Manifest {
                name: Some("shown".to_owned()),
                version: Some("1.2.3".to_owned()),
                description: Some("names\\nthings".to_owned()),
                settings_schema: Some("{}".to_owned()),
                denials: Some("{ }".to_owned()),
                cases: Some("[]".to_owned()),
                subject_keys: Some("[ ]".to_owned()),
            }
        );
        assert_eq!(Manifest::read(b"torn"), Manifest::default());
    }
}
