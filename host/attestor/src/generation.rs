//! Everything an attestor decides with, replaced as a whole.

use crate::collisions::Collisions;
use crate::config::{AttestorConfig, Config, Problem, Problems, TrustConfig};
use crate::namespace::Namespace;
use crate::naming::Naming;
use crate::namings::Namings;
use crate::record::Records;
use crate::shadow::Shadow;
use nameplate_decisions::DecisionLog;
use nameplate_evidence::{Method, TokenVerifier, Verifier};
use nameplate_policy::Sandbox;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an attestor decides with: whom it trusts, which policies name what
/// was proven, and within which envelopes.
///
/// A generation never changes. A change of any part makes a new one, and an
/// attestation runs on one generation from beginning to end.
#[derive(Clone, Debug)]
pub struct Generation {
    pub(crate) namespace: Namespace,
    pub(crate) verifier: Verifier,
    pub(crate) namings: Namings,
    pub(crate) method: Method,
    pub(crate) one_time_tokens: bool,
    /// The share of the places for waiting that one cluster may have, where one
    /// is configured.
    pub(crate) cluster_share: Option<f64>,
    pub(crate) records: Option<Records>,
    pub(crate) collisions: Option<Collisions>,
    pub(crate) shadow: Option<Arc<Shadow>>,
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
            namings: Namings::new(Arc::new(naming), BTreeMap::new()),
            one_time_tokens: false,
            cluster_share: None,
            records: None,
            collisions: None,
            shadow: None,
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

    /// The same generation, in which one cluster may have this share, from 0 to
    /// 1, of the places for waiting, in place of an equal one.
    #[must_use]
    pub fn with_cluster_share(mut self, share: f64) -> Self {
        self.cluster_share = Some(share);
        self
    }

    /// The same, with a naming of its own for one cluster.
    #[must_use]
    pub fn with_cluster(mut self, cluster: impl Into<String>, naming: Naming) -> Self {
        self.namings = self.namings.with_cluster(cluster.into(), naming);
        self
    }

    /// The same, where it is remembered which subject holds which ID.
    #[must_use]
    pub fn with_collisions(mut self, collisions: Collisions) -> Self {
        self.collisions = Some(collisions);
        self
    }

    /// The same, with a policy that is tried beside it.
    #[must_use]
    pub fn with_shadow(mut self, shadow: Arc<Shadow>) -> Self {
        self.shadow = Some(shadow);
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
        self.namings.of(cluster)
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
        match Namings::load(attestor, sandbox) {
            Ok(namings) => Ok(Self::trusting(config, attestor, namings)),
            Err(problems) => {
                let mut problems = config.source.problems(problems);
                problems.files.clone_from(&config.files);
                Err(problems)
            }
        }
    }

    /// `namings`, for those whom the configuration trusts.
    pub(crate) fn trusting(config: &Config, attestor: &AttestorConfig, namings: Namings) -> Self {
        Self {
            namespace: Namespace {
                trust_domain: config.trust_domain.clone(),
                attestor: attestor.name.clone(),
            },
            verifier: verifier(&attestor.trust),
            namings,
            method: attestor.method,
            one_time_tokens: attestor.one_time_tokens,
            cluster_share: attestor.cluster_share,
            records: None,
            collisions: None,
            shadow: None,
        }
    }

    /// The same trust, with other namings and what goes with them.
    pub(crate) fn named_by(&self, namings: Namings) -> Self {
        let log = self.decision_log().cloned();
        let named = Self {
            namings,
            records: None,
            ..self.clone()
        };
        match log {
            Some(log) => named.recorded_in(log),
            None => named,
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
