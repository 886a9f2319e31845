//! Bounds on the shape of a component, checked before a compiler sees it.
//!
//! Compiling is an attack surface: half a megabyte of nested blocks keeps
//! Cranelift busy for twenty seconds. One linear pass over the bytes finds
//! what would.

use crate::contract::one_line;
use crate::limits::Limits;
use wasmparser::{CompositeInnerType, FunctionBody, Operator, Parser, Payload};

/// Why a component's shape is refused.
#[derive(Debug, thiserror::Error)]
pub enum StructureError {
    /// The bytes are no WebAssembly, or end too early.
    #[error("not well-formed WebAssembly: {0}")]
    Malformed(String),
    /// More of something than the limits allow.
    #[error("{what}: {found}, at most {limit} allowed (limit `{setting}`)")]
    TooMuch {
        /// What was counted.
        what: &'static str,
        /// How much there is; counting stops at the first excess.
        found: usize,
        /// How much there may be.
        limit: usize,
        /// Field of [`Limits`] that says so.
        setting: &'static str,
    },
}

impl From<wasmparser::Error> for StructureError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Malformed(one_line(&error))
    }
}

/// Walks the whole component, nested modules and components included.
pub(crate) fn check(bytes: &[u8], limits: &Limits) -> Result<(), StructureError> {
    let mut functions = Count::new("functions", limits.functions, "functions");
    let mut locals = Count::new("local variables", limits.locals, "locals");
    let mut depth = Count::new(
        "components nested in components",
        limits.component_nesting(),
        "nesting",
    );
    let mut modules = Count::new("core modules", limits.instances, "instances");
    let mut joins = Count::new("variables times joins and branches", limits.joins, "joins");
    // Parameters are variables too. Which type a function has stands apart
    // from its body; the longest list of the module is taken for all.
    let mut parameters = 0;
    // What each open section added to the depth.
    let mut open = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "no other section costs the compiler more than its bytes"
        )]
        match payload? {
            Payload::ComponentSection { .. } => {
                open.push(1);
                depth.add(1)?;
            }
            Payload::ModuleSection { .. } => {
                open.push(0);
                modules.add(1)?;
                parameters = 0;
            }
            Payload::TypeSection(types) => {
                for types in types {
                    for ty in types?.types() {
                        if let CompositeInnerType::Func(function) = &ty.composite_type.inner {
                            parameters = parameters.max(function.params().len());
                        }
                    }
                }
            }
            Payload::End(_) => depth.found -= open.pop().unwrap_or(0),
            Payload::CodeSectionStart { count, .. } => functions.add(count)?,
            // Each canonical function is compiled as a trampoline.
            Payload::ComponentCanonicalSection(reader) => functions.add(reader.count())?,
            Payload::CodeSectionEntry(body) => {
                let before = locals.found;
                let branches = function(&body, &mut locals, limits)?;
                let variables = locals.found - before + parameters;
                joins.set(
                    joins
                        .found
                        .saturating_add(variables.saturating_mul(branches)),
                )?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Bounds one function, and counts the places where its control flow joins
/// or branches.
fn function(
    body: &FunctionBody<'_>,
    locals: &mut Count,
    limits: &Limits,
) -> Result<usize, StructureError> {
    Count::new(
        "bytes in one function",
        limits.function_bytes,
        "function_bytes",
    )
    .set(body.range().len())?;
    for declared in body.get_locals_reader()? {
        locals.add(declared?.0)?;
    }
    let mut nesting = Count::new("blocks nested in a function", limits.nesting, "nesting");
    let mut indirect_calls = Count::new(
        "calls through a table in a function",
        limits.indirect_calls,
        "indirect_calls",
    );
    let mut branches = 0usize;
    for operator in body.get_operators_reader()? {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "600 operators, of which these alone shape the control flow"
        )]
        match operator? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. } => {
                nesting.add(1)?;
                branches += 1;
            }
            Operator::Br { .. } | Operator::BrIf { .. } => branches += 1,
            Operator::BrTable { targets } => {
                branches += usize::try_from(targets.len()).unwrap_or(usize::MAX / 2) + 1;
            }
            Operator::CallIndirect { .. } => indirect_calls.add(1)?,
            Operator::End => nesting.found = nesting.found.saturating_sub(1),
            _ => {}
        }
    }
    Ok(branches)
}

struct Count {
    what: &'static str,
    found: usize,
    limit: usize,
    setting: &'static str,
}

impl Count {
    fn new(what: &'static str, limit: usize, setting: &'static str) -> Self {
        Self {
            what,
            found: 0,
            limit,
            setting,
        }
    }

    fn add(&mut self, more: u32) -> Result<(), StructureError> {
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        self.set(self.found.saturating_add(more))
    }

    fn set(&mut self, found: usize) -> Result<(), StructureError> {
        self.found = found;
        if found > self.limit {
            return Err(StructureError::TooMuch {
                what: self.what,
                found,
                limit: self.limit,
                setting: self.setting,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
            joins: 12,
            indirect_calls: 2,
            instances: 2,
            ..Limits::default()
        };
        let module =
            |text: &str| wat::parse_str(format!("(component (core module {text}))")).unwrap();
        // Two locals and a parameter, at a loop, a block and two branches.
        let joining = |more: &str| {
            module(&format!(
                "(func (param i32) (local i32 i32) loop block br 0 end {more} br 0 end)"
            ))
        };
        check(&joining(""), &limits).unwrap();
        assert_eq!(
            refusal(&joining("block end"), &limits),
            "variables times joins and branches: 15, at most 12 allowed (limit `joins`)"
        );
        let table = "(func (block (br_table 0 0 0 0 (i32.const 0))) (local.get 0) drop)";
        let table = module(&table.replace("(func ", "(func (param i32 i32 i32) "));
        assert_eq!(
            refusal(&table, &limits),
            "variables times joins and branches: 15, at most 12 allowed (limit `joins`)"
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
}
