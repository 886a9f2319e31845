//! Bounds on the shape of a component, checked before a compiler sees it.
//!
//! Compiling is an attack surface: half a megabyte of nested blocks keeps
//! Cranelift busy for twenty seconds, and a kilobyte of components that each
//! instantiate the one before twice makes 2⁴⁰ instances. One linear pass over
//! the bytes refuses them. Its recursion is bounded, and each sum saturates.
//!
//! # What bounds the cost of each section
//!
//! Everything is bounded by `component_bytes` too, which alone is no bound: a
//! byte may say "again, a thousand times". The names are those of
//! [`Limits`].
//!
//! | core module | what it costs | bound |
//! |---|---|---|
//! | custom | nothing: left out before compiling | `component_bytes` |
//! | type | a trampoline is compiled for each | `declarations`, a type at 16 and its values |
//! | import, export | an entry in a table of names; a place in each instance | `declarations`; `memory_bytes` for the places |
//! | function | parameters and results are variables of the compiler | `functions`; more than 17 of a function count as `locals` |
//! | table | elements of each instance; an image for the elements it begins with | `tables`, `table_elements` |
//! | memory | bytes of each instance | `memories`, `memory_bytes` |
//! | tag | – | not among the features of a policy |
//! | global | 16 bytes in each instance; the snapshot reads each by a function made for it | `memory_bytes`; `declarations`, a global at 16 |
//! | start | runs as a guest | `configure_fuel`, `deadline` |
//! | element | code for each segment, and time for each element | `segments`, `table_elements` |
//! | data count | a number | – |
//! | code | see [`function`] | `functions`, `function_bytes`, `nesting`, `locals`, `joins`, `indirect_calls` |
//! | data | code for each segment | `segments`, counted as [`segments`](crate::segments) merges them |
//!
//! | component | what it costs | bound |
//! |---|---|---|
//! | custom | nothing: left out before compiling | `component_bytes` |
//! | core module | compiled once, instantiated or not | `instances` |
//! | core instance | an instance with all its memory; arguments by name | `instances`, in all; `declarations` |
//! | core type | names and types | `declarations` |
//! | component | parsed once; the components that it closes over are copied with it | `nesting`; `declarations`, with all that it closes over |
//! | instance | everything that the component declares, once more | `component_instances`, in all; `declarations`, in all |
//! | alias, import, export, argument | a copy of what it stands for, with all that is in it | `declarations`, with all that is in it |
//! | type | each use walks all that it is made of; nested types are read by recursion | `declarations`, with all that it is made of; `nesting` |
//! | canon | a trampoline; between two components an adapter, a function by itself | `functions`, in all; `declarations`, an adapter at 64 and its type |
//! | start, value | – | not among the features of a policy |
//!
//! "In all" is what comes of it when the component is instantiated: what a
//! component has counts for each of its instances, and those in them. That can
//! be counted where each instance says which component or core module it is
//! made of. What a component makes of components that it is given as arguments
//! counts where it is instantiated, each time as if it were the most costly of
//! those. Whatever would hide more is refused ([`StructureError::Uncountable`]).

use crate::contract::one_line;
use crate::limits::Limits;
use nameplate_words::grouped;
use std::collections::HashMap;
use std::rc::Rc;
use wasmparser::{Parser, Payload};

mod component;
mod function;
mod module;
mod types;

use module::Module;

/// Why a component's shape is refused.
#[derive(Debug, thiserror::Error)]
pub enum StructureError {
    /// The bytes are no WebAssembly, or end too early.
    #[error("not well-formed WebAssembly: {0}")]
    Malformed(String),
    /// More of something than the limits allow.
    #[error(
        "{what}: {}, at most {} allowed (limit `{setting}`)",
        grouped(*found), grouped(*limit)
    )]
    TooMuch {
        /// What was counted.
        what: &'static str,
        /// How much there is; counting stops at the first excess.
        found: usize,
        /// How much there may be.
        limit: usize,
        /// Field of [`Limits`] that says so.
        setting: &'static str,
    },
    /// What its instantiation costs cannot be counted.
    #[error("{0}, so that nothing here can count what its instantiation makes")]
    Uncountable(&'static str),
}

