//! Each bound of the structure, with a component just within it and one just
//! beyond.

use super::*;

/// A component around one module whose only function is `body`.
fn component(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module (func {body})))")).unwrap()
}

fn refusal(bytes: &[u8], limits: &Limits) -> String {
    check(bytes, limits).unwrap_err().to_string()
}

#[test]
fn nesting_is_bounded() {
    let limits = Limits {
        nesting: 8,
        ..Limits::default()
    };
    let nested = |depth| {
        component(&format!(
            "{}{}",
            "block ".repeat(depth),
            "end ".repeat(depth)
        ))
    };
    check(&nested(8), &limits).unwrap();
    assert_eq!(
        refusal(&nested(9), &limits),
        "blocks nested in a function: 9, at most 8 allowed (limit `nesting`)"
    );
    // Blocks beside each other are not nested.
    check(&component(&"block end ".repeat(100)), &limits).unwrap();
}

#[test]
fn functions_and_their_size_are_bounded() {
    let limits = Limits {
        functions: 2,
        function_bytes: 64,
        locals: 10,
        ..Limits::default()
    };
    let functions = |count| {
        wat::parse_str(format!(
            "(component (core module {}))",
            "(func)".repeat(count)
        ))
        .unwrap()
    };
    check(&functions(2), &limits).unwrap();
    assert_eq!(
        refusal(&functions(3), &limits),
        "functions: 3, at most 2 allowed (limit `functions`)"
    );
    check(&component(&"nop ".repeat(50)), &limits).unwrap();
    assert_eq!(
        refusal(&component(&"nop ".repeat(70)), &limits),
        "bytes in one function: 72, at most 64 allowed (limit `function_bytes`)"
    );
    check(&component(&"(local i32)".repeat(10)), &limits).unwrap();
    assert_eq!(
        refusal(&component(&"(local i32)".repeat(11)), &limits),
        "local variables: 11, at most 10 allowed (limit `locals`)"
    );
}

#[test]
fn what_the_compiler_is_slow_at_is_bounded() {
    let limits = Limits {
        joins: 13,
        indirect_calls: 2,
        instances: 2,
        ..Limits::default()
    };
    let module = |text: &str| wat::parse_str(format!("(component (core module {text}))")).unwrap();
    // Two locals and a parameter, at a loop, a block and two branches; and
    // those four places, which are one to a sixteenth of their square.
    let joining = |more: &str| {
        module(&format!(
            "(func (param i32) (local i32 i32) loop block br 0 end {more} br 0 end)"
        ))
    };
    check(&joining(""), &limits).unwrap();
    assert_eq!(
        refusal(&joining("block end"), &limits),
        "variables and branches times joins and branches: 16, at most 13 allowed (limit `joins`)"
    );
    let table = "(func (block (br_table 0 0 0 0 (i32.const 0))) (local.get 0) drop)";
    let table = module(&table.replace("(func ", "(func (param i32 i32 i32) "));
    assert_eq!(
        refusal(&table, &limits),
        "variables and branches times joins and branches: 16, at most 13 allowed (limit `joins`)"
    );
    let calling = |calls: usize| {
        let call = "(call_indirect (type $t) (i32.const 0))".repeat(calls);
        module(&format!("(type $t (func)) (table 1 funcref) (func {call})"))
    };
    check(&calling(2), &limits).unwrap();
    assert_eq!(
        refusal(&calling(3), &limits),
        "calls through a table in a function: 3, at most 2 allowed (limit `indirect_calls`)"
    );
    let modules = |count: usize| {
        wat::parse_str(format!("(component {})", "(core module)".repeat(count))).unwrap()
    };
    check(&modules(2), &limits).unwrap();
    assert_eq!(
        refusal(&modules(3), &limits),
        "core modules: 3, at most 2 allowed (limit `instances`)"
    );
}

#[test]
fn components_in_components_are_bounded() {
    let limits = Limits {
        nesting: 16,
        ..Limits::default()
    };
    let nested = |depth: usize| {
        wat::parse_str(format!(
            "{}{}",
            "(component ".repeat(depth),
            ")".repeat(depth)
        ))
        .unwrap()
    };
    check(&nested(3), &limits).unwrap();
    assert_eq!(
        refusal(&nested(4), &limits),
        "components nested in components: 3, at most 2 allowed (limit `nesting`)"
    );
    let beside = format!("(component {})", "(component)".repeat(10));
    check(&wat::parse_str(beside).unwrap(), &limits).unwrap();
}

