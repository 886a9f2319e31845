//! `nameplate log`: whether a decision log is whole, what is in it, and
//! whether its decisions come out the same again.
//!
//! Nothing here writes to a log. A log is read while it is written, too: its
//! last line may then be half there, which is said and is no fault.

mod replay;
mod show;
mod verify;

use crate::failure::Failure;
use crate::report::{Exit, Output, progress};
use nameplate_attestor::decisions::ReadError;
use std::time::{Duration, Instant};

/// Verify, show and replay decision logs
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Verify(verify::Arguments),
    Show(show::Arguments),
    Replay(replay::Arguments),
}

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Why it could not do what it was asked for.
    pub(crate) fn run(self, output: Output) -> Result<Exit, Failure> {
        match self {
            Self::Verify(arguments) => verify::run(&arguments, output),
            Self::Show(arguments) => show::run(&arguments, output),
            Self::Replay(arguments) => replay::run(&arguments, output),
        }
    }
}

/// The log cannot be read at all.
fn unreadable(error: ReadError) -> Failure {
    Failure::fault("log_unreadable", error)
}

/// Says how far a long read has come, every so often.
struct Meter {
    begun: Instant,
    said: Instant,
}

/// How often it is said.
const EVERY: Duration = Duration::from_secs(2);

impl Meter {
    fn start() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            said: now,
        }
    }

    /// `done` of `of` bytes are read; `what` has been done with them.
    fn at(&mut self, done: u64, of: u64, what: impl FnOnce(Duration) -> String) {
        if self.said.elapsed() < EVERY {
            return;
        }
        self.said = Instant::now();
        let percent = done.saturating_mul(100) / of.max(1);
        progress(&format!("{percent} %: {}", what(self.begun.elapsed())));
    }
}
