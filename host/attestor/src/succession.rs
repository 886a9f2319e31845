//! How the generations of an attestor follow each other: what a candidate has
//! to pass before it serves, and what serves when it does not.
//!
//! | what happens | what serves then |
//! |---|---|
//! | a candidate cannot be loaded | the one before, on the trust it has |
//! | its gate refuses it | the same |
//! | it serves and fails too often | the naming before, for whom is trusted now |
//! | the process starts, and what is configured cannot be loaded, or the gate refuses it | the last good naming from disk, for whom is trusted now |
//!
//! A *naming* is what is gated, kept and taken back: components, settings,
//! envelopes and limits, of the attestor and of its clusters, together. Whom
//! an attestor trusts is always what the configuration says: no key that was
//! taken away comes back with an older naming.

mod beginning;
mod directory;
mod gate;
mod going_back;
mod kept;
mod recorded;
mod status;

pub use directory::StateError;
pub use kept::Why;
pub use status::{PolicyStatus, ProbationStatus, Refused, RefusedBy, Serving, Status};

use crate::attestor::{Attestor, RolledBack};
use crate::collisions::Collisions;
use crate::config::{AttestorConfig, Config, Problem, Problems, SwapsConfig};
use crate::error::chain;
use crate::generation::Generation;
use crate::holders::Holders;
use crate::namings::Namings;
use crate::probation::Probation;
use crate::shadow::Shadow;
use crate::subject_key::SubjectKeys;
use beginning::Beginning;
use directory::StateDirectory;
use going_back::GoingBack;
use kept::{Kept, Tenure, Version};
use nameplate_policy::{Digest, Sandbox};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Who is told what became of an attestor's generations, once for each change.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Something changed at the attestor `name`. May be called on a thread
    /// that attests.
    fn changed(&self, name: &str, change: &Change);
}

/// A change that an operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What is configured could not serve: the last good naming does.
    Restored(Refused),
    /// The naming that served failed too often: the one before it serves.
    RolledBack {
        /// Number of the generation that serves now.
        generation: u64,
        /// What was refused by that.
        refused: Refused,
    },
    /// What serves is as it should be, but something beside it is not: state
    /// that was not written, a shadow that does not run.
    Warning(String),
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn changed(&self, _: &str, _: &Change) {}
}

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
}

/// A candidate that may serve.
#[derive(Debug)]
pub struct Candidate {
    generation: Generation,
    swaps: SwapsConfig,
    warnings: Vec<String>,
    configuration: Digest,
    /// Where it is not the candidate's own naming that may serve.
    instead: Option<Refused>,
    /// The naming that it was judged against.
    against: Digest,
}

/// Why a candidate may not serve.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Every problem found.
    pub problems: Problems,
    /// Who found them.
    pub by: RefusedBy,
}

impl Rejection {
    /// What the status says of it.
    fn noted(&self, at: u64) -> Refused {
        let reasons = self.problems.to_string();
        Refused {
            at,
            by: self.by,
            reasons: reasons.lines().map(str::to_owned).collect(),
        }
    }
}

impl From<Problems> for Rejection {
    /// Of the configuration itself.
    fn from(problems: Problems) -> Self {
        Self {
            problems,
            by: RefusedBy::Configuration,
        }
    }
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
        let swaps = &attestor.swaps;
        let directory = match &swaps.state {
            Some(path) => Some(
                StateDirectory::open(path, swaps.directory_check)
                    .map_err(|e| of_state(config, &e))?,
            ),
            None => None,
        };
        let kept = match &directory {
            Some(directory) => Kept::read(directory).map_err(|error| of_state(config, &error))?,
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
        let succession = Arc::new(Self {
            name: attestor.name.to_string(),
            attestor: Arc::new(first),
            directory,
            observer,
            history: Mutex::new(History {
                current: beginning.tenure,
                before: beginning.before,
                taken_back,
                refused: beginning.refused,
                holders,
                warnings: Vec::new(),
                unkept: None,
                written: None,
            }),
        });
        let told = Arc::downgrade(&succession);
        succession.attestor.on_rollback(move |rolled_back| {
            if let Some(succession) = told.upgrade() {
                succession.rolled_back(rolled_back);
            }
        });
        let mut history = succession.history();
        if let Some(refused) = history.refused.clone() {
            succession.tell(&Change::Restored(refused));
        }
        succession.warn(&mut history, warnings);
        succession.keep(&mut history, &beginning.namings, seconds(now));
        drop(history);
        Ok(succession)
    }

    /// The attestor.
    pub fn attestor(&self) -> &Arc<Attestor> {
        &self.attestor
    }

