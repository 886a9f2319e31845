//! What an operator can see of an attestor's generations.
//!
//! The process that attests writes it to the state directory, at each change
//! and from time to time between; whoever may read there reads it, and asks
//! the process nothing.

use super::directory::{self, StateDirectory, StateError};
use super::kept::{Tenure, Why};
use super::seconds;
use crate::config::Counted;
use crate::error::chain;
use crate::holders::HoldersStatus;
use crate::probation::FaultRate;
use crate::shadow::ShadowStatus;
use nameplate_evidence::ApiStatus;
use nameplate_files::Directory;
use nameplate_policy::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const FILE: &str = "status.json";

/// Largest status that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Most attestors of one state directory that are shown.
const MAX_ATTESTORS: usize = 256;

/// An attestor's generations, as they are seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The attestor's name.
    pub attestor: String,
    /// When this was written, in seconds since 1970.
    pub written: u64,
    /// What serves.
    pub serving: Serving,
    /// What served before it.
    pub before: Option<Serving>,
    /// What was last refused, while it is still what is configured.
    pub refused: Option<Refused>,
    /// How the naming that serves does, while it can be taken back.
    pub probation: Option<ProbationStatus>,
    /// What is tried beside it.
    pub shadow: Option<ShadowStatus>,
    /// Who holds which ID, in numbers.
    pub holders: Option<HoldersStatus>,
    /// API servers that are left alone, because they do not answer.
    #[serde(default)]
    pub suspended: Vec<SuspendedServer>,
    /// What the operator should look at.
    pub warnings: Vec<String>,
}

/// An API server that is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendedServer {
    /// The cluster that it is asked for; an empty name where it has none.
    pub cluster: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Why: what the last call came to.
    pub error: String,
}

/// A naming that serves or served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Number of the generation.
    pub generation: u64,
    /// Since when its naming serves, in seconds since 1970.
    pub since: u64,
    /// How it came to.
    pub why: Why,
    /// Digest of the configuration's text.
    pub configuration: Digest,
    /// The policies, the attestor's own first.
    pub policies: Vec<PolicyStatus>,
}

/// A policy that serves or served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// The cluster whose subjects it names; none for the attestor's own.
    pub cluster: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version, where the component says one.
    pub version: Option<String>,
    /// Where it came from.
    pub source: String,
    /// Digest of its component.
    pub component: Digest,
}

/// A candidate that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When, in seconds since 1970.
    pub at: u64,
    /// By what.
    pub by: RefusedBy,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
}

/// What refuses candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedBy {
    /// The configuration cannot be used: its text, a key file, the state or
    /// log that it asks for, or another attestor in it.
    Configuration,
    /// Its policy could not be loaded.
    Loading,
    /// The gate.
    Gate,
    /// It has served, and failed too often.
    FaultRate,
}

/// A naming that can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbationStatus {
    /// How often it failed.
    #[serde(flatten)]
    pub rate: FaultRate,
    /// What is counted.
    #[serde(default)]
    pub counted: Counted,
    /// Until when it can be, in seconds since 1970.
    pub until: u64,
}

impl Serving {
    pub(super) fn of(tenure: &Tenure) -> Self {
        Self {
            generation: tenure.number,
            since: tenure.since,
            why: tenure.why,
            configuration: tenure.configuration,
            policies: tenure
                .namings
                .iter()
                .map(|naming| PolicyStatus {
                    cluster: naming.cluster.clone(),
                    name: naming.name.clone(),
                    version: naming.version.clone(),
                    source: naming.source.clone(),
                    component: naming.component,
                })
                .collect(),
        }
    }
}

impl SuspendedServer {
    /// Those of `servers`, which are by cluster, that are suspended.
    pub(super) fn of(servers: BTreeMap<String, ApiStatus>) -> Vec<Self> {
        let suspended = |(cluster, status): (String, ApiStatus)| {
            let suspension = status.suspended?;
            Some(Self {
                cluster,
                since: seconds(suspension.since),
                error: chain(suspension.last_error.as_ref()),
            })
        };
        servers.into_iter().filter_map(suspended).collect()
    }
}

impl Why {
    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Swapped => "swapped",
            Self::RolledBack => "rolled_back",
            Self::Restored => "restored",
        }
    }
}

impl RefusedBy {
    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Loading => "loading",
            Self::Gate => "gate",
            Self::FaultRate => "fault_rate",
        }
    }
}

impl Status {
    pub(super) fn write(&self, directory: &StateDirectory) -> Result<(), StateError> {
        let text = serde_json::to_vec_pretty(self).map_err(|source| StateError::Malformed {
            path: FILE.to_owned(),
            source,
        })?;
        directory.write(Path::new(FILE), &text)
    }

    /// The status of every attestor of the state directory at `path`, by name,
    /// each with whether a process keeps it up to date.
    ///
    /// # Errors
    /// [`StateError`], for the first that cannot be read.
    pub fn read_all(path: &Path) -> Result<Vec<(Self, bool)>, StateError> {
        let mut all = Vec::new();
        for name in Directory::open(path)?
            .names()?
            .into_iter()
            .take(MAX_ATTESTORS)
        {
            let folder = path.join(name);
            if !folder.is_dir() {
                continue;
            }
            if let Some(bytes) = directory::read(&folder, Path::new(FILE), MAX_BYTES)? {
                let status =
                    serde_json::from_slice(&bytes).map_err(|source| StateError::Malformed {
                        path: folder.join(FILE).display().to_string(),
                        source,
                    })?;
                all.push((status, directory::in_use(&folder)));
            }
        }
        Ok(all)
    }
}
