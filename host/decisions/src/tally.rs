//! Counts attestations that end with nothing proven, since anybody can make any
//! number of them.
//!
//! The first few of a window each get a record. The rest are counted by the
//! operator's names and this program's codes, never by a text that the peer
//! chose. When the window ends, one line of the log says how many there were.

use crate::line::{Count, Counted, Decision, Outcome};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long a window lasts, before a line of the log has its counts.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// The same while the disk has nothing left but its reserve.
pub(crate) const TIGHT_WINDOW: Duration = Duration::from_secs(60 * 60);

/// Most records of one kind in a window.
pub(crate) const RECORDS_OF_A_KIND: u32 = 16;

/// Most records in a window.
pub(crate) const RECORDS: u32 = 32;

/// Most kinds that are told apart by their cluster. Those beyond go by attestor
/// and reason alone, of which there are not many.
const KINDS: usize = 512;

/// An attestation that ended with nothing proven, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unproven {
    /// The cluster, where it is configured. A name that a peer made up is not
    /// counted by.
    pub cluster: Option<Arc<str>>,
}

/// What is counted as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    attestor: Arc<str>,
    cluster: Option<Arc<str>>,
    outcome: Outcome,
    reason: Cow<'static, str>,
}

impl Kind {
    pub(crate) fn of(decision: &Decision, unproven: &Unproven) -> Self {
        Self {
            attestor: Arc::clone(&decision.attestor),
            cluster: unproven.cluster.clone(),
            outcome: decision.outcome,
            reason: decision.reason.clone().unwrap_or_default(),
        }
    }
}

/// How many of a kind there were, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    count: u64,
    first: SystemTime,
    last: SystemTime,
}

impl Seen {
    fn with(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// The counts of a window.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// When the window began; none where nothing came since the last one.
    begun: Option<Instant>,
    recorded: u32,
    recorded_of: BTreeMap<Kind, u32>,
    counted: BTreeMap<Kind, Seen>,
}

impl Tally {
    /// Whether one of this kind gets a record of its own, `now`.
    pub(crate) fn admits(&mut self, kind: &Kind, now: Instant) -> bool {
        self.begun.get_or_insert(now);
        // The map has at most as many entries as records.
        let of_kind = self.recorded_of.get(kind).copied().unwrap_or_default();
        if self.recorded >= RECORDS || of_kind >= RECORDS_OF_A_KIND {
            return false;
        }
        self.recorded += 1;
        self.recorded_of.insert(kind.clone(), of_kind + 1);
        true
    }

    /// Counts one that gets none. It was at `time`.
    pub(crate) fn count(&mut self, kind: Kind, time: SystemTime, now: Instant) {
        self.begun.get_or_insert(now);
        self.add(
            kind,
            Seen {
                count: 1,
                first: time,
                last: time,
            },
        );
    }

    fn add(&mut self, mut kind: Kind, seen: Seen) {
        if self.counted.len() >= KINDS && !self.counted.contains_key(&kind) {
            kind.cluster = None;
        }
        self.counted
            .entry(kind)
            .and_modify(|before| *before = before.with(seen))
            .or_insert(seen);
    }

    /// Ends the window, where it has lasted for `window`; what was counted in
    /// it, if anything was.
    pub(crate) fn ended(&mut self, now: Instant, window: Duration) -> Option<Counted> {
        let begun = self.begun?;
        if now.saturating_duration_since(begun) < window {
            return None;
        }
        let Self { counted, .. } = std::mem::take(self);
        let counts: Vec<_> = counted
            .into_iter()
            .map(|(kind, seen)| Count {
                attestor: kind.attestor,
                cluster: kind.cluster.as_deref().map(str::to_owned),
                outcome: kind.outcome,
                reason: kind.reason,
                count: seen.count,
                first: seen.first,
                last: seen.last,
            })
            .collect();
        (!counts.is_empty()).then_some(Counted { counts })
    }

    /// Takes back counts that could not be written.
    pub(crate) fn unsay(&mut self, unsaid: Counted, now: Instant) {
        self.begun.get_or_insert(now);
        for count in unsaid.counts {
            let kind = Kind {
                attestor: count.attestor,
                cluster: count.cluster.map(Arc::from),
                outcome: count.outcome,
                reason: count.reason,
            };
            self.add(
                kind,
                Seen {
                    count: count.count,
                    first: count.first,
                    last: count.last,
                },
            );
        }
    }
}

impl Counted {
    /// How many.
    pub fn total(&self) -> u64 {
        let counts = self.counts.iter().map(|count| count.count);
        counts.fold(0, u64::saturating_add)
    }

