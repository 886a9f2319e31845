//! What a verifier asks a Kubernetes API server, and what it gets to know.
//!
//! This room has no network. A verifier asks through [`ClusterApi`] and
//! decides on plain data; `nameplate-kubernetes` is the implementation that
//! talks to a real API server, and a test can be another.
//!
//! The records hold what the API server said, unchecked. Nothing here is a
//! fact before a verifier has compared it with the evidence.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long a verification may wait for others.
///
/// Clones share one end: whoever holds one can [give up](Self::give_up) for
/// all, so that an answer nobody waits for any more is not waited for.
#[derive(Debug, Clone)]
pub struct Patience {
    /// `None`: there is none, nobody is waited for.
    until: Option<Instant>,
    given_up: Arc<AtomicBool>,
}

impl Patience {
    /// Patience that ends at `until`.
    #[must_use]
    pub fn until(until: Instant) -> Self {
        Self {
            until: Some(until),
            given_up: Arc::new(AtomicBool::new(false)),
        }
    }

    /// No patience at all: only what needs nobody else is verified.
    #[must_use]
    pub fn none() -> Self {
        Self {
            until: None,
            given_up: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Ends it now.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// The same, ending at `until` if it does not end before. Giving one of
    /// them up gives up both.
    #[must_use]
    pub fn no_longer_than(&self, until: Instant) -> Self {
        Self {
            until: self.until.map(|own| own.min(until)),
            given_up: Arc::clone(&self.given_up),
        }
    }

    /// Time left at `now`; zero once it ended.
    #[must_use]
    pub fn left(&self, now: Instant) -> Duration {
        if self.given_up.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        self.until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

/// An API server that vouches for its cluster.
///
/// Every call blocks until there is an answer, or until `patience` ends with
/// [`ApiError::OutOfPatience`].
pub trait ClusterApi: fmt::Debug + Send + Sync {
    /// Asks whether `token` is good for one of `audiences`; for the API server's
    /// own when there are none (`authentication.k8s.io/v1`, `TokenReview`).
    ///
    /// # Errors
    /// [`ApiError`]; a token that is refused is an answer, not an error.
    fn review(
        &self,
        token: &str,
        audiences: &[String],
        patience: &Patience,
    ) -> Result<TokenReview, ApiError>;

    /// Reads a pod.
    ///
    /// # Errors
    /// [`ApiError`]; [`ApiError::NotFound`] when there is none of that name.
    fn pod(&self, namespace: &str, name: &str, patience: &Patience) -> Result<PodRecord, ApiError>;

    /// Reads a node.
    ///
    /// # Errors
    /// As [`ClusterApi::pod`].
    fn node(&self, name: &str, patience: &Patience) -> Result<NodeRecord, ApiError>;

    /// Reads a CertificateSigningRequest (`certificates.k8s.io/v1`).
    ///
    /// # Errors
    /// As [`ClusterApi::pod`].
    fn signing_request(
        &self,
        name: &str,
        patience: &Patience,
    ) -> Result<SigningRequestRecord, ApiError>;

    /// Whether the server answers. Asks nobody.
    fn status(&self) -> ApiStatus {
        ApiStatus::default()
    }
}

/// Whether an API server answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiStatus {
    /// The suspension, while there is one.
    pub suspended: Option<Suspension>,
    /// Suspensions so far.
    pub suspensions: u64,
}

/// The suspension of an API server that gave no answer again and again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not asked for {} s now, after {failures} failures in a row", lasting.as_secs())]
pub struct Suspension {
    /// Since when.
    pub since: SystemTime,
    /// How long it has lasted.
    pub lasting: Duration,
    /// Calls in a row that it gave no answer to.
    pub failures: u32,
    /// Why the last of them failed.
    #[source]
    pub last_error: Box<ApiError>,
}

/// Whether `name` is a DNS-1123 subdomain: what Kubernetes admits as the name
/// of a namespace, a pod, a node or a CertificateSigningRequest. It has no
/// slash, no colon and no two dots in a row, so it means nothing in a path.
#[must_use]
pub fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// RFC 1123 §2.1, in the lower case that Kubernetes demands; of any length.
pub(crate) fn is_label(label: &str) -> bool {
    let plain = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    plain(label.as_bytes().first())
        && plain(label.as_bytes().last())
        && label
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// `status` of a `TokenReview`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenReview {
    /// The token is good.
    pub authenticated: bool,
    /// Why it is not, in the API server's words.
    pub error: Option<String>,
    /// `user.username`; empty when absent.
    pub username: String,
    /// `user.uid`.
    pub uid: Option<String>,
    /// The audiences asked for that the token has.
    pub audiences: Vec<String>,
    /// `user.extra`: what the token is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// A pod, as far as it can be a fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodRecord {
    /// `metadata.uid`.
    pub uid: Option<String>,
    /// `spec.serviceAccountName`.
    pub service_account: Option<String>,
    /// `spec.nodeName`; none while the pod is not scheduled.
    pub node_name: Option<String>,
    /// `status.podIP`.
    pub pod_ip: Option<String>,
    /// `status.hostIP`.
    pub host_ip: Option<String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
}

/// A node, as far as it can be a fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeRecord {
    /// `metadata.uid`.
    pub uid: Option<String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
}

/// A CertificateSigningRequest, as far as it can vouch for a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SigningRequestRecord {
    /// `spec.signerName`.
    pub signer_name: String,
    /// `spec.username`: who asked, by the credential that was asked with.
    pub username: String,
    /// `spec.uid`.
    pub uid: Option<String>,
    /// `spec.groups`.
    pub groups: Vec<String>,
    /// `spec.extra`: what that credential is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
    /// Types of the conditions that are `True`: `Approved`, `Denied`, `Failed`.
    pub conditions: Vec<String>,
    /// `status.certificate`: PEM, the leaf first; none before it is signed.
    pub certificate: Option<Vec<u8>>,
}

/// Why an API server, or whoever publishes its keys, gave no answer.
///
/// Holds no credential and no body of an answer beyond the `message` of a
/// Kubernetes `Status`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// There is nothing to ask with: a kubeconfig or a credential cannot be used.
    #[error("cannot ask: {what}")]
    NotConfigured {
        /// What is missing or wrong.
        what: String,
    },
    /// No connection, or it broke.
    #[error("no answer: {what}")]
    Unreachable {
        /// What happened.
        what: String,
    },
    /// The time for it ended first.
    #[error("no answer in time")]
    OutOfPatience,
    /// Not asked: the server is suspended, because it gave no answer too often.
    #[error(transparent)]
    Suspended(Suspension),
    /// The host's credential is not accepted (HTTP 401).
    #[error("the credential of this host is not accepted: {message}")]
    Unauthorized {
        /// The server's words.
        message: String,
    },
    /// The host's credential lacks a right (HTTP 403).
    #[error("not permitted: {message}")]
    Forbidden {
        /// The server's words.
        message: String,
    },
    /// There is no such object (HTTP 404).
    #[error("not found: {message}")]
    NotFound {
        /// The server's words.
        message: String,
    },
    /// Another HTTP status that is no success.
    #[error("HTTP status {status}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// The answer is not what was asked for.
    #[error("the answer is malformed: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
}

