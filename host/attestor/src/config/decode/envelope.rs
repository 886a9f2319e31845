//! The keys of an `envelope` table: the fields of [`Envelope`].

use super::table::TableReader;
use crate::config::problem::{Problem, quoted};
use crate::envelope::{Envelope, FalseFacts, Leading};
use crate::error::chain;
use crate::placeholder::PatternError;
use crate::selector_pattern::{SelectorPattern, SelectorPatternError};
use crate::spiffe_id::{MAX_ID_BYTES, PathSegment};

/// An envelope that starts from `base`, changed key by key.
///
/// `least_id_bytes` is the length of the shortest ID that the attestor can give.
pub(super) fn envelope(
    table: &mut TableReader<'_, '_>,
    base: &Envelope,
    least_id_bytes: usize,
) -> Envelope {
    // Written out without `..`, so that a new bound cannot lack a key.
    Envelope {
        leading: leading(table).unwrap_or_else(|| base.leading.clone()),
        max_id_bytes: table
            .bytes("max_id_bytes", least_id_bytes..=MAX_ID_BYTES)
            .map_or(base.max_id_bytes, |field| field.value),
        max_selector_bytes: table
            .bytes("max_selector_bytes", 1..=4096)
            .map_or(base.max_selector_bytes, |field| field.value),
        // None is a choice: agents that no selector shall match.
        max_selectors: table
            .count("max_selectors", 0..=1024)
            .map_or(base.max_selectors, |field| field.value),
        reserved: reserved(table).unwrap_or_else(|| base.reserved.clone()),
        selectors: selectors(table).unwrap_or_else(|| base.selectors.clone()),
        false_facts: false_facts(table).unwrap_or(base.false_facts),
    }
}

fn leading(table: &mut TableReader<'_, '_>) -> Option<Vec<Leading>> {
    let segments = table.strings("leading", "{cluster}")?;
    table.each(segments.value, |segment| {
        segment.parse().map_err(|error: PatternError| {
            let reason = chain(&error);
            format!("{} cannot be a leading segment: {reason}", quoted(segment))
        })
    })
}

fn reserved(table: &mut TableReader<'_, '_>) -> Option<Vec<String>> {
    let names = table.strings("reserved", "admin")?;
    table.each(names.value, |name| {
        // What can never be a segment would reserve nothing.
        let segment: Result<PathSegment, _> = name.parse();
        segment.map(|_| name.to_owned()).map_err(|error| {
            let reason = chain(&error);
            format!("{} cannot be a reserved segment: {reason}", quoted(name))
        })
    })
}

fn selectors(table: &mut TableReader<'_, '_>) -> Option<Vec<SelectorPattern>> {
    let patterns = table.strings("selectors", "cluster:{cluster}")?;
    if patterns.value.is_empty() {
        // It could be taken for "none is allowed" or for "none is bounded".
        let help = "write `max_selectors = 0` for no selector at all, or `selectors = [\"*\"]` \
                    for any";
        let problem = Problem::error(patterns.span, "`selectors` has no entry");
        table.note(problem.with_help(help));
        return None;
    }
    table.each(patterns.value, |pattern| {
        pattern.parse().map_err(|error: SelectorPatternError| {
            let reason = chain(&error);
            format!("{} is no pattern for selectors: {reason}", quoted(pattern))
        })
    })
}

fn false_facts(table: &mut TableReader<'_, '_>) -> Option<FalseFacts> {
    let written = table.string("false_facts")?;
    match written.value {
        "refuse" => Some(FalseFacts::Refuse),
        "admit" => {
            let text = "`false_facts = \"admit\"`: a policy may say under `cluster`, `agent_ns` \
                        and the like what the evidence does not prove";
            let help = "have the policy use keys of its own, or bound them with `selectors`";
            table.note(Problem::warning(written.span, text).with_help(help));
            Some(FalseFacts::Admit)
        }
        other => {
            let text = format!("{} is no way to meet a false fact", quoted(other));
            let known = "known are `refuse` and `admit`";
            table.note(Problem::error(written.span, text).with_help(known));
            None
        }
    }
}
