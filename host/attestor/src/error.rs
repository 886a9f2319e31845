//! Why an attestation ended without an identity.
//!
//! Three failures, never confused: the evidence was *rejected* (the peer's
//! part), the policy *denied* (a decision), or there was a *fault* (the
//! operator's, the policy author's or ours). Two audiences: the peer is told
//! a reason code and one fixed sentence, the operator reads the whole chain.

use crate::collisions::IdentityCollision;
use crate::envelope::AdmitError;
use crate::first_use::{KnownAgentsError, UsedTokenError};
use crate::holders::HoldersError;
use crate::naming::PolicyLabel;
use nameplate_decisions::Unrecorded;
use nameplate_evidence::EvidenceError;
use nameplate_evidence::certificates::CertificateError;
use nameplate_policy::{Denial, PolicyFault};
use std::fmt;
use std::sync::Arc;

/// Why an attestation ended without an identity.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The evidence does not prove what it claims, or nobody can say whether it
    /// does.
    #[error("{}", of_evidence(has_no_verdict(.0)))]
    Rejected(#[source] EvidenceError),
    /// The subject was proven, and the policy gives it no name.
    #[error("policy {policy} denied this subject ({}): {}", denial.code, denial.detail)]
    Denied {
        /// The policy that decided.
        policy: Arc<PolicyLabel>,
        /// Its decision.
        denial: Denial,
    },
    /// The policy gave no usable answer.
    #[error("policy {policy} failed")]
    PolicyFailed {
        /// The policy that failed.
        policy: Arc<PolicyLabel>,
        /// How.
        #[source]
        fault: PolicyFault,
    },
    /// The policy answered with something that the envelope does not allow.
    #[error("policy {policy} derived an unusable identity")]
    NotAdmitted {
        /// The policy that answered.
        policy: Arc<PolicyLabel>,
        /// What is wrong with its answer.
        #[source]
        error: AdmitError,
    },
    /// The policy gave the subject an ID that another subject holds.
    #[error("two subjects are given one identity")]
    IdentityCollision(#[source] Box<IdentityCollision>),
    /// It cannot be said whether another subject holds the ID.
    #[error("it cannot be said who holds the identity")]
    HoldersUnknown(#[source] HoldersError),
    /// A challenge cannot be made without random bytes.
    #[error("the operating system has no random bytes for a challenge")]
    NoRandomness,
    /// Tokens serve once here, and this one has or cannot.
    #[error("{}", of_evidence(matches!(.0, UsedTokenError::Full)))]
    TokenNotFresh(#[source] UsedTokenError),
    /// There is such an agent, and its evidence does not allow a second time.
    #[error("an agent of this identity has already attested")]
    AlreadyAttested,
    /// It cannot be said whether there is such an agent.
    #[error("first use cannot be checked")]
    AgentsUnknown(#[source] KnownAgentsError),
    /// There would be an identity, and no record of it.
    #[error("the decision cannot be recorded")]
    Unrecorded(#[source] Unrecorded),
}

/// Whose part a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The peer's: its evidence does not hold.
    Rejected,
    /// Nobody's: the policy decided so.
    Denied,
    /// The operator's, the policy author's or ours.
    Fault,
}

impl AttestError {
    /// Whose part it is.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Rejected(error) if has_no_verdict(error) => Failure::Fault,
            Self::NoRandomness
            | Self::TokenNotFresh(UsedTokenError::Full)
            | Self::AgentsUnknown(_)
            | Self::Unrecorded(_) => Failure::Fault,
            Self::Rejected(_)
            | Self::TokenNotFresh(UsedTokenError::Used | UsedTokenError::Endless)
            | Self::AlreadyAttested => Failure::Rejected,
            Self::Denied { .. } => Failure::Denied,
            // The peer proved what it is; who made two of one is not the peer.
            Self::PolicyFailed { .. }
            | Self::NotAdmitted { .. }
            | Self::IdentityCollision(_)
            | Self::HoldersUnknown(_) => Failure::Fault,
        }
    }

    /// Stable code of the exact failure, for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Rejected(error) => error.reason(),
            Self::Denied { .. } => "policy_denied",
            Self::PolicyFailed { fault, .. } => fault.reason(),
            Self::NotAdmitted { error, .. } => error.reason(),
            Self::IdentityCollision(_) => "identity_collision",
            Self::HoldersUnknown(_) => "holders_unavailable",
            Self::NoRandomness => "no_random_bytes",
            Self::TokenNotFresh(UsedTokenError::Used) => "token_already_used",
            Self::TokenNotFresh(UsedTokenError::Full) => "used_tokens_full",
            Self::TokenNotFresh(UsedTokenError::Endless) => "token_endless",
            Self::AlreadyAttested => "agent_already_attested",
            Self::AgentsUnknown(_) => "known_agents_unavailable",
            Self::Unrecorded(_) => "decision_log_unavailable",
        }
    }

    /// Whether the same attestation may succeed later with nothing changed by
    /// anybody here.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Rejected(
                EvidenceError::Api { source, .. } | EvidenceError::CertificateApi { source, .. },
            ) => source.is_transient(),
            Self::Rejected(EvidenceError::Bundle { .. })
            | Self::TokenNotFresh(UsedTokenError::Full)
            | Self::AgentsUnknown(_)
            | Self::HoldersUnknown(_)
            | Self::Unrecorded(_) => true,
            Self::Rejected(_)
            | Self::NoRandomness
            | Self::TokenNotFresh(UsedTokenError::Used | UsedTokenError::Endless)
            | Self::AlreadyAttested
            | Self::Denied { .. }
            | Self::PolicyFailed { .. }
            | Self::NotAdmitted { .. }
            | Self::IdentityCollision(_) => false,
        }
    }

    /// The cluster that the peer named, where the failure knows it.
    pub fn cluster(&self) -> Option<String> {
        match self {
            Self::Rejected(
                EvidenceError::Token { cluster, .. } | EvidenceError::Api { cluster, .. },
            ) => Some(cluster.clone()),
            Self::Rejected(EvidenceError::UnknownCluster { cluster }) => Some(cluster.to_string()),
            Self::Rejected(_)
            | Self::Denied { .. }
            | Self::PolicyFailed { .. }
            | Self::NotAdmitted { .. }
            | Self::NoRandomness
            | Self::TokenNotFresh(_)
            | Self::AlreadyAttested
            | Self::AgentsUnknown(_)
            | Self::IdentityCollision(_)
            | Self::HoldersUnknown(_)
            | Self::Unrecorded(_) => None,
        }
    }

    /// What the peer is told: the reason code and a sentence that says
    /// nothing about the policy, the configuration or other peers.
    pub fn peer_message(&self) -> PeerMessage {
        PeerMessage {
            reason: self.reason(),
            failure: self.failure(),
        }
    }

    /// The whole chain on one line, for the operator.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// Whether evidence was not judged: by the host's own clock, or by those that it
