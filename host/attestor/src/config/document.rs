//! A configuration as it was written: values with their places in the text.
//!
//! This tree belongs to no file format. A reader (TOML now, HCL for SPIRE's
//! plugin later) makes one from text, and everything that gives a key its
//! meaning works on the tree, so two formats cannot come to mean two things.
//! Nothing here has been checked beyond the syntax.

use super::problem::{Problem, quoted};
use std::ops::Range;

/// A value and where it stands, in bytes of the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// The place of the value.
    pub(crate) span: Range<usize>,
    /// The value.
    pub(crate) value: Value,
}

/// A value in any of the formats.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Entries in the order of the text, no key twice.
    Table(Vec<Entry>),
    /// Values in order.
    Array(Vec<Node>),
    /// Text, with escapes resolved.
    String(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// What no key takes, by its name with an article, such as "a date".
    Other(&'static str),
}

/// A key of a table and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The key, with quotes and escapes resolved.
    pub(crate) key: String,
    /// The place of the key.
    pub(crate) key_span: Range<usize>,
    /// The value.
    pub(crate) node: Node,
}

impl Value {
    /// What the value is, with an article, for "expected …, found …".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "an array",
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::Other(kind) => kind,
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The number of an integer.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self {
            Some(*number)
        } else {
            None
        }
    }
}

impl Entry {
    /// From the key to the end of the value, for a problem with either.
    pub(crate) fn span(&self) -> Range<usize> {
        self.key_span.start.min(self.node.span.start)..self.key_span.end.max(self.node.span.end)
    }
}

impl Node {
    /// The value as JSON, for the settings of a policy.
    ///
    /// # Errors
    /// Every place that holds something JSON has no notation for.
    pub(crate) fn to_json(&self) -> Result<serde_json::Value, Vec<Problem>> {
        let mut problems = Vec::new();
        let json = self.json(&mut problems);
        if problems.is_empty() {
            Ok(json)
        } else {
            Err(problems)
        }
    }

    // Recursion is bounded: each reader bounds how deep values nest.
    fn json(&self, problems: &mut Vec<Problem>) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Table(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.json(problems)))
                .collect(),
            Value::Array(items) => items.iter().map(|item| item.json(problems)).collect(),
            Value::String(text) => Json::from(text.as_str()),
            Value::Integer(number) => Json::from(*number),
            Value::Bool(flag) => Json::from(*flag),
            Value::Float(number) => serde_json::Number::from_f64(*number).map_or_else(
                || {
                    problems.push(self.no_json("an infinite or undefined number"));
                    Json::Null
                },
                Json::Number,
            ),
            Value::Other(kind) => {
                problems.push(self.no_json(kind));
                Json::Null
            }
        }
    }

    fn no_json(&self, kind: &str) -> Problem {
        Problem::error(
            self.span.clone(),
            format!("a policy gets its settings as JSON, which cannot hold {kind}"),
        )
        .with_help("write it as a string")
    }

    /// The place that an RFC 6901 pointer names inside this value, or that
    /// of its nearest parent there is. Nothing for this value itself.
    pub(crate) fn at_pointer(&self, pointer: &str) -> Option<Range<usize>> {
        let mut node = self;
        let mut place = None;
        for token in pointer.split('/').skip(1) {
            // RFC 6901 §4: first `~1`, then `~0`.
            let token = token.replace("~1", "/").replace("~0", "~");
            let (next, span) = match &node.value {
                Value::Table(entries) => {
                    let Some(entry) = entries.iter().find(|entry| entry.key == token) else {
                        break;
                    };
                    (&entry.node, entry.span())
                }
                Value::Array(items) => {
                    let item = array_index(&token).and_then(|index| items.get(index));
                    let Some(item) = item else { break };
                    (item, item.span.clone())
                }
                Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Bool(_)
                | Value::Other(_) => break,
            };
            node = next;
            place = Some(span);
        }
        place
    }
}

/// RFC 6901 §4: digits without a leading zero.
fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && digits {
        token.parse().ok()
    } else {
        None
    }
}

/// The problem of a value of the wrong type under `key`.
pub(crate) fn wrong_type(key: &str, expected: &str, found: &Node) -> Problem {
    Problem::error(
        found.span.clone(),
        format!(
            "expected {expected} for {}, found {}",
            quoted(key),
            found.value.kind()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(span: Range<usize>, value: Value) -> Node {
        Node { span, value }
    }

    fn entry(key: &str, key_span: Range<usize>, node: Node) -> Entry {
        Entry {
            key: key.to_owned(),
            key_span,
            node,
        }
    }

    fn settings() -> Node {
        let items = vec![
            node(11..12, Value::Integer(1)),
            node(13..17, Value::Bool(true)),
        ];
        node(
            0..40,
            Value::Table(vec![
                entry("a", 5..6, node(10..18, Value::Array(items))),
                entry("x/y~z", 20..27, node(30..33, Value::Float(0.5))),
                entry("0", 34..35, node(36..39, Value::String("s".to_owned()))),
            ]),
        )
    }

    #[test]
    fn a_pointer_finds_its_place_or_the_nearest_parent() {
        for (pointer, place) in [
            ("", None),
            ("/a", Some(5..18)),
            ("/a/0", Some(11..12)),
            ("/a/1", Some(13..17)),
            ("/a/01", Some(5..18)),
            ("/a/+1", Some(5..18)),
            ("/a/", Some(5..18)),
            ("/a/2", Some(5..18)),
            ("/a/1/deeper", Some(13..17)),
            ("/x~1y~0z", Some(20..33)),
            ("/0", Some(34..39)),
            ("/absent/a", None),
        ] {
            assert_eq!(settings().at_pointer(pointer), place, "{pointer}");
        }
    }

    #[test]
    fn settings_become_json() {
        let json = settings().to_json().unwrap();
        assert_eq!(
            json,
            serde_json::json!({"a": [1, true], "x/y~z": 0.5, "0": "s"})
        );
    }

    #[test]
    fn what_json_cannot_hold_is_named_at_each_place() {
        let settings = node(
            0..9,
            Value::Array(vec![
                node(1..2, Value::Float(f64::NAN)),
                node(3..4, Value::Other("a date")),
            ]),
        );
        let problems = settings.to_json().unwrap_err();
        let seen: Vec<_> = problems
            .iter()
            .map(|p| (p.span.clone(), p.message.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (
                    Some(1..2),
                    "a policy gets its settings as JSON, which cannot hold an infinite or undefined number"
                ),
                (
                    Some(3..4),
                    "a policy gets its settings as JSON, which cannot hold a date"
                ),
            ]
        );
    }
}
