//! The throw-away cluster's publisher of keys: it withdraws one, and lets time
//! pass, when it is told to.

use nameplate_evidence::{ApiError, KeyPublisher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Publishes a set in this process; nothing is sent.
#[derive(Debug)]
pub(crate) struct Publisher(Mutex<(String, Instant)>);

impl Publisher {
    /// One that publishes `set`.
    pub(crate) fn of(set: String) -> Self {
        Self(Mutex::new((set, Instant::now())))
    }

    /// From now on it publishes `set`; and nobody asks for keys for `quiet`.
    pub(crate) fn publish(&self, set: String, quiet: Duration) {
        let mut published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = published.1.checked_add(quiet).unwrap_or(published.1);
        *published = (set, now);
    }
}

impl KeyPublisher for Publisher {
    fn published(&self) -> Result<Vec<u8>, ApiError> {
        let published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(published.0.clone().into_bytes())
    }

    fn now(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