#[test]
fn torn_bytes_are_malformed() {
    let bytes = component("nop");
    check(&bytes, &Limits::default()).unwrap();
    // A cut between two sections leaves something well-formed: the
    // contract refuses that, and nothing here is about whole files.
    let torn = check(&bytes[..bytes.len() - 1], &Limits::default());
    assert!(
        matches!(torn, Err(StructureError::Malformed(_))),
        "{torn:?}"
    );
    for cut in 9..bytes.len() {
        let torn = &bytes[..cut];
        let refused = check(torn, &Limits::default()).is_err();
        assert!(refused || crate::contract::check(torn).is_err(), "{cut}");
    }
}

/// A component of these fields.
fn of(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {fields})")).unwrap()
}

/// Components of which each instantiates the one before twice.
fn doubled(count: usize) -> String {
    let mut text = "(component $c0)".to_owned();
    for number in 1..count {
        let before = format!("(instance (instantiate $c{}))", number - 1);
        text.push_str(&format!("(component $c{number} {before} {before})"));
    }
    let last = format!("(instance (instantiate $c{}))", count - 1);
    text + &last + &last
}

#[test]
fn instances_of_components_are_summed() {
    let limits = Limits {
        component_instances: 14,
        ..Limits::default()
    };
    // 2 + 4 + 8 of them.
    check(&of(&doubled(3)), &limits).unwrap();
    assert_eq!(
        refusal(&of(&doubled(4)), &limits),
        "instances of components: 15, at most 14 allowed (limit `component_instances`)"
    );
    // 2¹⁰⁰ do not overflow.
    let saturated = refusal(&of(&doubled(100)), &Limits::default());
    assert!(
        saturated.ends_with("(limit `component_instances`)"),
        "{saturated}"
    );
    // One that nothing instantiates makes no instance.
    let beside = format!("{} (component {})", doubled(3), doubled(3));
    check(&of(&beside), &limits).unwrap();
}

#[test]
fn core_instances_and_what_they_take_are_summed() {
    let inner = "(core module $m (global i32 (i32.const 0)) (global i32 (i32.const 0)))";
    let component = |inner: &str| {
        let inner = format!("(component $c {inner} (core instance (instantiate $m)))");
        of(&format!(
            "{inner} {}",
            "(instance (instantiate $c))".repeat(3)
        ))
    };
    let limits = Limits {
        instances: 3,
        ..Limits::default()
    };
    let known = check(&component(inner), &limits).unwrap();
    assert_eq!(known.instance_bytes, 3 * 2 * 16);
    assert_eq!(
        refusal(
            &component(inner),
            &Limits {
                instances: 2,
                ..Limits::default()
            }
        ),
        "core instances: 3, at most 2 allowed (limit `instances`)"
    );
    let large = format!(
        "(core module $m {})",
        "(global i32 (i32.const 0))".repeat(1_500)
    );
    let limits = Limits {
        memory_bytes: 64 << 10,
        ..Limits::default()
    };
    assert_eq!(
        refusal(&component(&large), &limits),
        "bytes of globals and references in all core instances: 72,000, at most 65,536 allowed (limit `memory_bytes`)"
    );
}

