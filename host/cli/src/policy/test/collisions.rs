//! Cases of different subjects that get one SPIFFE ID.
//!
//! Two machines with one name are one machine to everyone who authorizes by
//! name. Some namings want that (all machines of a cluster under its
//! thumbprint), so it is reported and not judged.

use super::Tried;
use crate::report::{NOTE, printable};
use nameplate_attestor::cases::{Case, Outcome};
use nameplate_evidence::{Certificate, Node, Pod, ServiceAccount, Subject};
use nameplate_policy::Trial;
use serde::Serialize;
use std::io::{self, Write};

/// The host draws a UUID for every attestation, cases mostly repeat one. An
/// ID that changes with it would not collide.
const ANOTHER_ATTESTATION: &str = "00000000-0000-4000-8000-000000000001";

/// Two cases of different subjects with one SPIFFE ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Collision {
    /// The ID.
    spiffe_id: String,
    /// The two cases.
    cases: [String; 2],
    /// The facts in which the subjects differ.
    differ_in: Vec<&'static str>,
}

impl Collision {
    /// Writes it for people.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let [one, other] = &self.cases;
        writeln!(
            out,
            "{NOTE}one name{NOTE:#} {} and {} both get {}, and differ in {}",
            printable(one),
            printable(other),
            printable(&self.spiffe_id),
            self.differ_in.join(", ")
        )
    }
}

/// Finds them among cases under the same settings. A case that collides with
/// several earlier ones is reported with the first.
pub(super) fn find(tried: &[Tried], trial: &Trial) -> Vec<Collision> {
    let mut collisions = Vec::new();
    for (index, later) in tried.iter().enumerate() {
        let Outcome::Identity { spiffe_id, .. } = &later.run.outcome else {
            continue;
        };
        let earlier = tried.iter().take(index).find_map(|earlier| {
            let same = matches!(&earlier.run.outcome, Outcome::Identity { spiffe_id: other, .. } if other == spiffe_id);
            if !same || earlier.case.settings != later.case.settings {
                return None;
            }
            let differ_in = differences(&earlier.case.facts.subject, &later.case.facts.subject);
            (!differ_in.is_empty()).then_some((earlier, differ_in))
        });
        if let Some((earlier, differ_in)) = earlier
            && outlives_the_attestation(&later.case, spiffe_id, trial)
        {
            collisions.push(Collision {
                spiffe_id: spiffe_id.clone(),
                cases: [earlier.case.name.clone(), later.case.name.clone()],
                differ_in,
            });
        }
    }
    collisions
}

fn outlives_the_attestation(case: &Case, id: &str, trial: &Trial) -> bool {
    let mut case = case.clone();
    ANOTHER_ATTESTATION.clone_into(&mut case.facts.attestation_id);
    matches!(case.run(trial).outcome, Outcome::Identity { spiffe_id, .. } if spiffe_id == id)
}

/// The facts in which two subjects differ. What only one of them proves says
/// nothing, and neither does the credential: the same machine comes back with
/// a new token.
fn differences(one: &Subject, other: &Subject) -> Vec<&'static str> {
    let facts = |subject: &Subject| match subject {
        Subject::ServiceAccount(account) => of_account(account),
        Subject::Certificate(certificate) => of_certificate(certificate),
    };
    let other = facts(other);
    facts(one)
        .into_iter()
        .filter(|(name, value)| {
            other
                .iter()
                .any(|(known, other)| known == name && other != value)
        })
        .map(|(name, _)| name)
        .collect()
}

type Known = Vec<(&'static str, String)>;

fn of_account(account: &ServiceAccount) -> Known {
    let mut known = vec![
        ("cluster", account.cluster.clone()),
        ("namespace", account.namespace.clone()),
        ("service account", account.name.clone()),
    ];
    known.extend(account.uid.clone().map(|uid| ("service account UID", uid)));
    known.extend(account.pod.iter().flat_map(of_pod));
    known.extend(account.node.iter().flat_map(of_node));
    known
}

fn of_certificate(certificate: &Certificate) -> Known {
    let mut known = Known::new();
    known.extend(
        certificate
            .cluster
            .clone()
            .map(|cluster| ("cluster", cluster)),
    );
    known.extend(
        certificate
            .subject
            .common_name
            .clone()
            .map(|name| ("common name", name)),
    );
    known.extend(certificate.node.iter().flat_map(of_node));
    known
}

fn of_pod(pod: &Pod) -> Known {
    let mut known = vec![("pod name", pod.name.clone())];
    known.extend(pod.uid.clone().map(|uid| ("pod UID", uid)));
    known
}

fn of_node(node: &Node) -> Known {
    let mut known = vec![("node name", node.name.clone())];
    known.extend(node.uid.clone().map(|uid| ("node UID", uid)));
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample;

    fn changed(change: impl FnOnce(&mut ServiceAccount)) -> Subject {
        let mut subject = sample::facts().subject;
        if let Subject::ServiceAccount(account) = &mut subject {
            change(account);
        }
        subject
    }

    #[test]
    fn a_new_token_is_not_a_new_subject() {
        let renewed = changed(|account| {
            account.token_sha256 = "00".repeat(32);
            account.token_id = None;
            account.issued_at = Some(1);
        });
        assert!(differences(&sample::facts().subject, &renewed).is_empty());
    }

    #[test]
    fn what_only_one_proves_is_no_difference() {
        let legacy = changed(|account| {
            account.pod = None;
            account.node = None;
        });
        assert!(differences(&sample::facts().subject, &legacy).is_empty());
    }

    #[test]
    fn another_pod_is_another_subject() {
        let other = changed(|account| {
            if let Some(pod) = &mut account.pod {
                pod.uid = Some("other".to_owned());
            }
        });
        assert_eq!(differences(&sample::facts().subject, &other), ["pod UID"]);
    }
}
