//! The sections of a component: what each instance is made of, and the totals
//! when the component is instantiated.

use super::{Count, Exports, Finished, Item, Origin, Scope, Shape, StructureError, Totals};
use std::rc::Rc;
use wasmparser::{
    BinaryReader, CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentInstantiationArg, ComponentOuterAliasKind, ComponentTypeRef, Instance, Payload,
    TypeBounds,
};

/// What an adapter between two components costs besides its type: the compiler
/// makes a function for each, which copies and checks every value.
const ADAPTER: usize = 64;

const TAKES_COMPONENTS: &str = "a component that takes components is given to another";
const UNKNOWN_COMPONENT: &str = "a component is instantiated that comes from elsewhere";

/// What comes of an instance of a component that the open one is given.
const ONE_OF_GIVEN: Totals = Totals {
    component_instances: 0,
    instances: 0,
    bytes: 0,
    canonicals: 0,
    declarations: 0,
    of_given: 1,
};
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
            if totals.of_given > 0 {
                return Err(StructureError::Uncountable(UNKNOWN_COMPONENT));
            }
            self.bounded.instance_bytes = totals.bytes;
            return Ok(());
        }
        self.depth.found = self.depth.found.saturating_sub(1);
        let surface = scope.surface.saturating_add(1);
        let item = Item {
            size: scope.closure.saturating_add(surface),
            exports: Rc::default(),
            component: Origin::Here(self.components.len()),
        };
        self.components.push(Finished {
            totals,
            instance: Item::exporting(surface, scope.exports),
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
            } => self.instantiated(component_index, &args)?,
            ComponentInstance::FromExports(exports) => {
                let mut made = Exports::new();
                let mut surface = 1usize;
                for export in &exports {
                    let item = self.item(export.kind, export.index)?;
                    surface = surface.saturating_add(item.size);
                    made.insert(export.name.name, item.given_away());
                }
                Item::exporting(surface, made)
            }
        };
        self.push(ComponentExternalKind::Instance, made)
    }

    /// An instance of a component; what comes of it is counted.
    fn instantiated(
        &mut self,
        component: u32,
        arguments: &[ComponentInstantiationArg<'a>],
    ) -> Result<Item<'a>, StructureError> {
        let mut given = Vec::new();
        for argument in arguments {
            let item = self.item(argument.kind, argument.index)?;
            self.declare(item.size)?;
            if argument.kind == ComponentExternalKind::Component {
                given.push(item);
            }
        }
        let component = self.item(ComponentExternalKind::Component, component)?;
        // What it closes over is copied.
        self.declare(component.size)?;
        match component.component {
            Origin::Here(at) => {
                let Some(finished) = self.components.get(at) else {
                    return Err(StructureError::Uncountable(UNKNOWN_COMPONENT));
                };
                let (made, mut totals) = (finished.instance.clone(), finished.totals);
                totals.component_instances = totals.component_instances.saturating_add(1);
                let of_given = std::mem::take(&mut totals.of_given);
                if of_given > 0 {
                    totals.add(self.most_of(&given)?.times(of_given));
                }
                self.comes_to(totals)?;
                Ok(made)
            }
            Origin::Given if !given.is_empty() => {
                Err(StructureError::Uncountable(TAKES_COMPONENTS))
            }
            Origin::Given => {
                self.comes_to(ONE_OF_GIVEN)?;
                Ok(Item {
                    component: Origin::Elsewhere,
                    ..component
                })
            }
            Origin::Elsewhere => Err(StructureError::Uncountable(UNKNOWN_COMPONENT)),
        }
    }

    /// What comes of an instance of one of these components, at most.
    fn most_of(&self, given: &[Item<'a>]) -> Result<Totals, StructureError> {
        if given.is_empty() {
            return Err(StructureError::Uncountable(UNKNOWN_COMPONENT));
        }
        let mut most = Totals::default();
        for item in given {
            let totals = match item.component {
                Origin::Here(at) => self.components.get(at).map(|finished| finished.totals),
                Origin::Given => Some(ONE_OF_GIVEN),
                Origin::Elsewhere => None,
            };
            let mut totals = totals.ok_or(StructureError::Uncountable(UNKNOWN_COMPONENT))?;
            if matches!(item.component, Origin::Here(_)) {
                if totals.of_given > 0 {
                    return Err(StructureError::Uncountable(TAKES_COMPONENTS));
                }
                totals.component_instances = totals.component_instances.saturating_add(1);
                // What it closes over is copied, here too.
                totals.declarations = totals.declarations.saturating_add(item.size);
            }
            most = most.or_more(totals);
        }
        Ok(most)
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
                let mut item = item.unwrap_or_else(Item::leaf);
                if count > 0 {
                    item = item.given_away();
                }
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
        let mut item = self.item_of(ty)?;
        let surface = &mut self.scope(0)?.surface;
        *surface = surface.saturating_add(item.size);
        if kind_of(ty) == ComponentExternalKind::Component {
            item.component = Origin::Given;
        }
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
        scope.exports.insert(name, item.clone().given_away());
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

impl<'a> Item<'a> {
    pub(super) fn leaf() -> Self {
        Self::of_size(1)
    }

    pub(super) fn of_size(size: usize) -> Self {
        Self::exporting(size, Exports::default())
    }

    /// An instance, or the type of one.
    pub(super) fn exporting(size: usize, exports: Exports<'a>) -> Self {
        Self {
            size,
            exports: Rc::new(exports),
            component: Origin::Elsewhere,
        }
    }

    /// The same for another component than the one that is open: what this one
    /// was given is nothing that the other was.
    fn given_away(self) -> Self {
        let component = match self.component {
            Origin::Given => Origin::Elsewhere,
            other @ (Origin::Elsewhere | Origin::Here(_)) => other,
        };
        Self { component, ..self }
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
