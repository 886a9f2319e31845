//! What a peer proved: parsing and verifying attestation evidence.
//!
//! Bytes go in, [`VerifiedEvidence`] or a typed refusal comes out. There is no
//! clock here (time is an argument), no file and no network, and nothing that
//! knows of WebAssembly.
//!
//! ```text
//! bytes --RawEvidence::new--> RawEvidence --TokenVerifier::verify--> VerifiedEvidence
//! ```
//!
//! That is for tokens. Certificates are proven in two steps, with a nonce in
//! between: [`certificates`].
//!
//! ```
//! # use std::{error::Error, time::{Duration, SystemTime}};
//! use nameplate_evidence::{ClusterTrust, KeySet, Method, RawEvidence, Subject, TokenVerifier};
//!
//! # fn example(key_file: &[u8], payload: Vec<u8>, now: SystemTime) -> Result<(), Box<dyn Error>> {
//! let verifier = TokenVerifier::new([ClusterTrust {
//!     name: "production".to_owned(),
//!     keys: KeySet::from_pem(key_file)?,
//!     allowed: vec!["spire:spire-agent".parse()?],
//!     issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
//!     audience: vec!["spire-server".to_owned()],
//!     leeway: Duration::from_secs(60),
//!     allow_unexpiring_tokens: false,
//!     ca_thumbprint: None,
//! }]);
//! let evidence = RawEvidence::new(Method::K8sSat, payload)?;
//! let (_claimed_id, subject) = verifier.verify(&evidence, now)?.into_parts();
//! if let Subject::ServiceAccount(account) = subject {
//!     println!("{} {}:{}", account.cluster, account.namespace, account.name);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked
//!
//! [`TokenVerifier::verify`] goes through these in order and stops at the
//! first that fails. The right column is [`EvidenceError::reason`].
//!
//! | check | by | reason |
//! |---|---|---|
//! | 1 to 32 768 bytes of payload | [`RawEvidence::new`] | `payload_missing`, `payload_too_large` |
//! | it is of the attestor's method | [`Method::accept`] | `method_mismatch` |
//! | the time given lies after 1970 | | `clock_before_epoch` |
//! | payload: one JSON object, no member twice, strings where strings belong | RFC 8259, RFC 8725 §2.4 | `payload_malformed`, `payload_member_malformed` |
//! | it names a cluster and holds a token | SPIRE `k8s_sat` | `cluster_missing`, `token_missing` |
//! | `uuid`, if any, is a hyphenated UUID (and stays a mere claim) | RFC 9562 §4 | `claimed_id_malformed` |
//! | the cluster is configured | | `unknown_cluster` |
//! | token: at most 16 384 bytes, exactly two dots, not a JWE | RFC 7515 §7.1, RFC 7516 §9 | `token_too_large`, `token_shape`, `token_encrypted` |
//! | parts are base64url, strictly | RFC 7515 §2 | `token_encoding` |
//! | header: one JSON object, no member twice, no `crit` | RFC 7515 §4, §4.1.11 | `header_malformed`, `header_critical`, `header_parameter_malformed` |
//! | `alg` is RS, PS or ES with 256, 384 or 512 | RFC 7518 §3.1, RFC 8725 §3.1 | `algorithm_missing`, `algorithm_refused` |
//! | a key is for that algorithm | RFC 7518 §3.3 to §3.5, RFC 7517 §4.4 | `algorithm_mismatch` |
//! | the signature is that key's | RFC 7515 §5.2 | `signature_invalid` |
//! | claims: one JSON object, no member twice, each of its type | RFC 7519 §4 | `claims_malformed`, `claim_malformed` |
//! | `exp` | RFC 7519 §4.1.4 | `token_never_expires`, `token_expired` |
//! | `nbf`, `iat` | RFC 7519 §4.1.5, §4.1.6 | `token_not_yet_valid`, `token_issued_in_future` |
//! | `iss`, where configured | RFC 7519 §4.1.1 | `issuer_missing`, `issuer_mismatch` |
//! | `aud`, where configured | RFC 7519 §4.1.3 | `audience_missing`, `audience_mismatch` |
//! | namespace, name and UID, each in one claim | Kubernetes, "Managing Service Accounts" | `namespace_missing`, `namespace_found_twice`, `service_account_name_missing`, `service_account_name_found_twice`, `service_account_uid_found_twice` |
//! | the service account is on the allow list | SPIRE `service_account_allow_list` | `service_account_not_allowed` |
//! | `sub`, where the token must be bound, is that account | RFC 7519 §4.1.2 | `subject_mismatch` |
//! | it is bound to a pod, where it must be | SPIRE `k8s_psat` | `pod_missing`, `pod_uid_missing` |
//! | the pod is still there, the same one, of that account and scheduled | SPIRE `k8s_psat` | `pod_gone`, `pod_mismatch`, `pod_account_mismatch`, `pod_not_scheduled` |
//! | its node is still there, and the one the token speaks of | SPIRE `k8s_psat` | `node_gone`, `node_uid_missing`, `node_mismatch` |
//!
//! A cluster whose API server is asked ([`Proof::Review`]) has one step in
//! place of key and signature, once size, encoding and header are found good,
//! so that nobody is asked about what is no token: the server's verdict
//! (`token_review_refused`, `token_not_authenticated`), on the audiences asked
//! for (`audience_not_reviewed`), for a service account
//! (`username_malformed`, `token_review_malformed`); and the claims, read only
//! then, must agree with it (`token_review_contradicted`).
//!
//! Where an API server or the publisher of keys gives no answer there is no
//! verdict, and the peer is not to blame: `api_not_configured`,
//! `api_unreachable`, `api_out_of_time`, `api_suspended`, `api_unauthorized`,
//! `api_forbidden`, `api_not_found`, `api_refused`, `api_malformed` ([`ApiError`]),
//! `trust_bundle_unavailable` ([`certificates`]).
//!
//! No claim is read before its signature is verified. That is the one
//! difference from SPIRE's order: claims that are not base64url are reported
//! as such only when a key signed them, or before a review.
//!
//! # What is never looked at
//!
//! Keys and certificates that a token carries or points to (`jwk`, `jku`,
//! `x5c`, `x5u`), `typ`, and any claim not named above.
//!
//! # What never shows
//!
//! No error and no `Debug` output holds a token. Text that a peer chose stands
//! in an error only as a [`PeerText`]: cut at 64 characters and free of
//! anything a terminal acts on.

