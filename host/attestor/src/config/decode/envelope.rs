//! The keys of an `envelope` table: the fields of [`Envelope`].

use super::table::TableReader;
use crate::config::problem::quoted;
use crate::envelope::{Envelope, Leading};
use crate::error::chain;
use crate::placeholder::PatternError;
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
