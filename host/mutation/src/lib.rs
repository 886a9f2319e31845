//! Changes a WebAssembly component one place at a time, to see whether
//! anybody notices.
//!
//! A policy's cases are as good as the mistakes they would find. This crate
//! makes such mistakes in the component itself, whichever language it was
//! written in: another constant, the opposite branch, another comparison,
//! another letter of a text. Whoever runs the cases says which of them are
//! noticed; those that are not are the answer.
//!
//! Nothing here runs WebAssembly, and no clock is here: both are the caller's,
//! given to [`hunt()`]. Every mutant differs from the component and from every
//! other mutant, and is as valid as the component was.
//!
//! | change | for example |
//! |---|---|
//! | a constant, one more and one less | `i32.const 7` → `i32.const 8` |
//! | a comparison, its opposite and its boundary | `i32.lt_u` → `i32.ge_u`, `i32.le_u` |
//! | a branch, an `if`, a `select`: the other way | `br_if 1` → `br_if 1` when not |
//! | arithmetic | `i32.add` → `i32.sub` |
//! | the first letter of a text in the data | `no-node` → `oo-node` |
//!
//! What no case reaches is not mutated: a trap is put in its place first, and
//! when nobody notices that, it is reported once as not reached. Frames of the
//! shadow stack, which compilers of C and Rust make in every function, are left
//! alone: a larger frame does not change behaviour.

mod change;
mod function;
mod hunt;
mod layout;
mod order;
mod patch;
mod plan;
mod text;

pub use hunt::{Hunt, Noticed, Report, Unreached, hunt};
pub use plan::{Mutant, Place, Plan, PlanError};
