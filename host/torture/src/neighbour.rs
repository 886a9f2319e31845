//! A good neighbour: an attestor that attests while others misbehave, and what
//! that did to it.

use crate::attack::Outcome;
use crate::error::TortureError;
use crate::target::{Evidence, Target};
use nameplate_attestor::Attestor;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Attestations in peace.
const QUIET: usize = 50;

/// Between two attestations, so that the neighbour is one and not the load.
const PACE: Duration = Duration::from_millis(2);

/// How many times longer than in peace its attestations may take, in the
/// median. The attacks keep a core busy, and the machine may have but one.
const WIDEST: u32 = 50;

/// Attestations among attacks that there have to be: fewer say nothing.
pub(crate) const LEAST: usize = 20;

/// What became of the neighbour.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Neighbour {
    /// Its attestations while the attacks ran.
    pub attestations: usize,
    /// Those that came to something else than in peace.
    pub changed: usize,
    /// How long one took in peace, in the median and in microseconds.
    pub quiet_us: u64,
    /// How long one took while the attacks ran.
    pub median_us: u64,
    /// The longest.
    pub longest_us: u64,
    /// Whether the attacks hurt it.
    pub hurt: bool,
}

/// What is seen from the neighbour's place while one attack runs.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// Most resident memory.
    memory: AtomicU64,
    waiting: Mutex<Waiting>,
    attestations: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The longest that an attestation took.
    longest: Duration,
    /// When the one that runs began, or the attack, whichever was later.
    since: Option<Instant>,
}

impl Gauge {
    /// Looks at the memory now.
    pub(crate) fn look(&self) -> Option<u64> {
        let bytes = resident()?;
        self.memory.fetch_max(bytes, Ordering::Relaxed);
        Some(bytes)
    }

    /// Forgets what it saw, looks now, and gives that.
    pub(crate) fn restart(&self) -> Option<u64> {
        self.memory.store(0, Ordering::Relaxed);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.longest = Duration::ZERO;
        waiting.since = waiting.since.map(|_| Instant::now());
        self.look()
    }

    /// Most memory that was seen.
    pub(crate) fn most(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// The longest that the neighbour waited, one that still waits included.
    pub(crate) fn longest_wait(&self) -> Duration {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let running = waiting.since.map(|since| since.elapsed());
        waiting.longest.max(running.unwrap_or_default())
    }

    /// How often the neighbour attested since the first attack.
    pub(crate) fn attestations(&self) -> usize {
        self.attestations.load(Ordering::Relaxed)
    }

    fn begins(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.since = Some(Instant::now());
    }

    fn ended(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = waiting.since.take() {
            waiting.longest = waiting.longest.max(since.elapsed());
        }
        self.attestations.fetch_add(1, Ordering::Relaxed);
    }
}

/// Bytes of this process in memory; none where the system does not say.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes.saturating_mul(1024))
}

/// The neighbour, before anything happens to it.
#[derive(Debug)]
pub(crate) struct Living<'a> {
    target: &'a Target,
    attestor: Attestor,
    evidence: Evidence,
    usual: Outcome,
    quiet: Duration,
}

impl<'a> Living<'a> {
    /// Lets it attest in peace for a while: by the operator's own policy where
    /// that names it, and otherwise by one that does.
    ///
    /// # Errors
    /// When it gets no name even so.
    pub(crate) fn in_peace(
        target: &'a Target,
        own: Attestor,
        fitting: Attestor,
    ) -> Result<Self, TortureError> {
        let evidence = target.twin()?;
        let named = |attestor: &Attestor| {
            let outcome = target.outcome(&evidence, target.attest(attestor, &evidence));
            match outcome {
                Outcome::Identity(_) => Ok(outcome),
                Outcome::Rejected(_, why)
                | Outcome::Denied(why)
                | Outcome::Fault(_, why)
                | Outcome::Outlived(why)
                | Outcome::Outside(why) => Err(why),
            }
        };
        let (attestor, usual) = match named(&own) {
            Ok(usual) => (own, usual),
            Err(_policy) => {
                let usual = named(&fitting).map_err(|why| TortureError::Twin {
                    target: target.subject.name.clone(),
                    why,
                })?;
                (fitting, usual)
            }
        };
        let mut times: Vec<Duration> = (0..QUIET)
            .map(|_| {
                let began = Instant::now();
                // It is the time that is asked for; the answer was looked at.
                let _answer = target.attest(&attestor, &evidence);
                began.elapsed()
            })
            .collect();
        let quiet = median(&mut times);
        Ok(Self {
            target,
            attestor,
            evidence,
            usual,
            quiet,
        })
    }

    /// Attests until `over` is closed.
    pub(crate) fn attest_until(&self, over: &Receiver<()>, gauge: &Gauge) -> Neighbour {
        let mut times = Vec::new();
        let mut changed = 0;
        while let Err(RecvTimeoutError::Timeout) = over.recv_timeout(PACE) {
            gauge.look();
            gauge.begins();
            let began = Instant::now();
            let result = self.target.attest(&self.attestor, &self.evidence);
            times.push(began.elapsed());
            gauge.ended();
            if self.target.outcome(&self.evidence, result) != self.usual {
                changed += 1;
            }
        }
        Neighbour::of(&mut times, changed, self.quiet)
    }
}

impl Neighbour {
    /// What these attestations among attacks come to.
    fn of(times: &mut [Duration], changed: usize, quiet: Duration) -> Self {
        let longest = times.iter().max().copied().unwrap_or_default();
        let median = median(times);
        Self {
            attestations: times.len(),
            changed,
            quiet_us: micros(quiet),
            median_us: micros(median),
            longest_us: micros(longest),
            hurt: changed > 0 || times.len() < LEAST || median > quiet.saturating_mul(WIDEST),
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(100);

    fn hurt(times: &[Duration], changed: usize) -> bool {
        Neighbour::of(&mut times.to_vec(), changed, QUICK).hurt
    }

    #[test]
    fn a_neighbour_that_attests_as_ever_is_unhurt() {
        assert!(!hurt(&[QUICK; LEAST], 0));
        assert!(hurt(&[QUICK; LEAST], 1));
        assert!(hurt(&[QUICK * 51; LEAST], 0));
        assert!(!hurt(&[QUICK * 50; LEAST], 0));
    }

    #[test]
    fn a_neighbour_that_hardly_attests_is_hurt() {
        assert!(hurt(&[QUICK; LEAST - 1], 0));
        assert!(hurt(&[], 0));
    }

    #[test]
    fn a_wait_counts_for_the_attack_that_it_falls_into() {
        let gauge = Gauge::default();
        gauge.begins();
        let early = Instant::now();
        gauge.restart();
        // It goes on, and counts from the attack on.
        assert!(gauge.longest_wait() <= early.elapsed());
        gauge.ended();
        assert_eq!(gauge.attestations(), 1);
        gauge.restart();
        assert_eq!(gauge.longest_wait(), Duration::ZERO);
    }
}
