//! A policy together with the envelope that its answers must fit.

use crate::cases::{self, CaseFailure};
use crate::envelope::Envelope;
use crate::subject_key::{SubjectKey, SubjectKeys, SubjectKeysError};
use nameplate_policy::{
    Digest, Facts, LoadError, Manifest, Policy, PolicyRequest, PolicySource, Sandbox,
};
use std::fmt;
use std::sync::Arc;

/// How subjects are named: a loaded policy in its envelope.
#[derive(Debug)]
pub struct Naming {
    pub(crate) policy: Policy,
    pub(crate) envelope: Envelope,
    pub(crate) label: Arc<PolicyLabel>,
    subject_keys: SubjectKeys,
}

impl Naming {
    /// Loads a policy, and runs the cases that its component carries. (Those
    /// of a built-in policy were run when the host was built.)
    ///
    /// # Errors
    /// [`NamingError`]; nothing of the policy is kept.
    pub fn load(
        sandbox: &Sandbox,
        request: &PolicyRequest,
        envelope: Envelope,
    ) -> Result<Self, NamingError> {
        let (component, digest) = request.source.read(request.digest, &request.limits)?;
        // One read: what the cases prove is what will serve.
        let pinned = PolicyRequest {
            source: PolicySource::Bytes(component.clone()),
            digest: Some(digest),
            ..request.clone()
        };
        let policy = Policy::load(sandbox, &pinned)?;
        if !matches!(request.source, PolicySource::Builtin(_)) {
            cases::prove(sandbox, &component, policy.manifest(), policy.limits())?;
        }
        let subject_keys = SubjectKeys::of_policy(policy.manifest(), &request.settings)
            .map_err(NamingError::SubjectKeysMalformed)?;
        Ok(Self {
            subject_keys,
            label: Arc::new(PolicyLabel::new(&request.source, policy.manifest(), digest)),
            policy,
            envelope,
        })
    }

    /// The loaded policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the policy may answer.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The facts that keep its subjects apart.
    pub fn subject_keys(&self) -> &SubjectKeys {
        &self.subject_keys
    }

    /// Which subject the facts are of, as the policy tells subjects apart.
    pub fn subject_key(&self, facts: &Facts) -> SubjectKey {
        self.subject_keys.key(facts)
    }

    /// Which policy it is.
    pub fn label(&self) -> &Arc<PolicyLabel> {
        &self.label
    }
}

/// Which policy decided: for logs, reports and answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PolicyLabel {
    /// Its name; where the component says none, its source.
    pub name: String,
    /// Its version, where the component says one.
    pub version: Option<String>,
    /// Digest of its component.
    pub digest: Digest,
}

impl PolicyLabel {
    fn new(source: &PolicySource, manifest: &Manifest, digest: Digest) -> Self {
        Self {
            name: manifest.name.clone().unwrap_or_else(|| source.to_string()),
            version: manifest.version.clone(),
            digest,
        }
    }
}

impl fmt::Display for PolicyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        match &self.version {
            Some(version) => write!(f, " {version}"),
            None => Ok(()),
        }
    }
}

/// Why a policy cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum NamingError {
    /// It could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The component's cases cannot be read.
    #[error("the component's cases cannot be read")]
    CasesMalformed(#[source] serde_json::Error),
    /// The component's word on its subjects cannot be read.
    #[error("the component does not say readably which facts keep subjects apart")]
    SubjectKeysMalformed(#[source] SubjectKeysError),
    /// It fails its own cases.
    #[error("the policy fails {} of its own {total} cases; the first: {first}", failures.len())]
    CasesFailed {
        /// Cases that it was given.
        total: usize,
        /// Those that failed.
        failures: Vec<CaseFailure>,
        /// The first failure, in words.
        first: String,
    },
}
