//! `nameplate policy diff`: what another policy would change, and for whom.

use super::limits::LimitFlags;
use super::many_subjects::{cases_or_log, naming, progress, through};
use crate::failure::Failure;
use crate::input;
use crate::report::{BAD, Exit, FAINT, GOOD, HEADING, NOTE, Output, grouped, printable};
use clap::ValueEnum;
use nameplate_attestor::cases::Outcome;
use nameplate_attestor::study::{
    AsRecorded, Comparison, ComparisonOptions, Group, SharedId, both_subjects,
};
use nameplate_attestor::{FactPointer, SubjectKeys};
use nameplate_policy::Sandbox;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// Show what another policy would change, and for whom
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Both policies are asked about the same facts, in fresh sandboxes. Changes are
grouped by pattern: what belongs to one machine is put into words.

Examples:
  nameplate policy diff builtin:uuid builtin:node --against /var/lib/nameplate/log
  nameplate policy diff old.wasm new.wasm --against cases --fail-on changed,vanished,collided
  nameplate policy diff builtin:node builtin:node --new-settings '{\"by\": \"name\"}' --against cases")]
pub(crate) struct Arguments {
    /// The policy that names now: a component, or builtin:NAME
    old: String,

    /// The policy that would
    new: String,

    /// A decision log, or a directory of cases
    #[arg(long, value_name = "PATH")]
    against: PathBuf,

    /// Settings of the old policy: a JSON object, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    old_settings: Option<String>,

    /// Settings of the new policy: a JSON object, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    new_settings: Option<String>,

    /// End with 1 where there is one of these changes
    #[arg(long, value_name = "CHANGE", value_enum, value_delimiter = ',')]
    fail_on: Vec<FailOn>,

    /// A fact that keeps subjects apart, as a JSON Pointer, instead of those
    /// that the new policy names; may be repeated
    #[arg(long = "subject-key", value_name = "FACT")]
    subject_keys: Vec<FactPointer>,

    /// Most IDs to remember for collisions, at about 100 bytes each
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    remember: usize,

    #[command(flatten)]
    limits: LimitFlags,
}

/// A change that is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum FailOn {
    /// Another ID
    Changed,
    /// An ID where there was none
    Appeared,
    /// No ID where there was one: denied, or a fault
    Vanished,
    /// An ID that two subjects would get
    Collided,
    /// The same ID with other selectors
    Selectors,
}

impl FailOn {
    fn count(self, comparison: &Comparison) -> u64 {
        match self {
            Self::Changed => comparison.changed,
            Self::Appeared => comparison.appeared,
            Self::Vanished => comparison.vanished,
            Self::Collided => comparison.collided,
            Self::Selectors => comparison.selectors_changed,
        }
    }
}

/// A comparison, and what it fails on.
#[derive(Debug, Serialize)]
struct Document {
    ok: bool,
    failed_on: Vec<FailOn>,
    #[serde(flatten)]
    comparison: Comparison,
    shared_ids: Vec<SharedId>,
}

/// Runs the subcommand.
///
/// # Errors
/// Where a policy cannot be loaded or the facts cannot be read.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let sandbox = Sandbox::new()?;
    let load = |policy: &str, settings: Option<&str>| {
        naming(
            &sandbox,
            policy,
            input::settings(settings)?,
            &arguments.limits,
        )
    };
    let old = load(&arguments.old, arguments.old_settings.as_deref())?;
    let new = load(&arguments.new, arguments.new_settings.as_deref())?;
    let source = cases_or_log(&arguments.against)?;
    let options = ComparisonOptions {
        subject_keys: match arguments.subject_keys.as_slice() {
            [] => new.subject_keys().clone(),
            named => SubjectKeys::of_facts(named.to_vec()),
        },
        remembered: arguments.remember,
        ..ComparisonOptions::default()
    };
    let mut comparison = through(&source, |facts| {
        let (old, new) = (AsRecorded(&old), AsRecorded(&new));
        Comparison::of(&old, &new, facts, &options, progress())
    })?;
    let collisions = std::mem::take(&mut comparison.collisions);
    let shared_ids = through(&source, |facts| both_subjects(collisions, facts))?;
    let failed_on: Vec<FailOn> = arguments
        .fail_on
        .iter()
        .copied()
        .filter(|change| change.count(&comparison) > 0)
        .collect();
    let document = Document {
        ok: failed_on.is_empty(),
        failed_on,
        comparison,
        shared_ids,
    };
    output.answer(&document, |out| document.write(out))?;
    Ok(if document.ok { Exit::Done } else { Exit::Fault })
}

