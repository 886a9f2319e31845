//! A loaded policy: bytes checked, compiled and configured, ready to be asked.

use crate::contract::{self, Interface};
use crate::derivation::Verdict;
use crate::digest::Digest;
use crate::error::{LoadError, PolicyFault};
use crate::facts::Facts;
use crate::instance::{Instance, Prepared, contained};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::sandbox::{EngineIdentity, Sandbox};
use crate::segments;
use crate::snapshot::{self, Attempt};
use crate::source::PolicySource;
use crate::structure;
use std::fmt;

/// A policy that is compiled, configured and ready to be asked.
///
/// # Guarantees
/// - its component had the pinned digest, if one was pinned;
/// - it imports nothing, so a question is all it ever learns;
/// - it took its settings;
/// - equal facts get equal answers at equal fuel, whatever was asked before:
///   each question goes to a fresh instance.
pub struct Policy {
    prepared: Prepared,
    start: Start,
    settings: String,
    digest: Digest,
    settings_digest: Digest,
    manifest: Manifest,
    interface: Interface,
    limits: Limits,
    component_bytes: usize,
    engine: EngineIdentity,
}

/// Where an instance starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// From memory as `configure` left it when the policy was loaded.
    Configured,
    /// From the component's own memory; `configure` runs in every instance.
    Unconfigured {
        /// Why the configured state could not be kept.
        reason: String,
    },
}

/// What to load, and how it will be run.
#[derive(Clone, Debug)]
pub struct PolicyRequest {
    /// Where the component comes from.
    pub source: PolicySource,
    /// The digest it must have, if the operator pinned one.
    pub digest: Option<Digest>,
    /// Settings: a JSON object.
    pub settings: serde_json::Value,
    /// What it may cost.
    pub limits: Limits,
}

impl PolicyRequest {
    /// A policy with no settings, unpinned, under the default limits.
    pub fn new(source: PolicySource) -> Self {
        Self {
            source,
            digest: None,
            settings: serde_json::Value::Object(serde_json::Map::new()),
            limits: Limits::default(),
        }
    }
}

impl Policy {
    /// Loads a policy: digest, size, structure, imports and exports are
    /// checked before anything is compiled, in this order; then the component
    /// is compiled and given its settings.
    ///
    /// Takes tens of milliseconds for a policy of usual size. Call it off the
    /// path that answers peers.
    ///
    /// # Errors
    /// [`LoadError`], and nothing of the component is kept.
    pub fn load(sandbox: &Sandbox, request: &PolicyRequest) -> Result<Self, LoadError> {
        let limits = &request.limits;
        let settings = settings_text(&request.settings, limits)?;
        let (bytes, digest) = request.source.read(request.digest, limits)?;
        // Names first: "this is a core module" helps more than what it breaks.
        contract::check_kind(&bytes)?;
        let bounded = structure::check(&bytes, limits)?;
        let interface = contract::check(&bytes)?;
        let compile = |error: wasmtime::Error| LoadError::Compile(contract::one_line(&error));
        let engine = sandbox.engine(limits).map_err(compile)?;
        let lean = segments::lean(&bytes, limits.memory_bytes);
        let (prepared, start) = match snapshot::take(&engine, &lean, bounded, &settings, limits) {
            Attempt::Taken(prepared) => (prepared, Start::Configured),
            Attempt::Refused(problems) => return Err(LoadError::Settings(problems)),
            Attempt::Failed(fault) => return Err(LoadError::Configure(fault)),
            Attempt::Unsuitable(reason) => {
                let prepared = Prepared::compile(&engine, &lean, bounded).map_err(compile)?;
                let taken = contained(|| Instance::new(&prepared, limits)?.configure(&settings));
                taken
                    .map_err(LoadError::Configure)?
                    .map_err(LoadError::Settings)?;
                (prepared, Start::Unconfigured { reason })
            }
        };
        Ok(Self {
            prepared,
            start,
            settings_digest: Digest::of(settings.as_bytes()),
            settings,
            digest,
            manifest: Manifest::read(&bytes),
            interface,
            limits: limits.clone(),
            component_bytes: bytes.len(),
            engine: sandbox.identity(),
        })
    }

    /// Asks for the name of the machine that `facts` describes.
    ///
    /// Runs on the calling thread, in a fresh instance under every limit.
    ///
    /// # Errors
    /// [`PolicyFault`] when there is no usable answer. A denial is an answer.
    pub fn derive(&self, facts: &Facts) -> Result<Verdict, PolicyFault> {
        contained(|| {
            let mut instance = Instance::new(&self.prepared, &self.limits)?;
            match self.start {
                Start::Configured => instance.derive(facts),
                Start::Unconfigured { .. } => match instance.configure(&self.settings)? {
                    Ok(()) => instance.derive(facts),
                    Err(_) => Err(PolicyFault::Inconstant),
                },
            }
        })
    }

    /// Digest of the component, as an operator pins it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Digest of the settings, as JSON text without white space.
    pub fn settings_digest(&self) -> Digest {
        self.settings_digest
    }

    /// The settings, as JSON text without white space.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// What runs it.
    pub fn engine(&self) -> &EngineIdentity {
        &self.engine
    }

    /// What the component says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the component asks for and offers.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// What the policy may cost.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where each instance starts.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Size of the component, in bytes.
    pub fn component_bytes(&self) -> usize {
        self.component_bytes
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("digest", &self.digest)
            .field("manifest.name", &self.manifest.name)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

fn settings_text(settings: &serde_json::Value, limits: &Limits) -> Result<String, LoadError> {
    if !settings.is_object() {
        return Err(LoadError::SettingsShape("are not a JSON object".to_owned()));
    }
    let text = settings.to_string();
    if text.len() > limits.settings_bytes {
        return Err(LoadError::SettingsShape(format!(
            "have {} bytes, at most {} allowed (limit `settings_bytes`)",
            text.len(),
            limits.settings_bytes
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
