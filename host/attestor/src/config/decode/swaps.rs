//! The keys of an attestor that say how its generations follow each other:
//! `gate`, `rollback`, `shadow`, `on_collision` and what belongs to it.

use super::policy::policy;
use super::table::TableReader;
use crate::config::problem::{Problem, quoted};
use crate::config::{
    CollisionsConfig, Counted, GateConfig, NamingConfig, PathPatternError, RollbackConfig,
    SwapsConfig,
};
use crate::error::chain;
use crate::fact::{FactPointer, NoSuchFact};
use crate::holders::{HoldersLimits, OnCollision};
use crate::selector_pattern::SelectorPatternError;
use nameplate_files::DirectoryCheck;
use std::path::{Path, PathBuf};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the keys. `state` is the attestor's own folder of the state
/// directory, and `naming` what the shadow goes beside.
pub(super) fn swaps(
    table: &mut TableReader<'_, '_>,
    state: Option<PathBuf>,
    naming: &NamingConfig,
) -> SwapsConfig {
    let collisions = collisions(table, state.as_deref());
    SwapsConfig {
        gate: table
            .table("gate", |table| gate(table, state.as_deref()))
            .flatten(),
        rollback: table.table("rollback", rollback),
        shadow: shadow(table, naming),
        collisions,
        subjects: subjects(table),
        state,
        directory_check: DirectoryCheck::On,
    }
}

fn subjects(table: &mut TableReader<'_, '_>) -> Vec<FactPointer> {
    let example = "/subject/service_account/node/name";
    let pointers = table.strings("subject_keys", example).and_then(|texts| {
        table.each(texts.value, |text| {
            text.parse().map_err(|error: NoSuchFact| error.to_string())
        })
    });
    pointers.unwrap_or_default()
}

fn gate(table: &mut TableReader<'_, '_>, state: Option<&Path>) -> Option<GateConfig> {
    let against = against(table, state);
    let max_changed = table.count("max_changed", 0..=1_000_000_000);
    let allow = table.strings("allow", "/production/*").and_then(|texts| {
        table.each(texts.value, |text| {
            text.parse().map_err(|error: PathPatternError| {
                format!("{} is no pattern for IDs: {error}", quoted(text))
            })
        })
    });
    let allow_selectors = table
        .strings("allow_selectors", "agent_node_label:*")
        .and_then(|texts| {
            table.each(texts.value, |text| {
                text.parse().map_err(|error: SelectorPatternError| {
                    let reason = chain(&error);
                    format!("{} is no pattern for selectors: {reason}", quoted(text))
                })
            })
        });
    let flag =
        |table: &mut TableReader<'_, '_>, key| table.boolean(key).is_none_or(|flag| flag.value);
    Some(GateConfig {
        max_changed: max_changed.map_or(0, |field| field.value),
        allow: allow.unwrap_or_default(),
        no_new_denials: flag(table, "no_new_denials"),
        no_collisions: flag(table, "no_collisions"),
        no_new_dependence: no_new_dependence(table),
        allow_selectors: allow_selectors.unwrap_or_default(),
        records: table
            .count("records", 1..=10_000_000)
            .map_or(100_000, |field| field.value),
        within: table
            .duration("within", Duration::from_secs(1)..=HOUR)
            .map_or(Duration::from_secs(30), |field| field.value),
        against: against?,
    })
}

/// The folder of a decision log, or of cases: it shows when it is read.
fn against(table: &mut TableReader<'_, '_>, state: Option<&Path>) -> Option<PathBuf> {
    if !table.require("against") {
        return None;
    }
    let written = table.string("against")?;
    if state.is_none() {
        let text = "without `state_directory` a restart is a way round the gate: nothing is kept \
                    that a candidate could be judged against";
        table.note(Problem::warning(written.span, text));
    }
    Some(table.reading().path(Path::new(written.value)))
}

/// Without it the gate judges by today's answers alone.
fn no_new_dependence(table: &mut TableReader<'_, '_>) -> bool {
    let Some(written) = table.boolean("no_new_dependence") else {
        return true;
    };
    if !written.value {
        let text = "a policy that changes its answers by itself, tomorrow or in a year, passes \
                    this gate";
        table.note(Problem::warning(written.span, text));
    }
    written.value
}

fn rollback(table: &mut TableReader<'_, '_>) -> RollbackConfig {
    RollbackConfig {
        count: counted(table),
        despite_digest: table
            .boolean("despite_digest")
            .is_some_and(|flag| flag.value),
        faults: table.share("faults").map_or(0.05, |field| field.value),
        after: table
            .number("after", 1..=1_000_000)
            .map_or(20, |field| field.value),
        within: table
            .duration("within", Duration::from_secs(1)..=7 * DAY)
            .map_or(Duration::from_secs(10 * 60), |field| field.value),
    }
}

fn counted(table: &mut TableReader<'_, '_>) -> Counted {
    let Some(written) = table.string("count") else {
        return Counted::Subjects;
    };
    match written.value {
        "subjects" => Counted::Subjects,
        "attestations" => {
            let text = "one machine whose attestations fail takes a policy back for all others";
            table.note(Problem::warning(written.span, text));
            Counted::Attestations
        }
        other => {
            let text = format!("{} is nothing that is counted", quoted(other));
            let problem = Problem::error(written.span, text);
            table.note(problem.with_help("write `subjects` or `attestations`"));
            Counted::Subjects
        }
    }
}

/// The envelope and the limits are those of what serves: a shadow shows what
/// its policy would do in that place.
fn shadow(table: &mut TableReader<'_, '_>, naming: &NamingConfig) -> Option<NamingConfig> {
    table.has("shadow").then_some(())?;
    let mut shadow = naming.clone();
    policy(
        table,
        "shadow",
        &mut shadow,
        Err("a shadow is a policy that is not the one that serves"),
    );
    Some(shadow)
}

fn collisions(table: &mut TableReader<'_, '_>, state: Option<&Path>) -> Option<CollisionsConfig> {
    let entries = table.number("collision_entries", 1..=100_000_000);
    let forget_after = table.duration("collision_forget_after", HOUR..=3650 * DAY);
    let on = table.string("on_collision");
    let alone = [
        (
            "collision_entries",
            entries.as_ref().map(|field| &field.span),
        ),
        (
            "collision_forget_after",
            forget_after.as_ref().map(|field| &field.span),
        ),
    ];
    let Some(on) = on else {
        for (key, span) in alone {
            if let Some(span) = span {
                let text = format!("{} without `on_collision` says nothing", quoted(key));
                table.note(Problem::error(span.clone(), text));
            }
        }
        return None;
    };
    let what = match on.value {
        "refuse" => OnCollision::Refuse,
        "warn" => OnCollision::Warn,
        other => {
            let text = format!("{} is no way to meet a collision", quoted(other));
            table.note(Problem::error(on.span, text).with_help("write `refuse` or `warn`"));
            return None;
        }
    };
    if state.is_none() {
        let text = "`on_collision` needs a `state_directory`: who holds which ID has to outlive \
                    the process";
        table.note(Problem::error(on.span, text));
        return None;
    }
    Some(CollisionsConfig {
        on: what,
        limits: HoldersLimits {
            entries: entries.map_or(1_000_000, |field| field.value),
            forget_after: forget_after.map(|field| field.value),
        },
    })
}

/// The directory under `state_directory`, below which each attestor has a
/// folder of its own.
pub(super) fn state_directory(table: &mut TableReader<'_, '_>) -> Option<PathBuf> {
    let written = table.string("state_directory")?;
    Some(table.reading().path(Path::new(written.value)))
}
