//! The many subjects that a policy is asked about, and how a study goes
//! through them.

use super::limits::LimitFlags;
use super::test::files;
use crate::failure::{Failure, plural};
use crate::report;
use anyhow::anyhow;
use nameplate_attestor::cases::Case;
use nameplate_attestor::study::{Described, Source};
use nameplate_attestor::{Envelope, Naming, NamingError};
use nameplate_decisions::ReadError;
use nameplate_policy::{PolicyRequest, Sandbox};
use serde_json::Value;
use std::path::Path;

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

/// Of a case with evidence, the facts that it proves; with evidence that is
/// rejected there are none.
fn of_cases(cases: Vec<(Case, files::CaseFile)>) -> Source {
    Source::of_cases(cases.into_iter().filter_map(|(case, _)| {
        let facts = case.facts().ok()?.into_owned();
        Some(Described {
            facts,
            name: case.name,
            envelope: None,
        })
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
    let redacted = facts.redacted();
    if redacted > 0 {
        let records = plural(usize::try_from(redacted).unwrap_or(usize::MAX), "record");
        report::progress(&format!(
            "of {redacted} {records} the log keeps facts back: names that depend on those are not as they were"
        ));
    }
    if facts.unread_envelopes() > 0 {
        report::progress(&format!(
            "of {} records the envelope cannot be read: their names are judged by the SPIFFE-ID standard alone",
            facts.unread_envelopes()
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
/// nothing beyond the SPIFFE-ID standard. (A decision of a log is judged in the
/// one that it was recorded with: `AsRecorded`.)
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
        ..PolicyRequest::new(super::source(source)?)
    };
    Naming::load(sandbox, &request, Envelope::of_the_standard()).map_err(|error| {
        if let NamingError::Load(error) = error {
            Failure::load(format!("`{source}`"), error)
        } else {
            Failure::fault("policy_refused", error)
        }
    })
}
