//! Replaces bytes, and mends the lengths that stand round them.

use crate::layout::Prefix;
use std::ops::Range;
use wasm_encoder::Encode as _;

/// Bytes to put in the place of others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edit {
    /// First byte that goes.
    pub(crate) start: usize,
    /// First byte after it that stays.
    pub(crate) end: usize,
    /// What comes instead.
    pub(crate) with: Vec<u8>,
}

impl Edit {
    /// `with` in the place of `range`.
    pub(crate) fn new(range: &Range<usize>, with: impl Into<Vec<u8>>) -> Self {
        Self {
            start: range.start,
            end: range.end,
            with: with.into(),
        }
    }

    /// `with` before the byte at `at`.
    pub(crate) fn insert(at: usize, with: impl Into<Vec<u8>>) -> Self {
        Self::new(&(at..at), with)
    }

    /// `bytes` with the edit made, inside `prefixes`, the outermost first.
    pub(crate) fn apply(&self, bytes: &[u8], prefixes: &[Prefix]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        out.splice(self.start..self.end, self.with.iter().copied());
        // From the inside, since a length may take more bytes than before.
        // Each stands before all that it is the length of, so that the places
        // of those further out stay what they were.
        let mut inside = out.len();
        let mut before = bytes.len();
        for prefix in prefixes.iter().rev() {
            let size = prefix.size.saturating_add(inside).saturating_sub(before);
            let mut length = Vec::new();
            u32::try_from(size).unwrap_or(u32::MAX).encode(&mut length);
            out.splice(prefix.at..prefix.at.saturating_add(prefix.len), length);
            (inside, before) = (out.len(), bytes.len());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::modules;

    /// A component in a component, so that four lengths stand round the code.
    fn nested(nops: usize) -> Vec<u8> {
        let text = format!(
            "(component (component (core module (func {}))))",
            "nop ".repeat(nops)
        );
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn lengths_are_mended_from_the_inside() {
        for nops in [
            1, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 16_370, 16_380,
        ] {
            let bytes = nested(nops);
            let found = modules(&bytes).unwrap();
            let body = &found[0].bodies[0];
            // After the count of locals.
            let at = body.body.range().start + 1;
            let more = Edit::insert(at, [0x01, 0x01, 0x01]).apply(&bytes, &body.prefixes);
            assert_eq!(more, nested(nops + 3), "{nops}");
            if nops > 1 {
                let less = Edit::new(&(at..at + 1), []).apply(&bytes, &body.prefixes);
                assert_eq!(less, nested(nops - 1), "{nops}");
            }
        }
    }
}
