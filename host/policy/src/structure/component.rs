//! The sections of a component: what each instance is made of, and the totals
//! when the component is instantiated.

use super::{Count, Exports, Finished, Item, Scope, Shape, StructureError, Totals};
use std::rc::Rc;
use wasmparser::{
    BinaryReader, CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, Instance, Payload, TypeBounds,
};

/// What an adapter between two components costs besides its type: the compiler
/// makes a function for each, which copies and checks every value.
const ADAPTER: usize = 64;

const PASSED: &str = "a component is passed on as a value";
const UNKNOWN_COMPONENT: &str = "a component is instantiated that comes from elsewhere";
const UNKNOWN_MODULE: &str = "a core module is instantiated that comes from elsewhere";

impl<'a> Shape<'a> {
    /// A section of the component that is open.
    pub(super) fn of_a_component(
        &mut self,
        bytes: &'a [u8],
        payload: Payload<'a>,
    ) -> Result<(), StructureError> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the documentation of `structure` says what bounds the others"
        )]
        match payload {
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    self.core_instance(&instance?)?;
                }
            }
            Payload::CoreTypeSection(types) => {
                for ty in types {
                    self.core_type(&ty?)?;
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    self.component_instance(instance?)?;
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.alias(alias?)?;
                }
            }
            Payload::ComponentTypeSection(types) => {
                // Not by way of wasmparser's types, which it reads by recursion.
                let range = types.range();
                let section = bytes.get(range.clone()).unwrap_or_default();
                self.component_types(BinaryReader::new(section, range.start))?;
            }
            Payload::ComponentCanonicalSection(functions) => {
                // Each canonical function is compiled as a trampoline.
                self.functions.add(functions.count())?;
                for function in functions {
                    self.canonical(function?)?;
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    self.import(import?.ty)?;
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Component {
                        return Err(StructureError::Uncountable(PASSED));
                    }
                    let item = self.item(export.kind, export.index)?;
                    let ascribed = match export.ty {
                        Some(ty) => self.item_of(ty)?.size,
                        None => 0,
                    };
                    self.declare(ascribed)?;
                    self.export(export.name.name, export.kind, item)?;
                }
            }
            Payload::ComponentStartSection { .. } => self.declare(1)?,
            _ => {}
        }
        Ok(())
    }

    /// The end of a component: its totals are now known.
    pub(super) fn component_end(&mut self, scope: Scope<'a>) -> Result<(), StructureError> {
        let totals = scope.totals;
        let canonicals = self.functions.found.saturating_add(totals.canonicals);
        Count::new("functions", self.limits.functions, "functions").set(canonicals)?;
        if self.open.is_empty() {
            self.bounded.instance_bytes = totals.bytes;
            return Ok(());
        }
        self.depth.found = self.depth.found.saturating_sub(1);
        let item = Item {
            size: scope.closure.saturating_add(1),
            exports: Rc::default(),
            component: Some(self.components.len()),
        };
        self.components.push(Finished {
            totals,
            instance: Item {
                size: scope.surface.saturating_add(1),
                exports: Rc::new(scope.exports),
                component: None,
            },
        });
        self.declare(item.size)?;
        self.scope(0)?.components.push(item);
        Ok(())
    }

    fn core_instance(&mut self, instance: &Instance<'a>) -> Result<(), StructureError> {
        match instance {
            Instance::Instantiate { module_index, args } => {
                self.declare(args.len().saturating_add(1))?;
                let modules = &self.scope(0)?.modules;
                let module = index(modules, *module_index).copied().flatten();
                let bytes = module.and_then(|module| self.modules.get(module));
                let Some(bytes) = bytes.copied() else {
                    return Err(StructureError::Uncountable(UNKNOWN_MODULE));
                };
                self.comes_to(Totals {
                    instances: 1,
                    bytes,
                    ..Totals::default()
                })
            }
            Instance::FromExports(exports) => self.declare(exports.len().saturating_add(1)),
        }
    }

    fn component_instance(
        &mut self,
        instance: ComponentInstance<'a>,
    ) -> Result<(), StructureError> {
        let made = match instance {
            ComponentInstance::Instantiate {
                component_index,
                args,
            } => {
                for argument in &args {
                    if argument.kind == ComponentExternalKind::Component {
                        return Err(StructureError::Uncountable(PASSED));
                    }
                    let size = self.item(argument.kind, argument.index)?.size;
                    self.declare(size)?;
                }
                let components = &self.scope(0)?.components;
                let component = index(components, component_index).cloned();
                let component = component.unwrap_or_default();
                // What it closes over is copied.
                self.declare(component.size)?;
                let finished = component.component.and_then(|at| self.components.get(at));
                let Some(finished) = finished else {
                    return Err(StructureError::Uncountable(UNKNOWN_COMPONENT));
                };
                let made = finished.instance.clone();
                let mut totals = finished.totals;
                totals.component_instances = totals.component_instances.saturating_add(1);
                self.comes_to(totals)?;
                made
            }
            ComponentInstance::FromExports(exports) => {
                let mut made = Exports::new();
                let mut surface = 1usize;
                for export in &exports {
                    if export.kind == ComponentExternalKind::Component {
                        return Err(StructureError::Uncountable(PASSED));
                    }
                    let item = self.item(export.kind, export.index)?;
                    surface = surface.saturating_add(item.size);
                    made.insert(export.name.name, item);
                }
                Item {
                    size: surface,
                    exports: Rc::new(made),
                    component: None,
                }
            }
        };
        self.push(ComponentExternalKind::Instance, made)
    }

    /// Adds to the totals of the open component.
    fn comes_to(&mut self, more: Totals) -> Result<(), StructureError> {
        let limits = self.limits;
        let totals = &mut self.scope(0)?.totals;
        totals.add(more);
        let totals = *totals;
        for (what, found, limit, setting) in [
            (
                "instances of components",
                totals.component_instances,
                limits.component_instances,
                "component_instances",
            ),
            (
                "core instances",
                totals.instances,
                limits.instances,
                "instances",
            ),
            (
                "bytes of globals and references in all core instances",
                totals.bytes,
                limits.memory_bytes,
                "memory_bytes",
            ),
            (
                "declarations",
                totals.declarations,
                limits.declarations,
                "declarations",
            ),
        ] {
            Count::new(what, limit, setting).set(found)?;
        }
        Ok(())
    }

    fn canonical(&mut self, function: CanonicalFunction) -> Result<(), StructureError> {
        let canonicals = &mut self.scope(0)?.totals.canonicals;
        *canonicals = canonicals.saturating_add(1);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the others are a name for something that the engine has"
        )]
        match function {
            CanonicalFunction::Lift {
                type_index,
                options,
                ..
            } => {
                self.declare(options.len())?;
                let item = self.type_at(type_index)?;
                self.push(ComponentExternalKind::Func, item)
            }
            CanonicalFunction::Lower {
                func_index,
                options,
            } => {
                let size = self.item(ComponentExternalKind::Func, func_index)?.size;
                let adapter = size.saturating_add(ADAPTER);
                self.declare(adapter.saturating_add(options.len()))
            }
            // None of them has more than a few options.
            _ => self.declare(8),
        }
    }

    pub(super) fn alias(&mut self, alias: ComponentAlias<'a>) -> Result<(), StructureError> {
        match alias {
            ComponentAlias::InstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let instances = &self.scope(0)?.instances;
                let instance = index(instances, instance_index);
                let item = instance.and_then(|instance| instance.exports.get(name));
                let item = item.cloned().unwrap_or_else(Item::leaf);
                self.push(kind, item)
            }
            ComponentAlias::CoreInstanceExport { .. } => self.declare(1),
            ComponentAlias::Outer { kind, count, index } => self.outer(kind, count, index),
        }
    }

    /// Something of a component that the open one stands in.
    fn outer(
        &mut self,
        kind: ComponentOuterAliasKind,
        count: u32,
        at: u32,
    ) -> Result<(), StructureError> {
        let outer = self.scope(count)?;
        let copied = match kind {
            ComponentOuterAliasKind::CoreModule => {
                let module = index(&outer.modules, at).copied().flatten();
                self.scope(0)?.modules.push(module);
                self.declare(1)?;
                1
            }
            ComponentOuterAliasKind::CoreType => {
                let size = index(&outer.core_types, at).copied().unwrap_or(1);
                self.scope(0)?.core_types.push(size);
                return self.declare(size);
            }
            ComponentOuterAliasKind::Type => {
                let item = index(&outer.types, at).cloned();
                return self.push(ComponentExternalKind::Type, item.unwrap_or_else(Item::leaf));
            }
            ComponentOuterAliasKind::Component => {
                let item = index(&outer.components, at).cloned();
                let item = item.unwrap_or_else(Item::leaf);
                let size = item.size;
                self.push(ComponentExternalKind::Component, item)?;
                size
            }
        };
        // Every component in between has to hand it on.
        for between in 0..count {
            let closure = &mut self.scope(between)?.closure;
            *closure = closure.saturating_add(copied);
        }
        Ok(())
    }

    pub(super) fn import(&mut self, ty: ComponentTypeRef) -> Result<(), StructureError> {
        let item = self.item_of(ty)?;
        let surface = &mut self.scope(0)?.surface;
        *surface = surface.saturating_add(item.size);
        self.push(kind_of(ty), item)
    }

    pub(super) fn export(
        &mut self,
        name: &'a str,
        kind: ComponentExternalKind,
        item: Item<'a>,
    ) -> Result<(), StructureError> {
        let scope = self.scope(0)?;
        scope.surface = scope.surface.saturating_add(item.size);
        scope.exports.insert(name, item.clone());
        self.push(kind, item)
    }

    /// The next of an index space.
    pub(super) fn push(
        &mut self,
        kind: ComponentExternalKind,
        item: Item<'a>,
    ) -> Result<(), StructureError> {
        self.declare(item.size)?;
        let scope = self.scope(0)?;
        match kind {
            ComponentExternalKind::Module => scope.modules.push(None),
            ComponentExternalKind::Func => scope.functions.push(item),
            ComponentExternalKind::Type => scope.types.push(item),
            ComponentExternalKind::Instance => scope.instances.push(item),
            ComponentExternalKind::Component => scope.components.push(item),
            ComponentExternalKind::Value => {}
        }
        Ok(())
    }

    fn item(&mut self, kind: ComponentExternalKind, at: u32) -> Result<Item<'a>, StructureError> {
        let scope = self.scope(0)?;
        let space = match kind {
            ComponentExternalKind::Func => &scope.functions,
            ComponentExternalKind::Type => &scope.types,
            ComponentExternalKind::Instance => &scope.instances,
            ComponentExternalKind::Component => &scope.components,
            ComponentExternalKind::Module | ComponentExternalKind::Value => {
                return Ok(Item::leaf());
            }
        };
        // What is not there is for the validator to refuse.
        Ok(index(space, at).cloned().unwrap_or_else(Item::leaf))
    }

    pub(super) fn type_at(&mut self, at: u32) -> Result<Item<'a>, StructureError> {
        self.item(ComponentExternalKind::Type, at)
    }

    /// Something of a type, which is all that is known of it.
    pub(super) fn item_of(&mut self, ty: ComponentTypeRef) -> Result<Item<'a>, StructureError> {
        match ty {
            ComponentTypeRef::Module(at) => {
                let size = index(&self.scope(0)?.core_types, at).copied();
                Ok(Item::of_size(size.unwrap_or(1)))
            }
            ComponentTypeRef::Func(at)
            | ComponentTypeRef::Instance(at)
            | ComponentTypeRef::Component(at)
            | ComponentTypeRef::Type(TypeBounds::Eq(at)) => self.type_at(at),
            ComponentTypeRef::Value(ty) => Ok(Item::of_size(self.value(ty)?)),
            ComponentTypeRef::Type(TypeBounds::SubResource) => Ok(Item::leaf()),
        }
    }
}

impl Item<'_> {
    pub(super) fn leaf() -> Self {
        Self::of_size(1)
    }

    pub(super) fn of_size(size: usize) -> Self {
        Self {
            size,
            exports: Rc::default(),
            component: None,
        }
    }
}

pub(super) fn kind_of(ty: ComponentTypeRef) -> ComponentExternalKind {
    match ty {
        ComponentTypeRef::Module(_) => ComponentExternalKind::Module,
        ComponentTypeRef::Func(_) => ComponentExternalKind::Func,
        ComponentTypeRef::Value(_) => ComponentExternalKind::Value,
        ComponentTypeRef::Type(_) => ComponentExternalKind::Type,
        ComponentTypeRef::Instance(_) => ComponentExternalKind::Instance,
        ComponentTypeRef::Component(_) => ComponentExternalKind::Component,
    }
}

fn index<T>(space: &[T], at: u32) -> Option<&T> {
    space.get(usize::try_from(at).unwrap_or(usize::MAX))
}
