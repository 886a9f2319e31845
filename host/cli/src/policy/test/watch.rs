//! `--watch`: runs the cases again whenever something they depend on changes.
//!
//! What counts is the content of files, as where a server watches its
//! configuration. Ctrl-C ends between two runs, with the exit code of the last
//! one; a second Ctrl-C ends at once.

use super::{Arguments, once, subject};
use crate::failure::Failure;
use crate::report::{self, Exit, Output};
use nameplate_attestor::watch::{WatchOptions, Watcher};
use nameplate_policy::PolicySource;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

/// Files of a project that its component depends on, besides its sources.
const PROJECT_FILES: [&str; 4] = [
    "Cargo.toml",
    "denials.json",
    "settings.schema.json",
    "subject-keys.json",
];

/// How deep directories of sources are followed.
const MAX_DEPTH: usize = 16;

/// Why the next run begins, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Something is another.
    Changed,
    /// Ctrl-C.
    Stop,
}

/// Runs until it is told to stop.
///
/// # Errors
/// When nothing can be watched. What goes wrong in a run is told, and the next
/// change waited for.
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let (signals, received) = mpsc::channel();
    stop_on_ctrl_c(signals.clone())?;
    let inputs = Inputs::of(arguments);
    let files = inputs.files();
    let options = WatchOptions {
        poll: Duration::from_secs(1),
        debounce: Duration::from_millis(100),
        events: true,
    };
    let watching = Watcher::spawn(options, files, move || {
        // Fails only when the last run is over.
        signals.send(Signal::Changed).ok();
        inputs.files()
    });
    let _watcher = watching.map_err(|error| Failure::fault("watch", error))?;
    Ok(again(&received, || {
        let exit = match once(arguments, output) {
            Ok(exit) => exit,
            Err(failure) => failure.report(output),
        };
        report::progress("waiting for a change; Ctrl-C ends");
        exit
    }))
}

/// Runs once, and once more after each change, until it is told to stop.
fn again(signals: &Receiver<Signal>, mut once: impl FnMut() -> Exit) -> Exit {
    loop {
        let exit = once();
        // A change of the past is seen by the next run, however often it was told.
        let mut told = signals.recv();
        while told == Ok(Signal::Changed) {
            match signals.try_recv() {
                Ok(signal) => told = Ok(signal),
                Err(_none) => break,
            }
        }
        if told != Ok(Signal::Changed) {
            return exit;
        }
    }
}

/// Tells of the first Ctrl-C, and ends the process with the second.
fn stop_on_ctrl_c(signals: Sender<Signal>) -> Result<(), Failure> {
    let unheard = |error| Failure::fault("watch", error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(unheard)?;
    let listen = async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Fails only when the last run is over.
            signals.send(Signal::Stop).ok();
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        }
    };
    thread::Builder::new()
        .name("ctrl-c".to_owned())
        .spawn(move || runtime.block_on(listen))
        .map_err(unheard)?;
    Ok(())
}

/// What a run depends on.
#[derive(Clone, Debug)]
struct Inputs {
    component: Option<PathBuf>,
    project: Option<PathBuf>,
    cases: Option<PathBuf>,
}

impl Inputs {
    fn of(arguments: &Arguments) -> Self {
        let project = subject::project(&arguments.policy).map(Path::to_owned);
        let component = match PolicySource::parse(&arguments.policy) {
            PolicySource::File(path) if project.is_none() => Some(path),
            PolicySource::File(_)
            | PolicySource::Entry(..)
            | PolicySource::Builtin(_)
            | PolicySource::Bytes(_) => None,
        };
        Self {
            component,
            cases: subject::directory(arguments)
                .or_else(|| project.as_ref().map(|project| project.join("cases"))),
            project,
        }
    }

    /// Every file there is now, and the directories where others may appear.
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.component.iter().cloned().collect();
        if let Some(project) = &self.project {
            files.extend(PROJECT_FILES.iter().map(|name| project.join(name)));
            below(&project.join("src"), MAX_DEPTH, &mut files);
        }
        if let Some(cases) = &self.cases {
            below(cases, 1, &mut files);
        }
        files
    }
}

/// `path`, and what is in it. What cannot be listed is watched as it is.
fn below(path: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    out.push(path.to_owned());
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        // A link is a file: it is not followed.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), depth, out);
        } else {
            out.push(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_a_run_and_the_end_is_that_of_the_last() {
        let (signals, received) = mpsc::channel();
        let mut exits = vec![Exit::Done, Exit::Fault, Exit::Done];
        // Two changes while it runs are one more run.
        let mut during = vec![
            vec![Signal::Stop],
            vec![Signal::Changed],
            vec![Signal::Changed, Signal::Changed],
        ];
        let exit = again(&received, || {
            for signal in during.pop().unwrap() {
                signals.send(signal).unwrap();
            }
            exits.pop().unwrap()
        });
        assert_eq!(exit, Exit::Done);
        assert!(exits.is_empty(), "{exits:?}");
        // A stop behind a change is a stop.
        signals.send(Signal::Changed).unwrap();
        signals.send(Signal::Stop).unwrap();
        assert_eq!(again(&received, || Exit::Fault), Exit::Fault);
    }

    #[test]
    fn a_run_depends_on_sources_and_cases_and_not_on_what_it_builds() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["src/deep", "cases", "target"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        for name in ["src/lib.rs", "src/deep/a.rs", "cases/one.json", "p.wasm"] {
            fs::write(path(name), "").unwrap();
        }
        let mut files = Inputs {
            component: None,
            project: Some(dir.path().to_owned()),
            cases: Some(path("cases")),
        }
        .files();
        files.sort();
        let expected = [
            "Cargo.toml",
            "cases",
            "cases/one.json",
            "denials.json",
            "settings.schema.json",
            "src",
            "src/deep",
            "src/deep/a.rs",
            "src/lib.rs",
            "subject-keys.json",
        ];
        assert_eq!(files, expected.map(path));
    }
}
