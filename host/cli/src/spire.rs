//! `nameplate spire`: the plugin that SPIRE loads, and what to write into
//! SPIRE's configuration so that it does.

mod agent;
mod server;
mod stanza;

use crate::failure::Failure;
use crate::report::{Exit, Output};
use nameplate_evidence::Method;
use nameplate_spire::{LaunchError, Plugin};

/// Serve as a plugin of SPIRE
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Server(server::Arguments),
    Agent(agent::Arguments),
    Config(Box<stanza::Arguments>),
}

/// Which of SPIRE's two a plugin serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Side {
    /// spire-server
    #[default]
    Server,
    /// spire-agent
    Agent,
}

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Why it could not do what it was asked for.
    pub(crate) fn run(self, output: Output) -> Result<Exit, Failure> {
        match self {
            Self::Server(arguments) => server::run(arguments),
            Self::Agent(arguments) => agent::run(arguments),
            Self::Config(arguments) => stanza::run(&arguments, output),
        }
    }
}

/// The method `name`, and the name that the attestor has in SPIRE's
/// configuration: by default the method's, so that SPIRE's own agents find it.
fn named(method: Method, name: Option<String>) -> String {
    name.unwrap_or_else(|| method.as_str().to_owned())
}

/// Serves until SPIRE ends it.
fn serve(plugin: Plugin) -> Result<Exit, Failure> {
    match nameplate_spire::serve(plugin) {
        Ok(()) => Ok(Exit::Done),
        Err(error @ LaunchError::StartedByHand { spire }) => Err(Failure::Usage(format!(
            "{error}: put it into {spire}'s configuration, as `nameplate spire config` prints it"
        ))),
        // Logged already, as SPIRE reads it.
        Err(_) => Ok(Exit::Fault),
    }
}
