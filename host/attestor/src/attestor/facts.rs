//! What evidence proves, without asking a policy about it.

use super::Attestor;
use crate::attempt::Attempt;
use crate::error::AttestError;
use crate::generation::Generation;
use crate::step::{Challenged, Presented};
use nameplate_evidence::certificates::CertificateError;
use nameplate_evidence::{Proven, VerifiedEvidence};
use nameplate_policy::{Circumstances, Facts};

impl Attestor {
    /// The facts that a policy would be asked about for what a peer says.
    ///
    /// Checks all that [`Attestor::step`] checks of evidence, but uses up no
    /// token, asks no policy and names nobody: for explanations. Begin with
    /// [`Attestor::step`] where the method challenges the peer.
    ///
    /// # Errors
    /// [`AttestError::Rejected`], as of [`Attestor::attest`].
    pub fn facts(&self, presented: Presented<'_>, attempt: &Attempt) -> Result<Facts, AttestError> {
        let (current, verified) = match presented {
            Presented::Evidence(evidence) => {
                let current = self.current.load_full();
                match current.generation.prove(evidence, attempt)? {
                    Proven::Evidence(verified) => (current, verified),
                    Proven::Chain(_) => {
                        return Err(AttestError::Rejected(CertificateError::Unanswered.into()));
                    }
                }
            }
            Presented::Answer(Challenged { current, challenge }, response) => {
                let verified = challenge.answered(response, attempt.patience());
                (current, verified.map_err(AttestError::Rejected)?)
            }
        };
        Ok(current.generation.facts(verified, attempt))
    }
}

impl Generation {
    /// What was verified, with what the host adds to it.
    pub(super) fn facts(&self, verified: VerifiedEvidence, attempt: &Attempt) -> Facts {
        let circumstances = Circumstances {
            trust_domain: self.namespace.trust_domain.to_string(),
            attestor: self.namespace.attestor.to_string(),
            attested_at: attempt.seconds(),
            attestation_id: attempt.id().to_string(),
        };
        Facts::new(circumstances, verified)
    }
}
