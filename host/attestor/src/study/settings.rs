//! Other settings: each setting changed alone, as the policy's schema allows
//! or as its value suggests.
//!
//! A schema is the policy's word. It is read for what to try and for nothing
//! else; the policy refuses what it does not take.

use crate::fact::escaped;
use serde_json::{Map, Value, json};

/// A setting that can be changed, and the settings with it changed.
#[derive(Clone, Debug)]
pub(crate) struct ChangeableSetting {
    /// Where it stands, as a JSON Pointer.
    pub(crate) pointer: String,
    /// What it is now; none where it is not set.
    pub(crate) value: Option<Value>,
    /// What it could be, and all settings then.
    pub(crate) edits: Vec<SettingsEdit>,
}

/// All settings, with one of them changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SettingsEdit {
    /// The change in words.
    pub(crate) words: String,
    /// The new value; none where it is taken away.
    pub(crate) value: Option<Value>,
    /// The settings.
    pub(crate) settings: Value,
}

/// Everything in `settings` that can be changed, and what `schema` knows
/// besides.
pub(crate) fn changeable(settings: &Value, schema: Option<&Value>) -> Vec<ChangeableSetting> {
    let mut found = Vec::new();
    collect(settings, "", settings, schema, &mut found);
    found
}

fn collect(
    all: &Value,
    at: &str,
    value: &Value,
    schema: Option<&Value>,
    found: &mut Vec<ChangeableSetting>,
) {
    let empty = Map::new();
    let members = value.as_object().unwrap_or(&empty);
    let properties = schema
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let mut names: Vec<&String> = members.keys().collect();
    names.extend(
        properties
            .keys()
            .filter(|name| !members.contains_key(*name)),
    );
    names.sort_unstable();
    for name in names {
        let pointer = format!("{at}/{}", escaped(name));
        let (value, schema) = (members.get(name), properties.get(name));
        if let Some(Value::Object(_)) = value {
            collect(all, &pointer, value.unwrap_or(&Value::Null), schema, found);
            continue;
        }
        let mut others = others(value, schema);
        if value.is_some() {
            others.push(("not set".to_owned(), None));
        }
        let edits: Vec<SettingsEdit> = others
            .into_iter()
            .filter(|(_, other)| other.as_ref() != value)
            .filter_map(|(words, other)| {
                let mut settings = all.clone();
                let holder = settings.pointer_mut(at)?.as_object_mut()?;
                match &other {
                    Some(other) => holder.insert(name.clone(), other.clone()),
                    None => holder.remove(name),
                };
                Some(SettingsEdit {
                    words,
                    value: other,
                    settings,
                })
            })
            .collect();
        if !edits.is_empty() {
            found.push(ChangeableSetting {
                pointer,
                value: value.cloned(),
                edits,
            });
        }
    }
}

/// What a setting could be instead.
fn others(value: Option<&Value>, schema: Option<&Value>) -> Vec<(String, Option<Value>)> {
    let listed = |schema: Option<&Value>| -> Vec<Value> {
        let list = schema.and_then(|schema| schema.get("enum"));
        list.and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let default = schema.and_then(|schema| schema.get("default"));
    let choices: Vec<Value> = listed(schema)
        .into_iter()
        // A setting that is not made is its default already.
        .filter(|choice| value.is_some() || Some(choice) != default)
        .collect();
    let kind = schema
        .and_then(|schema| schema.get("type"))
        .and_then(Value::as_str);
    let others = match (value, kind) {
        _ if !choices.is_empty() => choices,
        (Some(Value::String(text)), _) => vec![json!("another"), json!(format!("{text}-2"))],
        (Some(Value::Bool(flag)), _) => vec![json!(!flag)],
        (Some(Value::Number(number)), _) => number.as_i64().map_or_else(Vec::new, |number| {
            vec![
                json!(number.saturating_add(1)),
                json!(number.saturating_sub(1)),
            ]
        }),
        (Some(Value::Array(items)), _) => other_lists(items),
        (None, Some("string")) => vec![json!("another")],
        (None, Some("boolean")) => vec![json!(true), json!(false)],
        (None, Some("integer")) => vec![json!(0), json!(1)],
        (None, Some("array")) => {
            let items = listed(schema.and_then(|schema| schema.get("items")));
            let alone = items.into_iter().map(|item| json!([item]));
            [json!([])].into_iter().chain(alone).collect()
        }
        (_, _) => Vec::new(),
    };
    others
        .into_iter()
        .map(|other| (other.to_string(), Some(other)))
        .collect()
}

/// A list with each item left out, another, and all in reverse.
fn other_lists(items: &[Value]) -> Vec<Value> {
    let without = |gone: usize| -> Value {
        let kept = items.iter().enumerate().filter(|(index, _)| *index != gone);
        kept.map(|(_, item)| item.clone()).collect()
    };
    let with = |changed: usize| -> Value {
        let items = items.iter().enumerate();
        items
            .map(|(index, item)| match index {
                index if index == changed => json!("another"),
                _ => item.clone(),
            })
            .collect()
    };
    (0..items.len())
        .flat_map(|index| [without(index), with(index)])
        .chain([items.iter().rev().cloned().collect()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(settings: &Value, schema: Option<&Value>) -> Vec<String> {
        changeable(settings, schema)
            .into_iter()
            .flat_map(|setting| {
                let pointer = setting.pointer;
                setting
                    .edits
                    .into_iter()
                    .map(move |edit| format!("{pointer} {}: {}", edit.words, edit.settings))
            })
            .collect()
    }

    #[test]
    fn a_schema_says_what_to_try() {
        let schema = json!({ "properties": {
            "by": { "enum": ["uid", "name"], "default": "uid" },
            "selectors": { "type": "array", "items": { "enum": ["cluster"] } },
        }});
        assert_eq!(
            edits(&json!({}), Some(&schema)),
            [
                r#"/by "name": {"by":"name"}"#,
                r#"/selectors []: {"selectors":[]}"#,
                r#"/selectors ["cluster"]: {"selectors":["cluster"]}"#,
            ]
        );
        assert_eq!(
            edits(&json!({ "by": "name" }), Some(&schema))[..2],
            [
                r#"/by "uid": {"by":"uid"}"#.to_owned(),
                "/by not set: {}".to_owned(),
            ]
        );
    }

    #[test]
    fn without_a_schema_the_values_do() {
        assert_eq!(
            edits(&json!({ "a": { "b": true }, "n": 3, "t": "x" }), None),
            [
                r#"/a/b false: {"a":{"b":false},"n":3,"t":"x"}"#,
                r#"/a/b not set: {"a":{},"n":3,"t":"x"}"#,
                r#"/n 4: {"a":{"b":true},"n":4,"t":"x"}"#,
                r#"/n 2: {"a":{"b":true},"n":2,"t":"x"}"#,
                r#"/n not set: {"a":{"b":true},"t":"x"}"#,
                r#"/t "another": {"a":{"b":true},"n":3,"t":"another"}"#,
                r#"/t "x-2": {"a":{"b":true},"n":3,"t":"x-2"}"#,
                r#"/t not set: {"a":{"b":true},"n":3}"#,
            ]
        );
        let lists: Vec<_> = changeable(&json!({ "path": ["{a}", "{b}"] }), None)
            .remove(0)
            .edits
            .into_iter()
            .filter_map(|edit| edit.value)
            .collect();
        assert_eq!(
            lists,
            [
                json!(["{b}"]),
                json!(["another", "{b}"]),
                json!(["{a}"]),
                json!(["{a}", "another"]),
                json!(["{b}", "{a}"]),
            ]
        );
    }
}
