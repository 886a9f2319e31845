//! An explanation for a terminal: the ID with each segment's origin under it,
//! then a line for each selector, fact and setting.

use super::{Document, words};
use crate::report::{BAD, FAINT, GOOD, HEADING, NOTE, printable};
use nameplate_attestor::cases::Outcome;
use nameplate_attestor::study::{Derivation, Influence};
use std::io::{self, Write};

/// Longest value of a fact that is shown.
const VALUE_WIDTH: usize = 36;

/// Writes all of it.
pub(super) fn write(out: &mut dyn Write, document: &Document) -> io::Result<()> {
    let explanation = &document.explanation;
    match (&explanation.derivation, &explanation.outcome) {
        (Some(derivation), _) => {
            draw(out, derivation)?;
            let selectors = derivation.selectors.iter();
            let rows = selectors.map(|part| (printable(&part.text), words::origins(part)));
            table(out, "selectors", &rows.collect::<Vec<_>>())?;
        }
        (None, Outcome::Denied { code }) => writeln!(out, "{NOTE}denied{NOTE:#} ({code})")?,
        (None, outcome) => writeln!(out, "{BAD}{outcome}{BAD:#}")?,
    }
    influences(out, "facts", &explanation.facts)?;
    influences(out, "settings", &explanation.settings)?;
    if !explanation.together.is_empty() {
        writeln!(out, "\n{HEADING}only together{HEADING:#}")?;
        for pair in &explanation.together {
            writeln!(out, "  {}", printable(&words::together(pair)))?;
        }
    }
    writeln!(out, "\n{FAINT}{}{FAINT:#}", words::bounds(explanation))
}

/// Draws the ID, a line under each segment, and what the lines lead to.
fn draw(out: &mut dyn Write, derivation: &Derivation) -> io::Result<()> {
    let prefix = derivation.prefix.chars().count();
    let segments: Vec<(String, usize)> = derivation
        .path
        .iter()
        .map(|part| {
            let text = printable(&part.text);
            let width = text.chars().count();
            (text, width)
        })
        .collect();
    let texts: Vec<&str> = segments.iter().map(|(text, _)| text.as_str()).collect();
    writeln!(
        out,
        "{}{GOOD}{}{GOOD:#}",
        printable(&derivation.prefix),
        texts.join("/")
    )?;

    let mut underline = "─".repeat(prefix.saturating_sub(1));
    let mut columns = Vec::new();
    let mut at = prefix;
    for (_, width) in &segments {
        let middle = width.saturating_sub(1) / 2;
        columns.push(at.saturating_add(middle));
        underline.push(' ');
        underline.push_str(&"─".repeat(middle));
        underline.push('┬');
        underline.push_str(&"─".repeat(width.saturating_sub(middle).saturating_sub(1)));
        at = at.saturating_add(*width).saturating_add(1);
    }
    writeln!(out, "{FAINT}{underline}{FAINT:#}")?;

    // From the last segment to the first, so that no line crosses a text.
    for (index, part) in derivation.path.iter().enumerate().rev() {
        let mut line = match index.saturating_add(1) == derivation.path.len() {
            true => "the host's".to_owned(),
            false => String::new(),
        };
        let mut width = line.chars().count();
        for column in columns.iter().take(index) {
            line.push_str(&" ".repeat(column.saturating_sub(width)));
            line.push('│');
            width = column.saturating_add(1);
        }
        let column = columns.get(index).copied().unwrap_or(width);
        line.push_str(&" ".repeat(column.saturating_sub(width)));
        line.push('└');
        writeln!(
            out,
            "{FAINT}{line}{FAINT:#} {}",
            printable(&words::origins(part))
        )?;
    }
    Ok(())
}

/// Writes rows of a name and what is to be said of it.
fn table(out: &mut dyn Write, heading: &str, rows: &[(String, String)]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{HEADING}{heading}{HEADING:#}")?;
    let width = rows.iter().map(|(name, _)| name.chars().count());
    let width = width.max().unwrap_or(0);
    for (name, said) in rows {
        writeln!(
            out,
            "  {name:<width$}  {FAINT}←{FAINT:#} {}",
            printable(said)
        )?;
    }
    Ok(())
}

/// Writes what each fact or setting decides; those that decide nothing last.
fn influences(out: &mut dyn Write, heading: &str, list: &[Influence]) -> io::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{HEADING}{heading}{HEADING:#}")?;
    let width = list.iter().map(|influence| influence.name.chars().count());
    let width = width.max().unwrap_or(0);
    let (none, some): (Vec<_>, Vec<_>) =
        list.iter().partition(|influence| influence.effects.none());
    for influence in some.iter().chain(&none) {
        let name = printable(&influence.name);
        let value = printable(&words::value(influence.value.as_ref(), VALUE_WIDTH));
        let decides = printable(&words::effects(&influence.effects));
        if influence.effects.none() {
            writeln!(
                out,
                "  {FAINT}{name:<width$}  {value:<VALUE_WIDTH$}  {decides}{FAINT:#}"
            )?;
        } else {
            writeln!(out, "  {name:<width$}  {value:<VALUE_WIDTH$}  {decides}")?;
        }
    }
    Ok(())
}
