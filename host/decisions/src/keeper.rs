//! Writes checkpoints where their operator wants them kept.
//!
//! On a thread of its own: that file may be on another machine, whose mount
//! hangs one day, and no attestation waits for it. What waits is bounded, and
//! the newest stay: a later checkpoint covers what an earlier one did.

use crate::checkpoint::Checkpoint;
use crate::log::Shared;
use crate::queue::Receipt;
use nameplate_files::DirectoryCheck;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Most checkpoints that wait.
const MOST: usize = 64;

/// Longest time that a checkpoint waits before that is said, and that the end
/// of a log waits for its last one.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread, as the writer sees it.
#[derive(Debug)]
pub(crate) struct Keeper {
    desk: Arc<Desk>,
    ended: Arc<Receipt>,
}

/// What waits to be kept.
#[derive(Debug, Default)]
struct Desk {
    list: Mutex<List>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct List {
    waiting: VecDeque<Waiting>,
    /// Since when the one that is being written waits.
    at_work: Option<Instant>,
    closing: bool,
}

#[derive(Debug)]
struct Waiting {
    place: KeptIn,
    checkpoint: Checkpoint,
    since: Instant,
}

/// The file that checkpoints are kept in.
#[derive(Clone, Debug)]
pub(crate) struct KeptIn {
    pub(crate) path: PathBuf,
    /// Whether nobody else may write to its directory.
    pub(crate) check: DirectoryCheck,
}

impl Keeper {
    /// Begins to keep; `shared` is told how it goes.
    pub(crate) fn begin(shared: Arc<Shared>) -> io::Result<Self> {
        let keeper = Self {
            desk: Arc::default(),
            ended: Arc::default(),
        };
        let (desk, ended) = (Arc::clone(&keeper.desk), Arc::clone(&keeper.ended));
        thread::Builder::new()
            .name("nameplate-keep".to_owned())
            .spawn(move || {
                while let Some((place, checkpoint)) = desk.next() {
                    shared.status.kept(&append_line(&place, &checkpoint));
                }
                ended.sign(true);
            })?;
        Ok(keeper)
    }

    /// Has a checkpoint written to its file.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where that file is behind; it is written
    /// nevertheless, as soon as it can be.
    pub(crate) fn keep(&self, place: KeptIn, checkpoint: Checkpoint) -> io::Result<()> {
        self.desk.add(place, checkpoint, PATIENCE)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.desk.list().closing = true;
        self.desk.changed.notify_one();
        // A mount that hangs does not hold the process.
        self.ended.wait(PATIENCE);
    }
}

impl Desk {
    fn add(&self, place: KeptIn, checkpoint: Checkpoint, patience: Duration) -> io::Result<()> {
        let mut list = self.list();
        let oldest = list.waiting.front().map(|waiting| waiting.since);
        let oldest = list.at_work.or(oldest);
        if list.waiting.len() >= MOST {
            list.waiting.pop_front();
        }
        list.waiting.push_back(Waiting {
            place,
            checkpoint,
            since: Instant::now(),
        });
        let count = list.waiting.len();
        drop(list);
        self.changed.notify_one();
        match oldest {
            Some(oldest) if oldest.elapsed() >= patience || count >= MOST => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the file is slow or hangs: {count} checkpoints wait for it"),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The next to be kept; none when nothing more will come.
    fn next(&self) -> Option<(KeptIn, Checkpoint)> {
        let mut list = self.list();
        list.at_work = None;
        let mut list = self
            .changed
            .wait_while(list, |list| list.waiting.is_empty() && !list.closing)
            .unwrap_or_else(PoisonError::into_inner);
        let next = list.waiting.pop_front()?;
        list.at_work = Some(next.since);
        Some((next.place, next.checkpoint))
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a checkpoint to the file, on a line of its own.
fn append_line(place: &KeptIn, checkpoint: &Checkpoint) -> io::Result<()> {
    let KeptIn { path, check } = place;
    // Here and not where the log is opened: this thread alone may hang there.
    check.of_parent(path).map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let mut line = Vec::new();
    let mut file = match check.open(options.clone().read(true), path) {
        Ok(mut file) => {
            if !ends_a_line(&mut file)? {
                line.push(b'\n');
            }
            file
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Whoever may write it and not read it cannot see how it ends.
            line.push(b'\n');
            check.open(&options, path)?
        }
        Err(error) => return Err(error),
    };
    serde_json::to_writer(&mut line, checkpoint)?;
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_data()
}

/// Whether the next line can follow at once. It cannot behind half of one,
/// which a full disk or a power cut leaves.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests;
