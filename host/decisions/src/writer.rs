//! The thread that writes: lines in their order, segments in theirs.
//!
//! A batch is written whole or not at all: where the disk refuses, the segment
//! is cut back to its last good line, and what was decided meanwhile waits or
//! is counted as lost, never forgotten.

use crate::chain::Head;
use crate::checkpoint::Checkpoint;
use crate::keeper::{Keeper, KeptIn};
use crate::line::{FORMAT, FORMAT_WITH_COUNTS, NamingRecord, Outcome, Retired, SegmentHeader};
use crate::log::{Settings, Shared};
use crate::opening::{End, create, sync_directory};
use crate::options::{Flush, Options, Rejections};
use crate::queue::{Lost, Taken, Waiting};
use crate::redaction::{redact, redact_counts};
use crate::room::{Gauge, Room};
use crate::segment;
use crate::tally::{TIGHT_WINDOW, WINDOW};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// Longest time between two attempts to write on a disk that refuses.
const RETRY: Duration = Duration::from_millis(500);

/// Most decisions of one write.
const BATCH: usize = 1_024;

/// The end of a log, and how it is written on.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    /// The process's claim on the directory, for as long as it writes.
    _lock: File,
    /// Who writes checkpoints elsewhere, once there is one to write.
    keeper: Option<Keeper>,
    log: String,
    /// The format of new segments: once counts are in one, later segments have
    /// the same format.
    format: u32,
    segment: Segment,
    head: Head,
    /// Taken and not yet written.
    waiting: Vec<Waiting>,
    /// Ways of naming that this segment holds.
    namings: Namings,
    /// Whether what the segment's header says is not so any more.
    outdated: bool,
    lines_since_checkpoint: u64,
    checkpointed: Instant,
    synced: Instant,
    unsynced: bool,
    gauge: Gauge,
}

/// The segment that is written to.
struct Segment {
    file: File,
    /// Length of what was written whole.
    bytes: u64,
    /// Whether there may be more behind it.
    ragged: bool,
    begun: SystemTime,
    directory: PathBuf,
    /// Whether the directory has its name for good.
    listed: bool,
}

/// Which line holds a way of naming, by its address. The record is kept, so
/// that its address stays its own.
type Namings = HashMap<usize, (Arc<NamingRecord>, u64)>;

impl Writer {
    /// Goes on at `end`, or begins a log where there is none.
    pub(crate) fn begin(shared: Arc<Shared>, lock: File, end: End) -> io::Result<Self> {
        let settings = shared.settings();
        let options = &*settings.options;
        let mut head = end.head;
        let (log, last) = match end.segment {
            Some(last) => (last.header.log.clone(), Some(last)),
            None => (Uuid::new_v4().to_string(), None),
        };
        let format = last.as_ref().map_or(FORMAT, |last| last.header.format);
        let header = header(&log, format, options);
        let mut segment = match last {
            Some(last) if last.header == header => Segment {
                file: last.file,
                bytes: last.bytes,
                ragged: false,
                begun: last.begun,
                directory: options.directory.clone(),
                listed: true,
            },
            // Other settings are other promises: they begin a segment.
            Some(_) | None => Segment::begin(options, &header, &mut head)?,
        };
        segment.list()?;
        if let Some(repair) = &end.repair {
            segment.tell(&mut head, "repair", repair, true)?;
        }
        let now = Instant::now();
        Ok(Self {
            shared,
            settings,
            _lock: lock,
            keeper: None,
            log,
            format,
            segment,
            head,
            waiting: Vec::new(),
            namings: HashMap::new(),
            outdated: false,
            lines_since_checkpoint: 0,
            checkpointed: now,
            synced: now,
            unsynced: true,
            gauge: Gauge::new(Room::of),
        })
    }

    /// Writes until the log is closed.
    pub(crate) fn run(mut self) {
        loop {
            let room = self.waiting.is_empty();
            let pause = if room { Flush::WRITE_WITHIN } else { RETRY };
            let Taken {
                waiting,
                lost,
                closing,
            } = self.shared.queue.take(pause, room);
            self.waiting.extend(waiting);
            let outcome = self.turn(lost, closing, Instant::now());
            if closing
                && (outcome.is_err() || self.waiting.is_empty() && self.shared.queue.len() == 0)
            {
                return;
            }
        }
    }

