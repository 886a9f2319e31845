//! A log that is being written, as those who attest see it.

use crate::checkpoint::{KeyError, SigningKey};
use crate::opening::{self, OpenError};
use crate::options::{Flush, OnError, Options, Rejections};
use crate::queue::{Entry, Queue, Receipt, Waiting};
use crate::status::{Counters, Status};
use crate::tally::{Kind, Tally};
use crate::writer::Writer;
use nameplate_files::FileError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longest time that an attestation waits for a disk.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes of a key file.
const MAX_KEY_BYTES: usize = 16 << 10;

/// A log that is being written; cheap to clone.
///
/// There is one for each directory: opening it again gives the same one, which
/// is written as it was until [`DecisionLog::apply`]. The last that is dropped
/// writes what waits, and ends.
#[derive(Clone)]
pub struct DecisionLog {
    handle: Arc<Handle>,
    /// What this one was opened with.
    wanted: Arc<Settings>,
}

/// How a log is written, and what signs its checkpoints.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) options: Arc<Options>,
    pub(crate) key: Option<SigningKey>,
}

struct Handle {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer shares with those who attest.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) status: Counters,
    /// Whether nothing is left of the disk but its reserve.
    pub(crate) tight: AtomicBool,
    tally: Mutex<Tally>,
    settings: Mutex<Arc<Settings>>,
}

impl Shared {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            queue: Queue::default(),
            status: Counters::default(),
            tight: AtomicBool::new(false),
            tally: Mutex::default(),
            settings: Mutex::new(settings),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs that this process writes.
static OPEN: Mutex<Vec<(PathBuf, Weak<Handle>)>> = Mutex::new(Vec::new());

impl DecisionLog {
    /// Opens the log in a directory, mends its end if it is torn, and begins
    /// to write; or gives the log that this process has open there, which goes
    /// on as it is until [`DecisionLog::apply`]: a configuration that is only
    /// tried changes nothing.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is written then.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let wanted = Arc::new(Settings {
            key: signing_key(options.checkpoints.key.as_deref())?,
            options: Arc::new(options),
        });
        let options = &wanted.options;
        let mut open = open_logs();
        open.retain(|(_, log)| log.strong_count() > 0);
        let directory = std::path::absolute(&options.directory);
        let directory = directory.unwrap_or_else(|_| options.directory.clone());
        let known = open.iter().find(|(path, _)| *path == directory);
        if let Some(handle) = known.and_then(|(_, log)| log.upgrade()) {
            return Ok(Self { handle, wanted });
        }
        let lock = opening::lock(&options.directory, options.directory_check)?;
        let end = opening::end(&options.directory, options.directory_check)?;
        let shared = Arc::new(Shared::new(Arc::clone(&wanted)));
        let writer = Writer::begin(Arc::clone(&shared), lock, end).map_err(|source| {
            OpenError::Unwritable {
                path: options.directory.clone(),
                source,
            }
        })?;
        let writer = thread::Builder::new()
            .name("nameplate-log".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::NoThread)?;
        let handle = Arc::new(Handle {
            shared,
            writer: Mutex::new(Some(writer)),
        });
        open.push((directory, Arc::downgrade(&handle)));
        Ok(Self { handle, wanted })
    }

    /// Has the log written by the options and the key that this one was opened
    /// with, from the next batch on.
    pub fn apply(&self) {
        let settings = &self.handle.shared.settings;
        *settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&self.wanted);
    }

    /// Records how an attestation ended. With [`Flush::Each`] it is on the
    /// disk when this returns.
    ///
    /// # Errors
    /// [`Unrecorded`], where the options say to refuse what cannot be recorded.
    pub fn record(&self, entry: Entry) -> Result<(), Unrecorded> {
        let shared = &self.handle.shared;
        let options = self.options();
        let recorded = shared.take(entry, &options, Instant::now());
        match options.on_error {
            OnError::Refuse => recorded,
            // Counted, and told of in the log once that can be written.
            OnError::Drop => Ok(()),
        }
    }

    /// Ends every log that this process writes: what waits is written, and
    /// nothing is recorded after it. For a process that ends without dropping
    /// what it has.
    pub fn end_all() {
        let open = std::mem::take(&mut *open_logs());
        for handle in open.iter().filter_map(|(_, log)| log.upgrade()) {
            handle.end();
        }
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        let shared = &self.handle.shared;
        shared.status.status(shared.queue.len())
    }

    /// How it is written.
    pub fn options(&self) -> Arc<Options> {
        Arc::clone(&self.handle.shared.settings().options)
    }
}

