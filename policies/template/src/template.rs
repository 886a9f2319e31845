//! One template: literal text and placeholders.
//!
//! Written by the operator, read once. What can never give a usable value is
//! refused when it is read, so that it is found before a machine asks.

use std::fmt;

use nameplate_guest::Facts;

use crate::placeholder::{Missing, Placeholder};
use crate::{is_segment, is_segment_byte};

/// A template that was read.
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

/// Where a template's values go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A segment of the SPIFFE ID's path.
    Path,
    /// A selector's value.
    Selector,
}

enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

impl Template {
    /// Reads `text`: `{name}` is a placeholder, `{{` and `}}` are braces.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn parse(text: &str, place: Place) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, behind) = rest.split_at(at);
            literal.push_str(before);
            if let Some(behind) = behind.strip_prefix("{{") {
                literal.push('{');
                rest = behind;
            } else if let Some(behind) = behind.strip_prefix("}}") {
                literal.push('}');
                rest = behind;
            } else if let Some(behind) = behind.strip_prefix('{') {
                let (name, behind) = behind
                    .split_once('}')
                    .ok_or("a `{` is never closed; `{{` stands for a brace itself")?;
                let placeholder = Placeholder::parse(name)?;
                if !literal.is_empty() {
                    pieces.push(Piece::Text(core::mem::take(&mut literal)));
                }
                pieces.push(Piece::Placeholder(placeholder));
                rest = behind;
            } else {
                return Err("a `}` was never opened; `}}` stands for a brace itself".into());
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        let template = Self { pieces };
        template.usable_in(place)?;
        Ok(template)
    }

    /// The value that `facts` give, or the first placeholder without one.
    pub(crate) fn render(&self, facts: &Facts) -> Result<String, (&Placeholder, Missing)> {
        let mut value = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Placeholder(placeholder) => {
                    let fact = placeholder
                        .value(facts)
                        .map_err(|missing| (placeholder, missing))?;
                    value.push_str(&fact);
                }
            }
        }
        Ok(value)
    }

    /// Refuses text that no fact could complete to a usable value.
    fn usable_in(&self, place: Place) -> Result<(), String> {
        let texts = || {
            self.pieces.iter().filter_map(|piece| match piece {
                Piece::Text(text) => Some(text),
                Piece::Placeholder(_) => None,
            })
        };
        if self.pieces.is_empty() {
            return Err("is empty".into());
        }
        match place {
            Place::Path => {
                let unusable = |&c: &char| !u8::try_from(c).is_ok_and(is_segment_byte);
                if let Some(c) = texts().flat_map(|text| text.chars()).find(unusable) {
                    let shown: String = c.escape_default().collect();
                    return Err([
                        "`", &shown, "` cannot stand in a path segment: only letters, digits, `.`, `-` and `_` can",
                    ]
                    .concat());
                }
                match self.pieces.as_slice() {
                    [Piece::Text(text)] if !is_segment(text) => {
                        Err(["`", text, "` is not a SPIFFE path segment"].concat())
                    }
                    _ => Ok(()),
                }
            }
            Place::Selector => {
                if texts().any(|text| text.chars().any(char::is_control)) {
                    return Err("has a control character".into());
                }
                Ok(())
            }
        }
    }
}

/// As it was written.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Placeholder(placeholder) => write!(f, "{{{placeholder}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nameplate_guest::testing;

    use super::*;

    #[test]
    fn templates_are_rendered() {
        let facts = testing::facts(testing::bound_token());
        for (text, place, value) in [
            ("agents", Place::Path, "agents"),
            ("{cluster}", Place::Path, "production"),
            (
                "node-{node_name}.{namespace}",
                Place::Path,
                "node-node-7.spire",
            ),
            ("{cluster}{namespace}", Place::Path, "productionspire"),
            ("{{{cluster}}}", Place::Selector, "{production}"),
            ("a {{b}} c", Place::Selector, "a {b} c"),
            (
                "zone:{node_label:topology.kubernetes.io/zone}",
                Place::Selector,
                "zone:eu-1a",
            ),
        ] {
            let template = Template::parse(text, place).unwrap();
            assert_eq!(template.render(&facts).unwrap(), value);
            assert_eq!(format!("{template:?}"), text);
        }
    }

    #[test]
    fn a_placeholder_without_a_value_is_named() {
        let facts = testing::facts(testing::legacy_token());
        let template = Template::parse("{cluster}-{node_label:a/b}", Place::Path).unwrap();
        let (placeholder, missing) = template.render(&facts).unwrap_err();
        assert_eq!(placeholder.to_string(), "node_label:a/b");
        assert_eq!(missing, Missing::Unproven);
    }

    #[test]
    fn what_can_never_be_used_is_refused() {
        const UNCLOSED: &str = "a `{` is never closed; `{{` stands for a brace itself";
        const UNOPENED: &str = "a `}` was never opened; `}}` stands for a brace itself";
        for (text, place, message) in [
            ("{cluster", Place::Path, UNCLOSED),
            ("a{", Place::Path, UNCLOSED),
            ("cluster}", Place::Path, UNOPENED),
            ("{cluster}}", Place::Path, UNOPENED),
            ("", Place::Path, "is empty"),
            ("", Place::Selector, "is empty"),
            (".", Place::Path, "`.` is not a SPIFFE path segment"),
            ("..", Place::Path, "`..` is not a SPIFFE path segment"),
            (
                "a/b",
                Place::Path,
                "`/` cannot stand in a path segment: only letters, digits, `.`, `-` and `_` can",
            ),
            (
                "ä",
                Place::Path,
                "`\\u{e4}` cannot stand in a path segment: only letters, digits, `.`, `-` and `_` can",
            ),
            (
                "{{",
                Place::Path,
                "`{` cannot stand in a path segment: only letters, digits, `.`, `-` and `_` can",
            ),
            ("a\n", Place::Selector, "has a control character"),
            ("{nane}", Place::Selector, "`{nane}` is no fact"),
        ] {
            assert_eq!(
                Template::parse(text, place).unwrap_err(),
                message,
                "{text:?}"
            );
        }
        assert!(Template::parse("a/b: ä", Place::Selector).is_ok());
        assert!(Template::parse("..{cluster}", Place::Path).is_ok());
    }
}
