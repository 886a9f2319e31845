//! Which subject holds which SPIFFE ID, so that no two machines come to share one.
//!
//! A policy that gives two subjects one ID merges their privileges without
//! anybody seeing it. Here the first subject that is given an ID holds it; a
//! second one is a [`Claim::Collision`]. The record lies in an embedded
//! database of the state directory and outlives the process: a claim is on
//! disk before [`Holders::claim`] returns, and those that wait at the same
//! time share one write.
//!
//! **What is bounded.** At most [`HoldersLimits::entries`] IDs are remembered,
//! some 500 bytes of disk each; memory is a page cache of
//! [`CACHE_BYTES`], whatever their number.
//!
//! **What is forgotten.** When there is no room, the ID whose holder has
//! longest not attested; and where [`HoldersLimits::forget_after`] is set,
//! what was not seen for that long may be taken by another. Both are counted.
//! When a holder was last seen is exact to an hour, and a kill loses at most
//! what was seen in the minute before it.

mod releases;
mod table;

pub use releases::{RELEASE_HOLDS, ReleaseError, release};

use crate::spiffe_id::SpiffeId;
use crate::subject_key::SubjectKey;
use nameplate_files::DirectoryCheck;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _};
use releases::Releases;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use table::Table;

/// Memory for the pages of the database, in bytes.
pub const CACHE_BYTES: usize = 16 << 20;

/// Name of the database in an attestor's state directory.
const FILE: &str = "holders.redb";

/// How old a holder's last attestation may be on disk before it is brought up
/// to date. A restart of every machine at once must not write every entry.
const SEEN_WITHIN: u64 = 60 * 60;

/// How long what was seen may be written without being on disk for sure, in
/// seconds of the attestations' own time: a kill loses it. Each machine comes
/// at most once an hour, and a large fleet would have the disk wait for every
/// one of them.
const DURABLE_WITHIN: u64 = 60;

/// After how long without an order what may still be lost is put on disk for
/// sure: with few machines nothing else might come for days.
const QUIET: Duration = Duration::from_secs(1);

/// Most claims that one write takes.
const BATCH: usize = 256;

/// Claims that wait for the writer; the threads behind them wait too.
const QUEUE: usize = 1024;

/// The longest that a claim waits for the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is done with a second subject of one ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCollision {
    /// It gets no identity.
    Refuse,
    /// It gets the identity, and the operator is told.
    Warn,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldersLimits {
    /// Most IDs.
    pub entries: u64,
    /// After how long without an attestation an ID is free again; never when
    /// there is none.
    pub forget_after: Option<Duration>,
}

/// Who holds an ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Digest of the facts that keep subjects apart.
    pub key: SubjectKey,
    /// The subject in words, for the operator's log.
    pub words: String,
    /// When it was first given the ID, in seconds since 1970.
    pub since: u64,
    /// When it last attested, to an hour.
    pub seen: u64,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The subject holds the ID: it is its first, or was its own before.
    Held,
    /// The subject holds the ID now, and another held it before.
    Inherited {
        /// Who held it.
        from: Holder,
        /// Why it does no longer.
        why: Inheritance,
    },
    /// Another subject holds the ID.
    Collision {
        /// Who.
        holder: Holder,
    },
}

/// Why an ID changed hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inheritance {
    /// The operator released it.
    Released,
    /// Its holder was not seen for [`HoldersLimits::forget_after`].
    Expired,
}

/// What is remembered, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HoldersStatus {
    /// IDs that are remembered.
    pub entries: u64,
    /// Most that are.
    pub limit: u64,
    /// IDs forgotten for want of room, since the database was made.
    pub forgotten: u64,
    /// Collisions since the process began.
    pub collisions: u64,
}