    /// Does everything that is to be done, `now`.
    fn turn(&mut self, lost: Lost, closing: bool, now: Instant) -> io::Result<()> {
        self.adopt_settings();
        let outcome = self.write(lost).and_then(|()| {
            self.tell_counts(closing, now);
            self.keep_up(closing)
        });
        self.shared.status.wrote(&outcome, self.head.sequence);
        outcome
    }

    /// Writes the counts of a window that is over. Counts that find no room are
    /// written with the next window's, so that identities do not wait for them.
    fn tell_counts(&mut self, closing: bool, now: Instant) {
        let options = Arc::clone(&self.settings.options);
        let counting = options.rejections == Rejections::Count;
        let tight = counting && self.gauge.is_tight(&options.directory, now);
        self.shared.tight.store(tight, Relaxed);
        let window = match (counting && !closing, tight) {
            (false, _) => Duration::ZERO,
            (true, false) => WINDOW,
            (true, true) => TIGHT_WINDOW,
        };
        let Some(counted) = self.shared.tally().ended(now, window) else {
            return;
        };
        let told = redact_counts(counted.clone(), &options.redact);
        let written = self
            .begin_counting()
            .and_then(|()| self.tell("counted", &told));
        match written {
            Ok(()) => self.lines_since_checkpoint += 1,
            Err(_no_room) => self.shared.tally().unsay(counted, now),
        }
    }

    /// Makes sure that the segment's header has the format with counts: an
    /// older reader then says that it does not know the format, and not that
    /// the log is damaged.
    fn begin_counting(&mut self) -> io::Result<()> {
        if self.format >= FORMAT_WITH_COUNTS {
            // Counts too are written by what their segment says.
            return if self.outdated { self.rotate() } else { Ok(()) };
        }
        let (format, head) = (self.format, self.head);
        self.format = FORMAT_WITH_COUNTS;
        let begun = self.rotate();
        if begun.is_err() && self.head == head {
            // No other segment has begun: this one goes on as it is.
            self.format = format;
        }
        begun
    }

    /// Settings that were applied to a log that was open already.
    fn adopt_settings(&mut self) {
        let settings = self.shared.settings();
        if Arc::ptr_eq(&settings, &self.settings) {
            return;
        }
        let of = |settings: &Settings| header(&self.log, self.format, &settings.options);
        self.outdated |= of(&self.settings) != of(&settings);
        self.settings = settings;
    }

    /// Writes what waits, in batches, and a gap for what was lost.
    fn write(&mut self, mut lost: Lost) -> io::Result<()> {
        loop {
            self.withdraw();
            if self.waiting.is_empty() && lost == Lost::default() {
                return Ok(());
            }
            let begun = if self.outdated { self.rotate() } else { Ok(()) };
            let before = self.head;
            let count = self.waiting.len().min(BATCH);
            let each = self.settings.options.flush == Flush::Each;
            let lines = begun.and_then(|()| self.lines(count, lost));
            let written = lines.and_then(|lines| self.segment.append(&lines, each));
            if let Err(error) = written {
                self.head = before;
                self.namings.retain(|_, (_, line)| *line <= before.sequence);
                self.shared.queue.unsay(lost);
                if each {
                    self.give_up();
                }
                return Err(error);
            }
            lost = Lost::default();
            self.unsynced |= !each;
            self.lines_since_checkpoint += self.head.sequence - before.sequence;
            for waiting in self.waiting.drain(..count) {
                if let Some(receipt) = waiting.receipt {
                    receipt.sign(true);
                }
            }
            self.shared.queue.let_go(count);
            self.shared.status.recorded(count);
            // Between batches too: a long queue is no reason to put it off.
            self.keep_up(false)?;
        }
    }

    /// Takes identities that nobody waits for any more out of the next batch:
    /// they were refused, for the disk kept those who waited too long.
    fn withdraw(&mut self) {
        let refused = |waiting: &mut Waiting| {
            let receipt = waiting.receipt.as_ref();
            waiting.entry.decision.outcome == Outcome::Identity
                && receipt.is_some_and(|receipt| receipt.is_abandoned())
        };
        let batch = self.waiting.len().min(BATCH);
        let count = self.waiting.extract_if(..batch, refused).count();
        self.lose(count);
    }

