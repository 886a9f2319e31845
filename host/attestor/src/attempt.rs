//! The circumstances of one attestation that are the host's to say.

use std::time::SystemTime;
use uuid::Uuid;

/// One attestation: when it is, and the identifier it has for once.
///
/// Both are arguments, so that a decision can be made again later and come
/// out the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    now: SystemTime,
    id: Uuid,
}

impl Attempt {
    /// An attestation at `now`, with a version 4 UUID drawn for it.
    pub fn at(now: SystemTime) -> Self {
        Self {
            now,
            id: Uuid::new_v4(),
        }
    }

    /// An attestation as it was: to replay a decision, or to test one.
    pub fn replayed(now: SystemTime, id: Uuid) -> Self {
        Self { now, id }
    }

    /// When it is.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Its identifier.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whole seconds since 1970-01-01T00:00:00Z; 0 before.
    pub(crate) fn seconds(&self) -> u64 {
        self.now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}
