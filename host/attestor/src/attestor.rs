//! The main path: evidence in, identity out.

use crate::attempt::Attempt;
use crate::error::AttestError;
use crate::generation::Generation;
use crate::identity::AgentIdentity;
use crate::naming::PolicyLabel;
use arc_swap::ArcSwap;
use nameplate_evidence::RawEvidence;
use nameplate_policy::{Circumstances, Facts};
use std::sync::{Arc, Mutex, PoisonError};

/// An evidence method under a name, ready to attest.
///
/// Share one between threads; attesting takes no lock. Its
/// [`Generation`] can be replaced while it attests.
#[derive(Debug)]
pub struct Attestor {
    current: ArcSwap<Numbered>,
    swapping: Mutex<()>,
}

#[derive(Debug)]
struct Numbered {
    number: u64,
    generation: Generation,
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
}

impl Attestor {
    /// An attestor that begins with `generation`.
    pub fn new(generation: Generation) -> Self {
        Self {
            current: ArcSwap::from_pointee(Numbered {
                number: 1,
                generation,
            }),
            swapping: Mutex::new(()),
        }
    }

    /// Decides which identity the peer that sent `evidence` has.
    ///
    /// # Errors
    /// [`AttestError`]: rejected, denied or at fault. There is no identity then.
    pub fn attest(
        &self,
        evidence: &RawEvidence,
        attempt: &Attempt,
    ) -> Result<Attestation, AttestError> {
        let current = self.current.load();
        let Numbered { number, generation } = &**current;
        let namespace = &generation.namespace;

        let verified = generation
            .verifier
            .verify(evidence, attempt.now())
            .map_err(AttestError::Rejected)?;
        let circumstances = Circumstances {
            trust_domain: namespace.trust_domain.to_string(),
            attestor: namespace.attestor.to_string(),
            attested_at: attempt.seconds(),
            attestation_id: attempt.id().to_string(),
        };
        let facts = Facts::new(circumstances, verified);
        let naming = generation.naming(facts.cluster());
        let policy = &naming.label;
        let verdict = naming
            .policy
            .derive(&facts)
            .map_err(|fault| AttestError::PolicyFailed {
                policy: Arc::clone(policy),
                fault,
            })?;
        let derivation = verdict.answer.map_err(|denial| AttestError::Denied {
            policy: Arc::clone(policy),
            denial,
        })?;
        let identity = naming
            .envelope
            .admit(namespace, &facts, derivation)
            .map_err(|error| AttestError::NotAdmitted {
                policy: Arc::clone(policy),
                error,
            })?;

        Ok(Attestation {
            identity,
            policy: Arc::clone(policy),
            fuel: verdict.fuel,
            generation: *number,
        })
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

    /// Number of the current generation, from 1.
    pub fn generation(&self) -> u64 {
        self.current.load().number
    }

    /// The policy that names the subjects of `cluster` now.
    pub fn policy(&self, cluster: Option<&str>) -> Arc<PolicyLabel> {
        let current = self.current.load();
        Arc::clone(&current.generation.naming(cluster).label)
    }
}
