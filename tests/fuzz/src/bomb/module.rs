//! A core module of a bomb.

use super::Choices;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements,
    EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    ImportSection, Instruction, MemorySection, MemoryType, Module, RefType, StartSection,
    TableSection, TableType, TypeSection, ValType,
};

/// Type of a function that neither takes nor gives anything.
const PLAIN: u32 = 0;
/// Type of a function that takes and gives as much as was chosen.
const WIDE: u32 = 1;

/// A module that exports a function `f`, and whether it imports one.
pub(super) fn module(choices: &mut Choices<'_>) -> (Module, bool) {
    let imports = choices.below(8) == 1;
    let kind = choices.below(10);
    let times = choices.times();
    let width = choices.times().min(1_000);
    let much = |asked: u32| if kind == asked { times } else { 0 };

    let mut types = TypeSection::new();
    types.ty().function([], []);
    let values = vec![ValType::I32; usize::try_from(width).unwrap()];
    types
        .ty()
        .function(values.iter().copied(), values.iter().copied());
    for number in 0..much(1) {
        // Each another one: its parameters are the bits of its number.
        let bits = (0..18).map(|bit| match number >> bit & 1 {
            0 => ValType::I32,
            _ => ValType::I64,
        });
        types.ty().function(bits, []);
    }

    let mut module = Module::new();
    module.section(&types);
    if imports {
        let mut section = ImportSection::new();
        section.import("m", "f", EntityType::Function(PLAIN));
        module.section(&section);
    }
    let first = u32::from(imports);
    let (bodies, body) = body(choices, kind, times, first);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    functions.function(PLAIN);
    code.function(&body);
    for _ in 1..bodies {
        functions.function(WIDE);
        let mut unreachable = Function::new([]);
        unreachable.instruction(&Instruction::Unreachable);
        unreachable.instruction(&Instruction::End);
        code.function(&unreachable);
    }
    module.section(&functions);

    let elements = much(2);
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        minimum: u64::from(elements.max(1)),
        maximum: None,
        table64: false,
        shared: false,
    });
    module.section(&tables);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    module.section(&memories);
    let mut globals = GlobalSection::new();
    for number in 0..much(3) {
        let ty = GlobalType {
            val_type: ValType::I32,
            mutable: number % 2 == 0,
            shared: false,
        };
        globals.global(ty, &ConstExpr::i32_const(1));
    }
    module.section(&globals);
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, first);
    for number in 0..much(4) {
        exports.export(&format!("e{number}"), ExportKind::Func, first);
    }
    module.section(&exports);
    if choices.below(3) == 1 {
        module.section(&StartSection {
            function_index: first,
        });
    }
    let mut segments = ElementSection::new();
    let listed = vec![first; usize::try_from(elements).unwrap()];
    match choices.below(3) {
        0 => {
            let list = Elements::Functions(listed.as_slice().into());
            segments.active(None, &ConstExpr::i32_const(0), list);
        }
        1 => {
            for _ in 0..elements {
                segments.passive(Elements::Functions([first].as_slice().into()));
            }
        }
        _ => {
            segments.declared(Elements::Functions(listed.as_slice().into()));
        }
    }
    module.section(&segments);
    let (data, named) = data(choices, much(5));
    if named {
        module.section(&DataCountSection { count: data.len() });
    }
    module.section(&code);
    module.section(&data);
    (module, imports)
}

/// Functions that the module has, and what the first of them does.
fn body(choices: &mut Choices<'_>, kind: u32, times: u32, first: u32) -> (u32, Function) {
    let bodies = match kind {
        6 => times,
        _ => 1,
    };
    let locals = match choices.below(4) {
        1 => times.min(40_000),
        _ => 1,
    };
    let mut body = Function::new([(locals, ValType::I32)]);
    let mut add = |instruction: Instruction<'_>| {
        body.instruction(&instruction);
    };
    match (kind, choices.below(7)) {
        (7, 0) => {
            for _ in 0..times {
                add(Instruction::Block(BlockType::Empty));
            }
            for _ in 0..times {
                add(Instruction::End);
            }
        }
        (7, 1) => {
            // As many values as the type says, again and again.
            add(Instruction::Loop(BlockType::Empty));
            add(Instruction::Block(BlockType::FunctionType(PLAIN)));
            for _ in 0..times {
                add(Instruction::LocalGet(0));
                add(Instruction::BrIf(0));
            }
            add(Instruction::End);
            add(Instruction::End);
        }
        (7, 2) => {
            for _ in 0..times.min(1_000) {
                add(Instruction::I32Const(0));
            }
            // Valid if the type has as many.
            for _ in 0..times {
                add(Instruction::Block(BlockType::FunctionType(WIDE)));
                add(Instruction::End);
            }
            for _ in 0..times.min(1_000) {
                add(Instruction::Drop);
            }
        }
        (7, 3) => {
            let targets = vec![0; usize::try_from(times).unwrap()];
            add(Instruction::Block(BlockType::Empty));
            add(Instruction::LocalGet(0));
            add(Instruction::BrTable(targets.as_slice().into(), 0));
            add(Instruction::End);
        }
        (7, 4) => {
            for _ in 0..times {
                add(Instruction::I32Const(0));
                add(Instruction::CallIndirect {
                    type_index: PLAIN,
                    table_index: 0,
                });
            }
        }
        (7, 5) => {
            add(Instruction::Loop(BlockType::Empty));
            add(Instruction::Br(0));
            add(Instruction::End);
        }
        (7, 6) => {
            // One after the other, with a variable that each of them changes.
            for _ in 0..times {
                add(Instruction::Loop(BlockType::Empty));
                add(Instruction::LocalGet(0));
                add(Instruction::I32Const(1));
                add(Instruction::I32Add);
                add(Instruction::LocalTee(0));
                add(Instruction::BrIf(0));
                add(Instruction::End);
            }
        }
        (8, _) => {
            for _ in 0..times {
                add(Instruction::LocalGet(0));
                add(Instruction::LocalSet(0));
            }
        }
        (9, _) => {
            add(Instruction::I32Const(i32::try_from(times).unwrap()));
            add(Instruction::MemoryGrow(0));
            add(Instruction::Drop);
            add(Instruction::Call(first));
        }
        _ => {}
    }
    add(Instruction::End);
    (bodies, body)
}

/// So many segments, and whether their number is said beforehand.
fn data(choices: &mut Choices<'_>, times: u32) -> (DataSection, bool) {
    let mut data = DataSection::new();
    let apart = choices.times();
    let size = usize::try_from(choices.below(9)).unwrap();
    let passive = choices.below(4) == 1;
    for number in 0..times {
        let bytes = vec![1; size];
        if passive {
            data.passive(bytes);
        } else {
            let at = number.saturating_mul(apart) % 60_000;
            let at = i32::try_from(at).unwrap();
            data.active(0, &ConstExpr::i32_const(at), bytes);
        }
    }
    (data, choices.below(2) == 1)
}
