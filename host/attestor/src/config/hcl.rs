//! HCL version 1 text to [`Node`]: syntax only, no key has a meaning here.
//!
//! The subset that SPIRE's configurations are written in, and that SPIRE hands
//! to a plugin: it prints `plugin_data` again before it does, with the values
//! as they were typed. All forms of a map (`a = { "k" = {} }`, `a { "k" {} }`,
//! `a "k" {}`), quoted keys, lists, here-documents, comments. A text that
//! begins with `{` is JSON, as for SPIRE, whose library reads a list of maps
//! there as it reads blocks of one name ([`maps_for_lists`]).
//!
//! Stricter than the library that SPIRE reads with, on purpose: a key given
//! twice is refused where that takes the last one, strings end on their line,
//! and escapes that would make bytes that are no text are refused. Blocks of
//! one name are one table, as long as they do not contradict each other.
//! `${…}` is text here, as it is for SPIRE.

mod lexer;
mod parser;
#[cfg(test)]
mod tests;

use super::document::{Entry, Node, Value};
use super::problem::{Problem, quoted};
use lexer::{Lexer, Notation};
use parser::Parser;

/// Deepest nesting of values: more is no configuration.
const MAX_DEPTH: usize = 64;

/// Parses a document.
///
/// # Errors
/// The first place where the text is neither HCL 1 nor, where it begins with
/// a brace, JSON.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let json = is_json(text);
    let notation = if json { Notation::Json } else { Notation::Hcl };
    let mut parser = Parser::new(Lexer::new(text, notation))?;
    let value = if json {
        parser.json_document()?
    } else {
        Value::Table(parser.body()?)
    };
    Ok(Node {
        span: 0..text.len(),
        value,
    })
}

/// Whether `text` is read as JSON.
pub(crate) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Makes each list of maps the map of all of them, as generators of JSON write
/// a block: `"clusters": [{"a": {}}, {"b": {}}]`. Values inside a member called
/// `free` stay as they are, lists included.
///
/// # Errors
/// Where maps of one list contradict each other.
// Recursion is bounded: the reader bounds how deep values nest.
pub(crate) fn maps_for_lists(node: Node, free: &str) -> Result<Node, Problem> {
    let Node { span, value } = node;
    let value = match value {
        Value::Array(items) if are_maps(&items) => {
            let items: Result<Vec<_>, _> = items
                .into_iter()
                .map(|item| maps_for_lists(item, free))
                .collect();
            Value::Table(merged(items?)?)
        }
        Value::Table(entries) => {
            let within = |entry: Entry| {
                let node = match entry.node {
                    // It is a map itself, though.
                    Node {
                        span,
                        value: Value::Array(items),
                    } if entry.key == free && are_maps(&items) => Node {
                        span,
                        value: Value::Table(merged(items)?),
                    },
                    node if entry.key == free => node,
                    node => maps_for_lists(node, free)?,
                };
                Ok(Entry { node, ..entry })
            };
            Value::Table(entries.into_iter().map(within).collect::<Result<_, _>>()?)
        }
        other @ (Value::Array(_)
        | Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Bool(_)
        | Value::Other(_)) => other,
    };
    Ok(Node { span, value })
}

fn are_maps(items: &[Node]) -> bool {
    let is_map = |item: &Node| matches!(item.value, Value::Table(_));
    !items.is_empty() && items.iter().all(is_map)
}

/// The entries of all maps of a list, as if they were blocks of one name.
fn merged(items: Vec<Node>) -> Result<Vec<Entry>, Problem> {
    let mut entries = Vec::new();
    for item in items {
        if let Value::Table(more) = item.value {
            for entry in more {
                let block = matches!(entry.node.value, Value::Table(_));
                insert(&mut entries, entry, block)?;
            }
        }
    }
    Ok(entries)
}

/// Puts `new` among `entries`. Blocks of one name become one table.
fn insert(entries: &mut Vec<Entry>, new: Entry, block: bool) -> Result<(), Problem> {
    let Some(known) = entries.iter_mut().find(|known| known.key == new.key) else {
        entries.push(new);
        return Ok(());
    };
    match (&mut known.node.value, new.node.value) {
        (Value::Table(known), Value::Table(more)) if block => {
            for entry in more {
                let block = matches!(entry.node.value, Value::Table(_));
                insert(known, entry, block)?;
            }
            Ok(())
        }
        (_, _) => Err(Problem::error(
            new.key_span,
            format!("{} is given twice", quoted(&new.key)),
        )),
    }
}
