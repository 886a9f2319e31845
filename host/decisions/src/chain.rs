//! A line's frame: how it is bound to its own bytes and to the line before it.
//!
//! ```text
//! {"hash":"sha256:…","previous":"sha256:…","sequence":7,"time":"…","decision":{…}}
//! ```
//!
//! `hash` is the SHA-256 of the bytes from `"previous"` to the closing brace;
//! `previous` is the hash of the line before. So a changed byte shows in the
//! line that it is in, and a line that is gone in the one that follows.

use crate::checkpoint::Checkpoint;
use crate::line::{Counted, Decision, Gap, NamingRecord, Repair, Retired, SegmentHeader};
use crate::timestamp;
use nameplate_policy::Digest;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::time::SystemTime;

/// What a line begins with, before the digits of its hash.
pub(crate) const BEGIN: &[u8] = br#"{"hash":""#;
/// What stands between its hash and what is hashed.
pub(crate) const END_OF_HASH: &[u8] = br#"","#;
/// Bytes of a digest as it is written.
pub(crate) const DIGEST_BYTES: usize = 71;

/// Where a chain stands: what its next line follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Sequence number of the last line; 0 before the first.
    pub(crate) sequence: u64,
    /// Hash of the last line; [`Digest::NONE`] before the first.
    pub(crate) hash: Digest,
}

impl Head {
    /// Before the first line.
    pub(crate) const START: Self = Self {
        sequence: 0,
        hash: Digest::NONE,
    };

    /// Writes the next line, `{…,"kind":payload}`, at the end of `out`.
    ///
    /// # Errors
    /// What serde says about a payload that is no JSON.
    pub(crate) fn seal(
        &mut self,
        time: SystemTime,
        kind: &str,
        payload: &impl Serialize,
        out: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let sequence = self.sequence.saturating_add(1);
        let mut body = Vec::with_capacity(1 << 10);
        let (previous, time) = (self.hash, timestamp::shown(time));
        write!(
            body,
            r#""previous":"{previous}","sequence":{sequence},"time":"{time}","{kind}":"#
        )
        .map_err(serde_json::Error::io)?;
        serde_json::to_writer(&mut body, payload)?;
        body.push(b'}');
        let hash = Digest::of(&body);
        out.extend_from_slice(BEGIN);
        write!(out, "{hash}").map_err(serde_json::Error::io)?;
        out.extend_from_slice(END_OF_HASH);
        out.append(&mut body);
        out.push(b'\n');
        *self = Self { sequence, hash };
        Ok(())
    }
}

/// A line's frame, taken apart and not yet believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The hash that the line states.
    pub(crate) stated: Digest,
    /// The hash that its bytes have.
    pub(crate) found: Digest,
}

impl Frame {
    /// Takes a line, without its line end, apart; none where it has no frame.
    pub(crate) fn of(line: &[u8]) -> Option<Self> {
        let (digest, rest) = line.strip_prefix(BEGIN)?.split_at_checked(DIGEST_BYTES)?;
        let body = rest.strip_prefix(END_OF_HASH)?;
        Some(Self {
            stated: std::str::from_utf8(digest).ok()?.parse().ok()?,
            found: Digest::of(body),
        })
    }

    /// Whether the line is what was written.
    pub(crate) fn holds(self) -> bool {
        self.stated == self.found
    }
}

/// A line as it is parsed: exactly one of the last members is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Members {
    #[serde(rename = "hash")]
    _hash: serde::de::IgnoredAny,
    pub(crate) previous: Digest,
    pub(crate) sequence: u64,
    #[serde(with = "timestamp")]
    pub(crate) time: SystemTime,
    pub(crate) segment: Option<SegmentHeader>,
    pub(crate) naming: Option<NamingRecord>,
    pub(crate) decision: Option<Box<Decision>>,
    pub(crate) counted: Option<Counted>,
    pub(crate) gap: Option<Gap>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) repair: Option<Repair>,
    pub(crate) retired: Option<Retired>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Vec<u8> {
        let mut out = Vec::new();
        let gap = Gap {
            queue_full: 1,
            write_failed: 2,
        };
        let mut head = Head::START;
        head.seal(SystemTime::UNIX_EPOCH, "gap", &gap, &mut out)
            .unwrap();
        assert_eq!(head.sequence, 1);
        assert_eq!(out.pop(), Some(b'\n'));
        out
    }

    #[test]
    fn a_line_reads_back() {
        let line = sealed();
        assert!(Frame::of(&line).unwrap().holds());
        let members: Members = serde_json::from_slice(&line).unwrap();
        assert_eq!(members.previous, Digest::NONE);
        assert_eq!(members.gap.unwrap().lost(), 3);
        assert_eq!(members.time, SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn any_changed_byte_breaks_the_frame() {
        let line = sealed();
        for at in 0..line.len() {
            let mut changed = line.clone();
            changed[at] ^= 1;
            let holds = Frame::of(&changed).is_some_and(Frame::holds);
            assert!(!holds, "byte {at}");
        }
    }
}
