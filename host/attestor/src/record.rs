//! What is recorded of an attestation, and that nothing is answered before.

use crate::attempt::Attempt;
use crate::attestor::Numbered;
use crate::error::{AttestError, Failure};
use crate::first_use::TakenToken;
use crate::generation::Generation;
use crate::naming::Naming;
use crate::step::Step;
use nameplate_decisions::{
    Answer, Decision, DecisionLog, Entry, NamingRecord, Outcome, PolicyRecord, Unproven,
};
use nameplate_evidence::Verifier;
use nameplate_policy::{Facts, PolicyFault, Verdict};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Where the attestations of a generation are recorded, and how it names.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    pub(crate) log: DecisionLog,
    attestor: Arc<str>,
    naming: Arc<NamingRecord>,
    by_cluster: HashMap<String, Arc<NamingRecord>>,
    /// The clusters that are configured.
    clusters: BTreeSet<Arc<str>>,
}

impl Records {
    pub(crate) fn of(generation: &Generation, log: DecisionLog) -> Self {
        let attestor: Arc<str> = generation.namespace.attestor.as_str().into();
        let record = |naming: &Naming| Arc::new(naming_record(generation, &attestor, naming));
        Self {
            log,
            naming: record(generation.namings.of(None)),
            by_cluster: generation
                .namings
                .each()
                .filter_map(|(cluster, naming)| Some((cluster?.to_owned(), record(naming))))
                .collect(),
            clusters: match &generation.verifier {
                Verifier::Tokens(tokens) => tokens.clusters().map(Arc::from).collect(),
                Verifier::Certificates(_) => BTreeSet::new(),
            },
            attestor,
        }
    }

    /// How an attestation that ended with nothing proven is counted. A cluster
    /// that only the peer names is left out: it may be any text.
    fn unproven(&self, said: Option<&str>) -> Unproven {
        Unproven {
            cluster: said.and_then(|said| self.clusters.get(said)).cloned(),
        }
    }

    /// How the subjects of `cluster` are named.
    fn naming(&self, cluster: Option<&str>) -> &Arc<NamingRecord> {
        cluster
            .and_then(|cluster| self.by_cluster.get(cluster))
            .unwrap_or(&self.naming)
    }
}

fn naming_record(generation: &Generation, attestor: &Arc<str>, naming: &Naming) -> NamingRecord {
    let policy = &naming.policy;
    NamingRecord {
        attestor: Arc::clone(attestor),
        trust_domain: generation.namespace.trust_domain.to_string(),
        policy: PolicyRecord {
            name: naming.label.name.clone(),
            version: naming.label.version.clone(),
            digest: naming.label.digest,
        },
        // Both were made from such values: neither can fail.
        settings: serde_json::from_str(policy.settings()).unwrap_or_default(),
        settings_digest: policy.settings_digest(),
        envelope: naming.envelope.to_record(),
        limits: policy.limits().clone(),
        engine: policy.engine().clone(),
    }
}

/// What an attestation comes by on its way.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) current: Arc<Numbered>,
    pub(crate) facts: Option<Facts>,
    /// What the policy said, where that is recorded.
    pub(crate) verdict: Option<Result<Verdict, PolicyFault>>,
    /// A token that serves once, if there is an identity in the end.
    pub(crate) token: Option<TakenToken>,
}

impl Trail {
    /// The beginning, on this generation.
    pub(crate) fn on(current: Arc<Numbered>) -> Self {
        Self {
            current,
            facts: None,
            verdict: None,
            token: None,
        }
    }

    /// Records what was `decided`, unless it is only a challenge, and gives it
    /// on: an identity that must not be given without its record is not.
    pub(crate) fn record<T: Ending>(
        mut self,
        attempt: &Attempt,
        decided: Result<T, AttestError>,
    ) -> Result<T, AttestError> {
        let token = self.token.take();
        let current = Arc::clone(&self.current);
        if let (Some(records), Some(end)) = (&current.generation.records, End::of(&decided)) {
            let recorded = records.log.record(self.into_entry(records, attempt, end));
            // A failure stays what it is; the log's own trouble is counted there.
            if decided.is_ok() {
                recorded.map_err(AttestError::Unrecorded)?;
            }
        }
        if let (Some(token), Ok(_)) = (token, &decided) {
            token.serve();
        }
        decided
    }

    fn into_entry(self, records: &Records, attempt: &Attempt, end: End) -> Entry {
        let cluster = self.facts.as_ref().and_then(Facts::cluster);
        let (answer, fuel) = match self.verdict {
            Some(Ok(verdict)) => {
                let answer = match verdict.answer {
                    Ok(derivation) => Answer::Derivation(derivation),
                    Err(denial) => Answer::Denial(denial),
                };
                (Some(answer), Some(verdict.fuel))
            }
            Some(Err(fault)) => (Some(Answer::Fault(Cow::Borrowed(fault.reason()))), None),
            None => (None, None),
        };
        let unproven = (self.facts.is_none() && end.outcome != Outcome::Identity)
            .then(|| records.unproven(end.cluster.as_deref()));
        Entry {
            time: attempt.now(),
            unproven,
            naming: answer.as_ref().map(|_| Arc::clone(records.naming(cluster))),
            decision: Decision {
                attestor: Arc::clone(&records.attestor),
                generation: self.current.number,
                cluster: cluster.map(str::to_owned).or(end.cluster),
                naming: None,
                facts: self.facts,
                redacted: Vec::new(),
                answer,
                fuel,
                outcome: end.outcome,
                reason: end.reason.map(Cow::Borrowed),
                detail: end.detail,
                spiffe_id: end.spiffe_id,
            },
        }
    }
}

/// What an attestation can end with besides a failure.
pub(crate) trait Ending {
    /// The ID that is given; none where it is not the end yet.
    fn spiffe_id(&self) -> Option<String>;
}

impl Ending for Step {
    fn spiffe_id(&self) -> Option<String> {
        match self {
            Self::Attested(attestation) => Some(attestation.identity.spiffe_id().to_string()),
            Self::Challenged(_) => None,
        }
    }
}

impl Ending for crate::attestor::Attestation {
    fn spiffe_id(&self) -> Option<String> {
        Some(self.identity.spiffe_id().to_string())
    }
}

/// How an attestation ended.
struct End {
    outcome: Outcome,
    reason: Option<&'static str>,
    detail: Option<String>,
    cluster: Option<String>,
    spiffe_id: Option<String>,
}

impl End {
    fn of(decided: &Result<impl Ending, AttestError>) -> Option<Self> {
        match decided {
            Ok(ending) => Some(Self {
                outcome: Outcome::Identity,
                reason: None,
                detail: None,
                cluster: None,
                spiffe_id: Some(ending.spiffe_id()?),
            }),
            Err(error) => Some(Self {
                outcome: match error.failure() {
                    Failure::Rejected => Outcome::Rejected,
                    Failure::Denied => Outcome::Denied,
                    Failure::Fault => Outcome::Fault,
                },
                reason: Some(error.reason()),
                detail: Some(error.chain()),
                cluster: error.cluster(),
                spiffe_id: None,
            }),
        }
    }
}
