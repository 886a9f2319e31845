//! The last good generation on disk, and the one before it.
//!
//! `generations.json` says what they are; their components lie beside it under
//! their digests and are checked against them when they are read. Nothing else
//! is kept: what neither of the two needs is removed.

use super::directory::{StateDirectory, StateError};
use crate::config::AttestorConfig;
use crate::envelope::{Envelope, FalseFacts};
use crate::error::chain;
use crate::naming::Naming;
use crate::namings::{self, Namings};
use nameplate_policy::{Digest, Limits, PolicyRequest, PolicySource, Sandbox};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE: &str = "generations.json";
const COMPONENTS: &str = "components";

/// Largest `generations.json` that is read, in bytes: 257 namings with
/// settings of the default size, twice.
const MAX_BYTES: usize = 64 << 20;

/// How a naming came to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was the first.
    Configured,
    /// It took the place of another.
    Swapped,
    /// The one after it failed too often.
    RolledBack,
    /// What is configured could not serve, and this was the last that could.
    Restored,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) version: Version,
    /// What serves.
    pub(super) current: Tenure,
    /// What served before.
    pub(super) before: Option<Tenure>,
    /// Namings that failed too often, by digest: not to serve again.
    pub(super) taken_back: Option<Digest>,
    /// Until when what serves can be taken back for what served before, in
    /// seconds since 1970.
    #[serde(default)]
    pub(super) probation: Option<u64>,
}

/// The only form there is so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version;

/// A naming and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tenure {
    /// Number of the generation that serves it, or served it last.
    pub(super) number: u64,
    /// In seconds since 1970.
    pub(super) since: u64,
    pub(super) why: Why,
    /// Digest of the configuration's text.
    pub(super) configuration: Digest,
    /// Digest of all of `namings`.
    pub(super) digest: Digest,
    pub(super) namings: Vec<KeptNaming>,
}

/// What a naming is loaded from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptNaming {
    /// The cluster that names so; none for the attestor's own.
    pub(super) cluster: Option<String>,
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) source: String,
    pub(super) component: Digest,
    pub(super) settings: serde_json::Value,
    pub(super) envelope: Envelope,
    pub(super) limits: Limits,
}

impl Tenure {
    pub(super) fn of(
        namings: &Namings,
        number: u64,
        since: u64,
        why: Why,
        configuration: Digest,
    ) -> Self {
        let kept = |(cluster, naming): (Option<&str>, &Arc<Naming>)| KeptNaming {
            cluster: cluster.map(str::to_owned),
            name: naming.label.name.clone(),
            version: naming.label.version.clone(),
            source: naming.source().to_owned(),
            component: naming.label.digest,
            // Written by the host itself when the policy was loaded.
            settings: serde_json::from_str(naming.policy.settings()).unwrap_or_default(),
            envelope: naming.envelope.clone(),
            limits: naming.policy.limits().clone(),
        };
        Self {
            number,
            since,
            why,
            configuration,
            digest: namings.digest(),
            namings: namings.each().map(kept).collect(),
        }
    }

    /// Loads its namings anew, from the components that were kept.
    ///
    /// # Errors
    /// What is wrong with the first that cannot serve.
    pub(super) fn load(
        &self,
        directory: &StateDirectory,
        sandbox: &Sandbox,
    ) -> Result<Namings, String> {
        let mut own = None;
        let mut by_cluster = BTreeMap::new();
        for kept in &self.namings {
            let naming = kept.load(directory, sandbox).map(Arc::new)?;
            match &kept.cluster {
                None => own = Some(naming),
                Some(cluster) => {
                    by_cluster.insert(cluster.clone(), naming);
                }
            }
        }
        let own = own.ok_or("the attestor's own naming was not kept")?;
        Ok(Namings::new(own, by_cluster))
    }
}

