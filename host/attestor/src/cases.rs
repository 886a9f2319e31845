//! A policy's cases: facts and settings, and what the policy must answer.
//!
//! A case states the whole way from facts to identity, so it is judged by
//! what an attestation would give: derived, and admitted in an envelope that
//! asks nothing beyond the SPIFFE-ID standard.

use crate::envelope::Envelope;
use crate::identity::AgentIdentity;
use crate::namespace::Namespace;
use crate::naming::NamingError;
use nameplate_policy::{Facts, Limits, Manifest, Sandbox, Trial, TrialAnswer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One case, as its file states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Name; the stem of its file where it came from one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it shows, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Settings to configure the policy with.
    #[serde(default = "no_settings")]
    pub settings: serde_json::Value,
    /// Facts to ask it about.
    pub facts: Facts,
    /// What must come of it. Absent only in a case that is yet to be blessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Outcome>,
}

fn no_settings() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// What comes of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// An identity.
    Identity {
        /// The SPIFFE ID.
        spiffe_id: String,
        /// The selector values, in order.
        selectors: Vec<String>,
    },
    /// A denial.
    Denied {
        /// The policy's code.
        code: String,
    },
    /// No usable answer: a [`PolicyFault`](nameplate_policy::PolicyFault) or
    /// an [`AdmitError`](crate::AdmitError), by its reason code.
    Fault(String),
    /// The policy refuses the settings at these JSON Pointers.
    SettingsRefused(Vec<String>),
}

impl From<&AgentIdentity> for Outcome {
    fn from(identity: &AgentIdentity) -> Self {
        Self::Identity {
            spiffe_id: identity.spiffe_id().to_string(),
            selectors: identity
                .selectors()
                .map(|selector| selector.value.to_owned())
                .collect(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity {
                spiffe_id,
                selectors,
            } => write!(f, "{spiffe_id} [{}]", selectors.join(", ")),
            Self::Denied { code } => write!(f, "denied ({code})"),
            Self::Fault(reason) => write!(f, "fault ({reason})"),
            Self::SettingsRefused(pointers) => {
                write!(f, "settings refused at [{}]", pointers.join(", "))
            }
        }
    }
}

/// What a case gave when it was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRun {
    /// What came of it.
    pub outcome: Outcome,
    /// Fuel that `derive` used, where it answered.
    pub fuel: Option<u64>,
    /// The answer in words, for a reader who wants to know more than the
    /// outcome: a denial's sentence, a fault, a settings problem.
    pub detail: Option<String>,
}

/// A case whose outcome is not the one it states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// Name of the case.
    pub name: String,
    /// What it states; none where it is yet to be blessed.
    pub expected: Option<Outcome>,
    /// What came of it.
    pub found: Outcome,
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` gives {}", self.name, self.found)?;
        match &self.expected {
            Some(expected) => write!(f, ", expected {expected}"),
            None => f.write_str(", and states nothing"),
        }
    }
}

impl Case {
    /// Runs the case against a compiled component, twice, in fresh
    /// instances: a policy that answers differently the second time has
    /// found something to remember or to roll dice with, and is at fault.
    pub fn run(&self, trial: &Trial) -> CaseRun {
        let first = trial.ask(&self.settings, &self.facts);
        if trial.ask(&self.settings, &self.facts) != first {
            return CaseRun {
                outcome: Outcome::Fault("policy_inconstant".to_owned()),
                fuel: None,
                detail: Some("two runs gave different answers".to_owned()),
            };
        }
        self.judge(first)
    }

    fn judge(&self, answer: TrialAnswer) -> CaseRun {
        let ended = |outcome, detail| CaseRun {
            outcome,
            fuel: None,
            detail: Some(detail),
        };
        let verdict = match answer {
            TrialAnswer::Verdict(verdict) => verdict,
            TrialAnswer::SettingsRefused(problems) => {
                let detail: Vec<_> = problems.iter().map(ToString::to_string).collect();
                let pointers = problems
                    .into_iter()
                    .map(|problem| problem.pointer)
                    .collect();
                return ended(Outcome::SettingsRefused(pointers), detail.join("; "));
            }
            TrialAnswer::Fault(fault) => {
                return ended(Outcome::Fault(fault.reason().to_owned()), fault.to_string());
            }
        };
        let fuel = Some(verdict.fuel);
        let derivation = match verdict.answer {
            Ok(derivation) => derivation,
            Err(denial) => {
                return CaseRun {
                    outcome: Outcome::Denied { code: denial.code },
                    fuel,
                    detail: Some(denial.detail),
                };
            }
        };
        let namespace = match self.namespace() {
            Ok(namespace) => namespace,
            Err(detail) => return ended(Outcome::Fault("case_facts".to_owned()), detail),
        };
        match Envelope::default().admit(&namespace, &self.facts, derivation) {
            Ok(identity) => CaseRun {
                outcome: Outcome::from(&identity),
                fuel,
                detail: None,
            },
            Err(error) => CaseRun {
                outcome: Outcome::Fault(error.reason().to_owned()),
                fuel,
                detail: Some(crate::error::chain(&error)),
            },
        }
    }

    fn namespace(&self) -> Result<Namespace, String> {
        Ok(Namespace {
            trust_domain: self
                .facts
                .trust_domain
                .parse()
                .map_err(|error| format!("facts: trust_domain: {error}"))?,
            attestor: self
                .facts
                .attestor
                .parse()
                .map_err(|error| format!("facts: attestor: {error}"))?,
        })
    }
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
) -> Result<(), NamingError> {
    let cases = embedded(manifest).map_err(NamingError::CasesMalformed)?;
    if cases.is_empty() {
        return Ok(());
    }
    let trial = Trial::new(sandbox, component, limits)?;
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let found = case.run(&trial).outcome;
            (case.expect.as_ref() != Some(&found)).then(|| CaseFailure {
                name: case.name.clone(),
                expected: case.expect.clone(),
                found,
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
