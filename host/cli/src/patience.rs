//! How long a command waits for API servers and published keys, and what it
//! prints meanwhile.
//!
//! Ctrl-C ends the process, as it ends any: nothing here holds it up.

use crate::report::{self, NOTE, Output};
use nameplate_attestor::Attempt;
use nameplate_evidence::Patience;
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// When a wait is first mentioned, and how often after that.
const QUIET: Duration = Duration::from_secs(3);

/// Nobody waits longer, whatever a command line says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Others may be asked, until this is dropped or the time is over.
#[derive(Debug)]
pub(crate) struct Asking {
    /// None: nobody is asked.
    until: Option<Instant>,
    /// Dropped with this, which ends the thread that says how the wait goes.
    _done: Option<Sender<()>>,
}

impl Asking {
    /// Begins the wait. A terminal is told how long it may still last. With
    /// text output, a note says where nobody is asked.
    pub(crate) fn begin(timeout: Duration, output: Output) -> Self {
        if timeout.is_zero() {
            if output == Output::Text {
                // What cannot be told is not worth failing for.
                let _told = writeln!(
                    anstream::stderr().lock(),
                    "{NOTE}note:{NOTE:#} with `--timeout 0` no API server and nobody who \
                     publishes keys is asked"
                );
            }
            return Self {
                until: None,
                _done: None,
            };
        }
        let until = Instant::now() + timeout.min(LONGEST);
        let said = std::io::stderr().is_terminal().then(|| {
            let (done, ended) = mpsc::channel();
            thread::spawn(move || {
                let left = || until.saturating_duration_since(Instant::now());
                say(&ended, QUIET, left, report::progress);
            });
            done
        });
        Self {
            until: Some(until),
            _done: said,
        }
    }

    /// An attempt at `now`, or at this moment.
    pub(crate) fn attempt(&self, now: Option<SystemTime>) -> Attempt {
        let attempt = Attempt::at(now.unwrap_or_else(SystemTime::now));
        match self.until {
            Some(until) => attempt.within(Patience::until(until)),
            None => attempt.asking_nobody(),
        }
    }
}

/// Says every so often how long the wait may last yet, until it has `ended`.
fn say(
    ended: &Receiver<()>,
    every: Duration,
    left: impl Fn() -> Duration,
    mut line: impl FnMut(&str),
) {
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        line(&format!(
            "no answer yet; {} s left of `--timeout`, Ctrl-C ends it",
            left().as_secs()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_said_until_it_ends() {
        let (done, ended) = mpsc::channel();
        let mut done = Some(done);
        let mut said = Vec::new();
        say(
            &ended,
            Duration::ZERO,
            || Duration::from_secs(27),
            |line| {
                said.push(line.to_owned());
                if said.len() == 2 {
                    done = None;
                }
            },
        );
        let line = "no answer yet; 27 s left of `--timeout`, Ctrl-C ends it";
        assert_eq!(said, [line, line]);
        // What ended at once is not said.
        let (done, ended) = mpsc::channel::<()>();
        drop(done);
        say(
            &ended,
            Duration::ZERO,
            || Duration::ZERO,
            |line| panic!("{line}"),
        );
    }

    #[test]
    fn without_time_nobody_is_asked() {
        let patience = |timeout| {
            let asking = Asking::begin(timeout, Output::Json);
            let attempt = asking.attempt(None);
            attempt.patience().left(Instant::now())
        };
        assert_eq!(patience(Duration::ZERO), Duration::ZERO);
        assert!(patience(Duration::from_secs(3600)) > Duration::from_secs(1800));
    }
}
