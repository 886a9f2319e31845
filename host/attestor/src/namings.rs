//! How an attestor names its subjects: its own naming, and those of the
//! clusters that have one of their own. They change together or not at all.

use crate::config::{AttestorConfig, NamingConfig, Problem};
use crate::naming::{Naming, NamingError};
use nameplate_policy::{Digest, LoadError, PolicyRequest, PolicySource, Sandbox};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An attestor's own naming, and those of single clusters.
#[derive(Clone, Debug)]
pub(crate) struct Namings {
    own: Arc<Naming>,
    by_cluster: BTreeMap<String, Arc<Naming>>,
    digest: Digest,
}

impl Namings {
    pub(crate) fn new(own: Arc<Naming>, by_cluster: BTreeMap<String, Arc<Naming>>) -> Self {
        let digest = digest(&own, &by_cluster);
        Self {
            own,
            by_cluster,
            digest,
        }
    }

    /// Loads every policy that an attestor's configuration names.
    ///
    /// # Errors
    /// Every problem found, each with its place in the configuration.
    pub(crate) fn load(attestor: &AttestorConfig, sandbox: &Sandbox) -> Result<Self, Vec<Problem>> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut load = |naming: &NamingConfig| match naming.load(sandbox) {
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
        let own = load(&attestor.naming);
        let by_cluster: BTreeMap<_, _> = configured(attestor)
            .filter_map(|(cluster, naming)| Some((cluster.to_owned(), load(naming)?)))
            .collect();
        match own {
            Some(own) if problems.is_empty() => Ok(Self::new(own, by_cluster)),
            _ => Err(problems),
        }
    }

    /// The same, with a naming of its own for one cluster.
    pub(crate) fn with_cluster(mut self, cluster: String, naming: Naming) -> Self {
        self.by_cluster.insert(cluster, Arc::new(naming));
        Self::new(self.own, self.by_cluster)
    }

    /// How the subjects of `cluster` are named.
    pub(crate) fn of(&self, cluster: Option<&str>) -> &Arc<Naming> {
        cluster
            .and_then(|cluster| self.by_cluster.get(cluster))
            .unwrap_or(&self.own)
    }

    /// The attestor's own, then those of clusters by name.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Option<&str>, &Arc<Naming>)> {
        let of_clusters = self
            .by_cluster
            .iter()
            .map(|(cluster, naming)| (Some(cluster.as_str()), naming));
        std::iter::once((None, &self.own)).chain(of_clusters)
    }

    /// Whether the same clusters name for themselves.
    pub(crate) fn are_of_the_clusters_of(&self, other: &Self) -> bool {
        self.by_cluster.keys().eq(other.by_cluster.keys())
    }

    /// Whether these may stand in for `other`: for the same clusters, in
    /// envelopes and under limits that allow nothing that the other's do not.
    /// What an operator restricts is not undone by an older naming.
    pub(crate) fn are_within(&self, other: &Self) -> bool {
        let within = |((_, own), (_, other)): ((_, &Arc<Naming>), (_, &Arc<Naming>))| {
            own.envelope().is_within(other.envelope())
                && own.policy().limits().are_within(other.policy().limits())
        };
        self.are_of_the_clusters_of(other) && self.each().zip(other.each()).all(within)
    }

    /// What tells namings apart: components, settings, envelopes and limits.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

/// The clusters that name for themselves, and how.
pub(crate) fn configured(attestor: &AttestorConfig) -> impl Iterator<Item = (&str, &NamingConfig)> {
    attestor
        .clusters()
        .iter()
        .filter_map(|cluster| Some((cluster.trust.name.as_str(), cluster.naming.as_ref()?)))
}

impl NamingConfig {
    /// Loads the policy, which proves its own cases, into its envelope.
    ///
    /// # Errors
    /// Every problem found, each with its place in the configuration.
    pub fn load(&self, sandbox: &Sandbox) -> Result<Naming, Vec<Problem>> {
        let request = PolicyRequest {
            source: self.source.clone(),
            digest: self.digest,
            settings: self.settings.clone(),
            limits: self.limits.clone(),
        };
        Naming::load(sandbox, &request, self.envelope.clone())
            .map_err(|error| problems(self, &request.source, &error))
    }
}

fn digest(own: &Naming, by_cluster: &BTreeMap<String, Arc<Naming>>) -> Digest {
    let part = |naming: &Naming| {
        let policy = naming.policy();
        json!([
            policy.digest(),
            policy.settings_digest(),
            naming.envelope(),
            policy.limits()
        ])
    };
    let of_clusters: BTreeMap<_, _> = by_cluster
        .iter()
        .map(|(cluster, naming)| (cluster, part(naming)))
        .collect();
    let whole = json!([part(own), of_clusters]);
    Digest::of(whole.to_string().as_bytes())
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
        | NamingError::TooManyCases { .. }
        | NamingError::TooMuchEvidence { .. }
        | NamingError::SubjectKeysMalformed(_)
        | NamingError::CasesFailed { .. } => whole(place.source()),
    }
}
