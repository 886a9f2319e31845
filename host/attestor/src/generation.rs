//! Everything an attestor decides with, replaced as a whole.

use crate::config::{AttestorConfig, Config, NamingConfig, Problem, Problems, TrustConfig};
use crate::namespace::Namespace;
use crate::naming::{Naming, NamingError};
use crate::record::Records;
use nameplate_decisions::DecisionLog;
use nameplate_evidence::{Method, TokenVerifier, Verifier};
use nameplate_policy::{LoadError, PolicyRequest, PolicySource, Sandbox};
use std::collections::HashMap;
use std::sync::Arc;

/// What an attestor decides with: whom it trusts, which policies name what
/// was proven, and within which envelopes.
///
/// A generation never changes. A change of any part makes a new one, and an
/// attestation runs on one generation from beginning to end.
#[derive(Debug)]
pub struct Generation {
    pub(crate) namespace: Namespace,
    pub(crate) verifier: Verifier,
    pub(crate) naming: Arc<Naming>,
    pub(crate) by_cluster: HashMap<String, Arc<Naming>>,
    pub(crate) method: Method,
    pub(crate) one_time_tokens: bool,
    pub(crate) records: Option<Records>,
}

impl Generation {
    /// A generation that names every subject the same way.
    pub fn new(namespace: Namespace, verifier: impl Into<Verifier>, naming: Naming) -> Self {
        let verifier = verifier.into();
        Self {
            namespace,
            method: match &verifier {
                Verifier::Tokens(_) => Method::K8sSat,
                Verifier::Certificates(_) => Method::X509Pop,
            },
            verifier,
            naming: Arc::new(naming),
            by_cluster: HashMap::new(),
            one_time_tokens: false,
            records: None,
        }
    }

    /// The same, for evidence of another method than `k8s_sat`, which tokens
    /// are of unless it is said, or `x509pop`.
    #[must_use]
    pub fn of(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// The same, where every token serves once.
    #[must_use]
    pub fn with_one_time_tokens(mut self) -> Self {
        self.one_time_tokens = true;
        self
    }

    /// The same, with a naming of its own for one cluster.
    #[must_use]
    pub fn with_cluster(mut self, cluster: impl Into<String>, naming: Naming) -> Self {
        self.by_cluster.insert(cluster.into(), Arc::new(naming));
        self
    }

    /// The same, every attestation recorded in `log`. To be said last: what is
    /// recorded is how things are now.
    #[must_use]
    pub fn recorded_in(mut self, log: DecisionLog) -> Self {
        self.records = Some(Records::of(&self, log));
        self
    }

    /// Whether its attestations are recorded.
    pub(crate) fn is_recorded(&self) -> bool {
        self.records.is_some()
    }

    /// Where its attestations are recorded, if they are.
    pub fn decision_log(&self) -> Option<&DecisionLog> {
        self.records.as_ref().map(|records| &records.log)
    }

    /// Opens the decision log that the attestor's configuration asks for, if
    /// it does. Apart from [`Generation::load`], which writes nothing.
    ///
    /// # Errors
    /// One problem, at the place that asks for it.
    pub fn open_decision_log(
        self,
        config: &Config,
        attestor: &AttestorConfig,
    ) -> Result<Self, Problems> {
        let Some(wanted) = &attestor.decision_log else {
            return Ok(self);
        };
        match DecisionLog::open(wanted.options.clone()) {
            Ok(log) => Ok(self.recorded_in(log)),
            Err(error) => {
                let message = format!("no decision log: {}", crate::error::chain(&error));
                let problem = Problem::error(wanted.place.clone(), message);
                Err(config.source.problems(vec![problem]))
            }
        }
    }

    /// The space that its identities lie in.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// How the subjects of `cluster` are named.
    pub fn naming(&self, cluster: Option<&str>) -> &Arc<Naming> {
        cluster
            .and_then(|cluster| self.by_cluster.get(cluster))
            .unwrap_or(&self.naming)
    }

    /// Loads every policy that an attestor's configuration names.
    ///
    /// # Errors
    /// Every problem found, each with its place in the configuration.
    pub fn load(
        config: &Config,
        attestor: &AttestorConfig,
        sandbox: &Sandbox,
    ) -> Result<Self, Problems> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut load = |naming: &NamingConfig| match load_naming(naming, sandbox) {
            Ok(naming) => Some(Arc::new(naming)),
            Err(list) => {
                // A cluster that inherits the policy repeats its problems.
                for problem in list {
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
                None
            }
        };
        // Clusters that all name for themselves leave the attestor's own unused.
        let naming = load(&attestor.naming);
        let by_cluster: HashMap<_, _> = attestor
            .clusters()
            .iter()
            .filter_map(|cluster| {
                let own = cluster.naming.as_ref()?;
                Some((cluster.trust.name.clone(), load(own)?))
            })
            .collect();
        match naming {
            Some(naming) if problems.is_empty() => Ok(Self {
                namespace: Namespace {
                    trust_domain: config.trust_domain.clone(),
                    attestor: attestor.name.clone(),
                },
                verifier: verifier(&attestor.trust),
                naming,
                by_cluster,
                method: attestor.method,
                one_time_tokens: attestor.one_time_tokens,
                records: None,
            }),
            _ => {
                let mut problems = config.source.problems(problems);
                problems.files.clone_from(&config.files);
                Err(problems)
            }
        }
    }
}

fn verifier(trust: &TrustConfig) -> Verifier {
    match trust {
        TrustConfig::Clusters(clusters) => {
            TokenVerifier::new(clusters.iter().map(|cluster| cluster.trust.clone())).into()
        }
        TrustConfig::Certificates(certificates) => certificates.clone().into(),
    }
}

fn load_naming(config: &NamingConfig, sandbox: &Sandbox) -> Result<Naming, Vec<Problem>> {
    let request = PolicyRequest {
        source: config.source.clone(),
        digest: config.digest,
        settings: config.settings.clone(),
        limits: config.limits.clone(),
    };
    Naming::load(sandbox, &request, config.envelope.clone())
        .map_err(|error| problems(config, &request.source, &error))
}

/// Puts an error where the operator can mend it.
fn problems(config: &NamingConfig, source: &PolicySource, error: &NamingError) -> Vec<Problem> {
    let place = &config.place;
    let whole = |span| {
        let message = format!("policy {source}: {}", crate::error::chain(error));
        vec![Problem::error(span, message)]
    };
    match error {
        NamingError::Load(LoadError::Settings(list)) => list
            .iter()
            .map(|problem| {
                let message = format!("policy {source}: {}", problem.message);
                Problem::error(place.setting(&problem.pointer), message)
            })
            .collect(),
        NamingError::Load(LoadError::SettingsShape(_) | LoadError::Configure(_)) => {
            whole(place.settings())
        }
        NamingError::Load(LoadError::DigestMismatch { .. }) => whole(place.digest()),
        NamingError::Load(
            LoadError::Unreadable(_)
            | LoadError::UnknownBuiltin { .. }
            | LoadError::TooLarge { .. }
            | LoadError::Contract(_)
            | LoadError::Structure(_)
            | LoadError::Compile(_),
        )
        | NamingError::CasesMalformed(_)
        | NamingError::SubjectKeysMalformed(_)
        | NamingError::CasesFailed { .. } => whole(place.source()),
    }
}
