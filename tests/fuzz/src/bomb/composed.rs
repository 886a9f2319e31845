//! A component, step by step as the choices say.

use super::{Choices, module};
use wasm_encoder::{
    Alias, CanonicalOption, ComponentBuilder, ComponentExportKind, ComponentOuterAliasKind,
    ComponentType, ComponentTypeRef, ComponentValType, CustomSection, ExportKind, InstanceType,
    ModuleArg, ModuleType, PrimitiveValType, TypeBounds, ValType,
};

/// What a step can refer to in the component that is composed.
#[derive(Default)]
struct Known {
    /// Types of values.
    values: Vec<u32>,
    /// Types of functions that neither take nor give anything.
    plain: Option<u32>,
    /// Modules, and whether they import something.
    modules: Vec<(u32, bool)>,
    /// Core instances with a function `f`.
    cores: Vec<u32>,
    core_functions: Vec<u32>,
    functions: Vec<u32>,
    instances: Vec<u32>,
    /// Components that need no argument.
    components: Vec<u32>,
    /// Names that are taken.
    names: u32,
}

impl Known {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }
}

/// Components nest in each other this deep at most: deeper is said by a step.
const DEEPEST: usize = 5;

pub(super) fn component(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut outer = Vec::new();
    compose(choices, &mut outer).finish()
}

/// `outer` says for each component around this one which components it has.
fn compose(choices: &mut Choices<'_>, outer: &mut Vec<Vec<u32>>) -> ComponentBuilder {
    let mut builder = ComponentBuilder::default();
    let mut known = Known::default();
    let steps = 1 + choices.below(12);
    for _ in 0..steps {
        if choices.over() {
            break;
        }
        step(choices, &mut builder, &mut known, outer);
    }
    builder
}

fn one_of(choices: &mut Choices<'_>, of: &[u32]) -> Option<u32> {
    let at = choices.below(u32::try_from(of.len()).unwrap());
    of.get(usize::try_from(at).unwrap()).copied()
}

fn step(
    choices: &mut Choices<'_>,
    to: &mut ComponentBuilder,
    known: &mut Known,
    outer: &mut Vec<Vec<u32>>,
) {
    match choices.below(21) {
        0..=2 => {
            let (module, imports) = module::module(choices);
            known.modules.push((to.core_module(None, &module), imports));
            core_instances(choices, to, known, 1);
        }
        3 => {
            let times = choices.times().min(2_000);
            core_instances(choices, to, known, times);
        }
        4 => nested(choices, to, known, outer),
        5 => doubled_components(choices, to, known),
        6 => {
            let times = choices.times();
            let Some(component) = one_of(choices, &known.components) else {
                return;
            };
            for _ in 0..times.min(2_000) {
                let none: [(&str, ComponentExportKind, u32); 0] = [];
                known.instances.push(to.instantiate(None, component, none));
            }
        }
        7 => closures(choices, to),
        8 => {
            let Some(level) = outer.last().filter(|level| !level.is_empty()) else {
                return;
            };
            let index = one_of(choices, level).unwrap();
            for _ in 0..choices.times() {
                known.components.push(to.alias(
                    None,
                    Alias::Outer {
                        kind: ComponentOuterAliasKind::Component,
                        count: 1,
                        index,
                    },
                ));
            }
        }
        9 => doubled_values(choices, to, known),
        10 => wide_types(choices, to, known),
        11 => instance_types(choices, to),
        12 => nested_types(choices, to),
        13 => doubled_instances(choices, to, known),
        14 => lifted(choices, to, known),
        15 => {
            let times = choices.times();
            let Some(function) = one_of(choices, &known.functions) else {
                return;
            };
            for _ in 0..times {
                let none: [CanonicalOption; 0] = [];
                let lowered = to.lower_func(None, function, none);
                known.core_functions.push(lowered);
            }
        }
        16 => exports(choices, to, known),
        17 => module_types(choices, to),
        18 => arguments(choices, to, known),
        20 => given(choices, to, known),
        _ => {
            let data = vec![1; usize::try_from(choices.times()).unwrap()];
            for _ in 0..choices.times().min(3_000) {
                to.custom_section(&CustomSection {
                    name: "".into(),
                    data: data.as_slice().into(),
                });
                if data.len() > 100 {
                    break;
                }
            }
        }
    }
}

