//! A policy that is tried on real traffic beside the one that serves.
//!
//! Nobody who attests waits for it: what was decided goes into a bounded
//! queue, and a thread of its own asks the shadow and compares. Where the
//! queue is full the decision is dropped, and counted. Nothing that a shadow
//! answers reaches a peer; its envelope and limits are those of what serves.

use crate::cases::Outcome;
use crate::error::AttestError;
use crate::identity::AgentIdentity;
use crate::namespace::Namespace;
use crate::naming::{Naming, PolicyLabel};
use crate::step::Step;
use crate::study::shapes;
use nameplate_policy::{Digest, Facts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Decisions that wait to be compared, some KiB each.
pub const QUEUE: usize = 256;

/// Most kinds of difference that are told apart; the rest are counted as one.
const KINDS: usize = 64;

/// A policy that is tried beside the one that serves, until it is dropped.
#[derive(Debug)]
pub struct Shadow {
    naming: Arc<Naming>,
    queue: Option<SyncSender<Decided>>,
    counts: Arc<Mutex<Counts>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What was decided for real.
#[derive(Debug)]
struct Decided {
    facts: Facts,
    live: Outcome,
}

#[derive(Debug, Default)]
struct Counts {
    agreed: u64,
    dropped: u64,
    faults: u64,
    differed: u64,
    kinds: BTreeMap<String, Difference>,
}

/// What a shadow came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowStatus {
    /// The policy, by name and version.
    pub policy: String,
    /// Digest of its component.
    pub component: Digest,
    /// Decisions that it would have made alike.
    pub agreed: u64,
    /// Decisions that it would have made in another way.
    pub differed: u64,
    /// Of those, how often it gave no usable answer.
    pub faults: u64,
    /// Decisions that it was not asked about, since too many waited.
    pub dropped: u64,
    /// The differences by kind, the most frequent first.
    pub kinds: Vec<Difference>,
}

/// A kind of difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What the kind is, paths made general.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// What was decided, the first time.
    pub live: String,
    /// What the shadow answered then.
    pub shadow: String,
}

impl Shadow {
    /// Tries `naming` beside what serves in `namespace`.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn beside(namespace: Namespace, naming: Naming) -> io::Result<Self> {
        let naming = Arc::new(naming);
        let counts: Arc<Mutex<Counts>> = Arc::default();
        let stop: Arc<AtomicBool> = Arc::default();
        let (queue, decisions) = mpsc::sync_channel(QUEUE);
        let comparing = Comparing {
            namespace,
            naming: Arc::clone(&naming),
            counts: Arc::clone(&counts),
            stop: Arc::clone(&stop),
        };
        let thread = thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || comparing.run(&decisions))?;
        Ok(Self {
            naming,
            queue: Some(queue),
            counts,
            stop,
            thread: Some(thread),
        })
    }

    /// The policy that is tried.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// Takes a decision that was made for real, where a policy made it.
    pub(crate) fn offer(&self, facts: &Facts, decided: &Result<Step, AttestError>) {
        let live = match decided {
            Ok(Step::Attested(attestation)) => outcome(Ok(&attestation.identity)),
            Ok(Step::Challenged(_)) => None,
            Err(error) => outcome(Err(error)),
        };
        let Some(live) = live else {
            return;
        };
        let facts = facts.clone();
        if let Some(queue) = &self.queue
            && queue.try_send(Decided { facts, live }).is_err()
        {
            locked(&self.counts).dropped += 1;
        }
    }

    /// What it came to so far.
    pub fn status(&self) -> ShadowStatus {
        let counts = locked(&self.counts);
        let mut kinds: Vec<_> = counts.kinds.values().cloned().collect();
        kinds.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
        let label: &PolicyLabel = self.naming.label();
        ShadowStatus {
            policy: label.to_string(),
            component: label.digest,
            agreed: counts.agreed,
            differed: counts.differed,
            faults: counts.faults,
            dropped: counts.dropped,
            kinds,
        }
    }
}

impl Drop for Shadow {
    /// Ends the thread after what it is comparing.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was caught where the policy was asked.
            thread.join().ok();
        }
    }
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shadow's thread.
struct Comparing {
    namespace: Namespace,
    naming: Arc<Naming>,
    counts: Arc<Mutex<Counts>>,
    stop: Arc<AtomicBool>,
}

impl Comparing {
    fn run(&self, decisions: &Receiver<Decided>) {
        while let Ok(Decided { facts, live }) = decisions.recv() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.compare(&facts, &live);
        }
    }

    fn compare(&self, facts: &Facts, live: &Outcome) {
        let answer = self.naming.answer(&self.namespace, facts);
        if let Some(shadow) = outcome(answer.as_ref()) {
            locked(&self.counts).add(live, &shadow, facts);
        }
    }
}

/// What was decided, if a policy had a part in it.
fn outcome(result: Result<&AgentIdentity, &AttestError>) -> Option<Outcome> {
    match result {
        Ok(identity) => Some(Outcome::from(identity)),
        Err(AttestError::Denied { denial, .. }) => Some(Outcome::Denied {
            code: denial.code.clone(),
        }),
        Err(error @ (AttestError::PolicyFailed { .. } | AttestError::NotAdmitted { .. })) => {
            Some(Outcome::Fault(error.reason().to_owned()))
        }
        Err(
            AttestError::Rejected(_)
            | AttestError::NoRandomness
            | AttestError::TokenNotFresh(_)
            | AttestError::AlreadyAttested
            | AttestError::AgentsUnknown(_)
            | AttestError::IdentityCollision(_)
            | AttestError::HoldersUnknown(_)
            | AttestError::Unrecorded(_),
        ) => None,
    }
}

impl Counts {
    fn add(&mut self, live: &Outcome, shadow: &Outcome, facts: &Facts) {
        let Some((change, from, to)) = shapes(live, shadow, facts) else {
            self.agreed += 1;
            return;
        };
        self.differed += 1;
        if matches!(shadow, Outcome::Fault(_)) {
            self.faults += 1;
        }
        let mut kind = format!("{change}: {from} → {to}");
        // A policy chooses what its names look like.
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind) {
            kind = "any other difference".to_owned();
        }
        let difference = self
            .kinds
            .entry(kind)
            .or_insert_with_key(|kind| Difference {
                kind: kind.clone(),
                count: 0,
                live: live.to_string(),
                shadow: shadow.to_string(),
            });
        difference.count += 1;
    }
}
