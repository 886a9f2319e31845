//! Asks the system for events of the directories that hold the files.

use super::{Signal, WatchMode};
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

/// The directories being watched, if the system can.
#[derive(Debug)]
pub(super) struct Directories {
    /// The connection to the system, or why there is none.
    events: Result<RecommendedWatcher, String>,
    watched: BTreeSet<PathBuf>,
    /// What went wrong with a directory the last time they were watched.
    problem: Option<String>,
}

impl Directories {
    /// Watches the directories of `files` if `events` says so; each event is
    /// one `Signal` to `signals`.
    pub(super) fn new(events: bool, signals: Sender<Signal>, files: &[PathBuf]) -> Self {
        let handler = move |event: notify::Result<notify::Event>| {
            // An error may hide an event: look then, too.
            if event.is_ok_and(|event| !may_be_a_change(event.kind)) {
                return;
            }
            // Fails only when the watcher's thread has ended.
            signals.send(Signal::Event).ok();
        };
        let events = if events {
            notify::recommended_watcher(handler).map_err(|error| error.to_string())
        } else {
            Err("events are turned off".to_owned())
        };
        let mut directories = Self {
            events,
            watched: BTreeSet::new(),
            problem: None,
        };
        directories.watch(files);
        directories
    }

    /// Goes over to the directories of `files`.
    ///
    /// Those that are watched already are asked for again: a directory of
    /// the same name can be another one by now, and asking is cheap.
    pub(super) fn watch(&mut self, files: &[PathBuf]) {
        let Ok(events) = &mut self.events else {
            return;
        };
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| along(file)).collect();
        for directory in self.watched.difference(&wanted) {
            // Fails when the directory is gone, and its watch with it.
            events.unwatch(directory).ok();
        }
        self.problem = None;
        for directory in &wanted {
            if let Err(error) = events.watch(directory, RecursiveMode::NonRecursive) {
                self.problem = Some(error.to_string());
            }
        }
        self.watched = wanted;
    }

    /// Whether events can be relied on.
    pub(super) fn mode(&self) -> WatchMode {
        let reason = self.events.as_ref().err().or(self.problem.as_ref());
        reason.map_or(WatchMode::Events, |reason| WatchMode::Polling {
            reason: reason.clone(),
        })
    }
}

/// Most links that are followed, as many as Linux does.
const MAX_LINKS: usize = 40;

/// The directories in which `file` can become another: its own, that of each
/// link on the way to it, and the one that all links lead to. Who exchanges a
/// link changes the directory that the link is in.
fn along(file: &Path) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    let mut path = file.to_owned();
    for _ in 0..MAX_LINKS {
        directories.insert(directory_of(&path));
        let Some(further) = one_link_further(&path) else {
            break;
        };
        directories.insert(directory_of(&further.link));
        path = further.path;
    }
    directories
}

struct Further {
    /// The first link on a path.
    link: PathBuf,
    /// The path with what the link leads to in its place.
    path: PathBuf,
}

fn one_link_further(path: &Path) -> Option<Further> {
    let mut parts = path.components();
    let mut link = PathBuf::new();
    loop {
        link.push(parts.next()?);
        if let Ok(target) = std::fs::read_link(&link) {
            let rest = parts.as_path();
            let mut path = link.parent().unwrap_or(Path::new("")).join(target);
            // Joining nothing would add a slash.
            if rest != Path::new("") {
                path.push(rest);
            }
            return Some(Further { link, path });
        }
    }
}

/// The directory of `file`, or while there is none, the nearest above it,
/// where it will appear.
fn directory_of(file: &Path) -> PathBuf {
    let above = file.ancestors().skip(1);
    let existing = above
        .map(|path| {
            if path == Path::new("") {
                Path::new(".")
            } else {
                path
            }
        })
        .find(|path| path.is_dir());
    existing.unwrap_or(Path::new(".")).to_owned()
}

/// Whether an event can mean another content. Reading the files is an event
/// as well; if it counted, each look would lead to the next.
fn may_be_a_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_on_the_way_is_watched_and_where_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        for folder in ["etc", "store", "store/one", "store/one/certs"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, at(name)).unwrap();
        std::fs::write(at("store/one/certs/ca.pem"), "").unwrap();
        link("store/one", "static");
        link("../static/certs/ca.pem", "etc/ca.pem");
        let watched = |name: &str| {
            let found = along(&at(name)).into_iter();
            let real: BTreeSet<_> = found.map(|path| path.canonicalize().unwrap()).collect();
            let names = real
                .iter()
                .map(|path| path.strip_prefix(&root).unwrap().to_owned());
            names
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(watched("etc/ca.pem"), ["", "etc", "store/one/certs"]);
        assert_eq!(watched("store/one/certs/ca.pem"), ["store/one/certs"]);
        // One that leads nowhere yet is awaited there.
        link("../store/two/ca.pem", "etc/next.pem");
        assert_eq!(watched("etc/next.pem"), ["etc", "store"]);
        link("loop", "etc/loop");
        assert_eq!(watched("etc/loop"), ["etc"]);
    }

    #[test]
    fn a_missing_directory_is_awaited_where_it_will_appear() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/b/file");
        assert_eq!(directory_of(&file), dir.path());
        std::fs::create_dir(dir.path().join("a")).unwrap();
        assert_eq!(directory_of(&file), dir.path().join("a"));
        assert_eq!(directory_of(Path::new("file")), Path::new("."));
        assert_eq!(directory_of(Path::new("/")), Path::new("."));
    }
}
