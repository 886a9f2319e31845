//! What can be wrong with a log, and where.

use nameplate_policy::Digest;
use nameplate_words::grouped;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A place in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment.
    pub segment: Arc<PathBuf>,
    /// Number of the line in it, from 1.
    pub line: u64,
    /// Where the line begins in it, in bytes from 0.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (segment, line) = (self.segment.display(), self.line);
        write!(f, "{segment}:{line} (byte {})", self.offset)
    }
}

/// Why a log cannot be read on, or a line of it is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no segment at all.
    #[error("`{}` holds no decision log", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// A line is not what was written, or does not follow the one before.
    #[error("{place}")]
    Broken {
        /// The line.
        place: Place,
        /// What is wrong with it.
        #[source]
        fault: Box<LineFault>,
    },
}

impl ReadError {
    /// Whether it is a last line that is half written: torn off, or being
    /// written at this moment.
    pub fn is_torn(&self) -> bool {
        match self {
            Self::Broken { fault, .. } => matches!(**fault, LineFault::Torn { .. }),
            Self::Unreadable { .. } | Self::Empty { .. } => false,
        }
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// One byte was changed, and this is which.
    #[error("byte {offset} was {} and is {}", shown(*was), shown(*is))]
    ByteChanged {
        /// Where it is in the segment, from 0.
        offset: u64,
        /// What it was when it was written.
        was: u8,
        /// What it is.
        is: u8,
    },
    /// The bytes are not those whose hash the line states.
    #[error("the line was changed: its hash is {found}, and it states {stated}")]
    Changed {
        /// The hash that the line states.
        stated: Digest,
        /// The hash that its bytes have.
        found: Digest,
    },
    /// It is no line of a decision log.
    #[error("not a line of a decision log: {0}")]
    Malformed(String),
    /// It has no end: half written, or being written.
    #[error("the last line has no end; {} bytes of it are there", grouped(*.bytes))]
    Torn {
        /// Bytes that are there.
        bytes: u64,
    },
    /// Lines before it are gone.
    #[error("lines {first} to {last} are missing before line {}", last + 1)]
    Missing {
        /// Sequence number of the first line that is gone.
        first: u64,
        /// Sequence number of the last.
        last: u64,
    },
    /// It stands after lines that it should stand before.
    #[error("line {found} stands where line {expected} belongs")]
    OutOfOrder {
        /// Its sequence number.
        found: u64,
        /// The one that belongs there.
        expected: u64,
    },
    /// It follows another line than the one before it.
    #[error("line {sequence} follows a line of hash {previous}, the one before it has {before}")]
    Unchained {
        /// Its sequence number.
        sequence: u64,
        /// The hash that it says the line before has.
        previous: Digest,
        /// The hash that the line before has.
        before: Digest,
    },
    /// A segment's name states another first line than it has.
    #[error("the segment's name states line {named}, and it begins with line {found}")]
    Misnamed {
        /// The sequence number that the name states.
        named: u64,
        /// The one that the first line has.
        found: u64,
    },
    /// A segment begins with something else than its header, or holds two.
    #[error("a `{found}` line stands where {expected}")]
    Misplaced {
        /// Kind of the line.
        found: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// The segment is of another log, or of a format that this host does not read.
    #[error("the segment is of {0}")]
    Foreign(String),
    /// A decision refers to a way of naming that the segment does not hold.
    #[error("the decision refers to line {0}, which says of no policy")]
    NamingUnknown(u64),
}

fn shown(byte: u8) -> String {
    format!("0x{byte:02x} (`{}`)", char::from(byte).escape_default())
}
