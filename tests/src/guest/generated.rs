//! Guests too large or too regular to be written by hand.

use super::{Guest, answering, refusing, text_of};
use nameplate_torture::component::{defaults, denying, nested, padded};

/// Every import of a policy is refused by its name: the interfaces of WASI 0.2,
/// one of each other package that hosts offer, and other kinds of import.
const INTERFACES: [&str; 35] = [
    "wasi:cli/environment@0.2.0",
    "wasi:cli/exit@0.2.0",
    "wasi:cli/stdin@0.2.0",
    "wasi:cli/stdout@0.2.0",
    "wasi:cli/stderr@0.2.0",
    "wasi:cli/terminal-input@0.2.0",
    "wasi:cli/terminal-output@0.2.0",
    "wasi:cli/terminal-stdin@0.2.0",
    "wasi:cli/terminal-stdout@0.2.0",
    "wasi:cli/terminal-stderr@0.2.0",
    "wasi:clocks/monotonic-clock@0.2.0",
    "wasi:clocks/wall-clock@0.2.0",
    "wasi:clocks/timezone@0.2.0",
    "wasi:filesystem/preopens@0.2.0",
    "wasi:filesystem/types@0.2.0",
    "wasi:http/incoming-handler@0.2.0",
    "wasi:http/outgoing-handler@0.2.0",
    "wasi:http/types@0.2.0",
    "wasi:io/error@0.2.0",
    "wasi:io/poll@0.2.0",
    "wasi:io/streams@0.2.0",
    "wasi:random/insecure@0.2.0",
    "wasi:random/insecure-seed@0.2.0",
    "wasi:random/random@0.2.0",
    "wasi:sockets/instance-network@0.2.0",
    "wasi:sockets/ip-name-lookup@0.2.0",
    "wasi:sockets/network@0.2.0",
    "wasi:sockets/tcp@0.2.0",
    "wasi:sockets/tcp-create-socket@0.2.0",
    "wasi:sockets/udp@0.2.0",
    "wasi:sockets/udp-create-socket@0.2.0",
    "wasi:logging/logging",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:clocks/system-clock@0.3.0",
    "nameplate:policy/naming@0.1.0",
];

/// A policy that imports the interface `name` and does nothing with it.
pub fn imported(name: &str) -> Guest {
    Guest::new(
        format!("imports {name}"),
        text_of(&importing(&format!(
            "\"{name}\" (instance (export \"f\" (func)))"
        ))),
    )
}

/// The guests of this file.
pub fn generated() -> Vec<Guest> {
    let mut guests: Vec<_> = INTERFACES.iter().map(|name| imported(name)).collect();
    guests.extend(other_imports());
    guests.extend(other_files());
    guests.extend(other_contracts());
    guests.extend(proposals());
    guests.extend(shapes());
    guests.extend(bombs());
    guests.extend(amplified());
    guests.extend(heavy());
    guests.extend(paths());
    guests.extend(selectors());
    guests.extend(words());
    guests
}

fn text(name: &str, text: &str) -> Guest {
    Guest::new(name, text_of(text))
}

fn importing(import: &str) -> String {
    // The default core module comes with the rest.
    format!("(import {import}) (core module $unused)")
}

