//! The shape of a name: its text with what belongs to one machine put into
//! words, so that a thousand names of one making are one shape.

use crate::fact::view;
use nameplate_policy::Facts;
use serde_json::Value;
use std::fmt::Write as _;

/// Values shorter than this are not looked for inside a longer text: they
/// would be found by chance.
const SHORTEST_PART: usize = 3;

/// Facts whose values belong to one machine. In this order, where one value is
/// that of several.
const OWN: [&str; 23] = [
    "/attestation_id",
    "/claimed_id",
    "/subject/service_account/node/uid",
    "/subject/service_account/node/name",
    "/subject/service_account/node/address",
    "/subject/service_account/pod/uid",
    "/subject/service_account/pod/name",
    "/subject/service_account/pod/address",
    "/subject/service_account/uid",
    "/subject/service_account/token_id",
    "/subject/service_account/token_sha256",
    "/subject/service_account/cluster_thumbprint",
    "/subject/certificate/node/uid",
    "/subject/certificate/node/name",
    "/subject/certificate/node/address",
    "/subject/certificate/subject/common_name",
    "/subject/certificate/sha256",
    "/subject/certificate/sha1",
    "/subject/certificate/serial",
    "/subject/certificate/requester/node/name",
    "/subject/certificate/requester/node/uid",
    "/subject/certificate/requester/pod/name",
    "/subject/certificate/requester/pod/uid",
];

/// What of some facts belongs to one machine, longest first: its value, and
/// the words that stand for it.
pub(crate) struct OwnValues(Vec<(String, String)>);

impl OwnValues {
    /// Those of `facts`. Names that many machines share (cluster, namespace,
    /// service account) and labels are none: they tell shapes apart.
    pub(crate) fn of(facts: &Facts) -> Self {
        let view = view(facts);
        let mut own: Vec<(String, String)> = OWN
            .into_iter()
            .filter_map(|pointer| {
                let value = view.pointer(pointer)?.as_str()?;
                let words = pointer.rsplitn(3, '/').take(2).collect::<Vec<_>>();
                let words = match words.as_slice() {
                    [last, of @ ("node" | "pod")] => format!("<{of}.{last}>"),
                    [last, ..] => format!("<{last}>"),
                    [] => return None,
                };
                Some((value.to_owned(), words))
            })
            .collect();
        let names = view
            .pointer("/subject/certificate/alternative_names")
            .and_then(Value::as_array);
        for name in names.into_iter().flatten() {
            if let Some((kind, Value::String(value))) =
                name.as_object().and_then(|name| name.iter().next())
            {
                own.push((value.clone(), format!("<{kind}>")));
            }
        }
        // Stable: of equal lengths, the first of the list above.
        own.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self(own)
    }

    /// `text` with the machine's own values put into words.
    pub(crate) fn shape(&self, text: &str) -> String {
        if let Some((_, words)) = self.0.iter().find(|(value, _)| value == text) {
            return words.clone();
        }
        let inside = self
            .0
            .iter()
            .filter(|(value, _)| value.len() >= SHORTEST_PART);
        for (value, words) in inside {
            if let Some((before, after)) = text.split_once(value.as_str()) {
                return format!("{}{words}{}", self.shape(before), self.shape(after));
            }
        }
        general(text)
    }
}

/// `text` with UUIDs, digests and long numbers put into words, whoever's
/// they are.
fn general(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        let end = word
            .char_indices()
            .next_back()
            .filter(|(_, c)| !c.is_ascii_alphanumeric() && *c != '-');
        let (word, rest) = word
            .split_at_checked(end.map_or(word.len(), |(index, _)| index))
            .unwrap_or((word, ""));
        // Writing to a String cannot fail.
        let _written = write!(out, "{}{rest}", word_shape(word));
    }
    out
}

fn word_shape(word: &str) -> &str {
    let hexadecimal = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    match word.len() {
        36 if uuid::Uuid::try_parse(word).is_ok() => "<uuid>",
        32 | 40 | 64 if hexadecimal => "<digest>",
        6.. if word.bytes().all(|byte| byte.is_ascii_digit()) => "<number>",
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::FactPointer;
    use crate::study::samples;

    #[test]
    fn every_value_is_a_facts() {
        for pointer in OWN {
            assert!(pointer.parse::<FactPointer>().is_ok(), "{pointer}");
        }
    }

    #[test]
    fn what_is_one_machines_is_put_into_words() {
        let own = OwnValues::of(&samples::service_account());
        for (text, shape) in [
            ("worker-1", "<node.name>"),
            ("node-worker-1.x", "node-<node.name>.x"),
            ("1f2e3d4c-5b6a-4798-8695-a4b3c2d1e0f9", "<node.uid>"),
            ("agent_node_name:worker-1", "agent_node_name:<node.name>"),
            ("3f0c1a9e-5d2b-4c7a-9e41-7b6f0d2c8a15", "<attestation_id>"),
            // Shared by many machines.
            ("production", "production"),
            ("zone:eu-1a", "zone:eu-1a"),
        ] {
            assert_eq!(own.shape(text), shape);
        }
        let own = OwnValues::of(&samples::certificate());
        assert_eq!(own.shape("worker-1.example.org"), "<dns>");
        assert_eq!(own.shape("system:node:worker-1"), "<common_name>");
    }

    #[test]
    fn what_only_looks_like_one_machines_is_too() {
        let own = OwnValues(Vec::new());
        for (text, shape) in [
            ("00000000-0000-4000-8000-000000000001", "<uuid>"),
            ("a_00000000-0000-4000-8000-000000000001", "a_<uuid>"),
            (&"ab".repeat(20), "<digest>"),
            ("at:1767225600", "at:<number>"),
            ("eu-1a", "eu-1a"),
            ("", ""),
            ("ü/", "ü/"),
        ] {
            assert_eq!(own.shape(text), shape, "{text}");
        }
    }
}
