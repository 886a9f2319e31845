//! Attestations that keep coming while policies are swapped under them, and a
//! judge of every answer.

use nameplate_attestor::{Attempt, AttestError, Attestation, Attestor};
use nameplate_evidence::RawEvidence;
use nameplate_policy::Digest;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;
use uuid::Uuid;

/// What the answers of one generation look like.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// Its policy.
    pub(super) digest: Digest,
    /// Its IDs.
    pub(super) id: ExpectedId,
}

/// What an ID looks like.
#[derive(Clone, Debug)]
pub(super) enum ExpectedId {
    /// This, and a UUID of its own.
    UuidBelow(String),
    /// This.
    Exactly(String),
}

impl ExpectedId {
    fn fits(&self, id: &str) -> bool {
        match self {
            Self::UuidBelow(parent) => id
                .strip_prefix(parent)
                .is_some_and(|uuid| Uuid::try_parse(uuid).is_ok()),
            Self::Exactly(exact) => id == exact,
        }
    }
}

/// Attests until it is told to stop, and judges each answer.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// What each generation answers, the first at index 0. Written before the
    /// generation serves.
    expected: RwLock<Vec<Expected>>,
    stop: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
    mixed: AtomicU64,
    newest: AtomicU64,
}

/// What came of the attestations so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Tally {
    /// Those that gave an identity.
    pub(super) answered: u64,
    /// Those that did not.
    pub(super) failed: u64,
    /// Those whose identity, policy and generation do not belong together.
    pub(super) mixed: u64,
}

impl Load {
    /// States what the next generation answers.
    pub(super) fn expect(&self, expected: Expected) {
        self.expected
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(expected);
    }

    /// Attests with `evidence` until [`Load::stop`].
    pub(super) fn run(&self, attestor: &Attestor, evidence: &RawEvidence) {
        while !self.stop.load(Ordering::Relaxed) {
            self.judge(attestor.attest(evidence, &Attempt::at(SystemTime::now())));
        }
    }

    fn judge(&self, answer: Result<Attestation, AttestError>) {
        let Ok(attestation) = answer else {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let expected = self.expected.read().unwrap_or_else(PoisonError::into_inner);
        let fits = usize::try_from(attestation.generation)
            .ok()
            .and_then(|generation| expected.get(generation.checked_sub(1)?))
            .is_some_and(|expected| {
                expected.digest == attestation.policy.digest
                    && expected.id.fits(attestation.identity.spiffe_id().as_str())
            });
        if !fits {
            self.mixed.fetch_add(1, Ordering::Relaxed);
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.newest
            .fetch_max(attestation.generation, Ordering::Release);
    }

    /// Returns once generation `number` has answered, or anything has failed.
    pub(super) fn wait_for(&self, number: u64) {
        while self.newest.load(Ordering::Acquire) < number && self.tally().failed == 0 {
            std::thread::yield_now();
        }
    }

    /// Ends [`Load::run`] after the attestation that is under way.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// What came of the attestations so far.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            answered: self.answered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            mixed: self.mixed.load(Ordering::Relaxed),
        }
    }
}

impl Tally {
    /// What came after `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            answered: self.answered.saturating_sub(earlier.answered),
            failed: self.failed.saturating_sub(earlier.failed),
            mixed: self.mixed.saturating_sub(earlier.mixed),
        }
    }
}
