//! What a policy is asked about, as the command line names it: one subject,
//! or many.

use super::limits::LimitFlags;
use super::test::files;
use crate::failure::Failure;
use crate::input;
use crate::report;
use anyhow::anyhow;
use nameplate_attestor::study::{Described, Source};
use nameplate_attestor::{Envelope, Naming, NamingError};
use nameplate_decisions::{NamingRecord, ReadError, Reader};
use nameplate_policy::{Facts, PolicyRequest, PolicySource, Sandbox};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One subject.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("subject").required(true).args(["facts", "log"])))]
pub(super) struct OneSubject {
    /// The facts, as the `facts` member of a case; `-` is standard input
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,

    /// A decision log, with --record
    #[arg(long, value_name = "PATH", requires = "record")]
    log: Option<PathBuf>,

    /// Sequence number of the decision in the log
    #[arg(long, value_name = "N", requires = "log")]
    record: Option<u64>,
}

/// A subject that was found.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its facts.
    pub(super) facts: Facts,
    /// How it was named then, where that is recorded.
    pub(super) naming: Option<Arc<NamingRecord>>,
}

impl OneSubject {
    /// The subject.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn find(&self) -> Result<Subject, Failure> {
        match (&self.facts, &self.log, self.record) {
            (Some(path), ..) => Ok(Subject {
                facts: input::facts(path)?,
                naming: None,
            }),
            (None, Some(log), Some(record)) => recorded(log, record),
            (None, ..) => Err(Failure::Usage(
                "name a subject: `--facts`, or `--log` and `--record`".to_owned(),
            )),
        }
    }
}

/// The subject of one decision of a log.
fn recorded(log: &Path, record: u64) -> Result<Subject, Failure> {
    let none = |error| Failure::fault("no_record", error);
    let decisions = Reader::open(log).map_err(unreadable)?.decisions();
    for decision in decisions {
        let decision = decision.map_err(unreadable)?;
        if decision.sequence < record {
            continue;
        }
        if decision.sequence > record {
            break;
        }
        if !decision.decision.redacted.is_empty() {
            report::progress(&format!(
                "the log keeps facts back: {}",
                decision.decision.redacted.join(", ")
            ));
        }
        let Some(facts) = decision.decision.facts else {
            return Err(none(anyhow!(
                "record {record} has no facts: the evidence was rejected"
            )));
        };
        return Ok(Subject {
            facts,
            naming: decision.naming,
        });
    }
    Err(none(anyhow!("record {record} of the log is no decision")))
}

/// A log that cannot be read, or is not as it was written.
pub(super) fn unreadable(error: ReadError) -> Failure {
    Failure::fault("log_unreadable", error)
}

/// The facts of a directory of cases, or those of a log.
///
/// # Errors
/// Where it is neither.
pub(super) fn cases_or_log(path: &Path) -> Result<Source, Failure> {
    if path.is_dir() {
        let cases = files::read(path)?;
        if !cases.is_empty() {
            return Ok(of_cases(cases));
        }
    }
    let source = Source::Log(path.to_owned());
    match source.facts() {
        Ok(_) => Ok(source),
        Err(ReadError::Empty { .. }) => Err(Failure::fault(
            "no_facts",
            anyhow!(
                "`{}` holds neither cases nor a decision log",
                path.display()
            ),
        )),
        Err(error) => Err(unreadable(error)),
    }
}

/// The facts of the cases in a directory.
///
/// # Errors
/// Where there are none.
pub(super) fn cases(directory: &Path) -> Result<Source, Failure> {
    let cases = files::read(directory)?;
    if cases.is_empty() {
        let error = anyhow!("there are no cases in `{}`", directory.display());
        return Err(Failure::fault("no_cases", error));
    }
    Ok(of_cases(cases))
}

fn of_cases(cases: Vec<files::CaseFile>) -> Source {
    Source::of_cases(cases.into_iter().map(|file| Described {
        name: file.case.name,
        facts: file.case.facts,
    }))
}

/// Goes through the facts of a source with `ask`, which takes an iterator,
/// and says how far it has come.
///
/// # Errors
/// Where a line of a log cannot be read: what came of the lines before it is
/// not given, since nobody knows what the rest would have changed.
pub(super) fn through<T>(
    source: &Source,
    ask: impl FnOnce(&mut dyn Iterator<Item = Described>) -> T,
) -> Result<T, Failure> {
    let mut facts = source.facts().map_err(unreadable)?;
    let mut failed = None;
    let answer = ask(&mut facts.by_ref().map_while(|next| match next {
        Ok(described) => Some(described),
        Err(error) => {
            failed = Some(error);
            None
        }
    }));
    if let Some(error) = failed {
        return Err(unreadable(error));
    }
    if facts.redacted() > 0 {
        report::progress(&format!(
            "of {} records the log keeps facts back: names that depend on those are not as they were",
            facts.redacted()
        ));
    }
    Ok(answer)
}

/// Says now and then how far a study has come.
pub(super) fn progress() -> impl FnMut(u64) {
    const EVERY: u64 = 100_000;
    let mut next = EVERY;
    move |asked| {
        if asked >= next {
            report::progress(&format!("{} so far", report::grouped(asked)));
            next = asked.saturating_add(EVERY);
        }
    }
}

/// A policy to ask, loaded as a server loads it, in an envelope that asks
/// nothing beyond the SPIFFE-ID standard.
///
/// # Errors
/// Why it cannot serve.
pub(super) fn naming(
    sandbox: &Sandbox,
    source: &str,
    settings: Value,
    limits: &LimitFlags,
) -> Result<Naming, Failure> {
    let request = PolicyRequest {
        settings,
        limits: limits.limits(),
        ..PolicyRequest::new(PolicySource::parse(source))
    };
    Naming::load(sandbox, &request, Envelope::default()).map_err(|error| match error {
        NamingError::Load(error) => Failure::load(format!("`{source}`"), error),
        error => Failure::fault("policy_refused", error),
    })
}
