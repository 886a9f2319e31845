//! The command line: subcommands, flags and help.

use crate::failure::Failure;
use crate::report::{Exit, Output};
use crate::{
    attest, completions, config, demo, inspect, log, policy, release, spire, status, torture,
};
use clap::{Parser, Subcommand};

/// Gives machines their SPIFFE IDs.
///
/// A native host proves what a machine is; a sandboxed WebAssembly policy
/// decides what it is called.
#[derive(Debug, Parser)]
#[command(
    name = "nameplate",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  nameplate demo
  nameplate config check nameplate.toml
  nameplate attest --config nameplate.toml --cluster production --token token.jwt
  nameplate policy new my-policy && nameplate policy build my-policy

Exit codes:
  0  an identity, or all is well
  1  a fault: of the configuration, of a policy, of this machine; or a failed test
  2  a mistake in the command line
  3  the evidence was rejected
  4  the policy denied the subject a name"
)]
pub(crate) struct Cli {
    /// How to answer; with `json`, failures are JSON on standard output too
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        value_enum,
        default_value_t,
        help_heading = "Global options"
    )]
    pub(crate) output: Output,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Attest(attest::Arguments),
    #[command(subcommand)]
    Inspect(inspect::Command),
    #[command(subcommand)]
    Config(config::Command),
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(subcommand)]
    Log(log::Command),
    #[command(subcommand)]
    Spire(spire::Command),
    Torture(torture::Arguments),
    Status(status::Arguments),
    Release(release::Arguments),
    Completions(completions::Arguments),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Why it could not do what it was asked for.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let output = self.output;
        match self.command {
            Command::Demo(arguments) => demo::run(&arguments, output),
            Command::Attest(arguments) => attest::run(&arguments, output),
            Command::Inspect(command) => command.run(output),
            Command::Config(command) => command.run(output),
            Command::Policy(command) => command.run(output),
            Command::Log(command) => command.run(output),
            Command::Spire(command) => command.run(output),
            Command::Torture(arguments) => torture::run(&arguments, output),
            Command::Status(arguments) => status::run(&arguments, output),
            Command::Release(arguments) => release::run(&arguments, output),
            Command::Completions(arguments) => completions::run(&arguments, output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_that_runs_something_has_examples() {
        fn walk(command: &clap::Command) {
            let mut leaf = true;
            for sub in command.get_subcommands() {
                leaf = false;
                walk(sub);
            }
            if leaf {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(help.contains("Examples:"), "{}", command.get_name());
            }
        }
        walk(&Cli::command());
    }
}