mod algorithm;
mod allowed;
mod api;
mod base64url;
mod binding;
pub mod certificates;
mod cluster;
mod difference;
mod digest;
mod error;
mod json;
mod key_source;
mod keys;
mod payload;
mod peer_text;
mod pem;
mod proof;
mod public_key;
mod raw;
mod review;
pub mod subject;
mod thumbprint;
mod token;
mod verified;
mod verifier;

pub use algorithm::SignatureAlgorithm;
pub use allowed::{AllowedServiceAccount, MalformedServiceAccount};
pub use api::{
    ApiError, ApiStatus, ClusterApi, NodeRecord, Patience, PodRecord, SigningRequestRecord,
    Suspension, TokenReview, is_object_name,
};
pub use base64url::Base64Error;
pub use cluster::{Binding, Cluster, LocalProof, Lookup, Proof, ReviewProof, TrustedKeys};
pub use difference::Difference;
pub use error::{Asked, EvidenceError, TokenError, TokenPart};
pub use json::JsonError;
pub use key_source::{KeyPublisher, KeySource, KeysStatus, Rehearsal, Rhythm};
pub use keys::{
    IgnoredKey, IgnoredKeys, KeyDescription, KeyError, KeyPlace, KeyProblem, KeySet,
    MAX_KEY_FILE_BYTES, MAX_KEYS,
};
pub use peer_text::PeerText;
pub use pem::PemError;
pub use proof::{Proven, Verifier};
pub use raw::{MAX_PAYLOAD_BYTES, Method, RawEvidence, UnknownMethod};
pub use subject::{
    AlternativeName, Authority, Certificate, DistinguishedName, KeyKind, Label, Node, Pod,
    Requester, ServiceAccount, Subject,
};
pub use thumbprint::{ThumbprintError, thumbprint_of_pem};
pub use token::MAX_TOKEN_BYTES;
pub use verified::{Statement, VerifiedEvidence};
pub use verifier::{ClusterTrust, TokenVerifier};