impl KeptNaming {
    fn load(&self, directory: &StateDirectory, sandbox: &Sandbox) -> Result<Naming, String> {
        let path = directory.path().join(component(self.component));
        let request = PolicyRequest {
            source: PolicySource::File(path),
            // What lies on disk is what served, or it does not serve again.
            digest: Some(self.component),
            settings: self.settings.clone(),
            limits: self.limits.clone(),
        };
        Naming::load_from(
            sandbox,
            &request,
            self.envelope.clone(),
            self.source.clone(),
        )
        .map_err(|error| format!("policy {} as it was kept: {}", self.source, chain(&error)))
    }
}

impl Kept {
    /// The same state, with `false_facts` as `attestor` is configured now,
    /// unless the state says that they are admitted. An older host could not
    /// refuse false facts and recorded nothing of them; its naming is judged,
    /// and serves, by the configured rule.
    pub(super) fn admitting_as(mut self, attestor: &AttestorConfig) -> Self {
        let of = |cluster: Option<&str>| {
            let mut clusters = namings::configured(attestor);
            let own = cluster.and_then(|name| clusters.find(|(cluster, _)| *cluster == name));
            let naming = own.map_or(&attestor.naming, |(_, naming)| naming);
            naming.envelope.false_facts
        };
        let tenures = std::iter::once(&mut self.current).chain(&mut self.before);
        for kept in tenures.flat_map(|tenure| &mut tenure.namings) {
            if kept.envelope.false_facts == FalseFacts::Refuse {
                kept.envelope.false_facts = of(kept.cluster.as_deref());
            }
        }
        self
    }

    /// The naming that has proven itself last, to go back to: what serves, or
    /// while that can be taken back, what served before.
    pub(super) fn proven(&self, now: u64) -> &Tenure {
        match &self.before {
            Some(before) if self.on_probation(now).is_some() => before,
            Some(_) | None => &self.current,
        }
    }

    /// Until when what serves can be taken back, where that is to come.
    pub(super) fn on_probation(&self, now: u64) -> Option<u64> {
        self.probation.filter(|ends| now <= *ends)
    }

    /// What was kept, if anything was.
    pub(super) fn read(directory: &StateDirectory) -> Result<Option<Self>, StateError> {
        let Some(bytes) = directory.read(Path::new(FILE), MAX_BYTES)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StateError::Malformed {
                path: directory.path().join(FILE).display().to_string(),
                source,
            })
    }

    /// Keeps it, with the components of `namings`; what it does not need goes.
    pub(super) fn write(
        &self,
        directory: &StateDirectory,
        namings: &Namings,
    ) -> Result<(), StateError> {
        for (_, naming) in namings.each() {
            let (path, bytes) = (component(naming.label.digest), naming.component());
            // Read, not only looked for: a damaged one is mended.
            let there = directory.read(&path, bytes.len());
            if !there.is_ok_and(|there| there.as_deref() == Some(bytes)) {
                directory.write(&path, bytes)?;
            }
        }
        // The components first: what is named is there.
        let text = serde_json::to_vec_pretty(self).map_err(|source| StateError::Malformed {
            path: directory.path().join(FILE).display().to_string(),
            source,
        })?;
        directory.write(Path::new(FILE), &text)?;
        let needed: BTreeSet<_> = std::iter::once(&self.current)
            .chain(&self.before)
            .flat_map(|tenure| &tenure.namings)
            .map(|naming| file_name(naming.component))
            .collect();
        for name in directory.names(COMPONENTS)? {
            if !needed.contains(&name) {
                directory.remove(&Path::new(COMPONENTS).join(name))?;
            }
        }
        Ok(())
    }
}

fn component(digest: Digest) -> PathBuf {
    Path::new(COMPONENTS).join(file_name(digest))
}

fn file_name(digest: Digest) -> String {
    let digest = digest.to_string();
    format!("{}.wasm", digest.trim_start_matches("sha256:"))
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(1)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(serde::de::Error::custom(format!("version {other}"))),
        }
    }
}
