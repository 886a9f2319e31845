//! `nameplate spire server`: the server side of a node attestor.

use crate::failure::Failure;
use crate::report::Exit;
use nameplate_attestor::AttestorName;
use nameplate_evidence::Method;
use nameplate_spire::{AttestLimits, Plugin, ServerPlugin};
use std::path::PathBuf;
use std::time::Duration;

/// Serve spire-server as an external NodeAttestor
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Started by spire-server, not by hand: `plugin_args` gives this command line.
`nameplate spire config` prints the stanza.

Examples:
  nameplate spire server --attestor k8s_psat
  nameplate spire server --attestor k8s_psat --plugin-data-file /etc/spire/k8s_psat.hcl
  nameplate spire server --attestor k8s_sat --name k8s_sat_edge --max-concurrent 16")]
pub(crate) struct Arguments {
    /// The evidence to attest
    #[arg(long, value_name = "METHOD")]
    attestor: Method,

    /// The plugin's name in SPIRE's configuration [default: the method's]
    #[arg(long, value_name = "NAME")]
    name: Option<AttestorName>,

    /// Where SPIRE has `plugin_data_file`, the same file: a change of it
    /// serves at once, and not only when SPIRE is sent SIGUSR1
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    plugin_data_file: Option<PathBuf>,

    /// Attestations at work at once, and as many again that wait for an API
    /// server or for published keys
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_concurrent: u16,

    /// Attestations that may queue for a place, for each of the two kinds
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_waiting: u16,

    /// The longest that an attestation may take, 1s to 10m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = deadline)]
    deadline: Duration,
}

/// Runs the subcommand.
///
/// # Errors
/// Why the plugin could not serve.
pub(super) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let name = arguments.name.map(|name| name.to_string());
    let limits = AttestLimits {
        concurrent: arguments.max_concurrent.into(),
        waiting: arguments.max_waiting.into(),
        total: arguments.deadline,
        ..AttestLimits::default()
    };
    let plugin = ServerPlugin {
        method: arguments.attestor,
        name: super::named(arguments.attestor, name),
        limits,
        data_file: arguments.plugin_data_file,
    };
    super::serve(Plugin::Server(plugin))
}

fn deadline(text: &str) -> Result<Duration, String> {
    let deadline = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&deadline) {
        return Err("must be from 1s to 10m".to_owned());
    }
    Ok(deadline)
}
