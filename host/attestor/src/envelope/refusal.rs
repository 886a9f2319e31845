//! Why an answer of a policy is no identity.

use crate::spiffe_id::SpiffeIdError;
use nameplate_words::grouped;

/// A path segment for an error: escaped, and cut where it is long.
pub(super) fn shown(text: &str) -> String {
    cut(text, 64)
}

/// The same of a selector, or a value of one, which is compared with another:
/// whole, as far as SPIRE keeps it, for they may differ in the last character.
pub(crate) fn shown_whole(text: &str) -> String {
    cut(text, 256)
}

fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text
        .chars()
        .take(most)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Why a derivation is not admitted. A fault of the policy, or of the
/// operator who put policy and envelope together; never of the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// No path segment at all.
    #[error("the path has no segments")]
    EmptyPath,
    /// A segment that the SPIFFE-ID standard does not allow.
    #[error("path segment {index}, `{segment}`, cannot stand in a SPIFFE ID")]
    Segment {
        /// Its position, from 0.
        index: usize,
        /// The segment, escaped.
        segment: String,
        /// The rule that it breaks.
        #[source]
        rule: SpiffeIdError,
    },
    /// The path does not begin as the envelope requires.
    #[error("path segment {index} is `{found}`, the envelope requires `{required}`")]
    Leading {
        /// Its position, from 0.
        index: usize,
        /// What must stand there.
        required: String,
        /// What stands there; empty when the path ends before.
        found: String,
    },
    /// The envelope names a fact that was not proven.
    #[error("the envelope requires `{{{placeholder}}}`, which the evidence does not prove")]
    LeadingFactAbsent {
        /// The placeholder.
        placeholder: &'static str,
    },
    /// A segment that the envelope reserves.
    #[error("the envelope reserves the path segment `{segment}`")]
    Reserved {
        /// The segment.
        segment: String,
    },
    /// The whole ID is too long.
    #[error("the SPIFFE ID has {} bytes, at most {} allowed", grouped(*bytes), grouped(*limit))]
    IdTooLong {
        /// Its length.
        bytes: usize,
        /// Most bytes there may be.
        limit: usize,
    },
    /// Too many selectors.
    #[error("{} selectors, at most {} allowed", grouped(*count), grouped(*limit))]
    TooManySelectors {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A selector without a value, which no registration entry could match.
    #[error("selector {index} is empty")]
    EmptySelector {
        /// Its position, from 0.
        index: usize,
    },
    /// A selector value that is too long.
    #[error(
        "selector {index} has {} bytes, at most {} allowed",
        grouped(*bytes), grouped(*limit)
    )]
    SelectorTooLong {
        /// Its position, from 0.
        index: usize,
        /// Its length.
        bytes: usize,
        /// Most bytes there may be.
        limit: usize,
    },
    /// A selector with a control character or line separator.
    #[error("selector {index} contains a control character")]
    SelectorControl {
        /// Its position, from 0.
        index: usize,
    },
    /// A selector with a character that nobody sees, or that turns round what
    /// stands beside it: it would look like another.
    #[error("selector {index} contains a character that nobody sees (U+{:04X})", u32::from(*character))]
    SelectorUnseen {
        /// Its position, from 0.
        index: usize,
        /// The first such character.
        character: char,
    },
    /// A selector says a fact, and not the one that was proven.
    #[error("selector {index}, `{selector}`, is not what the evidence proves: {proven}")]
    SelectorFalseFact {
        /// Its position, from 0.
        index: usize,
        /// The key under which it says one.
        key: &'static str,
        /// The selector, escaped.
        selector: String,
        /// What was proven, in words.
        proven: String,
    },
    /// A selector that the envelope's patterns do not allow.
    #[error("selector {index}, `{selector}`, matches none of the envelope's `selectors`")]
    SelectorPattern {
        /// Its position, from 0.
        index: usize,
        /// The selector, escaped.
        selector: String,
    },
    /// The same selector twice.
    #[error("selector `{value}` stands there twice")]
    DuplicateSelector {
        /// The value.
        value: String,
    },
}

impl AdmitError {
    /// Stable code for logs, metrics and cases.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::EmptyPath => "path_empty",
            Self::Segment { .. } => "path_segment",
            Self::Leading { .. } => "path_leading",
            Self::LeadingFactAbsent { .. } => "path_leading_fact",
            Self::Reserved { .. } => "path_reserved",
            Self::IdTooLong { .. } => "id_length",
            Self::TooManySelectors { .. } => "selector_count",
            Self::EmptySelector { .. } => "selector_empty",
            Self::SelectorTooLong { .. } => "selector_length",
            Self::SelectorControl { .. } => "selector_control",
            Self::SelectorUnseen { .. } => "selector_unseen",
            Self::SelectorFalseFact { .. } => "selector_false_fact",
            Self::SelectorPattern { .. } => "selector_pattern",
            Self::DuplicateSelector { .. } => "selector_duplicate",
        }
    }
}
