//! What a naming answers about facts, as a gate compares it.

use crate::error::AttestError;
use crate::identity::AgentIdentity;
use crate::namespace::Namespace;
use crate::namings::Namings;
use nameplate_policy::{Facts, PolicyFault};
use std::fmt;

/// An identity, or in words why there is none. Two denials of one code are
/// one answer, and so are two faults of one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Identity(AgentIdentity),
    Nothing(String),
}

impl Answer {
    pub(super) fn of(namings: &Namings, namespace: &Namespace, facts: &Facts) -> Self {
        let naming = namings.of(facts.cluster());
        let answer = match naming.answer(namespace, facts) {
            // The clock's word is about a busy machine as often as about a policy.
            Err(AttestError::PolicyFailed {
                fault: PolicyFault::Deadline { .. },
                ..
            }) => naming.answer(namespace, facts),
            answer => answer,
        };
        match answer {
            Ok(identity) => Self::Identity(identity),
            Err(AttestError::Denied { denial, .. }) => {
                Self::Nothing(format!("a denial (`{}`)", denial.code))
            }
            Err(error) => Self::Nothing(format!("a fault (`{}`)", error.reason())),
        }
    }

    pub(super) fn identity(&self) -> Option<&AgentIdentity> {
        match self {
            Self::Identity(identity) => Some(identity),
            Self::Nothing(_) => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(identity) => {
                let selectors = identity.selectors().map(|selector| selector.value);
                let selectors: Vec<_> = selectors.collect();
                write!(f, "`{}` [{}]", identity.spiffe_id(), selectors.join(", "))
            }
            Self::Nothing(words) => f.write_str(words),
        }
    }
}
