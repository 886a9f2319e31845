//! What bounds one function: its bytes, how deep its blocks nest, its
//! variables, and where control flow and values come together.

use super::module::{Arity, Module};
use super::{Count, Shape, StructureError};
use crate::segments;
use wasmparser::{BlockType, FunctionBody, Operator};

/// What a value costs that is passed on, against a variable at a branch: the
/// compiler has to give it a place of its own.
const PASSED: usize = 16;

/// How many places times places cost as much as a variable at one of them.
///
/// The register allocator merges what meets at a place into what met before
/// it: with each place its lists grow, and are copied. 5,000 loops in a row
/// took it 22 seconds, and 6,000 that pass five values on 10 GiB.
const PLACES: usize = 16;

/// What was found in a body that its module has to know.
pub(super) struct Found {
    /// Whether a segment of data is named in it.
    pub(super) names_data: bool,
}

impl Shape<'_> {
    /// Bounds the next function of `module`.
    pub(super) fn function(
        &mut self,
        module: &Module,
        body: &FunctionBody<'_>,
    ) -> Result<Found, StructureError> {
        let limits = self.limits;
        let mut bytes = Count::new(
            "bytes in one function",
            limits.function_bytes,
            "function_bytes",
        );
        bytes.set(body.range().len())?;
        let before = self.locals.found;
        for declared in body.get_locals_reader()? {
            self.locals.add(declared?.0)?;
        }
        let mut nesting = Count::new("blocks nested in a function", limits.nesting, "nesting");
        let mut indirect_calls = Count::new(
            "calls through a table in a function",
            limits.indirect_calls,
            "indirect_calls",
        );
        let mut branches = 0usize;
        // What is passed on beyond what a usual function passes: two bytes may
        // call a function of a thousand parameters and a thousand results.
        let mut passed = 0usize;
        // All that blocks take and give and branches take along.
        let mut carried = 0usize;
        // The values of the blocks that are open, the function's own first.
        let mut open = vec![module.next_function()];
        let mut names_data = false;
        for operator in body.get_operators_reader()? {
            let at = |open: &[Arity], depth: u32| {
                let depth = usize::try_from(depth).unwrap_or(usize::MAX);
                open.iter().rev().nth(depth).copied().unwrap_or_default()
            };
            let operator = operator?;
            names_data |= segments::names(&operator);
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "600 operators, of which these alone shape the control flow"
            )]
            let more = match operator {
                Operator::Block { blockty }
                | Operator::Loop { blockty }
                | Operator::If { blockty }
                | Operator::Try { blockty } => {
                    nesting.add(1)?;
                    branches += 1;
                    let values = block(module, blockty);
                    open.push(values);
                    carried = carried.saturating_add(values.all());
                    values.excess()
                }
                Operator::TryTable { try_table } => {
                    nesting.add(1)?;
                    branches += 1;
                    let values = block(module, try_table.ty);
                    open.push(values);
                    carried = carried.saturating_add(values.all());
                    values.excess()
                }
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    branches += 1;
                    let values = at(&open, relative_depth);
                    carried = carried.saturating_add(values.all());
                    values.excess()
                }
                Operator::BrTable { targets } => {
                    branches += usize::try_from(targets.len()).unwrap_or(usize::MAX / 2) + 1;
                    let mut excess = 0usize;
                    let default = std::iter::once(Ok(targets.default()));
                    for target in targets.targets().chain(default) {
                        let values = at(&open, target?);
                        carried = carried.saturating_add(values.all());
                        excess = excess.saturating_add(values.excess());
                    }
                    excess
                }
                Operator::CallIndirect { type_index, .. } => {
                    indirect_calls.add(1)?;
                    module.type_at(type_index).excess()
                }
                Operator::Call { function_index } => module.function_at(function_index).excess(),
                Operator::End => {
                    nesting.found = nesting.found.saturating_sub(1);
                    open.pop();
                    0
                }
                _ => 0,
            };
            passed = passed.saturating_add(more);
        }
        bytes.add_all(passed)?;
        let variables = self.locals.found - before + module.longest_parameters();
        let joined = variables.saturating_mul(branches);
        let passed = passed.saturating_mul(PASSED);
        let met = branches.saturating_mul(branches.saturating_add(carried)) / PLACES;
        let joined = joined.saturating_add(passed).saturating_add(met);
        self.joins.add_all(joined)?;
        Ok(Found { names_data })
    }
}

fn block(module: &Module, ty: BlockType) -> Arity {
    match ty {
        BlockType::Empty => Arity::default(),
        BlockType::Type(_) => Arity::RESULT,
        BlockType::FuncType(index) => module.type_at(index),
    }
}
