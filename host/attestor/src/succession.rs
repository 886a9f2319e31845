//! How the generations of an attestor follow each other: what a candidate has
//! to pass before it serves, and what serves when it does not.
//!
//! | what happens | what serves then |
//! |---|---|
//! | a candidate cannot be loaded | the one before, on the trust it has |
//! | its gate refuses it | the same |
//! | it serves and fails too often | the naming before, under the currently configured trust |
//! | the process starts, and what is configured cannot be loaded, or the gate refuses it | the last good naming from disk, under the currently configured trust |
//!
//! A *naming* is what is gated, kept and taken back: components, settings,
//! envelopes and limits, of the attestor and of its clusters, together. Whom
//! an attestor trusts is always what the configuration says: no key that was
//! taken away comes back with an older naming.

mod beginning;
mod beside;
mod candidate;
mod directory;
mod gate;
mod going_back;
mod kept;
mod observer;
mod pins;
mod prepared;
mod recorded;
mod status;

pub use candidate::{Candidate, Rejection};
pub use directory::StateError;
pub use gate::judge_over;
pub use kept::Why;
pub use observer::{Change, Observer, Unobserved};
pub use prepared::Prepared;
pub use status::{
    PolicyStatus, ProbationStatus, Refused, RefusedBy, Serving, Status, SuspendedServer,
};

pub(crate) use observer::News;

use crate::attestor::{Attestor, RolledBack};
use crate::config::{AttestorConfig, Config, Problem, Problems};
use crate::error::chain;
use crate::holders::Holders;
use crate::namings::Namings;
use crate::probation::Probation;
use crate::subject_key::SubjectKeys;
use candidate::TAKEN_BACK_MEANWHILE;
use directory::StateDirectory;
use going_back::GoingBack;
use kept::{Kept, Tenure, Version};
use nameplate_policy::{Digest, Sandbox};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// An attestor and its generations.
#[derive(Debug)]
pub struct Succession {
    name: String,
    attestor: Arc<Attestor>,
    directory: Option<StateDirectory>,
    observer: Arc<dyn Observer>,
    history: Mutex<History>,
}

/// What serves and served.
#[derive(Debug)]
struct History {
    current: Tenure,
    before: Option<Tenure>,
    taken_back: Option<Digest>,
    refused: Option<Refused>,
    holders: Option<Arc<Holders>>,
    warnings: Vec<String>,
    /// What serves, where it could not be put on disk: it is tried again.
    unkept: Option<Namings>,
    /// What was written last, to write nothing twice.
    written: Option<Status>,
    /// Why the status could not be written last, so that it is said once.
    unwritten: Option<String>,
    /// What changed, and nobody was told of yet.
    untold: Vec<Change>,
}

impl Succession {
    /// Begins with what the configuration says, or where that cannot serve
    /// with the last good naming of the state directory. `observer` is told
    /// of the latter.
    ///
    /// # Errors
    /// Every problem found; nothing serves.
    pub fn begin(
        config: &Config,
        attestor: &AttestorConfig,
        sandbox: &Sandbox,
        observer: Arc<dyn Observer>,
        now: SystemTime,
    ) -> Result<Arc<Self>, Problems> {
        let prepared = Prepared::new(config, attestor, sandbox, observer, now)?;
        let (succession, news) = prepared.kept();
        news.tell();
        Ok(succession)
    }

    /// The attestor.
    pub fn attestor(&self) -> &Arc<Attestor> {
        &self.attestor
    }

    /// Lets a candidate serve, and gives the number of the generation.
    pub fn take(&self, candidate: Candidate, now: SystemTime) -> u64 {
        let (number, news) = self.taken(candidate, now);
        news.tell();
        number
    }

    /// The same; who wants to hear of it is told later.
    pub(crate) fn taken(&self, candidate: Candidate, now: SystemTime) -> (u64, News) {
        let now = seconds(now);
        self.update(|history| self.take_for(history, candidate, now))
    }

