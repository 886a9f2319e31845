//! Whether a whole log is what was written, and what it says of itself.
//!
//! Checkpoints that were kept elsewhere may be of several logs, in any order,
//! and more than fit into memory: those of this log are held some at a time,
//! and the log is read again for the rest.

use crate::checkpoint::{Checkpoint, SignatureError, VerifyingKey};
use crate::fault::{Place, ReadError};
use crate::line::Event;
use crate::reader::{Line, Reader};
use nameplate_policy::Digest;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::Path;

/// Most faults that are listed; more are counted.
const MAX_LISTED: usize = 100;

/// Most kept checkpoints that are held at once.
const MAX_HELD: usize = 1 << 18;

/// What was found in a log.
#[derive(Debug, Default)]
pub struct Verification {
    /// Identifier of the log.
    pub log: Option<String>,
    /// Segments.
    pub segments: u64,
    /// Lines that hold.
    pub lines: u64,
    /// Decisions among them.
    pub decisions: u64,
    /// Sequence number of the first line that holds.
    pub first: Option<u64>,
    /// Sequence number of the last line that holds, and its hash.
    pub last: Option<(u64, Digest)>,
    /// Attestations with nothing proven that are counted, and have no record.
    pub counted: u64,
    /// Decisions that the log says it does not hold.
    pub lost: u64,
    /// Torn ends that were mended.
    pub repairs: u64,
    /// Lines that were deleted because more segments were there than are kept.
    pub retired_through: u64,
    /// A line without an end at the end of the log: half written when the
    /// process was killed, or being written now.
    pub torn: Option<Place>,
    /// Checkpoints in the log that hold.
    pub checkpoints: u64,
    /// Checkpoints kept elsewhere that the log agrees with.
    pub kept: u64,
    /// Checkpoints kept elsewhere of lines from before the first.
    pub kept_before: u64,
    /// Checkpoints kept elsewhere that are of other logs.
    pub kept_foreign: u64,
    /// The last line that is vouched for from outside: by a checkpoint kept
    /// elsewhere that agrees, or by one in the log that the given key has
    /// signed. None: the log is consistent in itself, and all of it may have
    /// been rewritten.
    pub vouched_through: Option<u64>,
    /// Decisions after that line, or all of them.
    pub decisions_after: u64,
    /// Whether what is wrong is before the first line that holds.
    begins_broken: bool,
    /// What is wrong, in the order of the log; at most 100 of them.
    pub faults: Vec<VerifyFault>,
    /// How much is wrong, listed or not.
    pub fault_count: u64,
}

/// Something that is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFault {
    /// A line, or the files.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The beginning is gone, and the log does not say that it was deleted.
    #[error(
        "{place}: the log begins with line {first}; where the lines before it are, it does not say"
    )]
    BeginningMissing {
        /// The first line.
        place: Place,
        /// Its sequence number.
        first: u64,
    },
    /// A checkpoint in the log is not believed.
    #[error("{place}: {error}")]
    Signature {
        /// The checkpoint's line.
        place: Place,
        /// Why.
        error: SignatureError,
    },
    /// A checkpoint in the log states something else than the line before it.
    #[error("{place}: the checkpoint states another line {sequence} than is there")]
    CheckpointContradicts {
        /// The checkpoint's line.
        place: Place,
        /// The line that it is of.
        sequence: u64,
    },
    /// A checkpoint kept elsewhere is not believed.
    #[error("the kept checkpoint of line {sequence}: {error}")]
    KeptSignature {
        /// The line that it is of.
        sequence: u64,
        /// Why.
        error: SignatureError,
    },
    /// Every checkpoint kept elsewhere is of another log: either these are not
    /// its own, or the log is not the one that they were taken of.
    #[error("no kept checkpoint is of this log, of {kept}; the first is of the log `{}`", log.escape_debug())]
    KeptForeign {
        /// How many there are.
        kept: u64,
        /// The log that the first is of.
        log: String,
    },
    /// The log has another line than a checkpoint kept elsewhere says: it was
    /// written anew.
    #[error("{place}: line {sequence} has hash {found}, the kept checkpoint says {kept}")]
    Rewritten {
        /// The line.
        place: Place,
        /// Its sequence number.
        sequence: u64,
        /// The hash that it has.
        found: Digest,
        /// The hash that it had.
        kept: Digest,
    },
    /// The log ends before a line that a checkpoint kept elsewhere is of.
    #[error(
        "the log ends with line {last}, and there is a kept checkpoint of line {kept}: its end was cut off"
    )]
    CutOff {
        /// Sequence number of its last line; 0 where none holds.
        last: u64,
        /// The line of the checkpoint.
        kept: u64,
    },
}