fn other_imports() -> Vec<Guest> {
    [
        ("imports a function", r#""log" (func)"#),
        ("imports a core module", r#""plugin" (core module)"#),
        ("imports a component", r#""plugin" (component)"#),
        ("imports a resource", r#""handle" (type (sub resource))"#),
        (
            "imports with a control character",
            r#""wasi:io/x-\1b" (func)"#,
        ),
        (
            "imports types of another package",
            r#""acme:policy/types" (instance (type $t u8) (export "t" (type (eq $t))))"#,
        ),
        (
            "imports a function beside our types",
            r#""nameplate:policy/types" (instance (export "clock" (func (result u64))))"#,
        ),
    ]
    .into_iter()
    // A name that the text format refuses is no guest.
    .filter(|(_, import)| !import.contains("\\1b"))
    .map(|(name, import)| text(name, &importing(import)))
    .collect()
}

fn other_files() -> Vec<Guest> {
    let good = answering(&["good"], &[]);
    let mut torn = good.clone();
    torn.truncate(good.len() / 2);
    let mut trailing = good.clone();
    trailing.extend(b"and more");
    let mut other_layer = good.clone();
    other_layer[4] = 0x0f;
    vec![
        Guest::new("is empty", Vec::new()),
        Guest::new("is text", b"#!/bin/sh\nexec id\n".to_vec()),
        Guest::new("is an ELF file", b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec()),
        Guest::new("is a header only", good[..8].to_vec()),
        Guest::new("is of another binary version", other_layer),
        Guest::new("is torn in half", torn),
        Guest::new("has trailing bytes", trailing),
        text("is a core module", "(module)"),
        text(
            "is a core module with our exports",
            &format!(
                "(module {} (func (export \"_start\")))",
                defaults("(func (export \"nothing\"))")
            ),
        ),
    ]
}

fn other_contracts() -> Vec<Guest> {
    let exporting = |name: &str, instance: &str| {
        format!("(component (instance $i {instance}) (export \"{name}\" (instance $i)))")
    };
    let naming = "nameplate:policy/naming@0.1.0";
    vec![
        text("exports nothing", "(component)"),
        text(
            "exports another world",
            &exporting("wasi:http/incoming-handler@0.2.0", ""),
        ),
        text(
            "exports a later version",
            &exporting("nameplate:policy/naming@0.2.0", ""),
        ),
        text(
            "exports an earlier version",
            &exporting("nameplate:policy/naming@0.0.9", ""),
        ),
        text(
            "exports no version",
            &exporting("nameplate:policy/naming", ""),
        ),
        text(
            "exports another package",
            &exporting("acme:policy/naming@0.1.0", ""),
        ),
        text("exports the interface empty", &exporting(naming, "")),
        text(
            "exports the interface as a function",
            "(component
               (core module $m (func (export \"f\")))
               (core instance $c (instantiate $m))
               (func $f (canon lift (core func $c \"f\")))
               (export \"naming\" (func $f)))",
        ),
        text(
            "exports functions of other types",
            &format!(
                "(component
                   (core module $m (func (export \"f\") (param i32) (result i32) (local.get 0)))
                   (core instance $c (instantiate $m))
                   (func $f (param \"facts\" u32) (result u32) (canon lift (core func $c \"f\")))
                   (instance $i (export \"configure\" (func $f)) (export \"derive\" (func $f)))
                   (export \"{naming}\" (instance $i)))"
            ),
        ),
        text(
            "exports configure only",
            &format!(
                "(component
                   (core module $m (func (export \"f\")))
                   (core instance $c (instantiate $m))
                   (func $f (canon lift (core func $c \"f\")))
                   (instance $i (export \"configure\" (func $f)))
                   (export \"{naming}\" (instance $i)))"
            ),
        ),
    ]
}

/// Proposals whose result, or whose cost, is not the same everywhere.
fn proposals() -> Vec<Guest> {
    [
        ("uses SIMD", "(func v128.const i64x2 0 0 drop)"),
        (
            "uses relaxed SIMD",
            "(func (param v128 v128) (result v128)
               local.get 0 local.get 1 i8x16.relaxed_swizzle)",
        ),
        ("uses several memories in a module", "(memory $other 1)"),
        ("uses tail calls", "(func $f (return_call $f))"),
        ("uses exceptions", "(tag $e) (func (throw $e))"),
        (
            "uses garbage collection",
            "(type $s (struct (field i32))) (func (drop (struct.new_default $s)))",
        ),
        (
            "uses wide arithmetic",
            "(func (result i64 i64) i64.const 1 i64.const 1 i64.mul_wide_s)",
        ),
        (
            "uses function references",
            "(type $t (func)) (func (param (ref null $t)) local.get 0 call_ref $t)",
        ),
        (
            "uses constant arithmetic",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        ),
    ]
    .into_iter()
    .map(|(name, fields)| {
        // Memory first, so that "another one" is the second.
        text(name, &format!("(memory (export \"memory\") 1) {fields}"))
    })
    .chain(
        [
            ("uses threads", "(memory 1 1 shared)"),
            ("uses 64-bit memory", "(memory i64 1)"),
            ("uses other page sizes", "(memory 1 (pagesize 1))"),
        ]
        .map(|(name, memory)| text(name, &format!("(core module {memory})"))),
    )
    .collect()
}

/// What would keep the compiler busy, were it not refused before.
fn shapes() -> Vec<Guest> {
    let blocks = |depth| format!("(func {} {})", "block ".repeat(depth), "end ".repeat(depth));
    let sections: Vec<_> = (0..3).map(|_| vec![0; 200 << 10]).collect();
    vec![
        text("nests 513 blocks", &blocks(513)),
        text("nests 10000 blocks", &blocks(10_000)),
        text(
            "nests 600 loops with a branch table",
            &format!(
                "(func {} (br_table {} (i32.const 0)) {})",
                "loop ".repeat(600),
                "0 ".repeat(600),
                "end ".repeat(600)
            ),
        ),
        text("has 10001 functions", &"(func)".repeat(10_001)),
        text(
            "has a function of 70000 bytes",
            &format!("(func {})", "nop ".repeat(70_000)),
        ),
        text(
            "has 150000 locals in three functions",
            &"(func (local i32) (local i64) (local f32))"
                .replace("(local i32)", &"(local i32)".repeat(49_990))
                .repeat(3),
        ),
        nested_components(65),
        nested_components(2_000),
        Guest::new(
            "has 600 KiB of custom sections",
            padded(answering(&["good"], &[]), &sections),
        ),
    ]
}

/// Small files that mean much.
fn bombs() -> Vec<Guest> {
    let mut doubling = "(component (type $t0 (tuple string string))".to_owned();
    for level in 1..40 {
        let below = level - 1;
        doubling.push_str(&format!("(type $t{level} (tuple $t{below} $t{below}))"));
    }
    doubling.push(')');
    let wide = format!(
        "(component (type (record {})))",
        (0..5_000)
            .map(|field| format!("(field \"f{field}\" u8)"))
            .collect::<String>()
    );
    let instances = "(core instance (instantiate $empty))";
    vec![
        text("doubles a type 40 times", &doubling),
        text("has a record of 5000 fields", &wide),
        text(
            "makes 17 instances",
            &format!("(core module $empty) {}", instances.repeat(16)),
        ),
        text(
            "makes 900 instances",
            &format!("(core module $empty) {}", instances.repeat(900)),
        ),
        text(
            "has 900 core modules",
            &"(core module (memory 1))".repeat(900),
        ),
        text(
            "branches from 512 blocks to each of them",
            &format!(
                "(func (param i32) {} (br_table {} (local.get 0)) {})",
                "block ".repeat(500),
                (0..500)
                    .map(|n| format!("{n} "))
                    .collect::<String>()
                    .repeat(40),
                "end ".repeat(500)
            ),
        ),
        text(
            "calls a function of 1000 parameters",
            &format!(
                "(func $f (param {p})) (func (export \"g\") (param {p}) {} call $f)",
                (0..1000)
                    .map(|n| format!("local.get {n} "))
                    .collect::<String>(),
                p = "i64 ".repeat(1000)
            ),
        ),
    ]
}

/// Few bytes that come to much when the component is instantiated, or when
/// somebody follows what they say.
fn amplified() -> Vec<Guest> {
    /// Items of which each is made of two of the one before.
    fn chain(count: usize, first: &str, next: impl Fn(usize, usize) -> String) -> String {
        let rest: String = (1..count).map(|number| next(number, number - 1)).collect();
        format!("(core module $unused) {first} {rest}")
    }
    let component = |made: usize| {
        chain(made, "(component $c0)", |number, before| {
            let instance = format!("(instance (instantiate $c{before}))");
            format!("(component $c{number} {instance} {instance})")
        })
    };
    let instantiated = |made: usize| {
        let last = made - 1;
        component(made) + &format!("(instance (instantiate $c{last}))")
    };
    // A type in a type in a type: a recursion for whoever reads it.
    let mut types = b"\0asm\x0d\0\x01\0\x07".to_vec();
    types.extend([0xe3, 0xa7, 0x12, 1]);
    types.extend([0x42, 1, 1].repeat(100_000));
    types.extend([0x42, 0]);
    let values = "i32 ".repeat(1_000);
    vec![
        text("doubles its instances 3 times", &instantiated(4)),
        text("doubles its instances 24 times", &instantiated(25)),
        text("doubles its instances 1000 times", &instantiated(1_000)),
        text(
            "doubles a bag of instances 24 times",
            &chain(25, "(instance $i0)", |number, before| {
                format!(
                    "(instance $i{number} (export \"l\" (instance $i{before})) (export \"r\" (instance $i{before})))"
                )
            }),
        ),
        text(
            "closes over two components 40 times",
            &chain(41, "(component $c0)", |number, before| {
                let alias = format!("(alias outer 1 {before} (component))");
                format!("(component $c{number} {alias} {alias})")
            }),
        ),
        text(
            "passes a component on",
            "(core module $unused) (component $a) (component $b (import \"c\" (component $c)) (instance (instantiate $c)))
             (instance (instantiate $b (with \"c\" (component $a))))",
        ),
        Guest::new("nests 100000 types", types),
        text(
            "has 80000 empty data segments",
            &"(data (i32.const 0) \"\")".repeat(80_000),
        ),
        text(
            "has 2000 data segments that it names",
            &format!(
                "{} (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
                "(data (i32.const 0) \"\")".repeat(2_000)
            ),
        ),
        text(
            "sets 100000 elements of a table",
            &format!(
                "(func $f) (table 100000 funcref) (elem (i32.const 0) func {})",
                "$f ".repeat(100_000)
            ),
        ),
        text(
            "sets the last of a million elements of a table",
            "(func $f) (table 1000000 funcref) (elem (i32.const 999999) func $f)",
        ),
        text(
            "has 20000 globals",
            &"(global (mut i32) (i32.const 0))".repeat(20_000),
        ),
        text(
            "passes 1000 values through 1000 calls",
            &format!(
                "(func $w (param {values}) (result {values}) unreachable) (func {} {} {})",
                "(i32.const 0)".repeat(1_000),
                "(call $w)".repeat(1_000),
                "(drop)".repeat(1_000)
            ),
        ),
    ]
}

/// As much work for the compiler as the limits on a component's shape allow.
fn heavy() -> Vec<Guest> {
    let nested = |inside: &str| format!("{}{inside} {}", "block ".repeat(500), "end ".repeat(500));
    let numbers = |count: usize| (0..count).map(|n| format!("{n} ")).collect::<String>();
    // Each loop may change each variable, so that a compiler joins them all.
    let loops = |variables: usize| {
        let changes: String = (0..variables)
            .map(|n| format!("(local.set {n} (i32.add (local.get {n}) (i32.const 1)))"))
            .collect();
        format!(
            "(func (local {}) {} {changes} {})",
            "i32 ".repeat(variables),
            "loop ".repeat(500),
            "(br_if 0 (local.get 0)) end ".repeat(500)
        )
    };
    // What a loop changes meets what the one before it changed.
    let in_a_row = |count: usize| {
        let one = "loop (br_if 0 (local.tee 0 (i32.add (local.get 0) (i32.const 1)))) end ";
        format!("(func (param i32) {})", one.repeat(count))
    };
    let calls = |each: usize, functions: usize| {
        let calls = "(call_indirect (type $f) (i32.const 0))".repeat(each);
        format!(
            "(type $f (func)) (table 1 funcref) {}",
            format!("(func {calls})").repeat(functions)
        )
    };
    vec![
        text(
            "fills functions with nested blocks",
            &format!("(func {})", nested("nop").repeat(10)).repeat(7),
        ),
        text(
            "fills functions with branch tables",
            &format!(
                "(func (param i32) {})",
                nested(&format!(
                    "(br_table {} (local.get 0))",
                    numbers(500).repeat(60)
                ))
            )
            .repeat(7),
        ),
        // The most that the default limits let through, and what they are there for.
        text("joins 400 variables in 500 loops", &loops(400)),
        text("joins 6000 variables in 500 loops", &loops(6_000)),
        text("runs 1350 loops one after another", &in_a_row(1_350)),
        text("runs 5000 loops one after another", &in_a_row(5_000)),
        text(
            "has 9990 functions of 40 bytes",
            &"(func (drop (i64.const 1234567890123)) (drop (i64.const 1234567890123)))"
                .repeat(9_990),
        ),
        text(
            "calls through a table 250 times each in 200 functions",
            &calls(250, 200),
        ),
        text("calls through a table 8000 times", &calls(8_000, 1)),
    ]
}

/// Component after component inside each other.
pub fn nested_components(depth: usize) -> Guest {
    Guest::new(format!("nests {depth} components"), nested(depth))
}

/// Answers whose path is no path.
fn paths() -> Vec<Guest> {
    let long = "a".repeat(300);
    let huge = "a".repeat(100 << 10);
    [
        ("answers an empty path", vec![]),
        ("answers an empty segment", vec!["a", "", "b"]),
        ("answers a dot", vec!["."]),
        ("answers two dots", vec![".."]),
        (
            "answers two dots further down",
            vec!["a", "..", "..", "server"],
        ),
        ("answers a slash", vec!["a/b"]),
        ("answers a leading slash", vec!["/a"]),
        ("answers a backslash", vec!["a\\b"]),
        ("answers percent signs", vec!["%2e%2e", "%2f"]),
        ("answers a colon", vec!["a:b"]),
        ("answers a query", vec!["a?b"]),
        ("answers a fragment", vec!["a#b"]),
        ("answers an at sign", vec!["user@host"]),
        (
            "answers a whole ID",
            vec!["spiffe://example.org/spire/server"],
        ),
        ("answers a space", vec!["a b"]),
        ("answers a newline", vec!["a\nb"]),
        ("answers a NUL", vec!["a\0"]),
        ("answers an escape sequence", vec!["\u{1b}[2J"]),
        ("answers a letter that is not ASCII", vec!["ä"]),
        ("answers a look-alike of a slash", vec!["a\u{2215}b"]),
        ("answers a zero-width space", vec!["a\u{200b}b"]),
        ("answers a right-to-left override", vec!["a\u{202e}b"]),
        ("answers an ID of 300 bytes", vec![long.as_str()]),
        ("answers a segment of 100 KiB", vec![huge.as_str()]),
        ("answers 200 segments", vec!["a"; 200]),
        ("answers 3000 segments", vec!["a"; 3_000]),
    ]
    .into_iter()
    .map(|(name, path)| Guest::new(name, answering(&path, &[])))
    .collect()
}

/// Answers whose selectors are no selectors.
fn selectors() -> Vec<Guest> {
    let numbered: Vec<String> = (0..65).map(|n| format!("n:{n}")).collect();
    let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
    let longest = "a".repeat(255);
    let long = "a".repeat(256);
    let huge = "a".repeat(100 << 10);
    [
        ("answers an empty selector", vec![""]),
        ("answers a selector with a newline", vec!["a:b\nadmin:true"]),
        ("answers a selector with a NUL", vec!["a:b\0"]),
        ("answers a selector with DEL", vec!["a:b\u{7f}"]),
        (
            "answers a selector with a right-to-left override",
            vec!["a:\u{202e}b"],
        ),
        ("answers a selector with a C1 control", vec!["a:\u{9b}2J"]),
        (
            "answers a selector with a line separator",
            vec!["a\u{2028}b"],
        ),
        ("answers a selector of 256 bytes", vec![long.as_str()]),
        ("answers a selector of 255 bytes", vec![longest.as_str()]),
        ("answers a selector of 100 KiB", vec![huge.as_str()]),
        ("answers 65 selectors", numbered.clone()),
        ("answers 64 selectors", numbered[..64].to_vec()),
        ("answers a selector twice", vec!["a:1", "b:2", "a:1"]),
        ("answers a selector with percent signs", vec!["a:%00"]),
    ]
    .into_iter()
    .map(|(name, selectors)| Guest::new(name, answering(&["good"], &selectors)))
    .collect()
}

/// Denials and problems: words for the operator, and for a terminal.
fn words() -> Vec<Guest> {
    let code = "a".repeat(65);
    let long = "word ".repeat(200);
    let denial = |name: &str, code: &str, detail: &str| {
        Guest::new(name, denying(code.as_bytes(), detail.as_bytes()).unwrap())
    };
    let problem = |name: &str, pointer: &str, message: &str| {
        Guest::new(name, refusing(pointer.as_bytes(), message.as_bytes()))
    };
    vec![
        denial("denies", "no-node", "the token is not bound to a node"),
        denial("denies without a code", "", "why not"),
        denial("denies with a code of 65 bytes", &code, "why not"),
        denial("denies with a code in upper case", "No-Node", "why not"),
        denial("denies with a line break in the code", "a\nb", "why not"),
        denial(
            "denies with a terminal command",
            "a",
            "\u{1b}[31mroot\u{1b}[0m\r\nlevel=info",
        ),
        denial("denies at length", "a", &long),
        problem("refuses its settings", "/path/0", "is no template"),
        problem("refuses its settings as a whole", "", "are missing"),
        problem(
            "refuses with a terminal command",
            "/a\u{1b}[2J",
            "\u{7}ring",
        ),
        problem("refuses at length", "/a", &long),
    ]
}
