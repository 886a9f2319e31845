//! `nameplate completions`: scripts that teach a shell our flags.

use crate::cli::Cli;
use crate::failure::Failure;
use crate::report::{Exit, Output};
use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nameplate completions bash > ~/.local/share/bash-completion/completions/nameplate
  nameplate completions zsh > ~/.zfunc/_nameplate
  nameplate completions fish > ~/.config/fish/completions/nameplate.fish")]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the subcommand.
///
/// # Errors
/// When the script cannot be written out.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    // In memory first: the generator panics where a pipe is closed early.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "nameplate",
        &mut script,
    );
    let script = String::from_utf8_lossy(&script);
    let document = json!({ "shell": arguments.shell.to_string(), "script": script });
    output.answer(&document, |out| out.write_all(script.as_bytes()))?;
    Ok(Exit::Done)
}
