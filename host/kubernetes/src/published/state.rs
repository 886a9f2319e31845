//! The state of a followed set of keys: whether it serves, and when it is
//! fetched again. Plain data and a time; nothing here waits.

use super::FETCH;
use nameplate_evidence::{ApiError, KeySet, KeysStatus, Rhythm};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// The least time that passes before a fetch that nobody asked for.
pub(super) const LEAST: Duration = Duration::from_secs(1);

/// How much of [`Rhythm::refresh`] before its end a set is fetched ahead: a
/// tenth.
const AHEAD: u32 = 10;

#[derive(Debug, Default)]
pub(super) struct State {
    keys: Option<Fetched>,
    fetching: bool,
    /// When the last fetch began.
    tried: Option<Instant>,
    /// Why the last fetch brought nothing, when it did not.
    failure: Option<Failure>,
    fetches: u64,
    /// What begins the next fetch when it is due.
    timer: Option<AbortHandle>,
}

#[derive(Debug)]
struct Fetched {
    keys: Arc<KeySet>,
    digest: [u8; 32],
    at: Instant,
}

#[derive(Debug)]
struct Failure {
    error: ApiError,
    at: Instant,
    /// How many fetches have failed since the last good one.
    in_a_row: u32,
}

/// What a set is good for.
#[derive(Debug)]
pub(super) enum Standing {
    /// It serves.
    Serves(Arc<KeySet>),
    /// It is due, and serves while a newer one is fetched: because the last
    /// fetch failed a moment ago, or the operator configured it so.
    ServesOn(Arc<KeySet>),
    /// It is due, and serves only once a fetch has ended.
    Due,
    /// There is none that could serve.
    Missing,
}

impl State {
    pub(super) fn standing(&self, rhythm: &Rhythm, now: Instant) -> Standing {
        if let Some(keys) = self.younger_than(rhythm.refresh, now) {
            return Standing::Serves(keys);
        }
        match self.younger_than(rhythm.max_age, now) {
            None => Standing::Missing,
            Some(keys) if rhythm.serve_while_refreshing || self.failed_lately(rhythm, now) => {
                Standing::ServesOn(keys)
            }
            Some(_) => Standing::Due,
        }
    }

    /// Whether the last fetch failed recently. An old failure is no reason to
    /// let an old set serve: a new fetch has to fail first.
    fn failed_lately(&self, rhythm: &Rhythm, now: Instant) -> bool {
        let excused = rhythm.refresh.max(rhythm.retry).saturating_add(2 * FETCH);
        let failure = self.failure.as_ref();
        failure.is_some_and(|failure| now.saturating_duration_since(failure.at) < excused)
    }

    pub(super) fn younger_than(&self, age: Duration, now: Instant) -> Option<Arc<KeySet>> {
        self.keys
            .as_ref()
            .filter(|fetched| now.saturating_duration_since(fetched.at) < age)
            .map(|fetched| Arc::clone(&fetched.keys))
    }

    pub(super) fn other_than(&self, seen: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        self.keys
            .as_ref()
            .map(|fetched| &fetched.keys)
            .filter(|keys| !Arc::ptr_eq(keys, seen))
            .map(Arc::clone)
    }

    pub(super) fn is_fetching(&self) -> bool {
        self.fetching
    }

    pub(super) fn last_error(&self) -> Option<&ApiError> {
        self.failure.as_ref().map(|failure| &failure.error)
    }

    pub(super) fn status(&self, now: Instant) -> KeysStatus {
        let age = |fetched: &Fetched| now.saturating_duration_since(fetched.at);
        KeysStatus {
            age: self.keys.as_ref().map(age),
            last_error: self.last_error().cloned(),
            fetches: self.fetches,
            ignored: self
                .keys
                .as_ref()
                .map_or(0, |fetched| fetched.keys.ignored().len()),
        }
    }

    /// Unless it is being done, or was done a moment ago.
    pub(super) fn may_fetch(&self, rhythm: &Rhythm, now: Instant) -> bool {
        let early = self
            .tried
            .is_some_and(|tried| now.saturating_duration_since(tried) < rhythm.retry);
        !self.fetching && !early
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.fetching = true;
        self.tried = Some(now);
        self.fetches = self.fetches.saturating_add(1);
    }

    /// What the fetch came to, at the time `at`.
    pub(super) fn end(&mut self, came_to: Result<(Arc<KeySet>, [u8; 32]), ApiError>, at: Instant) {
        self.fetching = false;
        match came_to {
            Ok((keys, digest)) => {
                self.failure = None;
                match &mut self.keys {
                    // The same set stays the same, for those who compare.
                    Some(known) if known.digest == digest => known.at = at,
                    known => *known = Some(Fetched { keys, digest, at }),
                }
            }
            Err(error) => {
                let before = self.failure.as_ref();
                let before = before.map_or(0, |failure| failure.in_a_row);
                self.failure = Some(Failure {
                    error,
                    at,
                    in_a_row: before.saturating_add(1),
                });
            }
        }
    }

