//! The configuration that serves, and how the next one takes its place.
//!
//! A candidate is read, its policies are loaded and put through their own
//! cases; then it serves, whole. If anything is wrong with it, what served
//! goes on. The same holds when a file that the configuration names has
//! changed.

use crate::catalog::{Candidate, Configured, SOURCE, rendered};
use crate::generations::{Changes, refused_line};
use crate::log::{Level, log};
use crate::metrics::Metrics;
use arc_swap::ArcSwapOption;
use nameplate_attestor::Generation;
use nameplate_attestor::config::{AttestorConfig, Config, PluginData, Problem, Problems};
use nameplate_attestor::evidence::Method;
use nameplate_attestor::policy::Sandbox;
use nameplate_attestor::watch::{WatchOptions, Watcher};
use nameplate_attestor::{Attestor, Rejection, Succession, chain};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// What serves, once there is a configuration.
#[derive(Debug)]
pub(crate) struct Serving {
    method: Method,
    name: String,
    /// Where SPIRE reads `plugin_data` from, if it was said.
    data_file: Option<PathBuf>,
    sandbox: Sandbox,
    metrics: Metrics,
    succession: ArcSwapOption<Succession>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Which configuration serves; the watch of an older one says nothing.
    number: u64,
    watcher: Option<Watcher>,
}

impl Serving {
    pub(crate) fn new(
        method: Method,
        name: String,
        data_file: Option<PathBuf>,
        sandbox: Sandbox,
        metrics: Metrics,
    ) -> Self {
        Self {
            method,
            name,
            data_file,
            sandbox,
            metrics,
            succession: ArcSwapOption::empty(),
            state: Mutex::default(),
        }
    }

    /// The attestor; none before the first good configuration.
    pub(crate) fn attestor(&self) -> Option<Arc<Attestor>> {
        let succession = self.succession.load();
        succession.as_ref().map(|one| Arc::clone(one.attestor()))
    }

    /// How its generations follow each other.
    pub(crate) fn succession(&self) -> Option<Arc<Succession>> {
        self.succession.load_full()
    }

