//! A policy's cases: what is known of a machine, settings, and what the policy
//! must answer.
//!
//! A case states facts, or evidence that is minted when the case is run and
//! goes through the real verifier first. Either way it states the whole way to
//! an identity, so it is judged by what an attestation would give: derived,
//! and admitted in the default envelope.

mod certificate;
mod clock;
mod coverage;
mod evidence;
mod file;
mod keys;
mod outcome;
#[cfg(test)]
mod tests;
mod token;

use crate::envelope::{Envelope, FalseFacts};
use crate::namespace::Namespace;
use crate::naming::NamingError;
use nameplate_policy::{Facts, Limits, Manifest, Sandbox, Trial, TrialAnswer, Verdict};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

pub use certificate::{CertificateFlaw, CertificateTemplate, CertificateTrust};
pub use clock::Moment;
pub use coverage::{Coverage, CoverageError, Covered};
pub use evidence::{Evidence, Surrounding};
pub use keys::LeafKey;
pub use outcome::{CaseFailure, CaseRun, Outcome, Shortfall};
pub use token::{TokenFlaw, TokenTemplate, TokenTrust};

/// Most cases with evidence that a component may carry. A few bytes of case
/// have a key sign and a chain verified, which no limit of the sandbox counts,
/// and nothing is named by the policy before the last one has held.
pub const MAX_EVIDENCE_CASES: usize = 256;

/// Most cases that a component may carry. The sandbox bounds what each costs;
/// some ten thousand fit into a component of the default size, and the limits
/// of one answer are no limit for so many.
pub const MAX_CASES: usize = 1_024;

/// One case, as its file states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "file::CaseFile", into = "file::CaseFile")]
pub struct Case {
    /// Name; the stem of its file where it came from one.
    pub name: String,
    /// What it shows, for people.
    pub description: String,
    /// Settings to configure the policy with.
    pub settings: serde_json::Value,
    /// What to ask the policy about.
    pub known: Known,
    /// What must come of it. Absent only in a case that is yet to be blessed.
    pub expect: Option<Outcome>,
    /// Most fuel that the answer may take.
    pub max_fuel: Option<u64>,
}

/// What a case knows of the machine that is to be named.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// The facts themselves.
    Facts(Box<Facts>),
    /// Evidence, and when and where it is verified.
    Evidence(Evidence, Surrounding),
}

impl Case {
    /// What the policy sees: the facts, or what the verifier makes of the
    /// evidence.
    ///
    /// # Errors
    /// What comes of the case without any policy: the evidence is rejected,
    /// or none can be made as the case states it.
    pub fn facts(&self) -> Result<Cow<'_, Facts>, CaseRun> {
        let (evidence, surrounding) = match &self.known {
            Known::Facts(facts) => return Ok(Cow::Borrowed(facts)),
            Known::Evidence(evidence, surrounding) => (evidence, surrounding),
        };
        match evidence.facts(surrounding) {
            Ok(Ok(facts)) => Ok(Cow::Owned(facts)),
            Ok(Err(error)) => Err(CaseRun::ended(
                Outcome::Rejected(error.reason().to_owned()),
                crate::error::chain(&error),
            )),
            Err(error) => Err(CaseRun::ended(
                Outcome::Fault("case_evidence".to_owned()),
                error.to_string(),
            )),
        }
    }

    /// The case with its evidence verified, to be asked of several components.
    pub fn ready(&self) -> ReadyCase<'_> {
        ReadyCase {
            case: self,
            facts: self.facts(),
            false_facts: FalseFacts::Refuse,
        }
    }

    /// Runs the case against a compiled component, as [`ReadyCase::run`].
    pub fn run(&self, trial: &Trial) -> CaseRun {
        self.ready().run(trial)
    }

    /// In what `run` is not what the case states; nothing where it is.
    pub fn shortfall(&self, run: &CaseRun) -> Option<Shortfall> {
        if self.expect.as_ref() != Some(&run.outcome) {
            return Some(Shortfall::Outcome {
                expected: self.expect.clone(),
                found: run.outcome.clone(),
            });
        }
        match (self.max_fuel, run.fuel) {
            (Some(most), Some(used)) if used > most => Some(Shortfall::Fuel { most, used }),
            (_, _) => None,
        }
    }
}

/// A case whose evidence has been verified.
#[derive(Clone, Debug)]
pub struct ReadyCase<'c> {
    case: &'c Case,
    facts: Result<Cow<'c, Facts>, CaseRun>,
    false_facts: FalseFacts,
}

