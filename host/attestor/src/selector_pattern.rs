//! Patterns for selectors, as an operator writes them in an envelope:
//! `cluster:{cluster}`, `agent_ns:*`.
//!
//! Everything stands for itself, with four exceptions. `{name}` is a fact;
//! where it is not proven, the pattern matches nothing. `*` is any run of
//! characters, an empty one and colons included. `{{` and `}}` are braces. A
//! pattern covers the whole selector.

use crate::placeholder::{Placeholder, UnknownPlaceholder};
use nameplate_policy::Facts;
use nameplate_words::is_unseen;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A pattern for the value of a selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SelectorPattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fact(Placeholder),
    /// Never beside another: two in a row become one.
    Any,
}

impl SelectorPattern {
    /// Whether it matches the selector `value` of a machine with these facts.
    pub(crate) fn matches(&self, value: &str, facts: &Facts) -> bool {
        let runs: Option<Vec<Cow<'_, str>>> = self
            .0
            .split(|piece| *piece == Piece::Any)
            .map(|run| filled(run, facts))
            .collect();
        match runs.as_deref() {
            // A fact of it is not proven.
            None | Some([]) => false,
            Some([whole]) => value == whole,
            Some([first, between @ .., last]) => {
                let Some(mut rest) = value.strip_prefix(&**first) else {
                    return false;
                };
                // The first place of each is as good as any later one.
                for run in between {
                    let Some((_, behind)) = rest.split_once(&**run) else {
                        return false;
                    };
                    rest = behind;
                }
                rest.ends_with(&**last)
            }
        }
    }

    /// Whether it is `*`, which matches every selector.
    pub(crate) fn is_anything(&self) -> bool {
        self.0 == [Piece::Any]
    }
}

/// The text of pieces without a `*` among them; none where a fact is absent.
fn filled<'a>(run: &'a [Piece], facts: &'a Facts) -> Option<Cow<'a, str>> {
    let text = |piece: &'a Piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Fact(fact) => fact.of(facts),
        Piece::Any => None,
    };
    match run {
        [] => Some(Cow::Borrowed("")),
        [only] => text(only).map(Cow::Borrowed),
        several => several
            .iter()
            .map(text)
            .collect::<Option<String>>()
            .map(Cow::Owned),
    }
}

impl FromStr for SelectorPattern {
    type Err = SelectorPatternError;

    fn from_str(text: &str) -> Result<Self, SelectorPatternError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let doubled = rest.as_str().starts_with(character);
            match character {
                '{' | '}' if doubled => {
                    rest.next();
                    literal.push(character);
                }
                '{' => {
                    let (name, behind) = rest
                        .as_str()
                        .split_once('}')
                        .ok_or(SelectorPatternError::Unclosed)?;
                    push_text(&mut pieces, &mut literal);
                    pieces.push(Piece::Fact(Placeholder::find(name)?));
                    rest = behind.chars();
                }
                '}' => return Err(SelectorPatternError::Unopened),
                '*' => {
                    push_text(&mut pieces, &mut literal);
                    if pieces.last() != Some(&Piece::Any) {
                        pieces.push(Piece::Any);
                    }
                }
                character if breaks_a_line(character) || is_unseen(character) => {
                    return Err(SelectorPatternError::Control { character });
                }
                character => literal.push(character),
            }
        }
        push_text(&mut pieces, &mut literal);
        if pieces.is_empty() {
            return Err(SelectorPatternError::Empty);
        }
        Ok(Self(pieces))
    }
}

fn push_text(pieces: &mut Vec<Piece>, literal: &mut String) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal)));
    }
}

/// Control characters, and the two separators that some readers take for a
/// line end. A selector goes into logs, tables and registration entries.
pub(crate) fn breaks_a_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

impl fmt::Display for SelectorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}")),
            Piece::Fact(fact) => write!(f, "{{{}}}", fact.name()),
            Piece::Any => f.write_str("*"),
        })
    }
}

