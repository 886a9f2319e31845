//! Text of a peer's choosing, made safe to show.
//!
//! Error messages reach terminals and logs. What a peer wrote may stand in
//! one only after it passed through here: shortened, and with nothing in it
//! that a terminal or a log parser acts on.

use std::fmt;

/// Longest stretch of a peer's text that is shown, in characters.
const MAX_CHARS: usize = 64;

/// Longest stretch of a value that is told from another by its end, such as an
/// issuer: those of clouds have more than a hundred characters.
const MAX_LONG_CHARS: usize = 256;

/// An excerpt of text that a peer chose, fit for a log line: at most 64
/// characters of the original, or 256 where its end tells it from others,
/// printable ASCII only. Everything else, the
/// back quote and the backslash are escaped as in a Rust string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerText(String);

impl PeerText {
    /// Takes the beginning of `text`; `...` marks that more followed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::of(text, MAX_CHARS)
    }

    /// Most characters of a [`long`](Self::long) one.
    pub(crate) const MAX_LONG: usize = MAX_LONG_CHARS;

    /// Takes more of `text`: 256 characters.
    #[must_use]
    pub fn long(text: &str) -> Self {
        Self::of(text, MAX_LONG_CHARS)
    }

    fn of(text: &str, most: usize) -> Self {
        let mut shown = String::with_capacity(text.len().min(most));
        let mut characters = text.chars();
        for character in characters.by_ref().take(most) {
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
    fn the_65th_character_is_cut_and_of_long_ones_the_257th() {
        assert_eq!(PeerText::new(&"x".repeat(64)).as_str(), "x".repeat(64));
        assert_eq!(
            PeerText::new(&"x".repeat(65)).as_str(),
            format!("{}...", "x".repeat(64))
        );
        assert_eq!(PeerText::long(&"x".repeat(256)).as_str(), "x".repeat(256));
        assert_eq!(
            PeerText::long(&"x".repeat(257)).as_str(),
            format!("{}...", "x".repeat(256))
        );
    }
}