/// Why it cannot be said who holds an ID.
#[derive(Debug, thiserror::Error)]
pub enum HoldersError {
    /// The database cannot be opened.
    #[error("cannot open the record of who holds which ID, `{path}`")]
    Open {
        /// Its file.
        path: String,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// The database cannot be read or written.
    #[error("cannot read or write the record of who holds which ID")]
    Database(#[source] Arc<redb::Error>),
    /// Nothing can be taken from the folder of releases.
    #[error("cannot take releases from `{path}`")]
    Releases {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A release cannot be read or used up.
    #[error("cannot take the release `{path}`")]
    Release {
        /// Its file.
        path: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The disk takes too long.
    #[error("the record of who holds which ID was not written in {} s", PATIENCE.as_secs())]
    Slow,
    /// The thread that writes has ended.
    #[error("the record of who holds which ID is not written any more")]
    Stopped,
}

impl From<redb::Error> for HoldersError {
    fn from(error: redb::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Remembers which subject holds which ID.
#[derive(Debug)]
pub struct Holders {
    database: Arc<Database>,
    limits: Arc<RwLock<HoldersLimits>>,
    collisions: AtomicU64,
    orders: Option<SyncSender<Order>>,
    writer: Option<JoinHandle<()>>,
}

/// What the writer is asked for.
#[derive(Debug)]
enum Order {
    /// An ID is claimed; the answer goes back when it is on disk.
    Claim(Claimed, Answer),
    /// A holder was seen again.
    Seen { id: String, at: u64 },
}

/// A claim, as it goes to the writer.
#[derive(Debug)]
struct Claimed {
    id: String,
    key: SubjectKey,
    words: String,
    at: u64,
}

impl Holders {
    /// Opens or makes the record in `directory`, which nobody else may have
    /// open. After a process was killed, the database is mended here.
    ///
    /// # Errors
    /// [`HoldersError::Open`], also where others may write to the directory, and
    /// [`HoldersError::Releases`].
    pub fn open(directory: &Path, limits: HoldersLimits) -> Result<Self, HoldersError> {
        Self::open_checked(directory, limits, DirectoryCheck::On)
    }

    /// The same, in a directory that passes `check`.
    pub(crate) fn open_checked(
        directory: &Path,
        limits: HoldersLimits,
        check: DirectoryCheck,
    ) -> Result<Self, HoldersError> {
        let writer = Writer::open(directory, limits, check)?;
        let database = Arc::clone(&writer.database);
        let limits = Arc::clone(&writer.limits);
        let (orders, received) = mpsc::sync_channel(QUEUE);
        let writer = thread::Builder::new()
            .name("holders".to_owned())
            .spawn(move || writer.run(&received))
            .map_err(|error| unopened(directory, redb::Error::Io(error)))?;
        Ok(Self {
            database,
            limits,
            collisions: AtomicU64::new(0),
            orders: Some(orders),
            writer: Some(writer),
        })
    }

    /// Remembers from now on as much as `limits` say.
    pub fn limit(&self, limits: HoldersLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Claims `id` for the subject of `key`, called `words`, at `at` (seconds
    /// since 1970). Of several subjects at once exactly one gets it.
    ///
    /// # Errors
    /// [`HoldersError`] when it cannot be said who holds it; nothing is claimed.
    pub fn claim(
        &self,
        id: &SpiffeId,
        key: SubjectKey,
        words: String,
        at: u64,
    ) -> Result<Claim, HoldersError> {
        let orders = self.orders.as_ref().ok_or(HoldersError::Stopped)?;
        // Most attest again and again: reading waits for nobody.
        if let Some(seen) = self.seen(id, key)? {
            if seen.saturating_add(SEEN_WITHIN) < at {
                let id = id.to_string();
                // Where the writer is busy, the next time will do.
                orders.try_send(Order::Seen { id, at }).ok();
            }
            return Ok(Claim::Held);
        }
        let claimed = Claimed {
            id: id.to_string(),
            key,
            words,
            at,
        };
        let (answer, answered) = mpsc::sync_channel(1);
        orders
            .send(Order::Claim(claimed, answer))
            .map_err(|_ended| HoldersError::Stopped)?;
        let claim = answered
            .recv_timeout(PATIENCE)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => HoldersError::Slow,
                RecvTimeoutError::Disconnected => HoldersError::Stopped,
            })??;
        if matches!(claim, Claim::Collision { .. }) {
            self.collisions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(claim)
    }

    /// When the subject of `key` was last seen with `id`, if it holds it.
    fn seen(&self, id: &SpiffeId, key: SubjectKey) -> Result<Option<u64>, HoldersError> {
        let read = self.database.begin_read().map_err(redb::Error::from)?;
        let holder = table::holder(&read, id.as_str())?;
        Ok(holder
            .filter(|holder| holder.key == key)
            .map(|holder| holder.seen))
    }

    /// Who holds `id`, if anybody is remembered to.
    ///
    /// # Errors
    /// [`HoldersError::Database`].
    pub fn holder(&self, id: &SpiffeId) -> Result<Option<Holder>, HoldersError> {
        let read = self.database.begin_read().map_err(redb::Error::from)?;
        Ok(table::holder(&read, id.as_str())?)
    }

    /// What is remembered, in numbers.
    ///
    /// # Errors
    /// [`HoldersError::Database`].
    pub fn status(&self) -> Result<HoldersStatus, HoldersError> {
        let read = self.database.begin_read().map_err(redb::Error::from)?;
        let (entries, forgotten) = table::counts(&read)?;
        let limits = *self.limits.read().unwrap_or_else(PoisonError::into_inner);
        Ok(HoldersStatus {
            entries,
            limit: limits.entries,
            forgotten,
            collisions: self.collisions.load(Ordering::Relaxed),
        })
    }
}

impl Drop for Holders {
    /// Ends the writer when it has written what it was given.
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(writer) = self.writer.take() {
            // It ended by itself: those who waited were told.
            writer.join().ok();
        }
    }
}

/// The record in `directory` cannot be opened.
fn unopened(directory: &Path, source: redb::Error) -> HoldersError {
    HoldersError::Open {
        path: directory.join(FILE).display().to_string(),
        source: Box::new(source),
    }
}

fn open_database(directory: &Path, check: DirectoryCheck) -> Result<Database, redb::Error> {
    check
        .of(directory)
        .map_err(|error| redb::Error::Io(std::io::Error::other(error)))?;
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let file = check
        .open(&options, &directory.join(FILE))
        .map_err(redb::Error::Io)?;
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(FileBackend::new(file)?)?;
    table::make(&database)?;
    Ok(database)
}

/// The thread that writes.
struct Writer {
    database: Arc<Database>,
    limits: Arc<RwLock<HoldersLimits>>,
    releases: Releases,
    /// The time of the last attestation that is on disk for sure.
    durable: Option<u64>,
    /// Whether something is written that is not on disk for sure.
    loose: bool,
}

impl Writer {
    fn open(
        directory: &Path,
        limits: HoldersLimits,
        check: DirectoryCheck,
    ) -> Result<Self, HoldersError> {
        let database =
            open_database(directory, check).map_err(|error| unopened(directory, error))?;
        Ok(Self {
            database: Arc::new(database),
            limits: Arc::new(RwLock::new(limits)),
            releases: Releases::open(directory)?,
            durable: None,
            loose: false,
        })
    }

    fn run(mut self, orders: &Receiver<Order>) {
        while let Some(first) = self.next(orders) {
            let mut batch = vec![first];
            batch.extend(orders.try_iter().take(BATCH - 1));
            let (claims, seen) = split(batch);
            let (claims, answers): (Vec<_>, Vec<_>) = claims.into_iter().unzip();
            // Gone is who does not want to know any more.
            match self.write(&claims, &seen) {
                Ok(decided) => answers.iter().zip(decided).for_each(|(answer, decided)| {
                    answer.send(decided).ok();
                }),
                Err(error) => {
                    let error = Arc::new(error);
                    for answer in answers {
                        let error = Arc::clone(&error);
                        answer.send(Err(HoldersError::Database(error))).ok();
                    }
                }
            }
        }
        self.settle();
    }

    /// The next order; none when there will be no more.
    fn next(&mut self, orders: &Receiver<Order>) -> Option<Order> {
        if self.loose {
            match orders.recv_timeout(QUIET) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => self.settle(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        orders.recv().ok()
    }

    /// Puts on disk for sure what is not yet.
    fn settle(&mut self) {
        if self.loose {
            let settled = self
                .database
                .begin_write()
                .map_err(redb::Error::from)
                .and_then(|writing| writing.commit().map_err(redb::Error::from));
            // Where the disk fails, the next claim hears of it; nobody waits here.
            self.loose = settled.is_err();
        }
    }

    /// Writes a batch: what is decided of each claim, when it is on disk.
    ///
    /// A release that cannot be taken is the trouble of its one claim; a
    /// database that cannot be written is everybody's.
    fn write(&mut self, claims: &[Claimed], seen: &[Seen]) -> Result<Vec<Decision>, redb::Error> {
        let limits = *self.limits.read().unwrap_or_else(PoisonError::into_inner);
        let times = claims.iter().map(|claimed| claimed.at);
        let latest = times.chain(seen.iter().map(|(_, at)| *at)).max();
        let late = match (self.durable, latest) {
            // A clock that was set back is no reason to wait for the old time.
            (Some(durable), Some(latest)) => latest.abs_diff(durable) >= DURABLE_WITHIN,
            (_, _) => true,
        };
        let durable = late || !claims.is_empty();
        let mut writing = self.database.begin_write()?;
        if !durable {
            writing.set_durability(redb::Durability::None)?;
        }
        let mut decided = Vec::with_capacity(claims.len());
        {
            let mut table = Table::open(&writing)?;
            for (id, at) in seen {
                table.seen(id, *at)?;
            }
            for claimed in claims {
                decided.push(self.decide(&mut table, claimed, limits)?);
            }
            table.keep(limits.entries)?;
        }
        writing.commit()?;
        self.loose = !durable;
        if durable {
            self.durable = latest;
        }
        Ok(decided)
    }

    fn decide(
        &self,
        table: &mut Table<'_>,
        claimed: &Claimed,
        limits: HoldersLimits,
    ) -> Result<Decision, redb::Error> {
        let holder = table.holder(&claimed.id)?;
        if holder
            .as_ref()
            .is_some_and(|holder| holder.key == claimed.key)
        {
            return Ok(Ok(Claim::Held));
        }
        // Whichever way another subject comes to an ID, this is the change of
        // hands that a release was for: it must not wait for a later one.
        let released = match self.releases.take(&claimed.id) {
            Ok(released) => released,
            Err(error) => return Ok(Err(error)),
        };
        let Some(holder) = holder else {
            table.give(claimed)?;
            return Ok(Ok(Claim::Held));
        };
        let old = limits
            .forget_after
            .is_some_and(|after| holder.seen.saturating_add(after.as_secs()) < claimed.at);
        let released =
            released.is_some_and(|at| claimed.at.abs_diff(at) <= RELEASE_HOLDS.as_secs());
        let why = if old {
            Inheritance::Expired
        } else if released {
            Inheritance::Released
        } else {
            return Ok(Ok(Claim::Collision { holder }));
        };
        table.replace(claimed, &holder)?;
        Ok(Ok(Claim::Inherited { from: holder, why }))
    }
}

/// What is decided of one claim.
type Decision = Result<Claim, HoldersError>;
type Answer = SyncSender<Decision>;
/// An ID, and when its holder was seen.
type Seen = (String, u64);

fn split(batch: Vec<Order>) -> (Vec<(Claimed, Answer)>, Vec<Seen>) {
    let mut claims = Vec::new();
    let mut seen = Vec::new();
    for order in batch {
        match order {
            Order::Claim(claimed, answer) => claims.push((claimed, answer)),
            Order::Seen { id, at } => seen.push((id, at)),
        }
    }
    (claims, seen)
}

#[cfg(test)]
mod tests;
