//! Whether a component keeps to the contract: it imports nothing, and it
//! exports the naming interface in a version that this host speaks.
//!
//! The import list of a component is its capability manifest, stated exactly
//! and enforced by the binary format. It is judged here, before compiling.

use std::fmt;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// The package that the contract lives in.
pub(crate) const PACKAGE: &str = "nameplate:policy";

/// Version of the contract that this host speaks.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// The interface that a policy exports.
pub(crate) const INTERFACE: &str = "nameplate:policy/naming@0.1.0";

/// Why a component is no policy.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// A core module where a component belongs.
    #[error(
        "this is a core WebAssembly module, not a component: build it with `nameplate policy build`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// No WebAssembly at all.
    #[error("this is not a WebAssembly component")]
    NotAComponent,
    /// A component that does not validate, or uses a proposal that is off.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// The component asks for something from outside.
    #[error("the component imports `{name}`, and a policy imports nothing: {fix}")]
    ForbiddenImport {
        /// The import, as the component names it.
        name: String,
        /// What its author can do about it.
        fix: &'static str,
    },
    /// The interface is there, in another version.
    #[error(
        "the component implements version {found} of `{PACKAGE}/naming`, this host speaks {CONTRACT_VERSION}"
    )]
    Version {
        /// Version found.
        found: String,
    },
    /// The interface is not there.
    #[error(
        "the component does not export `{INTERFACE}`; it exports {}",
        exports(found)
    )]
    WrongWorld {
        /// What it exports instead.
        found: Vec<String>,
    },
}

/// What a component asks for and offers, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Imports of the component, in order.
    pub imports: Vec<String>,
    /// Exports of the component, in order.
    pub exports: Vec<String>,
}

