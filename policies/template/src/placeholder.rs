//! The names that may stand between braces, and what each of them reads.
//!
//! One row per fact. A fact that the evidence does not prove has no value, and
//! a list has one only if it has exactly one item: a template never prints an
//! empty string for what is not there.

use std::borrow::Cow;
use std::fmt;

use nameplate_guest::{
    AlternativeName, Authority, Certificate, Facts, KeyKind, Label, Node, Pod, Requester,
    ServiceAccount, Subject,
};

/// What stands between a pair of braces.
#[derive(Debug)]
pub(crate) enum Placeholder {
    /// A fact by its name.
    Fact(&'static Fact),
    /// A label of an object: `node_label:topology.kubernetes.io/zone`.
    Label { of: &'static Labels, key: String },
}

/// Why a placeholder has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The evidence does not prove it.
    Unproven,
    /// There is more than one, and none of them is the one.
    Several,
}

/// A fact's name and where it is read from.
#[derive(Debug)]
pub(crate) struct Fact {
    name: &'static str,
    read: for<'f> fn(&'f Facts) -> Value<'f>,
}

/// The name of an object's labels and where they are read from.
#[derive(Debug)]
pub(crate) struct Labels {
    name: &'static str,
    read: for<'f> fn(&'f Facts) -> Option<&'f [Label]>,
}

type Value<'f> = Result<Cow<'f, str>, Missing>;

impl Placeholder {
    /// The placeholder that is written as `text`.
    ///
    /// # Errors
    /// One sentence for the operator, with the nearest name there is.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(fact) = FACTS.iter().find(|fact| fact.name == text) {
            return Ok(Self::Fact(fact));
        }
        let (name, key) = match text.split_once(':') {
            Some((name, key)) => (name, Some(key)),
            None => (text, None),
        };
        let labels = LABELS.iter().find(|labels| labels.name == name);
        match (labels, key) {
            (Some(of), Some(key)) if is_label_key(key) => Ok(Self::Label {
                of,
                key: key.to_owned(),
            }),
            (Some(_), _) => Err([
                "`{",
                text,
                "}` needs the key of a label, as in `{",
                name,
                ":app}`",
            ]
            .concat()),
            (None, _) => Err(unknown(text, name)),
        }
    }

    /// Its value in `facts`.
    pub(crate) fn value<'f>(&self, facts: &'f Facts) -> Value<'f> {
        match self {
            Self::Fact(fact) => (fact.read)(facts),
            Self::Label { of, key } => one((of.read)(facts)
                .unwrap_or_default()
                .iter()
                .find(|label| label.key == *key)
                .map(|label| &label.value)),
        }
    }
}

/// As it is written, without the braces.
impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => f.write_str(fact.name),
            Self::Label { of, key } => write!(f, "{}:{key}", of.name),
        }
    }
}

