//! `nameplate policy test`: runs a policy's cases, and says what they show,
//! what they would miss, and where two machines would bear one name.
//!
//! A run without cases fails: that nothing was tested must not look like
//! success. The policy runs as a server runs it, under the same limits.

mod blessing;
mod collisions;
mod coverage;
mod difference;
pub(super) mod files;
mod format;
mod mutation;
mod pattern;
mod round;
mod subject;
mod watch;

use self::format::Format;
use self::mutation::MutationFlags;
use self::pattern::Pattern;
use super::limits::LimitFlags;
use crate::failure::Failure;
use crate::report::{Exit, Output};
use nameplate_attestor::FalseFacts;
use std::path::PathBuf;

/// Run a policy's cases
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A case is a JSON file: settings, facts or evidence, and what is expected of
them: an identity, a denial, a rejection, a fault, or settings refused.
Evidence is minted when the case is run, and verified as an attestor does.
A project is built first, and its own cases are run.

Examples:
  nameplate policy test builtin:node
  nameplate policy test my-policy --watch
  nameplate policy test my-policy.wasm --cases my-policy/cases --update
  nameplate policy test my-policy.wasm --filter 'no-*' --format junit
  nameplate policy test my-policy --require-coverage
  nameplate policy test my-policy.wasm --mutate --mutate-seconds 20")]
pub(crate) struct Arguments {
    /// A component, a project's directory, or builtin:NAME
    policy: String,

    /// A directory of cases, instead of those that the component carries
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,

    /// Only cases whose name is like this; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    filter: Vec<Pattern>,

    /// Write what comes of each case into its file as what is expected
    #[arg(long, visible_alias = "bless")]
    update: bool,

    /// Fail where two different subjects get one SPIFFE ID
    #[arg(long)]
    deny_collisions: bool,

    /// How to answer people and other programs; JSON is `--output json`
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    format: Format,

    /// Run again whenever the component, its cases or its project change,
    /// until Ctrl-C
    #[arg(long)]
    watch: bool,

    /// Say which denials and which settings no case shows
    #[arg(long)]
    coverage: bool,

    /// Fail where a denial or a setting is not shown by any case
    #[arg(long)]
    require_coverage: bool,

    /// Admit selectors that say facts which were not proven, as `false_facts =
    /// "admit"` in an envelope does
    #[arg(long)]
    admit_false_facts: bool,

    #[command(flatten)]
    mutation: MutationFlags,

    #[command(flatten)]
    limits: LimitFlags,
}

impl Arguments {
    fn false_facts(&self) -> FalseFacts {
        match self.admit_false_facts {
            true => FalseFacts::Admit,
            false => FalseFacts::Refuse,
        }
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When there are no cases, or they or the policy cannot be read.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    if output == Output::Json && arguments.format != Format::Text {
        return Err(Failure::Usage(
            "`--format` is another form than `--output json`: choose one".to_owned(),
        ));
    }
    if arguments.watch {
        return watch::run(arguments, output);
    }
    once(arguments, output)
}

/// Reads everything, runs the cases, and answers.
fn once(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let subject = subject::read(arguments)?;
    let round = round::Round::run(subject, arguments)?;
    round.answer(arguments.format, output)?;
    Ok(if round.is_ok() {
        Exit::Done
    } else {
        Exit::Fault
    })
}
