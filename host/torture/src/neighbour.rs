//! A good neighbour: an attestor that attests while others misbehave, and what
//! that did to it.

use crate::attack::Outcome;
use crate::error::TortureError;
use crate::target::{Evidence, Target};
use nameplate_attestor::Attestor;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Attestations in peace.
const QUIET: usize = 50;

/// Between two attestations, so that the neighbour is one and not the load.
const PACE: Duration = Duration::from_millis(2);

/// How many times longer than in peace its attestations may take, in the
/// median. The attacks keep a core busy, and the machine may have but one.
const WIDEST: u32 = 50;

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

/// Most resident memory that was seen since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// Looks now.
    pub(crate) fn look(&self) -> Option<u64> {
        let bytes = resident()?;
        self.0.fetch_max(bytes, Ordering::Relaxed);
        Some(bytes)
    }

    /// Forgets what it saw, looks now, and gives that.
    pub(crate) fn restart(&self) -> Option<u64> {
        self.0.store(0, Ordering::Relaxed);
        self.look()
    }

    /// Most that was seen.
    pub(crate) fn most(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
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
    /// Lets it attest in peace for a while.
    ///
    /// # Errors
    /// When its evidence is not accepted even so.
    pub(crate) fn in_peace(target: &'a Target, attestor: Attestor) -> Result<Self, TortureError> {
        let evidence = target.twin()?;
        let attest = || target.outcome(target.attest(&attestor, &evidence));
        let usual = attest();
        if let Outcome::Rejected(_, why) = usual {
            return Err(TortureError::Twin {
                target: target.subject.name.clone(),
                why,
            });
        }
        let mut times: Vec<Duration> = (0..QUIET)
            .map(|_| {
                let began = Instant::now();
                attest();
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
            let began = Instant::now();
            let result = self.target.attest(&self.attestor, &self.evidence);
            times.push(began.elapsed());
            if self.target.outcome(result) != self.usual {
                changed += 1;
            }
        }
        let attestations = times.len();
        let longest = times.iter().max().copied().unwrap_or_default();
        let median = median(&mut times);
        Neighbour {
            attestations,
            changed,
            quiet_us: micros(self.quiet),
            median_us: micros(median),
            longest_us: micros(longest),
            hurt: changed > 0 || median > self.quiet.saturating_mul(WIDEST),
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