    /// Loads a candidate and judges it. What serves goes on serving meanwhile,
    /// and afterwards.
    ///
    /// # Errors
    /// Every problem found, and who found it; [`Succession::refuse`] puts it
    /// into the status.
    pub fn judge(
        &self,
        config: &Config,
        attestor: &AttestorConfig,
        sandbox: &Sandbox,
        now: SystemTime,
    ) -> Result<Candidate, Rejection> {
        let swaps = attestor.swaps.clone();
        let path = self.directory.as_ref().map(StateDirectory::path);
        if path != swaps.state.as_deref() {
            let text = "`state_directory` is another than at the start: it changes with a restart";
            let problems = config.source.problems(vec![Problem::error(None, text)]);
            return Err(problems.into());
        }
        let current = self.attestor.current();
        let serving = &current.generation.namings;
        let against = serving.digest();
        let candidate = |namings: Namings, instead| -> Result<Candidate, Rejection> {
            let mut generation = Generation::trusting(config, attestor, namings);
            let holders = &mut self.history().holders;
            generation.collisions = collisions(&swaps, self.directory.as_ref(), holders)
                .map_err(|error| of_state(config, &error))?;
            let (shadow, warnings) =
                shadow(&swaps, sandbox, &generation, Some(&current.generation));
            generation.shadow = shadow;
            Ok(Candidate {
                generation: generation.open_decision_log(config, attestor)?,
                swaps: swaps.clone(),
                warnings,
                configuration: digest_of(config),
                instead,
                against,
            })
        };
        let namings = Namings::load(attestor, sandbox).map_err(|list| {
            let mut problems = config.source.problems(list);
            problems.files.clone_from(&config.files);
            Rejection {
                problems,
                by: RefusedBy::Loading,
            }
        })?;
        if namings.digest() == against {
            return candidate(namings, None);
        }
        let taken_back = self.history().taken_back;
        if taken_back == Some(namings.digest()) {
            if !namings.are_of_the_clusters_of(serving) {
                // What serves cannot stand in for it on this trust.
                let problem = Problem::error(attestor.naming.place.source(), TAKEN_BACK);
                return Err(Rejection {
                    problems: config.source.problems(vec![problem]),
                    by: RefusedBy::FaultRate,
                });
            }
            let refused = Refused {
                at: seconds(now),
                by: RefusedBy::FaultRate,
                reasons: vec![TAKEN_BACK.to_owned()],
            };
            return candidate(serving.clone(), Some(refused));
        }
        if let Some(gate) = &swaps.gate {
            let bench = gate::Bench {
                namespace: &current.generation.namespace,
                serving,
                candidate: &namings,
                subjects: &SubjectKeys::of_facts(swaps.subjects.clone()),
            };
            gate::judge(gate, &bench).map_err(|reasons| Rejection {
                problems: of_gate(config, attestor, &reasons),
                by: RefusedBy::Gate,
            })?;
        }
        candidate(namings, None)
    }

    /// Lets a candidate serve, and gives the number of the generation.
    pub fn take(&self, candidate: Candidate, now: SystemTime) -> u64 {
        let now = seconds(now);
        let mut history = self.history();
        let Candidate {
            mut generation,
            swaps,
            warnings,
            configuration,
            mut instead,
            against,
        } = candidate;
        if let (Some(collisions), Some(config)) = (&generation.collisions, &swaps.collisions) {
            collisions.holders.limit(config.limits);
        }
        let mut swapped = false;
        let mut proven = true;
        let mut warnings = warnings;
        let number = self.attestor.swap_with(|current| {
            let serving = &current.generation.namings;
            if serving.digest() != against {
                instead = Some(Refused {
                    at: now,
                    by: RefusedBy::FaultRate,
                    reasons: vec![TAKEN_BACK_MEANWHILE.to_owned()],
                });
                if !serving.are_of_the_clusters_of(&generation.namings) {
                    // Nor can what serves now go with the candidate's trust.
                    generation = current.generation.clone();
                }
                generation = generation.named_by(serving.clone());
            }
            swapped = generation.namings.digest() != serving.digest();
            let open = current.probation().filter(|one| one.is_open(now));
            proven = open.is_none();
            let probation = match swaps.rollback {
                Some(bounds) if swapped => {
                    // One that may fail itself is nothing to go back to.
                    let before = open.map_or(serving, |open| open.before()).clone();
                    let going_back = GoingBack::to(Ok(before), &generation.namings, |before| {
                        Probation::new(before, bounds, now)
                    });
                    warnings.extend(going_back.warning);
                    going_back.probation
                }
                Some(_) | None if swapped => None,
                Some(_) | None => current.probation().cloned(),
            };
            (generation.clone(), probation)
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
        self.warn(&mut history, warnings);
        self.keep(&mut history, &namings, now);
        number
    }

    /// Notes that what is configured does not serve, for the status.
    pub fn refuse(&self, rejection: &Rejection, now: SystemTime) {
        let mut history = self.history();
        history.refused = Some(rejection.noted(seconds(now)));
        self.publish(&mut history, seconds(now));
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
        let mut history = self.history();
        match history.unkept.take() {
            Some(namings) => self.keep(&mut history, &namings, seconds(now)),
            None => self.publish(&mut history, seconds(now)),
        }
    }

    fn rolled_back(&self, rolled_back: RolledBack) {
        let RolledBack {
            number,
            namings,
            from,
            rate,
            at,
        } = rolled_back;
        let refused = Refused {
            at,
            by: RefusedBy::FaultRate,
            reasons: vec![format!(
                "policy {} failed {} of {} attestations after the swap",
                from.of(None).label,
                rate.faults,
                rate.asked
            )],
        };
        let mut history = self.history();
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
        self.keep(&mut history, &namings, at);
        drop(history);
        self.tell(&Change::RolledBack {
            generation: number,
            refused,
        });
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
                self.tell(&Change::Warning(warning.clone()));
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
        match status.write(directory) {
            Ok(()) => history.written = Some(status),
            Err(error) => self.tell(&Change::Warning(chain(&error))),
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
                    until: probation.ends(),
                }),
            shadow: generation.shadow.as_ref().map(|shadow| shadow.status()),
            holders: holders.and_then(|collisions| collisions.holders.status().ok()),
            warnings: history.warnings.clone(),
        }
    }

