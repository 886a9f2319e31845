//! Waiting for a request, as long as the caller's patience lasts.
//!
//! Trusts nobody to answer. The work runs on this room's own threads, and the
//! caller waits at a plain channel: that neither needs an async runtime nor
//! collides with one that the caller lives in.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nameplate_evidence::{ApiError, Patience};
use tokio::runtime::{Builder, Runtime};

/// How often a caller looks whether its patience was ended by another.
const LOOK: Duration = Duration::from_millis(25);

/// What becomes of work that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Ended,
    GoesOn,
}

/// Runs `work`, and gives it up when `patience` ends.
pub(crate) fn wait<T: Send + 'static>(
    patience: &Patience,
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    run(patience, work, Left::Ended)
}

/// The same, but `work` goes on to its end, which has to be one of its own.
pub(crate) fn wait_while_it_goes_on<T: Send + 'static>(
    patience: &Patience,
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    run(patience, work, Left::GoesOn)
}

fn run<T: Send + 'static>(
    patience: &Patience,
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    left_alone: Left,
) -> Result<T, ApiError> {
    if patience.left(Instant::now()).is_zero() {
        return Err(ApiError::OutOfPatience);
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let task = runtime()?.spawn(async move {
        // Nobody takes the answer any more: that is what giving up means.
        drop(answer.send(work.await));
    });
    loop {
        let left = patience.left(Instant::now());
        if left.is_zero() {
            if left_alone == Left::Ended {
                task.abort();
            }
            return Err(ApiError::OutOfPatience);
        }
        match answered.recv_timeout(left.min(LOOK)) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(broke_down()),
        }
    }
}

/// The threads of this room, started when first asked for.
pub(crate) fn runtime() -> Result<&'static Runtime, ApiError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("nameplate-api")
                .enable_all()
                .build()
                .map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|error| ApiError::NotConfigured {
            what: format!("the threads for requests cannot be started: {error}"),
        })
}

/// A panic ended the work. Its text may hold anything and is not repeated.
pub(crate) fn broke_down() -> ApiError {
    ApiError::Unreachable {
        what: "the request broke down inside this host".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use nameplate_evidence::{ApiError, Patience};

    use super::{broke_down, wait, wait_while_it_goes_on};

    fn a_minute() -> Patience {
        Patience::until(Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn an_answer_is_handed_over() {
        assert_eq!(wait(&a_minute(), async { Ok(7) }), Ok(7));
    }

    #[test]
    fn without_patience_nothing_is_started() {
        let work = async { panic!("started") };
        assert_eq!(
            wait::<()>(&Patience::none(), work),
            Err(ApiError::OutOfPatience)
        );
    }

    #[test]
    fn giving_up_elsewhere_ends_the_wait() {
        let patience = a_minute();
        let begin = Instant::now();
        let other = patience.clone();
        let waiting = thread::spawn(move || wait::<()>(&other, std::future::pending()));
        patience.give_up();
        assert_eq!(waiting.join().unwrap(), Err(ApiError::OutOfPatience));
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn work_that_goes_on_ends_after_its_caller_gave_up() {
        let (proceed, wait_for_it) = tokio::sync::oneshot::channel::<()>();
        let (ended, end) = std::sync::mpsc::channel();
        let patience = Patience::until(Instant::now() + Duration::from_millis(1));
        let work = async move {
            wait_for_it.await.unwrap();
            ended.send(()).unwrap();
            Ok(())
        };
        let waited = wait_while_it_goes_on(&patience, work);
        assert_eq!(waited, Err(ApiError::OutOfPatience));
        proceed.send(()).unwrap();
        end.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn a_panic_is_an_error_here() {
        let work = async { panic!("with eyJhbGciOiJSUzI1NiJ9 in its text") };
        assert_eq!(wait::<()>(&a_minute(), work), Err(broke_down()));
    }

    #[test]
    fn a_caller_may_live_in_a_runtime_of_its_own() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let answer = runtime.block_on(async { wait(&a_minute(), async { Ok(7) }) });
        assert_eq!(answer, Ok(7));
    }
}
