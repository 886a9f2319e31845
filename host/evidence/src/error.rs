//! Why evidence is refused.
//!
//! Every variant ends without an identity. Both enums are exhaustive, so that
//! whoever answers a peer decides on each; [`EvidenceError::reason`] is the
//! part that may be sent to one. Nothing here holds a token, and text that a
//! peer chose is a [`PeerText`].

use nameplate_words::grouped;

use crate::algorithm::SignatureAlgorithm;
use crate::api::ApiError;
use crate::base64url::Base64Error;
use crate::certificates::{BundleError, CertificateError};
use crate::difference::Difference;
use crate::json::JsonError;
use crate::peer_text::PeerText;
use crate::raw::{MAX_PAYLOAD_BYTES, Method};
use crate::token::MAX_TOKEN_BYTES;

/// Why evidence is refused.
///
/// Variants stand in the order in which the checks are made.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The peer sent no payload.
    #[error("attestation payload is missing")]
    PayloadMissing,
    /// The payload is longer than is looked at.
    #[error(
        "attestation payload is {} bytes long, more than {} bytes",
        grouped(*.bytes),
        grouped(MAX_PAYLOAD_BYTES)
    )]
    PayloadTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The evidence is of another method than the attestor's.
    #[error("evidence of method `{declared}` was sent where `{expected}` is expected")]
    MethodMismatch {
        /// What the peer declared.
        declared: Method,
        /// What the attestor verifies.
        expected: Method,
    },
    /// The time to verify at lies before 1970. Not the peer's fault.
    #[error("the time of verification lies before 1970-01-01")]
    ClockBeforeEpoch,
    /// The payload is not a JSON object, or a member appears twice.
    #[error("attestation payload is malformed")]
    PayloadMalformed {
        /// What is wrong with it.
        source: JsonError,
    },
    /// A member of the payload is of the wrong type.
    #[error("`{member}` of the attestation payload is not a string")]
    PayloadMemberMalformed {
        /// Name of the member.
        member: &'static str,
    },
    /// The payload names no cluster.
    #[error("attestation payload names no cluster")]
    ClusterMissing,
    /// The payload holds no token.
    #[error("attestation payload holds no token")]
    TokenMissing,
    /// `uuid` is not a UUID in hyphenated form (RFC 9562 §4).
    #[error("`uuid` of the attestation payload is not a UUID in hyphenated form")]
    ClaimedIdMalformed,
    /// No cluster of that name is configured.
    #[error("cluster `{cluster}` is not configured")]
    UnknownCluster {
        /// The name the peer gave.
        cluster: PeerText,
    },
    /// The token does not hold against the configuration of its cluster.
    #[error("token for cluster `{cluster}` is refused")]
    Token {
        /// The operator's name for the cluster.
        cluster: String,
        /// Which check failed.
        source: TokenError,
    },
    /// Whoever vouches for the cluster gave no answer. Not the peer's fault.
    #[error("no verdict on a token for cluster `{cluster}`: {asked}")]
    Api {
        /// The operator's name for the cluster.
        cluster: String,
        /// What was asked for.
        asked: Asked,
        /// Why there is no answer.
        source: ApiError,
    },
    /// The peer's certificate, or its proof that it has the key, does not hold.
    #[error("the certificate does not hold")]
    Certificate {
        /// Which check failed.
        #[from]
        source: CertificateError,
    },
    /// An API server that vouches for the certificate gave no answer. Not the
    /// peer's fault.
    #[error("no verdict on the certificate: {asked}")]
    CertificateApi {
        /// What was asked for.
        asked: Asked,
        /// Why there is no answer.
        source: ApiError,
    },
    /// The authorities of the trust domain are not known. Not the peer's fault.
    #[error("the trust domain's bundle is not to be had")]
    Bundle {
        /// Why not.
        source: BundleError,
    },
}

/// What an API server was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Its verdict on a token.
    Review,
    /// A pod.
    Pod,
    /// A node.
    Node,
    /// The keys that it signs with.
    Keys,
    /// A CertificateSigningRequest.
    Request,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Review => "the token review failed",
            Self::Pod => "the pod cannot be read",
            Self::Node => "the node cannot be read",
            Self::Keys => "there are no keys to verify it with",
            Self::Request => "the CertificateSigningRequest cannot be read",
        })
    }
}

