//! `nameplate config`: what can be done with a configuration file.

mod check;
mod summary;

use crate::failure::Failure;
use crate::report::{Exit, Output};

/// Work with a configuration
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Check(check::Arguments),
}

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Why it could not do what it was asked for.
    pub(crate) fn run(self, output: Output) -> Result<Exit, Failure> {
        match self {
            Self::Check(arguments) => check::run(&arguments, output),
        }
    }
}
