//! Merged and unmerged, a memory begins alike.

use super::lean;
use wasmtime::{Engine, Instance, Module, Store};

/// A core module with two pages of memory and these fields.
fn module(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(module (memory (export \"memory\") 2) {fields})")).unwrap()
}

/// The same as the only thing in a component, leaned, and taken out of it.
fn leaned(module: &[u8]) -> Vec<u8> {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    let mut component = HEADER.to_vec();
    super::append(
        &mut component,
        super::ComponentSectionId::CoreModule.into(),
        module,
    );
    let lean = lean(&component, 1 << 20).into_owned();
    let sections = super::sections(&lean).unwrap();
    let [only] = sections.as_slice() else {
        panic!("{} sections", sections.len());
    };
    only.content.to_vec()
}

/// The memory of an instance; none where it traps.
fn memory(engine: &Engine, module: &[u8]) -> Option<Vec<u8>> {
    let module = Module::new(engine, module).unwrap();
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).ok()?;
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    Some(memory.data(&store).to_vec())
}

fn count(module: &[u8]) -> u32 {
    let sections = super::sections(module).unwrap();
    let data = sections
        .iter()
        .find(|section| section.is(super::SectionId::Data));
    data.map_or(0, |data| {
        super::BinaryReader::new(data.content, 0)
            .read_var_u32()
            .unwrap()
    })
}

/// The same numbers in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }
}

#[test]
fn a_memory_begins_alike_whatever_was_merged() {
    let engine = Engine::default();
    let mut dice = Dice(7);
    let mut trapped = 0;
    for _ in 0..300 {
        let mut fields = String::new();
        let naming = dice.below(8) == 0;
        for number in 0..dice.below(20) {
            // Mostly near each other, and now and then at the very end.
            let at = match dice.below(12) {
                0 => (128 << 10) - dice.below(4),
                1 => dice.below(128 << 10),
                _ => dice.below(200),
            };
            let text = format!("\\{:02x}", number + 1).repeat(dice.below(9));
            fields.push_str(&match dice.below(10) {
                0 => format!("(data \"{text}\")"),
                1 => format!("(data (global.get $g) \"{text}\")"),
                _ => format!("(data (i32.const {at}) \"{text}\")"),
            });
        }
        if naming {
            fields.push_str("(data \"abc\") (func $s (memory.init 0 (i32.const 1) (i32.const 0) (i32.const 0)) (data.drop 0)) (start $s)");
        }
        let fields = format!("(global $g i32 (i32.const {})) {fields}", dice.below(150));
        let plain = module(&fields.replace("global.get $g", "i32.const 77"));
        let lean = leaned(&plain);
        assert!(count(&lean) <= count(&plain));
        let memory = [&plain, &lean].map(|module| memory(&engine, module));
        trapped += u32::from(memory[0].is_none());
        assert!(memory[0] == memory[1], "{fields}");
    }
    // Both happen.
    assert!((10..290).contains(&trapped), "{trapped}");
}

#[test]
fn an_offset_that_only_an_instance_knows_keeps_its_place() {
    let engine = Engine::default();
    let text = |offset: &str| {
        wat::parse_str(format!(
            "(module (import \"m\" \"g\" (global $g i32)) (memory (export \"memory\") 1)
               (data (i32.const 0) \"aaaa\") (data (i32.const 2) \"b\")
               (data ({offset}) \"cc\")
               (data (i32.const 1) \"d\") (data (i32.const 3) \"e\"))"
        ))
        .unwrap()
    };
    let plain = text("global.get $g");
    let lean = leaned(&plain);
    // The two before it are one. It may have written between those after it.
    assert_eq!((count(&plain), count(&lean)), (5, 4));
    for offset in [0, 2, 60_000] {
        let memory = [&plain, &lean].map(|module| {
            let module = Module::new(&engine, module).unwrap();
            let mut store = Store::new(&engine, ());
            let ty = wasmtime::GlobalType::new(wasmtime::ValType::I32, wasmtime::Mutability::Const);
            let global = wasmtime::Global::new(&mut store, ty, offset.into()).unwrap();
            let instance = Instance::new(&mut store, &module, &[global.into()]).unwrap();
            let memory = instance.get_memory(&mut store, "memory").unwrap();
            memory.data(&store).to_vec()
        });
        assert!(memory[0] == memory[1], "{offset}");
    }
}

#[test]
fn many_data_segments_become_few() {
    let far = |apart: usize| {
        let each = |number: usize| format!("(data (i32.const {}) \"a\")", number * apart);
        module(&(0..10).map(each).collect::<String>())
    };
    // A page apart they are one, with zeros between; further they are not.
    assert_eq!(count(&leaned(&far(4097))), 1);
    assert_eq!(count(&leaned(&far(4098))), 10);
    let empty = module(&"(data (i32.const 5) \"\")".repeat(1_000));
    assert_eq!(count(&leaned(&empty)), 1);
    let empty = module(
        &("(data (i32.const 4) \"ab\")".to_owned() + &"(data (i32.const 5) \"\")".repeat(1_000)),
    );
    assert_eq!(count(&leaned(&empty)), 1);
    // Another's memory is not all zeros.
    let imported = wat::parse_str(
        "(module (import \"m\" \"m\" (memory 1)) (data (i32.const 0) \"a\")
           (data (i32.const 1) \"b\") (data (i32.const 3) \"c\"))",
    )
    .unwrap();
    assert_eq!(count(&leaned(&imported)), 2);
}

#[test]
fn custom_sections_are_left_out() {
    let plain =
        wat::parse_str("(component (core module (func)) (component (core module)))").unwrap();
    assert_eq!(lean(&plain, 0), plain);
    let said = wat::parse_str(
        r#"(component $named (@custom "a" "x") (core module $named (@custom "b" "x") (func $f))
             (component (@custom "c" "x") (core module (@custom "d" "x"))))"#,
    )
    .unwrap();
    assert!(said.len() > plain.len());
    assert_eq!(lean(&said, 0), plain);
    for torn in [&said[..said.len() - 1], &plain[..7], b""] {
        assert_eq!(lean(torn, 0), torn);
    }
}
