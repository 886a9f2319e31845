//! Tries mutants on every core, and keeps those that nobody notices.
//!
//! Decides the order and when to stop; whether a mutant is noticed, and what
//! time it is, the caller says.

use crate::order::shuffled;
use crate::plan::{Mutant, Place, Plan, Site};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// How to try mutants.
pub struct Hunt<'a> {
    /// Chooses the order. Equal seeds give equal orders.
    pub seed: u64,
    /// Most mutants to try.
    pub most: usize,
    /// How many to try at once.
    pub threads: usize,
    /// Whether it is time to stop.
    pub over: &'a (dyn Fn() -> bool + Sync),
    /// Told from time to time how many are done, of how many.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl std::fmt::Debug for Hunt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hunt")
            .field("seed", &self.seed)
            .field("most", &self.most)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// Whether somebody notices a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// Somebody does.
    Yes,
    /// Nobody does.
    No,
    /// It is refused before anyone could.
    Refused,
}

/// What came of a hunt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Mutants that there are.
    pub mutants: usize,
    /// Those that somebody noticed.
    pub noticed: usize,
    /// Those that were refused before anyone could.
    pub refused: usize,
    /// Those that nobody noticed, by their places.
    pub unnoticed: Vec<Mutant>,
    /// Where nothing got to, by functions.
    pub unreached: Vec<Unreached>,
    /// Those for which there was no time, or that were not to be tried.
    pub untried: usize,
}

/// Code of a function that nothing got to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// The first place that was tried, or the function's beginning.
    pub place: Place,
    /// Whether nothing got even to its beginning.
    pub whole: bool,
    /// Mutants that were not tried for it.
    pub mutants: usize,
}

/// After how many mutants the caller is told.
const TOLD_EVERY: usize = 100;

/// Tries the mutants of a plan. `notices` runs a component, and says whether
/// it is found out; it is called on several threads.
pub fn hunt(
    plan: &Plan<'_>,
    hunt: &Hunt<'_>,
    notices: &(dyn Fn(&[u8]) -> Noticed + Sync),
) -> Report {
    let order = shuffled((0..plan.sites.len()).collect(), hunt.seed);
    let chosen: Vec<&Site> = order
        .into_iter()
        .take(hunt.most)
        .filter_map(|index| plan.sites.get(index))
        .collect();
    let tracks = Tracks {
        plan,
        notices,
        reached: plan.stretches.iter().map(|_| OnceLock::new()).collect(),
    };
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let found = Mutex::new(Found::default());
    thread::scope(|scope| {
        for _ in 0..hunt.threads.clamp(1, 256) {
            scope.spawn(|| {
                while !(hunt.over)() {
                    let Some(site) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    let fate = tracks.fate(site);
                    found
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(site, fate);
                    let done = done.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                    if done.is_multiple_of(TOLD_EVERY) {
                        (hunt.progress)(done, chosen.len());
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.report(plan.sites.len())
}

/// What became of one mutant.
enum Fate {
    Tried(Noticed),
    /// Nothing gets there.
    Unreached {
        place: Place,
        whole: bool,
    },
}

/// What is known of where the cases get to.
struct Tracks<'a> {
    plan: &'a Plan<'a>,
    notices: &'a (dyn Fn(&[u8]) -> Noticed + Sync),
    reached: Vec<OnceLock<bool>>,
}

impl Tracks<'_> {
    fn fate(&self, site: &Site) -> Fate {
        let mut unreached = None;
        for &stretch in &site.stretches {
            match self.missed(stretch) {
                None => return Fate::Tried((self.notices)(&self.plan.mutated(site))),
                Some(missed) => unreached = unreached.or(Some(missed)),
            }
        }
        match unreached {
            Some((place, whole)) => Fate::Unreached { place, whole },
            // Named by nobody, so that only the mutant itself can tell.
            None => Fate::Tried((self.notices)(&self.plan.mutated(site))),
        }
    }

    /// Where `stretch` is, if nothing gets there; and whether nothing gets
    /// into its function.
    fn missed(&self, stretch: usize) -> Option<(Place, bool)> {
        let found = self.plan.stretches.get(stretch)?;
        if !self.is_reached(found.entry) {
            let entry = self.plan.stretches.get(found.entry)?;
            return Some((entry.place.clone(), true));
        }
        let mut above = found.parent;
        while let Some(stretch) = above {
            // What has not been tried may still be reached.
            if self.reached.get(stretch).and_then(OnceLock::get) == Some(&false) {
                return Some((found.place.clone(), false));
            }
            above = self.plan.stretches.get(stretch)?.parent;
        }
        (!self.is_reached(stretch)).then(|| (found.place.clone(), false))
    }

    /// Puts a trap there, once, and sees whether anyone runs into it.
    fn is_reached(&self, stretch: usize) -> bool {
        let (Some(known), Some(found)) =
            (self.reached.get(stretch), self.plan.stretches.get(stretch))
        else {
            return false;
        };
        *known.get_or_init(|| (self.notices)(&self.plan.trapped(found)) == Noticed::Yes)
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    noticed: usize,
    refused: usize,
    unnoticed: Vec<Mutant>,
    unreached: BTreeMap<(usize, Option<u32>), Unreached>,
}

impl Found {
    fn add(&mut self, site: &Site, fate: Fate) {
        match fate {
            Fate::Tried(Noticed::Yes) => self.noticed = self.noticed.saturating_add(1),
            Fate::Tried(Noticed::Refused) => self.refused = self.refused.saturating_add(1),
            Fate::Tried(Noticed::No) => self.unnoticed.push(site.mutant.clone()),
            Fate::Unreached { place, whole } => {
                let unreached = self
                    .unreached
                    .entry((place.module, place.function))
                    .or_insert_with(|| Unreached {
                        place: place.clone(),
                        whole,
                        mutants: 0,
                    });
                unreached.mutants = unreached.mutants.saturating_add(1);
                if place.offset < unreached.place.offset {
                    unreached.place = place;
                }
            }
        }
    }

    fn report(mut self, mutants: usize) -> Report {
        self.unnoticed
            .sort_by(|one, other| (&one.place, &one.becomes).cmp(&(&other.place, &other.becomes)));
        let unreached: Vec<_> = self.unreached.into_values().collect();
        let skipped: usize = unreached.iter().map(|unreached| unreached.mutants).sum();
        let known = [self.noticed, self.refused, self.unnoticed.len(), skipped];
        Report {
            mutants,
            noticed: self.noticed,
            refused: self.refused,
            untried: mutants.saturating_sub(known.iter().sum()),
            unnoticed: self.unnoticed,
            unreached,
        }
    }
}

#[cfg(test)]
mod tests;