impl Verification {
    /// Reads the log at `path` from end to end, against the checkpoints that
    /// were `kept` elsewhere and, where there is one, the key that has to have
    /// signed all of them that are of this log. `progress` is told how many
    /// bytes are read, of how many.
    ///
    /// # Errors
    /// [`ReadError`] when there is no log; what is wrong with one is in the result.
    pub fn of(
        path: &Path,
        kept: impl IntoIterator<Item = Checkpoint>,
        key: Option<&VerifyingKey>,
        progress: impl FnMut(u64, u64),
    ) -> Result<Self, ReadError> {
        Self::holding(MAX_HELD, path, kept, key, progress)
    }

    /// The same, with at most so many kept checkpoints in memory.
    fn holding(
        most: usize,
        path: &Path,
        kept: impl IntoIterator<Item = Checkpoint>,
        key: Option<&VerifyingKey>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Self, ReadError> {
        let whole = path.is_dir();
        let mut verification = Self::default();
        let mut kept = Kept {
            all: kept.into_iter().peekable(),
            log: None,
            own: 0,
            first_foreign: None,
        };
        if kept.all.peek().is_some() {
            kept.log = log_of(path)?;
        }
        let mut held = verification.hold(&mut kept, most, key);
        let mut begins: Option<Place> = None;
        let mut before: Option<(u64, Digest)> = None;
        let mut reader = Reader::open(path)?;
        while let Some(line) = reader.next() {
            progress(reader.bytes_read(), reader.bytes());
            let torn = line.as_ref().is_err_and(ReadError::is_torn);
            match line {
                Ok(line) => {
                    begins.get_or_insert_with(|| line.place.clone());
                    verification.line(&line, before, key, &mut held);
                    before = Some((line.sequence, line.hash));
                }
                Err(ReadError::Broken {
                    place,
                    fault: _half_written,
                }) if torn => verification.torn = Some(place),
                Err(error) => {
                    before = None;
                    verification.begins_broken |= begins.is_none();
                    verification.fault(error);
                }
            }
        }
        verification.ends(begins, whole);
        verification.unmatched(held, whole);
        while kept.all.peek().is_some() {
            let mut held = verification.hold(&mut kept, most, key);
            verification.decisions_after = 0;
            let mut reader = Reader::open(path)?;
            while let Some(line) = reader.next() {
                progress(reader.bytes_read(), reader.bytes());
                // What is wrong with a line has been told.
                if let Ok(line) = line {
                    verification.compare(&line, &mut held);
                }
            }
            verification.unmatched(held, whole);
        }
        if let (0, Some(log)) = (kept.own, kept.first_foreign) {
            verification.fault(VerifyFault::KeptForeign {
                kept: verification.kept_foreign,
                log,
            });
        }
        Ok(verification)
    }

    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.fault_count == 0
    }

    /// Whether it is shown to be what was written, up to
    /// [`Verification::vouched_through`].
    pub fn is_proven(&self) -> bool {
        self.holds() && self.vouched_through.is_some()
    }

    /// Notes that everything up to the reader's line is vouched for.
    fn vouch(&mut self, line: u64) {
        if self.vouched_through.is_none_or(|through| line >= through) {
            self.vouched_through = Some(line);
            self.decisions_after = 0;
        }
    }

    fn fault(&mut self, fault: impl Into<VerifyFault>) {
        self.fault_count += 1;
        if self.faults.len() < MAX_LISTED {
            self.faults.push(fault.into());
        }
    }

    /// Takes the next kept checkpoints of this log that are believed.
    fn hold<I: Iterator<Item = Checkpoint>>(
        &mut self,
        kept: &mut Kept<I>,
        most: usize,
        key: Option<&VerifyingKey>,
    ) -> Held {
        let mut held = Held::new();
        let mut count = 0;
        while count < most
            && let Some(checkpoint) = kept.all.next()
        {
            let sequence = checkpoint.sequence;
            if kept.log.as_ref().is_some_and(|log| *log != checkpoint.log) {
                self.kept_foreign += 1;
                kept.first_foreign.get_or_insert(checkpoint.log);
                continue;
            }
            kept.own += 1;
            match key.map_or(Ok(()), |key| checkpoint.verify(key)) {
                Ok(()) => {
                    count += 1;
                    held.entry(sequence).or_default().push(checkpoint.head);
                }
                Err(error) => self.fault(VerifyFault::KeptSignature { sequence, error }),
            }
        }
        held
    }

