//! Reads a log line by line, verifying the chain as it goes.
//!
//! Memory stays flat however long a log is: one line, and the ways of naming
//! of one segment. What is wrong with a line comes out as an error in its
//! place, and reading goes on behind it. Only a last line that is half written
//! ends it: its other half may be there by the next look, and alone it would
//! read as damage.

use crate::chain::{Frame, Members};
use crate::fault::{LineFault, Place, ReadError};
use crate::line::{Decision, Event, FORMAT, FORMAT_WITH_COUNTS, NamingRecord, SegmentHeader};
use crate::locate::{self, Searches};
use crate::segment;
use nameplate_policy::Digest;
use nameplate_words::grouped;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Longest line that is read, in bytes. Evidence is bounded to a fraction of
/// it, and so are settings.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// A line that was verified: its bytes are those that were written, and it
/// follows the line before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Where it is.
    pub place: Place,
    /// Its number in the log, from 1.
    pub sequence: u64,
    /// When what it tells was.
    pub time: SystemTime,
    /// Its hash.
    pub hash: Digest,
    /// What it tells.
    pub event: Event,
}

/// A decision of a log, with what is needed to make it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Where it is.
    pub place: Place,
    /// Its number in the log, from 1.
    pub sequence: u64,
    /// When the attestation began.
    pub time: SystemTime,
    /// How it ended.
    pub decision: Box<Decision>,
    /// How its subject was named; none where no policy was asked, or where
    /// the line that says so is broken.
    pub naming: Option<Arc<NamingRecord>>,
}

/// Reads a log, or one segment of it.
#[derive(Debug)]
pub struct Reader {
    segments: std::vec::IntoIter<PathBuf>,
    current: Option<Segment>,
    /// Every hash that the next line may follow; empty where any will do.
    heads: Vec<Digest>,
    /// The least number of the next line, where it can be said.
    expected: Option<u64>,
    /// Pieces before it of which nobody can say whether they were lines.
    pieces: u64,
    searches: Searches,
    log: Option<String>,
    bytes: u64,
    /// Bytes of the segments that are read to their end.
    behind: u64,
    counted: u64,
}

/// What stands at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A line end.
    There,
    /// Nothing: the file ends here.
    Missing,
    /// More of the line, which is not read.
    OutOfSight,
}

#[derive(Debug)]
struct Segment {
    path: Arc<PathBuf>,
    file: BufReader<File>,
    line: u64,
    offset: u64,
    /// A line that was read too early, to find out where one ends.
    ahead: Option<Vec<u8>>,
    begun: bool,
    /// Whether a line could not be read: later ones may refer to it.
    unread: bool,
    namings: HashMap<u64, Arc<NamingRecord>>,
}

