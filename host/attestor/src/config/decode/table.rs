//! Reads a table of the configuration by its keys.
//!
//! Every key is asked for by name, so the reader knows them all; whatever
//! else stands in the table is noted as unknown when the table has been read.
//! No table can be read in another way, so no key can be ignored.

use super::reading::Reading;
use crate::config::document::{Entry, Node, Value, wrong_type};
use crate::config::nearest::nearest;
use crate::config::problem::{Problem, quoted};
use crate::config::quantity::{format_bytes, format_duration, format_number, parse_bytes};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

/// A value of the right type and its place.
#[derive(Clone, Debug)]
pub(super) struct Field<T> {
    /// The value.
    pub(super) value: T,
    /// Its place.
    pub(super) span: Range<usize>,
}

/// Reads the table `node`, found under `key` at `place`, with `body`.
///
/// Notes a problem and returns `None` when it is no table.
pub(super) fn read<'d, T>(
    reading: &mut Reading,
    key: &str,
    place: Option<Range<usize>>,
    node: &'d Node,
    body: impl FnOnce(&mut TableReader<'d, '_>) -> T,
) -> Option<T> {
    let Value::Table(entries) = &node.value else {
        reading.note(wrong_type(key, "a table", node));
        return None;
    };
    let mut table = TableReader {
        reading,
        place,
        entries,
        known: Vec::new(),
        renamed: Vec::new(),
        any: false,
    };
    let value = body(&mut table);
    table.note_unknown_keys();
    Some(value)
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct TableReader<'d, 'r> {
    reading: &'r mut Reading,
    place: Option<Range<usize>>,
    entries: &'d [Entry],
    known: Vec<&'static str>,
    renamed: Vec<(&'static str, &'static str)>,
    any: bool,
}

impl<'d> TableReader<'d, '_> {
    /// Where the table is named; none for the whole document.
    pub(super) fn place(&self) -> Option<Range<usize>> {
        self.place.clone()
    }

    /// Notes a problem.
    pub(super) fn note(&mut self, problem: Problem) {
        self.reading.note(problem);
    }

    /// The reading that the table is a part of.
    pub(super) fn reading(&mut self) -> &mut Reading {
        self.reading
    }

    /// Lets any key stand in the table: its other keys cannot be judged.
    pub(super) fn accept_rest(&mut self) {
        self.any = true;
    }

    /// Helps those who write `old`, which SPIRE has renamed to `new`.
    pub(super) fn renamed(&mut self, old: &'static str, new: &'static str) {
        self.renamed.push((old, new));
    }

    /// The entry of `key`, whatever its type.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'d Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Whether `key` is given.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether `key` is given; notes a problem when not.
    pub(super) fn require(&mut self, key: &'static str) -> bool {
        let given = self.has(key);
        if !given {
            let place = self.place();
            self.note(Problem::error(
                place,
                format!("missing key {}", quoted(key)),
            ));
        }
        given
    }

    /// The entries of a table whose keys are names that the operator chose.
    pub(super) fn map(&mut self, key: &'static str) -> Option<&'d [Entry]> {
        let entry = self.entry(key)?;
        let Value::Table(entries) = &entry.node.value else {
            self.note(wrong_type(key, "a table", &entry.node));
            return None;
        };
        Some(entries)
    }

    /// Reads the table under `key` with `body`.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        body: impl FnOnce(&mut TableReader<'d, '_>) -> T,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        let place = Some(entry.key_span.clone());
        read(self.reading, key, place, &entry.node, body)
    }

    /// Text that is not empty.
    pub(super) fn string(&mut self, key: &'static str) -> Option<Field<&'d str>> {
        let node = &self.entry(key)?.node;
        let text = string_of(key, node);
        self.keep(text)
    }

    /// True or false.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<Field<bool>> {
        let node = &self.entry(key)?.node;
        let Value::Bool(value) = node.value else {
            self.note(wrong_type(key, "a boolean", node));
            return None;
        };
        let span = node.span.clone();
        Some(Field { value, span })
    }

    /// A list of texts, none empty. `example` shows its form.
    pub(super) fn strings(
        &mut self,
        key: &'static str,
        example: &str,
    ) -> Option<Field<Vec<Field<&'d str>>>> {
        let node = &self.entry(key)?.node;
        let Value::Array(items) = &node.value else {
            let shown = node.value.as_str().unwrap_or(example);
            let problem = wrong_type(key, "an array of strings", node);
            self.note(problem.with_help(format!("write `{key} = [{shown:?}]`")));
            return None;
        };
        let texts: Vec<_> = items
            .iter()
            .map(|item| self.keep(item_of(key, item)))
            .collect();
        Some(Field {
            value: texts.into_iter().collect::<Option<_>>()?,
            span: node.span.clone(),
        })
    }

    /// A whole number in `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<Field<u64>> {
        let node = &self.entry(key)?.node;
        let number = match node.value.as_integer() {
            Some(number) => in_range(key, number, &range, node, format_number),
            None => Err(wrong_type(key, "an integer", node)),
        };
        self.keep(number)
    }

    /// A share of a whole, from 0 to 1.
    pub(super) fn share(&mut self, key: &'static str) -> Option<Field<f64>> {
        let node = &self.entry(key)?.node;
        let span = node.span.clone();
        let number = match node.value {
            Value::Float(number) => Some(number),
            Value::Integer(0) => Some(0.0),
            Value::Integer(1) => Some(1.0),
            Value::Integer(_)
            | Value::Table(_)
            | Value::Array(_)
            | Value::String(_)
            | Value::Bool(_)
            | Value::Other(_) => None,
        };
        let share = number
            .filter(|number| (0.0..=1.0).contains(number))
            .map(|value| Field {
                value,
                span: span.clone(),
            });
        self.keep(share.ok_or_else(|| {
            let text = format!("{} must be a number between 0 and 1", quoted(key));
            Problem::error(span, text)
        }))
    }

    /// A size in bytes, in `range`: a whole number, or text with a unit.
    pub(super) fn bytes(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<Field<usize>> {
        let node = &self.entry(key)?.node;
        let range = *range.start() as u64..=*range.end() as u64;
        let size = match (node.value.as_integer(), node.value.as_str()) {
            (Some(size), _) => in_range(key, size, &range, node, format_bytes),
            (None, Some(text)) => match parse_bytes(text) {
                Ok(size) => in_range(key, size, &range, node, format_bytes),
                Err(reason) => Err(Problem::error(
                    node.span.clone(),
                    format!(
                        "{} is not a size for {}: {reason}",
                        quoted(text),
                        quoted(key)
                    ),
                )
                .with_help(r#"write bytes as an integer, or with a unit as in "512 KiB""#)),
            },
            (None, None) => Err(wrong_type(key, "a size in bytes", node)),
        };
        self.keep(size).and_then(to_usize)
    }

    /// A whole number in `range`, of things that are held in memory.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<Field<usize>> {
        let range = *range.start() as u64..=*range.end() as u64;
        self.number(key, range).and_then(to_usize)
    }

    /// A duration in `range`, such as `"100ms"`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Field<Duration>> {
        let node = &self.entry(key)?.node;
        let example = r#"write a number and a unit, as in "100ms", "30s" or "5m""#;
        let duration = match node.value.as_str() {
            Some(text) => match humantime::parse_duration(text) {
                Ok(value) if range.contains(&value) => Ok(Field {
                    value,
                    span: node.span.clone(),
                }),
                Ok(value) => Err(Problem::error(
                    node.span.clone(),
                    format!(
                        "{} must be between {} and {}, found {}",
                        quoted(key),
                        format_duration(*range.start()),
                        format_duration(*range.end()),
                        format_duration(value)
                    ),
                )),
                Err(_) => Err(Problem::error(
                    node.span.clone(),
                    format!("{} is not a duration for {}", quoted(text), quoted(key)),
                )
                .with_help(example)),
            },
            None => Err(wrong_type(key, "a duration", node).with_help(example)),
        };
        self.keep(duration)
    }

    /// Parses each of `texts`, noting what is wrong with each.
    pub(super) fn each<T>(
        &mut self,
        texts: Vec<Field<&'d str>>,
        parse: impl Fn(&'d str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let parsed: Vec<Option<T>> = texts
            .into_iter()
            .map(|text| {
                let result = parse(text.value);
                self.keep(result.map_err(|message| Problem::error(text.span, message)))
            })
            .collect();
        parsed.into_iter().collect()
    }

    fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.note(problem)).ok()
    }

    fn note_unknown_keys(&mut self) {
        if self.any {
            return;
        }
        for entry in self.entries {
            if self.known.contains(&entry.key.as_str()) {
                continue;
            }
            let renamed = self.renamed.iter().find(|(old, _)| *old == entry.key);
            let help = match (renamed, nearest(&entry.key, &self.known)) {
                (Some((_, new)), _) => format!("SPIRE renamed it `{new}`"),
                (None, Some(name)) => format!("did you mean `{name}`?"),
                (None, None) => format!("the keys here are `{}`", self.known.join("`, `")),
            };
            let message = format!("unknown key {}", quoted(&entry.key));
            self.reading
                .note(Problem::error(entry.key_span.clone(), message).with_help(help));
        }
    }
}

