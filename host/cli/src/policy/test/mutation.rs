//! `--mutate`: which mistakes in the component no case would notice.
//!
//! A mutant runs under the limits of the policy, but for the clock: on a busy
//! machine it must not decide what is noticed. Fuel ends an endless loop.

use crate::failure::{Failure, plural};
use crate::report::{BAD, FAINT, GOOD, HEADING, NOTE, grouped, printable, progress};
use nameplate_attestor::cases::ReadyCase;
use nameplate_mutation::{Hunt, Mutant, Noticed, Place, Plan, Report, Unreached, hunt};
use nameplate_policy::{Limits, Sandbox, Trial};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

/// The clock's part in ending a mutant.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most mutants, and most functions, that are listed for people.
const LISTED: usize = 40;

#[derive(Debug, clap::Args)]
pub(super) struct MutationFlags {
    /// Change the component one place at a time, and list what no case notices
    #[arg(long)]
    pub(super) mutate: bool,

    /// Most time to spend on that
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        requires = "mutate"
    )]
    mutate_seconds: u64,

    /// Most changes to try, chosen by the seed
    #[arg(long, value_name = "COUNT", requires = "mutate")]
    mutants: Option<usize>,

    /// Chooses the order in which changes are tried
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "mutate")]
    mutate_seed: u64,

    /// Fail where more changes than this go unnoticed, or none is tried
    #[arg(long, value_name = "COUNT", requires = "mutate")]
    max_unnoticed: Option<usize>,
}

/// What came of the mutants.
#[derive(Debug)]
pub(super) struct Mutation {
    report: Report,
    seed: u64,
    max_unnoticed: Option<usize>,
}

impl MutationFlags {
    /// Tries mutants of `component` on the cases, which all hold.
    ///
    /// # Errors
    /// A fault `mutation` where the component cannot be taken apart.
    pub(super) fn hunt<'c>(
        &self,
        sandbox: &Sandbox,
        component: &[u8],
        limits: &Limits,
        cases: impl Iterator<Item = ReadyCase<'c>>,
    ) -> Result<Mutation, Failure> {
        let limits = Limits {
            deadline: limits.deadline.max(PATIENCE),
            ..limits.clone()
        };
        let cases: Vec<ReadyCase<'_>> = cases.collect();
        let plan = Plan::of(component).map_err(|error| Failure::fault("mutation", error))?;
        let count = grouped(u64::try_from(plan.mutants()).unwrap_or(u64::MAX));
        progress(&format!(
            "{count} mutants, at most {} s",
            self.mutate_seconds
        ));
        let began = Instant::now();
        let most = Duration::from_secs(self.mutate_seconds);
        let report = hunt(
            &plan,
            &Hunt {
                seed: self.mutate_seed,
                most: self.mutants.unwrap_or(usize::MAX),
                threads: thread::available_parallelism().map_or(1, usize::from),
                over: &|| began.elapsed() >= most,
                progress: &|done, of| progress(&format!("{done} of {of} mutants done")),
            },
            &|mutant| match Trial::new(sandbox, mutant, &limits) {
                Err(_refused) => Noticed::Refused,
                Ok(trial) if cases.iter().all(|case| case.holds(&trial)) => Noticed::No,
                Ok(_) => Noticed::Yes,
            },
        );
        Ok(Mutation {
            report,
            seed: self.mutate_seed,
            max_unnoticed: self.max_unnoticed,
        })
    }
}

impl Mutation {
    /// Whether no more went unnoticed than may. Where none was tried nothing
    /// could go unnoticed, and a bound on it would hold of any cases.
    pub(super) fn is_ok(&self) -> bool {
        let unnoticed = self.report.unnoticed.len();
        self.max_unnoticed
            .is_none_or(|most| unnoticed <= most && self.tried() > 0)
    }

    /// Mutants that cases had a chance to notice.
    fn tried(&self) -> usize {
        let unnoticed = self.report.unnoticed.len();
        self.report.noticed.saturating_add(unnoticed)
    }