/// asks. Nothing of that is what the peer did.
fn has_no_verdict(error: &EvidenceError) -> bool {
    matches!(
        error,
        EvidenceError::ClockBeforeEpoch
            | EvidenceError::Api { .. }
            | EvidenceError::CertificateApi { .. }
            | EvidenceError::Bundle { .. }
            | EvidenceError::Certificate {
                source: CertificateError::ClientAddressUnknown,
            }
    )
}

/// How a failure of evidence begins: one without a verdict is no rejection.
fn of_evidence(without_verdict: bool) -> &'static str {
    if without_verdict {
        "evidence cannot be verified"
    } else {
        "evidence rejected"
    }
}

/// What a peer may be told about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerMessage {
    reason: &'static str,
    failure: Failure,
}

impl fmt::Display for PeerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self.failure {
            Failure::Rejected => "the evidence was rejected",
            Failure::Denied => "the policy gives this subject no identity",
            Failure::Fault => "the attestor could not decide",
        };
        write!(f, "{}: {sentence}", self.reason)
    }
}

/// `error` and its causes, joined by `: `.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use nameplate_evidence::{ApiError, Asked};

    #[test]
    fn what_nobody_judged_is_not_called_rejected() {
        let no_answer = || EvidenceError::Api {
            cluster: "production".to_owned(),
            asked: Asked::Review,
            source: ApiError::OutOfPatience,
        };
        let unknown_address = || EvidenceError::from(CertificateError::ClientAddressUnknown);
        for (error, failure, text) in [
            (
                AttestError::Rejected(EvidenceError::PayloadMissing),
                Failure::Rejected,
                "evidence rejected: attestation payload is missing",
            ),
            (
                AttestError::Rejected(no_answer()),
                Failure::Fault,
                "evidence cannot be verified: no verdict on a token for cluster `production`: \
                 the token review failed: no answer in time",
            ),
            (
                AttestError::Rejected(EvidenceError::ClockBeforeEpoch),
                Failure::Fault,
                "evidence cannot be verified: the time of verification lies before 1970-01-01",
            ),
            (
                AttestError::Rejected(CertificateError::Unanswered.into()),
                Failure::Rejected,
                "evidence rejected: the certificate does not hold: ",
            ),
            (
                AttestError::Rejected(unknown_address()),
                Failure::Fault,
                "evidence cannot be verified: the certificate does not hold: ",
            ),
            (
                AttestError::TokenNotFresh(UsedTokenError::Used),
                Failure::Rejected,
                "evidence rejected: the token has already been used",
            ),
            (
                AttestError::TokenNotFresh(UsedTokenError::Full),
                Failure::Fault,
                "evidence cannot be verified: more than 131,072 tokens in use",
            ),
        ] {
            assert_eq!(error.failure(), failure, "{text}");
            assert!(error.chain().starts_with(text), "{}", error.chain());
        }
    }
}
