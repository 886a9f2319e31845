//! `nameplate torture`: hostile policies and hostile evidence against an
//! operator's own configuration.

use crate::failure::{Failure, plural};
use crate::report::{
    BAD, Exit, FAINT, GOOD, HEADING, NOTE, Output, grouped, printable, progress, short,
};
use nameplate_attestor::config::Config;
use nameplate_torture::{Listed, Neighbour, Report, Row, Torture, Verdict};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Attacks between two lines of progress.
const STRIDE: usize = 100;

/// Attack a configuration with hostile policies and hostile evidence, and say what stopped each
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nameplate torture
  nameplate torture --config nameplate.toml
  nameplate torture --config nameplate.toml --strict
  nameplate torture --config nameplate.toml --filter limit
  nameplate torture --filter CVE-2021-27099 --list
  nameplate torture --output json")]
pub(crate) struct Arguments {
    /// The configuration to attack; without it, the default limits
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Only attacks with this text in their name, group, attestor or incident
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// Say what there is to try, and try nothing
    #[arg(long)]
    list: bool,

    /// Fail on what is not asked for, too, and where a policy denies a good peer
    #[arg(long)]
    strict: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// When the configuration cannot be used, or attacks cannot be made.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let config = arguments
        .config
        .as_ref()
        .map(|file| Config::read(file))
        .transpose()
        .map_err(Failure::Config)?;
    progress("making throw-away keys, tokens, certificates and components");
    let failed = |error| Failure::fault("torture", error);
    let mut torture = Torture::new(config.as_ref(), SystemTime::now()).map_err(failed)?;
    if let Some(text) = &arguments.filter {
        torture.retain(text);
    }
    let listed = torture.list();
    if listed.is_empty() {
        return Err(Failure::Usage("there is no such attack".to_owned()));
    }
    if arguments.list {
        return list(&listed, output);
    }
    let mut tried = 0usize;
    let report = torture.run(|row| {
        tried += 1;
        if row.verdict == Verdict::Works {
            progress(&format!("works: {}", printable(&row.attack)));
        }
        if tried.is_multiple_of(STRIDE) {
            progress(&format!("{tried} of {} attacks", listed.len()));
        }
    });
    let report = report.map_err(failed)?;
    let holds = match arguments.strict {
        true => report.holds_strictly(),
        false => report.holds(),
    };
    let document = json!({
        "holds": holds,
        "strict": arguments.strict,
        "memory": MEMORY,
        "rows": report.rows,
        "unnamed": report.unnamed,
        "neighbour": report.neighbour,
    });
    output.answer(&document, |out| table(out, &report))?;
    Ok(if holds { Exit::Done } else { Exit::Fault })
}

/// What the memory of a row is.
const MEMORY: &str = "growth of resident memory at its peak, sampled every 2 ms";

fn list(listed: &[Listed], output: Output) -> Result<Exit, Failure> {
    output.answer(&json!({ "attacks": listed }), |out| {
        let mut target = "";
        for attack in listed {
            if attack.target != target {
                target = &attack.target;
                writeln!(out, "{HEADING}{}{HEADING:#}", printable(target))?;
            }
            let incident = incident(attack.incident);
            let (group, name) = (attack.group.name(), printable(&attack.attack));
            writeln!(out, "  {FAINT}{group:<11}{FAINT:#} {name}{incident}")?;
        }
        writeln!(out, "{} attacks", listed.len())
    })?;
    Ok(Exit::Done)
}

fn incident(identifier: Option<&str>) -> String {
    identifier.map_or_else(String::new, |id| format!(" {FAINT}({id}){FAINT:#}"))
}

fn table(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut target = "";
    for row in &report.rows {
        if row.target != target {
            target = &row.target;
            writeln!(out, "{HEADING}{}{HEADING:#}", printable(target))?;
        }
        line(out, row)?;
    }
    writeln!(out)?;
    let count = |verdict| report.of(verdict).count();
    for (verdict, label) in [
        (Verdict::Works, "works"),
        (Verdict::Unasked, "not asked for"),
    ] {
        for row in report.of(verdict) {
            let style = style(verdict);
            let (name, detail) = (printable(&row.attack), printable(&row.detail));
            writeln!(
                out,
                "{style}{label}{style:#}  {}: {name}",
                printable(&row.target)
            )?;
            writeln!(out, "  {detail}")?;
        }
    }
    for unnamed in &report.unnamed {
        let style = if unnamed.denied { NOTE } else { BAD };
        let target = printable(&unnamed.target);
        writeln!(
            out,
            "{style}no name{style:#}  {target}: a good peer gets none from its policy"
        )?;
        writeln!(out, "  {}", printable(&unnamed.why))?;
    }
    writeln!(
        out,
        "{} attacks: {} stopped, {} did no harm, {} not asked for, {} {}",
        report.rows.len(),
        count(Verdict::Stopped),
        count(Verdict::Harmless),
        count(Verdict::Unasked),
        count(Verdict::Works),
        if count(Verdict::Works) == 1 {
            "works"
        } else {
            "work"
        },
    )?;
    neighbour(out, &report.neighbour)?;
    writeln!(out, "{FAINT}memory is {MEMORY}{FAINT:#}")
}

fn line(out: &mut dyn Write, row: &Row) -> io::Result<()> {
    let style = style(row.verdict);
    let stopped_by = match (row.verdict, &row.stopped_by) {
        (Verdict::Stopped, Some(reason)) => reason.as_str(),
        (Verdict::Stopped | Verdict::Harmless, _) => "no harm",
        (Verdict::Unasked, _) => "not asked for",
        (Verdict::Works, _) => "WORKS",
    };
    let memory = row.memory_bytes.map_or_else(|| "?".to_owned(), kibibytes);
    let time = short(row.time);
    let name = printable(&row.attack);
    writeln!(
        out,
        "  {style}{stopped_by:<28}{style:#} {time:>8} {memory:>10}  {name}{}",
        incident(row.incident)
    )
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", grouped(bytes / 1024))
}

fn style(verdict: Verdict) -> anstyle::Style {
    match verdict {
        Verdict::Stopped | Verdict::Harmless => GOOD,
        Verdict::Unasked => NOTE,
        Verdict::Works => BAD,
    }
}

fn neighbour(out: &mut dyn Write, neighbour: &Neighbour) -> io::Result<()> {
    let micros = |time| short(Duration::from_micros(time));
    let attestations = neighbour.attestations;
    let style = if neighbour.hurt { BAD } else { GOOD };
    writeln!(
        out,
        "meanwhile a neighbour attested {} {}: {style}{} changed{style:#}; {} in the median, {} in peace, {} at most",
        grouped(u64::try_from(attestations).unwrap_or(u64::MAX)),
        plural(attestations, "time"),
        neighbour.changed,
        micros(neighbour.median_us),
        micros(neighbour.quiet_us),
        micros(neighbour.longest_us),
    )
}
