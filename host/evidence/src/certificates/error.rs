//! Why a certificate is refused.

use super::{NONCE_BYTES, PathError};
use crate::json::JsonError;
use crate::peer_text::PeerText;
use std::fmt;

/// Why a certificate, or the proof of its key, is refused.
///
/// Variants stand in the order in which the checks are made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The payload is not JSON of the form that agents send.
    #[error("certificate payload is malformed")]
    ChainMalformed {
        /// What is wrong with it.
        source: JsonError,
    },
    /// `certificates` is not a list of base64.
    #[error("`certificates` of the payload is not a list of certificates in base64")]
    ChainEncoding,
    /// The payload has no certificate.
    #[error("payload holds no certificate")]
    Missing,
    /// There are more intermediates than are looked at.
    #[error("payload holds {count} intermediate certificates, more than {most}")]
    TooManyIntermediates {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A certificate is not X.509 in DER, or has what cannot be read.
    #[error("{position} cannot be read")]
    Unreadable {
        /// Which.
        position: Position,
        /// What is wrong with it.
        source: x509_cert::der::Error,
    },
    /// An RSA key is of a size that is not accepted.
    #[error("{position} has an RSA key of {bits} bits, and {least} to {most} are accepted")]
    KeySize {
        /// Whose.
        position: Position,
        /// Bits of its modulus.
        bits: u32,
        /// Fewest that are accepted.
        least: u32,
        /// Most that are accepted.
        most: u32,
    },
    /// No path leads from the leaf to an authority.
    #[error("certificate leads to no trusted authority")]
    Untrusted {
        /// The most telling of the reasons.
        source: PathError,
    },
    /// Each path leads through an authority that may not sign certificates,
    /// or through one whose own time is over.
    #[error("certificate is signed by an authority that may not sign, or whose time is over")]
    AuthorityUnfit,
    /// Looking for a path took more work than is spent on a peer.
    #[error("looking for a path to an authority costs too much")]
    TooCostly {
        /// What was used up.
        source: PathError,
    },
    /// The peer's address has to be one of the certificate's, and nobody said
    /// which it is, or not as an address.
    #[error("the peer's address is not known, and the certificate has to name it")]
    ClientAddressUnknown,
    /// The certificate names other addresses than the peer's, or none.
    #[error("the peer's address is not one of the certificate's")]
    ClientAddressMismatch,
    /// The leaf may not be used to sign (RFC 5280 §4.2.1.3); also when it says
    /// nothing of its use.
    #[error("certificate is not for digital signatures")]
    KeyUsage,
    /// The leaf's key is of a kind that proves nothing here.
    #[error("certificate has a key of an unsupported kind: {kind}")]
    KeyUnsupported {
        /// Its name, or its object identifier.
        kind: String,
    },
    /// The certificate is not one of a Kubernetes node: its common name does
    /// not begin with `system:node:`.
    #[error("certificate is not a node's: its common name does not begin with `system:node:`")]
    NodeNameMissing,
    /// Its organizations are others than `system:nodes` alone.
    #[error("certificate is not a node's: its organization is not `system:nodes` alone")]
    NodeGroupMissing,
    /// What follows `system:node:` is not the name of a node (RFC 1123 §2.1).
    #[error("certificate names no possible node: `{name}`")]
    NodeNameMalformed {
        /// What follows.
        name: PeerText,
    },
    /// The payload does not say which CertificateSigningRequest it came from.
    #[error("payload names no CertificateSigningRequest, and it has to be looked at")]
    RequestMissing,
    /// It names one that cannot be.
    #[error("`request` of the payload is not the name of a CertificateSigningRequest")]
    RequestNameMalformed,
    /// The answer to the challenge is not JSON of the form that agents send.
    #[error("answer to the challenge is malformed")]
    ResponseMalformed {
        /// What is wrong with it, where it is not the base64.
        source: Option<JsonError>,
    },
    /// The answer is for a key of another kind.
    #[error("answer to the challenge is not for a key of kind {expected}")]
    ResponseKind {
        /// The kind of the certificate's key.
        expected: &'static str,
    },
    /// The peer's nonce is of another length.
    #[error("nonce of the answer has {bytes} bytes, and {NONCE_BYTES} are asked for")]
    NonceMalformed {
        /// How long it is.
        bytes: usize,
    },
    /// The signature is not of the certificate's key over both nonces.
    #[error("signature over the nonces does not fit the certificate's key")]
    PossessionUnproven,
    /// The peer was asked to prove that it has the key, and did not answer.
    #[error("the challenge was not answered")]
    Unanswered,
    /// No URI of the certificate is a SPIFFE ID, or there are several
    /// (X509-SVID §2).
    #[error("certificate is no X509-SVID: it needs one URI, and that a SPIFFE ID")]
    SvidMissing,
    /// The SVID is of another trust domain.
    #[error("certificate is an X509-SVID of another trust domain: `{trust_domain}`")]
    SvidForeign {
        /// Which.
        trust_domain: PeerText,
    },
    /// The path of the SVID does not begin as agents' have to.
    #[error("path of the X509-SVID does not begin with `{prefix}`")]
    SvidPrefix {
        /// How it has to begin.
        prefix: String,
    },
    /// There is no such CertificateSigningRequest, or no longer.
    #[error("CertificateSigningRequest `{name}` is not there")]
    RequestGone {
        /// Its name.
        name: PeerText,
    },
    /// What the API server says of it cannot be read.
    #[error("`{key}` of the CertificateSigningRequest is malformed")]
    RequestMalformed {
        /// Which part of it.
        key: &'static str,
    },
    /// The request is to another signer than the operator trusts.
    #[error("CertificateSigningRequest is to signer `{found}`, and `{expected}` is trusted")]
    RequestSigner {
        /// The signer of the request.
        found: PeerText,
        /// The configured one.
        expected: String,
    },
    /// The request was not approved, or denied, or the signer refused it.
    #[error("CertificateSigningRequest is not approved")]
    RequestNotApproved,
    /// The certificate in the request is another, or there is none.
    #[error("CertificateSigningRequest holds another certificate than the peer's, or none")]
    RequestMismatch,
    /// Whoever asked for the certificate runs on another node than the one
    /// that the certificate names.
    #[error("certificate names node `{node}`, and was asked for from node `{requester}`")]
    RequesterElsewhere {
        /// The certificate's node.
        node: String,
        /// The requester's.
        requester: PeerText,
    },
    /// The requester's node is not proven.
    #[error("the node of `{username}`, which asked for the certificate, is not proven")]
    RequesterNodeUnproven {
        /// The requester.
        username: PeerText,
    },
    /// The pod that asked for the certificate is not there, or no longer.
    #[error("pod `{pod}`, which asked for the certificate, is not there")]
    RequesterPodGone {
        /// Its name.
        pod: PeerText,
    },
    /// Another pod has the name by now, or the recorded pod has no UID.
    #[error("pod `{pod}` is not the one that asked for the certificate: the UID is another")]
    RequesterPodMismatch {
        /// Its name.
        pod: PeerText,
    },
    /// The pod does not run as the service account that asked.
    #[error("pod `{pod}` runs as another service account than the one that asked")]
    RequesterPodOfAnotherAccount {
        /// Its name.
        pod: PeerText,
    },
    /// The pod runs on no node.
    #[error("pod `{pod}`, which asked for the certificate, runs on no node")]
    RequesterPodNotScheduled {
        /// Its name.
        pod: PeerText,
    },
    /// There is no such node, or no longer.
    #[error("node `{node}` is not in the cluster")]
    NodeGone {
        /// Its name.
        node: String,
    },
    /// The node has no UID.
    #[error("node `{node}` has no UID")]
    NodeUidMissing {
        /// Its name.
        node: String,
    },
    /// The certificate was asked for from an earlier node of this name.
    #[error("certificate was asked for from another node that was called `{node}`")]
    NodeReplaced {
        /// Its name.
        node: String,
    },
}