    /// Counts decisions that were taken and will not be written.
    fn lose(&self, count: usize) {
        if count > 0 {
            self.shared.queue.let_go(count);
            self.shared.queue.lose(count as u64);
            self.shared.status.lost(count as u64);
        }
    }

    /// Tells those who wait that they wait in vain.
    fn give_up(&mut self) {
        self.lose(self.waiting.len());
        for waiting in self.waiting.drain(..) {
            if let Some(receipt) = waiting.receipt {
                receipt.sign(false);
            }
        }
    }

    /// The lines of the first `count` decisions, and of what was lost.
    fn lines(&mut self, count: usize, lost: Lost) -> io::Result<Vec<u8>> {
        let mut lines = Vec::with_capacity(count.saturating_mul(1 << 11));
        let now = SystemTime::now();
        for Waiting { entry, .. } in self.waiting.iter_mut().take(count) {
            if let Some(naming) = &entry.naming {
                let address = Arc::as_ptr(naming).addr();
                let line = match self.namings.get(&address) {
                    Some((_, line)) => *line,
                    None => {
                        self.head.seal(now, "naming", &**naming, &mut lines)?;
                        let line = self.head.sequence;
                        self.namings.insert(address, (Arc::clone(naming), line));
                        line
                    }
                };
                entry.decision.naming = Some(line);
            }
            redact(&mut entry.decision, &self.settings.options.redact)?;
            self.head
                .seal(entry.time, "decision", &entry.decision, &mut lines)?;
        }
        if let Some(gap) = lost.gap() {
            self.head.seal(now, "gap", &gap, &mut lines)?;
        }
        Ok(lines)
    }