    fn take_for(&self, history: &mut History, candidate: Candidate, now: u64) -> u64 {
        let Candidate {
            mut generation,
            swaps,
            pins,
            mut warnings,
            configuration,
            mut instead,
            against,
        } = candidate;
        if let (Some(collisions), Some(config)) = (&generation.collisions, &swaps.collisions) {
            collisions.holders.limit(config.limits);
        }
        let mut swapped = false;
        let mut proven = true;
        let number = self.attestor.swap_with(|current| {
            let serving = &current.generation.namings;
            if serving.digest() != against {
                instead = Some(Refused {
                    at: now,
                    by: RefusedBy::FaultRate,
                    reasons: vec![TAKEN_BACK_MEANWHILE.to_owned()],
                });
                let goes_with = serving.are_of_the_clusters_of(&generation.namings)
                    && pins.allow_namings(serving).is_ok();
                if !goes_with {
                    // Nor can what serves now go with what is configured.
                    generation = current.generation.clone();
                }
                generation = generation.named_by(serving.clone());
            }
            swapped = generation.namings.digest() != serving.digest();
            let open = current.probation().filter(|one| one.is_open(now));
            proven = open.is_none();
            let going_back = match swaps.rollback {
                Some(bounds) if swapped => {
                    // One that may fail itself is nothing to go back to.
                    let before = open.map_or(serving, |open| open.before()).clone();
                    GoingBack::to(Ok(before), &generation.namings, &pins, |before| {
                        let subjects = SubjectKeys::of_facts(swaps.subjects.clone());
                        Probation::new(before, bounds, subjects, now)
                    })
                }
                Some(_) | None if swapped => GoingBack::default(),
                Some(_) | None => GoingBack::under_way(open, &pins),
            };
            warnings.extend(going_back.warning);
            (generation.clone(), going_back.probation)
        });
        if let Some(log) = generation.decision_log() {
            log.apply();
        }
        let namings = generation.namings;
        if swapped {
            let tenure = Tenure::of(&namings, number, now, Why::Swapped, configuration);
            let served = std::mem::replace(&mut history.current, tenure);
            if proven {
                history.before = Some(served);
            }
            history.taken_back = None;
        } else {
            history.current.number = number;
            history.current.configuration = configuration;
            if history.current.why == Why::Restored && instead.is_none() {
                // What is configured can serve again, and is the same.
                history.current.why = Why::Configured;
            }
        }
        history.refused = instead;
        history.warn(warnings);
        self.keep(history, &namings, now);
        number
    }

    /// Notes that what is configured does not serve, for the status.
    pub fn refuse(&self, rejection: &Rejection, now: SystemTime) {
        self.refused_by(rejection, now).tell();
    }

    /// The same; who wants to hear of it is told later.
    pub(crate) fn refused_by(&self, rejection: &Rejection, now: SystemTime) -> News {
        let now = seconds(now);
        let ((), news) = self.update(|history| {
            history.refused = Some(rejection.noted(now));
            self.publish(history, now);
        });
        news
    }

    /// What was last refused, while it is still what is configured.
    pub fn refused(&self) -> Option<Refused> {
        self.history().refused.clone()
    }

    /// The generations, as they are seen from outside.
    pub fn status(&self, now: SystemTime) -> Status {
        self.status_of(&self.history(), seconds(now))
    }

    /// Writes the status to the state directory, where it has changed; and what
    /// serves, where that failed before.
    pub fn write_status(&self, now: SystemTime) {
        let ((), news) = self.update(|history| match history.unkept.take() {
            Some(namings) => self.keep(history, &namings, seconds(now)),
            None => self.publish(history, seconds(now)),
        });
        news.tell();
    }

