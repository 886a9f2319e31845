//! A circuit breaker: suspends an API server that gives no answer again and
//! again.
//!
//! ```text
//! closed ──FAILURES in a row──▶ open ──a pause──▶ half open: one call tries it
//!    ▲                            ▲                      │
//!    │                            └──no answer: a longer─┤
//!    └─────────────any answer────────────────────────────┘
//! ```
//!
//! While it is open, callers are told so at once: no place and no time is spent
//! on a server that does not answer. Failures of the server are silence, a
//! broken connection, and an HTTP status of 500 or above. Everything else is an
//! answer, a refusal included.

use nameplate_evidence::{ApiError, ApiStatus, Suspension};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Calls in a row without an answer that open it.
pub(crate) const FAILURES: u32 = 5;

/// How long a server is left alone at first, and at most. Each try that fails
/// doubles it.
pub(crate) const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];

/// What time it is, for pauses and for people; so that tests can say it.
type Clock = Box<dyn Fn() -> (Instant, SystemTime) + Send + Sync>;

/// Whether an API server is asked.
pub(crate) struct Breaker {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since the last answer.
    failures: u32,
    open: Option<Open>,
    suspensions: u64,
}

#[derive(Debug)]
struct Open {
    since: (Instant, SystemTime),
    /// When the next call tries the server.
    until: Instant,
    pause: Duration,
    trying: bool,
    last_error: ApiError,
}

/// What became of a call, as far as it tells how the server does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answers.
    Answered,
    /// It does not.
    Failed(ApiError),
    /// The call tells nothing: it never came to the server, or was given up.
    Untold,
}

/// How a call is to be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// As always.
    Usual,
    /// As the one that tries the server. Its outcome has to be noted, even when
    /// its caller gave up.
    Trial,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::with_clock(Box::new(|| (Instant::now(), SystemTime::now())))
    }
}

