//! What an operator allows any policy to answer.
//!
//! A derivation is a stranger's text. [`Envelope::admit`] is the only place
//! where one becomes an identity, for every policy, version and caller.

use crate::identity::AgentIdentity;
use crate::namespace::Namespace;
use crate::placeholder::{Pattern, PatternError};
use crate::spiffe_id::{MAX_ID_BYTES, PathSegment, SpiffeId, SpiffeIdError};
use nameplate_policy::{Derivation, Facts};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The two segments before the attestor's name in every agent ID.
const AGENT_PREFIX: [&str; 2] = ["spire", "agent"];

/// Bounds on the identities of one attestor, or of one of its clusters.
///
/// The rules of the SPIFFE-ID standard hold in every envelope; the fields
/// here narrow them further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Segments that a path must begin with. Placeholders stand for facts, so
    /// `{cluster}` keeps one cluster's policy out of another's names.
    pub leading: Vec<Leading>,
    /// Most bytes of the whole SPIFFE ID. SPIRE's tables hold 255; the
    /// standard's own bound of 2048 holds in any case.
    pub max_id_bytes: usize,
    /// Most bytes of one selector value. SPIRE's tables hold 255.
    pub max_selector_bytes: usize,
    /// Most selectors of one identity.
    pub max_selectors: usize,
    /// Path segments that no policy may use, compared without regard to case.
    pub reserved: Vec<String>,
}

impl Default for Envelope {
    fn default() -> Self {
        Self {
            leading: Vec::new(),
            max_id_bytes: 255,
            max_selector_bytes: 255,
            max_selectors: 64,
            reserved: Vec::new(),
        }
    }
}

impl Envelope {
    /// Turns a policy's answer into an identity, or refuses it.
    ///
    /// The trust domain, the `/spire/agent/<attestor>/` prefix and the type of
    /// the selectors are written here and are not the policy's to say.
    ///
    /// # Errors
    /// [`AdmitError`], the first rule that the derivation breaks.
    pub fn admit(
        &self,
        namespace: &Namespace,
        facts: &Facts,
        derivation: Derivation,
    ) -> Result<AgentIdentity, AdmitError> {
        let path = path_segments(derivation.path)?;
        self.check_leading(&path, facts)?;
        self.check_reserved(&path)?;
        let spiffe_id = self.spiffe_id(namespace, &path)?;
        self.check_selectors(&derivation.selectors)?;
        Ok(AgentIdentity::admitted(
            spiffe_id,
            namespace.attestor.clone(),
            derivation.selectors,
        ))
    }

    /// Whether this envelope admits nothing that `other` does not. Where that
    /// cannot be said from the two of them, it is not so.
    pub fn is_within(&self, other: &Self) -> bool {
        let reserved = |name: &String| {
            self.reserved
                .iter()
                .any(|own| own.eq_ignore_ascii_case(name))
        };
        self.leading.starts_with(&other.leading)
            && other.reserved.iter().all(reserved)
            && self.max_id_bytes <= other.max_id_bytes
            && self.max_selector_bytes <= other.max_selector_bytes
            && self.max_selectors <= other.max_selectors
    }

    fn check_leading(&self, path: &[PathSegment], facts: &Facts) -> Result<(), AdmitError> {
        for (index, leading) in self.leading.iter().enumerate() {
            let required = leading
                .0
                .fill(facts)
                .map_err(|placeholder| AdmitError::LeadingFactAbsent { placeholder })?;
            let found = path.get(index).map(PathSegment::as_str);
            if found != Some(&*required) {
                return Err(AdmitError::Leading {
                    index,
                    required: required.into_owned(),
                    found: found.unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(())
    }

    fn check_reserved(&self, path: &[PathSegment]) -> Result<(), AdmitError> {
        let reserved = path.iter().find(|segment| {
            self.reserved
                .iter()
                .any(|name| name.eq_ignore_ascii_case(segment.as_str()))
        });
        match reserved {
            Some(segment) => Err(AdmitError::Reserved {
                segment: segment.to_string(),
            }),
            None => Ok(()),
        }
    }

    fn spiffe_id(
        &self,
        namespace: &Namespace,
        path: &[PathSegment],
    ) -> Result<SpiffeId, AdmitError> {
        let id = SpiffeId::below(
            &namespace.trust_domain,
            AGENT_PREFIX,
            namespace.attestor.as_segment(),
            path,
        );
        let limit = self.max_id_bytes.min(MAX_ID_BYTES);
        if id.as_str().len() > limit {
            return Err(AdmitError::IdTooLong {
                bytes: id.as_str().len(),
                limit,
            });
        }
        Ok(id)
    }

    fn check_selectors(&self, selectors: &[String]) -> Result<(), AdmitError> {
        if selectors.len() > self.max_selectors {
            return Err(AdmitError::TooManySelectors {
                count: selectors.len(),
                limit: self.max_selectors,
            });
        }
        for (index, value) in selectors.iter().enumerate() {
            if value.is_empty() {
                return Err(AdmitError::EmptySelector { index });
            }
            if value.len() > self.max_selector_bytes {
                return Err(AdmitError::SelectorTooLong {
                    index,
                    bytes: value.len(),
                    limit: self.max_selector_bytes,
                });
            }
            if value.chars().any(breaks_a_line) {
                return Err(AdmitError::SelectorControl { index });
            }
            // At most `max_selectors` values: comparing all pairs beats a set.
            if selectors.iter().take(index).any(|other| other == value) {
                return Err(AdmitError::DuplicateSelector {
                    value: value.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Control characters, and the two separators that some readers take for a
/// line end. A selector goes into logs, tables and registration entries.
fn breaks_a_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

fn path_segments(path: Vec<String>) -> Result<Vec<PathSegment>, AdmitError> {
    if path.is_empty() {
        return Err(AdmitError::EmptyPath);
    }
    path.into_iter()
        .enumerate()
        .map(|(index, text)| {
            PathSegment::accepts(&text).map_err(|rule| AdmitError::Segment {
                index,
                segment: shown(&text),
                rule,
            })?;
            PathSegment::try_from(text).map_err(|rule| AdmitError::Segment {
                index,
                segment: String::new(),
                rule,
            })
        })
        .collect()
}

/// Foreign text for an error: escaped, and cut where it is long.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    if text.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}

/// A segment that a path must begin with: text with `{placeholders}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Leading(Pattern);

impl From<Leading> for String {
    fn from(leading: Leading) -> Self {
        leading.to_string()
    }
}

impl TryFrom<String> for Leading {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl FromStr for Leading {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Ok(Self(text.parse()?))
    }
}

impl fmt::Display for Leading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
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
    #[error("the SPIFFE ID has {bytes} bytes, at most {limit} allowed")]
    IdTooLong {
        /// Its length.
        bytes: usize,
        /// Most bytes there may be.
        limit: usize,
    },
    /// Too many selectors.
    #[error("{count} selectors, at most {limit} allowed")]
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
    #[error("selector {index} has {bytes} bytes, at most {limit} allowed")]
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
            Self::DuplicateSelector { .. } => "selector_duplicate",
        }
    }
}

#[cfg(test)]
mod tests;
