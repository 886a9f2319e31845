//! A run as JUnit's XML.
//!
//! Text is foreign: it is escaped, and characters that XML 1.0 does not have
//! at all are shown as what Rust calls them. There are no times: a case takes
//! fuel, which is the same everywhere, and that is a property of it.

use super::super::round::Round;
use super::{Check, checks};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Writes a run.
pub(super) fn write(round: &Round, out: &mut dyn Write) -> io::Result<()> {
    write_checks(&checks(round), out)
}

fn write_checks(checks: &[Check], out: &mut dyn Write) -> io::Result<()> {
    let failures = checks.iter().filter(|check| check.failure.is_some());
    let (tests, failures) = (checks.len(), failures.count());
    let sums = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\"");
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites {sums}>")?;
    writeln!(out, "  <testsuite name=\"nameplate policy test\" {sums}>")?;
    for check in checks {
        writeln!(
            out,
            "    <testcase classname=\"policy\" name=\"{}\">",
            escaped(&check.name)
        )?;
        if let Some(fuel) = check.fuel {
            writeln!(
                out,
                "      <properties><property name=\"fuel\" value=\"{fuel}\"/></properties>"
            )?;
        }
        if let Some(failure) = &check.failure {
            let lines = [
                ("expected", &failure.expected),
                ("found", &failure.found),
                ("detail", &failure.detail),
            ];
            let text: Vec<_> = lines
                .iter()
                .filter_map(|(label, text)| Some(format!("{label}: {}", text.as_ref()?)))
                .collect();
            writeln!(
                out,
                "      <failure message=\"{}\">{}</failure>",
                escaped(&failure.message),
                escaped(&text.join("\n"))
            )?;
        }
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

/// `text` as the content of an element or, line breaks included, the value of
/// an attribute in double quotes (XML 1.0 §2.2, §3.3.3).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => {
                // Nothing that writes into a string fails.
                let _written = write!(out, "&#{};", u32::from(character));
            }
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                out.extend(character.escape_unicode());
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::CheckFailure;
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_it_was() {
        let name = "a \"b\" <c> & 'd'\n\te";
        let checks = [Check {
            name: name.to_owned(),
            fuel: Some(7),
            failure: Some(CheckFailure {
                message: "]]> \u{1b}[2J".to_owned(),
                expected: Some("x".to_owned()),
                found: Some("<y>".to_owned()),
                detail: None,
            }),
        }];
        let mut out = Vec::new();
        write_checks(&checks, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let element = |tag: &str| {
            document
                .descendants()
                .find(|node| node.has_tag_name(tag))
                .unwrap()
        };
        assert_eq!(element("testsuite").attribute("failures"), Some("1"));
        assert_eq!(element("testcase").attribute("name"), Some(name));
        assert_eq!(element("property").attribute("value"), Some("7"));
        let failure = element("failure");
        assert_eq!(failure.attribute("message"), Some("]]> \\u{1b}[2J"));
        assert_eq!(failure.text(), Some("expected: x\nfound: <y>"));
    }
}
