//! Notices when one of a set of files changes, and says so once per change.
//!
//! What counts is the content: events of the file system only say when to look
//! again, and polling looks again when no events come. The *directories* of the
//! files are watched, because that is where change happens: editors rename a
//! new file over the old one, and Kubernetes exchanges the `..data` link of a
//! mounted volume; a watch on the file itself would then follow the replaced
//! inode. Where a path leads through links, the directories of the links and of
//! what they lead to are watched as well.
//!
//! The watcher trusts nothing in the files and reads them bounded; a file
//! that is absent or unreadable is a content of its own. The content of a
//! directory is the names in it.

mod contents;
mod directories;

pub(crate) use contents::Contents;
use directories::Directories;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many debounce periods a look is put off while events keep coming.
const MOST_DEBOUNCES: u32 = 10;

/// How to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// How often to look when no event comes. It finds what events miss
    /// (network file systems, a directory that appears later), so it is never off.
    pub poll: Duration,
    /// How long it must be quiet after an event before the files are looked
    /// at, so that a change of several files is seen as one.
    pub debounce: Duration,
    /// Whether to ask the system for events at all.
    pub events: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(30),
            debounce: Duration::from_millis(200),
            events: true,
        }
    }
}

/// How changes are noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// By events of the file system, within the debounce period.
    Events,
    /// By looking again and again, within the polling period.
    Polling {
        /// Why there are no events, or not of every directory.
        reason: String,
    },
}

/// The watcher's thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread that watches files")]
pub struct WatchError(#[source] io::Error);

/// Watches files until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    signals: Sender<Signal>,
    mode: Arc<Mutex<WatchMode>>,
    thread: Option<JoinHandle<()>>,
}

/// What wakes the watcher's thread.
#[derive(Debug)]
enum Signal {
    /// Something happened in a directory.
    Event,
    /// The watcher is being dropped.
    Stop,
}

impl Watcher {
    /// Watches `files` on a thread of its own, and calls `on_change` there
    /// each time the content of one of them has become another.
    ///
    /// `on_change` returns the files to watch from then on. A change that
    /// happens while it runs is seen after it, for every file that was
    /// watched before; a file that it adds is watched from its return. It
    /// may panic: the same files stay watched.
    ///
    /// The content to compare with is that of this moment, so a file that is
    /// read *after* `spawn` has returned cannot change unnoticed.
    ///
    /// # Errors
    /// [`WatchError`] when there can be no thread. That there are no events
    /// is no error: see [`Watcher::mode`].
    pub fn spawn(
        options: WatchOptions,
        files: Vec<PathBuf>,
        on_change: impl FnMut() -> Vec<PathBuf> + Send + 'static,
    ) -> Result<Self, WatchError> {
        let (signals, received) = mpsc::channel();
        let mode = Arc::new(Mutex::new(WatchMode::Events));
        // Watched first and read then: what happens in between is an event.
        let directories = Directories::new(options.events, signals.clone(), &files);
        let mut watching = Watching {
            contents: Contents::read(&files),
            files,
            directories,
            mode: Arc::clone(&mode),
            options,
            on_change,
        };
        watching.publish_mode();
        let thread = thread::Builder::new()
            .name("watch-files".to_owned())
            .spawn(move || watching.run(&received))
            .map_err(WatchError)?;
        Ok(Self {
            signals,
            mode,
            thread: Some(thread),
        })
    }

    /// How changes are noticed at present.
    pub fn mode(&self) -> WatchMode {
        let mode = self.mode.lock();
        mode.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watcher {
    /// Ends the thread, and waits for `on_change` if it is running.
    fn drop(&mut self) {
        // Both fail only when the thread has ended already.
        self.signals.send(Signal::Stop).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The state of the watcher's thread.
struct Watching<F> {
    files: Vec<PathBuf>,
    contents: Contents,
    directories: Directories,
    mode: Arc<Mutex<WatchMode>>,
    options: WatchOptions,
    on_change: F,
}

impl<F: FnMut() -> Vec<PathBuf>> Watching<F> {
    fn run(&mut self, signals: &Receiver<Signal>) {
        loop {
            match signals.recv_timeout(self.options.poll) {
                Ok(Signal::Event) => {
                    if !self.settled(signals) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look();
        }
    }

    /// Waits until events stop coming; false when the watcher is to end.
    fn settled(&self, signals: &Receiver<Signal>) -> bool {
        // A busy directory must not put the look off for ever.
        let latest = Instant::now() + self.options.debounce * MOST_DEBOUNCES;
        loop {
            let left = latest.saturating_duration_since(Instant::now());
            match signals.recv_timeout(self.options.debounce.min(left)) {
                Ok(Signal::Event) if !left.is_zero() => {}
                Ok(Signal::Event) | Err(RecvTimeoutError::Timeout) => return true,
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Looks at the files, and calls `on_change` when one has another content.
    fn look(&mut self) {
        // A directory may have come, gone or been exchanged. Before reading,
        // so that what happens after the read is an event.
        self.directories.watch(&self.files);
        let contents = Contents::read(&self.files);
        if contents != self.contents {
            self.contents = contents;
            if let Ok(files) = catch_unwind(AssertUnwindSafe(&mut self.on_change)) {
                self.directories.watch(&files);
                // Of a file known before, the content from before the call
                // stays: it may have changed while the call ran.
                self.contents.follow(&files);
                self.files = files;
            }
        }
        self.publish_mode();
    }

    fn publish_mode(&self) {
        let mut mode = self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        *mode = self.directories.mode();
    }
}
