//! `nameplate inspect`: what something is, before anybody trusts it.

pub(crate) mod evidence;

use crate::failure::Failure;
use crate::report::{Exit, Output};

/// Look at what a peer would send
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Evidence(evidence::Arguments),
}

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Why it could not do what it was asked for.
    pub(crate) fn run(self, output: Output) -> Result<Exit, Failure> {
        match self {
            Self::Evidence(arguments) => evidence::run(&arguments, output),
        }
    }
}
