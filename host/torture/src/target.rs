//! What is attacked: an attestor of the configuration, or one of its clusters,
//! with throw-away keys in the place of its own.

mod bounds;
mod claims;
mod facts;

use crate::attack::Outcome;
use crate::authority::ADDRESS;
use crate::chains::{Answer, ChainGround};
use crate::component::answering;
use crate::components::EndedBy;
use crate::error::TortureError;
use crate::tokens::{Followed, TokenGround};
use nameplate_attestor::config::{
    AttestorConfig, Config, GateConfig, NamingConfig, RollbackConfig, TrustConfig,
};
use nameplate_attestor::evidence::certificates::CertificateError;
use nameplate_attestor::{
    AdmitError, AgentIdentity, Attempt, AttestError, Attestation, Attestor, Failure, Generation,
    Namespace, Naming, NamingError, Presented, Step,
};
use nameplate_evidence::{
    Cluster, Method, Patience, RawEvidence, Subject as FactsOf, TokenVerifier, Verifier,
};
use nameplate_policy::{
    Derivation, Facts, Limits, LoadError, PolicyRequest, PolicySource, Sandbox, StructureError,
};
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// How long the throw-away API server may take: it answers at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Letters of a part of a token that is one.
const SECRET: usize = 32;

/// The identifier of every attestation here, so that equal ones are named alike.
const ATTESTATION: Uuid = Uuid::from_u128(0x3d9c_2f0e_6a41_4b7c_9f25_1c8e_7a5b_4d30);

/// What the operator says of an attestor, or of one of its clusters.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The attestor's name, and the cluster's.
    pub(crate) name: String,
    pub(crate) namespace: Namespace,
    pub(crate) method: Method,
    pub(crate) naming: NamingConfig,
    pub(crate) one_time_tokens: bool,
    /// What a change of policy has to pass, and what takes one back.
    pub(crate) gate: Option<GateConfig>,
    pub(crate) rollback: Option<RollbackConfig>,
    /// Clusters of the attestor that wait for others.
    pub(crate) waiting: usize,
    /// The share of the places for waiting that one of them may have.
    pub(crate) cluster_share: Option<f64>,
}

/// An attestor, or one of its clusters, ready to be attacked.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) subject: Subject,
    pub(crate) ground: Ground,
    pub(crate) now: SystemTime,
}

impl Subject {
    /// The same, with evidence of `ground` made for `now`.
    pub(crate) fn with(self, ground: Ground, now: SystemTime) -> Target {
        Target {
            subject: self,
            ground,
            now,
        }
    }
}

/// What its evidence is made with.
#[derive(Debug)]
pub(crate) enum Ground {
    Tokens(TokenGround),
    Chains(ChainGround),
}

impl Ground {
    /// The cluster with its keys followed, where they are.
    pub(crate) fn followed(&self) -> Option<Followed> {
        match self {
            Self::Tokens(ground) => ground.followed(),
            Self::Chains(_) => None,
        }
    }
}

/// Evidence, and what is sent when it is challenged.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) payload: Vec<u8>,
    pub(crate) answer: Answer,
    pub(crate) address: Option<String>,
}

impl Evidence {
    /// A token's payload.
    pub(crate) fn token(payload: Vec<u8>) -> Self {
        Self {
            payload,
            answer: Answer::None,
            address: None,
        }
    }

    /// What of it nobody may repeat: the claims and the signature of a token,
    /// where they are long enough to be told from other words.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let payload: Result<serde_json::Value, _> = serde_json::from_slice(&self.payload);
        let Ok(serde_json::Value::Object(members)) = payload else {
            return Vec::new();
        };
        let token = members.get("token").and_then(serde_json::Value::as_str);
        let parts = token.unwrap_or_default().split('.').skip(1);
        let long = parts.filter(|part| part.len() >= SECRET);
        long.map(str::to_owned).collect()
    }
}

/// Every attestor of `config`, and each of its clusters.
pub(crate) fn targets(config: &Config, now: SystemTime) -> Result<Vec<Target>, TortureError> {
    let mut targets = Vec::new();
    for attestor in &config.attestors {
        targets.extend(of(config, attestor, now)?);
    }
    Ok(targets)
}

