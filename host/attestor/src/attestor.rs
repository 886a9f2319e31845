//! The main path: evidence in, identity out.

mod facts;

use crate::attempt::Attempt;
use crate::config::MAX_LEEWAY;
use crate::error::AttestError;
use crate::first_use::{TakenToken, UsedTokens};
use crate::generation::Generation;
use crate::identity::AgentIdentity;
use crate::naming::PolicyLabel;
use crate::record::Trail;
use crate::step::{Challenged, Presented, Step};
use arc_swap::ArcSwap;
use nameplate_decisions::Status as DecisionLogStatus;
use nameplate_evidence::certificates::{CertificateError, Nonce};
use nameplate_evidence::{
    KeysStatus, Method, Proven, RawEvidence, Subject, VerifiedEvidence, Verifier,
};
use nameplate_policy::Facts;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// An evidence method under a name, ready to attest.
///
/// Share one between threads; attesting takes no lock. Its
/// [`Generation`] can be replaced while it attests.
#[derive(Debug)]
pub struct Attestor {
    current: ArcSwap<Numbered>,
    /// Outlives generations: a swap must not make a used token new.
    used: Arc<UsedTokens>,
    swapping: Mutex<()>,
}

/// A generation, and which it is.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) generation: Generation,
}

impl Generation {
    /// Takes evidence of the attestor's method, and proves what it says.
    fn prove(&self, evidence: &RawEvidence, attempt: &Attempt) -> Result<Proven, AttestError> {
        self.method
            .accept(evidence)
            .and_then(|()| {
                self.verifier
                    .verify(evidence, attempt.now(), &attempt.surroundings())
            })
            .map_err(AttestError::Rejected)
    }
}

/// Refuses an agent that is there already.
fn first_use(identity: &AgentIdentity, attempt: &Attempt) -> Result<(), AttestError> {
    let Some(agents) = attempt.agents() else {
        return Ok(());
    };
    match agents.knows(identity.spiffe_id(), attempt.patience()) {
        Ok(false) => Ok(()),
        Ok(true) => Err(AttestError::AlreadyAttested),
        Err(error) => Err(AttestError::AgentsUnknown(error)),
    }
}

/// An identity that was given, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Attestation {
    /// The identity.
    #[serde(flatten)]
    pub identity: AgentIdentity,
    /// The policy that named it.
    pub policy: Arc<PolicyLabel>,
    /// WebAssembly fuel that the policy used.
    pub fuel: u64,
    /// Number of the generation that decided, from 1.
    pub generation: u64,
    /// Whether the same evidence may attest the agent again.
    pub can_reattest: bool,
}

impl Attestor {
    /// An attestor that begins with `generation`.
    pub fn new(generation: Generation) -> Self {
        Self {
            current: ArcSwap::from_pointee(Numbered {
                number: 1,
                generation,
            }),
            used: Arc::default(),
            swapping: Mutex::new(()),
        }
    }

    /// Decides which identity the peer that sent `evidence` has, where it is
    /// asked nothing more.
    ///
    /// # Errors
    /// As [`Attestor::step`]; and rejected where the method challenges the peer.
    pub fn attest(
        &self,
        evidence: &RawEvidence,
        attempt: &Attempt,
    ) -> Result<Attestation, AttestError> {
        match self.step(Presented::Evidence(evidence), attempt)? {
            Step::Attested(attestation) => Ok(attestation),
            Step::Challenged(Challenged { current, .. }) => {
                let unanswered = Err(AttestError::Rejected(CertificateError::Unanswered.into()));
                Trail::on(current).record(attempt, unanswered)
            }
        }
    }

    /// Decides which identity a peer has by what it says, or what it has to
    /// answer first. A method without challenges is never at one.
    ///
    /// # Errors
    /// [`AttestError`]: rejected, denied or at fault. There is no identity then.
    pub fn step(&self, presented: Presented<'_>, attempt: &Attempt) -> Result<Step, AttestError> {
        let mut trail = Trail::on(match &presented {
            Presented::Evidence(_) => self.current.load_full(),
            Presented::Answer(challenged, _) => Arc::clone(&challenged.current),
        });
        let decided = self.decide(presented, attempt, &mut trail);
        // Nothing is answered before it is recorded, where it is to be.
        trail.record(attempt, decided)
    }