#[test]
fn what_hides_which_component_an_instance_is_made_of_is_refused() {
    let limits = Limits::default();
    // A component by the name of another level is no secret.
    check(
        &of("(component $a) (component (instance (instantiate $a)))"),
        &limits,
    )
    .unwrap();
    for (fields, refused) in [
        (
            // What was given to one level is nothing that another was given.
            "(component $a) (component $b (import \"c\" (component $c)) (component $i (instance (instantiate $c))) (instance (instantiate $i)))
             (instance (instantiate $b (with \"c\" (component $a))))",
            "a component is instantiated that comes from elsewhere",
        ),
        (
            "(component $a) (component $b (import \"c\" (component $c)) (export \"d\" (component $c)))
             (instance $b (instantiate $b (with \"c\" (component $a)))) (alias export $b \"d\" (component $d)) (instance (instantiate $d))",
            "a component is instantiated that comes from elsewhere",
        ),
        (
            "(component $a) (component $b (import \"c\" (component $c)) (instance (instantiate $c)))
             (component $t (import \"b\" (component $b (import \"c\" (component)))) (instance (instantiate $b (with \"c\" (component $a)))))
             (instance (instantiate $t (with \"b\" (component $b))))",
            "a component that takes components is given to another",
        ),
        (
            "(component $b (import \"c\" (component $c)) (instance (instantiate $c)))
             (component $t (import \"b\" (component $b)) (instance (instantiate $b)))
             (instance (instantiate $t (with \"b\" (component $b))))",
            "a component that takes components is given to another",
        ),
        (
            "(import \"c\" (component $a)) (instance (instantiate $a))",
            "a component is instantiated that comes from elsewhere",
        ),
        (
            "(component (import \"c\" (instance $i (export \"c\" (component)))) (alias export $i \"c\" (component $a)) (instance (instantiate $a)))",
            "a component is instantiated that comes from elsewhere",
        ),
        (
            "(component (import \"m\" (core module $m)) (core instance (instantiate $m)))",
            "a core module is instantiated that comes from elsewhere",
        ),
    ] {
        assert_eq!(
            refusal(&of(fields), &limits),
            format!("{refused}, so that nothing here can count what its instantiation makes"),
            "{fields}"
        );
    }
}

/// What a component makes of those that it is given counts where it is
/// instantiated, as if each were the most costly one.
#[test]
fn components_that_are_passed_on_are_counted() {
    let small = "(component $small)";
    let two = "(component $two (instance (instantiate $small)) (instance (instantiate $small)))";
    let large = format!(
        "{two} (component $large (instance (instantiate $two)) (instance (instantiate $two)))"
    );
    let large = large.as_str();
    let taking = "(component $taking (import \"a\" (component $a)) (import \"b\" (component $b))
        (instance (instantiate $a)) (instance (instantiate $b)) (instance (instantiate $b)))";
    let with = |a: &str, b: &str| {
        format!(
            "(instance (instantiate $taking (with \"a\" (component ${a})) (with \"b\" (component ${b}))))"
        )
    };
    for (components, fields, made) in [
        ("", with("small", "small"), 4),
        // Itself, and three of what it is given, each with six in it.
        (large, with("small", "large"), 22),
        (large, with("large", "small"), 22),
        (two, with("small", "small") + &with("two", "two"), 4 + 10),
        // By way of another, twice: both of them; and four times three.
        (
            two,
            "(component $on (import \"c\" (component $c)) (alias outer 1 $taking (component $taking))
                (instance (instantiate $taking (with \"a\" (component $c)) (with \"b\" (component $c))))
                (instance (instantiate $c)))
             (instance (instantiate $on (with \"c\" (component $two))))"
                .to_owned(),
            2 + 12,
        ),
        // Exported, in a bag or by a component, and instantiated from there.
        (
            two,
            "(instance $bag (export \"c\" (component $two))) (alias export $bag \"c\" (component $c)) (instance (instantiate $c))"
                .to_owned(),
            3,
        ),
        (
            large,
            "(component $giving (alias outer 1 $large (component $l)) (export \"c\" (component $l)))
             (instance $g (instantiate $giving)) (alias export $g \"c\" (component $c)) (instance (instantiate $c))"
                .to_owned(),
            1 + 7,
        ),
        // Passed on and never instantiated.
        (
            "",
            "(component $idle (import \"c\" (component))) (instance (instantiate $idle (with \"c\" (component $small))))"
                .to_owned(),
            1,
        ),
        ("", "(export \"c\" (component $small))".to_owned(), 0),
    ] {
        let component = of(&format!("{small} {components} {taking} {fields}"));
        let limits = |component_instances| Limits {
            component_instances,
            ..Limits::default()
        };
        check(&component, &limits(made)).unwrap();
        if made > 0 {
            let refused = refusal(&component, &limits(made - 1));
            assert_eq!(
                refused,
                format!(
                    "instances of components: {made}, at most {} allowed (limit `component_instances`)",
                    made - 1
                ),
                "{fields}"
            );
        }
    }
    // Their core instances and what those take, too.
    let module = "(component $m (core module $m (global i32 (i32.const 0))) (core instance (instantiate $m)) (core instance (instantiate $m)))";
    let component = of(&format!("{module} {taking} {}", with("m", "m")));
    let known = check(&component, &Limits::default()).unwrap();
    assert_eq!(known.instance_bytes, 3 * 2 * 16);
    let five = Limits {
        instances: 5,
        ..Limits::default()
    };
    assert_eq!(
        refusal(&component, &five),
        "core instances: 6, at most 5 allowed (limit `instances`)"
    );
}

#[test]
fn declarations_count_with_all_that_they_are_made_of() {
    let limits = Limits {
        declarations: 100,
        ..Limits::default()
    };
    let refused = |fields: &str| {
        let refused = refusal(&of(fields), &limits);
        assert!(
            refused.starts_with("declarations: ") && refused.ends_with("(limit `declarations`)"),
            "{refused}"
        );
    };
    let passes = |fields: &str| check(&of(fields), &limits).map(drop).unwrap();
    // Each is made of two of the one before: 3, 7, 15, 31, 63.
    let tuples = |count: usize| {
        let mut text = "(type $t0 (tuple u8 u8))".to_owned();
        for number in 1..count {
            let before = number - 1;
            text.push_str(&format!("(type $t{number} (tuple $t{before} $t{before}))"));
        }
        text
    };
    passes(&tuples(4));
    refused(&tuples(5));
    // In a type that is declared in another, too.
    refused(&format!("(type (instance {}))", tuples(5)));
    // Bags of two of the one before, without a single new instance.
    let bags = |count: usize| {
        let mut text = "(instance $i0)".to_owned();
        for number in 1..count {
            let before = number - 1;
            text.push_str(&format!(
                "(instance $i{number} (export \"l\" (instance $i{before})) (export \"r\" (instance $i{before})))"
            ));
        }
        text
    };
    passes(&bags(5));
    refused(&bags(7));
    // Components that close over the two before, and are never instantiated.
    let closures = |count: usize| {
        let mut text = "(component $c0)".to_owned();
        for number in 1..count {
            let before = number - 1;
            let alias = format!("(alias outer 1 {before} (component))");
            text.push_str(&format!("(component $c{number} {alias} {alias})"));
        }
        text
    };
    passes(&closures(3));
    refused(&closures(6));
    // What a component declares counts in each of its instances.
    let often = |times: usize| {
        let inner = "(component $c (type (enum \"a\" \"b\" \"c\" \"d\" \"e\" \"f\")))";
        format!("{inner} {}", "(instance (instantiate $c))".repeat(times))
    };
    passes(&often(9));
    refused(&often(12));
    // And in core modules.
    for (passing, refusing) in [
        ("(type (func))", "(type (func)) ".repeat(7)),
        (
            "(global i32 (i32.const 0))",
            "(global i32 (i32.const 0))".repeat(7),
        ),
        (
            "(import \"\" \"\" (func))",
            "(import \"\" \"\" (global i32))".repeat(101),
        ),
    ] {
        passes(&format!("(core module {passing})"));
        refused(&format!("(core module {refusing})"));
    }
}

/// Reading a type that is declared in a type is a recursion, in every library.
#[test]
fn types_in_types_are_bounded() {
    // An instance type that declares a type that is an instance type, in bytes:
    // no text is read that deep.
    let nested = |depth: usize| {
        let types = [vec![1], [0x42, 1, 1].repeat(depth - 1), vec![0x42, 0]].concat();
        let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
        let mut length = types.len();
        while length > 0x7f {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend(types);
        bytes
    };
    check(&nested(64), &Limits::default()).unwrap();
    // 100,000 are far more than there is stack for.
    for depth in [65, 100_000] {
        assert_eq!(
            refusal(&nested(depth), &Limits::default()),
            "types nested in types: 65, at most 64 allowed (limit `nesting`)"
        );
    }
}

#[test]
fn segments_and_their_elements_are_bounded() {
    let limits = Limits {
        segments: 2,
        table_elements: 10,
        ..Limits::default()
    };
    let module = |fields: &str| {
        of(&format!(
            "(core module (memory 1) (table 10 funcref) (func $f) {fields})"
        ))
    };
    // Those that can be merged count as one, empty ones not at all.
    let near = "(data (i32.const 8) \"\") (data (i32.const 9) \"a\")".repeat(1_000);
    check(&module(&near), &limits).unwrap();
    // Code that names a segment by its number keeps all of them.
    let naming = "(func (data.drop 0))";
    let two = "(data (i32.const 8) \"\")".repeat(2);
    check(&module(&format!("{two}{naming}")), &limits).unwrap();
    assert_eq!(
        refusal(&module(&format!("{two}(data \"\"){naming}")), &limits),
        "data and element segments: 3, at most 2 allowed (limit `segments`)"
    );
    check(&module(&"(elem func $f)".repeat(2)), &limits).unwrap();
    assert_eq!(
        refusal(&module(&"(elem func $f)".repeat(3)), &limits),
        "data and element segments: 3, at most 2 allowed (limit `segments`)"
    );
    let list = |count: usize| module(&format!("(elem func {})", "$f ".repeat(count)));
    check(&list(10), &limits).unwrap();
    assert_eq!(
        refusal(&list(11), &limits),
        "elements in element segments: 11, at most 10 allowed (limit `table_elements`)"
    );
    // The compiler keeps an image of a table up to the last that is set.
    check(&module("(elem (i32.const 9) func $f)"), &limits).unwrap();
    assert_eq!(
        refusal(&module("(elem (i32.const 10) func $f)"), &limits),
        "table elements up to the last that is set: 11, at most 10 allowed (limit `table_elements`)"
    );
}

/// Two bytes may call a function of a thousand parameters and results.
#[test]
fn values_that_are_passed_on_are_bounded() {
    let module = |results: usize, body: &str| {
        of(&format!(
            "(core module (type $w (func (result {}))) (func $w (type $w) unreachable) (func {body}))",
            "i32 ".repeat(results)
        ))
    };
    let limits = Limits {
        joins: 1_617,
        locals: 90,
        ..Limits::default()
    };
    let call = |results: usize| format!("call $w {}", "drop ".repeat(results));
    // As many as any compiler passes.
    check(&module(17, &call(17).repeat(100)), &limits).unwrap();
    check(&module(67, &call(67).repeat(2)), &limits).unwrap();
    assert_eq!(
        refusal(&module(67, &call(67).repeat(3)), &limits),
        "variables and branches times joins and branches: 2,400, at most 1,617 allowed (limit `joins`)"
    );
    let block = "block (type $w) unreachable br 0 end ".to_owned() + &"drop ".repeat(97);
    assert_eq!(
        refusal(&module(97, &block), &limits),
        "variables and branches times joins and branches: 2,584, at most 1,617 allowed (limit `joins`)"
    );
    let block = block.replace(&"drop ".repeat(97), &"drop ".repeat(67));
    check(&module(67, &block), &limits).unwrap();
    // Each parameter is a variable of its function.
    check(&module(107, ""), &limits).unwrap();
    assert_eq!(
        refusal(&module(108, ""), &limits),
        "local variables: 91, at most 90 allowed (limit `locals`)"
    );
    let single = Limits {
        function_bytes: 600,
        ..Limits::default()
    };
    check(&module(117, &call(117).repeat(2)), &single).unwrap();
    let refused = refusal(&module(117, &call(117).repeat(4)), &single);
    assert!(refused.ends_with("(limit `function_bytes`)"), "{refused}");
}

/// A function is more than its branches one by one: what meets at each is
/// merged into what met before.
#[test]
fn places_where_control_flow_joins_are_bounded_by_their_square() {
    let module = |body: &str| of(&format!("(core module (func (param i32) {body}))"));
    let limits = Limits {
        joins: 1_000,
        ..Limits::default()
    };
    let one = "loop local.get 0 br_if 0 end ";
    // 124 places of one variable, and a sixteenth of their square.
    check(&module(&one.repeat(57)), &limits).unwrap();
    assert_eq!(
        refusal(&module(&one.repeat(62)), &limits),
        "variables and branches times joins and branches: 1,085, at most 1,000 allowed (limit `joins`)"
    );
    // The same places, apart.
    let apart = format!("(func (param i32) {})", one.repeat(31)).repeat(2);
    check(&of(&format!("(core module {apart})")), &limits).unwrap();
    // Each value that is passed on counts as a place does.
    let passing = "i32.const 0 loop (param i32) (result i32) local.get 0 br_if 0 end drop ";
    check(&module(&passing.repeat(30)), &limits).unwrap();
    assert_eq!(
        refusal(&module(&passing.repeat(57)), &limits),
        "variables and branches times joins and branches: 2,550, at most 1,000 allowed (limit `joins`)"
    );
}
