//! All attestors of one configuration file, reloaded as a whole.

use crate::attestor::Attestor;
use crate::config::{AttestorConfig, Config, Problems, SwapsConfig};
use crate::succession::{Candidate, News, Observer, Prepared, Succession, Unobserved};
use crate::watch::{Contents, WatchError, WatchOptions, Watcher};
use arc_swap::ArcSwap;
use nameplate_policy::Sandbox;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The attestors that a configuration file describes.
#[derive(Debug)]
pub struct Attestors {
    path: PathBuf,
    sandbox: Sandbox,
    keeping: Keeping,
    observer: Arc<dyn Observer>,
    by_name: ArcSwap<BTreeMap<String, Arc<Succession>>>,
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

/// Whether anything outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    On,
    Off,
}

impl Keeping {
    /// Reads a configuration, without what it asks to be kept where that is off.
    fn read(self, path: &Path) -> Result<Config, Problems> {
        let mut config = Config::read(path)?;
        if self == Self::Off {
            for attestor in &mut config.attestors {
                attestor.swaps = SwapsConfig::default();
                attestor.decision_log = None;
            }
        }
        Ok(config)
    }
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
        Self::begin(
            path,
            sandbox,
            Keeping::On,
            Arc::new(Unobserved),
            SystemTime::now(),
        )
    }

    /// The same, where `observer` is told what becomes of generations besides
    /// what [`Attestors::reload`] says: rollbacks, and what was restored. It is
    /// `now`.
    ///
    /// # Errors
    /// As [`Attestors::open`].
    pub fn open_observed(
        path: &Path,
        sandbox: Sandbox,
        observer: Arc<dyn Observer>,
        now: SystemTime,
    ) -> Result<Self, Problems> {
        Self::begin(path, sandbox, Keeping::On, observer, now)
    }

    /// The same as [`Attestors::open`], and nothing is kept or recorded: to ask
    /// what would be decided, beside the process that does decide.
    ///
    /// # Errors
    /// As [`Attestors::open`].
    pub fn open_unrecorded(path: &Path, sandbox: Sandbox) -> Result<Self, Problems> {
        Self::begin(
            path,
            sandbox,
            Keeping::Off,
            Arc::new(Unobserved),
            SystemTime::now(),
        )
    }

    fn begin(
        path: &Path,
        sandbox: Sandbox,
        keeping: Keeping,
        observer: Arc<dyn Observer>,
        now: SystemTime,
    ) -> Result<Self, Problems> {
        // Read twice: the first time only says which files there are.
        let at_first = Contents::read(&Config::read(path)?.files);
        let config = keeping.read(path)?;
        let prepare = |attestor: &AttestorConfig| {
            Prepared::new(&config, attestor, &sandbox, Arc::clone(&observer), now)
        };
        // All of them, before one is kept.
        let prepared = every(&config, prepare)?;
        let mut news = Vec::new();
        let by_name: BTreeMap<_, _> = prepared
            .into_iter()
            .map(|(name, prepared)| {
                let (one, heard) = prepared.kept();
                news.push(heard);
                (name, one)
            })
            .collect();
        news.into_iter().for_each(News::tell);
        Ok(Self {
            path: path.to_owned(),
            sandbox,
            keeping,
            observer,
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
        let by_name = self.by_name.load();
        by_name.get(name).map(|one| Arc::clone(one.attestor()))
    }

    /// How the generations of the attestor called `name` followed each other.
    pub fn succession(&self, name: &str) -> Option<Arc<Succession>> {
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
        self.reload_at(SystemTime::now())
    }

    /// The same, at `now`: what follows a swap is counted from then.
    ///
    /// # Errors
    /// As [`Attestors::reload`].
    pub fn reload_at(&self, now: SystemTime) -> Result<Reload, Problems> {
        let mut news = Vec::new();
        let reloaded = self.reload_quietly(now, &mut news);
        // Nothing is locked: who is told may ask, and reload.
        news.into_iter().for_each(News::tell);
        reloaded
    }

    fn reload_quietly(&self, now: SystemTime, news: &mut Vec<News>) -> Result<Reload, Problems> {
        let mut state = self.state();
        let before = self.by_name.load_full();
        let refused = RefCell::new(BTreeMap::new());
        let next =
            |config: &Config, attestor: &AttestorConfig| match before.get(attestor.name.as_str()) {
                Some(one) => one
                    .judge(config, attestor, &self.sandbox, now)
                    .map(|candidate| Next::Candidate(Arc::clone(one), Box::new(candidate)))
                    .map_err(|rejection| {
                        let heard = one.refused_by(&rejection, now);
                        refused
                            .borrow_mut()
                            .insert(attestor.name.to_string(), heard);
                        rejection.problems
                    }),
                None => {
                    let observer = Arc::clone(&self.observer);
                    Prepared::new(config, attestor, &self.sandbox, observer, now)
                        .map(|prepared| Next::New(Box::new(prepared)))
                }
            };
        let candidate = self.keeping.read(&self.path).and_then(|config| {
            let all = every(&config, |attestor| next(&config, attestor))?;
            Ok((config, all))
        });
        let refused = refused.into_inner();
        let (config, all) = candidate.inspect_err(|problems| {
            // A change of any of these may be the cure.
            if !problems.files.is_empty() {
                state.files.clone_from(&problems.files);
            }
            // All of it or nothing: what is configured serves nowhere.
            for (name, one) in before.iter() {
                if !refused.contains_key(name) {
                    news.push(one.refused_by(&problems.clone().into(), now));
                }
            }
            news.extend(refused.into_values());
        })?;
        let mut serving = Vec::new();
        let after: BTreeMap<_, _> = all
            .into_iter()
            .map(|(name, next)| {
                let (one, number) = match next {
                    Next::Candidate(one, candidate) => {
                        let (number, heard) = one.taken(*candidate, now);
                        news.push(heard);
                        (one, number)
                    }
                    Next::New(prepared) => {
                        let (one, heard) = prepared.kept();
                        news.push(heard);
                        // It may share a log that is open already.
                        if let Some(log) = one.attestor().current().generation.decision_log() {
                            log.apply();
                        }
                        let number = one.attestor().generation();
                        (one, number)
                    }
                };
                serving.push((name.clone(), number));
                (name, one)
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

/// What an attestor of a configuration comes to.
enum Next {
    /// One that attests already, and what may serve there.
    Candidate(Arc<Succession>, Box<Candidate>),
    /// One that is new.
    New(Box<Prepared>),
}

/// Does something with every attestor, and finds the problems of all of them.
fn every<T>(
    config: &Config,
    each: impl Fn(&AttestorConfig) -> Result<T, Problems>,
) -> Result<Vec<(String, T)>, Problems> {
    let named = |attestor: &AttestorConfig| -> Result<_, Problems> {
        Ok((attestor.name.to_string(), each(attestor)?))
    };
    let (good, bad): (Vec<_>, Vec<_>) = config.attestors.iter().map(named).partition(Result::is_ok);
    let mut all: Option<Problems> = None;
    for problems in bad.into_iter().filter_map(Result::err) {
        match &mut all {
            Some(all) => all.list.extend(problems.list),
            None => all = Some(problems),
        }
    }
    match all {
        Some(problems) => Err(problems),
        None => Ok(good.into_iter().filter_map(Result::ok).collect()),
    }
}