impl From<wasmparser::Error> for StructureError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Malformed(one_line(&error))
    }
}

/// What is known of a component whose shape is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounded {
    /// Bytes that its core instances take besides their memories and tables.
    pub(crate) instance_bytes: usize,
}

/// Walks the whole component, nested modules and components included.
pub(crate) fn check(bytes: &[u8], limits: &Limits) -> Result<Bounded, StructureError> {
    let mut shape = Shape::new(limits);
    for payload in Parser::new(0).parse_all(bytes) {
        shape.payload(bytes, payload?)?;
    }
    Ok(shape.bounded)
}

/// What is known of a component when part of it has been read.
struct Shape<'a> {
    limits: &'a Limits,
    /// Components, types and at most one module that are not at their end.
    open: Vec<Open<'a>>,
    /// Components that are, by the order of their ends.
    components: Vec<Finished<'a>>,
    /// Bytes that an instance of each finished core module takes besides its
    /// memories and tables.
    modules: Vec<usize>,
    depth: Count,
    module_count: Count,
    functions: Count,
    locals: Count,
    joins: Count,
    segments: Count,
    elements: Count,
    extents: Count,
    declarations: Count,
    bounded: Bounded,
    /// Bytes that may still come in between when segments are merged.
    zeros: usize,
}

/// What the pass is inside of.
enum Open<'a> {
    Component(Scope<'a>),
    /// A component type or instance type.
    Type(Scope<'a>),
    Module(Module),
}

/// The index spaces of a component, or of the type of one.
#[derive(Default)]
struct Scope<'a> {
    types: Vec<Item<'a>>,
    core_types: Vec<usize>,
    functions: Vec<Item<'a>>,
    instances: Vec<Item<'a>>,
    components: Vec<Item<'a>>,
    /// Which of the finished ones each is, where that can be told.
    modules: Vec<Option<usize>>,
    exports: Exports<'a>,
    /// How much its imports and exports are made of.
    surface: usize,
    /// How much the components are made of that it closes over.
    closure: usize,
    totals: Totals,
}

/// What an index of a component stands for.
#[derive(Clone, Default)]
struct Item<'a> {
    /// How much it is made of, itself included.
    size: usize,
    /// What it exports, if it is an instance or the type of one.
    exports: Rc<Exports<'a>>,
    /// Which component it is, if it is one.
    component: Origin,
}

/// Where a component comes from.
#[derive(Clone, Copy, Default)]
enum Origin {
    /// From somewhere, and it cannot be told which it is.
    #[default]
    Elsewhere,
    /// It is this one of the finished ones.
    Here(usize),
    /// It is an argument of the component that is open.
    Given,
}

type Exports<'a> = HashMap<&'a str, Item<'a>>;

/// A component that was read to its end.
struct Finished<'a> {
    totals: Totals,
    /// An instance of it.
    instance: Item<'a>,
}

/// The totals of one instance of a component, with everything that it
/// instantiates.
#[derive(Clone, Copy, Default)]
struct Totals {
    component_instances: usize,
    instances: usize,
    /// Bytes of those instances besides their memories and tables.
    bytes: usize,
    canonicals: usize,
    declarations: usize,
    /// How often a component is instantiated that this one is given. What comes
    /// of that is not in the other sums.
    of_given: usize,
}

impl Totals {
    fn add(&mut self, other: Self) {
        *self = self.with(other, usize::saturating_add);
    }

    /// The larger of each.
    fn or_more(self, other: Self) -> Self {
        self.with(other, usize::max)
    }

    /// The same so many times.
    fn times(self, count: usize) -> Self {
        self.with(self, |one, _| one.saturating_mul(count))
    }

    fn with(self, other: Self, one_of: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            component_instances: one_of(self.component_instances, other.component_instances),
            instances: one_of(self.instances, other.instances),
            bytes: one_of(self.bytes, other.bytes),
            canonicals: one_of(self.canonicals, other.canonicals),
            declarations: one_of(self.declarations, other.declarations),
            of_given: one_of(self.of_given, other.of_given),
        }
    }
}

