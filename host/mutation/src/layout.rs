//! Where the code and the data of a component stand in its bytes, and which
//! lengths stand round them.
//!
//! Trusts nothing: a length that leads out of the bytes is an error. Whether
//! the rest is valid WebAssembly is for whoever compiles it.

use crate::plan::PlanError;
use std::collections::BTreeMap;
use std::ops::Range;
use wasmparser::{
    BinaryReader, CodeSectionReader, DataKind, DataSectionReader, ExportSectionReader,
    ExternalKind, FunctionBody, ImportSectionReader, KnownCustom, Name, Operator, Parser, Payload,
    TypeRef,
};

/// A length in front of something, as LEB128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// Where its first byte stands.
    pub(crate) at: usize,
    /// How many bytes it takes.
    pub(crate) len: usize,
    /// What it says.
    pub(crate) size: usize,
}

/// A core module of a component.
#[derive(Debug, Default)]
pub(crate) struct Module<'a> {
    /// Its functions that have a body.
    pub(crate) bodies: Vec<Body<'a>>,
    /// Its data that has a fixed address.
    pub(crate) data: Vec<Segment<'a>>,
    names: BTreeMap<u32, String>,
    exports: BTreeMap<u32, String>,
    imported: u32,
}

/// The body of a function.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) body: FunctionBody<'a>,
    /// Its index among the module's functions.
    pub(crate) index: u32,
    /// The lengths round it, the outermost first.
    pub(crate) prefixes: Vec<Prefix>,
}

/// Data at a fixed address.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    /// Its address in the module's memory.
    pub(crate) address: u32,
    pub(crate) bytes: &'a [u8],
    /// Where its first byte stands in the component.
    pub(crate) at: usize,
}

impl Module<'_> {
    /// What the module calls a function: its name, or else its export's.
    pub(crate) fn name(&self, index: u32) -> Option<&str> {
        let named = self.names.get(&index).or_else(|| self.exports.get(&index));
        named.map(String::as_str)
    }
}

/// Finds every core module, in components in components too.
pub(crate) fn modules(bytes: &[u8]) -> Result<Vec<Module<'_>>, PlanError> {
    let mut modules = Vec::new();
    // Whatever is open: the lengths round it, and of each whether it is a module.
    let mut prefixes: Vec<Prefix> = Vec::new();
    let mut is_module = Vec::new();
    let mut open: Vec<Module<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "no other section holds code or data"
        )]
        match payload? {
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                prefixes.push(prefix_before(bytes, &unchecked_range)?);
                is_module.push(true);
                open.push(Module::default());
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => {
                prefixes.push(prefix_before(bytes, &unchecked_range)?);
                is_module.push(false);
            }
            Payload::End(_) => {
                prefixes.pop();
                if is_module.pop() == Some(true) {
                    modules.extend(open.pop());
                }
            }
            Payload::ImportSection(reader) => {
                if let Some(module) = open.last_mut() {
                    module.import(reader)?;
                }
            }
            Payload::ExportSection(reader) => {
                if let Some(module) = open.last_mut() {
                    module.export(reader)?;
                }
            }
            Payload::CodeSectionStart { range, .. } => {
                if let Some(module) = open.last_mut() {
                    let section = prefix_before(bytes, &range)?;
                    module.code(bytes, &range, &prefixes, section)?;
                }
            }
            Payload::DataSection(reader) => {
                if let Some(module) = open.last_mut() {
                    module.data(reader)?;
                }
            }
            Payload::CustomSection(section) => {
                if let (Some(module), KnownCustom::Name(names)) =
                    (open.last_mut(), section.as_known())
                {
                    module.named(names);
                }
            }
            _ => {}
        }
    }
    Ok(modules)
}