fn of(
    config: &Config,
    attestor: &AttestorConfig,
    now: SystemTime,
) -> Result<Vec<Target>, TortureError> {
    let subject = |name: String, naming: &NamingConfig| Subject {
        name,
        namespace: Namespace {
            trust_domain: config.trust_domain.clone(),
            attestor: attestor.name.clone(),
        },
        method: attestor.method,
        naming: naming.clone(),
        one_time_tokens: attestor.one_time_tokens,
        gate: attestor.swaps.gate.clone(),
        rollback: attestor.swaps.rollback,
        waiting: attestor
            .clusters()
            .iter()
            .filter(|cluster| cluster.trust.waits_for_others())
            .count(),
        cluster_share: attestor.cluster_share,
    };
    let name = attestor.name.to_string();
    match &attestor.trust {
        TrustConfig::Certificates(verifier) => {
            let ground = Ground::Chains(ChainGround::of(verifier)?);
            Ok(vec![subject(name, &attestor.naming).with(ground, now)])
        }
        TrustConfig::Clusters(clusters) => {
            let mut targets = Vec::new();
            for cluster in clusters {
                if let Some(ground) = TokenGround::of(&cluster.trust, seconds(now))? {
                    let name = format!("{name}/{}", cluster.trust.name);
                    let naming = cluster.naming.as_ref().unwrap_or(&attestor.naming);
                    targets.push(subject(name, naming).with(Ground::Tokens(ground), now));
                }
            }
            Ok(targets)
        }
    }
}

