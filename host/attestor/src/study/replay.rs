//! Makes recorded decisions again, and says where they come out otherwise.
//!
//! What a policy answers depends on its component, its settings, its limits
//! and the facts, and on nothing else; the first is found by its digest, the
//! rest is in the log. So a decision that was recorded can be made again on
//! any machine, at any time, by anybody, and has to come out the same.

mod run;

pub use run::{Replay, ReplayProgress};

use crate::envelope::Envelope;
use crate::namespace::Namespace;
use nameplate_decisions::{Answer, NamingRecord, Outcome, Place, Recorded};
use nameplate_policy::{
    BUILTINS, Digest, EngineIdentity, Facts, LoadError, Policy, PolicyRequest, PolicySource,
    Sandbox,
};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Makes recorded decisions again. Share one between threads.
#[derive(Debug)]
pub struct Replayer {
    sandbox: Sandbox,
    /// The components that there are, by their digests.
    components: BTreeMap<Digest, Cow<'static, [u8]>>,
    /// The policy to put every decision to, where it is not the recorded one.
    under: Option<Under>,
    loaded: Mutex<Loaded>,
}

/// A policy to ask in place of the recorded ones.
#[derive(Debug)]
struct Under {
    component: Cow<'static, [u8]>,
    settings: Option<serde_json::Value>,
}

/// Ways of naming that are loaded.
#[derive(Debug, Default)]
struct Loaded {
    /// By the address of a record, which is kept so that it stays its own.
    by_address: HashMap<usize, (Arc<NamingRecord>, Arc<Recalled>)>,
    /// By what the record says: each segment of a log says it anew.
    by_content: HashMap<Digest, Arc<Recalled>>,
}

/// Most records that are remembered by their addresses.
const MAX_ADDRESSES: usize = 1_024;

/// A recorded way of naming, ready to be asked; or why it is not.
#[derive(Debug)]
struct Recalled(Result<Ready, Unreplayable>);

#[derive(Debug)]
struct Ready {
    policy: Policy,
    envelope: Envelope,
    namespace: Namespace,
    /// Whether its fuel can be compared with the recorded one: the same
    /// component with the same settings, on the same engine.
    same_cost: bool,
}

/// What became of a decision that was made again.
#[derive(Clone, Debug, PartialEq)]
pub enum Replayed {
    /// It came out as it is recorded.
    Same,
    /// It came out otherwise.
    Diverged(Box<Divergence>),
    /// It came out otherwise, and facts that it was made with were left out of
    /// the log: nothing can be said.
    Redacted(Box<Divergence>),
    /// No policy was asked, so there is nothing to make again.
    NotAsked,
    /// It cannot be made again.
    Unreplayable(Unreplayable),
}

/// Why a decision cannot be made again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unreplayable {
    /// Nobody has said where the policy is.
    #[error("no policy with digest {0} was given")]
    PolicyUnknown(Digest),
    /// The policy cannot be loaded as it was.
    #[error("policy {policy} cannot be loaded as it was: {why}")]
    PolicyRefused {
        /// Its digest.
        policy: Digest,
        /// Why.
        why: String,
    },
    /// The record of how its subject was named is broken, or is of something
    /// that this host does not know.
    #[error("how its subject was named cannot be read: {0}")]
    NamingUnreadable(String),
    /// The clock ended it, which it does not do twice.
    #[error("the clock ended it")]
    Deadline,
}

/// A decision that came out otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Divergence {
    /// Its number in the log.
    pub sequence: u64,
    /// The segment.
    pub segment: String,
    /// The line in it.
    pub line: u64,
    /// What is recorded.
    pub recorded: Came,
    /// What came out now.
    pub replayed: Came,
    /// Facts that were left out of the log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
}

/// How a decision came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Came {
    /// What the policy answered.
    pub answer: Answer,
    /// Fuel that it used.
    pub fuel: Option<u64>,
    /// The ID that was admitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<String>,
    /// Why none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
}

impl Replayer {
    /// One that knows the policies that ship.
    pub fn new(sandbox: Sandbox) -> Self {
        let builtins = BUILTINS.map(|builtin| Cow::Borrowed(builtin.component));
        let mut replayer = Self {
            sandbox,
            components: BTreeMap::new(),
            under: None,
            loaded: Mutex::default(),
        };
        for component in builtins {
            replayer.know(component);
        }
        replayer
    }

    /// Takes a component, to be asked wherever its digest is recorded.
    pub fn know(&mut self, component: Cow<'static, [u8]>) {
        self.components.insert(Digest::of(&component), component);
    }

    /// Makes every decision under `component`, whichever policy is recorded,
    /// with `settings` where they are given and else with the recorded ones.
    /// Fuel is compared where it is the recorded component after all.
    pub fn decide_under(
        &mut self,
        component: Cow<'static, [u8]>,
        settings: Option<serde_json::Value>,
    ) {
        self.under = Some(Under {
            component,
            settings,
        });
    }

