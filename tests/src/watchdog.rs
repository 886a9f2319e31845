//! A bound on what must end, without a sleep and without a measured time.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long anything may take that is to end by itself: far more than the
/// slowest machine needs, far less than a hang.
const PATIENCE: Duration = Duration::from_secs(240);

/// Bounds work that a hostile input might keep from ending.
#[derive(Debug)]
pub struct Watchdog;

impl Watchdog {
    /// Runs `work` on a thread of its own and gives what it gives.
    ///
    /// # Panics
    /// When `work` panics, with its panic; or when it does not end, and then
    /// its thread is left behind.
    pub fn watch<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, ended) = mpsc::channel::<Result<T, Box<dyn Any + Send>>>();
        thread::Builder::new()
            .name(what.to_owned())
            .spawn(move || done.send(catch_unwind(AssertUnwindSafe(work))).ok())
            .unwrap();
        match ended.recv_timeout(PATIENCE) {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                panic!("{what} has not ended after {} s", PATIENCE.as_secs())
            }
        }
    }
}
