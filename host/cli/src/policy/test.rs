//! `nameplate policy test`: runs a policy's cases, and says where two
//! machines would bear one name.
//!
//! A run without cases fails: that nothing was tested must not look like
//! success. The policy runs as a server runs it, under the same limits.

mod blessing;
mod collisions;
mod difference;
pub(super) mod files;

use self::collisions::Collision;
use self::files::CaseFile;
use super::limits::LimitFlags;
use crate::failure::{Failure, plural};
use crate::report::{BAD, Exit, FAINT, GOOD, NOTE, Output, grouped, printable};
use anyhow::anyhow;
use nameplate_attestor::cases::{self, Case, CaseRun, Outcome};
use nameplate_policy::{Manifest, PolicySource, Sandbox, Trial};
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;

/// Run a policy's cases
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A case is a JSON file: settings, facts, and what is expected of them:
an identity, a denial, a fault, or settings refused.

Examples:
  nameplate policy test builtin:node
  nameplate policy test my-policy.wasm --cases my-policy/cases
  nameplate policy test my-policy.wasm --cases my-policy/cases --bless")]
pub(crate) struct Arguments {
    /// A component, or builtin:NAME
    policy: String,

    /// A directory of cases, instead of those that the component carries
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,

    /// Write what comes of each case into its file as what is expected
    #[arg(long, requires = "cases")]
    bless: bool,

    /// Fail where two different subjects get one SPIFFE ID
    #[arg(long)]
    deny_collisions: bool,

    #[command(flatten)]
    limits: LimitFlags,
}

/// A case and what came of it.
#[derive(Debug)]
struct Tried {
    case: Case,
    run: CaseRun,
    blessed: bool,
}