impl Breaker {
    fn with_clock(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Whether the server may be asked now.
    ///
    /// # Errors
    /// [`ApiError::Suspended`].
    pub(crate) fn admit(&self) -> Result<Admitted, ApiError> {
        let (now, _) = (self.clock)();
        let mut state = self.state();
        let failures = state.failures;
        match &mut state.open {
            None => Ok(Admitted::Usual),
            Some(open) if open.trying || now < open.until => {
                Err(ApiError::Suspended(open.suspension(failures, now)))
            }
            Some(open) => {
                open.trying = true;
                Ok(Admitted::Trial)
            }
        }
    }

    /// Notes the outcome of a call that was `admitted`.
    pub(crate) fn note(&self, admitted: &Admitted, outcome: Outcome) {
        let (now, today) = (self.clock)();
        let mut state = self.state();
        let State {
            failures,
            open,
            suspensions,
        } = &mut *state;
        let tried = *admitted == Admitted::Trial;
        match outcome {
            // Also of a call from before: it says that the server is back.
            Outcome::Answered => {
                *failures = 0;
                *open = None;
            }
            Outcome::Untold => {
                // The next one tries it.
                if let (true, Some(open)) = (tried, open) {
                    open.trying = false;
                }
            }
            Outcome::Failed(error) => {
                *failures = failures.saturating_add(1);
                let [first, longest] = PAUSES;
                match open {
                    Some(open) => {
                        open.last_error = error;
                        if tried {
                            open.trying = false;
                            open.pause = open.pause.saturating_mul(2).min(longest);
                            open.until = now + open.pause;
                        }
                    }
                    None if *failures >= FAILURES => {
                        *suspensions = suspensions.saturating_add(1);
                        *open = Some(Open {
                            since: (now, today),
                            until: now + first,
                            pause: first,
                            trying: false,
                            last_error: error,
                        });
                    }
                    None => {}
                }
            }
        }
    }

    pub(crate) fn status(&self) -> ApiStatus {
        let (now, _) = (self.clock)();
        let state = self.state();
        let open = state.open.as_ref();
        ApiStatus {
            suspended: open.map(|open| open.suspension(state.failures, now)),
            suspensions: state.suspensions,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn suspension(&self, failures: u32, now: Instant) -> Suspension {
        let (instant, since) = self.since;
        Suspension {
            since,
            lasting: now.saturating_duration_since(instant),
            failures,
            last_error: Box::new(self.last_error.clone()),
        }
    }
}

impl Outcome {
    /// The outcome of a call that had `time` for its `result`, where the server
    /// may take `most`.
    pub(crate) fn of<T>(result: &Result<T, ApiError>, time: Duration, most: Duration) -> Self {
        let Err(error) = result else {
            return Self::Answered;
        };
        match error {
            ApiError::Unreachable { .. } => Self::Failed(error.clone()),
            // Whoever gives up early, or comes late, says nothing of the server.
            ApiError::OutOfPatience if time >= most / 2 => Self::Failed(error.clone()),
            ApiError::OutOfPatience | ApiError::NotConfigured { .. } | ApiError::Suspended(_) => {
                Self::Untold
            }
            ApiError::Refused { status, .. } if *status >= 500 => Self::Failed(error.clone()),
            ApiError::Refused { .. }
            | ApiError::Unauthorized { .. }
            | ApiError::Forbidden { .. }
            | ApiError::NotFound { .. }
            | ApiError::Malformed { .. } => Self::Answered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Admitted, Breaker, FAILURES, Outcome, PAUSES};
    use nameplate_evidence::ApiError;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant, SystemTime};

    const SECOND: Duration = Duration::from_secs(1);

    /// A breaker, and the time that it is there.
    struct Told {
        breaker: Breaker,
        passed: Arc<Mutex<Duration>>,
    }

    fn told() -> Told {
        let passed = Arc::new(Mutex::new(Duration::ZERO));
        let (read, began) = (Arc::clone(&passed), Instant::now());
        let clock = move || {
            let passed = *read.lock().unwrap();
            (began + passed, SystemTime::UNIX_EPOCH + passed)
        };
        Told {
            breaker: Breaker::with_clock(Box::new(clock)),
            passed,
        }
    }

    impl Told {
        fn pass(&self, time: Duration) {
            *self.passed.lock().unwrap() += time;
        }

        fn fail(&self, admitted: &Admitted) {
            let failed = Outcome::Failed(ApiError::OutOfPatience);
            self.breaker.note(admitted, failed);
        }

        fn open(&self) {
            for _ in 0..FAILURES {
                assert_eq!(self.breaker.admit(), Ok(Admitted::Usual));
                self.fail(&Admitted::Usual);
            }
        }

        fn refused(&self) -> String {
            self.breaker.admit().unwrap_err().to_string()
        }
    }

    #[test]
    fn failures_in_a_row_suspend_and_an_answer_between_does_not() {
        let told = told();
        for _ in 1..FAILURES {
            told.fail(&Admitted::Usual);
        }
        told.breaker.note(&Admitted::Usual, Outcome::Answered);
        for _ in 1..FAILURES {
            told.fail(&Admitted::Usual);
        }
        // What tells nothing counts neither way.
        told.breaker.note(&Admitted::Usual, Outcome::Untold);
        assert_eq!(told.breaker.admit(), Ok(Admitted::Usual));
        assert_eq!(told.breaker.status().suspended, None);
        told.fail(&Admitted::Usual);
        assert_eq!(
            told.refused(),
            "not asked for 0 s now, after 5 failures in a row"
        );
        let suspended = told.breaker.status().suspended.unwrap();
        assert_eq!(suspended.since, SystemTime::UNIX_EPOCH);
        assert_eq!(*suspended.last_error, ApiError::OutOfPatience);
    }

    #[test]
    fn one_call_at_a_time_tries_a_suspended_server() {
        let told = told();
        told.open();
        told.pass(PAUSES[0] - Duration::from_millis(1));
        told.refused();
        told.pass(Duration::from_millis(1));
        assert_eq!(told.breaker.admit(), Ok(Admitted::Trial));
        // Another waits for its outcome, however long that takes.
        told.pass(60 * SECOND);
        assert_eq!(
            told.refused(),
            "not asked for 65 s now, after 5 failures in a row"
        );
        told.breaker.note(&Admitted::Trial, Outcome::Answered);
        assert_eq!(told.breaker.admit(), Ok(Admitted::Usual));
        let status = told.breaker.status();
        assert_eq!((status.suspended, status.suspensions), (None, 1));
    }

    #[test]
    fn each_try_that_fails_doubles_the_pause_up_to_the_longest() {
        let told = told();
        told.open();
        for pause in [5, 10, 20, 30, 30] {
            told.pass(pause * SECOND - Duration::from_millis(1));
            told.refused();
            told.pass(Duration::from_millis(1));
            assert_eq!(told.breaker.admit(), Ok(Admitted::Trial), "{pause} s");
            told.fail(&Admitted::Trial);
        }
        // It is one suspension still, and since the first.
        let status = told.breaker.status();
        assert_eq!(status.suspensions, 1);
        assert_eq!(
            status.suspended.unwrap().to_string(),
            "not asked for 95 s now, after 10 failures in a row"
        );
    }

    #[test]
    fn a_try_that_tells_nothing_is_made_again_at_once() {
        let told = told();
        told.open();
        told.pass(PAUSES[0]);
        assert_eq!(told.breaker.admit(), Ok(Admitted::Trial));
        told.breaker.note(&Admitted::Trial, Outcome::Untold);
        assert_eq!(told.breaker.admit(), Ok(Admitted::Trial));
    }

    #[test]
    fn calls_from_before_a_suspension_count_for_what_they_say() {
        let told = told();
        told.open();
        // Ever more failures do not put the next try off.
        told.pass(PAUSES[0]);
        told.fail(&Admitted::Usual);
        assert_eq!(told.breaker.admit(), Ok(Admitted::Trial));
        told.breaker.note(&Admitted::Usual, Outcome::Answered);
        assert_eq!(told.breaker.admit(), Ok(Admitted::Usual));
    }

    #[test]
    fn silence_a_broken_connection_and_a_500_are_failures_and_no_more() {
        let message = String::new;
        let what = String::new;
        let of = |error: ApiError, time| {
            let result: Result<(), _> = Err(error.clone());
            match Outcome::of(&result, time, 5 * SECOND) {
                Outcome::Failed(same) if same == error => "failed",
                Outcome::Failed(_) => "another",
                Outcome::Answered => "answered",
                Outcome::Untold => "untold",
            }
        };
        let refused = |status| ApiError::Refused {
            status,
            message: message(),
        };
        for (error, time, outcome) in [
            (ApiError::Unreachable { what: what() }, SECOND, "failed"),
            (ApiError::OutOfPatience, 5 * SECOND, "failed"),
            (ApiError::OutOfPatience, 5 * SECOND / 2, "failed"),
            (ApiError::OutOfPatience, SECOND, "untold"),
            (refused(500), SECOND, "failed"),
            (refused(599), SECOND, "failed"),
            (refused(499), SECOND, "answered"),
            (refused(429), SECOND, "answered"),
            (
                ApiError::Unauthorized { message: message() },
                SECOND,
                "answered",
            ),
            (
                ApiError::Forbidden { message: message() },
                SECOND,
                "answered",
            ),
            (
                ApiError::NotFound { message: message() },
                SECOND,
                "answered",
            ),
            (ApiError::Malformed { what: what() }, SECOND, "answered"),
            (ApiError::NotConfigured { what: what() }, SECOND, "untold"),
        ] {
            assert_eq!(of(error.clone(), time), outcome, "{error}");
        }
        assert_eq!(Outcome::of(&Ok(()), SECOND, SECOND), Outcome::Answered);
    }
}
