//! `nameplate log show`: the decisions of a log, picked and printed.

use super::unreadable;
use crate::failure::Failure;
use crate::input;
use crate::report::{BAD, Exit, FAINT, GOOD, NOTE, Output, printable};
use anyhow::anyhow;
use nameplate_attestor::decisions::{Outcome, ReadError, Reader, Recorded};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

/// Show the decisions of a log
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With `--output json` each decision is a line of its own, with its number, its
time and how its subject was named.

Examples:
  nameplate log show /var/lib/nameplate/decisions --outcome denied --outcome fault
  nameplate log show decisions --id spiffe://example.org/spire/agent/k8s_psat/production/
  nameplate log show decisions --since 2026-11-01T00:00:00Z --reason token_expired
  nameplate log show decisions --record 1204 --output json")]
pub(crate) struct Arguments {
    /// The log's directory, or one segment
    path: PathBuf,

    /// From this time on
    #[arg(long, value_name = "RFC3339", value_parser = input::time)]
    since: Option<SystemTime>,

    /// Before this time
    #[arg(long, value_name = "RFC3339", value_parser = input::time)]
    until: Option<SystemTime>,

    /// Of this attestor
    #[arg(long, value_name = "NAME")]
    attestor: Option<String>,

    /// Of this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// That ended so; can be said several times
    #[arg(long, value_enum, value_name = "OUTCOME")]
    outcome: Vec<OutcomeName>,

    /// With this reason
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,

    /// Whose ID begins so
    #[arg(long, value_name = "PREFIX")]
    id: Option<String>,

    /// The one with this number
    #[arg(long, value_name = "NUMBER")]
    record: Option<u64>,

    /// The last so many only
    #[arg(long, value_name = "COUNT")]
    last: Option<usize>,
}

/// How an attestation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OutcomeName {
    Identity,
    Denied,
    Rejected,
    Fault,
}

impl From<OutcomeName> for Outcome {
    fn from(name: OutcomeName) -> Self {
        match name {
            OutcomeName::Identity => Self::Identity,
            OutcomeName::Denied => Self::Denied,
            OutcomeName::Rejected => Self::Rejected,
            OutcomeName::Fault => Self::Fault,
        }
    }
}

impl Arguments {
    fn picks(&self, recorded: &Recorded) -> bool {
        let decision = &recorded.decision;
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let begins = |prefix: &String| {
            let id = decision.spiffe_id.as_deref();
            id.is_some_and(|id| id.starts_with(prefix.as_str()))
        };
        let ended = |outcome: OutcomeName| decision.outcome == outcome.into();
        self.record.is_none_or(|number| number == recorded.sequence)
            && self.since.is_none_or(|since| recorded.time >= since)
            && self.until.is_none_or(|until| recorded.time < until)
            && is(&self.attestor, Some(&decision.attestor))
            && is(&self.cluster, decision.cluster.as_deref())
            && is(&self.reason, decision.reason.as_deref())
            && self.id.as_ref().is_none_or(begins)
            && (self.outcome.is_empty() || self.outcome.iter().copied().any(ended))
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When the log cannot be read, or a line of it is not what was written.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let mut kept = std::collections::VecDeque::new();
    let mut broken = None;
    let mut found = false;
    for recorded in Reader::open(&arguments.path)
        .map_err(unreadable)?
        .decisions()
    {
        match recorded {
            Ok(recorded) => {
                found |= arguments.record == Some(recorded.sequence);
                if !arguments.picks(&recorded) {
                    continue;
                }
                match arguments.last {
                    Some(most) => {
                        kept.push_back(recorded);
                        if kept.len() > most {
                            kept.pop_front();
                        }
                    }
                    None => show(&mut out, &recorded, output).map_err(Failure::Output)?,
                }
            }
            Err(error @ ReadError::Broken { .. }) => {
                broken.get_or_insert(error);
            }
            Err(error) => return Err(unreadable(error)),
        }
    }
    kept.iter()
        .try_for_each(|recorded| show(&mut out, recorded, output))
        .and_then(|()| out.flush())
        .map_err(Failure::Output)?;
    match (broken, arguments.record) {
        // What could be read was shown; that something could not is said too.
        (Some(error), _) => Err(Failure::fault("log_broken", error)),
        // Whoever names one record means one; a filter may pick none.
        (None, Some(record)) if !found => Err(Failure::fault(
            "no_record",
            anyhow!("record {record} of the log is no decision"),
        )),
        (None, _) => Ok(Exit::Done),
    }
}

fn show(out: &mut impl Write, recorded: &Recorded, output: Output) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", document(recorded)),
        Output::Text => write(out, recorded),
    }
}

fn document(recorded: &Recorded) -> Value {
    json!({
        "sequence": recorded.sequence,
        "time": humantime::format_rfc3339_millis(recorded.time).to_string(),
        "segment": recorded.place.segment.display().to_string(),
        "line": recorded.place.line,
        "decision": recorded.decision,
        "naming": recorded.naming,
    })
}

fn write(out: &mut impl Write, recorded: &Recorded) -> io::Result<()> {
    let decision = &recorded.decision;
    let time = humantime::format_rfc3339_millis(recorded.time);
    let colour = match decision.outcome {
        Outcome::Identity => GOOD,
        Outcome::Denied | Outcome::Rejected => NOTE,
        Outcome::Fault => BAD,
    };
    let (sequence, attestor) = (recorded.sequence, printable(&decision.attestor));
    let outcome = decision.outcome.as_str();
    write!(
        out,
        "{FAINT}{sequence:>9}{FAINT:#} {time} {attestor} {colour}{outcome:<8}{colour:#} "
    )?;
    match (&decision.spiffe_id, &decision.detail, &decision.reason) {
        (Some(id), _, _) => write!(out, "{}", printable(id))?,
        (None, Some(detail), Some(reason)) => {
            let (detail, reason) = (printable(detail), printable(reason));
            write!(out, "{reason}: {detail}")?;
        }
        (None, _, reason) => write!(out, "{}", printable(reason.as_deref().unwrap_or_default()))?,
    }
    if let Some(naming) = &recorded.naming {
        let name = printable(&naming.policy.name);
        write!(out, " {FAINT}by {name}{FAINT:#}")?;
    }
    writeln!(out)
}