    /// What is due besides: synchronising, a checkpoint, another segment.
    fn keep_up(&mut self, closing: bool) -> io::Result<()> {
        let due = match self.settings.options.flush {
            Flush::Each | Flush::Os => false,
            Flush::Interval(interval) => self.synced.elapsed() >= interval,
        };
        if self.unsynced && (due || closing) {
            self.sync()?;
        }
        let checkpoints = &self.settings.options.checkpoints;
        let many = self.lines_since_checkpoint >= checkpoints.lines;
        let long = self.checkpointed.elapsed() >= checkpoints.interval || closing;
        if many || long && self.lines_since_checkpoint > 0 {
            self.checkpoint()?;
        }
        let age = SystemTime::now().duration_since(self.segment.begun);
        let old = age.is_ok_and(|age| age >= self.settings.options.segment_age);
        if self.segment.bytes >= self.settings.options.segment_bytes || old || self.outdated {
            self.rotate()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.segment.file.sync_data()?;
        self.synced = Instant::now();
        self.unsynced = false;
        Ok(())
    }

    /// Says what the log is, in the log and where its operator wants it.
    fn checkpoint(&mut self) -> io::Result<()> {
        // What is said elsewhere must hold after a power cut here.
        self.sync()?;
        let now = SystemTime::now();
        let checkpoint = Checkpoint {
            log: self.log.clone(),
            sequence: self.head.sequence,
            head: self.head.hash,
            time: now,
            signature: None,
        }
        .signed(self.settings.key.as_ref());
        self.tell("checkpoint", &checkpoint)?;
        self.lines_since_checkpoint = 0;
        self.checkpointed = Instant::now();
        self.shared.status.checkpointed();
        // Attesting does not depend on where checkpoints are kept.
        match &self.settings.options.checkpoints.file {
            Some(path) => {
                let place = KeptIn {
                    path: path.clone(),
                    check: self.settings.options.directory_check,
                };
                if let Err(behind) = self.keep(place, checkpoint) {
                    self.shared.status.kept(&Err(behind));
                }
            }
            None => self.shared.status.kept(&Ok(())),
        }
        Ok(())
    }

    fn keep(&mut self, place: KeptIn, checkpoint: Checkpoint) -> io::Result<()> {
        let keeper = match &mut self.keeper {
            Some(keeper) => keeper,
            None => self.keeper.insert(Keeper::begin(Arc::clone(&self.shared))?),
        };
        keeper.keep(place, checkpoint)
    }

    /// Begins another segment, and deletes the oldest where there are too many.
    fn rotate(&mut self) -> io::Result<()> {
        // Nothing is written to this one again that would do it.
        self.segment.trim()?;
        self.sync()?;
        let header = header(&self.log, self.format, &self.settings.options);
        let mut head = self.head;
        self.segment = Segment::begin(&self.settings.options, &header, &mut head)?;
        self.head = head;
        self.outdated = false;
        self.namings.clear();
        self.unsynced = true;
        // Only now: the new segment has its first line, whatever comes of this.
        self.segment.list()?;
        self.retire()
    }

    fn retire(&mut self) -> io::Result<()> {
        let Some(keep) = self.settings.options.keep_segments else {
            return Ok(());
        };
        let segments = segment::list(&self.settings.options.directory)?;
        let Some(count) = segments.len().checked_sub(keep.max(1)) else {
            return Ok(());
        };
        let (gone, kept) = segments.split_at(count);
        let first_kept = kept.first().and_then(|path| segment::first_of(path));
        if let (false, Some(first)) = (gone.is_empty(), first_kept) {
            let retired = Retired {
                through: first.saturating_sub(1),
                segments: gone
                    .iter()
                    .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                    .collect(),
            };
            self.tell("retired", &retired)?;
            // Said first and done then: a log never lacks what it does not speak of.
            self.sync()?;
            gone.iter().try_for_each(fs::remove_file)?;
        }
        Ok(())
    }

    fn tell(&mut self, kind: &str, payload: &impl serde::Serialize) -> io::Result<()> {
        self.unsynced = true;
        self.segment.tell(&mut self.head, kind, payload, false)
    }
}

impl Segment {
    /// A segment that begins with `header`, behind `head`.
    fn begin(options: &Options, header: &SegmentHeader, head: &mut Head) -> io::Result<Self> {
        let directory = &options.directory;
        let path = directory.join(segment::name(head.sequence.saturating_add(1)));
        // What an attempt before this one left: no line of it ever counted.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut segment = Self {
            file: create(&path)?,
            bytes: 0,
            ragged: false,
            begun: SystemTime::now(),
            directory: directory.clone(),
            listed: true,
        };
        if let Err(error) = segment.tell(head, "segment", header, true) {
            // The segment before goes on, and this would stand in its way.
            fs::remove_file(&path)?;
            return Err(error);
        }
        segment.listed = false;
        Ok(segment)
    }

    /// Makes its name last. Nothing is written to a segment that might be gone
    /// after a power cut.
    fn list(&mut self) -> io::Result<()> {
        if !self.listed {
            sync_directory(&self.directory)?;
            self.listed = true;
        }
        Ok(())
    }

    /// Writes one line.
    fn tell(
        &mut self,
        head: &mut Head,
        kind: &str,
        payload: &impl serde::Serialize,
        sync: bool,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        let mut next = *head;
        next.seal(SystemTime::now(), kind, payload, &mut line)?;
        self.append(&line, sync)?;
        *head = next;
        Ok(())
    }

    /// Cuts off what is there of lines that do not count.
    fn trim(&mut self) -> io::Result<()> {
        if self.ragged {
            self.file.set_len(self.bytes)?;
            self.ragged = false;
        }
        Ok(())
    }

    /// Writes lines. If it fails, none of them counts, and what is there of
    /// them is cut off before anything else is written.
    fn append(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        self.list()?;
        self.trim()?;
        self.ragged = true;
        self.file.write_all(lines)?;
        if sync {
            self.file.sync_data()?;
        }
        self.ragged = false;
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

/// The header of a segment of `format` under `options`.
fn header(log: &str, format: u32, options: &Options) -> SegmentHeader {
    SegmentHeader {
        format,
        log: log.to_owned(),
        writer: concat!("nameplate ", env!("CARGO_PKG_VERSION")).to_owned(),
        flush: options.flush.as_str().to_owned(),
        redact: options.redact.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests;
