//! What a policy's cases show of it: which of its denials, which of its
//! settings.
//!
//! Both are what the policy says of itself in its manifest, and believed for
//! nothing but this report.

use super::{Case, CaseRun, Outcome};
use nameplate_policy::Manifest;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How deep a schema, and what it refers to, is followed.
const MAX_DEPTH: usize = 32;

/// What the cases show, and what they do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The denials that the policy declares; none where it declares nothing.
    pub denials: Option<Covered>,
    /// Denials that it said without having declared them.
    pub undeclared: Vec<String>,
    /// The settings of its schema: that each is set, and each value of those
    /// that have a few.
    pub settings: Covered,
}

/// Things to be shown: those that are, and those that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// Those that some case shows.
    pub shown: Vec<String>,
    /// Those that no case shows.
    pub missing: Vec<String>,
}

/// Why a manifest says nothing of what there is to show.
#[derive(Debug, thiserror::Error)]
pub enum CoverageError {
    /// The section of denials is no JSON object of texts.
    #[error("the component's denials cannot be read")]
    Denials(#[source] serde_json::Error),
    /// The section of the settings' schema is no JSON.
    #[error("the schema of the component's settings cannot be read")]
    Schema(#[source] serde_json::Error),
}

impl Coverage {
    /// What `runs` show of a policy with this manifest. A case whose settings
    /// are refused shows no setting, and one that is rejected shows nothing:
    /// the policy was not asked.
    ///
    /// # Errors
    /// [`CoverageError`] where the manifest cannot be read.
    pub fn of<'r>(
        manifest: &Manifest,
        runs: impl IntoIterator<Item = (&'r Case, &'r CaseRun)>,
    ) -> Result<Self, CoverageError> {
        let schema: Value = match &manifest.settings_schema {
            Some(text) => serde_json::from_str(text).map_err(CoverageError::Schema)?,
            None => Value::Null,
        };
        let declared: Option<BTreeMap<String, String>> = match &manifest.denials {
            Some(text) => Some(serde_json::from_str(text).map_err(CoverageError::Denials)?),
            None => None,
        };
        let mut said = BTreeSet::new();
        let mut set = BTreeSet::new();
        for (case, run) in runs {
            match &run.outcome {
                Outcome::Denied { code } => {
                    said.insert(code.clone());
                }
                Outcome::SettingsRefused(_) | Outcome::Rejected(_) => continue,
                Outcome::Identity { .. } | Outcome::Fault(_) => {}
            }
            let settings = Settings { root: &schema };
            settings.stated(&case.settings, "", &mut set);
            settings.by_default(&schema, &case.settings, "", 0, &mut set);
        }
        let mut wanted = BTreeSet::new();
        Settings { root: &schema }.wanted(&schema, "", 0, &mut wanted);
        let codes: BTreeSet<String> = declared.iter().flat_map(BTreeMap::keys).cloned().collect();
        Ok(Self {
            undeclared: said.difference(&codes).cloned().collect(),
            denials: declared.map(|_| Covered::of(codes, &said)),
            settings: Covered::of(wanted, &set),
        })
    }

    /// Whether nothing is missing, nothing undeclared, and the denials declared.
    pub fn is_complete(&self) -> bool {
        self.undeclared.is_empty()
            && self.settings.missing.is_empty()
            && self
                .denials
                .as_ref()
                .is_some_and(|denials| denials.missing.is_empty())
    }
}

impl Covered {
    fn of(wanted: BTreeSet<String>, found: &BTreeSet<String>) -> Self {
        let (shown, missing) = wanted.into_iter().partition(|name| found.contains(name));
        Self { shown, missing }
    }

    /// How many there are to be shown.
    pub fn total(&self) -> usize {
        self.shown.len().saturating_add(self.missing.len())
    }

    /// How many of a hundred are shown, rounded down; all of none.
    pub fn percent(&self) -> usize {
        self.shown
            .len()
            .saturating_mul(100)
            .checked_div(self.total())
            .unwrap_or(100)
    }
}

/// A schema of settings (JSON Schema 2020-12), as far as it names settings and
/// values: `properties`, `items`, `enum`, `const`, booleans, `oneOf`, `anyOf`,
/// `allOf`, and `$ref` into itself.
struct Settings<'s> {
    root: &'s Value,
}

impl<'s> Settings<'s> {
    /// Everything there is to show below `pointer`.
    fn wanted(&self, schema: &'s Value, pointer: &str, depth: usize, out: &mut BTreeSet<String>) {
        if depth > MAX_DEPTH {
            return;
        }
        for value in values(schema) {
            out.insert(chosen(pointer, &value));
        }
        for (name, property) in properties(schema) {
            let pointer = below(pointer, name);
            out.insert(pointer.clone());
            self.wanted(property, &pointer, depth.saturating_add(1), out);
        }
        if let Some(items) = schema.get("items") {
            self.wanted(items, &format!("{pointer}/*"), depth.saturating_add(1), out);
        }
        for part in self.parts(schema) {
            self.wanted(part, pointer, depth.saturating_add(1), out);
        }
    }