/// Every fact that has one value, in the order of the contract.
const FACTS: &[Fact] = &[
    fact("trust_domain", |facts| one(Some(&facts.trust_domain))),
    fact("attestor", |facts| one(Some(&facts.attestor))),
    fact("attested_at", |facts| number(Some(facts.attested_at))),
    fact("attestation_id", |facts| one(Some(&facts.attestation_id))),
    fact("claimed_id", |facts| one(facts.claimed_id.as_ref())),
    fact("subject_kind", |facts| {
        Ok(Cow::Borrowed(match facts.subject {
            Subject::ServiceAccount(_) => "service_account",
            Subject::Certificate(_) => "certificate",
        }))
    }),
    fact("cluster", |facts| {
        one(match &facts.subject {
            Subject::ServiceAccount(account) => Some(&account.cluster),
            Subject::Certificate(certificate) => certificate.cluster.as_ref(),
        })
    }),
    fact("cluster_thumbprint", |facts| {
        one(account(facts).and_then(|a| a.cluster_thumbprint.as_ref()))
    }),
    fact("namespace", |facts| {
        one(account(facts).map(|a| &a.namespace))
    }),
    fact("service_account", |facts| {
        one(account(facts).map(|a| &a.name))
    }),
    fact("service_account_uid", |facts| {
        one(account(facts).and_then(|a| a.uid.as_ref()))
    }),
    fact("pod_name", |facts| one(pod(facts).map(|p| &p.name))),
    fact("pod_uid", |facts| {
        one(pod(facts).and_then(|p| p.uid.as_ref()))
    }),
    fact("pod_address", |facts| {
        one(pod(facts).and_then(|p| p.address.as_ref()))
    }),
    fact("node_name", |facts| one(node(facts).map(|n| &n.name))),
    fact("node_uid", |facts| {
        one(node(facts).and_then(|n| n.uid.as_ref()))
    }),
    fact("node_address", |facts| {
        one(node(facts).and_then(|n| n.address.as_ref()))
    }),
    fact("issuer", |facts| {
        one(account(facts).and_then(|a| a.issuer.as_ref()))
    }),
    fact("audience", |facts| {
        only(account(facts).into_iter().flat_map(|a| &a.audiences))
    }),
    fact("token_id", |facts| {
        one(account(facts).and_then(|a| a.token_id.as_ref()))
    }),
    fact("token_sha256", |facts| {
        one(account(facts).map(|a| &a.token_sha256))
    }),
    fact("issued_at", |facts| {
        number(account(facts).and_then(|a| a.issued_at))
    }),
    fact("expires_at", |facts| {
        number(account(facts).and_then(|a| a.expires_at))
    }),
    fact("common_name", |facts| {
        one(certificate(facts).and_then(|c| c.subject.common_name.as_ref()))
    }),
    fact("organization", |facts| {
        only(
            certificate(facts)
                .into_iter()
                .flat_map(|c| &c.subject.organizations),
        )
    }),
    fact("organizational_unit", |facts| {
        only(
            certificate(facts)
                .into_iter()
                .flat_map(|c| &c.subject.organizational_units),
        )
    }),
    fact("serial", |facts| one(certificate(facts).map(|c| &c.serial))),
    fact("sha1", |facts| one(certificate(facts).map(|c| &c.sha1))),
    fact("sha256", |facts| one(certificate(facts).map(|c| &c.sha256))),
    fact("dns", |facts| {
        only(names(facts).filter_map(|name| match name {
            AlternativeName::Dns(value) => Some(value),
            AlternativeName::Uri(_) | AlternativeName::Ip(_) | AlternativeName::Email(_) => None,
        }))
    }),
    fact("uri", |facts| {
        only(names(facts).filter_map(|name| match name {
            AlternativeName::Uri(value) => Some(value),
            AlternativeName::Dns(_) | AlternativeName::Ip(_) | AlternativeName::Email(_) => None,
        }))
    }),
    fact("ip", |facts| {
        only(names(facts).filter_map(|name| match name {
            AlternativeName::Ip(value) => Some(value),
            AlternativeName::Dns(_) | AlternativeName::Uri(_) | AlternativeName::Email(_) => None,
        }))
    }),
    fact("email", |facts| {
        only(names(facts).filter_map(|name| match name {
            AlternativeName::Email(value) => Some(value),
            AlternativeName::Dns(_) | AlternativeName::Uri(_) | AlternativeName::Ip(_) => None,
        }))
    }),
    fact("authority_sha1", |facts| {
        one(authorities(facts).first().map(|a| &a.sha1))
    }),
    fact("authority_sha256", |facts| {
        one(authorities(facts).first().map(|a| &a.sha256))
    }),
    fact("root_sha1", |facts| {
        one(authorities(facts).last().map(|a| &a.sha1))
    }),
    fact("root_sha256", |facts| {
        one(authorities(facts).last().map(|a| &a.sha256))
    }),
    fact("not_before", |facts| {
        number(certificate(facts).map(|c| c.not_before))
    }),
    fact("not_after", |facts| {
        number(certificate(facts).map(|c| c.not_after))
    }),
    fact("key", |facts| match certificate(facts).map(|c| c.key) {
        Some(KeyKind::Rsa) => Ok(Cow::Borrowed("rsa")),
        Some(KeyKind::P256) => Ok(Cow::Borrowed("p256")),
        Some(KeyKind::P384) => Ok(Cow::Borrowed("p384")),
        Some(KeyKind::P521) => Ok(Cow::Borrowed("p521")),
        None => Err(Missing::Unproven),
    }),
    fact("requester_username", |facts| {
        one(requester(facts).map(|r| &r.username))
    }),
    fact("requester_uid", |facts| {
        one(requester(facts).and_then(|r| r.uid.as_ref()))
    }),
    fact("requester_group", |facts| {
        only(requester(facts).into_iter().flat_map(|r| &r.groups))
    }),
    fact("requester_pod_name", |facts| {
        one(requester_pod(facts).map(|p| &p.name))
    }),
    fact("requester_pod_uid", |facts| {
        one(requester_pod(facts).and_then(|p| p.uid.as_ref()))
    }),
    fact("requester_pod_address", |facts| {
        one(requester_pod(facts).and_then(|p| p.address.as_ref()))
    }),
    fact("requester_node_name", |facts| {
        one(requester_node(facts).map(|n| &n.name))
    }),
    fact("requester_node_uid", |facts| {
        one(requester_node(facts).and_then(|n| n.uid.as_ref()))
    }),
    fact("requester_node_address", |facts| {
        one(requester_node(facts).and_then(|n| n.address.as_ref()))
    }),
];

