//! The facts by name: which there are, what kind of value each has, and how
//! one is read out of the facts of an attestation.
//!
//! A fact is named by a JSON Pointer (RFC 6901) into the facts as a case
//! states them, with one difference: a label is found by its key and not by
//! its place in the list, as in
//! `/subject/service_account/node/labels/topology.kubernetes.io~1zone`.

use nameplate_policy::Facts;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// Name of one fact, such as `/subject/service_account/node/uid`.
///
/// # Guarantees
/// The contract has such a fact: a misspelt one cannot be named. Records such
/// as a whole pod are no facts; lists such as the audiences are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct FactPointer(String);

impl FactPointer {
    /// The pointer as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fact's value in a [`view`], where it is proven.
    pub(crate) fn read<'a>(&self, view: &'a Value) -> Option<&'a Value> {
        view.pointer(&self.0)
    }
}

impl FromStr for FactPointer {
    type Err = NoSuchFact;

    fn from_str(pointer: &str) -> Result<Self, NoSuchFact> {
        match FactKind::of(pointer) {
            None | Some(FactKind::Record) => Err(NoSuchFact {
                pointer: pointer.to_owned(),
            }),
            Some(_) => Ok(Self(pointer.to_owned())),
        }
    }
}

/// Short, for people who know the kind of subject: `node.uid`,
/// `pod.labels[app]`, `attestation_id`.
impl fmt::Display for FactPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short_name(&self.0))
    }
}

/// The short name of the fact or record at `pointer`.
pub(crate) fn short_name(pointer: &str) -> String {
    let path = segments(pointer);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let path = match path.as_slice() {
        ["subject", _kind, rest @ ..] if !rest.is_empty() => rest,
        whole => whole,
    };
    match path {
        [rest @ .., "labels", key] => format!("{}.labels[{key}]", rest.join(".")),
        path => path.join("."),
    }
}

/// A pointer to nothing that a policy is ever told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no fact `{}`; facts are named as in `/subject/service_account/node/uid`",
    pointer.escape_debug()
)]
pub struct NoSuchFact {
    pointer: String,
}

/// What kind of value a fact has: what can be put in its place and still be
/// the like of what an attestation proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FactKind {
    /// A trust domain's name.
    TrustDomain,
    /// A name that Kubernetes or the operator gives: `node-7`.
    Name,
    /// A name that an authority vouches for, in any characters.
    Text,
    /// A UUID.
    Uuid,
    /// Hexadecimal digits: a digest, a serial number.
    Hexadecimal,
    /// Seconds since 1970-01-01T00:00:00Z.
    Time,
    /// The URL of an issuer.
    Url,
    /// An IP address.
    Address,
    /// The value of a label.
    Label,
    /// A list of texts, whose order is the evidence's.
    Texts,
    /// Subject alternative names.
    AlternativeNames,
    /// Certificate authorities.
    Authorities,
    /// The kind of a key.
    Key,
    /// Several facts under one name: a pod, a node, all labels of one.
    Record,
}

impl FactKind {
    /// The kind of what `pointer` points to, if there is such a thing.
    pub(crate) fn of(pointer: &str) -> Option<Self> {
        if !pointer.starts_with('/') {
            return None;
        }
        let path = segments(pointer);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["trust_domain"] => Some(Self::TrustDomain),
            ["attestor"] => Some(Self::Name),
            ["attested_at"] => Some(Self::Time),
            ["attestation_id" | "claimed_id"] => Some(Self::Uuid),
            ["subject"] | ["subject", "service_account" | "certificate"] => Some(Self::Record),
            ["subject", "service_account", rest @ ..] => Self::of_service_account(rest),
            ["subject", "certificate", rest @ ..] => Self::of_certificate(rest),
            _ => None,
        }
    }

    fn of_service_account(path: &[&str]) -> Option<Self> {
        match path {
            ["cluster" | "namespace" | "name"] => Some(Self::Name),
            ["cluster_thumbprint" | "token_sha256"] => Some(Self::Hexadecimal),
            ["uid" | "token_id"] => Some(Self::Uuid),
            ["issuer"] => Some(Self::Url),
            ["audiences"] => Some(Self::Texts),
            ["issued_at" | "expires_at"] => Some(Self::Time),
            ["pod" | "node", rest @ ..] => Self::of_object(rest),
            _ => None,
        }
    }

    fn of_certificate(path: &[&str]) -> Option<Self> {
        match path {
            ["cluster"] => Some(Self::Name),
            ["subject"] | ["requester"] => Some(Self::Record),
            ["subject", "common_name"] | ["requester", "username"] => Some(Self::Text),
            ["subject", "organizations" | "organizational_units"] | ["requester", "groups"] => {
                Some(Self::Texts)
            }
            ["serial" | "sha1" | "sha256"] => Some(Self::Hexadecimal),
            ["alternative_names"] => Some(Self::AlternativeNames),
            ["authorities"] => Some(Self::Authorities),
            ["not_before" | "not_after"] => Some(Self::Time),
            ["key"] => Some(Self::Key),
            ["requester", "uid"] => Some(Self::Uuid),
            ["node", rest @ ..] | ["requester", "pod" | "node", rest @ ..] => Self::of_object(rest),
            _ => None,
        }
    }

    /// Of a pod or a node.
    fn of_object(path: &[&str]) -> Option<Self> {
        match path {
            [] | ["labels"] => Some(Self::Record),
            ["name"] => Some(Self::Name),
            ["uid"] => Some(Self::Uuid),
            ["address"] => Some(Self::Address),
            ["labels", _key] => Some(Self::Label),
            _ => None,
        }
    }
}

