//! Policies written in WebAssembly text, to attack the host with.
//!
//! A guest is the part that is peculiar about it; the rest of a component
//! that keeps to the contract is written round it here:
//!
//! - *fields of a core module* (the usual case): whatever of `memory`,
//!   `realloc`, `configure` and `derive` they do not export, the well-behaved
//!   policy of [`answering`] exports in their place;
//! - *fields of a component*, known by a `(core module`: a core instance
//!   `$guest` exports the four;
//! - *a whole file*, known by its `(component` or `(module`.

mod boilerplate;

use std::fmt::Write as _;
use wasm_encoder::{ComponentSectionId, CustomSection, RawSection, Section as _};

/// Text that is no WebAssembly: a defect of whoever wrote it.
#[derive(Debug, thiserror::Error)]
#[error("the component cannot be assembled")]
pub struct AssemblyError(#[from] wat::Error);

/// The bytes of a guest written as the documentation of this module says.
///
/// # Errors
/// When it is no WebAssembly text.
pub fn assembled(text: &str) -> Result<Vec<u8>, AssemblyError> {
    let code = without_comments(text);
    let whole = if code.starts_with("(component") || code.starts_with("(module") {
        code
    } else if code.contains("(core module") {
        boilerplate::component(&code)
    } else {
        let module = format!("(core module $guest {code} {})", defaults(&code));
        boilerplate::component(&module)
    };
    Ok(wat::parse_str(whole)?)
}

/// A well-behaved policy that answers with this path and these selectors,
/// whatever the facts. The texts may be anything but need not be UTF-8.
///
/// # Errors
/// As [`assembled`].
pub fn answering<T: AsRef<[u8]>>(path: &[T], selectors: &[T]) -> Result<Vec<u8>, AssemblyError> {
    assembled(&answer(path, selectors))
}

/// The same, with custom sections of the component: name and content.
///
/// # Errors
/// As [`assembled`].
pub fn answering_with(path: &[&str], sections: &[(&str, &str)]) -> Result<Vec<u8>, AssemblyError> {
    let module = answer(path, &[]);
    let mut fields = format!("(core module $guest {module} {})", defaults(&module));
    for (name, content) in sections {
        let content = escaped(content.as_bytes());
        fields.push_str(&format!("(@custom \"{name}\" \"{content}\")"));
    }
    assembled(&fields)
}

/// A policy that answers with the first path and selectors where a condition
/// holds, and with the second ones where it does not. The condition is an
/// expression that leaves an `i32`; the facts lie where `(local.get 0)` points.
///
/// # Errors
/// As [`assembled`].
pub fn choosing<T: AsRef<[u8]>>(
    condition: &str,
    holds: (&[T], &[T]),
    fails: (&[T], &[T]),
) -> Result<Vec<u8>, AssemblyError> {
    let mut data = Data::default();
    let mut answer = |(path, selectors): (&[T], &[T])| {
        let mut lists = data.list(path, path.len());
        lists.extend(data.list(selectors, selectors.len()));
        data.result(0, &lists)
    };
    let (first, second) = (answer(holds), answer(fails));
    let body = format!(
        "(if (result i32) {condition} (then (i32.const {first})) (else (i32.const {second})))"
    );
    assembled(&data.module_of("derive", "(param i32)", &body))
}

/// For [`choosing`]: whether an attestation is earlier than `seconds` since
/// 1970.
pub fn earlier_than(seconds: u64) -> String {
    format!("(i64.lt_u (i64.load offset=16 (local.get 0)) (i64.const {seconds}))")
}

/// A policy that denies with these texts.
///
/// # Errors
/// As [`assembled`].
pub fn denying(code: &[u8], detail: &[u8]) -> Result<Vec<u8>, AssemblyError> {
    let mut data = Data::default();
    let strings = [data.text(code), data.text(detail)].concat();
    assembled(&data.module("derive", "(param i32)", 1, &strings))
}

/// A policy that refuses its settings with one problem.
///
/// # Errors
/// As [`assembled`].
pub fn refusing(pointer: &[u8], message: &[u8]) -> Result<Vec<u8>, AssemblyError> {
    let mut data = Data::default();
    let list = data.list(&[pointer, message], 1);
    assembled(&data.module("configure", "(param i32 i32)", 1, &list))
}

/// Components inside each other.
pub fn nested(depth: usize) -> Vec<u8> {
    let header = *b"\0asm\x0d\0\x01\0";
    let mut component = header.to_vec();
    for _ in 0..depth {
        let mut outer = header.to_vec();
        let inner = RawSection {
            id: ComponentSectionId::Component.into(),
            data: &component,
        };
        inner.append_to(&mut outer);
        component = outer;
    }
    component
}

/// `component` with custom sections of these contents behind it, without names.
pub fn padded(mut component: Vec<u8>, contents: &[Vec<u8>]) -> Vec<u8> {
    for content in contents {
        let section = CustomSection {
            name: "".into(),
            data: content.into(),
        };
        section.append_to(&mut component);
    }
    component
}

/// What `fields` do not export of what a policy must, as fields.
pub fn defaults(fields: &str) -> String {
    boilerplate::DEFAULTS
        .iter()
        .filter(|(name, _)| !fields.contains(&format!("(export \"{name}\")")))
        .map(|(_, definition)| *definition)
        .collect()
}

fn answer<T: AsRef<[u8]>>(path: &[T], selectors: &[T]) -> String {
    let mut data = Data::default();
    let mut lists = data.list(path, path.len());
    lists.extend(data.list(selectors, selectors.len()));
    data.module("derive", "(param i32)", 0, &lists)
}

/// Contents of a guest's memory, from [`Data::BASE`] on.
#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    /// Behind what the host says to a guest.
    const BASE: usize = 16 << 10;

    /// Where the next byte comes, and that it is aligned for a pointer.
    fn end(&mut self) -> usize {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        Self::BASE + self.0.len()
    }

    /// Pointer to and length of a text.
    fn text(&mut self, text: &[u8]) -> Vec<u8> {
        let at = self.end();
        self.0.extend(text);
        pair(at, text.len())
    }

    /// Pointer to and length of a list of texts, of `count` elements.
    fn list<T: AsRef<[u8]>>(&mut self, texts: &[T], count: usize) -> Vec<u8> {
        let pairs: Vec<_> = texts
            .iter()
            .flat_map(|text| self.text(text.as_ref()))
            .collect();
        let at = self.end();
        self.0.extend(pairs);
        pair(at, count)
    }

    /// Where a result of this case and payload lies.
    fn result(&mut self, case: u8, payload: &[u8]) -> usize {
        let at = self.end();
        self.0.extend([case, 0, 0, 0]);
        self.0.extend(payload);
        at
    }

    /// A module whose `function` answers with a result of this case and payload.
    fn module(mut self, function: &str, parameters: &str, case: u8, payload: &[u8]) -> String {
        let at = self.result(case, payload);
        self.module_of(function, parameters, &format!("(i32.const {at})"))
    }

    /// A module whose `function` answers with what `body` leaves.
    fn module_of(&self, function: &str, parameters: &str, body: &str) -> String {
        let pages = (Self::BASE + self.0.len()).div_ceil(64 << 10);
        format!(
            "(memory (export \"memory\") {pages})
             (data (i32.const {}) \"{}\")
             (func (export \"{function}\") {parameters} (result i32) {body})",
            Self::BASE,
            escaped(&self.0),
        )
    }
}

/// Two numbers as a guest writes them: little-endian, 32 bits each.
fn pair(at: usize, length: usize) -> Vec<u8> {
    [at, length]
        .into_iter()
        .flat_map(|number| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes())
        .collect()
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(3));
    for byte in bytes {
        // Writing to a string does not fail.
        let _written = write!(text, "\\{byte:02x}");
    }
    text
}

fn without_comments(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(";;"))
        .collect();
    lines.join("\n").trim().to_owned()
}
