//! The texts in a module's data, found by who names their addresses.
//!
//! Compilers put texts next to each other without anything in between, so the
//! data alone does not say where one begins. The code does, or the data: a
//! text's address is a constant of the one or a pointer in the other.

use crate::change::Change;
use crate::layout::{Module, Segment};
use crate::patch::Edit;
use std::collections::{BTreeMap, BTreeSet};

/// Fewest printable bytes that are taken for a text.
const LEAST: usize = 3;
/// Most bytes of a text that are shown.
const SHOWN: usize = 24;

/// A mistake in a text, and the stretches of code that lead to it.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) at: usize,
    pub(crate) change: Change,
    pub(crate) stretches: BTreeSet<usize>,
}

/// Which stretches of code name an address.
pub(crate) type Named = BTreeMap<u32, BTreeSet<usize>>;

/// The mistakes in a module's texts, by their places.
pub(crate) fn texts(module: &Module<'_>, named: &Named) -> Vec<Text> {
    let mut starts = named.clone();
    for segment in &module.data {
        for (address, pointer) in pointers(segment) {
            // A pointer is part of what begins before it: of a table of
            // texts, the code names only the beginning.
            if let Some((_, stretches)) = named.range(..=address).next_back() {
                starts
                    .entry(pointer)
                    .or_default()
                    .extend(stretches.iter().copied());
            }
        }
    }
    module
        .data
        .iter()
        .flat_map(|segment| in_segment(segment, &starts))
        .collect()
}

/// Every aligned word of a segment, with its address.
fn pointers(segment: &Segment<'_>) -> impl Iterator<Item = (u32, u32)> {
    let skipped = segment.address.wrapping_neg() % 4;
    let aligned = segment.address.saturating_add(skipped);
    let words = segment.bytes.get(usize::try_from(skipped).unwrap_or(0)..);
    let words = words.unwrap_or_default().as_chunks::<4>().0;
    (aligned..)
        .step_by(4)
        .zip(words)
        .map(|(address, word)| (address, u32::from_le_bytes(*word)))
}

fn in_segment(segment: &Segment<'_>, starts: &Named) -> Vec<Text> {
    let length = u32::try_from(segment.bytes.len()).unwrap_or(u32::MAX);
    let end = segment.address.saturating_add(length);
    let here: Vec<_> = starts.range(segment.address..end).collect();
    let nexts = here.iter().skip(1).map(|(address, _)| **address);
    here.iter()
        .zip(nexts.chain([end]))
        .filter_map(|((address, stretches), next)| {
            let offset = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            let rest = segment.bytes.get(offset..)?;
            let printable = rest.iter().take_while(|byte| is_printable(**byte)).count();
            if printable < LEAST {
                return None;
            }
            let most = usize::try_from(next.checked_sub(**address)?).ok()?;
            let shown = rest.get(..printable.min(most).min(SHOWN))?;
            let (first, others) = shown.split_first()?;
            let other = first ^ 1;
            let at = segment.at.checked_add(offset)?;
            Some(Text {
                at,
                change: Change {
                    was: quoted(*first, others),
                    becomes: quoted(other, others),
                    edit: Edit::new(&(at..at.checked_add(1)?), [other]),
                },
                stretches: (*stretches).clone(),
            })
        })
        .collect()
}

fn is_printable(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

fn quoted(first: u8, others: &[u8]) -> String {
    format!("\"{}{}\"", first.escape_ascii(), others.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::modules;

    #[test]
    fn texts_begin_where_code_or_data_says() {
        // At 1024 two texts, at 1040 a table that points to a third at 1036.
        let bytes = wat::parse_str(
            r#"(component (core module
                (memory 1)
                (data (i32.const 1024) "no-nodename\00red!\0c\04\00\00\04\00\00\00")))"#,
        )
        .unwrap();
        let modules = modules(&bytes).unwrap();
        let named = Named::from([
            (7, BTreeSet::from([0])),
            (1024, BTreeSet::from([1])),
            (1031, BTreeSet::from([2, 3])),
            (1040, BTreeSet::from([4])),
        ]);
        let found: Vec<_> = texts(&modules[0], &named)
            .into_iter()
            .map(|text| {
                let stretches: Vec<_> = text.stretches.into_iter().collect();
                (text.change.was, text.change.becomes, stretches)
            })
            .collect();
        let text = |was: &str, becomes: &str, stretches: &[usize]| {
            (was.to_owned(), becomes.to_owned(), stretches.to_vec())
        };
        assert_eq!(
            found,
            [
                text("\"no-node\"", "\"oo-node\"", &[1]),
                text("\"name\"", "\"oame\"", &[2, 3]),
                text("\"red!\"", "\"sed!\"", &[4]),
            ]
        );
    }
}
