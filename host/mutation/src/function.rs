//! The mistakes that can be made in one function, by the stretches of it that
//! are run or not run as a whole.

use crate::change::{self, Change};
use crate::layout::Body;
use crate::plan::PlanError;
use wasmparser::Operator;

/// Instructions that run one after the other once the first does.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// Where the first of them stands.
    pub(crate) at: usize,
    /// The stretch that has to be reached for this one to be, among those of
    /// the function; none for the first.
    pub(crate) parent: Option<usize>,
    /// The mistakes to be made in it.
    pub(crate) changes: Vec<Change>,
    /// The addresses that it names.
    pub(crate) addresses: Vec<u32>,
}

/// Cuts a function into stretches.
pub(crate) fn stretches(body: &Body<'_>, bytes: &[u8]) -> Result<Vec<Stretch>, PlanError> {
    let operators: Vec<_> = body
        .body
        .get_operators_reader()?
        .into_iter_with_offsets()
        .collect::<Result<_, _>>()?;
    let end = body.body.range().end;
    let start = operators.first().map_or(end, |(_, at)| *at);
    let mut cut = Cut::begin(start);
    for (index, (operator, at)) in operators.iter().enumerate() {
        let after = |steps: usize| operators.get(index.saturating_add(steps)).map(|(op, _)| op);
        let before = index.checked_sub(1).and_then(|index| operators.get(index));
        let next = operators
            .get(index.saturating_add(1))
            .map_or(end, |(_, next)| *next);
        let frame = is_frame(before.map(|(op, _)| op), operator, after(1), after(2));
        if let (false, Some(&opcode)) = (frame, bytes.get(*at)) {
            cut.add(change::of(operator, &(*at..next), opcode));
        }
        cut.name(operator);
        cut.pass(operator, next);
    }
    Ok(cut.stretches)
}

/// A function as far as it has been read.
struct Cut {
    stretches: Vec<Stretch>,
    /// The stretch being read.
    current: usize,
    /// For each open block the stretch that it was entered from.
    open: Vec<usize>,
}

impl Cut {
    fn begin(at: usize) -> Self {
        Self {
            stretches: vec![Stretch {
                at,
                parent: None,
                changes: Vec::new(),
                addresses: Vec::new(),
            }],
            current: 0,
            open: Vec::new(),
        }
    }

    fn add(&mut self, changes: Vec<Change>) {
        if let Some(stretch) = self.stretches.get_mut(self.current) {
            stretch.changes.extend(changes);
        }
    }

    /// Keeps what may be the address of something in the data.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other operator that compilers make holds an address"
    )]
    fn name(&mut self, operator: &Operator<'_>) {
        let address = match operator {
            Operator::I32Const { value } => Some(value.cast_unsigned()),
            Operator::I32Load { memarg }
            | Operator::I64Load { memarg }
            | Operator::I32Load8U { memarg }
            | Operator::I32Load8S { memarg }
            | Operator::I32Load16U { memarg }
            | Operator::I32Load16S { memarg } => u32::try_from(memarg.offset).ok(),
            _ => None,
        };
        if let (Some(address), Some(stretch)) = (address, self.stretches.get_mut(self.current)) {
            stretch.addresses.push(address);
        }
    }

    /// Goes on behind `operator`, in another stretch where that is one.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other operator makes what follows run or not run"
    )]
    fn pass(&mut self, operator: &Operator<'_>, next: usize) {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } => self.open.push(self.current),
            Operator::If { .. } => {
                self.open.push(self.current);
                self.cut(next, self.current);
            }
            Operator::Else => {
                let entered = self.open.last().copied().unwrap_or(0);
                self.cut(next, entered);
            }
            Operator::BrIf { .. } => self.cut(next, self.current),
            // Reached from the end of the block or from a branch out of it;
            // either way the block was entered.
            Operator::End => {
                if let Some(entered) = self.open.pop() {
                    self.cut(next, entered);
                }
            }
            _ => {}
        }
    }

    fn cut(&mut self, at: usize, parent: usize) {
        self.current = self.stretches.len();
        self.stretches.push(Stretch {
            at,
            parent: Some(parent),
            changes: Vec::new(),
            addresses: Vec::new(),
        });
    }
}

/// Whether an operator makes or takes back a frame of the shadow stack:
/// `global.get`, constant, `i32.sub`; or constant, `i32.add`, `global.set`.
fn is_frame(
    before: Option<&Operator<'_>>,
    operator: &Operator<'_>,
    next: Option<&Operator<'_>>,
    after: Option<&Operator<'_>>,
) -> bool {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only these three stand in either"
    )]
    match operator {
        Operator::I32Const { .. } => {
            matches!(
                (before, next),
                (Some(Operator::GlobalGet { .. }), Some(Operator::I32Sub))
            ) || matches!(
                (next, after),
                (Some(Operator::I32Add), Some(Operator::GlobalSet { .. }))
            )
        }
        Operator::I32Sub => {
            matches!(before, Some(Operator::I32Const { .. }))
                && matches!(
                    (next, after),
                    (
                        Some(Operator::LocalTee { .. }),
                        Some(Operator::GlobalSet { .. })
                    )
                )
        }
        Operator::I32Add => matches!(next, Some(Operator::GlobalSet { .. })),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::modules;

    fn cut(body: &str) -> Vec<(Option<usize>, Vec<String>)> {
        let text = format!(
            "(component (core module (global (mut i32) (i32.const 0))
                (func (param i32) (local i32) {body})))"
        );
        let bytes = wat::parse_str(text).unwrap();
        let modules = modules(&bytes).unwrap();
        stretches(&modules[0].bodies[0], &bytes)
            .unwrap()
            .into_iter()
            .map(|stretch| {
                let becomes = stretch.changes.into_iter().map(|change| change.becomes);
                (stretch.parent, becomes.collect())
            })
            .collect()
    }

    #[test]
    fn a_stretch_ends_where_control_may_go_elsewhere() {
        let cut = cut("block
                local.get 0
                br_if 0
                local.get 0
                if
                    i32.const 5
                    drop
                else
                    nop
                end
                nop
            end
            local.get 0
            i32.eqz
            drop");
        let constants = ["i32.const 6", "i32.const 4"].map(str::to_owned).to_vec();
        let other = |text: &str| vec![format!("{text}, the other way")];
        assert_eq!(
            cut,
            [
                (None, other("br_if 0")),
                (Some(0), other("if")),
                (Some(1), constants),
                (Some(1), vec![]),
                (Some(1), vec![]),
                (Some(0), other("i32.eqz")),
            ]
        );
    }

    #[test]
    fn frames_of_the_shadow_stack_are_left_alone() {
        let framed = "global.get 0 i32.const 16 i32.sub local.tee 1 global.set 0
            local.get 1 i32.const 16 i32.add global.set 0";
        assert_eq!(cut(framed), [(None, vec![])]);
        let unframed = "local.get 0 i32.const 16 i32.sub local.set 1";
        assert_eq!(
            cut(unframed),
            [(
                None,
                ["i32.const 17", "i32.const 15", "i32.add"]
                    .map(str::to_owned)
                    .to_vec()
            )]
        );
    }
}
