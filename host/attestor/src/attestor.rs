//! The main path: evidence in, identity out.

mod facts;

use crate::attempt::Attempt;
use crate::collisions::HolderNotice;
use crate::config::{Counted, MAX_LEEWAY};
use crate::error::AttestError;
use crate::first_use::{TakenToken, UsedTokens};
use crate::generation::Generation;
use crate::identity::AgentIdentity;
use crate::naming::PolicyLabel;
use crate::namings::Namings;
use crate::probation::{FaultRate, Probation};
use crate::record::Trail;
use crate::shadow::Shadow;
use crate::step::{Challenged, Presented, Step};
use arc_swap::ArcSwap;
use nameplate_decisions::Status as DecisionLogStatus;
use nameplate_evidence::certificates::{CertificateError, Nonce};
use nameplate_evidence::{
    ApiStatus, KeysStatus, Method, Proven, RawEvidence, Subject, VerifiedEvidence, Verifier,
};
use nameplate_policy::Facts;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// An evidence method under a name, ready to attest.
///
/// Share one between threads; attesting takes no lock, but to count while a
/// naming is on probation. Its [`Generation`] can be replaced while it attests.
#[derive(Debug)]
pub struct Attestor {
    current: ArcSwap<Numbered>,
    /// Outlives generations: a swap must not make a used token new.
    used: Arc<UsedTokens>,
    swapping: Mutex<()>,
    rolled_back: OnceLock<OnRollback>,
}

/// A generation, and which it is.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) generation: Generation,
    probation: Option<Arc<Probation>>,
}

/// Whom an attestor tells of a rollback.
struct OnRollback(Box<dyn Fn(RolledBack) + Send + Sync>);

impl fmt::Debug for OnRollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRollback")
    }
}

/// A naming that was taken back.
#[derive(Debug)]
pub(crate) struct RolledBack {
    /// Number of the generation that serves now.
    pub(crate) number: u64,
    /// Its namings.
    pub(crate) namings: Namings,
    /// Those that were taken back.
    pub(crate) from: Namings,
    /// How often they failed.
    pub(crate) rate: FaultRate,
    /// What that counts.
    pub(crate) counted: Counted,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
}

impl Numbered {
    /// The probation that its naming is on.
    pub(crate) fn probation(&self) -> Option<&Arc<Probation>> {
        self.probation.as_ref()
    }
}

impl Generation {
    /// Claims the identity for the subject of `facts`, where claims are kept.
    fn claim(
        &self,
        identity: &AgentIdentity,
        facts: &Facts,
    ) -> Result<Option<HolderNotice>, AttestError> {
        match &self.collisions {
            Some(collisions) => collisions.claim(identity, facts),
            None => Ok(None),
        }
    }

    /// What is tried beside the policy that names the subject of `facts`:
    /// only the attestor's own has a shadow.
    fn shadow_of(&self, facts: &Facts) -> Option<&Shadow> {
        let own = Arc::ptr_eq(self.naming(facts.cluster()), self.naming(None));
        self.shadow.as_deref().filter(|_| own)
    }

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
    /// Something about the holder of the ID, for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<HolderNotice>,
}

impl Attestor {
    /// An attestor that begins with `generation`.
    pub fn new(generation: Generation) -> Self {
        Self::beginning_at(1, generation, None)
    }