impl From<SelectorPattern> for String {
    fn from(pattern: SelectorPattern) -> Self {
        pattern.to_string()
    }
}

impl TryFrom<String> for SelectorPattern {
    type Error = SelectorPatternError;

    fn try_from(text: String) -> Result<Self, SelectorPatternError> {
        text.parse()
    }
}

/// Text that is no pattern for selectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorPatternError {
    /// No text at all.
    #[error("a pattern cannot be empty")]
    Empty,
    /// A `{` without its `}`.
    #[error("a `{{` is not closed; `{{{{` is a brace")]
    Unclosed,
    /// A `}` without its `{`.
    #[error("a `}}` was not opened; `}}}}` is a brace")]
    Unopened,
    /// A placeholder that an envelope does not know.
    #[error(transparent)]
    Unknown(#[from] UnknownPlaceholder),
    /// A character that no selector may have.
    #[error("`{}` cannot stand in a selector", character.escape_debug())]
    Control {
        /// The character.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::samples;

    fn matches(pattern: &str, value: &str) -> bool {
        let pattern: SelectorPattern = pattern.parse().unwrap();
        pattern.matches(value, &samples::service_account())
    }

    #[test]
    fn facts_are_exact_and_stars_are_any_run() {
        for (pattern, like, unlike) in [
            ("cluster:{cluster}", "cluster:production", "cluster:staging"),
            ("agent_ns:*", "agent_ns:", "agent_n:"),
            ("agent_ns:*", "agent_ns:a:b", "xagent_ns:a"),
            ("*", "", "\u{0}"),
            ("*:x", "a:b:x", "a:b:y"),
            ("a*b*c", "abc", "ab"),
            ("a*b*c", "a-b-b-c", "a-c-b"),
            ("aa*aa", "aaaa", "aaa"),
            ("a*ab*b", "aabb", "ab"),
            (
                "{namespace}/*/{node_name}",
                "spire/x/worker-1",
                "spire//worker-2",
            ),
            ("{{*}}", "{a}", "a"),
            ("ü*", "üß", "u"),
        ] {
            assert!(matches(pattern, like), "{pattern} {like}");
            // Only the pattern `*` has nothing that is unlike it.
            assert_eq!(
                matches(pattern, unlike),
                pattern == "*",
                "{pattern} {unlike}"
            );
        }
    }

    #[test]
    fn a_pattern_with_a_fact_that_is_not_proven_matches_nothing() {
        let pattern: SelectorPattern = "*{node_uid}*".parse().unwrap();
        let mut facts = samples::service_account();
        assert!(pattern.matches("1f2e3d4c-5b6a-4798-8695-a4b3c2d1e0f9", &facts));
        let nameplate_evidence::Subject::ServiceAccount(account) = &mut facts.subject else {
            panic!("a service account");
        };
        account.node = None;
        assert!(!pattern.matches("1f2e3d4c-5b6a-4798-8695-a4b3c2d1e0f9", &facts));
    }

    #[test]
    fn a_pattern_is_written_as_it_is_read() {
        for (text, written) in [
            ("cluster:{cluster}", "cluster:{cluster}"),
            ("a**b", "a*b"),
            ("{{{cluster}}}", "{{{cluster}}}"),
        ] {
            let pattern: SelectorPattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), written);
            assert_eq!(written.parse(), Ok(pattern));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let refusal = |text: &str| text.parse::<SelectorPattern>().unwrap_err().to_string();
        assert_eq!(refusal(""), "a pattern cannot be empty");
        assert_eq!(refusal("a{cluster"), "a `{` is not closed; `{{` is a brace");
        assert_eq!(refusal("a}b"), "a `}` was not opened; `}}` is a brace");
        assert_eq!(refusal("a\nb"), "`\\n` cannot stand in a selector");
        assert_eq!(
            refusal("a\u{202e}b*"),
            "`\\u{202e}` cannot stand in a selector"
        );
        assert!(
            refusal("{clutser}")
                .starts_with("there is no placeholder `{clutser}` here; there are cluster, ")
        );
    }
}
