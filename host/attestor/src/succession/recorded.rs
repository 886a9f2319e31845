//! The decisions that a gate judges over: those of a decision log, the latest,
//! or those of cases.
//!
//! A log is read with flat memory. Whatever is wrong with it, but for a last
//! line that is being written, is an error: a gate must not judge over what
//! somebody else chose to leave.

use crate::cases::Case;
use crate::error::chain;
use nameplate_decisions::{Reader, Recorded};
use nameplate_files::Directory;
use nameplate_policy::Facts;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Largest file of a case that is read, in bytes.
const MAX_CASE_BYTES: usize = 1 << 20;

/// The facts of one decision, or why they cannot be had.
pub(super) type Found = Result<Facts, String>;

/// Facts, one decision after the other.
pub(super) type Decisions = Box<dyn Iterator<Item = Found>>;

/// What a gate says when its time is over before it has looked at everything.
pub(super) const OUT_OF_TIME: &str = "there are more decisions than can be judged in time: raise \
                                      `within`, or lower `records`";

/// The decisions in `folder`, at most `most`: the latest of `attestor` where it
/// holds a decision log, and its cases by name where it does not. Finding them
/// ends at `ends`.
///
/// # Errors
/// Why there is nothing to judge over, in words.
pub(super) fn decisions(
    folder: &Path,
    attestor: &str,
    most: usize,
    ends: Instant,
) -> Result<Decisions, String> {
    let directory = Directory::open(folder).map_err(|error| chain(&error))?;
    let names = directory.names().map_err(|error| chain(&error))?;
    let named = |prefix: &str, suffix: &str| -> Vec<String> {
        let is = |name: &&String| name.starts_with(prefix) && name.ends_with(suffix);
        names.iter().filter(is).cloned().collect()
    };
    let segments = named("decisions-", ".jsonl");
    if !segments.is_empty() {
        return logged(folder, segments, attestor, most, ends);
    }
    let mut cases = named("", ".json");
    if cases.is_empty() {
        let folder = folder.display();
        return Err(format!("there are no decisions and no cases in `{folder}`"));
    }
    cases.truncate(most);
    let read = move |name: String| -> Result<Case, String> {
        let bytes = directory
            .read(Path::new(&name), MAX_CASE_BYTES)
            .map_err(|error| chain(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("`{name}` is no case: {error}"))
    };
    let facts = cases.into_iter().filter_map(move |name| match read(name) {
        // Of evidence that is rejected no policy is asked.
        Ok(case) => case.facts().ok().map(|facts| Ok(facts.into_owned())),
        Err(why) => Some(Err(why)),
    });
    Ok(Box::new(facts))
}

/// The latest decisions of a log, read from the last segments that hold enough.
fn logged(
    folder: &Path,
    segments: Vec<String>,
    attestor: &str,
    most: usize,
    ends: Instant,
) -> Result<Decisions, String> {
    let mut latest: Vec<PathBuf> = Vec::new();
    let mut found = 0usize;
    // Names of segments sort as their lines do.
    for name in segments.into_iter().rev() {
        if found >= most {
            break;
        }
        let path = folder.join(name);
        let reader = Reader::open(&path).map_err(|error| chain(&error))?;
        for recorded in reader.decisions() {
            let recorded = recorded.map_err(|error| chain(&error))?;
            let counts = facts_of(recorded, attestor).is_some();
            found = found.saturating_add(usize::from(counts));
            if Instant::now() >= ends {
                return Err(OUT_OF_TIME.to_owned());
            }
        }
        latest.push(path);
    }
    latest.reverse();
    // Read as one: a segment that is gone between two is seen only so.
    let reader = Reader::of_segments(latest).map_err(|error| chain(&error))?;
    let attestor = attestor.to_owned();
    let facts = reader
        .decisions()
        .filter_map(move |recorded| match recorded {
            Ok(_) if Instant::now() >= ends => Some(Err(OUT_OF_TIME.to_owned())),
            Ok(recorded) => facts_of(recorded, &attestor).map(Ok),
            Err(error) => Some(Err(chain(&error))),
        });
    Ok(Box::new(facts.skip(found.saturating_sub(most))))
}

/// The facts of a decision; none of another attestor's, of evidence that was
/// rejected, and of one whose facts are not all there.
fn facts_of(recorded: Recorded, attestor: &str) -> Option<Facts> {
    let decision = *recorded.decision;
    let whole = &*decision.attestor == attestor && decision.redacted.is_empty();
    decision.facts.filter(|_| whole)
}