/// A certificate of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The peer's own.
    Leaf,
    /// One of those that lead to an authority, counted from 0.
    Intermediate(usize),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf => f.write_str("leaf certificate"),
            Self::Intermediate(number) => write!(f, "intermediate certificate {number}"),
        }
    }
}

impl CertificateError {
    /// A word for the peer, which says nothing that it did not send.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::ChainMalformed { .. } | Self::ChainEncoding => "chain_malformed",
            Self::Missing => "certificate_missing",
            Self::TooManyIntermediates { .. } => "too_many_intermediates",
            Self::Unreadable { .. } => "certificate_unreadable",
            Self::KeySize { .. } => "key_size",
            Self::Untrusted { .. } | Self::AuthorityUnfit => "chain_untrusted",
            Self::TooCostly { .. } => "chain_too_costly",
            Self::ClientAddressUnknown => "client_address_unknown",
            Self::ClientAddressMismatch => "client_address_mismatch",
            Self::KeyUsage => "key_usage",
            Self::KeyUnsupported { .. } => "key_unsupported",
            Self::NodeNameMissing => "node_name_missing",
            Self::NodeGroupMissing => "node_group_missing",
            Self::NodeNameMalformed { .. } => "node_name_malformed",
            Self::RequestMissing => "request_missing",
            Self::RequestNameMalformed => "request_name_malformed",
            Self::ResponseMalformed { .. } => "response_malformed",
            Self::ResponseKind { .. } => "response_kind",
            Self::NonceMalformed { .. } => "nonce_malformed",
            Self::PossessionUnproven => "possession_unproven",
            Self::Unanswered => "challenge_unanswered",
            Self::SvidMissing => "svid_missing",
            Self::SvidForeign { .. } => "svid_foreign",
            Self::SvidPrefix { .. } => "svid_prefix",
            Self::RequestGone { .. } => "request_gone",
            Self::RequestMalformed { .. } => "request_malformed",
            Self::RequestSigner { .. } => "request_signer",
            Self::RequestNotApproved => "request_not_approved",
            Self::RequestMismatch => "request_mismatch",
            Self::RequesterElsewhere { .. } => "requester_elsewhere",
            Self::RequesterNodeUnproven { .. } => "requester_node_unproven",
            Self::RequesterPodGone { .. } => "requester_pod_gone",
            Self::RequesterPodMismatch { .. } => "requester_pod_mismatch",
            Self::RequesterPodOfAnotherAccount { .. } => "requester_pod_account_mismatch",
            Self::RequesterPodNotScheduled { .. } => "requester_pod_not_scheduled",
            Self::NodeGone { .. } => "node_gone",
            Self::NodeUidMissing { .. } => "node_uid_missing",
            Self::NodeReplaced { .. } => "node_mismatch",
        }
    }
}
