//! Keys of a cluster that change while it is trusted.
//!
//! This room has no network and no clock. A verifier takes the keys that a
//! [`KeySource`] has for it; `nameplate-kubernetes` follows what a cluster
//! publishes, and a test can be another source.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{ApiError, Patience};
use crate::keys::KeySet;

/// Keys of a cluster that change while it is trusted.
pub trait KeySource: fmt::Debug + Send + Sync {
    /// The newest set there is, fetched if there is none yet or it is due to
    /// be fetched again.
    ///
    /// # Errors
    /// [`ApiError`] when no set was ever fetched, the last is too old to be
    /// relied on, or `patience` ends before it is known whether it still is the
    /// newest.
    fn current(&self, patience: &Patience) -> Result<Arc<KeySet>, ApiError>;

    /// A set newer than `seen`, which lacks a key that a token names. At most
    /// one fetch per interval, whatever peers send: `None` when it is too
    /// early to ask again, or when asking brought nothing newer.
    fn newer_than(&self, seen: &Arc<KeySet>, patience: &Patience) -> Option<Arc<KeySet>>;

    /// The state of the keys. Asks nobody.
    fn status(&self) -> KeysStatus;

    /// The same code, following the keys of `publisher`; none where that would
    /// send anything.
    fn rehearsed(&self, _publisher: Arc<dyn KeyPublisher>) -> Option<Rehearsal> {
        None
    }
}

/// The state of a cluster's followed keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysStatus {
    /// Time since the set that serves was fetched; none before the first.
    pub age: Option<Duration>,
    /// Why the last fetch failed, when it did.
    pub last_error: Option<ApiError>,
    /// Fetches so far.
    pub fetches: u64,
    /// Entries of the set that serves which cannot be used.
    pub ignored: usize,
}

/// How often a set of keys is fetched, and how long it is relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rhythm {
    /// Age at which a set is due to be fetched again.
    pub refresh: Duration,
    /// Age at which a set that could not be fetched again is given up.
    pub max_age: Duration,
    /// Least time between two fetches, whatever peers send.
    pub retry: Duration,
    /// Whether a set that is due goes on serving while it is fetched again. A
    /// key that was withdrawn then still verifies the first tokens after a
    /// quiet spell.
    pub serve_while_refreshing: bool,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(5 * 60),
            max_age: Duration::from_secs(24 * 60 * 60),
            retry: Duration::from_secs(10),
            serve_while_refreshing: false,
        }
    }
}

/// A publisher of keys inside this process, with a clock of its own: it tries
/// the code that follows keys, and nothing is sent.
pub trait KeyPublisher: fmt::Debug + Send + Sync {
    /// The JWK Set that is published now. Must not wait for anybody.
    ///
    /// # Errors
    /// [`ApiError`], as a fetch would have it.
    fn published(&self) -> Result<Vec<u8>, ApiError>;

    /// What time it is.
    fn now(&self) -> Instant;
}

/// Followed keys that are tried with a [`KeyPublisher`].
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// The keys that it follows.
    pub keys: Arc<dyn KeySource>,
    /// How often it does.
    pub rhythm: Rhythm,
}