/// Why a token is refused.
///
/// Variants stand in the order in which the checks are made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The token is longer than is looked at.
    #[error(
        "token is {} bytes long, more than {} bytes",
        grouped(*.bytes),
        grouped(MAX_TOKEN_BYTES)
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The token is encrypted: five parts, or a header with `enc` or `zip`
    /// (RFC 7516 §9).
    #[error("token is encrypted (JWE), and only signed tokens (JWS) are accepted")]
    Encrypted,
    /// The token has not the three parts of a compact JWS (RFC 7515 §7.1).
    #[error("token has {} dots where a signed token has 2", grouped(*.dots))]
    Shape {
        /// Dots counted.
        dots: usize,
    },
    /// A part of the token is not base64url without padding (RFC 7515 §2).
    #[error("{part} of the token is not base64url without padding")]
    Encoding {
        /// Which part.
        part: TokenPart,
        /// What is wrong with it.
        source: Base64Error,
    },
    /// The header is not a JSON object, or a member appears twice
    /// (RFC 7515 §4).
    #[error("token header is malformed")]
    HeaderMalformed {
        /// What is wrong with it.
        source: JsonError,
    },
    /// The header has a `crit` member (RFC 7515 §4.1.11).
    #[error("token header demands extensions (`crit`), and none is supported")]
    CriticalHeader,
    /// A header parameter is of the wrong type.
    #[error("`{parameter}` of the token header is not a string")]
    HeaderParameterMalformed {
        /// Name of the parameter.
        parameter: &'static str,
    },
    /// The header names no algorithm (RFC 7515 §4.1.1).
    #[error("token header names no algorithm (`alg`)")]
    AlgorithmMissing,
    /// The header names an algorithm that is never accepted, such as `none`
    /// or one of the symmetric ones.
    #[error("algorithm `{algorithm}` is not accepted")]
    AlgorithmRefused {
        /// The name in the header.
        algorithm: PeerText,
    },
    /// No key that the token may be verified with is for its algorithm.
    #[error("no key is for algorithm `{algorithm}` (of {keys} considered)")]
    AlgorithmMismatch {
        /// The algorithm in the header.
        algorithm: SignatureAlgorithm,
        /// Keys considered: those with the token's `kid`, or all.
        keys: usize,
    },
    /// No key verifies the signature.
    #[error("signature fits no key (of {keys} tried)")]
    SignatureInvalid {
        /// Keys tried: those considered that are for the token's algorithm.
        keys: usize,
    },
    /// The signed claims are not a JSON object, or a member appears twice
    /// (RFC 7519 §4).
    #[error("token claims are malformed")]
    ClaimsMalformed {
        /// What is wrong with them.
        source: JsonError,
    },
    /// A claim is there, but is not what its definition says.
    #[error("claim `{claim}` is not {expected}")]
    ClaimMalformed {
        /// Name of the claim.
        claim: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The token never expires, and the operator did not allow that.
    #[error("token never expires (no `exp`), which the cluster does not allow")]
    NeverExpires,
    /// The token's time is over (RFC 7519 §4.1.4).
    #[error("token expired {} s ago (leeway {leeway} s)", grouped(*.seconds))]
    Expired {
        /// Whole seconds since `exp`.
        seconds: u64,
        /// The configured leeway in whole seconds.
        leeway: u64,
    },
    /// The token's time has not come (RFC 7519 §4.1.5).
    #[error("token is not valid for another {} s (leeway {leeway} s)", grouped(*.seconds))]
    NotYetValid {
        /// Whole seconds until `nbf`, rounded up.
        seconds: u64,
        /// The configured leeway in whole seconds.
        leeway: u64,
    },
    /// The token says that it was issued after now (RFC 7519 §4.1.6).
    #[error("token was issued {} s in the future (leeway {leeway} s)", grouped(*.seconds))]
    IssuedInFuture {
        /// Whole seconds until `iat`, rounded up.
        seconds: u64,
        /// The configured leeway in whole seconds.
        leeway: u64,
    },
    /// An issuer is configured and the token names none.
    #[error("token names no issuer (`iss`)")]
    IssuerMissing,
    /// The token is another issuer's (RFC 7519 §4.1.1).
    #[error("issuer `{issuer}` is not the configured {expected}")]
    IssuerMismatch {
        /// `iss` of the token.
        issuer: PeerText,
        /// The configured one, and how it differs.
        expected: Difference,
    },
    /// Audiences are configured and the token names none.
    #[error("token names no audience (`aud`)")]
    AudienceMissing,
    /// The token is for someone else (RFC 7519 §4.1.3).
    #[error(
        "token is for audience `{audience}` (of {count}), and none of them is configured{}",
        nearest_of(.nearest.as_ref())
    )]
    AudienceMismatch {
        /// The `aud` of the token that is most like a configured one, or the
        /// first.
        audience: PeerText,
        /// How many the token names.
        count: usize,
        /// The configured one that it is like, and how it differs.
        nearest: Option<Difference>,
    },
    /// No claim names the namespace of the service account.
    #[error("token names no namespace")]
    NamespaceMissing,
    /// A legacy and a bound claim both name the namespace.
    #[error("token names a namespace in two claims")]
    NamespaceFoundTwice,
    /// No claim names the service account.
    #[error("token names no service account")]
    NameMissing,
    /// A legacy and a bound claim both name the service account.
    #[error("token names a service account in two claims")]
    NameFoundTwice,
    /// A legacy and a bound claim both carry the service account's UID.
    #[error("token has a service account UID in two claims")]
    UidFoundTwice,
    /// The service account is not on the cluster's allow list.
    #[error("service account `{namespace}:{name}` is not on the allow list")]
    NotAllowed {
        /// Its namespace.
        namespace: PeerText,
        /// Its name.
        name: PeerText,
    },
    /// The API server refuses the token, and says why.
    #[error("the API server refuses the token: `{message}`")]
    ReviewRefused {
        /// Its words.
        message: PeerText,
    },
    /// The API server does not authenticate the token.
    #[error("the API server does not authenticate the token")]
    NotAuthenticated,
    /// The API server answered for none of the audiences that it was asked for.
    #[error("the API server confirms none of the configured audiences")]
    AudienceNotReviewed,
    /// The user is no service account.
    #[error("the API server knows the token as `{username}`, which is no service account")]
    UsernameMalformed {
        /// The user name.
        username: PeerText,
    },
    /// What the token is bound to is not said in one value.
    #[error("the API server gives `{key}` empty or more than once")]
    ReviewMalformed {
        /// Key of `user.extra`.
        key: &'static str,
    },
    /// The token's claims say something else than the API server.
    #[error("the claims of the token contradict what the API server says of it")]
    ReviewContradicted,
    /// `sub` names another account than the claims of Kubernetes.
    #[error("`sub` of the token is not its service account")]
    SubjectMismatch,
    /// The token is bound to no pod.
    #[error("token is not bound to a pod")]
    PodMissing,
    /// The token names its pod without a UID.
    #[error("token names its pod without a UID")]
    PodUidMissing,
    /// The pod is no more.
    #[error("the pod that the token is bound to is gone")]
    PodGone,
    /// Another pod bears the name by now.
    #[error("pod `{pod}` is not the one that the token is bound to: its UID differs")]
    PodMismatch {
        /// Its name.
        pod: PeerText,
    },
    /// The pod runs as another service account.
    #[error("pod `{pod}` runs as another service account than the token's")]
    PodOfAnotherAccount {
        /// Its name.
        pod: PeerText,
    },
    /// The pod is on no node yet.
    #[error("the pod that the token is bound to is not scheduled to a node")]
    PodNotScheduled,
    /// The pod's node is no more.
    #[error("the node of the token's pod is gone")]
    NodeGone,
    /// The API server gives the node no UID.
    #[error("the node of the token's pod has no UID")]
    NodeUidMissing,
    /// The token speaks of another node than the one its pod is on.
    #[error("the token names another node than the one its pod is on")]
    NodeMismatch,
}