    /// Everything that `value` states.
    fn stated(&self, value: &Value, pointer: &str, out: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let pointer = below(pointer, name);
                    out.insert(pointer.clone());
                    self.stated(value, &pointer, out);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.stated(item, &format!("{pointer}/*"), out);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                out.insert(chosen(pointer, value));
            }
        }
    }

    /// The values that hold because `value` does not state others.
    fn by_default(
        &self,
        schema: &'s Value,
        value: &Value,
        pointer: &str,
        depth: usize,
        out: &mut BTreeSet<String>,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        let deeper = depth.saturating_add(1);
        if value.is_object() {
            for (name, property) in properties(schema) {
                let pointer = below(pointer, name);
                match (value.get(name), property.get("default")) {
                    (Some(value), _) => self.by_default(property, value, &pointer, deeper, out),
                    (None, Some(default)) => self.stated(default, &pointer, out),
                    (None, None) => {}
                }
            }
        }
        if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
            for value in values {
                self.by_default(items, value, &format!("{pointer}/*"), deeper, out);
            }
        }
        for part in self.parts(schema) {
            self.by_default(part, value, pointer, deeper, out);
        }
    }

    /// The schemas that a schema is made of.
    fn parts(&self, schema: &'s Value) -> Vec<&'s Value> {
        let mut parts: Vec<&Value> = ["oneOf", "anyOf", "allOf"]
            .iter()
            .filter_map(|name| schema.get(name)?.as_array())
            .flatten()
            .collect();
        let refers = schema.get("$ref").and_then(Value::as_str);
        let pointer = refers.and_then(|reference| reference.strip_prefix('#'));
        parts.extend(pointer.and_then(|pointer| self.root.pointer(pointer)));
        parts
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// The values of a setting that has only a few.
fn values(schema: &Value) -> Vec<Value> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.clone();
    }
    if let Some(value) = schema.get("const") {
        return vec![value.clone()];
    }
    if schema.get("type").and_then(Value::as_str) == Some("boolean") {
        return vec![Value::Bool(true), Value::Bool(false)];
    }
    Vec::new()
}

fn chosen(pointer: &str, value: &Value) -> String {
    format!("{pointer} = {value}")
}

/// RFC 6901 §3.
fn below(pointer: &str, name: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(schema: &Value, denials: Option<&str>) -> Manifest {
        Manifest {
            settings_schema: Some(schema.to_string()),
            denials: denials.map(str::to_owned),
            ..Manifest::default()
        }
    }

    fn tried(settings: &Value, outcome: Outcome) -> (Case, CaseRun) {
        let case = json!({ "settings": settings, "evidence": { "token": {} } });
        let run = CaseRun {
            outcome,
            fuel: None,
            detail: None,
        };
        (serde_json::from_value(case).unwrap(), run)
    }

    fn denied(code: &str) -> Outcome {
        Outcome::Denied {
            code: code.to_owned(),
        }
    }

    fn of(manifest: &Manifest, runs: &[(Case, CaseRun)]) -> Coverage {
        Coverage::of(manifest, runs.iter().map(|(case, run)| (case, run))).unwrap()
    }

    #[test]
    fn declared_denials_are_shown_or_missing() {
        let manifest = manifest(&json!({}), Some(r#"{"no-node": "…", "no-uid": "…"}"#));
        let one = [tried(&json!({}), denied("no-node"))];
        let coverage = of(&manifest, &one);
        let denials = coverage.denials.as_ref().unwrap();
        assert_eq!(denials.shown, ["no-node"]);
        assert_eq!(denials.missing, ["no-uid"]);
        assert_eq!(denials.percent(), 50);
        assert!(!coverage.is_complete());
        let both = [one[0].clone(), tried(&json!({}), denied("no-uid"))];
        assert!(of(&manifest, &both).is_complete());
        let more = [
            both[0].clone(),
            both[1].clone(),
            tried(&json!({}), denied("x")),
        ];
        let coverage = of(&manifest, &more);
        assert_eq!(coverage.undeclared, ["x"]);
        assert!(!coverage.is_complete());
    }

    #[test]
    fn a_policy_that_declares_no_denials_is_not_complete() {
        let silent = of(&manifest(&json!({}), None), &[]);
        assert_eq!(silent.denials, None);
        assert!(!silent.is_complete());
        assert!(of(&manifest(&json!({}), Some("{}")), &[]).is_complete());
        let broken = manifest(&json!({}), Some("[]"));
        let error = Coverage::of(&broken, []).unwrap_err();
        assert_eq!(error.to_string(), "the component's denials cannot be read");
    }

    #[test]
    fn settings_and_their_values_are_shown_by_cases_that_were_answered() {
        let schema = json!({
            "properties": {
                "by": { "enum": ["uid", "name"], "default": "uid" },
                "kept": { "type": "array", "items": { "enum": ["a", "b"] } },
                "deep": { "$ref": "#/$defs/deep" },
            },
            "$defs": { "deep": { "oneOf": [
                { "type": "string" },
                { "properties": { "strict": { "type": "boolean", "default": false } } },
            ] } },
        });
        let manifest = manifest(&schema, Some("{}"));
        let none = of(&manifest, &[]);
        assert_eq!(
            none.settings.missing,
            [
                "/by",
                "/by = \"name\"",
                "/by = \"uid\"",
                "/deep",
                "/deep/strict",
                "/deep/strict = false",
                "/deep/strict = true",
                "/kept",
                "/kept/* = \"a\"",
                "/kept/* = \"b\"",
            ]
        );
        let settings = json!({ "kept": ["b"], "deep": {} });
        let refused = Outcome::SettingsRefused(Vec::new());
        assert_eq!(of(&manifest, &[tried(&settings, refused)]), none);
        let some = of(&manifest, &[tried(&settings, denied("x"))]);
        assert_eq!(
            some.settings.shown,
            [
                "/by = \"uid\"",
                "/deep",
                "/deep/strict = false",
                "/kept",
                "/kept/* = \"b\"",
            ]
        );
        assert_eq!(some.settings.percent(), 50);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "properties": { "a": { "$ref": "#" } } });
        let coverage = of(&manifest(&schema, Some("{}")), &[]);
        assert!(coverage.settings.total() < 64);
    }
}
