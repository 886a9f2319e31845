//! Who can be asked for names, and what comes of one question.

use crate::cases::{Outcome, judge};
use crate::naming::Naming;
use nameplate_policy::{Facts, TrialAnswer};

/// Gives names to subjects: a [`Naming`], or a function that chooses one by
/// the facts, as a generation does by cluster.
pub trait Names: Sync {
    /// What comes of the facts: the identity, or why there is none.
    fn outcome(&self, facts: &Facts) -> Outcome;
}

impl Names for Naming {
    fn outcome(&self, facts: &Facts) -> Outcome {
        let answer = match self.policy.derive(facts) {
            Ok(verdict) => TrialAnswer::Verdict(verdict),
            Err(fault) => TrialAnswer::Fault(fault),
        };
        judge(&self.envelope, facts, answer).outcome
    }
}

impl<F: Fn(&Facts) -> Outcome + Sync> Names for F {
    fn outcome(&self, facts: &Facts) -> Outcome {
        self(facts)
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
