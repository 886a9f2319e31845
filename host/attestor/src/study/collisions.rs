//! Two subjects with one SPIFFE ID.
//!
//! Two machines with one name are one machine to everyone who authorizes by
//! name. Some namings want that (all machines of a cluster under its
//! thumbprint), so it is found and not judged.

use super::names::Names;
use super::rounds;
use super::sightings::{Sight, Sightings};
use super::source::Described;
use crate::cases::Outcome;
use crate::fact;
use crate::subject_key::SubjectKeys;
use nameplate_policy::Facts;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// IDs that several subjects get, among many facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collisions {
    /// Facts that the policy was asked about.
    pub asked: u64,
    /// Those that have an ID.
    pub named: u64,
    /// IDs that several subjects get.
    pub collided: u64,
    /// Sightings of IDs that could not be remembered for that.
    pub unremembered: u64,
    /// The first of the collisions.
    pub found: Vec<Collision>,
}

/// One ID for two subjects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collision {
    /// The ID.
    pub spiffe_id: String,
    /// Which of the facts had it first, from 0.
    pub first: u64,
    /// Which has it too.
    pub second: u64,
    /// The facts of the second.
    pub described: Described,
}

/// One ID for two subjects, and both of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SharedId {
    /// The ID.
    pub spiffe_id: String,
    /// The two.
    pub subjects: [Described; 2],
    /// The facts in which they differ.
    pub differ_in: Vec<Difference>,
}

/// A fact in which two subjects differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Its name, as it is shown.
    pub name: String,
    /// Where it stands, as a JSON Pointer.
    pub pointer: String,
    /// What it is of each; none where it is not proven.
    pub values: [Option<Value>; 2],
}

impl Collisions {
    /// Asks about all of the facts, on every core, and calls `progress` now
    /// and then. Remembers at most `remembered` IDs, at about 100 bytes each,
    /// and keeps the first `kept` collisions.
    pub fn find(
        names: &impl Names,
        keys: &SubjectKeys,
        facts: impl Iterator<Item = Described>,
        remembered: usize,
        kept: usize,
        progress: impl FnMut(u64),
    ) -> Self {
        let mut collisions = Self::default();
        let mut sightings = Sightings::of_at_most(remembered);
        rounds::ask_all(
            facts,
            |described| {
                let outcome = names.outcome(described);
                (outcome, keys.key(&described.facts))
            },
            |described, (outcome, subject)| {
                let at = collisions.asked;
                collisions.asked = at.saturating_add(1);
                let Outcome::Identity { spiffe_id, .. } = outcome else {
                    return;
                };
                collisions.named = collisions.named.saturating_add(1);
                let sight = sightings.see(&spiffe_id, subject, at);
                let room = collisions.found.len() < kept;
                if let (Some(first), true) = (sight.newly_shared_with(), room) {
                    collisions.found.push(Collision {
                        spiffe_id,
                        first,
                        second: at,
                        described,
                    });
                }
            },
            progress,
        );
        collisions.collided = sightings.collided();
        collisions.unremembered = sightings.unremembered();
        collisions
    }
}

impl Sight {
    /// The first that had the ID, where it is another subject's and was not
    /// known to be shared.
    pub(super) fn newly_shared_with(self) -> Option<u64> {
        match self {
            Self::Another {
                first,
                known: false,
            } => Some(first),
            Self::Another { known: true, .. } | Self::First | Self::Again | Self::Unremembered => {
                None
            }
        }
    }
}

/// Both subjects of each collision: the first of them is found by going
/// through the facts again, no further than needed.
pub fn both_subjects(
    found: Vec<Collision>,
    again: impl Iterator<Item = Described>,
) -> Vec<SharedId> {
    let wanted: BTreeSet<u64> = found.iter().map(|collision| collision.first).collect();
    let most = wanted.last().map_or(0, |last| last.saturating_add(1));
    let firsts: BTreeMap<u64, Described> = (0..most)
        .zip(again)
        .filter(|(at, _)| wanted.contains(at))
        .collect();
    found
        .into_iter()
        .filter_map(|collision| {
            let first = firsts.get(&collision.first)?.clone();
            Some(SharedId {
                differ_in: differences(&first.facts, &collision.described.facts),
                spiffe_id: collision.spiffe_id,
                subjects: [first, collision.described],
            })
        })
        .collect()
}