    /// For JSON.
    pub(super) fn document(&self) -> Value {
        let report = &self.report;
        json!({
            "seed": self.seed,
            "mutants": report.mutants,
            "noticed": report.noticed,
            "refused": report.refused,
            "untried": report.untried,
            "unnoticed": report.unnoticed.iter().map(mutant).collect::<Vec<_>>(),
            "unreached": report.unreached.iter().map(unreached).collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = &self.report;
        let unnoticed = report.unnoticed.len();
        let tried = self.tried();
        let style = match (self.is_ok(), unnoticed) {
            (false, _) => BAD,
            (true, 0) => GOOD,
            (true, _) => NOTE,
        };
        let percent = report.noticed.saturating_mul(100).checked_div(tried);
        // Of none there is no share.
        let percent = percent.map_or_else(|| "-".to_owned(), |share| share.to_string());
        writeln!(out, "\n{HEADING}mutation{HEADING:#}")?;
        let mut row =
            |label: &str, value: String| writeln!(out, "  {FAINT}{label:<11}{FAINT:#}  {value}");
        row(
            "noticed",
            format!(
                "{style}{percent} %{style:#}, {} of {tried} mutants that cases reach",
                report.noticed
            ),
        )?;
        let skipped: usize = report.unreached.iter().map(|code| code.mutants).sum();
        if skipped > 0 {
            let functions = report.unreached.len();
            row(
                "not reached",
                format!(
                    "{skipped} {}, in {functions} {}",
                    plural(skipped, "mutant"),
                    plural(functions, "function")
                ),
            )?;
        }
        if report.refused > 0 {
            let refused = report.refused;
            row(
                "refused",
                format!("{refused} {}", plural(refused, "mutant")),
            )?;
        }
        if report.untried > 0 {
            let (untried, mutants) = (report.untried, report.mutants);
            row(
                "not tried",
                format!("{untried} of {mutants} mutants, by seed {}", self.seed),
            )?;
        }
        listed(out, &report.unnoticed, |out, mutant| {
            let place = label(&mutant.place);
            let (was, becomes) = (printable(&mutant.was), printable(&mutant.becomes));
            writeln!(
                out,
                "  {style}unnoticed{style:#}    {place}: `{was}` as `{becomes}`"
            )
        })?;
        listed(out, &report.unreached, |out, code| {
            let place = label(&code.place);
            let part = if code.whole { "all of " } else { "part of " };
            let mutants = code.mutants;
            writeln!(
                out,
                "  {NOTE}not reached{NOTE:#}  {part}{place}: {mutants} {}",
                plural(mutants, "mutant")
            )
        })
    }
}

/// Writes the first of `items`, and how many there are more.
fn listed<T>(
    out: &mut dyn Write,
    items: &[T],
    write: impl Fn(&mut dyn Write, &T) -> io::Result<()>,
) -> io::Result<()> {
    items
        .iter()
        .take(LISTED)
        .try_for_each(|item| write(out, item))?;
    match items.len().checked_sub(LISTED) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(
            out,
            "  {FAINT}and {more} more, with `--output json`{FAINT:#}"
        ),
    }
}

fn label(place: &Place) -> String {
    let offset = place.offset;
    match (place.function, &place.name) {
        (Some(function), Some(name)) => {
            format!("function {function} `{}` at {offset:#x}", printable(name))
        }
        (Some(function), None) => format!("function {function} at {offset:#x}"),
        (None, _) => format!("data at {offset:#x}"),
    }
}

fn mutant(mutant: &Mutant) -> Value {
    let mut document = place(&mutant.place);
    if let Some(members) = document.as_object_mut() {
        members.insert("was".to_owned(), mutant.was.as_str().into());
        members.insert("becomes".to_owned(), mutant.becomes.as_str().into());
    }
    document
}

fn unreached(code: &Unreached) -> Value {
    let mut document = place(&code.place);
    if let Some(members) = document.as_object_mut() {
        members.insert("whole".to_owned(), code.whole.into());
        members.insert("mutants".to_owned(), code.mutants.into());
    }
    document
}

fn place(place: &Place) -> Value {
    json!({
        "module": place.module,
        "function": place.function,
        "name": place.name,
        "offset": place.offset,
    })
}
