//! Durations of one operation, and what is typical among them.

use crate::report::short;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// Most durations that are kept; then every second one goes, and so on.
const KEPT: usize = 1 << 20;

/// Durations of one operation.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    nanos: Vec<u64>,
    count: u64,
    every: u64,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            nanos: Vec::new(),
            count: 0,
            every: 1,
        }
    }
}

impl Samples {
    /// Adds one.
    pub(super) fn push(&mut self, duration: Duration) {
        if self.count.is_multiple_of(self.every) {
            self.nanos
                .push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        }
        self.count = self.count.saturating_add(1);
        if self.nanos.len() >= KEPT {
            let mut keep = false;
            self.nanos.retain(|_| {
                keep = !keep;
                keep
            });
            self.every = self.every.saturating_mul(2);
        }
    }

    /// Adds those of another thread.
    pub(super) fn absorb(&mut self, other: Self) {
        self.nanos.extend(other.nanos);
        self.nanos.sort_unstable();
        self.count = self.count.saturating_add(other.count);
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that half of them stay below.
    pub(super) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The duration that `percent` of a hundred stay below, once absorbed.
    fn percentile(&self, percent: usize) -> Duration {
        let last = self.nanos.len().saturating_sub(1);
        let nanos = self.nanos.get(last.saturating_mul(percent) / 100);
        Duration::from_nanos(nanos.copied().unwrap_or(0))
    }

    /// For JSON.
    pub(super) fn document(&self) -> Value {
        let micros = |percent| self.percentile(percent).as_secs_f64() * 1e6;
        json!({
            "count": self.count,
            "median_us": micros(50),
            "p90_us": micros(90),
            "p99_us": micros(99),
        })
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} median, {} at 90 %, {} at 99 %",
            short(self.median()),
            short(self.percentile(90)),
            short(self.percentile(99))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_threads() {
        let mut one = Samples::default();
        let mut other = Samples::default();
        for nanos in 0..=100 {
            let samples = if nanos % 2 == 0 { &mut one } else { &mut other };
            samples.push(Duration::from_nanos(nanos));
        }
        let mut all = Samples::default();
        all.absorb(one);
        all.absorb(other);
        assert_eq!(all.count(), 101);
        assert_eq!(all.median(), Duration::from_nanos(50));
        assert_eq!(all.percentile(99), Duration::from_nanos(99));
        assert_eq!(Samples::default().median(), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded() {
        let mut samples = Samples::default();
        for _ in 0..(KEPT + KEPT) {
            samples.push(Duration::from_nanos(1));
        }
        assert!(samples.nanos.len() < KEPT);
        assert_eq!(samples.count(), u64::try_from(KEPT + KEPT).unwrap());
    }
}
