//! What the lines of a log say, as data.
//!
//! docs/decision-log.md describes each of them. Nothing here is believed for
//! being well-formed: that a line is one of the log's own is what
//! [`Reader`](crate::Reader) finds out.

use crate::checkpoint::Checkpoint;
use crate::timestamp;
use nameplate_policy::{Denial, Derivation, Digest, EngineIdentity, Facts, Limits};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

/// Version of the format, as each segment states it, where it holds nothing
/// that a reader of this version would not know.
pub const FORMAT: u32 = 1;

/// The same of a segment with [`Counted`] lines in it.
pub const FORMAT_WITH_COUNTS: u32 = 2;

/// What a line tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A segment begins, under these settings.
    Segment(SegmentHeader),
    /// A way of naming, that decisions after it refer to.
    Naming(Arc<NamingRecord>),
    /// An attestation ended.
    Decision {
        /// How.
        decision: Box<Decision>,
        /// How its subject was named; none where no policy was asked.
        naming: Option<Arc<NamingRecord>>,
    },
    /// Attestations ended with nothing proven, and are counted.
    Counted(Counted),
    /// Decisions were made that are not in the log.
    Gap(Gap),
    /// What the log was at this point.
    Checkpoint(Checkpoint),
    /// A torn end was found when the log was opened.
    Repair(Repair),
    /// Segments were deleted because there were more than are kept.
    Retired(Retired),
}

impl Event {
    /// The member that holds it, which is also what `log show` calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Segment(_) => "segment",
            Self::Naming(_) => "naming",
            Self::Decision { .. } => "decision",
            Self::Counted(_) => "counted",
            Self::Gap(_) => "gap",
            Self::Checkpoint(_) => "checkpoint",
            Self::Repair(_) => "repair",
            Self::Retired(_) => "retired",
        }
    }
}

/// The first line of each segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentHeader {
    /// Version of the format: [`FORMAT`] or [`FORMAT_WITH_COUNTS`].
    pub format: u32,
    /// Identifier of the log: a UUID drawn when it began.
    pub log: String,
    /// What wrote it.
    pub writer: String,
    /// When lines are synchronised with the disk: `each`, `interval` or `os`.
    pub flush: String,
    /// Facts that are left out of every decision, as JSON Pointers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
}

/// A policy with everything that its answers depend on besides the facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamingRecord {
    /// Name of the attestor.
    pub attestor: Arc<str>,
    /// Trust domain of its identities.
    pub trust_domain: String,
    /// The policy.
    pub policy: PolicyRecord,
    /// Its settings: a JSON object.
    pub settings: serde_json::Value,
    /// Digest of the settings as JSON text without white space.
    pub settings_digest: Digest,
    /// What it may answer: the fields of the attestor's envelope.
    pub envelope: serde_json::Value,
    /// What it may cost.
    pub limits: Limits,
    /// What ran it.
    pub engine: EngineIdentity,
}

/// Which policy it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRecord {
    /// Its name; where the component says none, its source.
    pub name: String,
    /// Its version, where the component says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of its component.
    pub digest: Digest,
}

/// How an attestation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Name of the attestor.
    pub attestor: Arc<str>,
    /// Number of its generation, counted by who attests.
    pub generation: u64,
    /// The cluster that the subject belongs to, where it is known and not a
    /// fact that is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Sequence number of the line that says how the subject was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naming: Option<u64>,
    /// The facts as the policy saw them, but for the redacted ones; none
    /// where nothing was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Facts that were there and are empty here, as JSON Pointers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
    /// What the policy answered; none where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// WebAssembly fuel that the policy used, where it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Whether there is an identity, and if not, whose part it was.
    pub outcome: Outcome,
    /// Stable code of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
    /// The failure in words; none where facts are left out, which they may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The identity that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<String>,
}

/// What a policy answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A name, before the envelope was asked.
    Derivation(Derivation),
    /// No name.
    Denial(Denial),
    /// Nothing that could be used; the stable code says why.
    Fault(Cow<'static, str>),
}

/// How an attestation ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an identity.
    Identity,
    /// The policy denied the subject a name.
    Denied,
    /// The evidence was rejected.
    Rejected,
    /// The operator, the policy's author or the host is at fault.
    Fault,
}

impl Outcome {
    /// Every outcome there is.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Denied, Self::Rejected, Self::Fault];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Denied => "denied",
            Self::Rejected => "rejected",
            Self::Fault => "fault",
        }
    }
}

/// Attestations that ended with nothing proven and have no record of their own,
/// for there were many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// How many, by what they have in common.
    pub counts: Vec<Count>,
}

/// How many attestations ended alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Name of the attestor.
    pub attestor: Arc<str>,
    /// The cluster that the peers named, where it is one that is configured and
    /// not a fact that is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// How they ended.
    pub outcome: Outcome,
    /// Stable code of the failure.
    pub reason: Cow<'static, str>,
    /// How many.
    pub count: u64,
    /// When the first of them was.
    #[serde(with = "timestamp")]
    pub first: SystemTime,
    /// When the last of them was.
    #[serde(with = "timestamp")]
    pub last: SystemTime,
}

/// Decisions that were made and are not in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Decisions lost because the queue was full.
    pub queue_full: u64,
    /// Decisions lost because they could not be written.
    pub write_failed: u64,
}

impl Gap {
    /// All of them.
    pub fn lost(&self) -> u64 {
        self.queue_full.saturating_add(self.write_failed)
    }
}

/// A torn end: what a process that was killed had half written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// Bytes that were taken off the end of the log.
    pub torn_bytes: u64,
    /// The file beside the segments that keeps them.
    pub kept_in: String,
}

/// Segments that were deleted, all from the beginning of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// Sequence number of the last line that is gone.
    pub through: u64,
    /// Names of the files.
    pub segments: Vec<String>,
}
