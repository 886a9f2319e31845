//! The mistakes that are made of one operator.

use crate::patch::Edit;
use std::ops::Range;
use wasm_encoder::Instruction;
use wasmparser::Operator;

/// `i32.eqz`, which turns a condition into its opposite.
const NOT: u8 = 0x45;

/// A mistake: what stands in the code, and what is put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) was: String,
    pub(crate) becomes: String,
    pub(crate) edit: Edit,
}

/// An operator of one byte, and those that may stand in its place: all of
/// them take and give the same types.
struct Swap {
    opcode: u8,
    name: &'static str,
    others: &'static [u8],
}

/// The comparisons and the arithmetic of `i32`.
const SWAPS: [Swap; 23] = [
    swap(0x46, "eq", &[0x47]),
    swap(0x47, "ne", &[0x46]),
    swap(0x48, "lt_s", &[0x4e, 0x4c]),
    swap(0x49, "lt_u", &[0x4f, 0x4d]),
    swap(0x4a, "gt_s", &[0x4c, 0x4e]),
    swap(0x4b, "gt_u", &[0x4d, 0x4f]),
    swap(0x4c, "le_s", &[0x4a, 0x48]),
    swap(0x4d, "le_u", &[0x4b, 0x49]),
    swap(0x4e, "ge_s", &[0x48, 0x4a]),
    swap(0x4f, "ge_u", &[0x49, 0x4b]),
    swap(0x6a, "add", &[0x6b]),
    swap(0x6b, "sub", &[0x6a]),
    swap(0x6c, "mul", &[0x6a]),
    swap(0x6d, "div_s", &[0x6c]),
    swap(0x6e, "div_u", &[0x6c]),
    swap(0x6f, "rem_s", &[0x6d]),
    swap(0x70, "rem_u", &[0x6e]),
    swap(0x71, "and", &[0x72]),
    swap(0x72, "or", &[0x71]),
    swap(0x73, "xor", &[0x72]),
    swap(0x74, "shl", &[0x76]),
    swap(0x75, "shr_s", &[0x74]),
    swap(0x76, "shr_u", &[0x74]),
];

const fn swap(opcode: u8, name: &'static str, others: &'static [u8]) -> Swap {
    Swap {
        opcode,
        name,
        others,
    }
}

/// How far the operators of `i64` stand from those of `i32`.
const I64_COMPARISON: u8 = 0x50 - 0x45;
const I64_ARITHMETIC: u8 = 0x7c - 0x6a;

/// Every mistake that can be made of `operator`, whose bytes stand at `range`
/// and begin with `opcode`.
pub(crate) fn of(operator: &Operator<'_>, range: &Range<usize>, opcode: u8) -> Vec<Change> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "600 operators; those of one byte are in the table"
    )]
    match operator {
        Operator::I32Const { value } => [value.wrapping_add(1), value.wrapping_sub(1)]
            .into_iter()
            .map(|other| {
                constant(
                    "i32.const",
                    value,
                    other,
                    Instruction::I32Const(other),
                    range,
                )
            })
            .collect(),
        Operator::I64Const { value } => [value.wrapping_add(1), value.wrapping_sub(1)]
            .into_iter()
            .map(|other| {
                constant(
                    "i64.const",
                    value,
                    other,
                    Instruction::I64Const(other),
                    range,
                )
            })
            .collect(),
        Operator::BrIf { relative_depth } => {
            vec![opposite(format!("br_if {relative_depth}"), range)]
        }
        Operator::If { .. } => vec![opposite("if".to_owned(), range)],
        Operator::Select | Operator::TypedSelect { .. } => {
            vec![opposite("select".to_owned(), range)]
        }
        Operator::I32Eqz | Operator::I64Eqz => {
            let name = if opcode == NOT { "i32.eqz" } else { "i64.eqz" };
            vec![Change {
                was: name.to_owned(),
                becomes: format!("{name}, the other way"),
                edit: Edit::insert(range.end, [NOT]),
            }]
        }
        _ => swaps(range, opcode),
    }
}

fn constant<T: std::fmt::Display>(
    name: &str,
    value: &T,
    other: T,
    instruction: Instruction<'_>,
    range: &Range<usize>,
) -> Change {
    use wasm_encoder::Encode as _;
    let mut with = Vec::new();
    instruction.encode(&mut with);
    Change {
        was: format!("{name} {value}"),
        becomes: format!("{name} {other}"),
        edit: Edit::new(range, with),
    }
}

/// The other way: the condition is turned round before it is used.
fn opposite(was: String, range: &Range<usize>) -> Change {
    Change {
        becomes: format!("{was}, the other way"),
        was,
        edit: Edit::insert(range.start, [NOT]),
    }
}

fn swaps(range: &Range<usize>, opcode: u8) -> Vec<Change> {
    let wide = match opcode {
        0x50..=0x5a => I64_COMPARISON,
        0x7c..=0x8a => I64_ARITHMETIC,
        _ => 0,
    };
    let (narrow, kind) = match opcode.checked_sub(wide) {
        Some(narrow) if wide > 0 => (narrow, "i64"),
        _ => (opcode, "i32"),
    };
    let named = |opcode: u8| SWAPS.iter().find(|swap| swap.opcode == opcode);
    let Some(swap) = named(narrow) else {
        return Vec::new();
    };
    swap.others
        .iter()
        .filter_map(|&other| {
            Some(Change {
                was: format!("{kind}.{}", swap.name),
                becomes: format!("{kind}.{}", named(other)?.name),
                edit: Edit::new(range, [other.checked_add(wide)?]),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(text: &str, opcode: u8) -> Vec<String> {
        swaps(&(0..1), opcode)
            .into_iter()
            .map(|change| {
                assert_eq!(change.was, text);
                format!("{} {:#x}", change.becomes, change.edit.with[0])
            })
            .collect()
    }

    #[test]
    fn operators_are_swapped_for_those_of_the_same_types() {
        assert_eq!(
            changes("i32.lt_u", 0x49),
            ["i32.ge_u 0x4f", "i32.le_u 0x4d"]
        );
        assert_eq!(
            changes("i64.lt_u", 0x54),
            ["i64.ge_u 0x5a", "i64.le_u 0x58"]
        );
        assert_eq!(changes("i32.add", 0x6a), ["i32.sub 0x6b"]);
        assert_eq!(changes("i64.add", 0x7c), ["i64.sub 0x7d"]);
        assert_eq!(changes("i64.shr_u", 0x88), ["i64.shl 0x86"]);
        // i32.clz and f32.add have no twin.
        assert!(changes("", 0x67).is_empty());
        assert!(changes("", 0x92).is_empty());
    }

    #[test]
    fn every_swap_leads_to_a_known_operator() {
        for swap in &SWAPS {
            for other in swap.others {
                assert!(SWAPS.iter().any(|known| known.opcode == *other));
            }
        }
    }
}
