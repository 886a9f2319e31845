//! Types of components: how much each is made of.
//!
//! Two fields that are each the type before: after twenty such types a value
//! has a million parts, in eighty bytes. Whoever walks such a type (and a
//! validator does, at each use) walks all of it.

use super::component::kind_of;
use super::module::core_types;
use super::{Count, Item, Open, Scope, Shape, StructureError};
use wasmparser::{
    BinaryReader, ComponentAlias, ComponentDefinedType, ComponentExternName, ComponentFuncType,
    ComponentImport, ComponentType, ComponentTypeRef, ComponentValType, CoreType,
    ModuleTypeDeclaration,
};

/// Component and instance types that stand in each other, at most: reading one
/// is a recursion, of this code and of the libraries, on the stack of a thread.
const MOST_NESTED: usize = 64;

// How the binary format says what a type is, and a declaration in one.
const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;
const CORE_TYPE: u8 = 0x00;
const TYPE: u8 = 0x01;
const ALIAS: u8 = 0x02;
const IMPORT: u8 = 0x03;
const EXPORT: u8 = 0x04;

impl<'a> Shape<'a> {
    /// A section of types.
    pub(super) fn component_types(
        &mut self,
        mut reader: BinaryReader<'a>,
    ) -> Result<(), StructureError> {
        for _ in 0..reader.read_var_u32()? {
            self.next_type(&mut reader, 0)?;
        }
        Ok(())
    }

    fn next_type(
        &mut self,
        reader: &mut BinaryReader<'a>,
        depth: usize,
    ) -> Result<(), StructureError> {
        let item = match reader.clone().read_u8()? {
            COMPONENT | INSTANCE => {
                reader.read_u8()?;
                let most = self.limits.component_nesting().min(MOST_NESTED);
                Count::new("types nested in types", most, "nesting").set(depth + 1)?;
                self.open.push(Open::Type(Scope::default()));
                for _ in 0..reader.read_var_u32()? {
                    self.declaration(reader, depth + 1)?;
                }
                let Some(Open::Type(scope)) = self.open.pop() else {
                    return Ok(());
                };
                Item::exporting(scope.surface.saturating_add(1), scope.exports)
            }
            _ => match reader.read::<ComponentType<'a>>()? {
                ComponentType::Defined(ty) => Item::of_size(self.defined(&ty)?),
                ComponentType::Func(ty) => Item::of_size(self.function_type(&ty)?),
                ComponentType::Resource { .. }
                | ComponentType::Component(_)
                | ComponentType::Instance(_) => Item::leaf(),
            },
        };
        self.push(wasmparser::ComponentExternalKind::Type, item)
    }

    /// A declaration in the type that is open.
    fn declaration(
        &mut self,
        reader: &mut BinaryReader<'a>,
        depth: usize,
    ) -> Result<(), StructureError> {
        match reader.read_u8()? {
            CORE_TYPE => {
                let ty = reader.read::<CoreType<'a>>()?;
                self.core_type(&ty)
            }
            TYPE => self.next_type(reader, depth),
            ALIAS => {
                let alias = reader.read::<ComponentAlias<'a>>()?;
                self.alias(alias)
            }
            IMPORT => {
                let import = reader.read::<ComponentImport<'a>>()?;
                self.import(import.ty)
            }
            EXPORT => {
                let name = reader.read::<ComponentExternName<'a>>()?;
                let ty = reader.read::<ComponentTypeRef>()?;
                let item = self.item_of(ty)?;
                self.export(name.name, kind_of(ty), item)
            }
            other => Err(StructureError::Malformed(format!(
                "{other:#04x} begins no declaration of a type"
            ))),
        }
    }

    pub(super) fn core_type(&mut self, ty: &CoreType<'a>) -> Result<(), StructureError> {
        let size = match ty {
            CoreType::Rec(group) => core_types(group, &mut Vec::new()),
            CoreType::Module(declarations) => {
                declarations
                    .iter()
                    .fold(1, |sum: usize, declaration| match declaration {
                        ModuleTypeDeclaration::Type(group) => {
                            sum.saturating_add(core_types(group, &mut Vec::new()))
                        }
                        ModuleTypeDeclaration::Export { .. }
                        | ModuleTypeDeclaration::OuterAlias { .. }
                        | ModuleTypeDeclaration::Import(_) => sum.saturating_add(1),
                    })
            }
        };
        self.declare(size)?;
        self.scope(0)?.core_types.push(size);
        Ok(())
    }

    fn function_type(&mut self, ty: &ComponentFuncType<'a>) -> Result<usize, StructureError> {
        let mut size = 1usize;
        for value in ty.params.iter().map(|(_, ty)| *ty).chain(ty.result) {
            size = size.saturating_add(self.value(value)?);
        }
        Ok(size)
    }

    fn defined(&mut self, ty: &ComponentDefinedType<'a>) -> Result<usize, StructureError> {
        let parts: Vec<ComponentValType> = match ty {
            ComponentDefinedType::Record(fields) => fields.iter().map(|(_, ty)| *ty).collect(),
            ComponentDefinedType::Variant(cases) => {
                // A case without a value is a part too.
                let empty = cases.iter().filter(|case| case.ty.is_none()).count();
                let mut size = empty.saturating_add(1);
                for ty in cases.iter().filter_map(|case| case.ty) {
                    size = size.saturating_add(self.value(ty)?);
                }
                return Ok(size);
            }
            ComponentDefinedType::Tuple(types) => types.to_vec(),
            ComponentDefinedType::List(ty)
            | ComponentDefinedType::FixedLengthList(ty, _)
            | ComponentDefinedType::Option(ty) => vec![*ty],
            ComponentDefinedType::Map(key, value) => vec![*key, *value],
            ComponentDefinedType::Result { ok, err } => ok.iter().chain(err).copied().collect(),
            ComponentDefinedType::Future(ty) | ComponentDefinedType::Stream(ty) => {
                ty.iter().copied().collect()
            }
            ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => {
                return Ok(names.len().saturating_add(1));
            }
            ComponentDefinedType::Primitive(_)
            | ComponentDefinedType::Own(_)
            | ComponentDefinedType::Borrow(_) => Vec::new(),
        };
        let mut size = 1usize;
        for part in parts {
            size = size.saturating_add(self.value(part)?);
        }
        Ok(size)
    }

    pub(super) fn value(&mut self, ty: ComponentValType) -> Result<usize, StructureError> {
        match ty {
            ComponentValType::Primitive(_) => Ok(1),
            ComponentValType::Type(at) => Ok(self.type_at(at)?.size),
        }
    }
}
