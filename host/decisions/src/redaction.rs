//! Facts that an operator keeps out of the log.
//!
//! A redacted fact stays in its place without its value: an empty text, 0, an
//! empty list. Facts that were proven never have those, and each decision
//! names what it leaves out, so nobody can take one for the other.
//!
//! A fact may stand in a decision twice. The cluster beside the facts goes with
//! the one in them, and the failure in words goes with any: it may hold each.
//! What the policy said stays as it said it.

use crate::line::{Counted, Decision};
use nameplate_policy::Facts;
use std::fmt;
use std::str::FromStr;

/// Every fact that can be left out. What is not here says of which kind the
/// subject is, or is a record whose members stand here one by one.
const FACTS: [&str; 48] = [
    "/attested_at",
    "/attestation_id",
    "/claimed_id",
    "/subject/service_account/cluster",
    "/subject/service_account/cluster_thumbprint",
    "/subject/service_account/namespace",
    "/subject/service_account/name",
    "/subject/service_account/uid",
    "/subject/service_account/pod/name",
    "/subject/service_account/pod/uid",
    "/subject/service_account/pod/address",
    "/subject/service_account/pod/labels",
    "/subject/service_account/node/name",
    "/subject/service_account/node/uid",
    "/subject/service_account/node/address",
    "/subject/service_account/node/labels",
    "/subject/service_account/issuer",
    "/subject/service_account/audiences",
    "/subject/service_account/token_id",
    "/subject/service_account/token_sha256",
    "/subject/service_account/issued_at",
    "/subject/service_account/expires_at",
    "/subject/certificate/cluster",
    "/subject/certificate/subject/common_name",
    "/subject/certificate/subject/organizations",
    "/subject/certificate/subject/organizational_units",
    "/subject/certificate/serial",
    "/subject/certificate/sha1",
    "/subject/certificate/sha256",
    "/subject/certificate/alternative_names",
    "/subject/certificate/authorities",
    "/subject/certificate/not_before",
    "/subject/certificate/not_after",
    "/subject/certificate/node/name",
    "/subject/certificate/node/uid",
    "/subject/certificate/node/address",
    "/subject/certificate/node/labels",
    "/subject/certificate/requester/username",
    "/subject/certificate/requester/uid",
    "/subject/certificate/requester/groups",
    "/subject/certificate/requester/pod/name",
    "/subject/certificate/requester/pod/uid",
    "/subject/certificate/requester/pod/address",
    "/subject/certificate/requester/pod/labels",
    "/subject/certificate/requester/node/name",
    "/subject/certificate/requester/node/uid",
    "/subject/certificate/requester/node/address",
    "/subject/certificate/requester/node/labels",
];

/// The cluster, of either kind of subject.
const CLUSTERS: [&str; 2] = [
    "/subject/service_account/cluster",
    "/subject/certificate/cluster",
];

/// A fact that is left out of a log, by its JSON Pointer (RFC 6901) in the
/// facts, such as `/subject/service_account/token_sha256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactedFact(&'static str);