/// The facts in which two subjects differ; not the credential, and not what
/// is another in every attestation.
pub fn differences(one: &Facts, other: &Facts) -> Vec<Difference> {
    const OF_THE_ATTESTATION: [&str; 10] = [
        "/attested_at",
        "/attestation_id",
        "/subject/service_account/token_id",
        "/subject/service_account/token_sha256",
        "/subject/service_account/issued_at",
        "/subject/service_account/expires_at",
        "/subject/certificate/serial",
        "/subject/certificate/sha1",
        "/subject/certificate/not_before",
        "/subject/certificate/not_after",
    ];
    let (one, other) = (leaves(one), leaves(other));
    let pointers: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    pointers
        .into_iter()
        .filter(|pointer| !OF_THE_ATTESTATION.contains(&pointer.as_str()))
        .filter(|pointer| one.get(*pointer) != other.get(*pointer))
        .map(|pointer| Difference {
            name: fact::short_name(pointer),
            pointer: pointer.clone(),
            values: [one.get(pointer).cloned(), other.get(pointer).cloned()],
        })
        .collect()
}

/// Every fact by its pointer.
fn leaves(facts: &Facts) -> BTreeMap<String, Value> {
    fn collect(value: &Value, at: &str, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    collect(value, &format!("{at}/{}", fact::escaped(name)), found);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                found.insert(at.to_owned(), value.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&fact::view(facts), "", &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Source, names, samples};
    use nameplate_evidence::Subject;

    /// Joins two facts in one segment, as `policies/template` warns of.
    fn joined(facts: &Facts) -> Outcome {
        named(facts, |account| {
            format!("{}-{}", account.namespace, account.name)
        })
    }

    fn apart(facts: &Facts) -> Outcome {
        named(facts, |account| {
            format!("{}/{}", account.namespace, account.name)
        })
    }

    fn named(
        facts: &Facts,
        path: impl Fn(&nameplate_evidence::ServiceAccount) -> String,
    ) -> Outcome {
        match &facts.subject {
            Subject::ServiceAccount(account) => Outcome::Identity {
                spiffe_id: format!("{}{}", names::prefix(facts), path(account)),
                selectors: Vec::new(),
            },
            Subject::Certificate(_) => Outcome::Fault("path_empty".to_owned()),
        }
    }

    fn keys() -> SubjectKeys {
        SubjectKeys::of_facts(vec![
            "/subject/service_account/namespace".parse().unwrap(),
            "/subject/service_account/name".parse().unwrap(),
        ])
    }

    fn generated() -> Source {
        Source::Generated {
            from: Box::new(samples::service_account()),
            count: 20_000,
            seed: 1,
        }
    }

    fn facts(source: &Source) -> impl Iterator<Item = Described> + '_ {
        source.facts().unwrap().map(Result::unwrap)
    }

    #[test]
    fn names_that_run_into_each_other_are_found_by_generated_facts() {
        let source = generated();
        let collisions = Collisions::find(&joined, &keys(), facts(&source), 10_000, 3, |_| {});
        assert!(collisions.collided >= 3, "{collisions:#?}");
        assert_eq!(collisions.found.len(), 3);
        let shared = both_subjects(collisions.found, facts(&source));
        assert_eq!(shared.len(), 3);
        for shared in shared {
            let [one, other] = &shared.subjects;
            assert_eq!(joined(&one.facts), joined(&other.facts));
            assert_ne!(keys().key(&one.facts), keys().key(&other.facts));
            let names: Vec<_> = shared
                .differ_in
                .iter()
                .map(|fact| fact.name.as_str())
                .collect();
            assert!(
                names.contains(&"namespace") && names.contains(&"name"),
                "{names:?}"
            );
        }
        // The twin: the same facts, each in a segment of its own.
        let apart = Collisions::find(&apart, &keys(), facts(&source), 10_000, 3, |_| {});
        assert_eq!((apart.collided, apart.found), (0, Vec::new()));
    }

    #[test]
    fn a_new_token_is_no_difference() {
        let facts = samples::service_account();
        let mut renewed = facts.clone();
        renewed.attested_at += 1;
        if let Subject::ServiceAccount(account) = &mut renewed.subject {
            account.token_sha256 = "00".repeat(32);
            account.token_id = None;
        }
        assert_eq!(differences(&facts, &renewed), []);
        if let Subject::ServiceAccount(account) = &mut renewed.subject {
            account.node = None;
        }
        let names: Vec<_> = differences(&facts, &renewed)
            .into_iter()
            .map(|difference| difference.name)
            .collect();
        assert_eq!(
            names,
            [
                "node.address",
                "node.labels[topology.kubernetes.io/zone]",
                "node.name",
                "node.uid"
            ]
        );
    }
}