fn nearest_of(difference: Option<&Difference>) -> String {
    difference.map_or_else(String::new, |one| format!("; the nearest is {one}"))
}

/// A part of a token in compact form (RFC 7515 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPart {
    /// The first part, the JOSE header.
    Header,
    /// The second part, the claims.
    Claims,
    /// The third part, the signature.
    Signature,
}

impl std::fmt::Display for TokenPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims part",
            Self::Signature => "signature",
        })
    }
}

impl EvidenceError {
    /// A stable code for counters, tests and the peer: a code keeps its
    /// meaning, and no two failures share one.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::PayloadMissing => "payload_missing",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::MethodMismatch { .. } => "method_mismatch",
            Self::ClockBeforeEpoch => "clock_before_epoch",
            Self::PayloadMalformed { .. } => "payload_malformed",
            Self::PayloadMemberMalformed { .. } => "payload_member_malformed",
            Self::ClusterMissing => "cluster_missing",
            Self::TokenMissing => "token_missing",
            Self::ClaimedIdMalformed => "claimed_id_malformed",
            Self::UnknownCluster { .. } => "unknown_cluster",
            Self::Token { source, .. } => source.reason(),
            Self::Api { source, .. } => source.reason(),
            Self::Certificate { source } => source.reason(),
            Self::CertificateApi { source, .. } => source.reason(),
            Self::Bundle { .. } => "trust_bundle_unavailable",
        }
    }
}

