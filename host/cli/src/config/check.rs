//! `nameplate config check`: every problem of a configuration at once, and
//! what it configures where there is none.
//!
//! Goes as far as a server would: key files are read, policies are loaded
//! with their settings and prove their own cases.

use super::summary::AttestorSummary;
use crate::failure::{Failure, plural};
use crate::report::{BAD, Exit, GOOD, NOTE, Output, printable, row};
use crate::spire::Side;
use nameplate_attestor::config::{AttestorConfig, Config, PluginData, Problem, Problems, Severity};
use nameplate_attestor::{AgentConfig, Generation, KeyDirectory};
use nameplate_evidence::Method;
use nameplate_policy::Sandbox;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Read a configuration, load all it names, and show every problem
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nameplate config check nameplate.toml
  nameplate config check nameplate.toml --deny-warnings --output json
  nameplate config check plugin.hcl --plugin k8s_psat --trust-domain example.org
  nameplate config check agent.hcl --plugin k8s_sat --side agent --trust-domain example.org")]
pub(crate) struct Arguments {
    /// The configuration
    file: PathBuf,

    /// Fail where there are warnings, too
    #[arg(long)]
    deny_warnings: bool,

    /// The file is the `plugin_data` (HCL 1 or JSON) of a SPIRE plugin of this
    /// evidence method
    #[arg(long, value_name = "METHOD", requires = "trust_domain")]
    plugin: Option<Method>,

    /// Which of SPIRE's two loads the plugin
    #[arg(long, value_enum, requires = "plugin", default_value_t)]
    side: Side,

    /// The trust domain of the SPIRE server that loads the plugin
    #[arg(long, value_name = "NAME", requires = "plugin")]
    trust_domain: Option<String>,

    /// The name that the plugin is loaded under, where it is not the method's
    #[arg(long, value_name = "NAME", requires = "plugin")]
    name: Option<String>,
}

impl Arguments {
    /// What SPIRE hands to the plugin besides the file; none where the file is
    /// not for SPIRE.
    fn plugin_data(&self) -> Option<PluginData> {
        let method = self.plugin?;
        Some(PluginData {
            text: String::new(),
            trust_domain: self.trust_domain.clone()?,
            attestor: self.name.clone().unwrap_or_else(|| method.to_string()),
            method,
        })
    }