impl Shared {
    /// Takes what is to be written, `now`.
    pub(crate) fn take(
        &self,
        entry: Entry,
        options: &Options,
        now: Instant,
    ) -> Result<(), Unrecorded> {
        let unproven = match &entry.unproven {
            Some(unproven) if options.rejections == Rejections::Count => {
                Some(Kind::of(&entry.decision, unproven))
            }
            Some(_) | None => None,
        };
        match unproven {
            Some(kind) => {
                self.take_unproven(kind, entry, options, now);
                Ok(())
            }
            None => self.take_proven(entry, options),
        }
    }

    /// Has an attestation that ended with nothing proven recorded or counted.
    /// Anybody can make any number of those. So they get neither the disk's
    /// last room nor the second half of the queue, and no caller waits for the
    /// disk.
    fn take_unproven(&self, kind: Kind, entry: Entry, options: &Options, now: Instant) {
        let time = entry.time;
        let room = !self.status.is_failing() && !self.tight.load(Relaxed);
        let share = options.queue / 2;
        let mut tally = self.tally();
        let recorded = room
            && self.queue.len() < share
            && tally.admits(&kind, now)
            && self.queue.offer(entry.unawaited(), share, options.queue);
        if !recorded {
            tally.count(kind, time, now);
            self.status.counted();
        }
    }

    fn take_proven(&self, entry: Entry, options: &Options) -> Result<(), Unrecorded> {
        // Nothing is let into a queue that nobody empties.
        if options.on_error == OnError::Refuse && self.status.is_failing() {
            self.queue.lose(1);
            self.status.lost(1);
            return Err(Unrecorded::Unwritable);
        }
        let receipt = (options.flush == Flush::Each).then(Arc::<Receipt>::default);
        let waiting = Waiting {
            entry,
            receipt: receipt.clone(),
        };
        if !self.queue.add(waiting, options.queue) {
            self.status.lost(1);
            return Err(Unrecorded::QueueFull {
                waiting: options.queue,
            });
        }
        let Some(receipt) = receipt else {
            return Ok(());
        };
        let written = receipt.wait(DISK_PATIENCE)
            || match options.on_error {
                // Not given now, so it should not be written either.
                OnError::Refuse => receipt.abandon(),
                OnError::Drop => false,
            };
        if written {
            Ok(())
        } else {
            Err(Unrecorded::Unwritable)
        }
    }
}

impl Handle {
    fn end(&self) {
        self.shared.queue.close();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.take() {
            // Nobody is left to tell of a panic there.
            writer.join().ok();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for DecisionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionLog")
            .field("options", &self.options())
            .finish_non_exhaustive()
    }
}

/// Why an attestation cannot be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrecorded {
    /// More decisions wait to be written than may.
    #[error("{waiting} decisions wait to be written, which is as many as may")]
    QueueFull {
        /// How many.
        waiting: usize,
    },
    /// The last attempt to write failed, or takes too long.
    #[error("the decision log cannot be written")]
    Unwritable,
}

/// A file that holds no key for checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] FileError),
    /// It holds something else.
    #[error(transparent)]
    Malformed(#[from] KeyError),
}

fn signing_key(path: Option<&Path>) -> Result<Option<SigningKey>, OpenError> {
    let read = |path: &Path| -> Result<SigningKey, SigningKeyError> {
        Ok(SigningKey::from_pem(&nameplate_files::read(
            path,
            MAX_KEY_BYTES,
        )?)?)
    };
    path.map(|path| {
        read(path).map_err(|source| OpenError::SigningKey {
            path: path.to_owned(),
            source,
        })
    })
    .transpose()
}

fn open_logs() -> MutexGuard<'static, Vec<(PathBuf, Weak<Handle>)>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
