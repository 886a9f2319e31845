//! The time after a swap in which a naming can be taken back.
//!
//! What counts is a *fault* of the naming: a trap, a limit, an answer that the
//! envelope does not allow, two subjects of one ID. A denial is an answer, and
//! what a peer does wrong is no naming's fault.

use crate::config::RollbackConfig;
use crate::error::AttestError;
use crate::namings::Namings;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A naming that has not served for long, and the one before it.
#[derive(Debug)]
pub(crate) struct Probation {
    before: Namings,
    bounds: RollbackConfig,
    /// In seconds since 1970.
    ends: u64,
    asked: AtomicU64,
    faults: AtomicU64,
    decided: AtomicBool,
}

/// How often a naming failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FaultRate {
    /// Attestations that it failed.
    pub faults: u64,
    /// Attestations that it was asked in.
    pub asked: u64,
}

impl Probation {
    /// A probation that begins at `now` (seconds since 1970).
    pub(crate) fn new(before: Namings, bounds: RollbackConfig, now: u64) -> Self {
        let ends = now.saturating_add(bounds.within.as_secs());
        Self::until(ends, before, bounds)
    }

    /// A probation that ends at `ends` (seconds since 1970), and counts anew.
    pub(crate) fn until(ends: u64, before: Namings, bounds: RollbackConfig) -> Self {
        Self {
            before,
            bounds,
            ends,
            asked: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            decided: AtomicBool::new(false),
        }
    }

    /// Whether the naming can still be taken back at `now`.
    pub(crate) fn is_open(&self, now: u64) -> bool {
        now <= self.ends && !self.decided.load(Ordering::Relaxed)
    }

    /// What served before.
    pub(crate) fn before(&self) -> &Namings {
        &self.before
    }

    /// When it ends, in seconds since 1970.
    pub(crate) fn ends(&self) -> u64 {
        self.ends
    }

    /// What was counted.
    pub(crate) fn rate(&self) -> FaultRate {
        FaultRate {
            faults: self.faults.load(Ordering::Relaxed),
            asked: self.asked.load(Ordering::Relaxed),
        }
    }

    /// Counts what came of an attestation at `now`. The rate at which the
    /// naming is to be taken back: to exactly one of those who count.
    pub(crate) fn count(&self, error: Option<&AttestError>, now: u64) -> Option<FaultRate> {
        if !self.is_open(now) {
            return None;
        }
        let fault = match error {
            None | Some(AttestError::Denied { .. }) => 0,
            Some(
                AttestError::PolicyFailed { .. }
                | AttestError::NotAdmitted { .. }
                | AttestError::IdentityCollision(_),
            ) => 1,
            // The naming was not asked, or had answered.
            Some(
                AttestError::Rejected(_)
                | AttestError::NoRandomness
                | AttestError::TokenNotFresh(_)
                | AttestError::AlreadyAttested
                | AttestError::AgentsUnknown(_)
                | AttestError::HoldersUnknown(_)
                | AttestError::Unrecorded(_),
            ) => return None,
        };
        let faults = self.faults.fetch_add(fault, Ordering::Relaxed) + fault;
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let rate = FaultRate { faults, asked };
        let over = asked >= self.bounds.after && rate.share() > self.bounds.faults;
        (over && !self.decided.swap(true, Ordering::Relaxed)).then_some(rate)
    }
}

impl FaultRate {
    /// Its share, from 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share to a millionth, of numbers far below 2^52"
    )]
    pub fn share(self) -> f64 {
        if self.asked == 0 {
            0.0
        } else {
            self.faults as f64 / self.asked as f64
        }
    }
}
