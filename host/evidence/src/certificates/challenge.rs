//! A challenge: a nonce that the peer has to sign with the leaf's key.
//!
//! Answering consumes it, and it holds the nonce that was sent, so that no
//! answer to another challenge, and no answer twice, can prove anything.

use super::SvidRule;
use super::node::NodeClaim;
use super::possession::{self, Response};
use crate::api::Patience;
use crate::error::EvidenceError;
use crate::subject::{Certificate, KeyKind, Subject};
use crate::verified::{Statement, VerifiedEvidence};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::fmt;

/// Length of a nonce, in bytes.
pub const NONCE_BYTES: usize = 32;

/// Random bytes that nobody could have foreseen. Not `Clone`, and `Debug` shows
/// none of them.
pub struct Nonce([u8; NONCE_BYTES]);

impl Nonce {
    /// A nonce of these bytes. They have to come from a cryptographic random
    /// source, and to be used once.
    #[must_use]
    pub fn new(bytes: [u8; NONCE_BYTES]) -> Self {
        Self(bytes)
    }

    /// A nonce of the operating system's random bytes; none where it has none.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut bytes = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl Nonce {
    pub(super) fn into_bytes(self) -> [u8; NONCE_BYTES] {
        self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// A subject whose chain is verified, and a nonce for whoever claims to be it.
#[derive(Debug)]
#[must_use = "nothing is proven before the challenge is answered"]
pub struct Challenge {
    pub(super) subject: Certificate,
    /// `subjectPublicKey` of the leaf.
    pub(super) key: Vec<u8>,
    /// SHA-256 of the leaf says which statement it is.
    pub(super) statement: Statement,
    /// Which SVID the leaf has to be, where it has to be one.
    pub(super) svid: Option<SvidRule>,
    /// Which node it has to be of, where it has to be one's.
    pub(super) node: Option<NodeClaim>,
    pub(super) nonce: Nonce,
}

/// What is sent: one arm, and `null` for the other.
#[derive(Serialize)]
struct Message {
    rsa_signature: Option<Arm>,
    ecdsa_signature: Option<Arm>,
}

#[derive(Serialize)]
struct Arm {
    nonce: String,
}

impl Challenge {
    /// What is sent to the peer, as SPIRE's own server side sends it.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let arm = Some(Arm {
            nonce: STANDARD.encode(self.nonce.0),
        });
        let message = match self.subject.key {
            KeyKind::Rsa => Message {
                rsa_signature: arm,
                ecdsa_signature: None,
            },
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => Message {
                rsa_signature: None,
                ecdsa_signature: arm,
            },
        };
        // Strings always have a JSON form.
        serde_json::to_vec(&message).unwrap_or_default()
    }

    /// The cluster whose API server is asked once it is answered; an empty name
    /// where it has none.
    #[must_use]
    pub fn waits_for(&self) -> Option<&str> {
        let asks = self.node.as_ref().is_some_and(NodeClaim::asks);
        asks.then(|| self.subject.cluster.as_deref().unwrap_or_default())
    }

    /// Takes the peer's answer. Whoever else vouches for the certificate is
    /// asked only now, and waited for as long as `patience` lasts.
    ///
    /// # Errors
    /// [`EvidenceError`] when it does not prove that the peer has the key, or
    /// the certificate is not what it has to be.
    pub fn answered(
        mut self,
        response: &[u8],
        patience: &Patience,
    ) -> Result<VerifiedEvidence, EvidenceError> {
        let kind = self.subject.key;
        let response = Response::parse(response, kind)?;
        possession::verify(kind, &self.key, &self.nonce.0, &response)?;
        if let Some(rule) = self.svid {
            rule.admit(&self.subject)?;
        }
        if let Some(node) = self.node {
            node.prove(&mut self.subject, patience)?;
        }
        Ok(VerifiedEvidence::new(
            None,
            Subject::Certificate(self.subject),
            self.statement,
        ))
    }
}