    /// The same counts without clusters: kinds that differ only by cluster
    /// become one.
    pub(crate) fn without_clusters(self) -> Self {
        let now = Instant::now();
        let mut tally = Tally::default();
        let counts = self.counts.into_iter().map(|count| Count {
            cluster: None,
            ..count
        });
        tally.unsay(
            Self {
                counts: counts.collect(),
            },
            now,
        );
        tally.ended(now, Duration::ZERO).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cluster: Option<&str>, reason: &'static str) -> Kind {
        Kind {
            attestor: "k8s_sat".into(),
            cluster: cluster.map(Arc::from),
            outcome: Outcome::Rejected,
            reason: Cow::Borrowed(reason),
        }
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// Admits one, or counts it; whether it gets a record.
    fn meet(tally: &mut Tally, kind: &Kind, second: u64, now: Instant) -> bool {
        let admitted = tally.admits(kind, now);
        if !admitted {
            tally.count(kind.clone(), at(second), now);
        }
        admitted
    }

    #[test]
    fn the_first_few_of_a_kind_have_records_and_the_rest_are_counted() {
        let (mut tally, now) = (Tally::default(), Instant::now());
        let expired = kind(Some("production"), "token_expired");
        let admitted: Vec<_> = (0..20)
            .map(|second| meet(&mut tally, &expired, second, now))
            .collect();
        assert_eq!(admitted, [[true; 16].as_slice(), &[false; 4]].concat());
        // Another kind has records of its own, as long as there are any.
        let unsigned = kind(Some("production"), "token_signature");
        let other: Vec<_> = (0..17)
            .map(|second| meet(&mut tally, &unsigned, second, now))
            .collect();
        assert_eq!(other, [[true; 16].as_slice(), &[false]].concat());
        assert!(!meet(&mut tally, &kind(None, "unknown_cluster"), 7, now));

        let almost = now + WINDOW - Duration::from_millis(1);
        assert_eq!(tally.ended(almost, WINDOW), None);
        let counted = tally.ended(now + WINDOW, WINDOW).unwrap();
        let count = |cluster: Option<&str>, reason, count, first, last| Count {
            attestor: "k8s_sat".into(),
            cluster: cluster.map(str::to_owned),
            outcome: Outcome::Rejected,
            reason: Cow::Borrowed(reason),
            count,
            first: at(first),
            last: at(last),
        };
        assert_eq!(
            counted.counts,
            [
                count(None, "unknown_cluster", 1, 7, 7),
                count(Some("production"), "token_expired", 4, 16, 19),
                count(Some("production"), "token_signature", 1, 16, 16),
            ]
        );
        assert_eq!(counted.total(), 6);
        // And the next window has records again.
        assert!(meet(&mut tally, &expired, 100, now + WINDOW));
        assert_eq!(
            tally.ended(now + WINDOW * 2, WINDOW),
            None,
            "nothing was counted"
        );
    }

    #[test]
    fn what_could_not_be_said_is_said_with_what_came_since() {
        let (mut tally, now) = (Tally::default(), Instant::now());
        let expired = kind(None, "token_expired");
        tally.count(expired.clone(), at(5), now);
        let unsaid = tally.ended(now + WINDOW, WINDOW).unwrap();
        tally.count(expired, at(3), now + WINDOW);
        tally.unsay(unsaid, now + WINDOW);
        let counted = tally.ended(now + WINDOW * 2, WINDOW).unwrap();
        let [count] = &counted.counts[..] else {
            panic!("{counted:?}");
        };
        assert_eq!((count.count, count.first, count.last), (2, at(3), at(5)));
    }

    #[test]
    fn kinds_are_bounded_and_none_is_lost() {
        let (mut tally, now) = (Tally::default(), Instant::now());
        for number in 0..10_000 {
            let cluster = number.to_string();
            tally.count(kind(Some(&cluster), "token_expired"), at(number), now);
        }
        let counted = tally.ended(now + WINDOW, WINDOW).unwrap();
        assert_eq!(counted.counts.len(), KINDS + 1);
        assert_eq!(counted.total(), 10_000);
        let whole = counted.without_clusters();
        assert_eq!((whole.counts.len(), whole.total()), (1, 10_000));
    }
}