impl ReadyCase<'_> {
    /// The case, judged in an envelope with these `false_facts`.
    #[must_use]
    pub fn with_false_facts(self, false_facts: FalseFacts) -> Self {
        Self {
            false_facts,
            ..self
        }
    }

    /// The case.
    pub fn case(&self) -> &Case {
        self.case
    }

    /// The facts, where the evidence proved any.
    pub fn into_facts(self) -> Option<Facts> {
        self.facts.ok().map(Cow::into_owned)
    }

    /// Asks twice, in fresh instances: a policy that answers differently the
    /// second time has found something to remember or to roll dice with, and
    /// is at fault.
    pub fn run(&self, trial: &Trial) -> CaseRun {
        self.judged(|facts| {
            let first = trial.ask(&self.case.settings, facts);
            (trial.ask(&self.case.settings, facts) == first).then_some(first)
        })
    }

    /// Asks once, and says whether the case holds.
    pub fn holds(&self, trial: &Trial) -> bool {
        let run = self.judged(|facts| Some(trial.ask(&self.case.settings, facts)));
        self.case.shortfall(&run).is_none()
    }

    fn envelope(&self) -> Envelope {
        Envelope {
            false_facts: self.false_facts,
            ..Envelope::default()
        }
    }

    fn judged(&self, ask: impl FnOnce(&Facts) -> Option<TrialAnswer>) -> CaseRun {
        let facts = match &self.facts {
            Ok(facts) => facts,
            Err(ended) => return ended.clone(),
        };
        match ask(facts) {
            Some(answer) => judge(&self.envelope(), facts, answer),
            None => CaseRun::ended(Outcome::inconstant(), "two runs gave different answers"),
        }
    }
}

/// What an attestation would have come to, under the names that the facts
/// themselves give for trust domain and attestor.
pub(crate) fn judge(envelope: &Envelope, facts: &Facts, answer: TrialAnswer) -> CaseRun {
    let Verdict { answer, fuel } = match answer {
        TrialAnswer::Verdict(verdict) => verdict,
        TrialAnswer::SettingsRefused(problems) => {
            let detail: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let pointers = problems.into_iter().map(|problem| problem.pointer);
            return CaseRun::ended(
                Outcome::SettingsRefused(pointers.collect()),
                detail.join("; "),
            );
        }
        TrialAnswer::Fault(fault) => {
            let reason = fault.reason().to_owned();
            return CaseRun::ended(Outcome::Fault(reason), fault.to_string());
        }
    };
    let answered = |outcome, detail| CaseRun {
        outcome,
        fuel: Some(fuel),
        detail,
    };
    let derivation = match answer {
        Ok(derivation) => derivation,
        Err(denial) => {
            return answered(Outcome::Denied { code: denial.code }, Some(denial.detail));
        }
    };
    let namespace = match namespace(facts) {
        Ok(namespace) => namespace,
        Err(detail) => return CaseRun::ended(Outcome::Fault("case_facts".to_owned()), detail),
    };
    match envelope.admit(&namespace, facts, derivation) {
        Ok(identity) => answered(Outcome::from(&identity), None),
        Err(error) => answered(
            Outcome::Fault(error.reason().to_owned()),
            Some(crate::error::chain(&error)),
        ),
    }
}

fn namespace(facts: &Facts) -> Result<Namespace, String> {
    Ok(Namespace {
        trust_domain: facts
            .trust_domain
            .parse()
            .map_err(|error| format!("facts: trust_domain: {error}"))?,
        attestor: facts
            .attestor
            .parse()
            .map_err(|error| format!("facts: attestor: {error}"))?,
    })
}

/// The cases that a component carries.
///
/// # Errors
/// When the section is there and is no JSON array of cases.
pub fn embedded(manifest: &Manifest) -> Result<Vec<Case>, serde_json::Error> {
    match &manifest.cases {
        Some(text) => serde_json::from_str(text),
        None => Ok(Vec::new()),
    }
}

/// Runs the cases that a component carries; all must hold.
pub(crate) fn prove(
    sandbox: &Sandbox,
    component: &[u8],
    manifest: &Manifest,
    limits: &Limits,
    false_facts: FalseFacts,
) -> Result<(), NamingError> {
    let cases = embedded(manifest).map_err(NamingError::CasesMalformed)?;
    if cases.is_empty() {
        return Ok(());
    }
    if cases.len() > MAX_CASES {
        return Err(NamingError::TooManyCases { cases: cases.len() });
    }
    let evidence = cases
        .iter()
        .filter(|case| matches!(case.known, Known::Evidence(..)))
        .count();
    if evidence > MAX_EVIDENCE_CASES {
        return Err(NamingError::TooMuchEvidence { cases: evidence });
    }
    let trial = Trial::new(sandbox, component, limits)?;
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let ready = case.ready().with_false_facts(false_facts);
            case.shortfall(&ready.run(&trial))
                .map(|shortfall| CaseFailure {
                    name: case.name.clone(),
                    shortfall,
                })
        })
        .collect();
    match failures.first() {
        None => Ok(()),
        Some(first) => Err(NamingError::CasesFailed {
            total: cases.len(),
            first: first.to_string(),
            failures,
        }),
    }
}