impl RedactedFact {
    /// The pointers of all facts that can be left out.
    pub const ALL: [&'static str; FACTS.len()] = FACTS;

    /// Its pointer.
    pub fn pointer(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for RedactedFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A pointer that points to no fact that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a fact that can be left out")]
pub struct NotAFact(());

impl FromStr for RedactedFact {
    type Err = NotAFact;

    fn from_str(text: &str) -> Result<Self, NotAFact> {
        let known = FACTS.into_iter().find(|pointer| *pointer == text);
        known.map(Self).ok_or(NotAFact(()))
    }
}

/// Leaves `left_out` out of a decision. It may have been left out already:
/// what could not be written is tried again.
///
/// # Errors
/// What serde says of facts that are no JSON; none are.
pub(crate) fn redact(decision: &mut Decision, left_out: &[RedactedFact]) -> serde_json::Result<()> {
    if left_out.is_empty() {
        return Ok(());
    }
    let cluster = if let Some(facts) = &decision.facts {
        let (facts, redacted) = without(facts, left_out)?;
        decision.facts = Some(facts);
        for fact in redacted {
            if !decision.redacted.contains(&fact) {
                decision.redacted.push(fact);
            }
        }
        let redacted = &decision.redacted;
        redacted
            .iter()
            .any(|fact| CLUSTERS.contains(&fact.as_str()))
    } else {
        // Nothing was proven: it is the cluster that the peer said.
        leaves_out_a_cluster(left_out)
    };
    if cluster {
        decision.cluster = None;
    }
    decision.detail = None;
    Ok(())
}

/// Leaves `left_out` out of what is counted. Which kind of subject it would
/// have been, nobody knows.
pub(crate) fn redact_counts(counted: Counted, left_out: &[RedactedFact]) -> Counted {
    if leaves_out_a_cluster(left_out) {
        counted.without_clusters()
    } else {
        counted
    }
}

fn leaves_out_a_cluster(left_out: &[RedactedFact]) -> bool {
    left_out.iter().any(|fact| CLUSTERS.contains(&fact.0))
}

/// `facts` without the values of `left_out`, and which of those were there.
fn without(facts: &Facts, left_out: &[RedactedFact]) -> serde_json::Result<(Facts, Vec<String>)> {
    let mut value = serde_json::to_value(facts)?;
    let mut redacted = Vec::new();
    for fact in left_out {
        let Some(found) = value.pointer_mut(fact.0) else {
            continue;
        };
        *found = match found {
            serde_json::Value::Number(_) => 0.into(),
            serde_json::Value::Array(_) => Vec::<String>::new().into(),
            serde_json::Value::String(_)
            | serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Object(_) => "".into(),
        };
        redacted.push(fact.0.to_owned());
    }
    Ok((serde_json::from_value(value)?, redacted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = r#"{"trust_domain":"example.org","attestor":"a","attested_at":1,"attestation_id":"x","claimed_id":"x","subject":{"service_account":{"cluster":"x","cluster_thumbprint":"x","namespace":"x","name":"x","uid":"x","pod":POD,"node":POD,"issuer":"x","audiences":["x"],"token_id":"x","token_sha256":"x","issued_at":1,"expires_at":1}}}"#;
    const CERTIFICATE: &str = r#"{"trust_domain":"example.org","attestor":"a","attested_at":1,"attestation_id":"x","claimed_id":"x","subject":{"certificate":{"cluster":"x","subject":{"common_name":"x","organizations":["x"],"organizational_units":["x"]},"serial":"x","sha1":"x","sha256":"x","alternative_names":[{"dns":"x"}],"authorities":[{"sha1":"x","sha256":"x"}],"not_before":1,"not_after":1,"key":"rsa","node":POD,"requester":{"username":"x","uid":"x","groups":["x"],"pod":POD,"node":POD}}}}"#;

    fn everything(subject: &str) -> Facts {
        let pod = r#"{"name":"x","uid":"x","address":"x","labels":[{"key":"x","value":"x"}]}"#;
        serde_json::from_str(&subject.replace("POD", pod)).unwrap()
    }

    #[test]
    fn each_fact_can_be_left_out() {
        for subject in [ACCOUNT, CERTIFICATE] {
            let facts = everything(subject);
            let all: Vec<RedactedFact> = FACTS
                .iter()
                .map(|pointer| pointer.parse().unwrap())
                .collect();
            let (left, redacted) = without(&facts, &all).unwrap();
            let text = serde_json::to_string(&left).unwrap();
            assert!(!text.contains(r#""x""#), "{text}");
            let there = serde_json::to_value(&facts).unwrap();
            let there = FACTS.iter().filter(|fact| there.pointer(fact).is_some());
            assert_eq!(redacted, there.copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_no_fact_is_refused() {
        for no_fact in ["", "/subject", "/subject/certificate/key", "/claimed-id"] {
            assert_eq!(no_fact.parse::<RedactedFact>(), Err(NotAFact(())));
        }
        let fact: RedactedFact = "/claimed_id".parse().unwrap();
        assert_eq!(fact.to_string(), "/claimed_id");
    }
}