impl Reader {
    /// Begins to read the log in the directory `path`, or the one segment
    /// that `path` is.
    ///
    /// # Errors
    /// [`ReadError`] when there is no log.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let unreadable = |source| ReadError::Unreadable {
            path: path.to_owned(),
            source,
        };
        if !path.is_dir() {
            return Self::of_segments(vec![path.to_owned()]);
        }
        let segments = segment::list(path).map_err(unreadable)?;
        if segments.is_empty() {
            return Err(ReadError::Empty {
                path: path.to_owned(),
            });
        }
        Self::of_segments(segments)
    }

    /// Begins to read segments of one log that follow each other, the last of
    /// which is the log's last.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] when one of them is not there.
    pub fn of_segments(segments: Vec<PathBuf>) -> Result<Self, ReadError> {
        let mut bytes = 0;
        for segment in &segments {
            let metadata = segment.metadata().map_err(|source| ReadError::Unreadable {
                path: segment.clone(),
                source,
            })?;
            bytes += metadata.len();
        }
        Ok(Self {
            segments: segments.into_iter(),
            current: None,
            heads: Vec::new(),
            expected: None,
            pieces: 0,
            searches: Searches::ALL,
            log: None,
            bytes,
            behind: 0,
            counted: 0,
        })
    }

    /// Bytes of all segments together, to say how far reading has come.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many of them are behind the reader.
    pub fn bytes_read(&self) -> u64 {
        let current = self.current.as_ref();
        self.behind + current.map_or(0, |segment| segment.offset)
    }

    /// Attestations so far that are counted, and have no record of their own.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// The decisions among the lines, and what is wrong with any line. A last
    /// line that is half written says nothing yet, and is no fault.
    pub fn decisions(mut self) -> impl Iterator<Item = Result<Recorded, ReadError>> {
        std::iter::from_fn(move || self.next_decision())
    }

    /// The next of [`Reader::decisions`].
    pub fn next_decision(&mut self) -> Option<Result<Recorded, ReadError>> {
        self.find_map(|line| match line {
            Ok(line) => line.into_decision().map(Ok),
            Err(error) if error.is_torn() => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// The next line's bytes without their end, and where it is; what stands at its end.
    fn next_bytes(&mut self) -> Result<Option<(Vec<u8>, Place, End)>, ReadError> {
        loop {
            let segment = match &mut self.current {
                Some(segment) => segment,
                None => {
                    let Some(path) = self.segments.next() else {
                        return Ok(None);
                    };
                    self.current.insert(Segment::open(path)?)
                }
            };
            let place = segment.place();
            let line = match segment.ahead.take() {
                Some(line) => line,
                None => segment.read_line()?,
            };
            if line.is_empty() {
                self.behind += segment.offset;
                self.current = None;
                continue;
            }
            segment.line += 1;
            segment.offset += length(&line);
            return Ok(Some(split_end(line, place)));
        }
    }

    /// Finds out what happened to a line that has no frame or another hash,
    /// and gives it back as it was where that can be said.
    fn explain(
        &mut self,
        line: Vec<u8>,
        place: &Place,
        end: End,
    ) -> Result<(LineFault, Option<Vec<u8>>), ReadError> {
        if end == End::OutOfSight {
            let text = format!("it is longer than {} bytes", grouped(MAX_LINE_BYTES));
            return Ok((LineFault::Malformed(text), None));
        }
        if let Some(at) = locate::lost_line_end(&line) {
            let (line, rest) = line.split_at(at);
            let (is, next) = rest.split_first().unwrap_or((&b'\n', &[]));
            let fault = LineFault::ByteChanged {
                offset: place.offset + at as u64,
                was: b'\n',
                is: *is,
            };
            if let Some(segment) = &mut self.current
                && !next.is_empty()
            {
                let mut next = next.to_vec();
                if end == End::There {
                    next.push(b'\n');
                }
                segment.offset -= length(&next);
                segment.ahead = Some(next);
            }
            return Ok((fault, Some(line.to_vec())));
        }
        if end == End::Missing {
            let bytes = length(&line);
            // A whole line without its end is torn, too, where the log ends.
            let fault = if self.segments.len() == 0 {
                LineFault::Torn { bytes }
            } else {
                LineFault::Malformed("it has no end".to_owned())
            };
            return Ok((fault, None));
        }
        if let Some(segment) = &mut self.current {
            let next = match segment.ahead.take() {
                Some(next) => next,
                None => segment.read_line()?,
            };
            if let Some((whole, was)) = locate::split_line(&line, &next, &mut self.searches) {
                segment.offset += length(&next);
                let offset = place.offset + line.len() as u64;
                let is = b'\n';
                return Ok((LineFault::ByteChanged { offset, was, is }, Some(whole)));
            }
            segment.ahead = (!next.is_empty()).then_some(next);
        }
        if let Some((at, was)) = locate::changed_byte(&line, &mut self.searches) {
            // The costly question last.
            let mut line = line;
            let is = std::mem::replace(line.get_mut(at).unwrap_or(&mut 0), was);
            let offset = place.offset + at as u64;
            return Ok((LineFault::ByteChanged { offset, was, is }, Some(line)));
        }
        let fault = match Frame::of(&line) {
            Some(Frame { stated, found }) => LineFault::Changed { stated, found },
            None => LineFault::Malformed("it has no hash".to_owned()),
        };
        Ok((fault, None))
    }

    /// Takes a line whose own bytes hold into the chain.
    fn follow(&mut self, line: &[u8], hash: Digest, place: Place) -> Result<Line, ReadError> {
        let parsed = serde_json::from_slice::<Members>(line);
        let members = match parsed {
            Ok(members) => members,
            Err(error) => {
                self.lose_thread(hash);
                return Err(broken(place, LineFault::Malformed(error.to_string())));
            }
        };
        let (sequence, previous, time) = (members.sequence, members.previous, members.time);
        let expected = self.expected.replace(sequence.saturating_add(1));
        let pieces = std::mem::take(&mut self.pieces);
        let expected = expected.map(|least| (least, least.saturating_add(pieces)));
        let heads = std::mem::replace(&mut self.heads, vec![hash]);
        let chained = unchained(expected, sequence, &heads, previous);
        // Taken in even where it is out of place: later lines refer to it.
        let event = match self.event(members, sequence) {
            Ok(event) => event,
            Err(fault) => return Err(broken(place, chained.err().unwrap_or(fault))),
        };
        match chained {
            Err(fault) => Err(broken(place, fault)),
            Ok(()) => {
                if let Event::Counted(counted) = &event {
                    self.counted = self.counted.saturating_add(counted.total());
                }
                Ok(Line {
                    place,
                    sequence,
                    time,
                    hash,
                    event,
                })
            }
        }
    }

    /// Nothing more comes out.
    fn finish(&mut self) {
        self.segments = Vec::new().into_iter();
        if let Some(segment) = self.current.take() {
            self.behind += segment.offset;
        }
    }

    /// After a line that cannot be told apart: what follows may follow it.
    fn lose_thread(&mut self, hash: Digest) {
        self.heads = vec![hash];
        self.expected = self.expected.map(|expected| expected.saturating_add(1));
    }

    fn event(&mut self, members: Members, sequence: u64) -> Result<Event, LineFault> {
        let event = event_of(members)?;
        let Some(segment) = &mut self.current else {
            return Ok(event);
        };
        let first = !std::mem::replace(&mut segment.begun, true);
        if first
            && let Some(named) = segment::first_of(&segment.path)
            && named != sequence
        {
            return Err(LineFault::Misnamed {
                named,
                found: sequence,
            });
        }
        if first && !matches!(event, Event::Segment(_)) {
            return Err(LineFault::Misplaced {
                found: event.kind(),
                expected: "the header of a segment belongs",
            });
        }
        match event {
            Event::Segment(header) if first => {
                belongs(&header, &mut self.log)?;
                Ok(Event::Segment(header))
            }
            Event::Segment(_) => Err(LineFault::Misplaced {
                found: "segment",
                expected: "the segment has begun already",
            }),
            Event::Naming(naming) => {
                segment.namings.insert(sequence, Arc::clone(&naming));
                Ok(Event::Naming(naming))
            }
            Event::Decision { decision, .. } => {
                let naming = decision.naming.map(|number| {
                    let known = segment.namings.get(&number).cloned();
                    known.ok_or(LineFault::NamingUnknown(number))
                });
                let naming = match naming.transpose() {
                    // That line's own fault has been told.
                    Err(_) if segment.unread => None,
                    naming => naming?,
                };
                Ok(Event::Decision { decision, naming })
            }
            event @ (Event::Counted(_)
            | Event::Gap(_)
            | Event::Checkpoint(_)
            | Event::Repair(_)
            | Event::Retired(_)) => Ok(event),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, place, end) = match self.next_bytes() {
            Ok(next) => next?,
            Err(error) => {
                // What cannot be read is not read again.
                self.finish();
                return Some(Err(error));
            }
        };
        let unexplained = Frame::of(&line).filter(|_whole| end == End::There);
        if let Some(frame) = unexplained
            && frame.holds()
        {
            return Some(self.follow(&line, frame.stated, place));
        }
        let (fault, restored) = match self.explain(line, &place, end) {
            Ok(explained) => explained,
            Err(error) => {
                self.finish();
                return Some(Err(error));
            }
        };
        if matches!(fault, LineFault::Torn { .. }) {
            self.finish();
            return Some(Err(broken(place, fault)));
        }
        match restored
            .as_deref()
            .and_then(|line| Some((line, Frame::of(line)?)))
        {
            Some((line, frame)) => {
                // What it says counts for what follows; that it was changed
                // is what is told of it.
                let followed = self.follow(line, frame.stated, place.clone());
                drop(followed);
            }
            None => {
                if let Some(segment) = &mut self.current {
                    segment.unread = true;
                }
                self.heads = unexplained
                    .map(|Frame { stated, found }| vec![stated, found])
                    .unwrap_or_default();
                // Of a line without an end nobody can say how many it was; one
                // without a frame may be the second half of the one before.
                self.expected = self.expected.filter(|_known| end == End::There);
                if unexplained.is_some() {
                    self.expected = self.expected.map(|expected| expected.saturating_add(1));
                } else {
                    self.pieces = self.pieces.saturating_add(1);
                }
            }
        }
        Some(Err(broken(place, fault)))
    }
}

impl Line {
    /// The decision that the line tells of, if it does.
    pub fn into_decision(self) -> Option<Recorded> {
        match self.event {
            Event::Decision { decision, naming } => Some(Recorded {
                place: self.place,
                sequence: self.sequence,
                time: self.time,
                decision,
                naming,
            }),
            Event::Segment(_)
            | Event::Naming(_)
            | Event::Counted(_)
            | Event::Gap(_)
            | Event::Checkpoint(_)
            | Event::Repair(_)
            | Event::Retired(_) => None,
        }
    }
}

impl Segment {
    fn open(path: PathBuf) -> Result<Self, ReadError> {
        match File::open(&path) {
            Ok(file) => Ok(Self {
                path: Arc::new(path),
                file: BufReader::with_capacity(256 << 10, file),
                line: 1,
                offset: 0,
                ahead: None,
                begun: false,
                unread: false,
                namings: HashMap::new(),
            }),
            Err(source) => Err(ReadError::Unreadable { path, source }),
        }
    }

    fn place(&self) -> Place {
        Place {
            segment: Arc::clone(&self.path),
            line: self.line,
            offset: self.offset,
        }
    }

    /// The next line with its end; empty at the end of the segment.
    fn read_line(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut line = Vec::new();
        let most = MAX_LINE_BYTES as u64;
        let read = self.file.by_ref().take(most).read_until(b'\n', &mut line);
        match read {
            Ok(_) => Ok(line),
            Err(source) => Err(ReadError::Unreadable {
                path: self.path.to_path_buf(),
                source,
            }),
        }
    }
}

/// Whether a line follows the one before it, its number being within `expected`.
fn unchained(
    expected: Option<(u64, u64)>,
    sequence: u64,
    heads: &[Digest],
    previous: Digest,
) -> Result<(), LineFault> {
    match expected {
        Some((_, most)) if sequence > most => {
            return Err(LineFault::Missing {
                first: most,
                last: sequence - 1,
            });
        }
        Some((least, _)) if sequence < least => {
            return Err(LineFault::OutOfOrder {
                found: sequence,
                expected: least,
            });
        }
        Some(_) | None => {}
    }
    match heads {
        [] => Ok(()),
        heads if heads.contains(&previous) => Ok(()),
        [before, ..] => Err(LineFault::Unchained {
            sequence,
            previous,
            before: *before,
        }),
    }
}

/// Whether a segment is of this format, and of the log that is being read.
fn belongs(header: &SegmentHeader, log: &mut Option<String>) -> Result<(), LineFault> {
    if !(FORMAT..=FORMAT_WITH_COUNTS).contains(&header.format) {
        let format = header.format;
        return Err(LineFault::Foreign(format!(
            "format {format}, and this host reads formats {FORMAT} to {FORMAT_WITH_COUNTS}"
        )));
    }
    match log {
        Some(log) if *log != header.log => Err(LineFault::Foreign(format!(
            "log `{}`, the one before it of `{log}`",
            header.log.escape_debug()
        ))),
        Some(_) => Ok(()),
        None => {
            *log = Some(header.log.clone());
            Ok(())
        }
    }
}

fn event_of(members: Members) -> Result<Event, LineFault> {
    let decision = |decision| Event::Decision {
        decision,
        naming: None,
    };
    let mut events = [
        members.segment.map(Event::Segment),
        members.naming.map(|naming| Event::Naming(Arc::new(naming))),
        members.decision.map(decision),
        members.counted.map(Event::Counted),
        members.gap.map(Event::Gap),
        members.checkpoint.map(Event::Checkpoint),
        members.repair.map(Event::Repair),
        members.retired.map(Event::Retired),
    ]
    .into_iter()
    .flatten();
    match (events.next(), events.next()) {
        (Some(event), None) => Ok(event),
        (_, _) => Err(LineFault::Malformed(
            "it tells of nothing, or of two things".to_owned(),
        )),
    }
}

fn broken(place: Place, fault: LineFault) -> ReadError {
    ReadError::Broken {
        place,
        fault: Box::new(fault),
    }
}

fn length(line: &[u8]) -> u64 {
    line.len() as u64
}

fn split_end(mut line: Vec<u8>, place: Place) -> (Vec<u8>, Place, End) {
    let end = match line.last() {
        Some(b'\n') => End::There,
        Some(_) | None if line.len() >= MAX_LINE_BYTES => End::OutOfSight,
        Some(_) | None => End::Missing,
    };
    if end == End::There {
        line.pop();
    }
    (line, place, end)
}
