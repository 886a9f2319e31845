//! Who can be asked for names, and what comes of one question.

use crate::cases::Outcome;
use crate::envelope::Envelope;
use crate::namespace::Namespace;
use crate::naming::Naming;
use nameplate_policy::{Facts, Verdict};

/// Gives names to subjects: a [`Naming`], or a function that chooses one by
/// the facts, as a generation does by cluster.
pub trait Names: Sync {
    /// What comes of the facts: the identity, or why there is none.
    fn outcome(&self, facts: &Facts) -> Outcome;
}

impl Names for Naming {
    fn outcome(&self, facts: &Facts) -> Outcome {
        match self.policy.derive(facts) {
            Ok(verdict) => admitted(&self.envelope, facts, verdict),
            Err(fault) => Outcome::Fault(fault.reason().to_owned()),
        }
    }
}

impl<F: Fn(&Facts) -> Outcome + Sync> Names for F {
    fn outcome(&self, facts: &Facts) -> Outcome {
        self(facts)
    }
}

/// What comes of a policy's answer in an envelope, under the names that the
/// facts themselves give for trust domain and attestor.
pub(crate) fn admitted(envelope: &Envelope, facts: &Facts, verdict: Verdict) -> Outcome {
    let derivation = match verdict.answer {
        Ok(derivation) => derivation,
        Err(denial) => return Outcome::Denied { code: denial.code },
    };
    let (Ok(trust_domain), Ok(attestor)) = (facts.trust_domain.parse(), facts.attestor.parse())
    else {
        return Outcome::Fault("case_facts".to_owned());
    };
    let namespace = Namespace {
        trust_domain,
        attestor,
    };
    match envelope.admit(&namespace, facts, derivation) {
        Ok(identity) => Outcome::from(&identity),
        Err(error) => Outcome::Fault(error.reason().to_owned()),
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