/// Every object whose labels are facts.
const LABELS: &[Labels] = &[
    Labels {
        name: "pod_label",
        read: |facts| pod(facts).map(|p| p.labels.as_slice()),
    },
    Labels {
        name: "node_label",
        read: |facts| node(facts).map(|n| n.labels.as_slice()),
    },
    Labels {
        name: "requester_pod_label",
        read: |facts| requester_pod(facts).map(|p| p.labels.as_slice()),
    },
    Labels {
        name: "requester_node_label",
        read: |facts| requester_node(facts).map(|n| n.labels.as_slice()),
    },
];

const fn fact(name: &'static str, read: for<'f> fn(&'f Facts) -> Value<'f>) -> Fact {
    Fact { name, read }
}

fn one(value: Option<&String>) -> Value<'_> {
    value
        .map(|value| Cow::Borrowed(value.as_str()))
        .ok_or(Missing::Unproven)
}

fn number<'f>(value: Option<u64>) -> Value<'f> {
    value
        .map(|value| Cow::Owned(value.to_string()))
        .ok_or(Missing::Unproven)
}

fn only<'f>(mut values: impl Iterator<Item = &'f String>) -> Value<'f> {
    match (values.next(), values.next()) {
        (first, None) => one(first),
        (_, Some(_)) => Err(Missing::Several),
    }
}

fn account(facts: &Facts) -> Option<&ServiceAccount> {
    match &facts.subject {
        Subject::ServiceAccount(account) => Some(account),
        Subject::Certificate(_) => None,
    }
}

fn certificate(facts: &Facts) -> Option<&Certificate> {
    match &facts.subject {
        Subject::ServiceAccount(_) => None,
        Subject::Certificate(certificate) => Some(certificate),
    }
}

fn pod(facts: &Facts) -> Option<&Pod> {
    account(facts)?.pod.as_ref()
}

/// Of either subject: both can be proven to belong to a node.
fn node(facts: &Facts) -> Option<&Node> {
    match &facts.subject {
        Subject::ServiceAccount(account) => account.node.as_ref(),
        Subject::Certificate(certificate) => certificate.node.as_ref(),
    }
}

fn names(facts: &Facts) -> impl Iterator<Item = &AlternativeName> {
    certificate(facts)
        .into_iter()
        .flat_map(|certificate| &certificate.alternative_names)
}

fn authorities(facts: &Facts) -> &[Authority] {
    certificate(facts).map_or(&[], |certificate| &certificate.authorities)
}

fn requester(facts: &Facts) -> Option<&Requester> {
    certificate(facts)?.requester.as_ref()
}

fn requester_pod(facts: &Facts) -> Option<&Pod> {
    requester(facts)?.pod.as_ref()
}

fn requester_node(facts: &Facts) -> Option<&Node> {
    requester(facts)?.node.as_ref()
}

/// Whether Kubernetes could have a label of this key: an optional prefix and a
/// name.
fn is_label_key(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/'))
}

