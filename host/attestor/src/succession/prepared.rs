//! An attestor that may begin, and of which nothing is kept yet.
//!
//! All attestors are prepared before the naming of one of them is kept, so the
//! last good naming on disk has served.

use super::beginning::Beginning;
use super::beside::{collisions, shadow};
use super::directory::{StateDirectory, StateError};
use super::kept::Kept;
use super::observer::{Change, News, Observer};
use super::{History, Succession, of_state, seconds};
use crate::attestor::Attestor;
use crate::config::{AttestorConfig, Config, Problems};
use crate::generation::Generation;
use crate::namings::Namings;
use nameplate_policy::Sandbox;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// An attestor that may begin. Dropping it keeps nothing.
#[derive(Debug)]
#[must_use = "nothing of it is kept before it is"]
pub struct Prepared {
    succession: Arc<Succession>,
    namings: Namings,
    warnings: Vec<String>,
    /// In seconds since 1970.
    now: u64,
}

/// What was kept and cannot be read keeps an attestor from starting: an
/// operator has to know that it can be taken away.
fn of_kept(config: &Config, error: &StateError) -> Problems {
    let mut problems = of_state(config, error);
    if let StateError::Malformed { .. } = error {
        let help = "move it away to start with what is configured: nothing is left to judge it \
                    against";
        let list = std::mem::take(&mut problems.list);
        problems.list = list.into_iter().map(|one| one.with_help(help)).collect();
    }
    problems
}

impl Prepared {
    /// Prepares what [`Succession::begin`] begins with.
    ///
    /// # Errors
    /// Every problem found.
    pub fn new(
        config: &Config,
        attestor: &AttestorConfig,
        sandbox: &Sandbox,
        observer: Arc<dyn Observer>,
        now: SystemTime,
    ) -> Result<Self, Problems> {
        let swaps = &attestor.swaps;
        let directory = match &swaps.state {
            Some(path) => Some(
                StateDirectory::open(path, swaps.directory_check)
                    .map_err(|e| of_state(config, &e))?,
            ),
            None => None,
        };
        let kept = match &directory {
            Some(directory) => Kept::read(directory).map_err(|error| of_kept(config, &error))?,
            None => None,
        };
        let taken_back = kept.as_ref().and_then(|kept| kept.taken_back);
        let beginning =
            Beginning::choose(config, attestor, sandbox, directory.as_ref(), kept, now)?;
        let mut holders = None;
        let mut generation = Generation::trusting(config, attestor, beginning.namings.clone());
        generation.collisions = collisions(swaps, directory.as_ref(), &mut holders)
            .map_err(|error| of_state(config, &error))?;
        let (shadow, mut warnings) = shadow(swaps, sandbox, &generation, None);
        warnings.extend(beginning.warnings);
        generation.shadow = shadow;
        let generation = generation.open_decision_log(config, attestor)?;
        let number = beginning.tenure.number;
        let first = Attestor::beginning_at(number, generation, beginning.probation);
        let succession = Arc::new(Succession {
            name: attestor.name.to_string(),
            attestor: Arc::new(first),
            directory,
            observer,
            history: Mutex::new(History {
                // A naming that serves again is not one that may not.
                taken_back: taken_back.filter(|digest| *digest != beginning.tenure.digest),
                current: beginning.tenure,
                before: beginning.before,
                refused: beginning.refused,
                holders,
                warnings: Vec::new(),
                unkept: None,
                written: None,
                unwritten: None,
                untold: Vec::new(),
            }),
        });
        let told = Arc::downgrade(&succession);
        succession.attestor.on_rollback(move |rolled_back| {
            if let Some(succession) = told.upgrade() {
                succession.rolled_back(rolled_back);
            }
        });
        Ok(Self {
            succession,
            namings: beginning.namings,
            warnings,
            now: seconds(now),
        })
    }

    /// Keeps what serves, and gives the attestor that may now attest.
    pub(crate) fn kept(self) -> (Arc<Succession>, News) {
        let Self {
            succession,
            namings,
            warnings,
            now,
        } = self;
        let ((), news) = succession.update(|history| {
            let restored = history.refused.clone().map(Change::Restored);
            history.untold.extend(restored);
            history.warn(warnings);
            succession.keep(history, &namings, now);
        });
        (succession, news)
    }
}
