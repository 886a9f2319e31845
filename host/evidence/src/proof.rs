//! Verifying whatever an attestor's evidence is.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::api::ApiStatus;
use crate::certificates::{CertificateVerifier, ExaminedChain, Surroundings};
use crate::error::EvidenceError;
use crate::raw::RawEvidence;
use crate::verified::VerifiedEvidence;
use crate::verifier::TokenVerifier;

/// What an attestor verifies evidence with.
#[derive(Debug, Clone)]
pub enum Verifier {
    /// For `k8s_sat` and `k8s_psat`.
    Tokens(TokenVerifier),
    /// For `x509pop` and `k8s`.
    Certificates(CertificateVerifier),
}

/// How far a peer's first message leads.
#[derive(Debug)]
#[must_use = "a chain alone proves nothing"]
pub enum Proven {
    /// All the way: what it says is proven.
    Evidence(VerifiedEvidence),
    /// To a certificate whose key the peer has yet to show.
    Chain(ExaminedChain),
}

impl Verifier {
    /// Verifies `evidence` as of `now`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        &self,
        evidence: &RawEvidence,
        now: SystemTime,
        surroundings: &Surroundings<'_>,
    ) -> Result<Proven, EvidenceError> {
        match self {
            Self::Tokens(tokens) => tokens
                .verify_within(evidence, now, surroundings.patience)
                .map(Proven::Evidence),
            Self::Certificates(certificates) => {
                let now = now
                    .duration_since(UNIX_EPOCH)
                    .map_err(|_before| EvidenceError::ClockBeforeEpoch)?;
                certificates
                    .examine(evidence.payload(), now.as_secs(), surroundings)
                    .map(Proven::Chain)
            }
        }
    }
}

impl Verifier {
    /// The clusters that others are asked about, sorted. One that has no name
    /// is called by an empty one.
    #[must_use]
    pub fn waiting_clusters(&self) -> Vec<&str> {
        match self {
            Self::Tokens(tokens) => tokens.waiting_clusters(),
            Self::Certificates(certificates) => {
                certificates.waiting_cluster().into_iter().collect()
            }
        }
    }

    /// The one of these clusters about which others may be asked while
    /// `evidence` is verified. Asks nobody, and proves nothing.
    #[must_use]
    pub fn waits_for(&self, evidence: &RawEvidence) -> Option<&str> {
        match self {
            Self::Tokens(tokens) => tokens.waits_for(evidence),
            // Nobody is asked before a key is shown.
            Self::Certificates(_) => None,
        }
    }

    /// The API servers that are asked, by the cluster's name, and how that goes.
    #[must_use]
    pub fn asked_servers(&self) -> BTreeMap<String, ApiStatus> {
        match self {
            Self::Tokens(tokens) => tokens.asked_servers(),
            Self::Certificates(certificates) => certificates.asked_servers(),
        }
    }
}

impl From<TokenVerifier> for Verifier {
    fn from(tokens: TokenVerifier) -> Self {
        Self::Tokens(tokens)
    }
}

impl From<CertificateVerifier> for Verifier {
    fn from(certificates: CertificateVerifier) -> Self {
        Self::Certificates(certificates)
    }
}
