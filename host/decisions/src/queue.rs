//! What waits to be written, between those who attest and the one who writes.
//!
//! An attesting thread moves what it has into a list and goes on. It wakes the
//! writer only where it waits for it, or where the list grows long: otherwise
//! the writer looks often enough by itself.

use crate::line::{Decision, Gap, NamingRecord};
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
    written: Mutex<Option<bool>>,
    signed: Condvar,
}

impl Receipt {
    pub(crate) fn sign(&self, written: bool) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
        self.signed.notify_all();
    }

    /// Waits for the writer, at most `patience`: false where it failed or does
    /// not come.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (written, _) = self
            .signed
            .wait_timeout_while(written, patience, |written| written.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *written == Some(true)
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
    /// more; whether it was added.
    pub(crate) fn add(&self, waiting: Waiting, most: usize) -> bool {
        let urgent = waiting.receipt.is_some();
        let mut list = self.list();
        if list.waiting.len() >= most || list.closing {
            list.lost.queue_full = list.lost.queue_full.saturating_add(1);
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

    /// Entries that wait.
    pub(crate) fn len(&self) -> usize {
        self.list().waiting.len()
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
