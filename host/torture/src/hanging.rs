//! Attacks on the places: attestations of a cluster whose API server never
//! answers fill them, and another cluster's has to find one.

use crate::attack::Outcome;
use crate::error::TortureError;
use crate::target::{Evidence, Ground, Target};
use nameplate_attestor::{PlaceLimits, Places};
use nameplate_evidence::{
    ApiError, ClusterApi, NodeRecord, Patience, PodRecord, RawEvidence, SigningRequestRecord,
    TokenReview,
};
use nameplate_policy::Sandbox;
use serde_json::{Value, json};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Places, of which the operator's share counts.
const LIMITS: PlaceLimits = PlaceLimits {
    concurrent: 8,
    queued: 0,
};

/// The cluster beside the operator's.
const HANGING: &str = "whose-api-server-does-not-answer";

/// How long a thread may take to come to the API server.
const BUSY: Duration = Duration::from_secs(30);

/// An API server that answers nothing before it is released.
#[derive(Debug, Default)]
struct Hanging {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    asked: usize,
    released: bool,
}

impl Hanging {
    fn hang<T>(&self) -> Result<T, ApiError> {
        let mut state = self.state();
        state.asked = state.asked.saturating_add(1);
        self.changed.notify_all();
        let waiting = |state: &mut State| !state.released;
        let _released = self.changed.wait_while(state, waiting);
        Err(ApiError::OutOfPatience)
    }

    /// Waits until it was asked so many times.
    fn wait_for(&self, asked: usize) {
        let fewer = |state: &mut State| state.asked < asked;
        let _waited = self.changed.wait_timeout_while(self.state(), BUSY, fewer);
    }

    fn release(&self) {
        self.state().released = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClusterApi for Hanging {
    fn review(&self, _: &str, _: &[String], _: &Patience) -> Result<TokenReview, ApiError> {
        self.hang()
    }

    fn pod(&self, _: &str, _: &str, _: &Patience) -> Result<PodRecord, ApiError> {
        self.hang()
    }

    fn node(&self, _: &str, _: &Patience) -> Result<NodeRecord, ApiError> {
        self.hang()
    }

    fn signing_request(&self, _: &str, _: &Patience) -> Result<SigningRequestRecord, ApiError> {
        self.hang()
    }
}

/// Whether the attack can be made: where several clusters wait for others, and
/// this one for an API server.
pub(crate) fn is_for(target: &Target) -> bool {
    match &target.ground {
        Ground::Tokens(ground) => {
            target.subject.waiting > 1
                && ground.beside(HANGING, Arc::<Hanging>::default()).is_some()
        }
        Ground::Chains(_) => false,
    }
}

/// As many attestations as find a place wait for an API server that never
/// answers; then the neighbour attests, which has to find one, too.
pub(crate) fn outcome(sandbox: &Sandbox, target: &Target) -> Result<Outcome, TortureError> {
    let api = Arc::new(Hanging::default());
    let Ground::Tokens(ground) = &target.ground else {
        return Ok(Outcome::Identity(String::new()));
    };
    let Some(clusters) = ground.beside(HANGING, Arc::clone(&api) as _) else {
        return Ok(Outcome::Identity(String::new()));
    };
    let attestor = target.attestor_of_clusters(clusters, target.fitting_naming(sandbox)?);
    let places = Places::new(LIMITS);
    let queue = |evidence: &Evidence| {
        RawEvidence::new(target.subject.method, evidence.payload.clone())
            .ok()
            .map(|raw| places.queue(&attestor, &raw))
    };
    let twin = target.twin()?;
    let hanging = renamed(&twin);
    thread::scope(|scope| {
        let mut waiting = 0usize;
        while let Some(place) = queue(&hanging).and_then(|queue| queue.try_place()) {
            waiting = waiting.saturating_add(1);
            let (attestor, hanging) = (&attestor, &hanging);
            scope.spawn(move || {
                let _refused = target.attest(attestor, hanging);
                drop(place);
            });
        }
        api.wait_for(waiting);
        let outcome = match queue(&twin).and_then(|queue| queue.try_place()) {
            Some(_place) => target.outcome(&twin, target.attest(&attestor, &twin)),
            None => Outcome::Outlived(format!(
                "{waiting} attestations that wait for one API server leave no place of {} for \
                 another cluster; a smaller `cluster_share` would",
                LIMITS.concurrent
            )),
        };
        api.release();
        Ok(outcome)
    })
}

/// The same evidence, sent for the cluster whose API server hangs.
fn renamed(evidence: &Evidence) -> Evidence {
    let payload: Result<Value, _> = serde_json::from_slice(&evidence.payload);
    let mut payload = payload.unwrap_or_default();
    if let Some(members) = payload.as_object_mut() {
        members.insert("cluster".to_owned(), json!(HANGING));
    }
    Evidence::token(payload.to_string().into_bytes())
}
