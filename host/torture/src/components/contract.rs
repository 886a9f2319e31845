//! Components at what a policy may be: what it imports and exports, which
//! proposals it uses, and how it behaves when it is asked.

use super::{ComponentAttack, Made};
use crate::attack::{Expected, Group};
use crate::component::{AssemblyError, answering, assembled, nested};
use crate::guests::GUESTS;

/// Imports by which a policy would learn or do more than it is asked, and
/// incidents that such an import was at the heart of.
const IMPORTS: [(&str, Option<&str>); 16] = [
    ("wasi:filesystem/types@0.2.0", Some("CVE-2026-47261")),
    ("wasi:filesystem/preopens@0.2.0", Some("CVE-2026-58494")),
    ("wasi:http/outgoing-handler@0.2.0", None),
    ("wasi:sockets/tcp@0.2.0", None),
    ("wasi:cli/environment@0.2.0", None),
    ("wasi:clocks/wall-clock@0.2.0", None),
    ("wasi:random/random@0.2.0", None),
    ("wasi:io/streams@0.2.0", Some("CVE-2026-27204")),
    ("kubewarden:host/kubernetes@0.1.0", Some("CVE-2025-24784")),
    ("kubewarden:host/reports@0.1.0", Some("CVE-2025-24376")),
    (
        "kubewarden:host/deprecated@0.1.0",
        Some("GHSA-6r7f-3fwq-hq74"),
    ),
    ("kubewarden:host/can-i@0.1.0", Some("CVE-2026-42541")),
    ("kyverno:host/api-call@0.1.0", Some("CVE-2026-22039")),
    ("kyverno:host/config-map@0.1.0", Some("CVE-2026-41068")),
    ("nameplate:policy/naming@0.1.0", Some("zed#55533")),
    ("nameplate:policy/host@0.0.1", Some("zed#55533")),
];

/// Which incident a guest repeats.
const INCIDENTS: [(&str, &str); 20] = [
    ("counts_in_memory", "CVE-2026-34988"),
    ("counts_in_a_global", "CVE-2022-39393"),
    ("loop_in_start", "wasm-micro-runtime#4047"),
    ("loop_in_derive", "kubewarden/policy-evaluator#136"),
    ("memory_grown_at_once", "traverse-framework/traverse#584"),
    ("memory_over_many", "bytecodealliance/wasmtime#11552"),
    ("selectors_a_million_empty", "CVE-2026-27204"),
    ("string_of_10_mib", "bytecodealliance/wasmtime#12652"),
    ("table_at_first", "CVE-2026-44216"),
    ("table_grown_at_once", "CVE-2026-44216"),
    ("trap_fill_out_of_bounds", "RUSTSEC-2026-0223"),
    ("trap_data_out_of_bounds", "RUSTSEC-2026-0223"),
    ("trap_unreachable", "envoyproxy/envoy#16726"),
    ("utf16_good", "CVE-2026-35195"),
    ("utf16_length_overflow", "CVE-2026-35195"),
    ("utf16_lone_surrogate", "CVE-2026-34941"),
    ("utf16_realloc_greedy", "CVE-2026-34942"),
    ("realloc_out_of_bounds", "CVE-2026-35195"),
    ("loop_in_post_return", "bytecodealliance/wasmtime#9188"),
    ("recursion_in_start", "wasm-micro-runtime#4047"),
];