    fn rolled_back(&self, rolled_back: RolledBack) {
        let RolledBack {
            number,
            namings,
            from,
            rate,
            counted,
            at,
        } = rolled_back;
        let counted = counted.as_str();
        let refused = Refused {
            at,
            by: RefusedBy::FaultRate,
            reasons: vec![format!(
                "policy {} failed {} of {} {counted} after the swap",
                from.of(None).label,
                rate.faults,
                rate.asked
            )],
        };
        let ((), news) = self.update(|history| {
            let configuration = history.current.configuration;
            let current = self.attestor.current();
            // A swap of trust alone may have come between.
            let number = match current.generation.namings.digest() == namings.digest() {
                true => current.number,
                false => number,
            };
            let tenure = Tenure::of(&namings, number, at, Why::RolledBack, configuration);
            history.before = Some(std::mem::replace(&mut history.current, tenure));
            history.taken_back = Some(from.digest());
            history.refused = Some(refused.clone());
            self.keep(history, &namings, at);
            history.untold.push(Change::RolledBack {
                generation: number,
                refused,
            });
        });
        news.tell();
    }

    /// Puts on disk what serves and served.
    fn keep(&self, history: &mut History, namings: &Namings, now: u64) {
        let Some(directory) = &self.directory else {
            return;
        };
        let kept = Kept {
            version: Version,
            current: history.current.clone(),
            before: history.before.clone(),
            taken_back: history.taken_back,
            probation: self
                .attestor
                .current()
                .probation()
                .filter(|probation| probation.is_open(now))
                .map(|probation| probation.ends()),
        };
        if let Err(error) = kept.write(directory, namings) {
            let warning = format!("{UNKEPT}: {}", chain(&error));
            if !history.warnings.contains(&warning) {
                history.untold.push(Change::Warning(warning.clone()));
                history.warnings.push(warning);
            }
            history.unkept = Some(namings.clone());
        } else {
            history.unkept = None;
            history
                .warnings
                .retain(|warning| !warning.starts_with(UNKEPT));
        }
        self.publish(history, now);
    }

    fn publish(&self, history: &mut History, now: u64) {
        let Some(directory) = &self.directory else {
            return;
        };
        let status = self.status_of(history, now);
        let unchanged = history.written.as_ref().is_some_and(|written| {
            let written = Status {
                written: status.written,
                ..written.clone()
            };
            written == status
        });
        if unchanged {
            return;
        }
        match status.write(directory).map_err(|error| chain(&error)) {
            Ok(()) => {
                history.written = Some(status);
                history.unwritten = None;
            }
            Err(why) if history.unwritten.as_ref() == Some(&why) => {}
            Err(why) => {
                history.untold.push(Change::Warning(why.clone()));
                history.unwritten = Some(why);
            }
        }
    }

    fn status_of(&self, history: &History, now: u64) -> Status {
        let current = self.attestor.current();
        let generation = &current.generation;
        let holders = generation.collisions.as_ref();
        Status {
            attestor: self.name.clone(),
            written: now,
            serving: Serving::of(&history.current),
            before: history.before.as_ref().map(Serving::of),
            refused: history.refused.clone(),
            probation: current
                .probation()
                .filter(|probation| now <= probation.ends())
                .map(|probation| ProbationStatus {
                    rate: probation.rate(),
                    counted: probation.counted(),
                    until: probation.ends(),
                }),
            shadow: generation.shadow.as_ref().map(|shadow| shadow.status()),
            holders: holders.and_then(|collisions| collisions.holders.status().ok()),
            suspended: SuspendedServer::of(generation.verifier.asked_servers()),
            warnings: history.warnings.clone(),
        }
    }

    /// Changes the history, and returns the news, to be told once the history
    /// is no longer locked.
    fn update<T>(&self, change: impl FnOnce(&mut History) -> T) -> (T, News) {
        let mut history = self.history();
        let value = change(&mut history);
        let untold = std::mem::take(&mut history.untold);
        drop(history);
        (value, News::new(&self.observer, &self.name, untold))
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn warn(&mut self, warnings: Vec<String>) {
        let told = warnings.iter().cloned().map(Change::Warning);
        self.untold.extend(told);
        self.warnings = warnings;
    }
}

/// How the warning of state that was not written begins.
const UNKEPT: &str = "a restart would not find what serves";

fn of_state(config: &Config, error: &(dyn std::error::Error + 'static)) -> Problems {
    let text = format!("`state_directory`: {}", chain(error));
    config.source.problems(vec![Problem::error(None, text)])
}

fn digest_of(config: &Config) -> Digest {
    Digest::of(config.source.text.as_bytes())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
