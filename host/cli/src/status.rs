//! `nameplate status`: which generation serves, since when and why, and what
//! was refused.
//!
//! Read from the state directory, where the process that attests writes it;
//! nothing is asked of that process.

use crate::failure::{Failure, plural};
use crate::report::{BAD, Exit, FAINT, GOOD, HEADING, NOTE, Output, grouped, printable, row};
use nameplate_attestor::config::Config;
use nameplate_attestor::{Serving, ShadowStatus, Status};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// Show which generation serves, since when and why, and what was refused
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exits with 1 where something else serves than is configured.

Examples:
  nameplate status --state /var/lib/nameplate
  nameplate status --config nameplate.toml --output json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
}

/// The state directory, or the configuration that names it.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// The `state_directory`
    #[arg(long, value_name = "DIRECTORY", value_hint = clap::ValueHint::DirPath)]
    state: Option<PathBuf>,

    /// A configuration that names it
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
}

impl Place {
    /// The state directory.
    ///
    /// # Errors
    /// [`Failure`] where the configuration cannot be used or names none.
    pub(crate) fn directory(&self) -> Result<PathBuf, Failure> {
        if let Some(state) = &self.state {
            return Ok(state.clone());
        }
        let file = self.config.clone().unwrap_or_default();
        let config = Config::read(&file).map_err(Failure::Config)?;
        let folder = config.attestors.iter().find_map(|attestor| {
            let state = attestor.swaps.state.as_ref()?;
            state.parent().map(PathBuf::from)
        });
        folder.ok_or_else(|| {
            let file = printable(&file.display().to_string());
            Failure::Usage(format!("`{file}` has no `state_directory`"))
        })
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Why the state cannot be shown.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let directory = arguments.place.directory()?;
    let all =
        Status::read_all(&directory).map_err(|error| Failure::fault("state_unreadable", error))?;
    if all.is_empty() {
        let name = printable(&directory.display().to_string());
        let text = format!("no attestor has kept its state in `{name}`");
        return Err(Failure::fault("state_absent", anyhow::Error::msg(text)));
    }
    let refused = all.iter().any(|(status, _)| status.refused.is_some());
    let documents: Vec<_> = all.iter().map(document).collect();
    output.answer(&json!({ "attestors": documents }), |out| {
        all.iter()
            .try_for_each(|(status, running)| write_status(out, status, *running))
    })?;
    Ok(if refused { Exit::Fault } else { Exit::Done })
}

fn document((status, running): &(Status, bool)) -> Value {
    let mut document = json!(status);
    if let Some(members) = document.as_object_mut() {
        members.insert("running".to_owned(), json!(running));
    }
    document
}

fn write_status(out: &mut dyn Write, status: &Status, running: bool) -> io::Result<()> {
    let name = &status.attestor;
    write!(out, "{HEADING}attestor `{name}`{HEADING:#}  ")?;
    if running {
        writeln!(out, "{GOOD}attests{GOOD:#}")?;
    } else {
        let written = time(status.written);
        writeln!(out, "{NOTE}no process attests; as of {written}{NOTE:#}")?;
    }
    write_serving(out, "generation", &status.serving)?;
    if let Some(before) = &status.before {
        write_serving(out, "before", before)?;
    }
    if let Some(probation) = &status.probation {
        let rate = probation.rate;
        let (faults, until) = (grouped(rate.faults), time(probation.until));
        let what = plural(usize::try_from(rate.faults).unwrap_or(usize::MAX), "fault");
        let asked = grouped(rate.asked);
        let counted = probation.counted.as_str();
        let text = format!("until {until}: {faults} {what} in {asked} {counted}");
        row(out, "probation", text)?;
    }
    if let Some(refused) = &status.refused {
        let (by, at) = (refused.by.as_str(), time(refused.at));
        let text = format!("{BAD}what is configured, by {by}, {at}{BAD:#}");
        row(out, "refused", text)?;
        for reason in &refused.reasons {
            row(out, "", printable(reason))?;
        }
    }
    if let Some(shadow) = &status.shadow {
        write_shadow(out, shadow)?;
    }
    if let Some(holders) = &status.holders {
        let text = format!(
            "{} of at most {}; {} forgotten, {} collisions since the start",
            grouped(holders.entries),
            grouped(holders.limit),
            grouped(holders.forgotten),
            grouped(holders.collisions)
        );
        row(out, "IDs held", text)?;
    }
    for server in &status.suspended {
        let of = match server.cluster.as_str() {
            "" => "the API server".to_owned(),
            cluster => format!("the API server of cluster `{}`", printable(cluster)),
        };
        let (since, error) = (time(server.since), printable(&server.error));
        row(out, "suspended", format!("{BAD}{of}, {since}{BAD:#}"))?;
        row(out, "", error)?;
    }
    for warning in &status.warnings {
        row(
            out,
            "warning",
            format!("{NOTE}{}{NOTE:#}", printable(warning)),
        )?;
    }
    Ok(())
}

fn write_serving(out: &mut dyn Write, label: &str, serving: &Serving) -> io::Result<()> {
    let (number, why) = (serving.generation, serving.why.as_str());
    let since = time(serving.since);
    row(out, label, format!("{number}, {why} {since}"))?;
    for policy in &serving.policies {
        let of = match &policy.cluster {
            Some(cluster) => format!(" for cluster `{}`", printable(cluster)),
            None => String::new(),
        };
        let version = policy.version.as_deref().unwrap_or_default();
        let (name, version) = (printable(&policy.name), printable(version));
        let (source, component) = (printable(&policy.source), policy.component);
        let text = format!("`{name}` {version}{of} {FAINT}{source} {component}{FAINT:#}");
        row(out, "", text)?;
    }
    Ok(())
}

fn write_shadow(out: &mut dyn Write, shadow: &ShadowStatus) -> io::Result<()> {
    let text = format!(
        "{}: {} agreed, {} differed ({} faults), {} not asked",
        printable(&shadow.policy),
        grouped(shadow.agreed),
        grouped(shadow.differed),
        grouped(shadow.faults),
        grouped(shadow.dropped)
    );
    row(out, "shadow", text)?;
    for difference in &shadow.kinds {
        let (count, kind) = (grouped(difference.count), printable(&difference.kind));
        row(out, "", format!("{count} × {kind}"))?;
        let (live, other) = (printable(&difference.live), printable(&difference.shadow));
        row(out, "", format!("{FAINT}{live} → {other}{FAINT:#}"))?;
    }
    Ok(())
}

/// Seconds since 1970 as people write them.
fn time(seconds: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.map_or_else(
        || seconds.to_string(),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}
