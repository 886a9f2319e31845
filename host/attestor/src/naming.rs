//! A policy together with the envelope that its answers must fit.

use crate::cases::{self, CaseFailure, MAX_CASES, MAX_EVIDENCE_CASES};
use crate::envelope::Envelope;
use crate::error::AttestError;
use crate::identity::AgentIdentity;
use crate::namespace::Namespace;
use crate::subject_key::{SubjectKey, SubjectKeys, SubjectKeysError};
use nameplate_policy::{
    Derivation, Digest, Facts, LoadError, Manifest, Policy, PolicyFault, PolicyRequest,
    PolicySource, Sandbox, Verdict,
};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// How subjects are named: a loaded policy in its envelope.
#[derive(Debug)]
pub struct Naming {
    pub(crate) policy: Policy,
    pub(crate) envelope: Envelope,
    pub(crate) label: Arc<PolicyLabel>,
    subject_keys: SubjectKeys,
    /// Kept so that the last good one can be put on disk: the file may be
    /// another by then, or gone.
    component: Cow<'static, [u8]>,
    source: String,
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
        Self::load_from(sandbox, request, envelope, request.source.to_string())
    }

    /// The same, for a component that came from `source` at some time.
    pub(crate) fn load_from(
        sandbox: &Sandbox,
        request: &PolicyRequest,
        envelope: Envelope,
        source: String,
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
            let (manifest, limits) = (policy.manifest(), policy.limits());
            cases::prove(sandbox, &component, manifest, limits, envelope.false_facts)?;
        }
        let subject_keys = SubjectKeys::of_policy(policy.manifest(), &request.settings)
            .map_err(NamingError::SubjectKeysMalformed)?;
        Ok(Self {
            subject_keys,
            label: Arc::new(PolicyLabel::new(&source, policy.manifest(), digest)),
            policy,
            envelope,
            component,
            source,
        })
    }

    /// What an attestation would come to that proved `facts`.
    pub(crate) fn answer(
        &self,
        namespace: &Namespace,
        facts: &Facts,
    ) -> Result<AgentIdentity, AttestError> {
        let (derivation, _fuel) = self.derived(self.policy.derive(facts))?;
        self.admit(namespace, facts, derivation)
    }

    /// The name that the policy gave, and the fuel that it took.
    pub(crate) fn derived(
        &self,
        verdict: Result<Verdict, PolicyFault>,
    ) -> Result<(Derivation, u64), AttestError> {
        let verdict = verdict.map_err(|fault| AttestError::PolicyFailed {
            policy: Arc::clone(&self.label),
            fault,
        })?;
        match verdict.answer {
            Ok(derivation) => Ok((derivation, verdict.fuel)),
            Err(denial) => Err(AttestError::Denied {
                policy: Arc::clone(&self.label),
                denial,
            }),
        }
    }

    /// The identity that the name makes, where the envelope allows it.
    pub(crate) fn admit(
        &self,
        namespace: &Namespace,
        facts: &Facts,
        derivation: Derivation,
    ) -> Result<AgentIdentity, AttestError> {
        self.envelope
            .admit(namespace, facts, derivation)
            .map_err(|error| AttestError::NotAdmitted {
                policy: Arc::clone(&self.label),
                error,
            })
    }

    /// The loaded policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether it answers alike: component, settings, envelope and limits.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let of = |naming: &Self| {
            let policy = &naming.policy;
            (
                policy.digest(),
                policy.settings_digest(),
                policy.limits().clone(),
            )
        };
        of(self) == of(other) && self.envelope == other.envelope
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

    /// Where its component came from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its component.
    pub(crate) fn component(&self) -> &[u8] {
        &self.component
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
    fn new(source: &str, manifest: &Manifest, digest: Digest) -> Self {
        Self {
            name: manifest.name.clone().unwrap_or_else(|| source.to_owned()),
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
    /// The component carries more cases than are run.
    #[error("the component carries {cases} cases, at most {MAX_CASES} are run")]
    TooManyCases {
        /// Cases.
        cases: usize,
    },
    /// The component carries more cases with evidence than are run.
    #[error(
        "the component carries {cases} cases with evidence, at most {MAX_EVIDENCE_CASES} are run"
    )]
    TooMuchEvidence {
        /// Cases with evidence.
        cases: usize,
    },
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
