//! The decision log: one record of every attestation in which something was
//! proven, and a count of the others, chained by hashes, so that it can be shown
//! afterwards why a machine has its name.
//!
//! | part | what it is responsible for |
//! |---|---|
//! | [`Event`], [`Decision`] | what the lines say |
//! | [`Reader`] | whether the lines are those that were written |
//! | [`Verification`] | whether a whole log is, and what it says of itself |
//! | [`Checkpoint`] | what shows that the end is there, kept elsewhere |
//! | [`DecisionLog`] | writing: order, segments, the disk that is full |
//!
//! A log trusts the process that writes it and nobody afterwards. The chain has
//! no key: alone it shows a change only where the lines after it were not
//! rewritten. A rewritten log does not match checkpoints that its writer could
//! not reach or sign; a log that is cut off does not match checkpoints kept
//! elsewhere.

mod chain;
mod checkpoint;
mod fault;
mod keeper;
mod line;
mod locate;
mod log;
mod opening;
mod options;
mod queue;
mod reader;
mod redaction;
mod room;
mod segment;
mod status;
mod tally;
mod timestamp;
mod verification;
mod writer;

pub use checkpoint::{Checkpoint, KeyError, SignatureError, SigningKey, VerifyingKey};
pub use fault::{LineFault, Place, ReadError};
pub use line::{
    Answer, Count, Counted, Decision, Event, FORMAT, FORMAT_WITH_COUNTS, Gap, NamingRecord,
    Outcome, PolicyRecord, Repair, Retired, SegmentHeader,
};
pub use log::{DecisionLog, SigningKeyError, Unrecorded};
pub use opening::OpenError;
pub use options::{CheckpointOptions, Flush, OnError, Options, Rejections};
pub use queue::Entry;
pub use reader::{Line, MAX_LINE_BYTES, Reader, Recorded};
pub use redaction::{NotAFact, RedactedFact};
pub use status::Status;
pub use tally::Unproven;
pub use verification::{Verification, VerifyFault};

#[cfg(test)]
mod tests;