impl<'a> Module<'a> {
    fn import(&mut self, reader: ImportSectionReader<'a>) -> Result<(), PlanError> {
        for import in reader.into_imports() {
            if matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                self.imported = self.imported.saturating_add(1);
            }
        }
        Ok(())
    }

    fn export(&mut self, reader: ExportSectionReader<'a>) -> Result<(), PlanError> {
        for export in reader {
            let export = export?;
            if export.kind == ExternalKind::Func {
                self.exports.insert(export.index, export.name.to_owned());
            }
        }
        Ok(())
    }

    fn code(
        &mut self,
        bytes: &'a [u8],
        range: &Range<usize>,
        around: &[Prefix],
        section: Prefix,
    ) -> Result<(), PlanError> {
        let content = bytes.get(range.clone()).ok_or(PlanError::Torn)?;
        let reader = CodeSectionReader::new(BinaryReader::new(content, range.start))?;
        for (index, body) in (self.imported..).zip(reader) {
            let body = body?;
            let mut prefixes = around.to_vec();
            prefixes.push(section);
            prefixes.push(prefix_before(bytes, &body.range())?);
            self.bodies.push(Body {
                body,
                index,
                prefixes,
            });
        }
        Ok(())
    }

    fn data(&mut self, reader: DataSectionReader<'a>) -> Result<(), PlanError> {
        for data in reader {
            let data = data?;
            let DataKind::Active { offset_expr, .. } = data.kind else {
                continue;
            };
            let mut offset = offset_expr.get_operators_reader();
            // Whatever else computes an address, nothing here knows it.
            if let Operator::I32Const { value } = offset.read()? {
                self.data.push(Segment {
                    address: value.cast_unsigned(),
                    bytes: data.data,
                    at: data.range.end.saturating_sub(data.data.len()),
                });
            }
        }
        Ok(())
    }

    /// A name section that cannot be read names nothing.
    fn named(&mut self, names: wasmparser::NameSectionReader<'a>) {
        for name in names.into_iter().flatten() {
            if let Name::Function(functions) = name {
                let functions = functions.into_iter().flatten();
                self.names
                    .extend(functions.map(|naming| (naming.index, naming.name.to_owned())));
            }
        }
    }
}

/// The length that stands before `content`: the fewest bytes there that say it.
/// Where a length is padded, fewer of its bytes say another.
fn prefix_before(bytes: &[u8], content: &Range<usize>) -> Result<Prefix, PlanError> {
    let size = content.len();
    (1..=5)
        .find_map(|len| {
            let at = content.start.checked_sub(len)?;
            let prefix = bytes.get(at..content.start)?;
            (leb(prefix)? == size).then_some(Prefix { at, len, size })
        })
        .ok_or(PlanError::Torn)
}

/// The value of a LEB128 that takes all of `bytes`.
fn leb(bytes: &[u8]) -> Option<usize> {
    let (last, more) = bytes.split_last()?;
    if last & 0x80 != 0 || more.iter().any(|byte| byte & 0x80 == 0) {
        return None;
    }
    bytes.iter().rev().try_fold(0usize, |value, byte| {
        value
            .checked_mul(128)?
            .checked_add(usize::from(byte & 0x7f))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_data_and_names_are_found_in_every_module() {
        let bytes = wat::parse_str(
            r#"(component
                (core module
                    (import "a" "b" (func))
                    (func $first nop)
                    (func (export "second") nop nop)
                    (memory 1)
                    (data (i32.const 100) "text"))
                (component (core module (func nop))))"#,
        )
        .unwrap();
        let modules = modules(&bytes).unwrap();
        let [outer, inner] = modules.as_slice() else {
            panic!("{modules:?}");
        };
        let names: Vec<_> = outer
            .bodies
            .iter()
            .map(|body| (body.index, outer.name(body.index)))
            .collect();
        assert_eq!(names, [(1, Some("first")), (2, Some("second"))]);
        assert_eq!(outer.data[0].address, 100);
        assert_eq!(&bytes[outer.data[0].at..][..4], b"text");
        assert_eq!(outer.bodies[0].prefixes.len(), 3);
        assert_eq!(inner.bodies[0].prefixes.len(), 4);
        for body in outer.bodies.iter().chain(&inner.bodies) {
            for prefix in &body.prefixes {
                assert_eq!(leb(&bytes[prefix.at..][..prefix.len]), Some(prefix.size));
            }
        }
    }

    #[test]
    fn torn_bytes_are_refused() {
        let bytes = wat::parse_str("(component (core module (func nop)))").unwrap();
        assert!(modules(&bytes).is_ok());
        assert!(modules(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn a_length_may_be_padded() {
        assert_eq!(leb(&[0x85, 0x80, 0x00]), Some(5));
        assert_eq!(leb(&[0x05]), Some(5));
        assert_eq!(leb(&[0x05, 0x05]), None);
        let bytes = [0x0a, 0x85, 0x80, 0x00, 1, 2, 3, 4, 5];
        let prefix = prefix_before(&bytes, &(4..9)).unwrap();
        assert_eq!((prefix.at, prefix.len), (1, 3));
    }
}
