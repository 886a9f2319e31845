//! Keys that are published, followed as they rotate.
//!
//! Trusts the publisher for what it publishes and peers for nothing: whatever
//! tokens they send, a set is fetched at most once per interval, and by one
//! task for all who wait. A publisher that withdraws a key is obeyed by the
//! first verification after the set was due: it waits for the fetch, and only
//! a fetch that fails lets the old set serve on.

mod state;

use crate::location::{Fetcher, Published};
use crate::shared::Shared;
use crate::waiting::{broke_down, runtime};
use crate::words;
use hyper::body::Bytes;
use nameplate_evidence::{
    ApiError, KeyPublisher, KeySet, KeySource, KeysStatus, Patience, Rehearsal, Rhythm,
};
use sha2::{Digest as _, Sha256};
use state::{Standing, State};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that one fetch may take.
const FETCH: Duration = Duration::from_secs(10);

/// The longest that one verification waits for it, where there is a set. After
/// that the publisher counts as hanging and its last good set serves on, so
/// that few verifications hold a place while they wait.
const WAIT: Duration = Duration::from_secs(5);

/// How often one who waits looks whether its patience was ended by another.
const LOOK: Duration = Duration::from_millis(25);

/// A cluster's published keys.
///
/// After the first use they are fetched again ahead of [`Rhythm::refresh`], for
/// as long as somebody holds them. A set that is older is fetched before it
/// serves; when that fails it serves until [`Rhythm::max_age`].
#[derive(Debug, Clone)]
pub struct PublishedKeys {
    following: Arc<Following>,
}

/// What time it is, so that tests can say it.
type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

struct Following {
    rhythm: Rhythm,
    origin: Origin,
    clock: Clock,
    state: Mutex<State>,
    ended: Condvar,
}