pub(super) fn attacks(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let mut attacks = Vec::new();
    for (name, incident) in IMPORTS {
        let text =
            format!("(import \"{name}\" (instance (export \"f\" (func)))) (core module $none)");
        let attack = ComponentAttack::new(
            Group::Component,
            format!("imports {name}"),
            assembled(&text),
            Expected::by("import"),
        )?;
        attacks.push(ComponentAttack { incident, ..attack });
    }
    for (name, text, reason) in OTHERS {
        attacks.push(ComponentAttack::new(
            Group::Component,
            name,
            assembled(text),
            Expected::by(reason),
        )?);
    }
    let good = answering(&["good"], &[])?;
    let mut torn = good.clone();
    torn.truncate(good.len() / 2);
    let other_layer: Vec<u8> = good
        .iter()
        .enumerate()
        .map(|(at, byte)| if at == 4 { 0x0f } else { *byte })
        .collect();
    for (name, bytes, incident) in [
        ("is empty", Vec::new(), None),
        ("is a shell script", b"#!/bin/sh\nexec id\n".to_vec(), None),
        ("is torn in half", torn, Some("zed-industries/zed#10370")),
        ("is of another binary version", other_layer, None),
        (
            "has something behind its end",
            [&good[..], b"and more"].concat(),
            None,
        ),
        ("nests 2000 components", nested(2_000), None),
    ] {
        let mut attack = ComponentAttack::new(
            Group::Component,
            name,
            Ok(bytes),
            Expected::Stopped(vec!["contract", "malformed", "nesting", "component_bytes"]),
        )?;
        attack.incident = incident;
        attacks.push(attack);
    }
    for (name, text) in GUESTS {
        let mut attack = ComponentAttack::new(
            Group::Component,
            name.replace('_', " "),
            assembled(text),
            Expected::Harmless,
        )?;
        attack.incident = INCIDENTS
            .iter()
            .find_map(|(known, incident)| (known == name).then_some(*incident));
        attacks.push(attack);
    }
    let mut together = ComponentAttack::new(
        Group::Component,
        "is loaded and dropped by four threads at once",
        answering(made.path, &[]),
        Expected::Twin,
    )?
    .repeating("CVE-2024-47813");
    together.together = true;
    attacks.push(together);
    Ok(attacks)
}

/// Other imports, other exports, and proposals whose result or cost is not the
/// same everywhere; and what refuses each.
const OTHERS: [(&str, &str, &str); 17] = [
    (
        "imports a function",
        r#"(import "log" (func)) (core module $none)"#,
        "import",
    ),
    (
        "imports a core module",
        r#"(import "plugin" (core module)) (core module $none)"#,
        "import",
    ),
    (
        "imports a component",
        r#"(import "plugin" (component)) (core module $none)"#,
        "import",
    ),
    (
        "imports a resource",
        r#"(import "handle" (type (sub resource))) (core module $none)"#,
        "import",
    ),
    ("is a core module", "(module)", "contract"),
    ("exports nothing", "(component)", "contract"),
    (
        "exports a later version",
        r#"(component (instance $i) (export "nameplate:policy/naming@0.2.0" (instance $i)))"#,
        "contract",
    ),
    (
        "exports no version",
        r#"(component (instance $i) (export "nameplate:policy/naming" (instance $i)))"#,
        "contract",
    ),
    (
        "exports another package",
        r#"(component (instance $i) (export "acme:policy/naming@0.1.0" (instance $i)))"#,
        "contract",
    ),
    (
        "exports the interface without functions",
        r#"(component (instance $i) (export "nameplate:policy/naming@0.1.0" (instance $i)))"#,
        "compile",
    ),
    (
        "exports functions of other types",
        r#"(component
             (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
             (core instance $c (instantiate $m))
             (func $f (param "facts" u32) (result u32) (canon lift (core func $c "f")))
             (instance $i (export "configure" (func $f)) (export "derive" (func $f)))
             (export "nameplate:policy/naming@0.1.0" (instance $i)))"#,
        "policy_instantiation",
    ),
    (
        "uses SIMD",
        r#"(memory (export "memory") 1) (func v128.const i64x2 0 0 drop)"#,
        "contract",
    ),
    (
        "uses tail calls",
        r#"(memory (export "memory") 1) (func $f (return_call $f))"#,
        "contract",
    ),
    (
        "uses exceptions",
        r#"(memory (export "memory") 1) (tag $e) (func (throw $e))"#,
        "contract",
    ),
    (
        "uses threads",
        "(core module (memory 1 1 shared))",
        "contract",
    ),
    (
        "uses 64-bit memory",
        "(core module (memory i64 1))",
        "contract",
    ),
    (
        "uses other page sizes",
        "(core module (memory 1 (pagesize 1)))",
        "contract",
    ),
];
