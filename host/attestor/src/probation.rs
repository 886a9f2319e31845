//! The time after a swap in which a naming can be taken back.
//!
//! What counts is a *fault* of the naming: a trap, a limit, an answer that the
//! envelope does not allow, two subjects of one ID. A denial is an answer, and
//! what a peer does wrong is no naming's fault.
//!
//! Each subject is counted once: a machine that fails again and again is one
//! fault, and one subject alone takes nothing back. The subjects are remembered
//! in bounded memory.

use crate::config::{Counted, RollbackConfig};
use crate::error::AttestError;
use crate::namings::Namings;
use crate::subject_key::{SubjectKey, SubjectKeys};
use nameplate_policy::Facts;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Most subjects that are counted, some 50 bytes each; `after` where that is
/// more. Further subjects change nothing: a rate over so many is settled.
const MAX_SUBJECTS: u64 = 100_000;

/// Fewest subjects that take a naming back: one must not decide for all others.
const FEWEST_FAULTS: u64 = 2;

/// A naming that has not served for long, and the one before it.
#[derive(Debug)]
pub(crate) struct Probation {
    before: Namings,
    bounds: RollbackConfig,
    /// What keeps subjects apart.
    keys: SubjectKeys,
    /// In seconds since 1970.
    ends: u64,
    tally: Mutex<Tally>,
    decided: AtomicBool,
}

/// How often a naming failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FaultRate {
    /// Subjects that it failed, or attestations.
    pub faults: u64,
    /// Subjects that it was asked about, or attestations.
    pub asked: u64,
}

/// What was counted.
#[derive(Debug, Default)]
struct Tally {
    rate: FaultRate,
    /// Whether it failed the subject.
    subjects: HashMap<SubjectKey, bool>,
}

impl Tally {
    fn attestation(&mut self, fault: bool) {
        self.rate.asked = self.rate.asked.saturating_add(1);
        self.rate.faults = self.rate.faults.saturating_add(u64::from(fault));
    }

    /// A subject that met a fault stays counted as one, whatever else it meets.
    fn subject(&mut self, subject: SubjectKey, fault: bool, most: u64) {
        let is_full = self.rate.asked >= most;
        match self.subjects.get_mut(&subject) {
            Some(failed) => {
                let is_first = fault && !*failed;
                *failed |= fault;
                self.rate.faults = self.rate.faults.saturating_add(u64::from(is_first));
            }
            None if is_full => {}
            None => {
                self.subjects.insert(subject, fault);
                self.attestation(fault);
            }
        }
    }
}

impl Probation {
    /// A probation that begins at `now` (seconds since 1970).
    pub(crate) fn new(
        before: Namings,
        bounds: RollbackConfig,
        keys: SubjectKeys,
        now: u64,
    ) -> Self {
        let ends = now.saturating_add(bounds.within.as_secs());
        Self::until(ends, before, bounds, keys)
    }

    /// A probation that ends at `ends` (seconds since 1970), and counts anew.
    pub(crate) fn until(
        ends: u64,
        before: Namings,
        bounds: RollbackConfig,
        keys: SubjectKeys,
    ) -> Self {
        Self {
            before,
            bounds,
            keys,
            ends,
            tally: Mutex::default(),
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

    /// What is counted.
    pub(crate) fn counted(&self) -> Counted {
        self.bounds.count
    }

    /// What was counted.
    pub(crate) fn rate(&self) -> FaultRate {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.rate
    }

    /// Counts what came of an attestation of the subject of `facts` at `now`.
    /// Returns the rate once, to the caller that crosses the threshold.
    pub(crate) fn count(
        &self,
        facts: &Facts,
        error: Option<&AttestError>,
        now: u64,
    ) -> Option<FaultRate> {
        if !self.is_open(now) {
            return None;
        }
        let fault = match error {
            None | Some(AttestError::Denied { .. }) => false,
            Some(
                AttestError::PolicyFailed { .. }
                | AttestError::NotAdmitted { .. }
                | AttestError::IdentityCollision(_),
            ) => true,
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
        let (rate, fewest) = match self.bounds.count {
            Counted::Subjects => {
                // Before anybody waits for it.
                let subject = self.keys.key(facts);
                let most = self.bounds.after.max(MAX_SUBJECTS);
                let count = |tally: &mut Tally| tally.subject(subject, fault, most);
                (self.tallied(count), FEWEST_FAULTS)
            }
            Counted::Attestations => (self.tallied(|tally| tally.attestation(fault)), 1),
        };
        let over = rate.asked >= self.bounds.after
            && rate.faults >= fewest
            && rate.share() > self.bounds.faults;
        (over && !self.decided.swap(true, Ordering::Relaxed)).then_some(rate)
    }

    fn tallied(&self, count: impl FnOnce(&mut Tally)) -> FaultRate {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut tally);
        tally.rate
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

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(number: u64) -> SubjectKey {
        SubjectKey::from(u128::from(number).to_be_bytes())
    }

    #[test]
    fn a_subject_is_counted_once_however_often_it_comes() {
        let mut tally = Tally::default();
        for fault in [false, true, true, false, true] {
            tally.subject(subject(1), fault, 10);
        }
        let rate = |faults, asked| FaultRate { faults, asked };
        assert_eq!(tally.rate, rate(1, 1));
        // Its twins: another one, and attestations.
        tally.subject(subject(2), true, 10);
        assert_eq!(tally.rate, rate(2, 2));
        let mut tally = Tally::default();
        for fault in [false, true, true, false, true] {
            tally.attestation(fault);
        }
        assert_eq!(tally.rate, rate(3, 5));
    }

    #[test]
    fn no_more_subjects_are_remembered_than_there_is_room_for() {
        let mut tally = Tally::default();
        for number in 0..5 {
            tally.subject(subject(number), false, 3);
        }
        assert_eq!((tally.rate.asked, tally.subjects.len()), (3, 3));
        // Who is known counts on; who is not does not.
        tally.subject(subject(0), true, 3);
        tally.subject(subject(4), true, 3);
        assert_eq!((tally.rate.faults, tally.subjects.len()), (1, 3));
    }
}
