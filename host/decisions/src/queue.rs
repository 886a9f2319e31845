//! What waits to be written, between those who attest and the one who writes.
//!
//! An attesting thread moves what it has into a list and goes on. It wakes the
//! writer only where it waits for it, or where the list grows long: otherwise
//! the writer looks often enough by itself.

use crate::line::{Decision, Gap, NamingRecord};
use crate::tally::Unproven;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// An attestation that ended, on its way into the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it began.
    pub time: SystemTime,
    /// How it ended. Its `naming` is filled in when it is written.
    pub decision: Decision,
    /// How its subject was named; none where no policy was asked.
    pub naming: Option<Arc<NamingRecord>>,
    /// What it may be counted by in place of a record of its own, where nothing
    /// was proven; none where something was.
    pub unproven: Option<Unproven>,
}

impl Entry {
    /// The same entry, for which no caller waits.
    pub(crate) fn unawaited(self) -> Waiting {
        Waiting {
            entry: self,
            receipt: None,
        }
    }
}

/// An entry, and who waits for it to be on the disk.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) entry: Entry,
    pub(crate) receipt: Option<Arc<Receipt>>,
}

/// Whether an entry is on the disk.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    state: Mutex<Signed>,
    signed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Signed {
    #[default]
    NotYet,
    Written,
    Failed,
    /// Nobody waits for it any more.
    Abandoned,
}

impl Receipt {
    pub(crate) fn sign(&self, written: bool) {
        *self.state() = if written {
            Signed::Written
        } else {
            Signed::Failed
        };
        self.signed.notify_all();
    }

    /// Waits for the writer, at most `patience`: false where it failed or does
    /// not come.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let (state, _) = self
            .signed
            .wait_timeout_while(self.state(), patience, |state| *state == Signed::NotYet)
            .unwrap_or_else(PoisonError::into_inner);
        *state == Signed::Written
    }

    /// Says that nobody waits any more; whether it was written after all.
    pub(crate) fn abandon(&self) -> bool {
        let mut state = self.state();
        if *state == Signed::NotYet {
            *state = Signed::Abandoned;
        }
        *state == Signed::Written
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        *self.state() == Signed::Abandoned
    }

    fn state(&self) -> MutexGuard<'_, Signed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    list: Mutex<List>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct List {
    waiting: Vec<Waiting>,
    /// Entries that the writer has taken and not yet written: they are in
    /// memory as well as the others.
    taken: usize,
    lost: Lost,
    urgent: bool,
    closing: bool,
}

/// Decisions that the log does not hold and does not yet say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) queue_full: u64,
    pub(crate) write_failed: u64,
}

impl Lost {
    pub(crate) fn gap(self) -> Option<Gap> {
        (self != Self::default()).then_some(Gap {
            queue_full: self.queue_full,
            write_failed: self.write_failed,
        })
    }
}

/// What the writer finds when it looks.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) lost: Lost,
    pub(crate) closing: bool,
}

impl Queue {
    /// Adds an entry, unless `most` wait already or nobody will write it any
    /// more; whether it was added. One that was not is counted as lost.
    pub(crate) fn add(&self, waiting: Waiting, most: usize) -> bool {
        let added = self.offer(waiting, most, most);
        if !added {
            let mut list = self.list();
            list.lost.queue_full = list.lost.queue_full.saturating_add(1);
        }
        added
    }

    /// Adds an entry, unless as many wait as `share` of `most`, or nobody will
    /// write it any more; whether it was added. What becomes of one that was
    /// not is for the caller to say.
    pub(crate) fn offer(&self, waiting: Waiting, share: usize, most: usize) -> bool {
        let urgent = waiting.receipt.is_some();
        let mut list = self.list();
        if list.waiting.len().saturating_add(list.taken) >= share || list.closing {
            return false;
        }
        list.waiting.push(waiting);
        // Once, when a quarter is full: those who come later find it awake.
        let wake = urgent || list.waiting.len() == most.div_ceil(4);
        list.urgent |= wake;
        drop(list);
        if wake {
            self.changed.notify_one();
        }
        true
    }

    /// Says that `count` of the entries that were taken are not held any more.
    pub(crate) fn let_go(&self, count: usize) {
        let mut list = self.list();
        list.taken = list.taken.saturating_sub(count);
    }

    /// Counts a decision that will not be written.
    pub(crate) fn lose(&self, count: u64) {
        let mut list = self.list();
        list.lost.write_failed = list.lost.write_failed.saturating_add(count);
    }

    /// Puts back what could not be said.
    pub(crate) fn unsay(&self, lost: Lost) {
        let mut list = self.list();
        list.lost.queue_full = list.lost.queue_full.saturating_add(lost.queue_full);
        list.lost.write_failed = list.lost.write_failed.saturating_add(lost.write_failed);
    }

    /// Waits for something urgent, at most `patience`, and takes what is
    /// there; the entries only where `room` is.
    pub(crate) fn take(&self, patience: Duration, room: bool) -> Taken {
        let list = self.list();
        let idle = |list: &mut List| !(list.closing || room && list.urgent);
        let (mut list, _) = self
            .changed
            .wait_timeout_while(list, patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if room {
            list.urgent = false;
            list.taken = list.taken.saturating_add(list.waiting.len());
        }
        Taken {
            waiting: if room {
                std::mem::take(&mut list.waiting)
            } else {
                Vec::new()
            },
            lost: std::mem::take(&mut list.lost),
            closing: list.closing,
        }
    }

    /// Says that nothing more will come.
    pub(crate) fn close(&self) {
        self.list().closing = true;
        self.changed.notify_one();
    }

    /// Entries that wait, taken or not.
    pub(crate) fn len(&self) -> usize {
        let list = self.list();
        list.waiting.len().saturating_add(list.taken)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
