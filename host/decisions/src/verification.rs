//! Whether a whole log is what was written, and what it says of itself.

use crate::checkpoint::{Checkpoint, SignatureError, VerifyingKey};
use crate::fault::{Place, ReadError};
use crate::line::Event;
use crate::reader::{Line, Reader};
use nameplate_policy::Digest;
use std::collections::BTreeMap;
use std::path::Path;

/// Most faults that are listed; more are counted.
const MAX_LISTED: usize = 100;

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
    /// A checkpoint kept elsewhere is of another log.
    #[error("the kept checkpoint of line {sequence} is of the log `{}`", log.escape_debug())]
    KeptForeign {
        /// The line that it is of.
        sequence: u64,
        /// The log that it is of.
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
    /// signed all of them. `progress` is told how many bytes are read, of how many.
    ///
    /// # Errors
    /// [`ReadError`] when there is no log; what is wrong with one is in the result.
    pub fn of(
        path: &Path,
        kept: Vec<Checkpoint>,
        key: Option<&VerifyingKey>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Self, ReadError> {
        let mut verification = Self::default();
        let mut kept = verification.kept_by_line(kept, key);
        let mut begins: Option<Place> = None;
        let mut before: Option<(u64, Digest)> = None;
        let mut reader = Reader::open(path)?;
        while let Some(line) = reader.next() {
            progress(reader.bytes_read(), reader.bytes());
            let torn = line.as_ref().is_err_and(ReadError::is_torn);
            match line {
                Ok(line) => {
                    begins.get_or_insert_with(|| line.place.clone());
                    verification.line(&line, before, key, &mut kept);
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
        verification.ends(begins, kept, path.is_dir());
        Ok(verification)
    }

    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.fault_count == 0
    }

    fn fault(&mut self, fault: impl Into<VerifyFault>) {
        self.fault_count += 1;
        if self.faults.len() < MAX_LISTED {
            self.faults.push(fault.into());
        }
    }

    /// The kept checkpoints that are believed, by the line that they are of.
    fn kept_by_line(
        &mut self,
        kept: Vec<Checkpoint>,
        key: Option<&VerifyingKey>,
    ) -> BTreeMap<u64, Checkpoint> {
        let mut by_line = BTreeMap::new();
        for checkpoint in kept {
            let sequence = checkpoint.sequence;
            match key.map_or(Ok(()), |key| checkpoint.verify(key)) {
                Ok(()) => drop(by_line.insert(sequence, checkpoint)),
                Err(error) => self.fault(VerifyFault::KeptSignature { sequence, error }),
            }
        }
        by_line
    }

    fn line(
        &mut self,
        line: &Line,
        before: Option<(u64, Digest)>,
        key: Option<&VerifyingKey>,
        kept: &mut BTreeMap<u64, Checkpoint>,
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
            Event::Gap(gap) => self.lost = self.lost.saturating_add(gap.lost()),
            Event::Checkpoint(checkpoint) => self.checkpoint(checkpoint, line, before, key),
            Event::Repair(_) => self.repairs += 1,
            Event::Retired(retired) => self.retired_through = retired.through,
            Event::Naming(_) => {}
        }
        if let Some(checkpoint) = kept.remove(&line.sequence) {
            self.compare(&checkpoint, line);
        }
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
            Ok(()) => self.checkpoints += 1,
            Err(error) => self.fault(VerifyFault::Signature {
                place: place(),
                error,
            }),
        }
    }

    fn compare(&mut self, kept: &Checkpoint, line: &Line) {
        if self.log.as_ref().is_some_and(|log| *log != kept.log) {
            return self.fault(VerifyFault::KeptForeign {
                sequence: kept.sequence,
                log: kept.log.clone(),
            });
        }
        if kept.head != line.hash {
            return self.fault(VerifyFault::Rewritten {
                place: line.place.clone(),
                sequence: kept.sequence,
                found: line.hash,
                kept: kept.head,
            });
        }
        self.kept += 1;
    }

    /// What can be said only when the whole log was read.
    fn ends(&mut self, begins: Option<Place>, kept: BTreeMap<u64, Checkpoint>, whole: bool) {
        if let (Some(place), Some(first)) = (begins, self.first)
            && whole
            && !self.begins_broken
            && first > self.retired_through.saturating_add(1)
        {
            self.fault(VerifyFault::BeginningMissing { place, first });
        }
        let last = self.last.map_or(0, |(last, _)| last);
        for (line, checkpoint) in kept {
            if self.log.as_ref().is_some_and(|log| *log != checkpoint.log) {
                self.fault(VerifyFault::KeptForeign {
                    sequence: line,
                    log: checkpoint.log,
                });
            } else if line > last && whole {
                self.fault(VerifyFault::CutOff { last, kept: line });
            } else if self.first.is_some_and(|first| line < first) {
                self.kept_before += 1;
            }
        }
    }
}
