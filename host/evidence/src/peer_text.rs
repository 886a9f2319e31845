//! Text of a peer's choosing, made safe to show.
//!
//! Error messages reach terminals and logs. What a peer wrote may stand in
//! one only after it passed through here: shortened, and with nothing in it
//! that a terminal or a log parser acts on.

use std::fmt;

/// Longest stretch of a peer's text that is shown, in characters.
const MAX_CHARS: usize = 64;

/// An excerpt of text that a peer chose, fit for a log line: at most 64
/// characters of the original, printable ASCII only. Everything else, the
/// back quote and the backslash are escaped as in a Rust string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerText(String);

impl PeerText {
    /// Takes the beginning of `text`; `...` marks that more followed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut shown = String::with_capacity(text.len().min(MAX_CHARS));
        let mut characters = text.chars();
        for character in characters.by_ref().take(MAX_CHARS) {
            match character {
                '`' | '\\' => {
                    shown.push('\\');
                    shown.push(character);
                }
                ' '..='~' => shown.push(character),
                other => shown.extend(other.escape_default()),
            }
        }
        if characters.next().is_some() {
            shown.push_str("...");
        }
        Self(shown)
    }

    /// The excerpt.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::PeerText;

    #[test]
    fn plain_text_is_shown_as_it_is() {
        assert_eq!(PeerText::new("production-eu_1").as_str(), "production-eu_1");
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_remains() {
        assert_eq!(
            PeerText::new("a\n\u{1b}[31m`\\\u{202e}é").as_str(),
            r"a\n\u{1b}[31m\`\\\u{202e}\u{e9}"
        );
    }

    #[test]
    fn the_65th_character_is_cut() {
        assert_eq!(PeerText::new(&"x".repeat(64)).as_str(), "x".repeat(64));
        assert_eq!(
            PeerText::new(&"x".repeat(65)).as_str(),
            format!("{}...", "x".repeat(64))
        );
    }
}