impl Tried {
    fn passed(&self) -> bool {
        self.blessed || self.case.expect.as_ref() == Some(&self.run.outcome)
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When there are no cases, or they or the policy cannot be read.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let limits = arguments.limits.limits();
    let refused = |error| Failure::load(format!("`{}`", arguments.policy), error);
    let (component, _) = PolicySource::parse(&arguments.policy)
        .read(None, &limits)
        .map_err(refused)?;
    let trial = Trial::new(&Sandbox::new()?, &component, &limits).map_err(refused)?;
    let manifest = Manifest::read(&component);
    let mut tried = Vec::new();
    match &arguments.cases {
        Some(directory) => {
            for file in files::read(directory)? {
                tried.push(try_file(file, &trial, arguments.bless)?);
            }
        }
        None => {
            let carried = cases::embedded(&manifest).map_err(|error| {
                let error =
                    anyhow::Error::new(error).context("the component's cases cannot be read");
                Failure::fault("cases_malformed", error)
            })?;
            tried.extend(carried.into_iter().map(|case| Tried {
                run: case.run(&trial),
                case,
                blessed: false,
            }));
        }
    }
    if tried.is_empty() {
        let error = match &arguments.cases {
            Some(directory) => anyhow!("there are no cases in `{}`", directory.display()),
            None => anyhow!("the component carries no cases; name a directory with `--cases`"),
        };
        return Err(Failure::fault("no_cases", error));
    }
    let collisions = collisions::find(&tried, &trial, &manifest);
    let summary = Summary::new(&tried, &collisions, arguments.deny_collisions);
    let document = json!({
        "ok": summary.ok,
        "passed": summary.passed,
        "failed": summary.failed,
        "blessed": summary.blessed,
        "max_fuel": summary.max_fuel,
        "cases": tried.iter().map(CaseReport::new).collect::<Vec<_>>(),
        "collisions": collisions,
    });
    output.answer(&document, |out| {
        let names = tried
            .iter()
            .map(|tried| printable(&tried.case.name).chars().count());
        let width = names.max().unwrap_or(0);
        tried
            .iter()
            .try_for_each(|tried| write_case(out, tried, width))?;
        collisions
            .iter()
            .try_for_each(|collision| collision.write(out))?;
        summary.write(out)
    })?;
    Ok(if summary.ok { Exit::Done } else { Exit::Fault })
}

fn try_file(file: CaseFile, trial: &Trial, bless: bool) -> Result<Tried, Failure> {
    let run = file.case.run(trial);
    let differs = file.case.expect.as_ref() != Some(&run.outcome);
    let mut tried = Tried {
        case: file.case,
        run,
        blessed: false,
    };
    // An answer that changes from run to run is never what anyone expects.
    let constant = tried.run.outcome != Outcome::Fault("policy_inconstant".to_owned());
    if bless && differs && constant {
        blessing::bless(&file.path, &file.text, &tried.run.outcome)?;
        tried.blessed = true;
    }
    Ok(tried)
}

/// Writes a line for a case, its name as wide as the widest, and the
/// difference where there is one.
fn write_case(out: &mut dyn Write, tried: &Tried, width: usize) -> io::Result<()> {
    let (style, word) = match (tried.blessed, tried.passed()) {
        (true, _) => (NOTE, "blessed"),
        (false, true) => (GOOD, "ok"),
        (false, false) => (BAD, "FAILED"),
    };
    let name = printable(&tried.case.name);
    match tried.run.fuel {
        Some(fuel) => {
            let fuel = grouped(fuel);
            writeln!(
                out,
                "{style}{word:<7}{style:#}  {name:<width$}  {FAINT}fuel {fuel}{FAINT:#}"
            )?;
        }
        None => writeln!(out, "{style}{word:<7}{style:#}  {name}")?,
    }
    if tried.passed() {
        return Ok(());
    }
    difference::write(out, tried.case.expect.as_ref(), &tried.run.outcome)?;
    match &tried.run.detail {
        Some(detail) => writeln!(out, "    {FAINT}{}{FAINT:#}", printable(detail)),
        None => Ok(()),
    }
}

#[derive(Debug)]
struct Summary {
    ok: bool,
    passed: usize,
    failed: usize,
    blessed: usize,
    collisions: usize,
    max_fuel: u64,
}

impl Summary {
    fn new(tried: &[Tried], collisions: &[Collision], deny_collisions: bool) -> Self {
        let failed = tried.iter().filter(|tried| !tried.passed()).count();
        Self {
            ok: failed == 0 && (collisions.is_empty() || !deny_collisions),
            passed: tried.len().saturating_sub(failed),
            failed,
            blessed: tried.iter().filter(|tried| tried.blessed).count(),
            collisions: collisions.len(),
            max_fuel: tried
                .iter()
                .filter_map(|tried| tried.run.fuel)
                .max()
                .unwrap_or(0),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let style = if self.ok { GOOD } else { BAD };
        let verdict = if self.ok { "passed" } else { "FAILED" };
        write!(
            out,
            "\n{style}{verdict}{style:#}: {} passed, {} failed",
            self.passed, self.failed
        )?;
        if self.blessed > 0 {
            write!(out, ", {} of them blessed now", self.blessed)?;
        }
        if self.collisions > 0 {
            write!(
                out,
                ", {} {}",
                self.collisions,
                plural(self.collisions, "collision")
            )?;
        }
        writeln!(out, "; at most {} fuel", grouped(self.max_fuel))
    }
}

/// A case as it goes into JSON.
#[derive(Debug, Serialize)]
struct CaseReport<'a> {
    name: &'a str,
    passed: bool,
    blessed: bool,
    expected: Option<&'a Outcome>,
    found: &'a Outcome,
    detail: Option<&'a str>,
    fuel: Option<u64>,
}

impl<'a> CaseReport<'a> {
    fn new(tried: &'a Tried) -> Self {
        Self {
            name: &tried.case.name,
            passed: tried.passed(),
            blessed: tried.blessed,
            expected: tried.case.expect.as_ref(),
            found: &tried.run.outcome,
            detail: tried.run.detail.as_deref(),
            fuel: tried.run.fuel,
        }
    }
}
