//! Keys that are published, followed as they rotate.
//!
//! Trusts the publisher for what it publishes and peers for nothing: whatever
//! tokens they send, a set is fetched at most once per interval, and by one
//! task for all who wait.

use crate::location::{Fetcher, Published};
use crate::shared::Shared;
use crate::waiting::runtime;
use crate::words;
use nameplate_evidence::{ApiError, KeySet, KeySource, KeysStatus, Patience};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that one fetch may take.
const FETCH: Duration = Duration::from_secs(10);

/// How often one who waits looks whether its patience was ended by another.
const LOOK: Duration = Duration::from_millis(25);

/// A cluster's published keys.
///
/// A set older than [`Published::refresh`] is fetched again while it goes on
/// serving; when that fails it serves until [`Published::max_age`].
#[derive(Debug, Clone)]
pub struct PublishedKeys {
    following: Arc<Following>,
}

/// What time it is, so that tests can say it.
type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

struct Following {
    published: Published,
    fetcher: Fetcher,
    clock: Clock,
    state: Mutex<State>,
    ended: Condvar,
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following")
            .field("location", &self.published.location)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    keys: Option<Fetched>,
    fetching: bool,
    tried: Option<Instant>,
    last_error: Option<ApiError>,
    fetches: u64,
}

struct Fetched {
    keys: Arc<KeySet>,
    digest: [u8; 32],
    at: Instant,
}

impl PublishedKeys {
    /// The keys that `published` finds; shared by all who follow the same
    /// ones. Nothing is fetched.
    ///
    /// # Errors
    /// [`ApiError::NotConfigured`] when a URL or a CA cannot be used.
    pub fn new(published: Published) -> Result<Self, ApiError> {
        static KNOWN: Shared<Published, Following> = Shared::new();
        let key = published.clone();
        let following = KNOWN.get(&key, || Following::new(published, Box::new(Instant::now)))?;
        Ok(Self { following })
    }
}

impl KeySource for PublishedKeys {
    fn current(&self, patience: &Patience) -> Result<Arc<KeySet>, ApiError> {
        let following = &self.following;
        let now = (following.clock)();
        let mut state = following.state();
        let least = following.published.refresh;
        if state.younger_than(least, now).is_none() {
            following.fetch(&mut state, now)?;
        }
        let most = following.published.max_age;
        if let Some(keys) = state.younger_than(most, now) {
            return Ok(keys);
        }
        let state = following.wait(state, patience)?;
        let now = (following.clock)();
        state.younger_than(most, now).ok_or_else(|| {
            state.last_error.clone().unwrap_or(ApiError::Unreachable {
                what: "no keys were fetched yet".to_owned(),
            })
        })
    }

    fn newer_than(&self, seen: &Arc<KeySet>, patience: &Patience) -> Option<Arc<KeySet>> {
        let following = &self.following;
        let mut state = following.state();
        if let Some(newer) = state.other_than(seen) {
            return Some(newer);
        }
        let now = (following.clock)();
        following.fetch(&mut state, now).ok()?;
        following.wait(state, patience).ok()?.other_than(seen)
    }

    fn status(&self) -> KeysStatus {
        let now = (self.following.clock)();
        let state = self.following.state();
        KeysStatus {
            age: state
                .keys
                .as_ref()
                .map(|fetched| now.saturating_duration_since(fetched.at)),
            last_error: state.last_error.clone(),
            fetches: state.fetches,
            ignored: state
                .keys
                .as_ref()
                .map_or(0, |fetched| fetched.keys.ignored().len()),
        }
    }
}

impl State {
    fn younger_than(&self, age: Duration, now: Instant) -> Option<Arc<KeySet>> {
        self.keys
            .as_ref()
            .filter(|fetched| now.saturating_duration_since(fetched.at) < age)
            .map(|fetched| Arc::clone(&fetched.keys))
    }

    fn other_than(&self, seen: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        self.keys
            .as_ref()
            .map(|fetched| &fetched.keys)
            .filter(|keys| !Arc::ptr_eq(keys, seen))
            .map(Arc::clone)
    }
}

impl Following {
    fn new(published: Published, clock: Clock) -> Result<Self, ApiError> {
        Ok(Self {
            fetcher: Fetcher::new(&published)?,
            published,
            clock,
            state: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    /// Begins to fetch, unless it is being done or was done a moment ago.
    fn fetch(self: &Arc<Self>, state: &mut State, now: Instant) -> Result<(), ApiError> {
        let early = state
            .tried
            .is_some_and(|tried| now.saturating_duration_since(tried) < self.published.retry);
        if state.fetching || early {
            return Ok(());
        }
        let runtime = runtime()?;
        state.fetching = true;
        state.tried = Some(now);
        state.fetches = state.fetches.saturating_add(1);
        let following = Arc::clone(self);
        runtime.spawn(async move {
            let _ended = Ended(&following);
            let fetched = tokio::time::timeout(FETCH, following.fetcher.fetch()).await;
            let fetched = fetched.unwrap_or(Err(ApiError::OutOfPatience));
            following.take(fetched.and_then(|body| parsed(&body)));
        });
        Ok(())
    }

    fn take(&self, fetched: Result<(Arc<KeySet>, [u8; 32]), ApiError>) {
        let at = (self.clock)();
        let mut state = self.state();
        match fetched {
            Ok((keys, digest)) => {
                state.last_error = None;
                match &mut state.keys {
                    // The same set stays the same, for those who compare.
                    Some(known) if known.digest == digest => known.at = at,
                    known => *known = Some(Fetched { keys, digest, at }),
                }
            }
            Err(error) => state.last_error = Some(error),
        }
    }

    /// Waits until nothing is being fetched.
    fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        patience: &Patience,
    ) -> Result<MutexGuard<'s, State>, ApiError> {
        while state.fetching {
            let left = patience.left(Instant::now());
            if left.is_zero() {
                return Err(ApiError::OutOfPatience);
            }
            state = self
                .ended
                .wait_timeout(state, left.min(LOOK))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a fetch ended, a panic included.
struct Ended<'a>(&'a Following);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.state().fetching = false;
        self.0.ended.notify_all();
    }
}

fn parsed(body: &[u8]) -> Result<(Arc<KeySet>, [u8; 32]), ApiError> {
    let keys = KeySet::from_jwks(body).map_err(|error| ApiError::Malformed {
        what: words::chain(&error),
    })?;
    Ok((Arc::new(keys), Sha256::digest(body).into()))
}
