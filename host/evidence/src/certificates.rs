//! X.509 certificates as evidence, and possession of their keys: `x509pop`, and
//! `k8s` where a Kubernetes cluster signed them for its nodes.
//!
//! A peer sends a chain. It is counted, measured, parsed and verified up to the
//! operator's authorities; then the peer has to sign a nonce that nobody has
//! seen before. Only then is there a subject:
//!
//! ```text
//! payload → ExaminedChain → Challenge → (the peer signs) → VerifiedEvidence
//! ```
//!
//! Each step consumes the one before, so a challenge is answered once, and what
//! was not answered proves nothing. No clock is here, and a nonce is drawn by whoever
//! asks: time and nonce are arguments.
//!
//! # What is checked, in order
//!
//! | check | reason |
//! |---|---|
//! | the payload is `{"certificates": [...]}` of base64 (RFC 4648 §4) | `chain_malformed` |
//! | there is a leaf | `certificate_missing` |
//! | no more intermediates than allowed, before any is parsed | `too_many_intermediates` |
//! | leaf and intermediates are X.509 v3 certificates in DER | `certificate_unreadable` |
//! | no RSA key is larger than allowed, or smaller than 2,048 bits | `key_size` |
//! | a path leads to an authority, all of it valid at the time given (RFC 5280 §6) | `chain_untrusted` |
//! | authorities are some, may sign certificates, and have no more below them than they may (RFC 5280 §4.2.1.3, §4.2.1.9) | `chain_untrusted` |
//! | path building ends within its budget | `chain_too_costly` |
//! | the peer's address is one of the leaf's, where that is asked for | `client_address_unknown`, `client_address_mismatch` |
//! | the leaf's key usage has `digitalSignature` | `key_usage` |
//! | the leaf's key is RSA, P-256, P-384 or P-521 | `key_unsupported` |
//! | where nodes are evidence: the common name is `system:node:` and a node's name (RFC 1123 §2.1), the organization `system:nodes` alone | `node_name_missing`, `node_group_missing`, `node_name_malformed` |
//! | where its CertificateSigningRequest is looked at: the peer names one | `request_missing`, `request_name_malformed` |
//! | the answer is of the key's kind, over both nonces | `response_malformed`, `response_kind`, `nonce_malformed`, `possession_unproven`, `challenge_unanswered` |
//! | where SVIDs are evidence: one URI, a SPIFFE ID of the trust domain, under the prefix (X509-SVID §2) | `svid_missing`, `svid_foreign`, `svid_prefix` |
//! | that request is there, to the signer, approved, and holds this certificate | `request_gone`, `request_signer`, `request_not_approved`, `request_mismatch`, `request_malformed` |
//! | whoever made it is on the certificate's node, as recorded with it | `requester_elsewhere`, `requester_node_unproven` |
//! | or, where its pod alone was recorded, by what the API server says of that pod | `requester_pod_gone`, `requester_pod_mismatch`, `requester_pod_account_mismatch`, `requester_pod_not_scheduled` |
//! | where the API server is asked: the node is there, and still the one | `node_gone`, `node_uid_missing`, `node_mismatch` |
//!
//! In SPIFFE mode ([`Trust::Domain`]) the authorities are those of the trust
//! domain as they are now. Without them there is no verdict, and the peer is not
//! to blame: `trust_bundle_unavailable`.
//!
//! # Where Go's verifier, which SPIRE uses, says otherwise
//!
//! | certificate | Go | here |
//! |---|---|---|
//! | a leaf that is itself in the bundle | accepted, without an authority | refused: what is trusted is who signs |
//! | a leaf that is an authority (`CA:TRUE`) | accepted | refused |
//! | a validity that begins before 1970 | accepted | refused: it cannot be read |
//! | a name in TeletexString, BMPString or UniversalString | read | left out |
//! | no subject | accepted | accepted, without a common name |
//! | no bundle | the system's authorities | cannot be made: [`TrustedAuthorities`] is never empty |
//! | an RSA key of fewer than 2,048 bits | accepted from 1,024 on | refused |

mod authorities;
mod challenge;
mod error;
mod leaf;
mod node;
mod path_error;
mod payload;
mod possession;
mod prover;
mod requester;
mod search;
mod sight;
mod surroundings;
mod svid;
mod verifier;

pub use authorities::{TrustedAuthorities, TrustedAuthoritiesError};
pub use challenge::{Challenge, NONCE_BYTES, Nonce};
pub use error::{CertificateError, Position};
pub use node::{NodeLookup, NodeRule};
pub use path_error::PathError;
pub use prover::{Prover, ProverError};
pub use requester::RequestRule;
pub use sight::{CertificateSight, payload_of_pem, sight};
pub use surroundings::{BundleError, BundleSource, Surroundings};
pub use svid::SvidRule;
pub use verifier::{CertificateVerifier, ChainLimits, ExaminedChain, Trust};