fn core_instances(
    choices: &mut Choices<'_>,
    to: &mut ComponentBuilder,
    known: &mut Known,
    times: u32,
) {
    let at = choices.below(u32::try_from(known.modules.len()).unwrap());
    let Some((module, imports)) = known.modules.get(usize::try_from(at).unwrap()).copied() else {
        return;
    };
    for _ in 0..times {
        let mut arguments = Vec::new();
        if imports {
            // A function of another, given out under the name that is asked for.
            let Some(other) = known.cores.last().copied() else {
                return;
            };
            let function = to.core_alias_export(None, other, "f", ExportKind::Func);
            let bag = to.core_instantiate_exports(None, [("f", ExportKind::Func, function)]);
            arguments.push(("m", ModuleArg::Instance(bag)));
        }
        known
            .cores
            .push(to.core_instantiate(None, module, arguments));
    }
}

fn nested(
    choices: &mut Choices<'_>,
    to: &mut ComponentBuilder,
    known: &mut Known,
    outer: &mut Vec<Vec<u32>>,
) {
    if outer.len() < DEEPEST {
        outer.push(known.components.clone());
        let inner = compose(choices, outer);
        outer.pop();
        known.components.push(to.component(None, inner));
        return;
    }
    // As deep as it says, with nothing in it.
    let mut inner = ComponentBuilder::default();
    for _ in 0..choices.times().min(1_000) {
        let mut around = ComponentBuilder::default();
        around.component(None, inner);
        inner = around;
    }
    known.components.push(to.component(None, inner));
}

/// Each makes some instances of the one before.
fn doubled_components(choices: &mut Choices<'_>, to: &mut ComponentBuilder, known: &mut Known) {
    let none: [(&str, ComponentExportKind, u32); 0] = [];
    let width = 1 + choices.below(3);
    for _ in 0..=choices.below(40) {
        let before = known.components.last().copied();
        let mut inner = ComponentBuilder::default();
        if let Some(index) = before {
            let alias = Alias::Outer {
                kind: ComponentOuterAliasKind::Component,
                count: 1,
                index,
            };
            let before = inner.alias(None, alias);
            for _ in 0..width {
                inner.instantiate(None, before, none);
            }
        }
        known.components.push(to.component(None, inner));
    }
    if choices.below(4) > 0 {
        let last = *known.components.last().unwrap();
        known.instances.push(to.instantiate(None, last, none));
    }
}

/// Each closes over the two before, and none is instantiated.
fn closures(choices: &mut Choices<'_>, to: &mut ComponentBuilder) {
    let mut before = to.component(None, ComponentBuilder::default());
    for _ in 0..=choices.below(40) {
        let mut inner = ComponentBuilder::default();
        for _ in 0..2 {
            let alias = Alias::Outer {
                kind: ComponentOuterAliasKind::Component,
                count: 1,
                index: before,
            };
            inner.alias(None, alias);
        }
        before = to.component(None, inner);
    }
}

/// Each is made of two of the one before.
fn doubled_values(choices: &mut Choices<'_>, to: &mut ComponentBuilder, known: &mut Known) {
    let (mut last, ty) = to.type_defined(None);
    ty.primitive(PrimitiveValType::U8);
    for _ in 0..=choices.below(24) {
        let (next, ty) = to.type_defined(None);
        ty.tuple([ComponentValType::Type(last), ComponentValType::Type(last)]);
        last = next;
    }
    known.values.push(last);
}

fn wide_types(choices: &mut Choices<'_>, to: &mut ComponentBuilder, known: &mut Known) {
    let names: Vec<String> = (0..choices.times().min(9_000))
        .map(|n| format!("n{n}"))
        .collect();
    let part = match one_of(choices, &known.values) {
        Some(ty) => ComponentValType::Type(ty),
        None => ComponentValType::Primitive(PrimitiveValType::String),
    };
    let (index, ty) = to.type_defined(None);
    match choices.below(4) {
        0 => ty.record(names.iter().map(|name| (name.as_str(), part))),
        1 => ty.variant(names.iter().map(|name| (name.as_str(), Some(part)))),
        2 => ty.enum_type(names.iter().map(String::as_str)),
        _ => ty.tuple(names.iter().map(|_| part)),
    }
    known.values.push(index);
    let (_, mut function) = to.type_function(None);
    let most = names.iter().take(900);
    function
        .params(most.map(|name| (name.as_str(), part)))
        .result(Some(ComponentValType::Type(index)));
}

