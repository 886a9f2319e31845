//! The binary `nameplate`: reads the command line, runs one subcommand and
//! ends with an exit code that says whose part a failure was.
//!
//! Trusts the person at the keyboard. Everything that the files they name
//! hold is checked by the libraries underneath.

mod attest;
mod changes;
mod cli;
mod completions;
mod config;
mod demo;
mod failure;
mod input;
mod inspect;
mod log;
mod patience;
mod policy;
mod release;
mod report;
mod spire;
mod status;
mod torture;

use clap::Parser as _;
use clap::error::ErrorKind;
use cli::Cli;
use failure::Failure;
use report::{Exit, Output};
use std::ffi::OsString;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Stated, not left to which features happen to be on. It fails only where
    // a provider is installed already, and this is the first statement.
    let _installed = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();

    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            let output = cli.output;
            cli.run().unwrap_or_else(|failure| failure.report(output))
        }
        Err(error) => misused(&error, &arguments),
    };
    exit.into()
}

/// Help and version are answers; everything else is a mistake in the command line.
fn misused(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let output = Output::asked_for(arguments);
    let answer = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if answer || output == Output::Text {
        // Nobody is left to tell when the terminal is gone.
        let _printed = error.print();
        return if answer { Exit::Done } else { Exit::Usage };
    }
    let text = error.render().to_string();
    let message = text.trim().trim_start_matches("error: ").to_owned();
    Failure::Usage(message).report(output)
}