    /// The decision. What it comes by on its way goes into `trail`.
    fn decide(
        &self,
        presented: Presented<'_>,
        attempt: &Attempt,
        trail: &mut Trail,
    ) -> Result<Step, AttestError> {
        let (current, verified) = match presented {
            Presented::Evidence(evidence) => {
                let current = Arc::clone(&trail.current);
                match current.generation.prove(evidence, attempt)? {
                    Proven::Evidence(verified) => (current, verified),
                    Proven::Chain(chain) => {
                        let challenge =
                            chain.challenge(Nonce::random().ok_or(AttestError::NoRandomness)?);
                        let challenge = Box::new(challenge);
                        return Ok(Step::Challenged(Challenged { current, challenge }));
                    }
                }
            }
            Presented::Answer(Challenged { current, challenge }, response) => {
                let verified = challenge.answered(response, attempt.patience());
                (current, verified.map_err(AttestError::Rejected)?)
            }
        };
        let Numbered { number, generation } = &*current;
        let namespace = &generation.namespace;

        if generation.one_time_tokens {
            trail.token = Some(self.take(&verified, attempt)?);
        }
        let facts: &Facts = trail.facts.insert(generation.facts(verified, attempt));
        let naming = generation.naming(facts.cluster());
        let policy = &naming.label;
        let verdict = naming.policy.derive(facts);
        trail.verdict = generation.is_recorded().then(|| verdict.clone());
        let verdict = verdict.map_err(|fault| AttestError::PolicyFailed {
            policy: Arc::clone(policy),
            fault,
        })?;
        let derivation = verdict.answer.map_err(|denial| AttestError::Denied {
            policy: Arc::clone(policy),
            denial,
        })?;
        let identity = naming
            .envelope
            .admit(namespace, facts, derivation)
            .map_err(|error| AttestError::NotAdmitted {
                policy: Arc::clone(policy),
                error,
            })?;

        let can_reattest = generation.method.can_reattest();
        if !can_reattest {
            first_use(&identity, attempt)?;
        }

        Ok(Step::Attested(Attestation {
            identity,
            policy: Arc::clone(policy),
            fuel: verdict.fuel,
            generation: *number,
            can_reattest,
        }))
    }

    /// Takes the token of `verified` for this attestation and no other.
    fn take(
        &self,
        verified: &VerifiedEvidence,
        attempt: &Attempt,
    ) -> Result<TakenToken, AttestError> {
        let ends = match verified.subject() {
            Subject::ServiceAccount(account) => account.expires_at,
            Subject::Certificate(certificate) => Some(certificate.not_after),
        };
        // The longest leeway there is: the time check must be what ends it.
        let ends = ends.map(|ends| ends.saturating_add(MAX_LEEWAY.as_secs()));
        self.used
            .take(verified.statement(), ends, attempt.seconds())
            .map_err(AttestError::TokenNotFresh)
    }

    /// Puts `generation` in place of the current one, and gives its number.
    ///
    /// Attestations under way end on the generation they began with.
    pub fn swap(&self, generation: Generation) -> u64 {
        // Two swaps at once must not get one number. Nobody who attests waits here.
        let _one_at_a_time = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.generation().saturating_add(1);
        self.current
            .store(Arc::new(Numbered { number, generation }));
        number
    }

    /// The evidence method of the current generation.
    pub fn method(&self) -> Method {
        self.current.load().generation.method
    }

    /// Number of the current generation, from 1.
    pub fn generation(&self) -> u64 {
        self.current.load().number
    }

    /// The clusters whose keys are followed, by name, and how that goes.
    pub fn followed_keys(&self) -> BTreeMap<String, KeysStatus> {
        match &self.current.load().generation.verifier {
            Verifier::Tokens(tokens) => tokens.followed_keys(),
            Verifier::Certificates(_) => BTreeMap::new(),
        }
    }

    /// How the log of its decisions goes, if they are recorded.
    pub fn decision_log(&self) -> Option<DecisionLogStatus> {
        let current = self.current.load();
        Some(current.generation.decision_log()?.status())
    }

    /// The policy that names the subjects of `cluster` now.
    pub fn policy(&self, cluster: Option<&str>) -> Arc<PolicyLabel> {
        let current = self.current.load();
        Arc::clone(&current.generation.naming(cluster).label)
    }
}