/// Exports of each are two of the one before.
fn instance_types(choices: &mut Choices<'_>, to: &mut ComponentBuilder) {
    let levels = choices.below(24);
    let functions = choices.times();
    let mut outermost = InstanceType::new();
    outermost
        .ty()
        .function()
        .params::<_, ComponentValType>([])
        .result(None);
    let mut last = 0;
    // A value of many parts in each function.
    if choices.below(2) == 1 {
        let mut value = ComponentValType::Primitive(PrimitiveValType::U8);
        for _ in 0..choices.below(22) {
            let next = outermost.type_count();
            outermost.ty().defined_type().tuple([value, value]);
            value = ComponentValType::Type(next);
        }
        last = outermost.type_count();
        outermost
            .ty()
            .function()
            .params([("a", value)])
            .result(None);
    }
    for number in 0..functions {
        let name = format!("f{number}");
        outermost.export(name.as_str(), ComponentTypeRef::Func(last));
    }
    let mut index = to.type_instance(None, &outermost);
    for _ in 0..levels {
        let mut around = InstanceType::new();
        around.alias(Alias::Outer {
            kind: ComponentOuterAliasKind::Type,
            count: 1,
            index,
        });
        around.export("l", ComponentTypeRef::Instance(0));
        around.export("r", ComponentTypeRef::Instance(0));
        index = to.type_instance(None, &around);
    }
}

/// Types that are declared in each other.
fn nested_types(choices: &mut Choices<'_>, to: &mut ComponentBuilder) {
    let mut inner = InstanceType::new();
    for _ in 0..choices.times().min(5_000) {
        let mut around = InstanceType::new();
        around.ty().instance(&inner);
        inner = around;
    }
    to.type_instance(None, &inner);
}

/// Bags of two of the one before.
fn doubled_instances(choices: &mut Choices<'_>, to: &mut ComponentBuilder, known: &mut Known) {
    let mut last = match one_of(choices, &known.instances) {
        Some(instance) => instance,
        None => {
            let none: [(&str, ComponentExportKind, u32); 0] = [];
            let empty = to.component(None, ComponentBuilder::default());
            to.instantiate(None, empty, none)
        }
    };
    let mut component = ComponentBuilder::default();
    let ty = component.type_instance(None, &InstanceType::new());
    component.import("i", ComponentTypeRef::Instance(ty));
    component.export("l", ComponentExportKind::Instance, 0, None);
    component.export("r", ComponentExportKind::Instance, 0, None);
    let pair = to.component(None, component);
    for _ in 0..=choices.below(24) {
        last = to.instantiate(None, pair, [("i", ComponentExportKind::Instance, last)]);
        known.instances.push(last);
    }
}

fn lifted(choices: &mut Choices<'_>, to: &mut ComponentBuilder, known: &mut Known) {
    let Some(core) = known.cores.last().copied() else {
        return;
    };
    let plain = *known.plain.get_or_insert_with(|| {
        let (index, mut ty) = to.type_function(None);
        ty.params::<_, ComponentValType>([]).result(None);
        index
    });
    let function = to.core_alias_export(None, core, "f", ExportKind::Func);
    known.core_functions.push(function);
    let post_return = choices.below(2) == 1;
    for _ in 0..choices.times() {
        let options: &[CanonicalOption] = match post_return {
            true => &[CanonicalOption::UTF8, CanonicalOption::PostReturn(function)],
            false => &[],
        };
        let lifted = to.lift_func(None, function, plain, options.iter().copied());
        known.functions.push(lifted);
    }
}