impl TokenError {
    /// As [`EvidenceError::reason`].
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "token_too_large",
            Self::Encrypted => "token_encrypted",
            Self::Shape { .. } => "token_shape",
            Self::Encoding { .. } => "token_encoding",
            Self::HeaderMalformed { .. } => "header_malformed",
            Self::CriticalHeader => "header_critical",
            Self::HeaderParameterMalformed { .. } => "header_parameter_malformed",
            Self::AlgorithmMissing => "algorithm_missing",
            Self::AlgorithmRefused { .. } => "algorithm_refused",
            Self::AlgorithmMismatch { .. } => "algorithm_mismatch",
            Self::SignatureInvalid { .. } => "signature_invalid",
            Self::ClaimsMalformed { .. } => "claims_malformed",
            Self::ClaimMalformed { .. } => "claim_malformed",
            Self::NeverExpires => "token_never_expires",
            Self::Expired { .. } => "token_expired",
            Self::NotYetValid { .. } => "token_not_yet_valid",
            Self::IssuedInFuture { .. } => "token_issued_in_future",
            Self::IssuerMissing => "issuer_missing",
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::AudienceMissing => "audience_missing",
            Self::AudienceMismatch { .. } => "audience_mismatch",
            Self::NamespaceMissing => "namespace_missing",
            Self::NamespaceFoundTwice => "namespace_found_twice",
            Self::NameMissing => "service_account_name_missing",
            Self::NameFoundTwice => "service_account_name_found_twice",
            Self::UidFoundTwice => "service_account_uid_found_twice",
            Self::NotAllowed { .. } => "service_account_not_allowed",
            Self::ReviewRefused { .. } => "token_review_refused",
            Self::NotAuthenticated => "token_not_authenticated",
            Self::AudienceNotReviewed => "audience_not_reviewed",
            Self::UsernameMalformed { .. } => "username_malformed",
            Self::ReviewMalformed { .. } => "token_review_malformed",
            Self::ReviewContradicted => "token_review_contradicted",
            Self::SubjectMismatch => "subject_mismatch",
            Self::PodMissing => "pod_missing",
            Self::PodUidMissing => "pod_uid_missing",
            Self::PodGone => "pod_gone",
            Self::PodMismatch { .. } => "pod_mismatch",
            Self::PodOfAnotherAccount { .. } => "pod_account_mismatch",
            Self::PodNotScheduled => "pod_not_scheduled",
            Self::NodeGone => "node_gone",
            Self::NodeUidMissing => "node_uid_missing",
            Self::NodeMismatch => "node_mismatch",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::EvidenceError;
    use crate::VerifiedEvidence;

    #[test]
    fn every_reason_is_unique_and_stands_in_the_table_of_checks() {
        let (code, _) = include_str!("error.rs").split_once("#[cfg(test)]").unwrap();
        let reasons: Vec<_> = code
            .split("=> \"")
            .skip(1)
            .filter_map(|rest| rest.split_once("\","))
            .map(|(reason, _)| reason)
            .filter(|reason| reason.contains('_'))
            .collect();
        assert_eq!(reasons.len(), 54);
        assert_eq!(reasons.iter().collect::<HashSet<_>>().len(), reasons.len());
        let table = include_str!("lib.rs");
        for reason in reasons {
            assert!(table.contains(&format!("`{reason}`")), "{reason}");
        }
    }

    #[test]
    fn answers_may_cross_threads() {
        fn is_sendable<T: Send + Sync + 'static>() {}
        is_sendable::<Result<VerifiedEvidence, EvidenceError>>();
        is_sendable::<crate::TokenVerifier>();
    }
}
