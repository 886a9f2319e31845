//! Who can be asked for names, and what comes of one question.

use super::source::Described;
use crate::cases::{Outcome, judge};
use crate::envelope::Envelope;
use crate::naming::Naming;
use nameplate_policy::{Facts, TrialAnswer};

/// Gives names to subjects: a [`Naming`], or a function that chooses one by
/// the facts, as a generation does by cluster.
pub trait Names: Sync {
    /// What comes of the facts: the identity, or why there is none.
    fn outcome(&self, described: &Described) -> Outcome;
}

impl Names for Naming {
    fn outcome(&self, described: &Described) -> Outcome {
        outcome_in(&self.envelope, self, &described.facts)
    }
}

/// A naming that is asked in the envelope that each decision was recorded
/// with, and in its own where none is recorded: what it would have come to on
/// the machines that the decisions are of.
#[derive(Clone, Copy, Debug)]
pub struct AsRecorded<'a>(pub &'a Naming);

impl Names for AsRecorded<'_> {
    fn outcome(&self, described: &Described) -> Outcome {
        let Self(naming) = self;
        let envelope = described.envelope.as_deref().unwrap_or(&naming.envelope);
        outcome_in(envelope, naming, &described.facts)
    }
}

fn outcome_in(envelope: &Envelope, naming: &Naming, facts: &Facts) -> Outcome {
    let answer = match naming.policy.derive(facts) {
        Ok(verdict) => TrialAnswer::Verdict(verdict),
        Err(fault) => TrialAnswer::Fault(fault),
    };
    judge(envelope, facts, answer).outcome
}

impl<F: Fn(&Facts) -> Outcome + Sync> Names for F {
    fn outcome(&self, described: &Described) -> Outcome {
        self(&described.facts)
    }
}

/// The path segments below the attestor's name, of an identity for `facts`.
pub(crate) fn path<'a>(spiffe_id: &'a str, facts: &Facts) -> Option<Vec<&'a str>> {
    let below = spiffe_id.strip_prefix(&*prefix(facts))?;
    Some(below.split('/').collect())
}

/// The part of an ID that the host writes and no policy.
pub(crate) fn prefix(facts: &Facts) -> String {
    format!(
        "spiffe://{}/spire/agent/{}/",
        facts.trust_domain, facts.attestor
    )
}