fn unknown(text: &str, name: &str) -> String {
    let names = FACTS
        .iter()
        .map(|fact| fact.name)
        .chain(LABELS.iter().map(|labels| labels.name));
    let nearest = names
        .map(|known| (distance(name, known), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 1 + name.len() / 4);
    match nearest {
        Some((_, known)) => ["`{", text, "}` is no fact; did you mean `", known, "`?"].concat(),
        None => ["`{", text, "}` is no fact"].concat(),
    }
}

/// Insertions, deletions and replacements of a byte between `a` and `b`
/// (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    // A name this long is nobody's slip of the finger.
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, of_a) in a.bytes().enumerate() {
        let mut left = i + 1;
        let mut above_left = i;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (above, of_b) in row.iter_mut().skip(1).zip(b.bytes()) {
            let replaced = above_left + usize::from(of_a != of_b);
            above_left = *above;
            left = replaced.min(left + 1).min(above_left + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use nameplate_guest::testing;

    use super::*;

    /// A certificate of which every fact has one value.
    fn full_certificate() -> Certificate {
        Certificate {
            cluster: Some("production".into()),
            alternative_names: vec![
                AlternativeName::Dns("db-3.example.org".into()),
                AlternativeName::Uri("urn:db-3".into()),
                AlternativeName::Ip("192.0.2.33".into()),
                AlternativeName::Email("db@example.org".into()),
            ],
            node: Some(testing::node()),
            requester: Some(Requester {
                username: "system:node:node-7".into(),
                uid: Some("7".into()),
                groups: vec!["system:nodes".into()],
                pod: Some(testing::pod()),
                node: Some(testing::node()),
            }),
            ..testing::certificate()
        }
    }

    fn value(facts: &Facts, name: &str) -> Result<String, Missing> {
        Placeholder::parse(name)
            .unwrap()
            .value(facts)
            .map(Cow::into_owned)
    }

    #[test]
    fn every_fact_is_proven_by_a_full_token_or_certificate() {
        let token = Facts {
            claimed_id: Some("0".into()),
            ..testing::facts(testing::bound_token())
        };
        let certificate = testing::facts(full_certificate());
        for fact in FACTS {
            assert!(
                (fact.read)(&token).is_ok() || (fact.read)(&certificate).is_ok(),
                "{} has no value",
                fact.name
            );
        }
        for labels in LABELS {
            assert!((labels.read)(&token).is_some() || (labels.read)(&certificate).is_some());
        }
    }

    #[test]
    fn values_are_the_facts() {
        let token = testing::facts(testing::bound_token());
        for (name, expected) in [
            ("attested_at", "1767225600"),
            ("subject_kind", "service_account"),
            ("cluster", "production"),
            ("service_account", "spire-agent"),
            ("node_address", "192.0.2.7"),
            ("audience", "spire-server"),
            ("node_label:topology.kubernetes.io/zone", "eu-1a"),
            ("pod_label:app", "spire-agent"),
        ] {
            assert_eq!(value(&token, name).as_deref(), Ok(expected), "{name}");
        }
        let certificate = testing::facts(full_certificate());
        for (name, expected) in [
            ("subject_kind", "certificate"),
            ("cluster", "production"),
            ("common_name", "db-3.example.org"),
            ("email", "db@example.org"),
            ("key", "p256"),
            ("node_name", "node-7"),
            ("requester_group", "system:nodes"),
            ("requester_node_label:topology.kubernetes.io/zone", "eu-1a"),
        ] {
            assert_eq!(value(&certificate, name).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn the_nearest_authority_is_the_first_and_the_root_the_last() {
        let facts = testing::facts(testing::certificate());
        assert_eq!(value(&facts, "authority_sha256").unwrap(), "4".repeat(64));
        assert_eq!(value(&facts, "root_sha256").unwrap(), "6".repeat(64));
    }

    #[test]
    fn what_is_absent_has_no_value() {
        let legacy = testing::facts(testing::legacy_token());
        for name in [
            "node_name",
            "pod_uid",
            "audience",
            "expires_at",
            "common_name",
            "pod_label:app",
        ] {
            assert_eq!(value(&legacy, name), Err(Missing::Unproven), "{name}");
        }
        let bound = testing::facts(testing::bound_token());
        assert_eq!(value(&bound, "pod_label:other"), Err(Missing::Unproven));
    }

    #[test]
    fn a_list_of_two_has_no_value() {
        let facts = testing::facts(ServiceAccount {
            audiences: vec!["a".into(), "b".into()],
            ..testing::bound_token()
        });
        assert_eq!(value(&facts, "audience"), Err(Missing::Several));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest() {
        for (text, message) in [
            (
                "node_nmae",
                "`{node_nmae}` is no fact; did you mean `node_name`?",
            ),
            (
                "node-name",
                "`{node-name}` is no fact; did you mean `node_name`?",
            ),
            (
                "nodelabel:app",
                "`{nodelabel:app}` is no fact; did you mean `node_label`?",
            ),
            ("colour_of_the_sky", "`{colour_of_the_sky}` is no fact"),
            ("", "`{}` is no fact"),
            (
                "pod_label",
                "`{pod_label}` needs the key of a label, as in `{pod_label:app}`",
            ),
            (
                "pod_label:",
                "`{pod_label:}` needs the key of a label, as in `{pod_label:app}`",
            ),
            (
                "pod_label:a b",
                "`{pod_label:a b}` needs the key of a label, as in `{pod_label:app}`",
            ),
        ] {
            assert_eq!(Placeholder::parse(text).err().as_deref(), Some(message));
        }
    }
}
