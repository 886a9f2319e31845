//! Which subjects are one and the same: the facts that keep them apart, and a
//! digest over their values.
//!
//! Two subjects with one SPIFFE ID are one machine to everyone who authorizes
//! by name. To notice that, it must be said when two attestations are of one
//! subject: a machine comes back with a new token, in a new pod or with a
//! renewed certificate, and is the same machine.
//!
//! A policy's author says it in the component's `nameplate:subject-keys`
//! section. Its word is the policy's, so it is used to report and never to
//! admit; an operator who does not take it names the facts with
//! [`SubjectKeys::of_facts`], or takes the [default](SubjectKeys::default).

use crate::fact::{self, FactPointer, NoSuchFact};
use nameplate_policy::{Digest, Facts, Manifest};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The facts that keep a policy's subjects apart.
///
/// Groups of facts, strongest first: a subject is told from others by the
/// first group of which it proves everything. After them comes the default.
///
/// # Default
/// A subject is a machine, known by the strongest thing that the evidence
/// proves of it. For a service account: the cluster and the node's UID, else
/// the pod's UID, else the service account's UID, else its namespace and
/// name. For a certificate: the cluster and the node's UID, else subject name
/// and alternative names, which a renewed certificate keeps, else the SHA-256
/// of the certificate. A token that proves less than the one before it makes
/// another subject of the same machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectKeys {
    groups: Vec<Vec<FactPointer>>,
    said_by: SaidBy,
}

/// Who says which facts keep subjects apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SaidBy {
    /// Nobody: the host's default.
    #[default]
    Default,
    /// The policy's component.
    Policy,
    /// The operator.
    Operator,
}

impl SubjectKeys {
    /// The facts that the policy names for these settings; the default where
    /// it names none.
    ///
    /// # Errors
    /// Where the component has the section and it cannot be read.
    pub fn of_policy(manifest: &Manifest, settings: &Value) -> Result<Self, SubjectKeysError> {
        let Some(text) = &manifest.subject_keys else {
            return Ok(Self::default());
        };
        let rules: Vec<Rule> = serde_json::from_str(text).map_err(SubjectKeysError::Malformed)?;
        let mut groups = Vec::new();
        for rule in rules {
            // Every rule is read: a wrong one must not wait for its settings.
            let facts = rule
                .facts
                .iter()
                .map(|pointer| pointer.parse())
                .collect::<Result<Vec<FactPointer>, _>>()?;
            if facts.is_empty() {
                return Err(SubjectKeysError::Empty);
            }
            let holds = rule
                .when
                .iter()
                .all(|(pointer, value)| settings.pointer(pointer).unwrap_or(&Value::Null) == value);
            if holds {
                groups.push(facts);
            }
        }
        Ok(Self {
            said_by: match groups.as_slice() {
                [] => SaidBy::Default,
                _ => SaidBy::Policy,
            },
            groups,
        })
    }

    /// The facts that an operator names; the default where that is none.
    pub fn of_facts(facts: Vec<FactPointer>) -> Self {
        if facts.is_empty() {
            return Self::default();
        }
        Self {
            groups: vec![facts],
            said_by: SaidBy::Operator,
        }
    }

    /// Who says so.
    pub fn said_by(&self) -> SaidBy {
        self.said_by
    }

    /// The groups of facts that are named, strongest first.
    pub fn groups(&self) -> &[Vec<FactPointer>] {
        &self.groups
    }

    /// Which subject the facts are of.
    pub fn key(&self, facts: &Facts) -> SubjectKey {
        let view = fact::view(facts);
        let mut bytes = Vec::with_capacity(256);
        for (pointer, value) in self.proven(&view) {
            // Each with its length before it: no value can pose as two.
            for text in [pointer, &value.to_string()] {
                bytes.extend_from_slice(&text.len().to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        SubjectKey(Digest::of(&bytes).leading())
    }

    /// The facts that tell this subject from others, with their values.
    fn proven<'a>(&'a self, view: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let whole = |group: &'a Vec<FactPointer>| -> Option<Vec<_>> {
            group
                .iter()
                .map(|fact| Some((fact.as_str(), fact.read(view)?)))
                .collect()
        };
        let named = self.groups.iter().find_map(whole);
        named.unwrap_or_else(|| strongest(view))
    }
}

/// The cluster, and the strongest facts there are.
fn strongest(view: &Value) -> Vec<(&'static str, &Value)> {
    const CLUSTERS: [&str; 2] = [
        "/subject/service_account/cluster",
        "/subject/certificate/cluster",
    ];
    const SUBJECTS: [&[&str]; 7] = [
        &["/subject/service_account/node/uid"],
        &["/subject/service_account/pod/uid"],
        &["/subject/service_account/uid"],
        &[
            "/subject/service_account/namespace",
            "/subject/service_account/name",
        ],
        &["/subject/certificate/node/uid"],
        &[
            "/subject/certificate/subject/common_name",
            "/subject/certificate/subject/organizations",
            "/subject/certificate/subject/organizational_units",
            "/subject/certificate/alternative_names",
        ],
        &["/subject/certificate/sha256"],
    ];
    let read = |pointers: &[&'static str]| -> Vec<(&'static str, &Value)> {
        pointers
            .iter()
            .filter_map(|pointer| Some((*pointer, view.pointer(pointer)?)))
            .collect()
    };
    let mut found = read(&CLUSTERS);
    let subject = SUBJECTS
        .into_iter()
        .map(read)
        .find(|facts| !facts.is_empty());
    found.extend(subject.unwrap_or_default());
    found
}

/// One rule of the section: a group of facts that keeps subjects apart, and
/// the settings under which it does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Values that settings must have, by JSON Pointer; `null` is a setting
    /// that is not made.
    #[serde(default)]
    when: BTreeMap<String, Value>,
    facts: Vec<String>,
}

/// A subject's digest: equal for attestations of one subject, different for
/// others. The first 16 bytes of a SHA-256: nobody finds another subject for
/// a given key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectKey([u8; 16]);

impl SubjectKey {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for SubjectKey {
    /// A key that was kept.
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({self})")
    }
}

/// Why a component's word on its subjects cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SubjectKeysError {
    /// No JSON array of rules.
    #[error("not a list of rules with `facts`, and `when` where it depends on settings")]
    Malformed(#[source] serde_json::Error),
    /// A rule without facts would make one subject of all.
    #[error("a rule names no facts")]
    Empty,
    /// A rule names what no policy is told.
    #[error("a rule cannot be read")]
    NoSuchFact(#[from] NoSuchFact),
}

#[cfg(test)]
mod tests;