/// Whole seconds since 1970; 0 before.
pub(crate) fn seconds(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Target {
    /// What a peer that plays by the rules sends.
    pub(crate) fn twin(&self) -> Result<Evidence, TortureError> {
        Ok(match &self.ground {
            Ground::Tokens(ground) => Evidence::token(ground.twin()?),
            Ground::Chains(ground) => {
                let (payload, answer) = ground.twin();
                Evidence {
                    payload,
                    answer,
                    address: Some(ADDRESS.to_owned()),
                }
            }
        })
    }

    fn verifier(&self) -> Verifier {
        match &self.ground {
            Ground::Tokens(ground) => TokenVerifier::new([ground.cluster.clone()]).into(),
            Ground::Chains(ground) => ground.verifier.clone().into(),
        }
    }

    /// The operator's own naming of this target.
    pub(crate) fn own_naming(&self, sandbox: &Sandbox) -> Result<Naming, TortureError> {
        let request = PolicyRequest {
            source: self.subject.naming.source.clone(),
            digest: self.subject.naming.digest,
            settings: self.subject.naming.settings.clone(),
            limits: self.subject.naming.limits.clone(),
        };
        Naming::load(sandbox, &request, self.subject.naming.envelope.clone()).map_err(|source| {
            TortureError::Policy {
                target: self.subject.name.clone(),
                source,
            }
        })
    }

    /// A naming by a hostile component, under the operator's limits and
    /// envelope.
    pub(crate) fn hostile_naming(
        &self,
        sandbox: &Sandbox,
        component: Vec<u8>,
        settings: serde_json::Value,
        ended_by: EndedBy,
    ) -> Result<Naming, NamingError> {
        let mut limits = self.subject.naming.limits.clone();
        match ended_by {
            EndedBy::Either => {}
            EndedBy::Clock => {
                limits.fuel = u64::MAX / 4;
                limits.configure_fuel = u64::MAX / 4;
            }
            EndedBy::Fuel => limits.deadline = limits.deadline.max(PATIENCE),
        }
        let request = PolicyRequest {
            source: PolicySource::Bytes(component.into()),
            digest: None,
            settings,
            limits,
        };
        Naming::load(sandbox, &request, self.subject.naming.envelope.clone())
    }

    /// An attestor as the operator's, that names by `naming`.
    pub(crate) fn attestor(&self, naming: Naming) -> Attestor {
        let generation = Generation::new(self.subject.namespace.clone(), self.verifier(), naming);
        Attestor::new(generation.of(self.subject.method))
    }

    /// The same, for a cluster whose keys are followed.
    pub(crate) fn attestor_of(&self, followed: &Followed, naming: Naming) -> Attestor {
        let verifier: Verifier = TokenVerifier::new([followed.cluster.clone()]).into();
        let generation = Generation::new(self.subject.namespace.clone(), verifier, naming);
        Attestor::new(generation.of(self.subject.method))
    }

    /// An attestor of `clusters`, within the operator's share of places for each.
    pub(crate) fn attestor_of_clusters(&self, clusters: [Cluster; 2], naming: Naming) -> Attestor {
        let verifier = TokenVerifier::new(clusters);
        let generation = Generation::new(self.subject.namespace.clone(), verifier, naming);
        let generation = generation.of(self.subject.method);
        Attestor::new(match self.subject.cluster_share {
            Some(share) => generation.with_cluster_share(share),
            None => generation,
        })
    }

    /// The same, where every token serves once.
    pub(crate) fn attestor_of_one_time_tokens(&self, naming: Naming) -> Attestor {
        let generation = Generation::new(self.subject.namespace.clone(), self.verifier(), naming);
        Attestor::new(generation.of(self.subject.method).with_one_time_tokens())
    }

    /// What the policy would see of the twin.
    pub(crate) fn facts(&self) -> Result<Facts, TortureError> {
        let twin = self.twin()?;
        facts::of(self, &twin, &self.attempt(&twin))
    }

    fn attempt(&self, evidence: &Evidence) -> Attempt {
        let attempt = Attempt::replayed(self.now, ATTESTATION)
            .within(Patience::until(Instant::now() + PATIENCE))
            .from_address(evidence.address.clone());
        match &self.ground {
            Ground::Chains(ground) => attempt.trusting(ground.bundle.clone()),
            Ground::Tokens(_) => attempt,
        }
    }

    /// One attestation from beginning to end.
    pub(crate) fn attest(
        &self,
        attestor: &Attestor,
        evidence: &Evidence,
    ) -> Result<Attestation, AttestError> {
        let attempt = self.attempt(evidence);
        let raw = RawEvidence::new(self.subject.method, evidence.payload.clone())
            .map_err(AttestError::Rejected)?;
        let mut step = attestor.step(Presented::Evidence(&raw), &attempt)?;
        if let Step::Challenged(challenged) = step {
            let answer = evidence.answer.to(&challenged.message());
            let answer =
                answer.ok_or_else(|| AttestError::Rejected(CertificateError::Unanswered.into()))?;
            step = attestor.step(Presented::Answer(challenged, &answer), &attempt)?;
        }
        match step {
            Step::Attested(attestation) => Ok(attestation),
            Step::Challenged(_) => Err(AttestError::Rejected(CertificateError::Unanswered.into())),
        }
    }

    /// What an attestation of `evidence` came to, its identity held against
    /// the envelope once more, by another way.
    pub(crate) fn outcome(
        &self,
        evidence: &Evidence,
        result: Result<Attestation, AttestError>,
    ) -> Outcome {
        match result {
            Ok(attestation) => {
                let id = attestation.identity.spiffe_id();
                match self.outside(evidence, &attestation.identity) {
                    None => Outcome::Identity(id.to_string()),
                    Some(why) => Outcome::Outside(format!("{id} was given, and {why}")),
                }
            }
            Err(error) => {
                let reason = error.reason().to_owned();
                match error.failure() {
                    Failure::Rejected => Outcome::Rejected(reason, error.chain()),
                    Failure::Denied => Outcome::Denied(error.chain()),
                    Failure::Fault => Outcome::Fault(reason, error.chain()),
                }
            }
        }
    }

    /// Why an identity is not one that this target may give for `evidence`.
    fn outside(&self, evidence: &Evidence, identity: &AgentIdentity) -> Option<String> {
        let envelope = &self.subject.naming.envelope;
        let selects = identity.selectors().len() > 0 && claims::are_bounded(envelope);
        if envelope.leading.is_empty() && !selects {
            return bounds::outside(&self.subject, &[], identity);
        }
        // What the evidence proves is established anew: the attestation that is
        // judged here does not say it.
        let facts = match facts::of(self, evidence, &self.attempt(evidence)) {
            Ok(facts) => facts,
            Err(error) => return Some(format!("its evidence proves nothing: {error}")),
        };
        let Some(leading) = bounds::leading(envelope, &facts) else {
            return Some("a fact that its path begins with is not proven".to_owned());
        };
        bounds::outside(&self.subject, &leading, identity)
            .or_else(|| claims::outside(envelope, identity, &facts))
    }

    /// A path that the envelope admits, and the bytes of its whole ID.
    pub(crate) fn path(&self, facts: &Facts) -> (Vec<String>, usize) {
        let mut path = vec!["good".to_owned()];
        loop {
            let derivation = Derivation {
                path: path.clone(),
                selectors: Vec::new(),
            };
            match self
                .subject
                .naming
                .envelope
                .admit(&self.subject.namespace, facts, derivation)
            {
                // The envelope says itself which segment it asks for.
                Err(AdmitError::Leading {
                    index, required, ..
                }) => {
                    path.truncate(index);
                    path.push(required);
                }
                Ok(identity) => return (path, identity.spiffe_id().as_str().len()),
                Err(_) => return (path, 0),
            }
        }
    }

    /// Such a path for the twin's double in another cluster; none where the
    /// attestor is for one cluster or knows of none.
    pub(crate) fn path_elsewhere(&self, facts: &Facts) -> Option<Vec<String>> {
        let mut facts = facts.clone();
        match &mut facts.subject {
            FactsOf::ServiceAccount(account) => {
                account.cluster = format!("not-{}", account.cluster);
            }
            FactsOf::Certificate(_) => return None,
        }
        Some(self.path(&facts).0)
    }

    /// A policy that gives every peer a name which the envelope admits, so
    /// that nothing but the verifier can refuse one.
    pub(crate) fn fitting_naming(&self, sandbox: &Sandbox) -> Result<Naming, TortureError> {
        let (path, _) = self.path(&self.facts()?);
        let request = PolicyRequest {
            source: PolicySource::Bytes(answering(&path, &[])?.into()),
            digest: None,
            settings: serde_json::Value::Object(serde_json::Map::new()),
            // The operator's are for the operator's policies; this one has to
            // answer, whatever they are and however busy the machine is.
            limits: Limits {
                deadline: PATIENCE,
                ..Limits::default()
            },
        };
        Naming::load(sandbox, &request, self.subject.naming.envelope.clone()).map_err(|source| {
            TortureError::Policy {
                target: self.subject.name.clone(),
                source,
            }
        })
    }
}

/// What refused a component, before anybody asked it.
pub(crate) fn refusal(error: &NamingError) -> Outcome {
    // All else is about what the component says of itself.
    let reason = if let NamingError::Load(error) = error {
        unloaded(error)
    } else {
        "manifest"
    };
    Outcome::Fault(reason.to_owned(), nameplate_attestor::chain(error))
}

fn unloaded(error: &LoadError) -> &'static str {
    match error {
        LoadError::Structure(StructureError::TooMuch { setting, .. }) => setting,
        LoadError::Structure(StructureError::Malformed(_)) => "malformed",
        LoadError::Structure(StructureError::Uncountable(_)) => "uncountable",
        LoadError::TooLarge { .. } => "component_bytes",
        LoadError::SettingsShape(_) => "settings_bytes",
        LoadError::Contract(nameplate_policy::ContractError::ForbiddenImport { .. }) => "import",
        LoadError::Contract(_) => "contract",
        LoadError::Compile(_) => "compile",
        LoadError::Settings(_) => "settings_refused",
        LoadError::Configure(fault) => fault.reason(),
        LoadError::Unreadable(_)
        | LoadError::UnknownBuiltin { .. }
        | LoadError::DigestMismatch { .. } => "unreadable",
    }
}
