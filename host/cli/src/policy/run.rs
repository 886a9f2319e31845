//! `nameplate policy run`: one policy, one set of facts, one answer.
//!
//! No evidence is verified here, so what is printed is what a machine *would*
//! be called: facts in a file are anybody's.

use super::limits::LimitFlags;
use crate::attest::{Given, unnamed};
use crate::failure::Failure;
use crate::input;
use crate::report::{Exit, Output};
use nameplate_attestor::{AttestError, Envelope, Namespace, PolicyLabel};
use nameplate_policy::{Facts, Policy, PolicyRequest, Sandbox};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// Ask a policy about facts and print the identity it derives
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 4 where the policy denies, and with 1 where it gives no usable answer.

Examples:
  nameplate policy run builtin:node --facts facts.json
  nameplate policy run my-policy.wasm --facts facts.json --settings '{\"prefix\": \"edge\"}'
  nameplate policy run my-policy.wasm --facts - --settings @settings.json")]
pub(crate) struct Arguments {
    /// A component, or builtin:NAME
    policy: String,

    /// The facts, as the `facts` member of a case; `-` is standard input
    #[arg(long, value_name = "FILE")]
    facts: PathBuf,

    /// Settings: a JSON object, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,

    #[command(flatten)]
    limits: LimitFlags,
}

/// Runs the subcommand.
///
/// # Errors
/// Why there is no identity.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let settings = input::settings(arguments.settings.as_deref())?;
    let facts = input::facts(&arguments.facts)?;
    let namespace = namespace(&facts)?;
    let loaded = Loaded::load(&arguments.policy, settings, &arguments.limits)?;
    let policy = &loaded.label;
    let failed = |error| unnamed(error, facts.cluster());
    let verdict = loaded.policy.derive(&facts).map_err(|fault| {
        failed(AttestError::PolicyFailed {
            policy: Arc::clone(policy),
            fault,
        })
    })?;
    let derivation = verdict.answer.map_err(|denial| {
        failed(AttestError::Denied {
            policy: Arc::clone(policy),
            denial,
        })
    })?;
    let identity = Envelope::default()
        .admit(&namespace, &facts, derivation)
        .map_err(|error| {
            failed(AttestError::NotAdmitted {
                policy: Arc::clone(policy),
                error,
            })
        })?;
    let given = Given {
        identity: &identity,
        policy,
        fuel: verdict.fuel,
        left_out: &[],
    };
    output.answer(&given, |out| given.write(out))?;
    Ok(Exit::Done)
}

/// A policy on its own, without an attestor round it.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The policy, ready to be asked.
    pub(super) policy: Policy,
    /// Which one it is.
    pub(super) label: Arc<PolicyLabel>,
}

impl Loaded {
    /// Loads the policy that the command line names.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub(super) fn load(
        source: &str,
        settings: Value,
        limits: &LimitFlags,
    ) -> Result<Self, Failure> {
        let request = PolicyRequest {
            settings,
            limits: limits.limits(),
            ..PolicyRequest::new(super::source(source)?)
        };
        let policy = Policy::load(&Sandbox::new()?, &request)
            .map_err(|error| Failure::load(format!("`{source}`"), error))?;
        let label = Arc::new(PolicyLabel {
            name: policy
                .manifest()
                .name
                .clone()
                .unwrap_or_else(|| source.to_owned()),
            version: policy.manifest().version.clone(),
            digest: policy.digest(),
        });
        Ok(Self { policy, label })
    }
}

/// Where the identity would lie, by what the facts say.
fn namespace(facts: &Facts) -> Result<Namespace, Failure> {
    let bad = |error| Failure::fault("facts_malformed", error);
    Ok(Namespace {
        trust_domain: facts.trust_domain.parse().map_err(|error| {
            bad(anyhow::Error::new(error).context("`trust_domain` of the facts"))
        })?,
        attestor: facts
            .attestor
            .parse()
            .map_err(|error| bad(anyhow::Error::new(error).context("`attestor` of the facts")))?,
    })
}
