//! How a log goes: counters for metrics, and the error that it has now.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// How a log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// Sequence number of the last line.
    pub sequence: u64,
    /// Decisions recorded since the process began.
    pub recorded: u64,
    /// Attestations since then that ended with nothing proven and are counted,
    /// in place of a record each.
    pub counted: u64,
    /// Decisions that were made since then and are not recorded.
    pub lost: u64,
    /// Decisions that wait to be written or are being written.
    pub waiting: usize,
    /// Why the last attempt to write failed, if it did.
    pub error: Option<String>,
    /// Checkpoints taken since the process began.
    pub checkpoints: u64,
    /// Why the last checkpoint could not be written to its own file, if so; or
    /// that this file takes them too slowly.
    pub checkpoint_error: Option<String>,
}

/// The same, while it changes.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    sequence: AtomicU64,
    recorded: AtomicU64,
    counted: AtomicU64,
    lost: AtomicU64,
    checkpoints: AtomicU64,
    failing: AtomicBool,
    error: Mutex<Option<String>>,
    checkpoint_error: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }

    pub(crate) fn recorded(&self, count: usize) {
        self.recorded.fetch_add(count as u64, Relaxed);
    }

    pub(crate) fn counted(&self) {
        self.counted.fetch_add(1, Relaxed);
    }

    pub(crate) fn lost(&self, count: u64) {
        self.lost.fetch_add(count, Relaxed);
    }

    /// Takes note of how an attempt to write ended.
    pub(crate) fn wrote(&self, outcome: &io::Result<()>, sequence: u64) {
        self.sequence.store(sequence, Relaxed);
        let failing = outcome.is_err();
        if failing || self.failing.load(Relaxed) {
            put(&self.error, outcome);
        }
        self.failing.store(failing, Relaxed);
    }

    /// Counts a checkpoint.
    pub(crate) fn checkpointed(&self) {
        self.checkpoints.fetch_add(1, Relaxed);
    }

    /// Takes note of whether a checkpoint was kept elsewhere.
    pub(crate) fn kept(&self, outcome: &io::Result<()>) {
        put(&self.checkpoint_error, outcome);
    }

    pub(crate) fn status(&self, waiting: usize) -> Status {
        let text = |error: &Mutex<Option<String>>| {
            let error = error.lock().unwrap_or_else(PoisonError::into_inner);
            error.clone()
        };
        Status {
            sequence: self.sequence.load(Relaxed),
            recorded: self.recorded.load(Relaxed),
            counted: self.counted.load(Relaxed),
            lost: self.lost.load(Relaxed),
            waiting,
            error: text(&self.error),
            checkpoints: self.checkpoints.load(Relaxed),
            checkpoint_error: text(&self.checkpoint_error),
        }
    }
}

fn put(error: &Mutex<Option<String>>, outcome: &io::Result<()>) {
    let text = outcome.as_ref().err().map(ToString::to_string);
    *error.lock().unwrap_or_else(PoisonError::into_inner) = text;
}