fn string_of<'d>(key: &str, node: &'d Node) -> Result<Field<&'d str>, Problem> {
    let span = node.span.clone();
    match node.value.as_str() {
        Some("") => Err(Problem::error(span, format!("{} is empty", quoted(key)))),
        Some(value) => Ok(Field { value, span }),
        None => Err(wrong_type(key, "a string", node)),
    }
}

fn item_of<'d>(key: &str, node: &'d Node) -> Result<Field<&'d str>, Problem> {
    let span = node.span.clone();
    match node.value.as_str() {
        Some("") => Err(Problem::error(
            span,
            format!("an entry of {} is empty", quoted(key)),
        )),
        Some(value) => Ok(Field { value, span }),
        None => {
            let found = node.value.kind();
            let text = format!("expected a string in {}, found {found}", quoted(key));
            Err(Problem::error(span, text))
        }
    }
}

fn in_range(
    key: &str,
    number: impl TryInto<u64> + std::fmt::Display + Copy,
    range: &RangeInclusive<u64>,
    node: &Node,
    format: impl Fn(u64) -> String,
) -> Result<Field<u64>, Problem> {
    let span = node.span.clone();
    let unsigned = number.try_into().ok();
    if let Some(value) = unsigned.filter(|value| range.contains(value)) {
        return Ok(Field { value, span });
    }
    // A negative number has no form of its own here; its digits will do.
    let found = unsigned.map_or_else(|| number.to_string(), &format);
    let (least, most) = (format(*range.start()), format(*range.end()));
    Err(Problem::error(
        span,
        format!(
            "{} must be between {least} and {most}, found {found}",
            quoted(key)
        ),
    ))
}

fn to_usize(field: Field<u64>) -> Option<Field<usize>> {
    Some(Field {
        value: field.value.try_into().ok()?,
        span: field.span,
    })
}