impl<'a> Shape<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            open: vec![Open::Component(Scope::default())],
            components: Vec::new(),
            modules: Vec::new(),
            depth: Count::new(
                "components nested in components",
                limits.component_nesting(),
                "nesting",
            ),
            module_count: Count::new("core modules", limits.instances, "instances"),
            functions: Count::new("functions", limits.functions, "functions"),
            locals: Count::new("local variables", limits.locals, "locals"),
            joins: Count::new(
                "variables and branches times joins and branches",
                limits.joins,
                "joins",
            ),
            segments: Count::new("data and element segments", limits.segments, "segments"),
            elements: Count::new(
                "elements in element segments",
                limits.table_elements,
                "table_elements",
            ),
            extents: Count::new(
                "table elements up to the last that is set",
                limits.table_elements,
                "table_elements",
            ),
            declarations: Count::new("declarations", limits.declarations, "declarations"),
            bounded: Bounded::default(),
            zeros: limits.memory_bytes,
        }
    }

    fn payload(&mut self, bytes: &'a [u8], payload: Payload<'a>) -> Result<(), StructureError> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "what it is inside of knows the other sections"
        )]
        match payload {
            Payload::ModuleSection { .. } => {
                self.module_count.add(1)?;
                self.declare(1)?;
                self.open.push(Open::Module(Module::default()));
                Ok(())
            }
            Payload::ComponentSection { .. } => {
                self.depth.add(1)?;
                self.open.push(Open::Component(Scope::default()));
                Ok(())
            }
            Payload::End(_) => self.end(),
            other => match self.open.last_mut() {
                Some(Open::Module(_)) => self.of_a_module(other),
                Some(Open::Component(_) | Open::Type(_)) | None => {
                    self.of_a_component(bytes, other)
                }
            },
        }
    }

    fn end(&mut self) -> Result<(), StructureError> {
        match self.open.pop() {
            Some(Open::Module(module)) => {
                let number = self.modules.len();
                self.modules.push(module.instance_bytes());
                self.extents.add_all(module.reached())?;
                self.scope(0)?.modules.push(Some(number));
                Ok(())
            }
            Some(Open::Component(scope)) => self.component_end(scope),
            Some(Open::Type(_)) | None => Ok(()),
        }
    }

    /// The component or type that is open, or one that it is inside of.
    fn scope(&mut self, outwards: u32) -> Result<&mut Scope<'a>, StructureError> {
        let outwards = usize::try_from(outwards).unwrap_or(usize::MAX);
        let scopes = self.open.iter_mut().rev().filter_map(|open| match open {
            Open::Component(scope) | Open::Type(scope) => Some(scope),
            Open::Module(_) => None,
        });
        scopes
            .into_iter()
            .nth(outwards)
            .ok_or_else(|| StructureError::Malformed("an alias points out of the file".to_owned()))
    }

    /// Counts what is declared, for the file and for the component that is open.
    fn declare(&mut self, count: usize) -> Result<(), StructureError> {
        self.declarations.add_all(count)?;
        let component = self.open.iter_mut().rev().find_map(|open| match open {
            Open::Component(scope) => Some(scope),
            Open::Type(_) | Open::Module(_) => None,
        });
        if let Some(scope) = component {
            let declared = &mut scope.totals.declarations;
            *declared = declared.saturating_add(count);
        }
        Ok(())
    }
}

/// A count and the limit that it has.
struct Count {
    what: &'static str,
    found: usize,
    limit: usize,
    setting: &'static str,
}

impl Count {
    fn new(what: &'static str, limit: usize, setting: &'static str) -> Self {
        Self {
            what,
            found: 0,
            limit,
            setting,
        }
    }

    fn add(&mut self, more: u32) -> Result<(), StructureError> {
        self.add_all(usize::try_from(more).unwrap_or(usize::MAX))
    }

    fn add_all(&mut self, more: usize) -> Result<(), StructureError> {
        self.set(self.found.saturating_add(more))
    }

    fn set(&mut self, found: usize) -> Result<(), StructureError> {
        self.found = found;
        if found > self.limit {
            return Err(StructureError::TooMuch {
                what: self.what,
                found,
                limit: self.limit,
                setting: self.setting,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
