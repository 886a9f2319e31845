//! HCL version 1 text to [`Node`]: syntax only, no key has a meaning here.
//!
//! The subset that SPIRE's configurations are written in, and that SPIRE hands
//! to a plugin: it prints `plugin_data` again before it does, with the values
//! as they were typed. All forms of a map (`a = { "k" = {} }`, `a { "k" {} }`,
//! `a "k" {}`), quoted keys, lists, here-documents, comments. A text that
//! begins with `{` is JSON, as for SPIRE.
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
    let json = text.trim_start().starts_with('{');
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
