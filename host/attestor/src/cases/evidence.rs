//! Evidence of cases: minted, and put through the verifier that attests.
//!
//! Trusts nobody: the keys are throw-away ones, known to everybody, and what
//! comes out of the verifier here reaches a policy in its sandbox and a
//! report, never an identity that anything is given.

use super::certificate::CertificateTemplate;
use super::clock::Moment;
use super::token::TokenTemplate;
use nameplate_evidence::certificates::{CertificateError, Surroundings};
use nameplate_evidence::{EvidenceError, Patience, Proven, VerifiedEvidence, Verifier};
use nameplate_policy::{Circumstances, Facts};
use serde::{Deserialize, Serialize};

/// Evidence to be minted when a case is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// A service account token of Kubernetes.
    Token(Box<TokenTemplate>),
    /// A certificate, and the proof of its key.
    Certificate(Box<CertificateTemplate>),
}

/// When and where evidence of a case is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Surrounding {
    /// The time.
    pub clock: Moment,
    /// Trust domain of the identity.
    pub trust_domain: String,
    /// Name of the attestor; that of the evidence's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestor: Option<String>,
    /// The identifier that the host draws.
    pub attestation_id: String,
}

/// That of the guest crate's sample facts.
const ATTESTATION: &str = "6f1f4b1c-2f5d-4c5e-9a0b-0c8f3c1d2e3f";

impl Default for Surrounding {
    fn default() -> Self {
        Self {
            clock: Moment::default(),
            trust_domain: "example.org".to_owned(),
            attestor: None,
            attestation_id: ATTESTATION.to_owned(),
        }
    }
}

/// Why no evidence can be made as a case states it.
#[derive(Debug, thiserror::Error)]
#[error("the case's evidence cannot be made: {0}")]
pub(super) struct MintError(String);

impl MintError {
    pub(super) fn new(error: impl std::error::Error) -> Self {
        Self(crate::error::chain(&error))
    }

    pub(super) fn text(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl Evidence {
    /// Mints the evidence, and verifies it as an attestor would.
    pub(super) fn facts(
        &self,
        surrounding: &Surrounding,
    ) -> Result<Result<Facts, EvidenceError>, MintError> {
        let (method, verified) = match self {
            Self::Token(token) => {
                let raw = token.mint(surrounding.clock)?;
                let now = surrounding.clock.system();
                (token.method(), token.verifier()?.verify(&raw, now))
            }
            Self::Certificate(certificate) => {
                (certificate.method(), prove(certificate, surrounding)?)
            }
        };
        let circumstances = Circumstances {
            trust_domain: surrounding.trust_domain.clone(),
            attestor: match &surrounding.attestor {
                Some(name) => name.clone(),
                None => method.to_string(),
            },
            attested_at: surrounding.clock.seconds(),
            attestation_id: surrounding.attestation_id.clone(),
        };
        Ok(verified.map(|verified| Facts::new(circumstances, verified)))
    }
}

/// Plays both sides: the verifier challenges, and the key answers.
fn prove(
    certificate: &CertificateTemplate,
    surrounding: &Surrounding,
) -> Result<Result<VerifiedEvidence, EvidenceError>, MintError> {
    let chain = certificate.mint(surrounding.clock)?;
    let (verifier, bundle) = certificate.verifier(&chain, &surrounding.trust_domain)?;
    let patience = Patience::none();
    let around = Surroundings {
        client_address: certificate.client_address.as_deref(),
        bundle: Some(&bundle),
        ..Surroundings::within(&patience)
    };
    let proven = Verifier::from(verifier).verify(
        &chain.evidence(certificate.method())?,
        surrounding.clock.system(),
        &around,
    );
    match proven {
        Ok(Proven::Chain(examined)) => certificate.prove(&chain, examined),
        // A verifier of certificates always asks; without an answer there is none.
        Ok(Proven::Evidence(_)) => Ok(Err(CertificateError::Unanswered.into())),
        Err(refused) => Ok(Err(refused)),
    }
}
