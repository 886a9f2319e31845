//! How a log is written.

use crate::redaction::RedactedFact;
use nameplate_files::DirectoryCheck;
use std::path::PathBuf;
use std::time::Duration;

/// How a log is written. Two logs with equal options are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The directory of its segments; made where there is none.
    pub directory: PathBuf,
    /// Whether nobody else may write to it, and to where checkpoints are kept.
    pub directory_check: DirectoryCheck,
    /// When its lines are synchronised with the disk.
    pub flush: Flush,
    /// What happens to an attestation that cannot be recorded.
    pub on_error: OnError,
    /// What is written of attestations that end with nothing proven.
    pub rejections: Rejections,
    /// Most decisions in memory, waiting to be written or being written.
    pub queue: usize,
    /// Size from which a segment is followed by another, in bytes.
    pub segment_bytes: u64,
    /// Age from which a segment is followed by another.
    pub segment_age: Duration,
    /// Most segments that are kept; all of them when there is none.
    pub keep_segments: Option<usize>,
    /// Facts that are left out.
    pub redact: Vec<RedactedFact>,
    /// Checkpoints.
    pub checkpoints: CheckpointOptions,
}

/// When a log says what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// After how many lines.
    pub lines: u64,
    /// After how long, if there are new lines.
    pub interval: Duration,
    /// The file that they are also written to.
    pub file: Option<PathBuf>,
    /// The file of the private key that signs them.
    pub key: Option<PathBuf>,
}

/// When lines are synchronised with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Before the answer is given: no identity without its record. Those that
    /// wait at the same time share one synchronisation.
    Each,
    /// Written within [`Flush::WRITE_WITHIN`], synchronised this often.
    Interval(Duration),
    /// Written within [`Flush::WRITE_WITHIN`]; when it reaches the disk is the
    /// operating system's to say.
    Os,
}

impl Flush {
    /// Longest time that a decision waits before it is written.
    pub const WRITE_WITHIN: Duration = Duration::from_millis(100);

    /// As it is configured and recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Interval(_) => "interval",
            Self::Os => "os",
        }
    }
}

/// What happens to an attestation that cannot be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It ends without an identity.
    Refuse,
    /// It goes on, and the log says how many are missing once it can.
    Drop,
}

/// What is written of attestations that end with nothing proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejections {
    /// A record of the first few of a minute, and a count of the rest. None of
    /// them takes the disk's last room, or the second half of the queue.
    Count,
    /// A record each, as of everything else.
    Each,
}

impl Options {
    /// The default options, in `directory`.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            directory_check: DirectoryCheck::On,
            flush: Flush::Interval(Duration::from_secs(1)),
            on_error: OnError::Refuse,
            rejections: Rejections::Count,
            queue: 8_192,
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(24 * 60 * 60),
            keep_segments: None,
            redact: Vec::new(),
            checkpoints: CheckpointOptions {
                lines: 1_000,
                interval: Duration::from_secs(60),
                file: None,
                key: None,
            },
        }
    }
}