/// The unescaped segments of a JSON Pointer.
fn segments(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// `segment` as it stands in a JSON Pointer.
pub(crate) fn escaped(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// The facts as [`FactPointer`] reads them: as a case states them, but with
/// every list of labels as an object.
pub(crate) fn view(facts: &Facts) -> Value {
    // Facts are text, numbers and lists of them, which JSON always can say.
    let mut view = serde_json::to_value(facts).unwrap_or_default();
    each_labels(&mut view, &|labels| {
        let Value::Array(list) = labels else { return };
        let mut by_key: Vec<(String, Value)> = list
            .iter_mut()
            .filter_map(|label| {
                let key = label.get("key")?.as_str()?.to_owned();
                Some((key, label.get_mut("value")?.take()))
            })
            .collect();
        by_key.sort_by(|(one, _), (other, _)| one.cmp(other));
        *labels = Value::Object(by_key.into_iter().collect());
    });
    view
}

/// The facts that a [`view`] shows.
///
/// # Errors
/// Where it shows none: a required one is missing.
pub(crate) fn facts(mut view: Value) -> Result<Facts, serde_json::Error> {
    each_labels(&mut view, &|labels| {
        let Value::Object(by_key) = labels else {
            return;
        };
        let mut list: Vec<(String, Value)> = std::mem::take(by_key).into_iter().collect();
        list.sort_by(|(one, _), (other, _)| one.cmp(other));
        *labels = list
            .into_iter()
            .map(|(key, value)| {
                let label = [("key", Value::String(key)), ("value", value)];
                Value::Object(
                    label
                        .map(|(name, value)| (name.to_owned(), value))
                        .into_iter()
                        .collect(),
                )
            })
            .collect();
    });
    serde_json::from_value(view)
}

/// Calls `change` with the labels of every pod and node there is.
fn each_labels(view: &mut Value, change: &dyn Fn(&mut Value)) {
    const HOLDERS: [&str; 5] = [
        "/subject/service_account/pod/labels",
        "/subject/service_account/node/labels",
        "/subject/certificate/node/labels",
        "/subject/certificate/requester/pod/labels",
        "/subject/certificate/requester/node/labels",
    ];
    for pointer in HOLDERS {
        if let Some(labels) = view.pointer_mut(pointer) {
            change(labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::samples;

    /// Every pointer into `value` at which no object of facts stands.
    fn leaves(value: &Value, at: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    leaves(value, &format!("{at}/{}", escaped(name)), out);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                out.push(at.to_owned());
            }
        }
    }

    #[test]
    fn every_fact_of_the_contract_has_a_name_and_a_kind() {
        for facts in [samples::service_account(), samples::certificate()] {
            let mut pointers = Vec::new();
            leaves(&view(&facts), "", &mut pointers);
            assert!(pointers.len() > 15, "{pointers:?}");
            for pointer in pointers {
                let fact: FactPointer = pointer.parse().unwrap();
                assert!(fact.read(&view(&facts)).is_some(), "{pointer}");
            }
        }
    }

    #[test]
    fn what_is_no_fact_has_no_name() {
        for bad in [
            "",
            "/",
            "trust_domain",
            "/subject",
            "/subject/service_account",
            "/subject/service_account/pod",
            "/subject/service_account/pod/labels",
            "/subject/service_account/pod/uuid",
            "/subject/service_account/node/name/x",
            "/subject/certificate/requester",
        ] {
            let error = bad.parse::<FactPointer>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "there is no fact `{bad}`; facts are named as in `/subject/service_account/node/uid`"
                )
            );
        }
    }

    #[test]
    fn a_view_shows_the_facts_and_gives_them_back() {
        for facts in [samples::service_account(), samples::certificate()] {
            assert_eq!(super::facts(view(&facts)).unwrap(), facts);
        }
    }

    #[test]
    fn a_label_is_found_by_its_key() {
        let zone: FactPointer = "/subject/service_account/node/labels/topology.kubernetes.io~1zone"
            .parse()
            .unwrap();
        let view = view(&samples::service_account());
        assert_eq!(zone.read(&view), Some(&Value::from("eu-1a")));
        assert_eq!(zone.to_string(), "node.labels[topology.kubernetes.io/zone]");
    }

    #[test]
    fn names_are_short_where_they_are_shown() {
        for (pointer, shown) in [
            ("/attestation_id", "attestation_id"),
            ("/subject/service_account/node/uid", "node.uid"),
            (
                "/subject/certificate/subject/common_name",
                "subject.common_name",
            ),
            (
                "/subject/certificate/requester/pod/name",
                "requester.pod.name",
            ),
        ] {
            assert_eq!(pointer.parse::<FactPointer>().unwrap().to_string(), shown);
        }
    }
}