    /// How long it is to the next fetch, whoever asks meanwhile: a little before
    /// the set is due, and after a failure sooner, at growing distances. None
    /// while there is a fetch, and before somebody has asked for keys.
    pub(super) fn next_fetch(&self, rhythm: &Rhythm, now: Instant) -> Option<Duration> {
        let tried = self.tried.filter(|_| !self.fetching)?;
        let retry = rhythm.retry.max(LEAST);
        let due = match (&self.failure, &self.keys) {
            (Some(failure), _) => {
                let doublings = failure.in_a_row.saturating_sub(1).min(16);
                let distance = retry.saturating_mul(1 << doublings);
                tried.checked_add(distance.min(rhythm.refresh.max(retry)))
            }
            (None, Some(keys)) => {
                let ahead = rhythm.refresh.saturating_sub(rhythm.refresh / AHEAD);
                keys.at.checked_add(ahead)
            }
            (None, None) => None,
        }?;
        let due = due.max(tried.checked_add(retry)?);
        Some(due.saturating_duration_since(now))
    }

    /// Puts `timer` in the place of the one before.
    pub(super) fn timer(&mut self, timer: AbortHandle) {
        if let Some(before) = self.timer.replace(timer) {
            before.abort();
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const RHYTHM: Rhythm = Rhythm {
        refresh: Duration::from_secs(300),
        max_age: Duration::from_secs(3600),
        retry: Duration::from_secs(10),
        serve_while_refreshing: false,
    };

    fn set() -> (Arc<KeySet>, [u8; 32]) {
        let jwks = r#"{"keys":[{"kty":"EC","crv":"P-256",
            "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
        (
            Arc::new(KeySet::from_jwks(jwks.as_bytes()).unwrap()),
            [0; 32],
        )
    }

    fn fail(state: &mut State, at: Instant) {
        state.begin(at);
        state.end(Err(ApiError::OutOfPatience), at);
    }

    #[test]
    fn the_next_fetch_is_ahead_of_the_age_at_which_a_set_is_due() {
        let now = Instant::now();
        let mut state = State::default();
        // Nothing is fetched before somebody has asked.
        assert_eq!(state.next_fetch(&RHYTHM, now), None);
        state.begin(now);
        assert_eq!(state.next_fetch(&RHYTHM, now), None);
        let at = now + Duration::from_secs(2);
        state.end(Ok(set()), at);
        let ahead = Duration::from_secs(270);
        assert_eq!(state.next_fetch(&RHYTHM, at), Some(ahead));
        assert_eq!(state.next_fetch(&RHYTHM, at + MINUTE), Some(ahead - MINUTE));
        let late = at + 60 * MINUTE;
        assert_eq!(state.next_fetch(&RHYTHM, late), Some(Duration::ZERO));
        // However short the interval, it is no busy loop.
        let busy = Rhythm {
            refresh: Duration::ZERO,
            retry: Duration::ZERO,
            ..RHYTHM
        };
        let least = LEAST - Duration::from_millis(500);
        let now = now + Duration::from_millis(500);
        assert!(
            state
                .next_fetch(&busy, now)
                .is_some_and(|wait| wait >= least)
        );
    }

    #[test]
    fn failures_are_tried_again_at_growing_distances() {
        let mut now = Instant::now();
        let mut state = State::default();
        let mut distances = Vec::new();
        for _ in 0..7 {
            fail(&mut state, now);
            let wait = state.next_fetch(&RHYTHM, now).unwrap();
            distances.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(distances, [10, 20, 40, 80, 160, 300, 300]);
        state.begin(now);
        state.end(Ok(set()), now);
        fail(&mut state, now);
        assert_eq!(state.next_fetch(&RHYTHM, now), Some(RHYTHM.retry));
    }

    #[test]
    fn a_set_that_is_due_serves_on_only_after_a_failure() {
        let now = Instant::now();
        let mut state = State::default();
        assert!(matches!(state.standing(&RHYTHM, now), Standing::Missing));
        state.begin(now);
        state.end(Ok(set()), now);
        let due = now + RHYTHM.refresh;
        let just = due - Duration::from_nanos(1);
        assert!(matches!(state.standing(&RHYTHM, just), Standing::Serves(_)));
        assert!(matches!(state.standing(&RHYTHM, due), Standing::Due));
        fail(&mut state, due);
        assert!(matches!(
            state.standing(&RHYTHM, due),
            Standing::ServesOn(_)
        ));
        // The next fetch is by then long over, or there was none.
        let excused = RHYTHM.refresh + 2 * FETCH;
        assert!(matches!(
            state.standing(&RHYTHM, due + excused),
            Standing::Due
        ));
        let old = now + RHYTHM.max_age;
        fail(&mut state, old);
        assert!(matches!(state.standing(&RHYTHM, old), Standing::Missing));
    }

    #[test]
    fn one_timer_waits_and_none_outlives_the_keys() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let pending = || runtime.spawn(std::future::pending::<()>());
        let (first, second) = (pending(), pending());
        let mut state = State::default();
        state.timer(first.abort_handle());
        state.timer(second.abort_handle());
        assert!(runtime.block_on(first).unwrap_err().is_cancelled());
        assert!(!second.is_finished());
        drop(state);
        assert!(runtime.block_on(second).unwrap_err().is_cancelled());
    }
}
