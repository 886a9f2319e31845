//! `nameplate spire agent`: the agent side of a node attestor.

use crate::failure::Failure;
use crate::report::Exit;
use nameplate_attestor::AttestorName;
use nameplate_evidence::Method;
use nameplate_spire::{AgentPlugin, Plugin};

/// Serve spire-agent as an external NodeAttestor
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Started by spire-agent, not by hand: `plugin_args` gives this command line.
`nameplate spire config` prints the stanza. SPIRE's own `k8s_psat` and `x509pop` do
the same for plugins of those names, so only other names, `k8s_sat` and `k8s` need
this one.

Examples:
  nameplate spire agent --attestor k8s_sat
  nameplate spire agent --attestor k8s
  nameplate spire agent --attestor k8s_psat --name k8s_psat_edge")]
pub(crate) struct Arguments {
    /// The evidence to send
    #[arg(long, value_name = "METHOD")]
    attestor: Method,

    /// The plugin's name in SPIRE's configuration [default: the method's]
    #[arg(long, value_name = "NAME")]
    name: Option<AttestorName>,
}

/// Runs the subcommand.
///
/// # Errors
/// Why the plugin could not serve.
pub(super) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let name = arguments.name.map(|name| name.to_string());
    super::serve(Plugin::Agent(AgentPlugin {
        method: arguments.attestor,
        name: super::named(arguments.attestor, name),
    }))
}
