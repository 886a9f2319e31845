//! The facts that good evidence gives: what a policy would see.

use super::{Evidence, Ground, Target, seconds};
use crate::error::TortureError;
use nameplate_attestor::{Attempt, chain};
use nameplate_evidence::certificates::{BundleSource, Nonce, Surroundings};
use nameplate_evidence::{EvidenceError, Proven, RawEvidence};
use nameplate_policy::{Circumstances, Facts};

/// What `evidence`, which has to be accepted, proves to `target`.
pub(super) fn of(
    target: &Target,
    evidence: &Evidence,
    attempt: &Attempt,
) -> Result<Facts, TortureError> {
    let twin = |why: String| TortureError::Twin {
        target: target.subject.name.clone(),
        why,
    };
    let refused = |error: EvidenceError| twin(chain(&error));
    let bundle = match &target.ground {
        Ground::Chains(ground) => Some(&*ground.bundle as &dyn BundleSource),
        Ground::Tokens(_) => None,
    };
    let surroundings = Surroundings {
        patience: attempt.patience(),
        client_address: evidence.address.as_deref(),
        bundle,
    };
    let raw = RawEvidence::new(target.subject.method, evidence.payload.clone()).map_err(refused)?;
    let proven = target.verifier().verify(&raw, attempt.now(), &surroundings);
    let verified = match proven.map_err(refused)? {
        Proven::Evidence(verified) => verified,
        Proven::Chain(chain) => {
            let nonce = Nonce::random().ok_or(TortureError::Key("nonce"))?;
            let challenge = chain.challenge(nonce);
            let answer = evidence.answer.to(&challenge.message());
            let answer = answer.ok_or_else(|| twin("it has no answer".to_owned()))?;
            let answered = challenge.answered(&answer, attempt.patience());
            answered.map_err(refused)?
        }
    };
    let circumstances = Circumstances {
        trust_domain: target.subject.namespace.trust_domain.to_string(),
        attestor: target.subject.namespace.attestor.to_string(),
        attested_at: seconds(attempt.now()),
        attestation_id: attempt.id().to_string(),
    };
    Ok(Facts::new(circumstances, verified))
}
