//! What bounds one function: its bytes, how deep its blocks nest, its
//! variables, and where control flow and values come together.

use super::module::{Arity, Module};
use super::{Count, Shape, StructureError};
use crate::segments;
use wasmparser::{BlockType, FunctionBody, Operator};

/// What a value costs that is passed on, against a variable at a branch: the
/// compiler has to give it a place of its own.
const PASSED: usize = 16;

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
        // The values of the blocks that are open, the function's own first.
        let mut open = vec![module.next_function()];
        let mut names_data = false;
        for operator in body.get_operators_reader()? {
            let at = |open: &[Arity], depth: u32| {
                let depth = usize::try_from(depth).unwrap_or(usize::MAX);
                let values = open.iter().rev().nth(depth);
                values.map_or(0, |arity| arity.excess())
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
                    values.excess()
                }
                Operator::TryTable { try_table } => {
                    nesting.add(1)?;
                    branches += 1;
                    let values = block(module, try_table.ty);
                    open.push(values);
                    values.excess()
                }
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    branches += 1;
                    at(&open, relative_depth)
                }
                Operator::BrTable { targets } => {
                    let mut values = at(&open, targets.default());
                    branches += usize::try_from(targets.len()).unwrap_or(usize::MAX / 2) + 1;
                    for target in targets.targets() {
                        values = values.saturating_add(at(&open, target?));
                    }
                    values
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
        self.joins.add_all(joined.saturating_add(passed))?;
        Ok(Found { names_data })
    }
}

fn block(module: &Module, ty: BlockType) -> Arity {
    match ty {
        BlockType::Empty | BlockType::Type(_) => Arity::default(),
        BlockType::FuncType(index) => module.type_at(index),
    }
}
