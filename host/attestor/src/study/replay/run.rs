//! A whole log, made again on every core.

use super::{Divergence, Replayed, Replayer, Unreplayable};
use nameplate_decisions::{ReadError, Reader, Recorded};
use std::collections::BTreeMap;
use std::iter;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Decisions that go from thread to thread at once.
const CHUNK: usize = 256;

/// Chunks that are read and not yet reported, for each thread: others wait in
/// memory while one of them takes its time.
const AHEAD: usize = 8;

/// Most reasons for not being replayable that are listed.
const MAX_REASONS: usize = 16;

/// What came of a whole log.
#[derive(Debug, Default)]
pub struct Replay {
    /// Decisions that came out as they are recorded.
    pub same: u64,
    /// Decisions that came out otherwise.
    pub diverged: u64,
    /// Decisions that came out otherwise, maybe because facts were left out.
    pub redacted: u64,
    /// Decisions that no policy was asked for.
    pub not_asked: u64,
    /// Attestations that are counted in the log and have no record: nothing was
    /// proven, and no policy was asked.
    pub counted: u64,
    /// Decisions that cannot be made again.
    pub unreplayable: u64,
    /// Why not, and how often; the first few reasons.
    pub reasons: BTreeMap<Unreplayable, u64>,
    /// Lines that are not what was written.
    pub broken: u64,
    /// The first of them.
    pub first_broken: Option<ReadError>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayProgress {
    /// Decisions behind it.
    pub decisions: u64,
    /// Bytes of the log behind it.
    pub bytes: u64,
    /// Bytes of the log.
    pub of_bytes: u64,
}

/// Some decisions on their way.
struct Chunk<T> {
    number: u64,
    bytes: u64,
    /// Counted so far, in place of a record each.
    counted: u64,
    items: Vec<T>,
}

impl Replay {
    /// Whether everything came out the same, and nothing is broken or missing.
    /// What came out otherwise without facts that were left out is not shown to
    /// be the same.
    pub fn holds(&self) -> bool {
        self.diverged == 0 && self.redacted == 0 && self.unreplayable == 0 && self.broken == 0
    }

    /// Decisions of the log.
    pub fn decisions(&self) -> u64 {
        self.same + self.diverged + self.redacted + self.not_asked + self.unreplayable
    }

    /// Makes every decision of a log again, on `threads` threads. Whatever
    /// came out otherwise is handed to `diverged`, in the order of the log.
    ///
    /// Memory does not grow with the log.
    pub fn of(
        replayer: &Replayer,
        log: Reader,
        threads: NonZeroUsize,
        mut diverged: impl FnMut(&Divergence),
        mut progress: impl FnMut(ReplayProgress),
    ) -> Self {
        let of_bytes = log.bytes();
        let mut replay = Self::default();
        let ahead = threads.get().saturating_mul(AHEAD);
        let (read, to_do) = sync_channel(ahead);
        let (made, done) = sync_channel(ahead);
        // One for each chunk that may be on its way.
        let (permit, permits) = sync_channel(ahead);
        for () in iter::repeat_n((), ahead) {
            let _has_room = permit.try_send(());
        }
        let to_do = Mutex::new(to_do);
        thread::scope(|scope| {
            scope.spawn(|| read_all(log, permits, read));
            for _ in 0..threads.get() {
                let (made, to_do) = (made.clone(), &to_do);
                scope.spawn(move || work(replayer, to_do, &made));
            }
            // Ends with the last worker.
            drop(made);
            let mut waiting = BTreeMap::new();
            let mut next = 0;
            for chunk in done {
                waiting.insert(chunk.number, chunk);
                while let Some(chunk) = waiting.remove(&next) {
                    let Chunk {
                        bytes,
                        counted,
                        items,
                        ..
                    } = chunk;
                    next += 1;
                    replay.counted = counted;
                    for item in items {
                        replay.count(item, &mut diverged);
                    }
                    progress(ReplayProgress {
                        decisions: replay.decisions(),
                        bytes,
                        of_bytes,
                    });
                    // Nobody waits for one where everything is read.
                    let _read_to_the_end = permit.try_send(());
                }
            }
        });
        replay
    }

    fn count(&mut self, item: Result<Replayed, ReadError>, diverged: &mut impl FnMut(&Divergence)) {
        match item {
            Ok(Replayed::Same) => self.same += 1,
            Ok(Replayed::NotAsked) => self.not_asked += 1,
            Ok(Replayed::Redacted(divergence)) => {
                self.redacted += 1;
                diverged(&divergence);
            }
            Ok(Replayed::Diverged(divergence)) => {
                self.diverged += 1;
                diverged(&divergence);
            }
            Ok(Replayed::Unreplayable(why)) => {
                self.unreplayable += 1;
                if self.reasons.len() < MAX_REASONS || self.reasons.contains_key(&why) {
                    *self.reasons.entry(why).or_default() += 1;
                }
            }
            Err(error) => {
                self.broken += 1;
                self.first_broken.get_or_insert(error);
            }
        }
    }
}

/// Reads until the log ends or nobody takes any more.
fn read_all(
    mut log: Reader,
    permits: Receiver<()>,
    read: SyncSender<Chunk<Result<Recorded, ReadError>>>,
) {
    for number in 0.. {
        if permits.recv().is_err() {
            return;
        }
        let items: Vec<_> = iter::from_fn(|| log.next_decision()).take(CHUNK).collect();
        let ended = items.len() < CHUNK;
        let chunk = Chunk {
            number,
            bytes: log.bytes_read(),
            counted: log.counted(),
            items,
        };
        if read.send(chunk).is_err() || ended {
            return;
        }
    }
}

fn work(
    replayer: &Replayer,
    to_do: &Mutex<Receiver<Chunk<Result<Recorded, ReadError>>>>,
    made: &SyncSender<Chunk<Result<Replayed, ReadError>>>,
) {
    loop {
        let next = {
            let to_do = to_do.lock().unwrap_or_else(PoisonError::into_inner);
            to_do.recv()
        };
        let Ok(Chunk {
            number,
            bytes,
            counted,
            items,
        }) = next
        else {
            return;
        };
        let items = items
            .into_iter()
            .map(|recorded| Ok(replayer.replay(&recorded?)))
            .collect();
        let sent = made.send(Chunk {
            number,
            bytes,
            counted,
            items,
        });
        if sent.is_err() {
            return;
        }
    }
}