impl Interface {
    /// Reads the names without judging them.
    ///
    /// # Errors
    /// [`ContractError`] when the bytes are no component.
    pub fn read(bytes: &[u8]) -> Result<Self, ContractError> {
        check_kind(bytes)?;
        let mut interface = Self::default();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "no other section names an import or export"
            )]
            match payload.map_err(invalid)? {
                Payload::ComponentSection { .. } | Payload::ModuleSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(reader) if depth == 0 => {
                    for import in reader {
                        let import = import.map_err(invalid)?;
                        interface.imports.push(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(reader) if depth == 0 => {
                    for export in reader {
                        let export = export.map_err(invalid)?;
                        interface.exports.push(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }
}

/// Tells components from modules, and both from other files.
pub(crate) fn check_kind(bytes: &[u8]) -> Result<(), ContractError> {
    if Parser::is_core_wasm(bytes) {
        return Err(ContractError::CoreModule);
    }
    if !Parser::is_component(bytes) {
        return Err(ContractError::NotAComponent);
    }
    Ok(())
}

/// Judges a component whose shape is already known to be bounded.
pub(crate) fn check(bytes: &[u8]) -> Result<Interface, ContractError> {
    let interface = Interface::read(bytes)?;
    let types = Validator::new_with_features(FEATURES)
        .validate_all(bytes)
        .map_err(invalid)?;
    let types = types.as_ref();
    for name in &interface.imports {
        if !is_our_types(types, name) {
            return Err(ContractError::ForbiddenImport {
                name: printable(name, 128),
                fix: fix_for(name),
            });
        }
    }
    match types.component_item_for_export(INTERFACE) {
        Some(item) if matches!(item.ty, ComponentEntityType::Instance(_)) => Ok(interface),
        _ => Err(wrong_world(&interface)),
    }
}

/// The proposals a policy may use: what today's compilers emit by default,
/// less everything whose result may differ between machines.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Whether `name` is an import of nothing but types of our own package. Such
/// an import carries no capability; some toolchains emit it.
fn is_our_types(types: TypesRef<'_>, name: &str) -> bool {
    let ours = name
        .strip_prefix(PACKAGE)
        .is_some_and(|rest| rest.starts_with('/'));
    let Some(item) = types.component_item_for_import(name) else {
        return false;
    };
    let ComponentEntityType::Instance(id) = item.ty else {
        return false;
    };
    #[expect(
        clippy::indexing_slicing,
        reason = "an id that these types gave out; they have no other access"
    )]
    let instance = &types[id];
    ours && instance
        .exports
        .values()
        .all(|export| matches!(export.ty, ComponentEntityType::Type { .. }))
}

fn fix_for(import: &str) -> &'static str {
    if import.starts_with("wasi:") {
        "build it without WASI: Rust for `wasm32-unknown-unknown` (`nameplate policy build`), other languages with their WASI stubbed out"
    } else if import.starts_with(PACKAGE) {
        "define the types inside the exported interface, as `wit/naming.wit` does"
    } else {
        "everything a policy may know stands in the facts and settings it is given"
    }
}

fn wrong_world(interface: &Interface) -> ContractError {
    let other_version = interface
        .exports
        .iter()
        .find_map(|export| export.strip_prefix(PACKAGE)?.strip_prefix("/naming@"));
    match other_version {
        Some(found) if found != CONTRACT_VERSION => ContractError::Version {
            found: printable(found, 64),
        },
        _ => ContractError::WrongWorld {
            found: interface
                .exports
                .iter()
                .take(8)
                .map(|export| printable(export, 128))
                .collect(),
        },
    }
}

fn exports(found: &[String]) -> String {
    if found.is_empty() {
        return "nothing".to_owned();
    }
    let quoted: Vec<_> = found.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn invalid(error: wasmparser::Error) -> ContractError {
    ContractError::Invalid(one_line(&error))
}

/// What a library says of a component: it may say it in several lines, and
/// with names in them that the component's author chose.
pub(crate) fn one_line(error: &dyn fmt::Display) -> String {
    // The alternate form of an error is its whole chain.
    let text = format!("{error:#}");
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    printable(&lines.join(": "), 512)
}

/// Text that a component's author chose, made fit for a log line: control
/// characters and those that nobody sees escaped, at most `most` characters.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        if character.is_control() || nameplate_words::is_unseen(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        check(&wat::parse_str(text).unwrap())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_interface_must_be_exported_as_an_instance() {
        let good = format!(r#"(component (instance $i) (export "{INTERFACE}" (instance $i)))"#);
        let interface = check(&wat::parse_str(good).unwrap()).unwrap();
        assert_eq!(interface.exports, [INTERFACE]);
        assert_eq!(interface.imports, Vec::<String>::new());
        assert_eq!(
            refusal("(component)"),
            "the component does not export `nameplate:policy/naming@0.1.0`; it exports nothing"
        );
        assert_eq!(
            refusal(r#"(component (instance $i) (export "acme:other/thing" (instance $i)))"#),
            "the component does not export `nameplate:policy/naming@0.1.0`; it exports `acme:other/thing`"
        );
        assert_eq!(
            refusal(
                r#"(component (instance $i) (export "nameplate:policy/naming@0.2.0" (instance $i)))"#
            ),
            "the component implements version 0.2.0 of `nameplate:policy/naming`, this host speaks 0.1.0"
        );
    }

    #[test]
    fn an_import_is_refused_by_name_and_with_the_fix() {
        let importing = |import: &str| {
            format!(
                r#"(component (import {import}) (instance $i) (export "{INTERFACE}" (instance $i)))"#
            )
        };
        assert_eq!(
            refusal(&importing(r#""wasi:clocks/wall-clock@0.2.0" (instance)"#)),
            "the component imports `wasi:clocks/wall-clock@0.2.0`, and a policy imports nothing: build it without WASI: Rust for `wasm32-unknown-unknown` (`nameplate policy build`), other languages with their WASI stubbed out"
        );
        assert_eq!(
            refusal(&importing(r#""log" (func)"#)),
            "the component imports `log`, and a policy imports nothing: everything a policy may know stands in the facts and settings it is given"
        );
        assert_eq!(
            refusal(&importing(
                r#""nameplate:policy/extra" (instance (export "f" (func)))"#
            )),
            "the component imports `nameplate:policy/extra`, and a policy imports nothing: define the types inside the exported interface, as `wit/naming.wit` does"
        );
        let types = r#"(instance (type (record (field "a" u8))) (export "t" (type (eq 0))))"#;
        let ours = importing(&format!(r#""nameplate:policy/types" {types}"#));
        assert_eq!(
            check(&wat::parse_str(ours).unwrap()).unwrap().imports,
            ["nameplate:policy/types"]
        );
        let foreign = importing(&format!(r#""acme:policy/types" {types}"#));
        assert!(refusal(&foreign).starts_with("the component imports `acme:policy/types`"));
    }

    #[test]
    fn other_bytes_are_told_apart() {
        assert!(refusal("(module)").starts_with("this is a core WebAssembly module"));
        let error = check(b"not wasm").unwrap_err().to_string();
        assert_eq!(error, "this is not a WebAssembly component");
        let simd = "(component (core module (func v128.const i64x2 0 0 drop)))";
        assert!(
            refusal(simd).starts_with("the component is not valid: SIMD support is not enabled")
        );
    }

    /// Found by the fuzzer: the validator's message ran over five lines.
    #[test]
    fn what_a_validator_says_is_one_line() {
        assert_eq!(
            one_line(&"first\n  second\u{1b}[2J\nthird"),
            "first: second\\u{1b}[2J: third"
        );
    }

    #[test]
    fn foreign_text_is_made_fit_for_a_log_line() {
        assert_eq!(printable("a\nb\u{1b}[2J", 32), "a\\nb\\u{1b}[2J");
        assert_eq!(
            printable("a\u{202e}b\u{200b}ü", 32),
            "a\\u{202e}b\\u{200b}ü"
        );
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
    }
}
