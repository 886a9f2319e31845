//! `nameplate log show`: the decisions of a log, picked and printed, and what is
//! counted in it in place of a record each.

use super::unreadable;
use crate::failure::Failure;
use crate::input;
use crate::report::{BAD, Exit, FAINT, GOOD, NOTE, Output, grouped, printable};
use anyhow::anyhow;
use nameplate_attestor::decisions::{
    Count, Event, Line, Outcome, Place, ReadError, Reader, Recorded,
};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

/// Show the decisions of a log
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With `--output json` each decision is a line of its own, with its number, its
time and how its subject was named. Attestations in which nothing was proven may
have a count in place of records: a line for each kind, with `counted` in place
of `decision`. `--since` and `--until` pick counts that may include that time.

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

/// What a line of the log tells of attestations.
enum Told {
    Decision(Box<Recorded>),
    Count(Box<CountedIn>),
}

/// How many attestations ended alike, and the line that says so.
struct CountedIn {
    sequence: u64,
    time: SystemTime,
    place: Place,
    count: Count,
}

/// What a line tells: one decision, any number of counts, or nothing of either.
fn told(line: Line) -> Vec<Told> {
    if let Event::Counted(counted) = line.event {
        let (sequence, time, place) = (line.sequence, line.time, line.place);
        let counts = counted.counts.into_iter().map(|count| CountedIn {
            sequence,
            time,
            place: place.clone(),
            count,
        });
        return counts.map(|count| Told::Count(Box::new(count))).collect();
    }
    let decision = line.into_decision();
    decision
        .map(|recorded| Told::Decision(Box::new(recorded)))
        .into_iter()
        .collect()
}

impl Told {
    fn sequence(&self) -> u64 {
        match self {
            Self::Decision(recorded) => recorded.sequence,
            Self::Count(counted) => counted.sequence,
        }
    }
}

impl Arguments {
    fn picks(&self, told: &Told) -> bool {
        match told {
            Told::Decision(recorded) => self.picks_decision(recorded),
            Told::Count(counted) => self.picks_count(counted),
        }
    }

    fn picks_count(&self, counted: &CountedIn) -> bool {
        let count = &counted.count;
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let ended = |outcome: OutcomeName| count.outcome == outcome.into();
        self.record.is_none_or(|number| number == counted.sequence)
            && self.since.is_none_or(|since| count.last >= since)
            && self.until.is_none_or(|until| count.first < until)
            && is(&self.attestor, Some(&count.attestor))
            && is(&self.cluster, count.cluster.as_deref())
            && is(&self.reason, Some(&count.reason))
            && self.id.is_none()
            && (self.outcome.is_empty() || self.outcome.iter().copied().any(ended))
    }

    fn picks_decision(&self, recorded: &Recorded) -> bool {
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
    for line in Reader::open(&arguments.path).map_err(unreadable)? {
        match line {
            Ok(line) => {
                for told in told(line) {
                    found |= arguments.record == Some(told.sequence());
                    if !arguments.picks(&told) {
                        continue;
                    }
                    match arguments.last {
                        Some(most) => {
                            kept.push_back(told);
                            if kept.len() > most {
                                kept.pop_front();
                            }
                        }
                        None => show(&mut out, &told, output).map_err(Failure::Output)?,
                    }
                }
            }
            // A last line that is being written says nothing yet.
            Err(error) if error.is_torn() => {}
            Err(error @ ReadError::Broken { .. }) => {
                broken.get_or_insert(error);
            }
            Err(error) => return Err(unreadable(error)),
        }
    }
    kept.iter()
        .try_for_each(|told| show(&mut out, told, output))
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

fn show(out: &mut impl Write, told: &Told, output: Output) -> io::Result<()> {
    match (told, output) {
        (Told::Decision(recorded), Output::Json) => writeln!(out, "{}", document(recorded)),
        (Told::Decision(recorded), Output::Text) => write(out, recorded),
        (Told::Count(counted), Output::Json) => writeln!(out, "{}", count_document(counted)),
        (Told::Count(counted), Output::Text) => write_count(out, counted),
    }
}

fn count_document(counted: &CountedIn) -> Value {
    json!({
        "sequence": counted.sequence,
        "time": humantime::format_rfc3339_millis(counted.time).to_string(),
        "segment": counted.place.segment.display().to_string(),
        "line": counted.place.line,
        "counted": counted.count,
    })
}

fn write_count(out: &mut impl Write, counted: &CountedIn) -> io::Result<()> {
    let (sequence, count) = (counted.sequence, &counted.count);
    let time = humantime::format_rfc3339_millis(counted.time);
    let attestor = printable(&count.attestor);
    let colour = colour_of(count.outcome);
    let (outcome, reason) = (count.outcome.as_str(), printable(&count.reason));
    write!(
        out,
        "{FAINT}{sequence:>9}{FAINT:#} {time} {attestor} {colour}{outcome:<8}{colour:#} {reason}: "
    )?;
    let many = grouped(count.count);
    match &count.cluster {
        Some(cluster) => write!(out, "{many} more of `{}`", printable(cluster))?,
        None => write!(out, "{many} more")?,
    }
    let first = humantime::format_rfc3339_millis(count.first);
    let last = humantime::format_rfc3339_millis(count.last);
    writeln!(out, " {FAINT}from {first} to {last}{FAINT:#}")
}

fn colour_of(outcome: Outcome) -> anstyle::Style {
    match outcome {
        Outcome::Identity => GOOD,
        Outcome::Denied | Outcome::Rejected => NOTE,
        Outcome::Fault => BAD,
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
    let colour = colour_of(decision.outcome);
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