    fn warn(&self, history: &mut History, warnings: Vec<String>) {
        for warning in &warnings {
            self.tell(&Change::Warning(warning.clone()));
        }
        history.warnings = warnings;
    }

    fn tell(&self, change: &Change) {
        self.observer.changed(&self.name, change);
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the warning of state that was not written begins.
const UNKEPT: &str = "a restart would not find what serves";

/// What is said of a candidate that has served and failed.
const TAKEN_BACK: &str = "it has served and was taken back: it serves again when its policy, \
                          settings, envelope or limits are others";

/// What is said where a rollback overtook a swap.
const TAKEN_BACK_MEANWHILE: &str = "what it was judged against was taken back meanwhile: \
                                    the next change of a file is judged anew";

/// Where it is remembered who holds which ID. Opened once: another
/// configuration changes its limits.
fn collisions(
    swaps: &SwapsConfig,
    directory: Option<&StateDirectory>,
    holders: &mut Option<Arc<Holders>>,
) -> Result<Option<Collisions>, crate::HoldersError> {
    let (Some(config), Some(directory)) = (&swaps.collisions, directory) else {
        return Ok(None);
    };
    let holders = match holders {
        Some(holders) => Arc::clone(holders),
        None => {
            let opened = Arc::new(Holders::open_checked(
                directory.path(),
                config.limits,
                swaps.directory_check,
            )?);
            Arc::clone(holders.insert(opened))
        }
    };
    Ok(Some(Collisions {
        holders,
        on: config.on,
        subjects: SubjectKeys::of_facts(swaps.subjects.clone()),
    }))
}

/// The shadow beside `generation`: the one that runs, where it would be the
/// same. That there is none is a warning: it must never stand in the way.
fn shadow(
    swaps: &SwapsConfig,
    sandbox: &Sandbox,
    generation: &Generation,
    serving: Option<&Generation>,
) -> (Option<Arc<Shadow>>, Vec<String>) {
    let Some(config) = &swaps.shadow else {
        return (None, Vec::new());
    };
    let warning = |text: String| (None, vec![format!("no shadow runs: {text}")]);
    let naming = match config.load(sandbox) {
        Ok(naming) => naming,
        Err(list) => {
            let list: Vec<_> = list.into_iter().map(|problem| problem.message).collect();
            return warning(list.join("; "));
        }
    };
    let running = serving
        .filter(|serving| serving.namings.digest() == generation.namings.digest())
        .and_then(|serving| serving.shadow.as_ref())
        .filter(|shadow| shadow.naming().is_like(&naming));
    if let Some(running) = running {
        return (Some(Arc::clone(running)), Vec::new());
    }
    match Shadow::beside(generation.namespace.clone(), naming) {
        Ok(shadow) => (Some(Arc::new(shadow)), Vec::new()),
        Err(error) => warning(error.to_string()),
    }
}

fn of_state(config: &Config, error: &(dyn std::error::Error + 'static)) -> Problems {
    let text = format!("`state_directory`: {}", chain(error));
    config.source.problems(vec![Problem::error(None, text)])
}

fn of_gate(config: &Config, attestor: &AttestorConfig, reasons: &[String]) -> Problems {
    let place = attestor.naming.place.source();
    let problem = |reason: &String| Problem::error(place.clone(), format!("the gate: {reason}"));
    let mut problems = config
        .source
        .problems(reasons.iter().map(problem).collect());
    problems.files.clone_from(&config.files);
    problems
}

fn digest_of(config: &Config) -> Digest {
    Digest::of(config.source.text.as_bytes())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