    fn line(
        &mut self,
        line: &Line,
        before: Option<(u64, Digest)>,
        key: Option<&VerifyingKey>,
        held: &mut Held,
    ) {
        self.lines += 1;
        self.first.get_or_insert(line.sequence);
        self.last = Some((line.sequence, line.hash));
        match &line.event {
            Event::Segment(header) => {
                self.segments += 1;
                self.log.get_or_insert_with(|| header.log.clone());
            }
            Event::Decision { .. } => self.decisions += 1,
            Event::Counted(counted) => {
                self.counted = self.counted.saturating_add(counted.total());
            }
            Event::Gap(gap) => self.lost = self.lost.saturating_add(gap.lost()),
            Event::Checkpoint(checkpoint) => self.checkpoint(checkpoint, line, before, key),
            Event::Repair(_) => self.repairs += 1,
            Event::Retired(retired) => self.retired_through = retired.through,
            Event::Naming(_) => {}
        }
        self.compare(line, held);
    }

    fn checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        line: &Line,
        before: Option<(u64, Digest)>,
        key: Option<&VerifyingKey>,
    ) {
        let place = || line.place.clone();
        let contradicts = before
            .is_some_and(|before| before != (checkpoint.sequence, checkpoint.head))
            || self.log.as_ref().is_some_and(|log| *log != checkpoint.log);
        if contradicts {
            return self.fault(VerifyFault::CheckpointContradicts {
                place: place(),
                sequence: checkpoint.sequence,
            });
        }
        match key.map_or(Ok(()), |key| checkpoint.verify(key)) {
            Ok(()) => {
                self.checkpoints += 1;
                if key.is_some() {
                    self.vouch(checkpoint.sequence);
                }
            }
            Err(error) => self.fault(VerifyFault::Signature {
                place: place(),
                error,
            }),
        }
    }

    /// Compares a line with the kept checkpoints of it.
    fn compare(&mut self, line: &Line, held: &mut Held) {
        if matches!(line.event, Event::Decision { .. }) {
            self.decisions_after += 1;
        }
        // A pass before this one may have found it.
        if self.vouched_through == Some(line.sequence) {
            self.vouch(line.sequence);
        }
        for kept in held.remove(&line.sequence).unwrap_or_default() {
            if kept == line.hash {
                self.kept += 1;
                self.vouch(line.sequence);
            } else {
                self.fault(VerifyFault::Rewritten {
                    place: line.place.clone(),
                    sequence: line.sequence,
                    found: line.hash,
                    kept,
                });
            }
        }
    }

    /// What can be said only when the whole log was read.
    fn ends(&mut self, begins: Option<Place>, whole: bool) {
        if let (Some(place), Some(first)) = (begins, self.first)
            && whole
            && !self.begins_broken
            && first > self.retired_through.saturating_add(1)
        {
            self.fault(VerifyFault::BeginningMissing { place, first });
        }
    }

    /// The same of kept checkpoints whose line is not there.
    fn unmatched(&mut self, held: Held, whole: bool) {
        let last = self.last.map_or(0, |(last, _)| last);
        for (line, kept) in held {
            if line > last && whole {
                self.fault(VerifyFault::CutOff { last, kept: line });
            } else if self.first.is_some_and(|first| line < first) {
                self.kept_before += kept.len() as u64;
            }
        }
    }
}

/// Checkpoints that were kept elsewhere, as they come.
struct Kept<I: Iterator<Item = Checkpoint>> {
    all: Peekable<I>,
    /// The log that is verified, where it says which it is.
    log: Option<String>,
    /// How many were of it so far.
    own: u64,
    /// The log that the first of another one is of.
    first_foreign: Option<String>,
}

/// Kept checkpoints of this log: what they say of which line.
type Held = BTreeMap<u64, Vec<Digest>>;

/// Which log it is that is at `path`, by the first segment that says so.
fn log_of(path: &Path) -> Result<Option<String>, ReadError> {
    Ok(Reader::open(path)?.find_map(|line| match line.ok()?.event {
        Event::Segment(header) => Some(header.log),
        Event::Naming(_)
        | Event::Decision { .. }
        | Event::Counted(_)
        | Event::Gap(_)
        | Event::Checkpoint(_)
        | Event::Repair(_)
        | Event::Retired(_) => None,
    }))
}

#[cfg(test)]
mod tests;
