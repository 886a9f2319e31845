//! `nameplate policy`: everything a policy's author does, and what an
//! operator does before trusting one.
//!
//! Every command here runs a policy in the sandbox and under the limits of a
//! server: what works here works there.

mod bench;
mod build;
mod collisions;
mod componentize;
mod diff;
mod explain;
mod inspect;
mod limits;
mod many_subjects;
mod new;
mod one_subject;
mod run;
mod sample;
mod test;

use crate::failure::Failure;
use crate::report::{self, Exit, GOOD, Output, row};
use clap::ValueEnum as _;
use nameplate_policy::PolicySource;
use new::Language;
use serde_json::json;
use std::path::PathBuf;

/// Make, build, look into, test, run and compare naming policies
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    New(NewArguments),
    Build(BuildArguments),
    Inspect(inspect::Arguments),
    Test(test::Arguments),
    Run(run::Arguments),
    Bench(bench::Arguments),
    Explain(explain::Arguments),
    Collisions(collisions::Arguments),
    Diff(diff::Arguments),
}

/// Begin a policy: a project that builds, with a test and a case
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nameplate policy new my-policy
  nameplate policy new my-policy --directory policies/my-policy")]
pub(crate) struct NewArguments {
    /// Name of the policy
    name: String,

    /// The language to write it in
    #[arg(long, value_name = "LANGUAGE", value_enum, default_value = "rust")]
    lang: Language,

    /// Where to put the project; a directory of that name by default
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Build a policy project into a component
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Equal sources give equal bytes, so that the digest can be pinned.

Examples:
  nameplate policy build my-policy
  nameplate policy build . -o my-policy.wasm")]
pub(crate) struct BuildArguments {
    /// The project
    directory: PathBuf,

    /// The component to write; DIR/NAME.wasm by default
    #[arg(short, long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Why it could not do what it was asked for.
    pub(crate) fn run(self, output: Output) -> Result<Exit, Failure> {
        match self {
            Self::New(arguments) => new_project(&arguments, output),
            Self::Build(arguments) => build_project(&arguments, output),
            Self::Inspect(arguments) => inspect::run(&arguments, output),
            Self::Test(arguments) => test::run(&arguments, output),
            Self::Run(arguments) => run::run(&arguments, output),
            Self::Bench(arguments) => bench::run(&arguments, output),
            Self::Explain(arguments) => explain::run(&arguments, output),
            Self::Collisions(arguments) => collisions::run(&arguments, output),
            Self::Diff(arguments) => diff::run(&arguments, output),
        }
    }
}

/// The policy that the command line names.
///
/// # Errors
/// [`Failure::Usage`] where it is a folder: only what builds takes a project.
fn source(policy: &str) -> Result<PolicySource, Failure> {
    let source = PolicySource::parse(policy);
    match &source {
        PolicySource::File(path) if path.is_dir() => Err(Failure::Usage(format!(
            "`{0}` is a folder: `nameplate policy build {0}` makes a component of a project, \
             name that",
            report::printable(policy)
        ))),
        PolicySource::File(_)
        | PolicySource::Builtin(_)
        | PolicySource::Entry(..)
        | PolicySource::Bytes(_) => Ok(source),
    }
}

fn new_project(arguments: &NewArguments, output: Output) -> Result<Exit, Failure> {
    let directory = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => PathBuf::from(&arguments.name),
    };
    let files = new::new(&directory, &arguments.name, arguments.lang)
        .map_err(|error| Failure::fault("policy_new", error))?;
    let language = arguments.lang.to_possible_value();
    let document = json!({
        "name": arguments.name,
        "language": language.as_ref().map(clap::builder::PossibleValue::get_name),
        "directory": directory,
        "files": files,
    });
    output.answer(&document, |out| {
        let shown = directory.display();
        writeln!(
            out,
            "{GOOD}`{shown}` is a policy now{GOOD:#}, of {} files",
            files.len()
        )?;
        writeln!(out, "\nNext:")?;
        writeln!(out, "  edit {shown}/src/lib.rs")?;
        writeln!(out, "  nameplate policy build {shown}")
    })?;
    Ok(Exit::Done)
}

fn build_project(arguments: &BuildArguments, output: Output) -> Result<Exit, Failure> {
    let out = arguments.out.as_deref();
    let built = build::build(&arguments.directory, out, report::progress)
        .map_err(|error| Failure::fault("policy_build", error))?;
    let document = json!({
        "path": built.path,
        "bytes": built.bytes,
        "digest": built.digest,
    });
    output.answer(&document, |out| {
        let path = built.path.display();
        writeln!(out, "{GOOD}built `{path}`{GOOD:#}")?;
        row(
            out,
            "size",
            format_args!(
                "{} bytes",
                report::grouped(u64::try_from(built.bytes).unwrap_or(u64::MAX))
            ),
        )?;
        row(out, "digest", &built.digest)?;
        writeln!(out, "\nNext:")?;
        writeln!(out, "  nameplate policy test {path}")
    })?;
    Ok(Exit::Done)
}
