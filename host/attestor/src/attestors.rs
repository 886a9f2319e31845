//! All attestors of one configuration file, reloaded as a whole.

use crate::attestor::Attestor;
use crate::config::{AttestorConfig, Config, Problems};
use crate::generation::Generation;
use crate::watch::{Contents, WatchError, WatchOptions, Watcher};
use arc_swap::ArcSwap;
use nameplate_policy::Sandbox;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The attestors that a configuration file describes.
#[derive(Debug)]
pub struct Attestors {
    path: PathBuf,
    sandbox: Sandbox,
    recording: Recording,
    by_name: ArcSwap<BTreeMap<String, Arc<Attestor>>>,
    /// What was last read. Held while a reload is under way, so that an older
    /// file can't replace a newer one.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    files: Vec<PathBuf>,
    warnings: Problems,
    /// What the files held before they were read for the first time: a
    /// watcher that begins later looks for what changed since.
    at_first: Contents,
}

/// Whether the decision logs that a configuration asks for are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recording {
    On,
    Off,
}

/// What a reload put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Attestors that serve now, with the number of their generation.
    pub serving: Vec<(String, u64)>,
    /// Attestors that the file no longer describes.
    pub removed: Vec<String>,
}

/// What became of a change that the watcher saw.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// The new generation serves.
    Swapped(Reload),
    /// The candidate is refused; the generation before it goes on serving.
    Refused(Problems),
}

impl Attestors {
    /// Reads the configuration at `path`, loads every policy it names and
    /// opens the decision logs it asks for.
    ///
    /// # Errors
    /// Every problem found, each with its place in the file.
    pub fn open(path: &Path, sandbox: Sandbox) -> Result<Self, Problems> {
        Self::begin(path, sandbox, Recording::On)
    }

    /// The same, and no decision is recorded: to ask what would be decided,
    /// beside the process that does decide.
    ///
    /// # Errors
    /// As [`Attestors::open`].
    pub fn open_unrecorded(path: &Path, sandbox: Sandbox) -> Result<Self, Problems> {
        Self::begin(path, sandbox, Recording::Off)
    }

    fn begin(path: &Path, sandbox: Sandbox, recording: Recording) -> Result<Self, Problems> {
        // Read twice: the first time only says which files there are.
        let at_first = Contents::read(&Config::read(path)?.files);
        let config = Config::read(path)?;
        let by_name = load(&config, &sandbox, recording)?
            .into_iter()
            .map(|(name, generation)| (name, Arc::new(Attestor::new(generation))))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            sandbox,
            recording,
            by_name: ArcSwap::from_pointee(by_name),
            state: Mutex::new(State {
                files: config.files,
                warnings: config.warnings,
                at_first,
            }),
        })
    }

    /// The attestor called `name`.
    pub fn named(&self, name: &str) -> Option<Arc<Attestor>> {
        self.by_name.load().get(name).cloned()
    }

    /// Names of all attestors, sorted.
    pub fn names(&self) -> Vec<String> {
        self.by_name.load().keys().cloned().collect()
    }

    /// The files that decide: the configuration, keys, certificates, policies.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().files.clone()
    }

    /// What the configuration says that does less than the operator may think.
    pub fn warnings(&self) -> Problems {
        self.state().warnings.clone()
    }

    /// Reads everything again and puts it in place, all of it or nothing.
    ///
    /// # Errors
    /// Every problem found; what served before goes on serving.
    pub fn reload(&self) -> Result<Reload, Problems> {
        let mut state = self.state();
        let candidate = Config::read(&self.path).and_then(|config| {
            let generations = load(&config, &self.sandbox, self.recording)?;
            Ok((config, generations))
        });
        let (config, generations) = candidate.inspect_err(|problems| {
            // A change of any of these may be the cure.
            if !problems.files.is_empty() {
                state.files.clone_from(&problems.files);
            }
        })?;
        let before = self.by_name.load_full();
        let mut serving = Vec::new();
        let after: BTreeMap<_, _> = generations
            .into_iter()
            .map(|(name, generation)| {
                let attestor = match before.get(&name) {
                    Some(attestor) => {
                        serving.push((name.clone(), attestor.swap(generation)));
                        Arc::clone(attestor)
                    }
                    None => {
                        serving.push((name.clone(), 1));
                        Arc::new(Attestor::new(generation))
                    }
                };
                (name, attestor)
            })
            .collect();
        let gone = |name: &&String| !after.contains_key(*name);
        let removed = before.keys().filter(gone).cloned().collect();
        self.by_name.store(Arc::new(after));
        state.files = config.files;
        state.warnings = config.warnings;
        Ok(Reload { serving, removed })
    }

    /// Reloads whenever the contents of a file that decides change, until the
    /// watcher is dropped. `on_event` runs on the watcher's thread; for what
    /// changed between [`Attestors::open`] and now, on this one.
    ///
    /// # Errors
    /// [`WatchError`] when watching cannot begin.
    pub fn watch(
        self: &Arc<Self>,
        options: WatchOptions,
        on_event: impl Fn(WatchEvent) + Send + Sync + 'static,
    ) -> Result<Watcher, WatchError> {
        let attestors = Arc::clone(self);
        let reload = Arc::new(move || {
            on_event(match attestors.reload() {
                Ok(reload) => WatchEvent::Swapped(reload),
                Err(problems) => WatchEvent::Refused(problems),
            });
            attestors.files()
        });
        let on_change = Arc::clone(&reload);
        let watcher = Watcher::spawn(options, self.files(), move || on_change())?;
        let missed = {
            let state = self.state();
            Contents::read(&state.files) != state.at_first
        };
        if missed {
            reload();
        }
        Ok(watcher)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads every attestor, and finds the problems of all of them.
///
/// Logs are opened when everything else is good: that is what writes.
fn load(
    config: &Config,
    sandbox: &Sandbox,
    recording: Recording,
) -> Result<Vec<(String, Generation)>, Problems> {
    let load = |attestor: &AttestorConfig| -> Result<_, Problems> {
        let generation = Generation::load(config, attestor, sandbox)?;
        Ok((attestor.name.to_string(), generation))
    };
    let (good, bad): (Vec<_>, Vec<_>) = config.attestors.iter().map(load).partition(Result::is_ok);
    let mut all: Option<Problems> = None;
    for problems in bad.into_iter().filter_map(Result::err) {
        match &mut all {
            Some(all) => all.list.extend(problems.list),
            None => all = Some(problems),
        }
    }
    match all {
        Some(problems) => Err(problems),
        None => good
            .into_iter()
            .filter_map(Result::ok)
            .zip(&config.attestors)
            .map(|((name, generation), attestor)| match recording {
                Recording::On => Ok((name, generation.open_decision_log(config, attestor)?)),
                Recording::Off => Ok((name, generation)),
            })
            .collect(),
    }
}