    /// Makes a decision again.
    pub fn replay(&self, recorded: &Recorded) -> Replayed {
        let decision = &recorded.decision;
        let (Some(answer), Some(facts)) = (&decision.answer, &decision.facts) else {
            return Replayed::NotAsked;
        };
        let Some(naming) = &recorded.naming else {
            let broken = "its line is broken".to_owned();
            return Replayed::Unreplayable(Unreplayable::NamingUnreadable(broken));
        };
        if matches!(answer, Answer::Fault(reason) if reason == "policy_deadline") {
            return Replayed::Unreplayable(Unreplayable::Deadline);
        }
        let recalled = self.recall(naming);
        let ready = match &recalled.0 {
            Ok(ready) => ready,
            Err(why) => return Replayed::Unreplayable(why.clone()),
        };
        let before = Came {
            answer: answer.clone(),
            fuel: decision.fuel,
            spiffe_id: decision.spiffe_id.clone(),
            reason: decision.reason.clone(),
        };
        let now = ready.ask(facts);
        if now.answer == before.answer
            && (!ready.same_cost || now.fuel == before.fuel)
            && admitted_alike(decision.outcome, &before, &now)
        {
            return Replayed::Same;
        }
        let divergence = Box::new(Divergence::of(recorded, before, now));
        if divergence.redacted.is_empty() {
            Replayed::Diverged(divergence)
        } else {
            Replayed::Redacted(divergence)
        }
    }

    /// The recorded way of naming, loaded once.
    fn recall(&self, naming: &Arc<NamingRecord>) -> Arc<Recalled> {
        let address = Arc::as_ptr(naming).addr();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, recalled)) = loaded.by_address.get(&address) {
            return Arc::clone(recalled);
        }
        if loaded.by_address.len() >= MAX_ADDRESSES {
            loaded.by_address.clear();
        }
        let content = Digest::of(&serde_json::to_vec(naming).unwrap_or_default());
        let recalled = loaded
            .by_content
            .entry(content)
            .or_insert_with(|| Arc::new(Recalled(self.load(naming))));
        let recalled = Arc::clone(recalled);
        let kept = (Arc::clone(naming), Arc::clone(&recalled));
        loaded.by_address.insert(address, kept);
        recalled
    }

    fn load(&self, naming: &NamingRecord) -> Result<Ready, Unreplayable> {
        let digest = naming.policy.digest;
        let (component, settings) = match &self.under {
            Some(under) => (Some(&under.component), under.settings.as_ref()),
            None => (self.components.get(&digest), None),
        };
        let component = component.ok_or(Unreplayable::PolicyUnknown(digest))?;
        let unreadable =
            |why: &dyn std::error::Error| Unreplayable::NamingUnreadable(crate::error::chain(why));
        let request = PolicyRequest {
            source: PolicySource::Bytes(component.clone()),
            digest: None,
            settings: settings.unwrap_or(&naming.settings).clone(),
            limits: naming.limits.clone(),
        };
        let policy = Policy::load(&self.sandbox, &request).map_err(|error: LoadError| {
            Unreplayable::PolicyRefused {
                policy: Digest::of(component),
                why: crate::error::chain(&error),
            }
        })?;
        Ok(Ready {
            same_cost: *policy.engine() == naming.engine
                && policy.digest() == digest
                && policy.settings_digest() == naming.settings_digest,
            policy,
            envelope: Envelope::of_record(&naming.envelope).map_err(|error| unreadable(&error))?,
            namespace: Namespace {
                trust_domain: naming
                    .trust_domain
                    .parse()
                    .map_err(|error| unreadable(&error))?,
                attestor: naming
                    .attestor
                    .parse()
                    .map_err(|error| unreadable(&error))?,
            },
        })
    }

    /// What runs the policies here. Fuel is compared with decisions that the
    /// same ran.
    pub fn engine(&self) -> EngineIdentity {
        self.sandbox.identity()
    }
}

impl Ready {
    /// What the policy and the envelope say now.
    fn ask(&self, facts: &Facts) -> Came {
        let verdict = match self.policy.derive(facts) {
            Ok(verdict) => verdict,
            Err(fault) => {
                return Came {
                    answer: Answer::Fault(Cow::Borrowed(fault.reason())),
                    fuel: None,
                    spiffe_id: None,
                    reason: Some(Cow::Borrowed(fault.reason())),
                };
            }
        };
        let fuel = Some(verdict.fuel);
        match verdict.answer {
            Ok(derivation) => {
                let answer = Answer::Derivation(derivation.clone());
                let admitted = self.envelope.admit(&self.namespace, facts, derivation);
                let (spiffe_id, reason) = match admitted {
                    Ok(identity) => (Some(identity.spiffe_id().to_string()), None),
                    Err(error) => (None, Some(Cow::Borrowed(error.reason()))),
                };
                Came {
                    answer,
                    fuel,
                    spiffe_id,
                    reason,
                }
            }
            Err(denial) => Came {
                answer: Answer::Denial(denial),
                fuel,
                spiffe_id: None,
                reason: Some(Cow::Borrowed("policy_denied")),
            },
        }
    }
}

/// Whether the envelope decided as it did. What was asked behind it, first use
/// and the like, is not the policy's to say and is not asked again.
fn admitted_alike(outcome: Outcome, before: &Came, now: &Came) -> bool {
    match (outcome, &now.spiffe_id) {
        (Outcome::Identity, _) => now.spiffe_id == before.spiffe_id,
        (Outcome::Denied | Outcome::Rejected | Outcome::Fault, Some(_)) => {
            // An identity that the envelope refused then would be one now.
            !before.reason.as_deref().is_some_and(is_of_envelope)
        }
        (Outcome::Denied | Outcome::Rejected | Outcome::Fault, None) => now.reason == before.reason,
    }
}

fn is_of_envelope(reason: &str) -> bool {
    ["path_", "id_", "selector_"]
        .iter()
        .any(|prefix| reason.starts_with(prefix))
}

impl Divergence {
    fn of(recorded: &Recorded, before: Came, now: Came) -> Self {
        let Place { segment, line, .. } = &recorded.place;
        Self {
            sequence: recorded.sequence,
            segment: segment.display().to_string(),
            line: *line,
            recorded: before,
            replayed: now,
            redacted: recorded.decision.redacted.clone(),
        }
    }
}
