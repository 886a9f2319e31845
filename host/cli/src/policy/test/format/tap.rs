//! A run in the Test Anything Protocol, version 14.
//!
//! A name is foreign text: whatever would end its line, begin a comment or a
//! directive is escaped (TAP 14, "Escaping").

use super::super::round::Round;
use super::{Check, CheckFailure, checks};
use crate::report::printable;
use std::io::{self, Write};

/// Writes a run.
pub(super) fn write(round: &Round, out: &mut dyn Write) -> io::Result<()> {
    write_checks(&checks(round), out)
}

fn write_checks(checks: &[Check], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "TAP version 14\n1..{}", checks.len())?;
    for (number, check) in (1u64..).zip(checks) {
        let word = if check.failure.is_none() {
            "ok"
        } else {
            "not ok"
        };
        writeln!(out, "{word} {number} - {}", description(&check.name))?;
        if let Some(failure) = &check.failure {
            diagnostics(failure, out)?;
        }
    }
    Ok(())
}

fn description(name: &str) -> String {
    printable(name).replace('\\', "\\\\").replace('#', "\\#")
}

/// A YAML block, whose values are JSON strings: those are YAML too.
fn diagnostics(failure: &CheckFailure, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  ---")?;
    let values = [
        ("message", Some(&failure.message)),
        ("wanted", failure.expected.as_ref()),
        ("found", failure.found.as_ref()),
        ("detail", failure.detail.as_ref()),
    ];
    for (name, value) in values {
        if let Some(value) = value {
            writeln!(out, "  {name}: {}", serde_json::Value::from(value.as_str()))?;
        }
    }
    writeln!(out, "  ...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_description_on_one_line() {
        let checks = [
            Check {
                name: "a # TODO \\ b\nnot ok 9".to_owned(),
                fuel: None,
                failure: None,
            },
            Check {
                name: "two".to_owned(),
                fuel: Some(3),
                failure: Some(CheckFailure {
                    message: "m".to_owned(),
                    expected: Some("a \"b\"".to_owned()),
                    found: None,
                    detail: Some("one\n...\ntwo".to_owned()),
                }),
            },
        ];
        let mut out = Vec::new();
        write_checks(&checks, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "TAP version 14
1..2
ok 1 - a \\# TODO \\\\ b\\\\nnot ok 9
not ok 2 - two
  ---
  message: \"m\"
  wanted: \"a \\\"b\\\"\"
  detail: \"one\\n...\\ntwo\"
  ...
"
        );
    }
}
