//! The circumstances of one attestation that are the host's to say.

use crate::first_use::KnownAgents;
use nameplate_evidence::Patience;
use nameplate_evidence::certificates::{BundleSource, Surroundings};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
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
    bundle: Option<Arc<dyn BundleSource>>,
    client_address: Option<String>,
}

impl Attempt {
    /// How long an attestation waits for others where nobody says otherwise.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    /// An attestation at `now`, with a version 4 UUID drawn for it.
    ///
    /// It waits for others (an API server, published keys) until
    /// [`PATIENCE`](Self::PATIENCE) has passed since this call. A thread that
    /// may not wait takes [`asking_nobody`](Self::asking_nobody); evidence that
    /// only others can vouch for is then refused.
    pub fn at(now: SystemTime) -> Self {
        Self::replayed(now, Uuid::new_v4()).within(Patience::until(Instant::now() + Self::PATIENCE))
    }

    /// An attestation of the past: to replay a decision, or to test one. It
    /// asks nobody, since an answer of today may differ.
    pub fn replayed(now: SystemTime, id: Uuid) -> Self {
        Self {
            now,
            id,
            patience: Patience::none(),
            agents: None,
            bundle: None,
            client_address: None,
        }
    }

    /// The same attempt, which waits for others as long as `patience` lasts.
    #[must_use]
    pub fn within(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The same attempt, which asks nobody.
    #[must_use]
    pub fn asking_nobody(self) -> Self {
        self.within(Patience::none())
    }

    /// The same, where an agent that is known already gets no second identity
    /// by evidence that proves nothing anew.
    #[must_use]
    pub fn knowing(mut self, agents: Arc<dyn KnownAgents>) -> Self {
        self.agents = Some(agents);
        self
    }

    /// The same, where the authorities of the trust domain can be asked for,
    /// which `x509pop` in SPIFFE mode needs.
    #[must_use]
    pub fn trusting(mut self, bundle: Arc<dyn BundleSource>) -> Self {
        self.bundle = Some(bundle);
        self
    }

    /// The same, from a peer that the server sees at `address`.
    #[must_use]
    pub fn from_address(mut self, address: Option<String>) -> Self {
        self.client_address = address;
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

    /// What evidence cannot say of itself.
    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            patience: &self.patience,
            client_address: self.client_address.as_deref(),
            bundle: self.bundle.as_deref(),
        }
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