/// Whom the keys are had from.
#[derive(Debug)]
enum Origin {
    Fetched(Box<Fetcher>),
    Rehearsed(Arc<dyn KeyPublisher>),
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl PublishedKeys {
    /// The keys that `published` finds; shared by all who follow the same
    /// ones. Nothing is fetched before somebody asks for them.
    ///
    /// # Errors
    /// [`ApiError::NotConfigured`] when a URL or a CA cannot be used.
    pub fn new(published: Published) -> Result<Self, ApiError> {
        static KNOWN: Shared<Published, Following> = Shared::new();
        let following = KNOWN.get(&published, || {
            Self::following(&published, Box::new(Instant::now))
        })?;
        Ok(Self { following })
    }

    /// The keys that `publisher` hands over. Nothing is sent.
    #[must_use]
    pub fn rehearsing(rhythm: Rhythm, publisher: Arc<dyn KeyPublisher>) -> Self {
        let clock = Arc::clone(&publisher);
        let origin = Origin::Rehearsed(publisher);
        Self {
            following: Arc::new(Following::new(
                rhythm,
                origin,
                Box::new(move || clock.now()),
            )),
        }
    }

    fn following(published: &Published, clock: Clock) -> Result<Following, ApiError> {
        let origin = Origin::Fetched(Box::new(Fetcher::new(published)?));
        Ok(Following::new(published.rhythm, origin, clock))
    }

    /// The keys that `published` finds, at the times that `clock` tells.
    #[cfg(test)]
    pub(crate) fn by_clock(published: &Published, clock: Clock) -> Result<Self, ApiError> {
        let following = Arc::new(Self::following(published, clock)?);
        Ok(Self { following })
    }
}

impl KeySource for PublishedKeys {
    fn current(&self, patience: &Patience) -> Result<Arc<KeySet>, ApiError> {
        let following = &self.following;
        let rhythm = &following.rhythm;
        let now = (following.clock)();
        let mut state = following.state();
        let standing = state.standing(rhythm, now);
        if !matches!(standing, Standing::Serves(_)) {
            following.fetch(&mut state, now)?;
        }
        let patience = match standing {
            // What comes of a fetch is for those who ask next.
            Standing::Serves(keys) | Standing::ServesOn(keys) => return Ok(keys),
            Standing::Due => patience.no_longer_than(Instant::now() + WAIT),
            Standing::Missing => patience.clone(),
        };
        let state = following.wait(state, &patience)?;
        let now = (following.clock)();
        state.younger_than(rhythm.max_age, now).ok_or_else(|| {
            state
                .last_error()
                .cloned()
                .unwrap_or(ApiError::Unreachable {
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
        let patience = patience.no_longer_than(Instant::now() + WAIT);
        following.wait(state, &patience).ok()?.other_than(seen)
    }

    fn status(&self) -> KeysStatus {
        let now = (self.following.clock)();
        self.following.state().status(now)
    }

    fn rehearsed(&self, publisher: Arc<dyn KeyPublisher>) -> Option<Rehearsal> {
        let rhythm = self.following.rhythm;
        Some(Rehearsal {
            keys: Arc::new(Self::rehearsing(rhythm, publisher)),
            rhythm,
        })
    }
}

impl Following {
    fn new(rhythm: Rhythm, origin: Origin, clock: Clock) -> Self {
        Self {
            rhythm,
            origin,
            clock,
            state: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Begins to fetch, unless it is being done or was done a moment ago.
    fn fetch(self: &Arc<Self>, state: &mut State, now: Instant) -> Result<(), ApiError> {
        if !state.may_fetch(&self.rhythm, now) {
            return Ok(());
        }
        let runtime = runtime()?;
        state.begin(now);
        let fetch = Fetch {
            following: Arc::clone(self),
            came_to: Err(broke_down()),
        };
        runtime.spawn(async move { fetch.done().await });
        Ok(())
    }

    /// A set, and what tells it from others.
    async fn fetched(&self) -> Result<(Arc<KeySet>, [u8; 32]), ApiError> {
        let body = match &self.origin {
            Origin::Rehearsed(publisher) => publisher.published().map(Bytes::from),
            Origin::Fetched(fetcher) => tokio::time::timeout(FETCH, fetcher.fetch())
                .await
                .unwrap_or(Err(ApiError::OutOfPatience)),
        }?;
        let keys = KeySet::from_jwks(&body).map_err(|error| ApiError::Malformed {
            what: words::chain(&error),
        })?;
        Ok((Arc::new(keys), Sha256::digest(&body).into()))
    }

    /// Schedules the next fetch. The timer does not keep the keys alive.
    fn await_next(self: &Arc<Self>, state: &mut State) {
        let now = (self.clock)();
        let (Some(wait), Ok(runtime)) = (state.next_fetch(&self.rhythm, now), runtime()) else {
            return;
        };
        let following = Arc::downgrade(self);
        let task = runtime.spawn(async move {
            tokio::time::sleep(wait.max(state::LEAST)).await;
            if let Some(following) = following.upgrade() {
                following.fetch_if_due();
            }
        });
        state.timer(task.abort_handle());
    }

    fn fetch_if_due(self: &Arc<Self>) {
        let now = (self.clock)();
        let mut state = self.state();
        if state
            .next_fetch(&self.rhythm, now)
            .is_some_and(|wait| wait.is_zero())
        {
            // Without threads nothing waits here either.
            let _begun = self.fetch(&mut state, now);
        } else {
            self.await_next(&mut state);
        }
    }

    /// Waits until nothing is being fetched.
    fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        patience: &Patience,
    ) -> Result<MutexGuard<'s, State>, ApiError> {
        while state.is_fetching() {
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

/// A fetch under way. However it ends, by a panic too, those who wait are told.
struct Fetch {
    following: Arc<Following>,
    came_to: Result<(Arc<KeySet>, [u8; 32]), ApiError>,
}

impl Fetch {
    async fn done(mut self) {
        let came_to = self.following.fetched().await;
        // Taken at its end, which comes in any case.
        drop(std::mem::replace(&mut self.came_to, came_to));
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        let following = &self.following;
        let at = (following.clock)();
        let mut state = following.state();
        state.end(std::mem::replace(&mut self.came_to, Err(broke_down())), at);
        following.await_next(&mut state);
        following.ended.notify_all();
    }
}
