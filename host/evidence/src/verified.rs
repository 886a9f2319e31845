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
/// For a subject that is a [`Certificate`](crate::Certificate):
/// - a path led from it to an authority that the operator trusts, all of it
///   valid at the time given, and it is for digital signatures;
/// - its key signed the nonce of the one [`Challenge`](crate::certificates::Challenge)
///   that this answers;
/// - where it has to be a Kubernetes node's, `node` and `requester` come from
///   its cluster's API server as far as that was asked;
/// - every other field comes from the signed certificate or the operator's
///   configuration, and no string is empty.
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
    statement: Statement,
}

/// What evidence states, whatever bytes it was stated in: the same for a token
/// with other white space round it, or with its signature encoded otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Statement([u8; 32]);

impl Statement {
    /// The statement that `claims` are, as they were signed.
    pub(crate) fn of(claims: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, claims);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// SHA-256 of the signed claims.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The statement with this hash.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl VerifiedEvidence {
    pub(crate) fn new(claimed_id: Option<String>, subject: Subject, statement: Statement) -> Self {
        Self {
            claimed_id,
            subject,
            statement,
        }
    }

    /// Identifies what was stated: two tokens with the same claims are one
    /// statement.
    #[must_use]
    pub fn statement(&self) -> Statement {
        self.statement
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
