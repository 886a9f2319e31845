//! What a verifier has proven.
//!
//! Made by the verifiers of this crate and by nobody else.

use crate::subject::Subject;

/// Evidence that was verified, and the subject it proves.
///
/// # Guarantees
/// For a subject that is a [`ServiceAccount`](crate::ServiceAccount):
/// - a key that the operator configured for the cluster verified the token's
///   signature, under an algorithm that the key is bound to;
/// - the time given to [`TokenVerifier::verify`](crate::TokenVerifier::verify)
///   lay within the token's times, give or take the cluster's leeway;
/// - issuer and audience are the configured ones, where any are;
/// - the service account is on the cluster's allow list;
/// - every field comes from those signed claims, from the token's bytes or
///   from the operator's configuration, and no string is empty.
///
/// The claimed ID is the exception, as its name says: the peer wrote it, and
/// nothing vouches for it.
///
/// Only a verifier makes one:
/// ```compile_fail,E0451
/// let forge = |subject: nameplate_evidence::Subject| {
///     nameplate_evidence::VerifiedEvidence { claimed_id: None, subject }
/// };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEvidence {
    claimed_id: Option<String>,
    subject: Subject,
}

impl VerifiedEvidence {
    pub(crate) fn new(claimed_id: Option<String>, subject: Subject) -> Self {
        Self {
            claimed_id,
            subject,
        }
    }

    /// The operator's name for the cluster that the peer belongs to. Empty
    /// only for a certificate verified outside any cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        match &self.subject {
            Subject::ServiceAccount(account) => &account.cluster,
            Subject::Certificate(certificate) => certificate.cluster.as_deref().unwrap_or_default(),
        }
    }

    /// A UUID that the peer claimed for itself, in lower case. **Unverified**:
    /// a peer can claim any value, also one that another peer uses.
    #[must_use]
    pub fn claimed_id(&self) -> Option<&str> {
        self.claimed_id.as_deref()
    }

    /// What was proven.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The claimed ID and the subject.
    #[must_use]
    pub fn into_parts(self) -> (Option<String>, Subject) {
        (self.claimed_id, self.subject)
    }
}