    /// An attestor whose first generation has a number, and may be on probation.
    pub(crate) fn beginning_at(
        number: u64,
        generation: Generation,
        probation: Option<Arc<Probation>>,
    ) -> Self {
        Self {
            current: ArcSwap::from_pointee(Numbered {
                number,
                generation,
                probation,
            }),
            used: Arc::default(),
            swapping: Mutex::new(()),
            rolled_back: OnceLock::new(),
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
        self.watch(&trail, &decided, attempt);
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
        let Numbered {
            number, generation, ..
        } = &*current;
        let namespace = &generation.namespace;

        if generation.one_time_tokens {
            trail.token = Some(self.take(&verified, attempt)?);
        }
        let facts: &Facts = trail.facts.insert(generation.facts(verified, attempt));
        let naming = generation.naming(facts.cluster());
        let verdict = naming.policy.derive(facts);
        trail.verdict = generation.is_recorded().then(|| verdict.clone());
        let (derivation, fuel) = naming.derived(verdict)?;
        let identity = naming.admit(namespace, facts, derivation)?;

        let can_reattest = generation.method.can_reattest();
        if !can_reattest {
            first_use(&identity, attempt)?;
        }
        let notice = generation.claim(&identity, facts)?;

        Ok(Step::Attested(Attestation {
            identity,
            policy: Arc::clone(&naming.label),
            fuel,
            generation: *number,
            can_reattest,
            notice,
        }))
    }

    /// Lets those see a decision who watch the policy that made it.
    fn watch(&self, trail: &Trail, decided: &Result<Step, AttestError>, attempt: &Attempt) {
        let current = &trail.current;
        let (Some(facts), false) = (&trail.facts, matches!(decided, Ok(Step::Challenged(_))))
        else {
            return;
        };
        if let Some(shadow) = current.generation.shadow_of(facts) {
            shadow.offer(facts, decided);
        }
        let (error, now) = (decided.as_ref().err(), attempt.seconds());
        let on_probation = current.probation.as_ref();
        if let Some((probation, rate)) = on_probation
            .and_then(|probation| Some((probation, probation.count(facts, error, now)?)))
        {
            self.roll_back(current, probation, rate, now);
        }
    }

    /// Takes back the naming of `from`, unless another serves by now. Whom the
    /// current generation trusts stays.
    fn roll_back(&self, from: &Numbered, probation: &Probation, rate: FaultRate, now: u64) {
        let taken_back = from.generation.namings.digest();
        let (number, generation) = {
            let _one_at_a_time = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
            let current = self.current.load_full();
            if current.generation.namings.digest() != taken_back {
                return;
            }
            let generation = current.generation.named_by(probation.before().clone());
            let number = current.number.saturating_add(1);
            self.current.store(Arc::new(Numbered {
                number,
                generation: generation.clone(),
                probation: None,
            }));
            (number, generation)
        };
        if let Some(OnRollback(tell)) = self.rolled_back.get() {
            tell(RolledBack {
                number,
                namings: generation.namings,
                from: from.generation.namings.clone(),
                rate,
                counted: probation.counted(),
                at: now,
            });
        }
    }

    /// Calls `tell` after each rollback, on the thread that attested.
    pub(crate) fn on_rollback(&self, tell: impl Fn(RolledBack) + Send + Sync + 'static) {
        // Once: an attestor belongs to one succession.
        self.rolled_back.set(OnRollback(Box::new(tell))).ok();
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
        self.swap_with(|_| (generation, None))
    }

    /// The same, with a generation that is made of the one that serves.
    pub(crate) fn swap_with(
        &self,
        next: impl FnOnce(&Numbered) -> (Generation, Option<Arc<Probation>>),
    ) -> u64 {
        // Two swaps at once must not get one number. Nobody who attests waits here.
        let _one_at_a_time = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load_full();
        let (generation, probation) = next(&current);
        let number = current.number.saturating_add(1);
        self.current.store(Arc::new(Numbered {
            number,
            generation,
            probation,
        }));
        number
    }

    /// What serves now.
    pub(crate) fn current(&self) -> Arc<Numbered> {
        self.current.load_full()
    }

    /// The evidence method of the current generation.
    pub fn method(&self) -> Method {
        self.current.load().generation.method
    }

    /// Number of the current generation, from 1.
    pub fn generation(&self) -> u64 {
        self.current.load().number
    }

    /// The configured cluster that others, its API server or whoever publishes
    /// its keys, may be asked about while `evidence` is verified. None where
    /// nobody is: what is left is computing. Asks nobody, and proves nothing.
    pub fn waits_for(&self, evidence: &RawEvidence) -> Option<String> {
        let current = self.current.load();
        let cluster = current.generation.verifier.waits_for(evidence);
        cluster.map(str::to_owned)
    }

    /// The clusters that others are asked about.
    pub(crate) fn waiting_clusters(&self) -> BTreeSet<String> {
        let current = self.current.load();
        let clusters = current.generation.verifier.waiting_clusters();
        clusters.into_iter().map(str::to_owned).collect()
    }

    /// What of `all` places, for those who wait for others, one cluster may
    /// have: 1 at least.
    pub(crate) fn share_of(&self, all: usize) -> usize {
        let current = self.current.load();
        let generation = &current.generation;
        let share = generation.cluster_share;
        share_of(all, share, generation.verifier.waiting_clusters().len())
    }

    /// The API servers that are asked, by the cluster's name, and how that goes.
    pub fn api_servers(&self) -> BTreeMap<String, ApiStatus> {
        self.current.load().generation.verifier.asked_servers()
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

/// What of `all` places one of so many `clusters` may have: of several the same
/// for each, unless the operator says a share.
fn share_of(all: usize, share: Option<f64>, clusters: usize) -> usize {
    let part = match share {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a small number, from 0 to 1"
        )]
        Some(share) => (all as f64 * share) as usize,
        None => all / clusters.max(1),
    };
    part.clamp(all.min(1), all)
}

#[cfg(test)]
mod tests {
    use super::share_of;

    #[test]
    fn shares_are_equal_and_at_least_one_place_unless_a_share_is_set() {
        for (clusters, part) in [(0, 64), (1, 64), (2, 32), (3, 21), (64, 1), (256, 1)] {
            assert_eq!(share_of(64, None, clusters), part, "{clusters}");
        }
        for (share, part) in [(0.0, 1), (0.01, 1), (0.25, 16), (1.0, 64)] {
            assert_eq!(share_of(64, Some(share), 3), part, "{share}");
        }
        assert_eq!(share_of(0, Some(1.0), 1), 0);
        assert_eq!(share_of(0, None, 1), 0);
    }
}
