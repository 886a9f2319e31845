//! Places for attestations: how many are at work at once, and how many of
//! those may wait for one cluster's API server.
//!
//! An attestation that asks nobody ends in the time that computing takes. One
//! that asks an API server, or a publisher of keys, ends when that answers. The
//! two kinds never queue for the same places, so an API server that hangs
//! delays its own clusters only.
//!
//! The places are as many as the operator says, twice: once for what asks
//! nobody, and once for what waits. Of the second each cluster has its share,
//! and of those that queue for them the same share. Clusters are those of the
//! configuration; a name that a peer made up has no places and makes none.

use crate::attestor::Attestor;
use crate::step::Challenged;
use nameplate_evidence::RawEvidence;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Attestations at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceLimits {
    /// At work that ask nobody, and as many again that wait for others. At
    /// least 1.
    pub concurrent: usize,
    /// Queueing for either kind of place. One more is refused.
    pub queued: usize,
}

/// The places of one attestor. Share them between all who attest with it.
#[derive(Debug)]
pub struct Places {
    limits: PlaceLimits,
    own: Arc<Lane>,
    /// All that wait for others, whatever the shares add up to.
    waiting: Arc<Lane>,
    /// The shares of the clusters that have one.
    shares: Mutex<BTreeMap<String, Arc<Lane>>>,
}

/// Places, and a queue for them.
#[derive(Debug)]
struct Lane {
    places: Arc<Semaphore>,
    size: usize,
    queued: AtomicUsize,
    most_queued: usize,
}

/// Where an attestation queues for a place.
#[derive(Clone, Debug)]
pub struct Queue {
    lane: Arc<Lane>,
    waiting: Option<Arc<Lane>>,
    cluster: Option<String>,
}

/// A place. Dropped, it is another's.
#[derive(Debug)]
#[must_use = "a place that is dropped is another's"]
pub struct Place {
    _place: OwnedSemaphorePermit,
    _waiting: Option<OwnedSemaphorePermit>,
}

/// Too many queue already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attestations at once")]
pub struct QueueFull;

impl Places {
    /// Places within `limits`.
    pub fn new(limits: PlaceLimits) -> Self {
        let lane = || Arc::new(Lane::new(limits.concurrent, limits.queued));
        Self {
            limits,
            own: lane(),
            waiting: lane(),
            shares: Mutex::default(),
        }
    }

    /// The queue of `evidence`: that of its cluster, where others may be asked
    /// about it, and else the one of all evidence that asks nobody. Looks at
    /// its shape alone.
    pub fn queue(&self, attestor: &Attestor, evidence: &RawEvidence) -> Queue {
        self.queue_of(attestor, attestor.waits_for(evidence))
    }

    /// The same for the answer to a challenge.
    pub fn queue_to_answer(&self, attestor: &Attestor, challenged: &Challenged) -> Queue {
        self.queue_of(attestor, challenged.waits_for().map(str::to_owned))
    }

    fn queue_of(&self, attestor: &Attestor, cluster: Option<String>) -> Queue {
        let share = cluster.and_then(|cluster| Some((self.share(attestor, &cluster)?, cluster)));
        match share {
            None => Queue {
                lane: Arc::clone(&self.own),
                waiting: None,
                cluster: None,
            },
            Some((lane, cluster)) => Queue {
                lane,
                waiting: Some(Arc::clone(&self.waiting)),
                cluster: Some(cluster),
            },
        }
    }

    /// The share of `cluster`; none where it is not configured any more.
    fn share(&self, attestor: &Attestor, cluster: &str) -> Option<Arc<Lane>> {
        let size = attestor.share_of(self.limits.concurrent.max(1));
        let queued = attestor.share_of(self.limits.queued);
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = shares.get(cluster)
            && (lane.size, lane.most_queued) == (size, queued)
        {
            return Some(Arc::clone(lane));
        }
        // It is new, or the configuration is: who has a place keeps it.
        let clusters = attestor.waiting_clusters();
        shares.retain(|name, _| clusters.contains(name));
        clusters.contains(cluster).then(|| {
            let lane = Arc::new(Lane::new(size, queued));
            shares.insert(cluster.to_owned(), Arc::clone(&lane));
            lane
        })
    }
}

impl Queue {
    /// The cluster that is waited for, if one is; an empty name where it has
    /// none.
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// Waits for a place, first come, first served.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub async fn place(&self) -> Result<Place, QueueFull> {
        let place = self.lane.place().await?;
        let waiting = match &self.waiting {
            Some(lane) => Some(lane.place().await?),
            None => None,
        };
        Ok(Place {
            _place: place,
            _waiting: waiting,
        })
    }

    /// A place, if there is one now.
    pub fn try_place(&self) -> Option<Place> {
        let place = self.lane.try_place()?;
        let waiting = match &self.waiting {
            Some(lane) => Some(lane.try_place()?),
            None => None,
        };
        Some(Place {
            _place: place,
            _waiting: waiting,
        })
    }
}

impl Lane {
    fn new(size: usize, most_queued: usize) -> Self {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(size)),
            size,
            queued: AtomicUsize::new(0),
            most_queued,
        }
    }

    fn try_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, QueueFull> {
        if let Some(place) = self.try_place() {
            return Ok(place);
        }
        let queued = Queued::in_front_of(&self.queued);
        if queued.before >= self.most_queued {
            return Err(QueueFull);
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        // Nobody closes it.
        place.map_err(|_closed| QueueFull)
    }
}

/// One that queues, for as long as it does.
struct Queued<'a> {
    queued: &'a AtomicUsize,
    before: usize,
}

impl<'a> Queued<'a> {
    fn in_front_of(queued: &'a AtomicUsize) -> Self {
        let before = queued.fetch_add(1, Ordering::Relaxed);
        Self { queued, before }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}
