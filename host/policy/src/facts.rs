//! Everything a policy may base a name on, and nothing else.

use nameplate_evidence::{Subject, VerifiedEvidence};
use serde::{Deserialize, Serialize};

/// What a policy sees: the record `facts` of `wit/naming.wit`.
///
/// Plain data, so that cases and offline runs can state it as JSON. What
/// makes facts *proven* is where they come from: an attestation makes them
/// with [`Facts::new`], which takes [`VerifiedEvidence`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Trust domain of the identity (SPIFFE-ID §2.1).
    pub trust_domain: String,
    /// Name of the configured attestor.
    pub attestor: String,
    /// When the attestation began, in seconds since 1970-01-01T00:00:00Z.
    pub attested_at: u64,
    /// One-time identifier of the attestation: a version 4 UUID of the host.
    pub attestation_id: String,
    /// A UUID that the peer claimed for itself. Unverified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_id: Option<String>,
    /// What was proven.
    pub subject: Subject,
}

/// What the host adds to the evidence: the circumstances of one attestation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Trust domain of the identity.
    pub trust_domain: String,
    /// Name of the configured attestor.
    pub attestor: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub attested_at: u64,
    /// A version 4 UUID, lower case with hyphens.
    pub attestation_id: String,
}

impl Facts {
    /// The facts of one attestation. Consumes the evidence: nothing is copied.
    pub fn new(circumstances: Circumstances, evidence: VerifiedEvidence) -> Self {
        let (claimed_id, subject) = evidence.into_parts();
        Self {
            trust_domain: circumstances.trust_domain,
            attestor: circumstances.attestor,
            attested_at: circumstances.attested_at,
            attestation_id: circumstances.attestation_id,
            claimed_id,
            subject,
        }
    }

    /// The cluster that the subject belongs to, where one is configured.
    pub fn cluster(&self) -> Option<&str> {
        match &self.subject {
            Subject::ServiceAccount(account) => Some(&account.cluster),
            Subject::Certificate(certificate) => certificate.cluster.as_deref(),
        }
    }
}