impl ApiError {
    /// As [`EvidenceError::reason`](crate::EvidenceError::reason).
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotConfigured { .. } => "api_not_configured",
            Self::Unreachable { .. } => "api_unreachable",
            Self::OutOfPatience => "api_out_of_time",
            Self::Suspended(_) => "api_suspended",
            Self::Unauthorized { .. } => "api_unauthorized",
            Self::Forbidden { .. } => "api_forbidden",
            Self::NotFound { .. } => "api_not_found",
            Self::Refused { .. } => "api_refused",
            Self::Malformed { .. } => "api_malformed",
        }
    }

    /// Whether asking again later may succeed with nothing changed here.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::OutOfPatience | Self::Suspended(_) => true,
            // Too many requests; the server's own trouble.
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::NotConfigured { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Malformed { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_patience_ends_first_and_is_given_up_with_the_whole() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let whole = Patience::until(now + 3 * second);
        let part = whole.no_longer_than(now + second);
        assert_eq!((whole.left(now), part.left(now)), (3 * second, second));
        // A part is never longer than the whole.
        let long = part.no_longer_than(now + 2 * second);
        assert_eq!(long.left(now), second);
        let none = Patience::none().no_longer_than(now + second);
        assert_eq!(none.left(now), Duration::ZERO);
        whole.give_up();
        assert_eq!(long.left(now), Duration::ZERO);
    }

    #[test]
    fn a_suspension_says_since_when_and_after_what() {
        let error = ApiError::Suspended(Suspension {
            since: SystemTime::UNIX_EPOCH,
            lasting: Duration::from_millis(12_900),
            failures: 5,
            last_error: Box::new(ApiError::OutOfPatience),
        });
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(
            (error.to_string(), cause.as_deref()),
            (
                "not asked for 12 s now, after 5 failures in a row".to_owned(),
                Some("no answer in time")
            )
        );
        assert_eq!(
            (error.reason(), error.is_transient()),
            ("api_suspended", true)
        );
    }
}