fn exports(choices: &mut Choices<'_>, to: &mut ComponentBuilder, known: &mut Known) {
    let (kind, of) = match choices.below(3) {
        0 => (ComponentExportKind::Func, &known.functions),
        1 => (ComponentExportKind::Instance, &known.instances),
        _ => (ComponentExportKind::Component, &known.components),
    };
    let Some(index) = one_of(choices, of) else {
        return;
    };
    for _ in 0..choices.times() {
        let name = known.name();
        to.export(name.as_str(), kind, index, None);
    }
}

fn module_types(choices: &mut Choices<'_>, to: &mut ComponentBuilder) {
    let mut ty = ModuleType::new();
    let values = vec![ValType::I32; usize::try_from(choices.times().min(1_000)).unwrap()];
    ty.ty().function(values.iter().copied(), []);
    for number in 0..choices.times() {
        let name = format!("n{number}");
        ty.export(&name, wasm_encoder::EntityType::Function(0));
    }
    for _ in 0..choices.times().min(300) {
        let (_, encoder) = to.core_type(None);
        encoder.module(&ty);
    }
}

/// A component that asks for much, and all of it given.
/// A component that makes many of the one that it is given, given another that
/// does; one of them may hand it on, or out.
fn given(choices: &mut Choices<'_>, to: &mut ComponentBuilder, known: &mut Known) {
    let none = || -> [(&str, ComponentExportKind, u32); 0] { [] };
    let taken = |inner: &mut ComponentBuilder| {
        let ty = inner.type_component(None, &ComponentType::new());
        inner.import("c", ComponentTypeRef::Component(ty))
    };
    let mut maker = ComponentBuilder::default();
    let component = taken(&mut maker);
    for _ in 0..choices.times().min(2_000) {
        maker.instantiate(None, component, none());
    }
    if choices.below(4) == 1 {
        maker.export("d", ComponentExportKind::Component, component, None);
    }
    let mut maker = to.component(None, maker);
    for _ in 0..choices.times().min(60) {
        let mut around = ComponentBuilder::default();
        let component = taken(&mut around);
        let outer = Alias::Outer {
            kind: ComponentOuterAliasKind::Component,
            count: 1,
            index: maker,
        };
        let inner = around.alias(None, outer);
        for _ in 0..1 + choices.below(3) {
            let handed_on = [("c", ComponentExportKind::Component, component)];
            around.instantiate(None, inner, handed_on);
        }
        maker = to.component(None, around);
    }
    let component = match one_of(choices, &known.components) {
        Some(component) => component,
        None => to.component(None, ComponentBuilder::default()),
    };
    let instance = to.instantiate(
        None,
        maker,
        [("c", ComponentExportKind::Component, component)],
    );
    known.instances.push(instance);
}

fn arguments(choices: &mut Choices<'_>, to: &mut ComponentBuilder, known: &mut Known) {
    let names: Vec<String> = (0..choices.times()).map(|n| format!("n{n}")).collect();
    let Some(function) = one_of(choices, &known.functions) else {
        // Types are given to components, too.
        let (ty, encoder) = to.type_defined(None);
        encoder.list(PrimitiveValType::U8);
        let mut inner = ComponentBuilder::default();
        let (own, encoder) = inner.type_defined(None);
        encoder.list(PrimitiveValType::U8);
        for name in &names {
            inner.import(name.as_str(), ComponentTypeRef::Type(TypeBounds::Eq(own)));
        }
        let inner = to.component(None, inner);
        let given = names
            .iter()
            .map(|name| (name, ComponentExportKind::Type, ty));
        to.instantiate(None, inner, given);
        return;
    };
    let mut inner = ComponentBuilder::default();
    let (plain, mut ty) = inner.type_function(None);
    ty.params::<_, ComponentValType>([]).result(None);
    for name in &names {
        let function = inner.import(name.as_str(), ComponentTypeRef::Func(plain));
        if choices.below(4) == 1 {
            let none: [CanonicalOption; 0] = [];
            inner.lower_func(None, function, none);
        }
    }
    let inner = to.component(None, inner);
    let given = names
        .iter()
        .map(|name| (name, ComponentExportKind::Func, function));
    known.instances.push(to.instantiate(None, inner, given));
}
