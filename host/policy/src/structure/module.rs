//! The sections of a core module.

use super::{Open, Shape, StructureError};
use crate::segments;
use std::collections::BTreeMap;
use wasmparser::{
    CompositeInnerType, ElementItems, ElementKind, ExternalKind, Operator, Payload, RecGroup,
    TypeRef,
};

/// What a core type costs besides its values: the compiler makes a function
/// for each.
const TYPE: usize = 16;

/// What a global costs: the snapshot makes a function to read it.
const GLOBAL: usize = 16;

/// Bytes that an instance keeps for something that it imports or gives out,
/// and for a global.
const REFERENCE_BYTES: usize = 32;
const GLOBAL_BYTES: usize = 16;

/// How many values go in and how many come out.
#[derive(Clone, Copy, Default)]
pub(super) struct Arity {
    parameters: usize,
    results: usize,
}

impl Arity {
    /// What compilers pass: the component model takes more than 16 parameters
    /// and one result through memory.
    const USUAL: usize = 17;

    /// A single result.
    pub(super) const RESULT: Self = Self {
        parameters: 0,
        results: 1,
    };

    /// How many values there are.
    pub(super) fn all(self) -> usize {
        self.parameters + self.results
    }

    /// How many values there are beyond what compilers pass.
    pub(super) fn excess(self) -> usize {
        self.all().saturating_sub(Self::USUAL)
    }
}

/// What is known of a core module that is not at its end.
#[derive(Default)]
pub(super) struct Module {
    types: Vec<Arity>,
    /// The type of each function, those that are imported first.
    functions: Vec<u32>,
    /// Functions whose bodies were read, and those that have none.
    bodies: usize,
    imports: usize,
    exports: usize,
    globals: usize,
    elements: usize,
    imports_memory: bool,
    names_data: bool,
    /// How far the element segments of each table reach.
    reached: BTreeMap<u32, usize>,
}

impl Module {
    pub(super) fn type_at(&self, index: u32) -> Arity {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.types.get(index).copied().unwrap_or_default()
    }

    pub(super) fn function_at(&self, index: u32) -> Arity {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let ty = self.functions.get(index).copied();
        ty.map(|ty| self.type_at(ty)).unwrap_or_default()
    }

    /// The function whose body comes next.
    pub(super) fn next_function(&self) -> Arity {
        let ty = self.functions.get(self.bodies).copied();
        ty.map(|ty| self.type_at(ty)).unwrap_or_default()
    }

    /// Parameters are variables too. The longest list is taken for all.
    pub(super) fn longest_parameters(&self) -> usize {
        let lists = self.types.iter().map(|arity| arity.parameters);
        lists.max().unwrap_or_default()
    }

    /// What an instance takes besides its memories and tables.
    pub(super) fn instance_bytes(&self) -> usize {
        // A function that is given out has a reference of its own.
        let given_out = self.exports + self.elements + self.globals;
        let references = self.imports + given_out.min(self.functions.len());
        references * REFERENCE_BYTES + self.globals * GLOBAL_BYTES
    }

    /// Elements of its tables up to the last that a segment sets.
    pub(super) fn reached(&self) -> usize {
        let ends = self.reached.values().copied();
        ends.fold(0, usize::saturating_add)
    }
}

impl<'a> Shape<'a> {
    /// A section of the module that is open.
    pub(super) fn of_a_module(&mut self, payload: Payload<'a>) -> Result<(), StructureError> {
        let Some(Open::Module(mut module)) = self.open.pop() else {
            return Ok(());
        };
        let read = self.section(&mut module, payload);
        self.open.push(Open::Module(module));
        read
    }

    fn section(&mut self, module: &mut Module, payload: Payload<'a>) -> Result<(), StructureError> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the documentation of `structure` says what bounds the others"
        )]
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    self.declare(core_types(&group?, &mut module.types))?;
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.declare(1)?;
                    module.imports += 1;
                    match import?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            module.functions.push(ty);
                            module.bodies += 1;
                        }
                        TypeRef::Memory(_) => module.imports_memory = true,
                        TypeRef::Table(_) | TypeRef::Global(_) | TypeRef::Tag(_) => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                // Bounded before they are kept.
                self.functions.add(functions.count())?;
                for ty in functions {
                    let ty = ty?;
                    module.functions.push(ty);
                    self.locals.add_all(module.type_at(ty).excess())?;
                }
            }
            Payload::TableSection(tables) => self.declare_each(tables.count(), 1)?,
            Payload::MemorySection(memories) => self.declare_each(memories.count(), 1)?,
            Payload::TagSection(tags) => self.declare_each(tags.count(), 1)?,
            Payload::GlobalSection(globals) => {
                self.declare_each(globals.count(), GLOBAL)?;
                module.globals += size(globals.count());
            }
            Payload::ExportSection(exports) => {
                self.declare_each(exports.count(), 1)?;
                for export in exports {
                    if export?.kind == ExternalKind::Func {
                        module.exports += 1;
                    }
                }
            }
            Payload::ElementSection(segments) => {
                self.segments.add(segments.count())?;
                for segment in segments {
                    let segment = segment?;
                    let count = match &segment.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    self.elements.add(count)?;
                    module.elements += size(count);
                    if let ElementKind::Active {
                        table_index,
                        offset_expr,
                    } = segment.kind
                    {
                        let first = offset_expr.get_operators_reader().read()?;
                        let Operator::I32Const { value } = first else {
                            continue;
                        };
                        let end = size(value.cast_unsigned()).saturating_add(size(count));
                        let reached = module.reached.entry(table_index.unwrap_or(0)).or_default();
                        *reached = end.max(*reached);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let found = self.function(module, &body)?;
                module.names_data |= found.names_data;
                module.bodies += 1;
            }
            Payload::DataSection(data) => {
                let merging = segments::Merging {
                    imported_memory: module.imports_memory,
                    named: module.names_data,
                };
                let merged = segments::planned(data, merging, &mut self.zeros)?;
                self.segments.add_all(merged.len())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts so many declarations that weigh so much each.
    fn declare_each(&mut self, count: u32, weight: usize) -> Result<(), StructureError> {
        self.declare(size(count).saturating_mul(weight))
    }
}

/// What the types of a group weigh; the arity of each is added to `types`.
pub(super) fn core_types(group: &RecGroup, types: &mut Vec<Arity>) -> usize {
    let mut weight = 0usize;
    for ty in group.types() {
        let (arity, values) = match &ty.composite_type.inner {
            CompositeInnerType::Func(function) => {
                let arity = Arity {
                    parameters: function.params().len(),
                    results: function.results().len(),
                };
                (arity, arity.parameters + arity.results)
            }
            CompositeInnerType::Struct(fields) => (Arity::default(), fields.fields.len()),
            CompositeInnerType::Array(_) | CompositeInnerType::Cont(_) => (Arity::default(), 1),
        };
        types.push(arity);
        weight = weight.saturating_add(TYPE + values);
    }
    weight
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
