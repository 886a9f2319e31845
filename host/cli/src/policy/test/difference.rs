//! Shows what was expected and what was found, line by line.

use crate::report::{BAD, FAINT, GOOD, printable};
use nameplate_attestor::cases::Outcome;
use std::io::{self, Write};

/// Writes the lines of both: `-` is missing, `+` is new, the rest agrees.
pub(super) fn write(
    out: &mut dyn Write,
    expected: Option<&Outcome>,
    found: &Outcome,
) -> io::Result<()> {
    let expected = expected.map_or_else(Vec::new, lines);
    let found = lines(found);
    for (sign, line) in difference(&expected, &found) {
        let line = printable(line);
        match sign {
            '-' => writeln!(out, "    {BAD}- {line}{BAD:#}")?,
            '+' => writeln!(out, "    {GOOD}+ {line}{GOOD:#}")?,
            _ => writeln!(out, "    {FAINT}  {line}{FAINT:#}")?,
        }
    }
    Ok(())
}

fn lines(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Identity {
            spiffe_id,
            selectors,
        } => {
            let mut lines = vec![spiffe_id.clone()];
            lines.extend(selectors.iter().map(|value| format!("selector {value}")));
            lines
        }
        Outcome::Denied { code } => vec![format!("denied {code}")],
        Outcome::Rejected(reason) => vec![format!("rejected {reason}")],
        Outcome::Fault(reason) => vec![format!("fault {reason}")],
        Outcome::SettingsRefused(pointers) => {
            let mut lines = vec!["settings refused".to_owned()];
            lines.extend(pointers.iter().map(|pointer| format!("at `{pointer}`")));
            lines
        }
    }
}

/// Both lists as one: what they share up to each disagreement stands once.
fn difference<'a>(expected: &'a [String], found: &'a [String]) -> Vec<(char, &'a str)> {
    let mut out = Vec::new();
    let mut left = expected;
    let mut right = found;
    loop {
        match (left.split_first(), right.split_first()) {
            (None, None) => return out,
            (Some((old, rest)), Some((new, others))) if old == new => {
                out.push((' ', old.as_str()));
                (left, right) = (rest, others);
            }
            // A line that comes later on the other side is kept for there.
            (Some((old, rest)), Some((_, others))) if !others.contains(old) => {
                out.push(('-', old.as_str()));
                left = rest;
            }
            (Some((old, rest)), None) => {
                out.push(('-', old.as_str()));
                left = rest;
            }
            (_, Some((new, others))) => {
                out.push(('+', new.as_str()));
                right = others;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expected: &[&str], found: &[&str]) -> String {
        let own = |list: &[&str]| list.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        let (expected, found) = (own(expected), own(found));
        let lines: Vec<_> = difference(&expected, &found)
            .into_iter()
            .map(|(sign, line)| format!("{sign}{line}"))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn agreement_stands_once() {
        assert_eq!(shown(&["a", "b"], &["a", "b"]), " a\n b");
        assert_eq!(shown(&["a", "b", "c"], &["a", "x", "c"]), " a\n-b\n+x\n c");
        assert_eq!(shown(&["a"], &["a", "b"]), " a\n+b");
        assert_eq!(shown(&["a", "b"], &["b"]), "-a\n b");
        assert_eq!(shown(&[], &["b"]), "+b");
    }

    #[test]
    fn another_order_is_a_difference() {
        assert_eq!(shown(&["a", "b"], &["b", "a"]), "+b\n a\n-b");
    }
}
