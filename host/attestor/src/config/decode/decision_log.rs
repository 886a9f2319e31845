//! The keys of a `decision_log` table: the options of a decision log.

use super::reading::Reading;
use super::table::{Field, TableReader};
use crate::config::nearest::nearest;
use crate::config::problem::{Problem, quoted};
use crate::config::{AttestorConfig, DecisionLogConfig};
use nameplate_decisions::{CheckpointOptions, Flush, OnError, Options, RedactedFact, Rejections};
use std::path::{Path, PathBuf};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The decision log that a table asks for, if it does.
pub(super) fn decision_log(table: &mut TableReader<'_, '_>) -> Option<DecisionLogConfig> {
    table
        .table("decision_log", |table| {
            let place = table.place();
            let directory = table.require("directory").then(|| path(table, "directory"));
            let options = options(table, Options::new(directory.flatten().unwrap_or_default()));
            // Without a directory the configuration is refused, and the rest is judged.
            Some(DecisionLogConfig { options, place })
        })
        .flatten()
}

/// Attestors may share a directory, if they mean the same log.
pub(super) fn agree(reading: &mut Reading, attestors: &[AttestorConfig]) {
    let logs: Vec<_> = attestors
        .iter()
        .filter_map(|attestor| Some((attestor, attestor.decision_log.as_ref()?)))
        .collect();
    for (index, (_, log)) in logs.iter().enumerate() {
        let other = logs.iter().take(index).find(|(_, other)| {
            other.options.directory == log.options.directory && other.options != log.options
        });
        if let Some((attestor, _)) = other {
            let text = format!(
                "attestor {} writes to this directory by other settings",
                quoted(attestor.name.as_str())
            );
            reading.note(
                Problem::error(log.place.clone(), text)
                    .with_help("give each a directory, or both the same settings"),
            );
        }
    }
}

/// Options that start from `base`, changed key by key.
fn options(table: &mut TableReader<'_, '_>, base: Options) -> Options {
    fn or<T>(field: Option<Field<T>>, base: T) -> T {
        field.map_or(base, |field| field.value)
    }
    // Written out without `..`, so that a new option cannot lack a key.
    Options {
        flush: flush(table, base.flush),
        on_error: on_error(table).unwrap_or(base.on_error),
        rejections: rejections(table).unwrap_or(base.rejections),
        queue: or(table.count("queue", 16..=1 << 20), base.queue),
        segment_bytes: table
            .bytes("segment_bytes", 4 << 10..=4 << 30)
            .map_or(base.segment_bytes, |field| field.value as u64),
        segment_age: or(
            table.duration("segment_age", Duration::from_secs(1)..=366 * DAY),
            base.segment_age,
        ),
        keep_segments: table
            .count("keep_segments", 2..=1_000_000)
            .map(|field| field.value),
        redact: redact(table).unwrap_or(base.redact),
        checkpoints: CheckpointOptions {
            lines: or(
                table.number("checkpoint_lines", 1..=1_000_000_000),
                base.checkpoints.lines,
            ),
            interval: or(
                table.duration("checkpoint_interval", Duration::from_secs(1)..=366 * DAY),
                base.checkpoints.interval,
            ),
            file: path(table, "checkpoint_file"),
            key: path(table, "checkpoint_key"),
        },
        directory: base.directory,
        // A key of the attestor's, for what else it keeps too.
        directory_check: base.directory_check,
    }
}

fn path(table: &mut TableReader<'_, '_>, key: &'static str) -> Option<PathBuf> {
    let written = table.string(key)?.value;
    Some(table.reading().path(Path::new(written)))
}

fn flush(table: &mut TableReader<'_, '_>, base: Flush) -> Flush {
    let written = table.string("flush");
    let range = Duration::from_millis(10)..=Duration::from_secs(60 * 60);
    let interval = table.duration("flush_interval", range);
    let flush = match written {
        None => base,
        Some(field) => match field.value {
            "each" => Flush::Each,
            "interval" => base,
            "os" => Flush::Os,
            other => {
                let text = format!("unknown flush policy {}", quoted(other));
                let help = "write `each`, `interval` or `os`";
                table.note(Problem::error(field.span, text).with_help(help));
                base
            }
        },
    };
    match (flush, interval) {
        (flush, None) => flush,
        (Flush::Interval(_), Some(interval)) => Flush::Interval(interval.value),
        (flush @ (Flush::Each | Flush::Os), Some(interval)) => {
            let flush = flush.as_str();
            let text = format!("`flush_interval` is of no use with `flush = \"{flush}\"`");
            table.note(Problem::error(interval.span, text));
            Flush::Each
        }
    }
}

fn on_error(table: &mut TableReader<'_, '_>) -> Option<OnError> {
    let written = table.string("on_error")?;
    match written.value {
        "refuse" => Some(OnError::Refuse),
        "drop" => Some(OnError::Drop),
        other => {
            let text = format!("unknown `on_error` {}", quoted(other));
            let help = "write `refuse` or `drop`";
            table.note(Problem::error(written.span, text).with_help(help));
            None
        }
    }
}

fn rejections(table: &mut TableReader<'_, '_>) -> Option<Rejections> {
    let written = table.string("rejections")?;
    match written.value {
        "count" => Some(Rejections::Count),
        "each" => Some(Rejections::Each),
        other => {
            let text = format!("unknown `rejections` {}", quoted(other));
            let help = "write `count` or `each`";
            table.note(Problem::error(written.span, text).with_help(help));
            None
        }
    }
}

fn redact(table: &mut TableReader<'_, '_>) -> Option<Vec<RedactedFact>> {
    let written = table.strings("redact", "/subject/service_account/token_sha256")?;
    let facts = written.value.into_iter().map(|fact| {
        let parsed: Result<RedactedFact, _> = fact.value.parse();
        parsed
            .map_err(|error| {
                let text = format!("{} cannot be redacted: {error}", quoted(fact.value));
                let mut problem = Problem::error(fact.span, text);
                if let Some(near) = nearest(fact.value, &RedactedFact::ALL) {
                    problem = problem.with_help(format!("did you mean `{near}`?"));
                }
                table.note(problem);
            })
            .ok()
    });
    let facts: Vec<_> = facts.collect();
    facts.into_iter().collect()
}
