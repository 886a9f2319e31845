//! Policies that mean harm, assembled on the spot: components of the contract
//! that any registry could serve.

use anyhow::Context as _;
use wasm_encoder::{
    BlockType, CodeSection, ComponentNameSection, ComponentSection as _, ConstExpr, DataSection,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, Instruction,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

/// What a hostile policy does when it is asked for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hostile {
    /// Never answers.
    LoopsForever,
    /// Takes all the memory there is.
    TakesMemory,
    /// Answers with `..`, to leave its attestor's part of the trust domain.
    ClimbsOut,
}

impl Hostile {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::LoopsForever, Self::TakesMemory, Self::ClimbsOut];

    /// What it calls itself.
    fn name(self) -> &'static str {
        match self {
            Self::LoopsForever => "loop",
            Self::TakesMemory => "glutton",
            Self::ClimbsOut => "climber",
        }
    }

    /// What it does, in words.
    pub(super) fn deed(self) -> &'static str {
        match self {
            Self::LoopsForever => "loops for ever",
            Self::TakesMemory => "takes all memory",
            Self::ClimbsOut => "answers `..`",
        }
    }

    /// The component.
    ///
    /// # Errors
    /// When the assembled module does not fit the contract: a defect of ours.
    pub(super) fn component(self) -> anyhow::Result<Vec<u8>> {
        let mut contract = SourceMap::default();
        contract.push_str("naming.wit", include_str!("../../../../wit/naming.wit"));
        contract.push_str("world.wit", include_str!("../../../../wit/world.wit"));
        let contract = contract
            .parse()
            .map_err(|(_, error)| error)
            .context("the contract cannot be read")?;
        let mut resolve = Resolve::default();
        let package = resolve.push_group(contract)?;
        let world = resolve.select_world(&[package], Some("policy"))?;
        let mut module = self.module();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        let mut component = ComponentEncoder::default().module(&module)?.encode()?;
        let mut name = ComponentNameSection::new();
        name.component(self.name());
        name.append_to_component(&mut component);
        Ok(component)
    }

    /// The core module: `configure` takes any settings, `derive` does harm.
    fn module(self) -> Vec<u8> {
        /// Address of a `result` that is all zero: ok, with nothing in it.
        const OK: i32 = 0;
        /// Address of a derivation whose only segment is `..`.
        const CLIMB: i32 = 16;
        /// Where memory for the arguments begins.
        const HEAP: i32 = 1024;

        let mut types = TypeSection::new();
        for parameters in [2, 1, 4] {
            types
                .ty()
                .function(vec![ValType::I32; parameters], [ValType::I32]);
        }
        let mut functions = FunctionSection::new();
        functions.function(0).function(1).function(2);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut globals = GlobalSection::new();
        let next = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(next, &ConstExpr::i32_const(HEAP));
        let mut exports = ExportSection::new();
        exports
            .export(
                "nameplate:policy/naming@0.1.0#configure",
                ExportKind::Func,
                0,
            )
            .export("nameplate:policy/naming@0.1.0#derive", ExportKind::Func, 1)
            .export("cabi_realloc", ExportKind::Func, 2)
            .export("memory", ExportKind::Memory, 0);

        let mut code = CodeSection::new();
        code.function(&body(&[Instruction::I32Const(OK)]))
            .function(&match self {
                Self::LoopsForever => body(&[
                    Instruction::Loop(BlockType::Empty),
                    Instruction::Br(0),
                    Instruction::End,
                    Instruction::Unreachable,
                ]),
                Self::TakesMemory => body(&[
                    Instruction::Loop(BlockType::Empty),
                    Instruction::I32Const(1),
                    Instruction::MemoryGrow(0),
                    Instruction::Drop,
                    Instruction::Br(0),
                    Instruction::End,
                    Instruction::Unreachable,
                ]),
                Self::ClimbsOut => body(&[Instruction::I32Const(CLIMB)]),
            })
            .function(&allocate());

        // A result: tag, then the lists `path` and `selectors`, each an address
        // and a length. Behind it the one segment, and its text.
        let climb = [0, 40, 1, 0, 0, 0, 48, 2].map(i32::to_le_bytes).concat();
        let mut data = DataSection::new();
        data.active(0, &ConstExpr::i32_const(CLIMB), climb);
        data.active(0, &ConstExpr::i32_const(48), *b"..");

        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&memories)
            .section(&globals)
            .section(&exports)
            .section(&code)
            .section(&data);
        module.finish()
    }
}

fn body(instructions: &[Instruction<'_>]) -> Function {
    let mut function = Function::new([]);
    for instruction in instructions {
        function.instruction(instruction);
    }
    function.instruction(&Instruction::End);
    function
}

/// `cabi_realloc` that gives memory out and never takes it back.
fn allocate() -> Function {
    const SIZE: u32 = 3;
    const ADDRESS: u32 = 4;
    let mut function = Function::new([(1, ValType::I32)]);
    for instruction in [
        Instruction::GlobalGet(0),
        Instruction::I32Const(15),
        Instruction::I32Add,
        Instruction::I32Const(-16),
        Instruction::I32And,
        Instruction::LocalTee(ADDRESS),
        Instruction::LocalGet(SIZE),
        Instruction::I32Add,
        Instruction::GlobalSet(0),
        Instruction::LocalGet(ADDRESS),
        Instruction::End,
    ] {
        function.instruction(&instruction);
    }
    function
}

#[cfg(test)]
mod tests {
    use super::*;
    use nameplate_policy::{Policy, PolicyRequest, PolicySource, Sandbox, Start};

    #[test]
    fn each_is_a_policy_by_the_contract() {
        let sandbox = Sandbox::new().unwrap();
        for hostile in Hostile::ALL {
            let bytes = hostile.component().unwrap();
            let request = PolicyRequest::new(PolicySource::Bytes(bytes.into()));
            let policy = Policy::load(&sandbox, &request).unwrap();
            assert_eq!(policy.start(), &Start::Configured, "{hostile:?}");
            assert!(policy.interface().imports.is_empty());
        }
    }
}