impl Document {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let comparison = &self.comparison;
        for group in &comparison.groups {
            write_group(out, group)?;
        }
        if comparison.ungrouped > 0 {
            writeln!(
                out,
                "{NOTE}{} changes of further patterns{NOTE:#}\n",
                grouped(comparison.ungrouped)
            )?;
        }
        for shared in &self.shared_ids {
            write_shared(out, shared)?;
        }
        let counts = [
            (comparison.changed, "changed"),
            (comparison.appeared, "appeared"),
            (comparison.vanished, "vanished"),
            (comparison.selectors_changed, "with other selectors"),
            (comparison.refused_otherwise, "refused for another reason"),
            (comparison.collided, "collided"),
            (comparison.collided_before, "collided before"),
        ];
        let words: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{} {word}", grouped(count)))
            .collect();
        let asked = grouped(comparison.asked);
        if words.is_empty() {
            writeln!(out, "{GOOD}nothing changes{GOOD:#}: {asked} asked about")?;
        } else {
            let same = grouped(comparison.same);
            writeln!(
                out,
                "{}; {same} stay as they are, of {asked}",
                words.join(", ")
            )?;
        }
        if comparison.unremembered > 0 {
            writeln!(
                out,
                "{NOTE}{} sightings of further IDs were held against the remembered ones only{NOTE:#} (--remember)",
                grouped(comparison.unremembered)
            )?;
        }
        if self.ok {
            return Ok(());
        }
        let failed: Vec<_> = self
            .failed_on
            .iter()
            .filter_map(|change| Some(change.to_possible_value()?.get_name().to_owned()))
            .collect();
        writeln!(out, "{BAD}FAILED{BAD:#}: {}", failed.join(", "))
    }
}

/// Writes a pattern, how often it occurs, and one of its changes.
fn write_group(out: &mut dyn Write, group: &Group) -> io::Result<()> {
    writeln!(
        out,
        "{HEADING}{} {}{HEADING:#}",
        grouped(group.count),
        group.change
    )?;
    writeln!(out, "  {BAD}-{BAD:#} {}", printable(&group.from))?;
    writeln!(out, "  {GOOD}+{GOOD:#} {}", printable(&group.to))?;
    let sample = &group.sample;
    let name = printable(&sample.described.name);
    let (old, new) = (shown(&sample.old), shown(&sample.new));
    if old == new {
        writeln!(out, "  {FAINT}such as {name}, {old}{FAINT:#}\n")
    } else {
        writeln!(out, "  {FAINT}such as {name}: {old} → {new}{FAINT:#}\n")
    }
}

/// An outcome without the selectors, which the pattern shows.
fn shown(outcome: &Outcome) -> String {
    if let Outcome::Identity { spiffe_id, .. } = outcome {
        printable(spiffe_id)
    } else {
        printable(&outcome.to_string())
    }
}

fn write_shared(out: &mut dyn Write, shared: &SharedId) -> io::Result<()> {
    let [one, other] = &shared.subjects;
    let names: Vec<_> = shared
        .differ_in
        .iter()
        .map(|fact| fact.name.as_str())
        .collect();
    writeln!(
        out,
        "{HEADING}one ID for two{HEADING:#} {}",
        printable(&shared.spiffe_id)
    )?;
    writeln!(
        out,
        "  {} and {}, which differ in {}\n",
        printable(&one.name),
        printable(&other.name),
        printable(&names.join(", "))
    )
}
