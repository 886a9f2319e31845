//! Why a subcommand could not do what it was asked for, and how that is said.
//!
//! The three failures of an attestation stay apart here too: each has its
//! exit code, and the text names the check, the cluster, the policy and whose
//! part it was. No token, key or nonce can be in it: none of the errors it is
//! made of holds one.

use crate::report::{BAD, Exit, FAINT, Output, printable};
use nameplate_attestor::config::Problems;
use nameplate_attestor::{AttestError, PolicyLabel, UsedTokenError, chain};
use nameplate_evidence::certificates::CertificateError;
use nameplate_evidence::{ApiError, EvidenceError};
use nameplate_policy::{LoadError, SandboxError};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Why a subcommand could not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense; says why.
    Usage(String),
    /// The configuration cannot be used.
    Config(Problems),
    /// An attestation ended without an identity.
    Attest {
        /// Why.
        error: AttestError,
        /// The cluster the peer named, where the error does not know.
        cluster: Option<String>,
    },
    /// A policy could not be loaded.
    Load {
        /// Where it was to come from.
        policy: String,
        /// Why.
        error: LoadError,
    },
    /// Anything else that is not as it must be.
    Fault {
        /// Stable code.
        reason: &'static str,
        /// What, with its causes.
        error: anyhow::Error,
    },
    /// Standard output could not be written.
    Output(io::Error),
}

impl Failure {
    /// A fault with a stable code.
    pub(crate) fn fault(reason: &'static str, error: impl Into<anyhow::Error>) -> Self {
        Self::Fault {
            reason,
            error: error.into(),
        }
    }

    /// A policy that could not be loaded.
    pub(crate) fn load(policy: impl ToString, error: LoadError) -> Self {
        Self::Load {
            policy: policy.to_string(),
            error,
        }
    }

    /// Says it, and gives the exit code it stands for.
    pub(crate) fn report(&self, output: Output) -> Exit {
        let exit = self.exit();
        if let Self::Output(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            // Whoever read us has seen enough.
            return Exit::Done;
        }
        // When the terminal is gone, the exit code still says it.
        let _said = match output {
            Output::Json => output.answer(&json!({ "error": self.document() }), |_| Ok(())),
            Output::Text => self
                .write(&mut anstream::stderr().lock())
                .map_err(Self::Output),
        };
        exit
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Attest { error, .. } => match error.failure() {
                nameplate_attestor::Failure::Rejected => Exit::Rejected,
                nameplate_attestor::Failure::Denied => Exit::Denied,
                nameplate_attestor::Failure::Fault => Exit::Fault,
            },
            Self::Config(_) | Self::Load { .. } | Self::Fault { .. } | Self::Output(_) => {
                Exit::Fault
            }
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Config(_) => "config_invalid",
            Self::Attest { error, .. } => error.reason(),
            Self::Load { .. } => "policy_refused",
            Self::Fault { reason, .. } => reason,
            Self::Output(_) => "output",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Usage(message) => message.clone(),
            Self::Config(problems) => {
                let errors = problems
                    .list
                    .iter()
                    .filter(|problem| {
                        problem.severity == nameplate_attestor::config::Severity::Error
                    })
                    .count();
                let name = printable(&problems.source.name);
                format!(
                    "`{name}` cannot be used: {errors} {}",
                    plural(errors, "error")
                )
            }
            Self::Attest { error, .. } => error.chain(),
            Self::Load { policy, error } => {
                format!("policy {} is refused: {}", printable(policy), chain(error))
            }
            Self::Fault { error, .. } => format!("{error:#}"),
            Self::Output(error) => format!("cannot write the answer: {error}"),
        }
    }

    /// The failure as JSON.
    fn document(&self) -> Value {
        let class = match self.exit() {
            Exit::Usage => "usage",
            Exit::Rejected => "rejected",
            Exit::Denied => "denied",
            Exit::Done | Exit::Fault => "fault",
        };
        let mut document = json!({
            "failure": class,
            "reason": self.reason(),
            "message": self.message(),
        });
        let mut put = |name: &str, value: Value| {
            if let Some(members) = document.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        };
        match self {
            Self::Attest { error, cluster } => {
                if let Some(cluster) = error.cluster().or(cluster.clone()) {
                    put("cluster", Value::from(cluster));
                }
                if let Some(policy) = policy_of(error) {
                    put("policy", json!(policy));
                }
                put("whose", Value::from(whose(error)));
            }
            Self::Config(problems) => put("problems", json!(problems.summaries())),
            Self::Load { policy, error } => {
                put("source", Value::from(policy.as_str()));
                if let LoadError::Settings(problems) = error {
                    put("settings", json!(problems));
                }
            }
            Self::Usage(_) | Self::Fault { .. } | Self::Output(_) => {}
        }
        document
    }

    /// The failure for people.
    fn write(&self, err: &mut dyn Write) -> io::Result<()> {
        let detail = |err: &mut dyn Write, label: &str, value: &str| {
            writeln!(err, "  {FAINT}{label:<8}{FAINT:#} {value}")
        };
        match self {
            // Clap begins its own mistakes the same way.
            Self::Usage(message) => writeln!(err, "{BAD}error:{BAD:#} {message}"),
            Self::Config(problems) => {
                writeln!(err, "{}\n", problems.render(true))?;
                writeln!(err, "{BAD}error:{BAD:#} {}", self.message())
            }
            Self::Attest { error, cluster } => {
                writeln!(err, "{BAD}{}{BAD:#}", printable(&self.message()))?;
                detail(err, "check", self.reason())?;
                if let Some(cluster) = error.cluster().or(cluster.clone()) {
                    detail(err, "cluster", &printable(&cluster))?;
                }
                if let Some(policy) = policy_of(error) {
                    detail(err, "policy", &format!("{policy}, {}", policy.digest))?;
                }
                detail(err, "whose", whose(error))
            }
            Self::Load { .. } | Self::Fault { .. } | Self::Output(_) => {
                writeln!(err, "{BAD}error:{BAD:#} {}", self.message())
            }
        }
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        Self::fault("sandbox", error)
    }
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        Self::Attest {
            error: AttestError::Rejected(error),
            cluster: None,
        }
    }
}

