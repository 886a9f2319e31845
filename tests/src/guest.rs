//! Policies to attack the host with, written in WebAssembly text.
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
mod generated;

pub use generated::{generated, imported, nested_components};

use std::fmt::Write as _;
use std::fs;

/// A component and what it is called.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What it does, in words joined by `_`.
    pub name: String,
    /// Its bytes; not always a component.
    pub bytes: Vec<u8>,
}

impl Guest {
    /// A guest of these bytes.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            bytes,
        }
    }
}

/// The guest in `guests/<name>.wat`.
pub fn file(name: &str) -> Guest {
    let path = crate::path(&format!("guests/{name}.wat"));
    let text = fs::read_to_string(&path).unwrap();
    Guest::new(name, text_of(&text))
}

/// Every guest in `guests/`, by name.
pub fn files() -> Vec<Guest> {
    let mut names: Vec<String> = fs::read_dir(crate::path("guests"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names.iter().map(|name| file(name)).collect()
}

/// The bytes of a guest written as the crate documentation of this module says.
pub fn text_of(text: &str) -> Vec<u8> {
    let code = without_comments(text);
    if code.starts_with("(component") || code.starts_with("(module") {
        return assemble(&code);
    }
    if code.contains("(core module") {
        return assemble(&boilerplate::component(&code));
    }
    let module = format!("(core module $guest {code} {})", defaults(&code));
    assemble(&boilerplate::component(&module))
}

/// A well-behaved policy that answers with this path and these selectors,
/// whatever the facts. The texts may be anything but need not be UTF-8.
pub fn answering<T: AsRef<[u8]>>(path: &[T], selectors: &[T]) -> Vec<u8> {
    text_of(&answer(path, selectors, &[]))
}

/// The same, with custom sections of the component: name and content.
pub fn answering_with(path: &[&str], sections: &[(&str, &str)]) -> Vec<u8> {
    let module = answer(path, &[], &[]);
    let mut fields = format!("(core module $guest {module} {})", defaults(&module));
    for (name, content) in sections {
        write!(
            fields,
            "(@custom \"{name}\" \"{}\")",
            escaped(content.as_bytes())
        )
        .unwrap();
    }
    assemble(&boilerplate::component(&fields))
}

/// A policy that denies with these texts.
pub fn denying(code: &[u8], detail: &[u8]) -> Vec<u8> {
    let mut data = Data::default();
    let strings = [data.text(code), data.text(detail)].concat();
    text_of(&data.module("derive", "(param i32)", 1, &strings))
}

/// A policy that refuses its settings with one problem.
pub fn refusing(pointer: &[u8], message: &[u8]) -> Vec<u8> {
    let mut data = Data::default();
    let list = data.list(&[pointer, message], 1);
    text_of(&data.module("configure", "(param i32 i32)", 1, &list))
}

fn answer<T: AsRef<[u8]>>(path: &[T], selectors: &[T], rest: &[u8]) -> String {
    let mut data = Data::default();
    let mut lists = data.list(path, path.len());
    lists.extend(data.list(selectors, selectors.len()));
    lists.extend(rest);
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

    /// A module whose `function` answers with a result of this case and payload.
    fn module(mut self, function: &str, parameters: &str, case: u8, payload: &[u8]) -> String {
        let at = self.end();
        self.0.extend([case, 0, 0, 0]);
        self.0.extend(payload);
        let pages = (Self::BASE + self.0.len()).div_ceil(64 << 10);
        format!(
            "(memory (export \"memory\") {pages})
             (data (i32.const {}) \"{}\")
             (func (export \"{function}\") {parameters} (result i32) (i32.const {at}))",
            Self::BASE,
            escaped(&self.0),
        )
    }
}

fn pair(at: usize, length: usize) -> Vec<u8> {
    [at, length]
        .into_iter()
        .flat_map(|number| u32::try_from(number).unwrap().to_le_bytes())
        .collect()
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        write!(text, "\\{byte:02x}").unwrap();
    }
    text
}

/// What `fields` do not export of what a policy must.
fn defaults(fields: &str) -> String {
    let mut missing = String::new();
    for (name, definition) in boilerplate::DEFAULTS {
        if !fields.contains(&format!("(export \"{name}\")")) {
            missing.push_str(definition);
        }
    }
    missing
}

fn without_comments(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(";;"))
        .collect();
    lines.join("\n").trim().to_owned()
}

fn assemble(text: &str) -> Vec<u8> {
    match wat::parse_str(text) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{error}\n{:.400}", text),
    }
}
