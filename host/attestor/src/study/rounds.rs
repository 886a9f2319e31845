//! Questions in rounds: asked on every core, answered in order.
//!
//! What comes of a round does not depend on which core asked what, so a
//! report over a million facts is the same each time. Memory is that of one
//! round.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Questions of one round, for each core.
const QUESTIONS_PER_CORE: usize = 1024;

/// Questions that a core takes at a time.
const TAKEN: usize = 16;

/// Asks `ask` about every item, on all cores, and gives each item with its
/// answer to `take`, in the order of the items. `round` is called after each
/// round with the number of items so far.
pub(crate) fn ask_all<I, A>(
    items: impl Iterator<Item = I>,
    ask: impl Fn(&I) -> A + Sync,
    mut take: impl FnMut(I, A),
    mut round: impl FnMut(u64),
) where
    I: Sync,
    A: Send,
{
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut items = items.peekable();
    let mut asked = 0u64;
    while items.peek().is_some() {
        let batch: Vec<I> = items
            .by_ref()
            .take(QUESTIONS_PER_CORE.saturating_mul(cores))
            .collect();
        let answers = ask_round(&batch, &ask, cores);
        asked = asked.saturating_add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        for (item, answer) in batch.into_iter().zip(answers) {
            take(item, answer);
        }
        round(asked);
    }
}

/// The answers about a batch, in its order.
fn ask_round<I: Sync, A: Send>(
    batch: &[I],
    ask: &(impl Fn(&I) -> A + Sync),
    cores: usize,
) -> Vec<A> {
    let pieces: Vec<&[I]> = batch.chunks(TAKEN).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done: Vec<(usize, Vec<A>)> = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(index) else {
                return done;
            };
            done.push((index, piece.iter().map(ask).collect()));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..cores.min(pieces.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().flat_map(|(_, answers)| answers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_answered_once_and_in_order() {
        for count in [0, 1, 17, 40_000] {
            let mut taken = Vec::new();
            let mut last = 0;
            ask_all(
                0..count,
                |item| item * 2,
                |item, answer| taken.push((item, answer)),
                |asked| last = asked,
            );
            let expected: Vec<_> = (0..count).map(|item| (item, item * 2)).collect();
            assert_eq!(taken, expected);
            assert_eq!(last, count);
        }
    }
}