/// `noun`, or its plural where `count` is not one.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

fn policy_of(error: &AttestError) -> Option<&PolicyLabel> {
    match error {
        AttestError::Rejected(_)
        | AttestError::NoRandomness
        | AttestError::TokenNotFresh(_)
        | AttestError::AlreadyAttested
        | AttestError::AgentsUnknown(_)
        | AttestError::IdentityCollision(_)
        | AttestError::HoldersUnknown(_)
        | AttestError::Unrecorded(_) => None,
        AttestError::Denied { policy, .. }
        | AttestError::PolicyFailed { policy, .. }
        | AttestError::NotAdmitted { policy, .. } => Some(policy),
    }
}

/// Whose part a failure is.
fn whose(error: &AttestError) -> &'static str {
    match error {
        AttestError::Rejected(EvidenceError::ClockBeforeEpoch) => {
            "this machine's: its clock is wrong"
        }
        AttestError::Rejected(
            EvidenceError::Api {
                source: ApiError::OutOfPatience,
                ..
            }
            | EvidenceError::CertificateApi {
                source: ApiError::OutOfPatience,
                ..
            },
        ) => "nobody's yet: no answer came in the time that `--timeout` gives",
        AttestError::Rejected(EvidenceError::Api { .. } | EvidenceError::CertificateApi { .. }) => {
            "nobody's yet: the cluster gave no answer, ask again"
        }
        AttestError::Rejected(EvidenceError::Bundle { .. }) => {
            "nobody's yet: the authorities of the trust domain are not known here"
        }
        AttestError::Rejected(EvidenceError::Certificate {
            source: CertificateError::ClientAddressUnknown,
        }) => "the server's: it does not say where the peer is",
        AttestError::NoRandomness => "this machine's: it has no random bytes",
        AttestError::Rejected(_) => "the peer's: what it sent does not prove what it claims",
        AttestError::Unrecorded(_) => "the operator's: the decision log cannot be written",
        AttestError::TokenNotFresh(UsedTokenError::Full) | AttestError::AgentsUnknown(_) => {
            "nobody's yet: first use cannot be checked now"
        }
        AttestError::TokenNotFresh(UsedTokenError::Used | UsedTokenError::Endless)
        | AttestError::AlreadyAttested => "the peer's: it has attested before",
        AttestError::Denied { .. } => "nobody's: the policy decided to give this subject no name",
        AttestError::IdentityCollision(_) => {
            "the policy author's, or the operator's: two subjects have one name"
        }
        AttestError::HoldersUnknown(_) => {
            "nobody's yet: who holds the name cannot be looked up now"
        }
        AttestError::PolicyFailed { .. } => "the policy author's: the policy gave no answer",
        AttestError::NotAdmitted { .. } => {
            "the policy author's, or the operator's who put policy and envelope together"
        }
    }
}
