//! The circumstances of one attestation that are the host's to say.

use crate::first_use::KnownAgents;
use nameplate_evidence::Patience;
use std::sync::Arc;
use std::time::SystemTime;
use uuid::Uuid;

/// One attestation: when it is, and the identifier it has for once.
///
/// Both are arguments, so that a decision can be made again later and come
/// out the same.
#[derive(Clone, Debug)]
pub struct Attempt {
    now: SystemTime,
    id: Uuid,
    patience: Patience,
    agents: Option<Arc<dyn KnownAgents>>,
}

impl Attempt {
    /// An attestation at `now`, with a version 4 UUID drawn for it.
    pub fn at(now: SystemTime) -> Self {
        Self::replayed(now, Uuid::new_v4())
    }

    /// An attestation as it was: to replay a decision, or to test one.
    pub fn replayed(now: SystemTime, id: Uuid) -> Self {
        Self {
            now,
            id,
            patience: Patience::none(),
            agents: None,
        }
    }

    /// The same, waiting for others (an API server, published keys) as long as
    /// `patience` lasts. Without this nobody is asked.
    #[must_use]
    pub fn within(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The same, where an agent that is known already gets no second identity
    /// by evidence that proves nothing anew.
    #[must_use]
    pub fn knowing(mut self, agents: Arc<dyn KnownAgents>) -> Self {
        self.agents = Some(agents);
        self
    }

    /// When it is.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Its identifier.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// How long others may be waited for.
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Who knows which agents there are, if anybody does.
    pub(crate) fn agents(&self) -> Option<&Arc<dyn KnownAgents>> {
        self.agents.as_ref()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z; 0 before.
    pub(crate) fn seconds(&self) -> u64 {
        self.now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}
