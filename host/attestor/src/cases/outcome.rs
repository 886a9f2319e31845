//! What comes of a case, and how it falls short of what the case states.

use crate::identity::AgentIdentity;
use nameplate_words::grouped;
use serde::{Deserialize, Serialize};
use std::fmt;

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
    /// The verifier refuses the evidence, by the reason code of an
    /// [`EvidenceError`](nameplate_evidence::EvidenceError). No policy is asked.
    Rejected(String),
    /// No usable answer: a [`PolicyFault`](nameplate_policy::PolicyFault) or
    /// an [`AdmitError`](crate::AdmitError), by its reason code.
    Fault(String),
    /// The policy refuses the settings at these JSON Pointers.
    SettingsRefused(Vec<String>),
}

impl Outcome {
    /// The fault of a policy that answered the same question in two ways.
    pub(crate) fn inconstant() -> Self {
        Self::Fault("policy_inconstant".to_owned())
    }

    /// Whether it comes again. What does not is never what anyone expects.
    pub fn is_constant(&self) -> bool {
        *self != Self::inconstant()
    }
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
            Self::Rejected(reason) => write!(f, "rejected ({reason})"),
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

impl CaseRun {
    /// What ended before the policy answered.
    pub(super) fn ended(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            fuel: None,
            detail: Some(detail.into()),
        }
    }
}

/// How a case falls short of what it states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// Name of the case.
    pub name: String,
    /// Its shortfall.
    pub shortfall: Shortfall,
}

/// The first thing in which a run is not what its case states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// Another outcome.
    Outcome {
        /// What it states; none where it is yet to be blessed.
        expected: Option<Outcome>,
        /// What came of it.
        found: Outcome,
    },
    /// The outcome, for more fuel than it may take.
    Fuel {
        /// Most that it may take.
        most: u64,
        /// What it took.
        used: u64,
    },
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.shortfall {
            Shortfall::Outcome {
                expected: Some(expected),
                found,
            } => write!(f, "`{name}` gives {found}, expected {expected}"),
            Shortfall::Outcome {
                expected: None,
                found,
            } => write!(f, "`{name}` gives {found}, and states nothing"),
            Shortfall::Fuel { most, used } => {
                write!(
                    f,
                    "`{name}` uses {} fuel, at most {} stated",
                    grouped(*used),
                    grouped(*most)
                )
            }
        }
    }
}
