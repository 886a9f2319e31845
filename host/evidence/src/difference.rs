//! How a value that was found differs from the one that is configured.
//!
//! Issuers and audiences are URLs of a hundred characters that differ in one,
//! so an error says where.

use std::fmt;

use crate::peer_text::PeerText;

/// Shortest common beginning of two values with which the place of their
/// difference is worth showing.
const ALIKE: usize = 8;

/// The configured value, and how another one differs from it. Shown as
/// `` `https://a`, which has no slash at its end ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    expected: PeerText,
    /// Boxed: the errors that hold a difference are seldom, and results with them are everywhere.
    how: Box<How>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    /// In all that matters.
    Otherwise,
    /// The one found has a slash at its end.
    NoSlash,
    /// The one found has none.
    Slash,
    Case,
    /// From this character on, counted from 1; with what follows in the
    /// configured value, where that lies beyond what is shown.
    From(usize, Option<PeerText>),
}

impl Difference {
    /// How `found` differs from `expected`.
    #[must_use]
    pub fn between(found: &str, expected: &str) -> Self {
        let alike = alike(found, expected);
        let how = if found.strip_suffix('/') == Some(expected) {
            How::NoSlash
        } else if expected.strip_suffix('/') == Some(found) {
            How::Slash
        } else if found.eq_ignore_ascii_case(expected) {
            How::Case
        } else if alike >= ALIKE {
            let rest: String = expected.chars().skip(alike).collect();
            let unseen = alike >= PeerText::MAX_LONG;
            How::From(alike + 1, unseen.then(|| PeerText::new(&rest)))
        } else {
            How::Otherwise
        };
        Self {
            expected: PeerText::long(expected),
            how: Box::new(how),
        }
    }

    /// The most similar pair of `found` and `expected`, with the found value.
    /// `None` when either is empty.
    #[must_use]
    pub fn nearest<'f>(found: &'f [String], expected: &[String]) -> Option<(&'f str, Self)> {
        let pairs = found
            .iter()
            .flat_map(|one| expected.iter().map(move |other| (one, other)));
        // Of equals the first.
        let (one, other) = pairs.reduce(|best, pair| {
            let more = alike(pair.0, pair.1) > alike(best.0, best.1);
            if more { pair } else { best }
        })?;
        Some((one, Self::between(one, other)))
    }

    /// Whether it says where the two differ.
    #[must_use]
    pub fn says_how(&self) -> bool {
        *self.how != How::Otherwise
    }
}

/// The length of the common beginning of two texts, ignoring case.
fn alike(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs.take_while(|(one, other)| one == other).count()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.expected)?;
        match &*self.how {
            How::Otherwise => Ok(()),
            How::NoSlash => f.write_str(", which has no slash at its end"),
            How::Slash => f.write_str(", which has a slash at its end"),
            How::Case => f.write_str(", which differs in upper and lower case"),
            How::From(character, None) => {
                write!(f, ", which differs from character {character} on")
            }
            How::From(character, Some(rest)) => {
                write!(f, ", which differs from character {character} on: `{rest}`")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Difference;

    fn shown(found: &str, expected: &str) -> String {
        Difference::between(found, expected).to_string()
    }

    #[test]
    fn the_first_difference_is_said() {
        for (found, expected, text) in [
            (
                "https://a/",
                "https://a",
                "`https://a`, which has no slash at its end",
            ),
            (
                "https://a",
                "https://a/",
                "`https://a/`, which has a slash at its end",
            ),
            (
                "https://A",
                "https://a",
                "`https://a`, which differs in upper and lower case",
            ),
            (
                "https://eks/one",
                "https://eks/two",
                "`https://eks/two`, which differs from character 13 on",
            ),
            (
                "https://eks",
                "https://eks/two",
                "`https://eks/two`, which differs from character 12 on",
            ),
            ("https:", "spire-server", "`spire-server`"),
            ("\n", "a`b", r"`a\`b`"),
        ] {
            assert_eq!(shown(found, expected), text);
        }
    }

    #[test]
    fn a_difference_beyond_what_is_shown_is_shown() {
        let issuer = |last: &str| format!("https://{}{last}", "x".repeat(300));
        assert_eq!(
            shown(&issuer("one"), &issuer("two")),
            format!(
                "`https://{}...`, which differs from character 309 on: `two`",
                "x".repeat(248)
            )
        );
    }

    #[test]
    fn the_nearest_pair_is_compared() {
        let own =
            |list: &[&str]| -> Vec<_> { list.iter().map(|text| (*text).to_owned()).collect() };
        let found = own(&["a", "https://two", "b"]);
        let (one, difference) =
            Difference::nearest(&found, &own(&["spire", "https://three"])).unwrap();
        assert_eq!(one, "https://two");
        assert_eq!(
            difference.to_string(),
            "`https://three`, which differs from character 10 on"
        );
        assert!(difference.says_how());
        let (one, difference) = Difference::nearest(&found, &own(&["x", "y"])).unwrap();
        assert_eq!((one, difference.to_string().as_str()), ("a", "`x`"));
        assert!(!difference.says_how());
        assert_eq!(Difference::nearest(&found, &[]), None);
        assert_eq!(Difference::nearest(&[], &found), None);
    }
}