    /// The configured name, which is a label of every measurement.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn data(&self, candidate: &Candidate) -> Result<PluginData, String> {
        candidate.data(&self.name, self.method)
    }

    fn watch(
        self: &Arc<Self>,
        number: u64,
        data: PluginData,
        files: Vec<PathBuf>,
    ) -> Option<Watcher> {
        let serving = Arc::downgrade(self);
        let mut files_now = files.clone();
        let on_change = move || {
            if let Some(serving) = serving.upgrade() {
                files_now = serving.reload(number, &data, &files_now);
            }
            files_now.clone()
        };
        Watcher::spawn(WatchOptions::default(), files, on_change)
            .inspect_err(|error| {
                log(
                    Level::Error,
                    "Changed files will not be noticed",
                    &[("error", &chain(error))],
                );
            })
            .ok()
    }

    /// A file changed; the files to watch from now on.
    fn reload(&self, number: u64, data: &PluginData, files: &[PathBuf]) -> Vec<PathBuf> {
        let state = self.state();
        if state.number != number {
            return files.to_vec();
        }
        let current = self
            .current(data)
            .inspect_err(|problems| self.refuse(&problems.clone().into(), SystemTime::now()));
        match current.and_then(|data| self.serve(&data)) {
            Ok((config, generation)) => {
                let policy = self.attestor().map(|attestor| attestor.policy(None));
                let policy = policy.map(|policy| policy.to_string()).unwrap_or_default();
                self.metrics.count("swap", &[("outcome", "swapped")]);
                log(
                    Level::Info,
                    "Swapped after a file changed",
                    &[("generation", &generation), ("policy", &policy)],
                );
                self.still_refused();
                self.watched(config.files)
            }
            Err(problems) => {
                self.metrics.count("swap", &[("outcome", "refused")]);
                for problem in rendered(&problems) {
                    log(
                        Level::Error,
                        "A changed file was refused, what served goes on",
                        &[("error", &problem)],
                    );
                }
                // A change of any of these may be the cure.
                if problems.files.is_empty() {
                    files.to_vec()
                } else {
                    self.watched(problems.files)
                }
            }
        }
    }

    /// What SPIRE would hand over now: the text of its file, where that was said.
    fn current(&self, data: &PluginData) -> Result<PluginData, Problems> {
        match &self.data_file {
            Some(path) => data.from_file(path),
            None => Ok(data.clone()),
        }
    }

    /// A file that is not what SPIRE reads is a mistake that would show only
    /// when it changes.
    fn compare(&self, data: &PluginData) {
        let Some(path) = &self.data_file else {
            return;
        };
        let (warning, why) = match data.from_file(path) {
            Ok(read) if read.text == data.text => return,
            Ok(_) => ("SPIRE handed over something else", String::new()),
            Err(problems) => ("it cannot be read", rendered(&problems).join("\n")),
        };
        log(
            Level::Warn,
            "The plugin data file is not SPIRE's",
            &[
                ("file", &path.display()),
                ("warning", &warning),
                ("error", &why),
            ],
        );
    }

    /// The files that a change of which may call for another generation.
    fn watched(&self, files: Vec<PathBuf>) -> Vec<PathBuf> {
        self.data_file.iter().cloned().chain(files).collect()
    }

    /// Serves with `data`, or goes on as before.
    fn serve(&self, data: &PluginData) -> Result<(Config, u64), Problems> {
        let now = SystemTime::now();
        let unusable = |problems: &Problems| self.refuse(&problems.clone().into(), now);
        let config = config(data).inspect_err(unusable)?;
        let attestor = first(&config)?;
        let number = match self.succession() {
            Some(succession) => {
                let judged = succession.judge(&config, attestor, &self.sandbox, now);
                let candidate = judged.map_err(|rejection| {
                    succession.refuse(&rejection, now);
                    rejection.problems
                })?;
                succession.take(candidate, now)
            }
            None => {
                let observer = Arc::new(Changes(self.metrics.clone()));
                let begun = Succession::begin(&config, attestor, &self.sandbox, observer, now)?;
                let number = begun.attestor().generation();
                self.succession.store(Some(begun));
                number
            }
        };
        Ok((config, number))
    }

    /// Puts into the status that what is configured does not serve.
    fn refuse(&self, rejection: &Rejection, now: SystemTime) {
        if let Some(succession) = self.succession() {
            succession.refuse(rejection, now);
        }
    }

    /// Says that what is configured is not what serves, where that is so.
    fn still_refused(&self) {
        let refused = self.succession().and_then(|one| one.refused());
        if let Some(refused) = refused {
            refused_line("What is configured does not serve", &refused);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl Configured for Serving {
    fn problems(&self, candidate: &Candidate) -> Vec<String> {
        let data = match self.data(candidate) {
            Ok(data) => data,
            Err(problem) => return vec![problem],
        };
        let loaded = config(&data).and_then(|config| {
            Generation::load(&config, first(&config)?, &self.sandbox)?;
            Ok(())
        });
        match loaded {
            Ok(()) => Vec::new(),
            Err(problems) => rendered(&problems),
        }
    }

    fn configure(self: Arc<Self>, candidate: &Candidate) -> Result<(), Vec<String>> {
        let data = self.data(candidate).map_err(|problem| vec![problem])?;
        let mut state = self.state();
        let number = state.number.saturating_add(1);
        // Watched first and read then: what happens in between is an event,
        // and it waits for the state that is held here.
        let files = match config(&data) {
            Ok(config) => self.watched(config.files),
            Err(problems) => return Err(rendered(&problems)),
        };
        let watcher = self.watch(number, data.clone(), files);
        let (config, generation) = match self.serve(&data) {
            Ok(served) => served,
            Err(problems) => {
                drop(state);
                return Err(rendered(&problems));
            }
        };
        state.number = number;
        let older = std::mem::replace(&mut state.watcher, watcher);
        // Its thread may be waiting for the state.
        drop(state);
        drop(older);
        self.compare(&data);
        for warning in rendered(&config.warnings) {
            log(
                Level::Warn,
                "Configuration warning",
                &[("warning", &warning)],
            );
        }
        log(
            Level::Info,
            "Configured",
            &[("attestor", &self.name), ("generation", &generation)],
        );
        self.still_refused();
        Ok(())
    }
}

/// The attestor of a plugin's configuration, which has one.
fn first(config: &Config) -> Result<&AttestorConfig, Problems> {
    config.attestors.first().ok_or_else(|| {
        let none = Problem::error(None, "no attestor is configured");
        config.source.problems(vec![none])
    })
}

/// Relative paths start where SPIRE was started, as those of SPIRE's own
/// plugins do.
fn config(data: &PluginData) -> Result<Config, Problems> {
    Config::from_plugin(data, SOURCE, Path::new(""))
}