    fn read(&self) -> Result<Config, Problems> {
        match self.plugin_data() {
            Some(data) => Config::read_plugin(&self.file, &data),
            None => Config::read(&self.file),
        }
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Every problem of the configuration.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    if let (Side::Agent, Some(data)) = (arguments.side, arguments.plugin_data()) {
        return agent(&arguments.file, &data, output);
    }
    let mut config = arguments.read().map_err(Failure::Config)?;
    let sandbox = Sandbox::new()?;
    let generations = load(&config, &sandbox)?;
    let unserved: Vec<_> = config
        .attestors
        .iter()
        .flat_map(|attestor| {
            let shadow = shadow_that_would_not_run(attestor, &sandbox);
            shadow.into_iter().chain(gate_without_decisions(attestor))
        })
        .collect();
    config.warnings.list.extend(unserved);
    let attestors: Vec<_> = config
        .attestors
        .iter()
        .zip(&generations)
        .map(|(attestor, generation)| AttestorSummary::new(attestor, generation))
        .collect();
    let warnings = &config.warnings;
    let good = warnings.list.is_empty() || !arguments.deny_warnings;
    let document = json!({
        "ok": good,
        "trust_domain": config.trust_domain,
        "attestors": attestors,
        "warnings": warnings.summaries(),
    });
    output.answer(&document, |out| {
        if !warnings.list.is_empty() {
            writeln!(out, "{}\n", warnings.render(true))?;
        }
        let name = arguments.file.display();
        let count = warnings.list.len();
        let warned = plural(count, "warning");
        match (good, count) {
            (true, 0) => writeln!(out, "{GOOD}`{name}` is good{GOOD:#}")?,
            (true, _) => writeln!(
                out,
                "{NOTE}`{name}` can be used, with {count} {warned}{NOTE:#}"
            )?,
            (false, _) => writeln!(out, "{BAD}`{name}` has {count} {warned}{BAD:#}")?,
        }
        row(out, "trust domain", &config.trust_domain)?;
        attestors
            .iter()
            .try_for_each(|attestor| attestor.write(out))
    })?;
    Ok(if good { Exit::Done } else { Exit::Fault })
}

/// The agent's side; whether there is a token yet is the machine's business.
fn agent(file: &Path, data: &PluginData, output: Output) -> Result<Exit, Failure> {
    let (config, _) = AgentConfig::read_plugin(file, data).map_err(Failure::Config)?;
    let name = file.display();
    let document = match &config {
        AgentConfig::Token(token) => json!({
            "ok": true,
            "cluster": token.cluster,
            "token_path": token.token_path,
            "send_uuid": token.send_uuid,
        }),
        AgentConfig::Certificate(files) => json!({
            "ok": true,
            "certificate_path": files.certificate,
            "private_key_path": files.private_key,
            "intermediates_path": files.intermediates,
        }),
        AgentConfig::Svid(endpoint) => json!({
            "ok": true,
            "spiffe_endpoint_socket": endpoint.path(),
        }),
        AgentConfig::Requested(certificate) => json!({
            "ok": true,
            "node_name": certificate.node,
            "signer": certificate.signer,
            "certificate_ttl_s": certificate.lifetime.as_secs(),
            "approval_timeout_s": certificate.approval_timeout.as_secs(),
            "verify_request": certificate.verify_request,
            "key_directory": certificate.directory.as_ref().map(KeyDirectory::path),
        }),
    };
    output.answer(&document, |out| {
        writeln!(out, "{GOOD}`{name}` is good{GOOD:#}")?;
        match &config {
            AgentConfig::Token(token) => {
                row(out, "cluster", &token.cluster)?;
                row(out, "token", token.token_path.display())
            }
            AgentConfig::Certificate(files) => {
                row(out, "certificate", files.certificate.display())?;
                row(out, "private key", files.private_key.display())
            }
            AgentConfig::Svid(endpoint) => row(out, "workload API", endpoint.path().display()),
            AgentConfig::Requested(certificate) => {
                row(out, "node", &certificate.node)?;
                row(out, "signer", &certificate.signer)?;
                match &certificate.directory {
                    Some(directory) => row(out, "keys", directory.path().display()),
                    None => row(out, "keys", "new for each attestation"),
                }
            }
        }
    })?;
    Ok(Exit::Done)
}

/// A shadow stands in nobody's way: that nothing would be tried is said here or
/// by nobody.
fn shadow_that_would_not_run(attestor: &AttestorConfig, sandbox: &Sandbox) -> Vec<Problem> {
    let shadow = attestor.swaps.shadow.as_ref();
    let problems = shadow.and_then(|shadow| shadow.load(sandbox).err());
    problems
        .into_iter()
        .flatten()
        .map(|problem| Problem {
            severity: Severity::Warning,
            message: format!("no shadow will run: {}", problem.message),
            ..problem
        })
        .collect()
}

/// A gate whose folder is not there lets nothing pass; one that judges over the
/// log that is to be written has it in time.
fn gate_without_decisions(attestor: &AttestorConfig) -> Option<Problem> {
    let gate = attestor.swaps.gate.as_ref()?;
    let log = attestor.decision_log.as_ref();
    let is_written = log.is_some_and(|log| log.options.directory == gate.against);
    (!is_written && !gate.against.is_dir()).then(|| {
        let folder = printable(&gate.against.display().to_string());
        Problem::warning(
            None,
            format!("the gate has nothing to judge over, and lets nothing pass: there is no folder `{folder}`"),
        )
    })
}

/// Loads every attestor, and finds the problems of all of them.
fn load(config: &Config, sandbox: &Sandbox) -> Result<Vec<Generation>, Failure> {
    let mut generations = Vec::new();
    let mut problems: Option<Problems> = None;
    for attestor in &config.attestors {
        match Generation::load(config, attestor, sandbox) {
            Ok(generation) => generations.push(generation),
            Err(more) => match &mut problems {
                Some(problems) => problems.list.extend(more.list),
                None => problems = Some(more),
            },
        }
    }
    match problems {
        None => Ok(generations),
        Some(mut problems) => {
            problems.list.extend(config.warnings.list.iter().cloned());
            Err(Failure::Config(problems))
        }
    }
}
