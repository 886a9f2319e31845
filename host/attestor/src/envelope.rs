//! What an operator allows any policy to answer.
//!
//! A derivation is a stranger's text. [`Envelope::admit`] is the only place
//! where one becomes an identity, for every policy, version and caller.

mod refusal;

pub use refusal::AdmitError;
use refusal::shown;
pub(crate) use refusal::shown_whole;

use crate::fact_selectors::FactKey;
use crate::identity::AgentIdentity;
use crate::namespace::Namespace;
use crate::placeholder::{Pattern, PatternError};
use crate::selector_pattern::{SelectorPattern, breaks_a_line};
use crate::spiffe_id::{MAX_ID_BYTES, PathSegment, SpiffeId};
use nameplate_policy::{Derivation, Facts};
use nameplate_words::is_unseen;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The two segments before the attestor's name in every agent ID.
const AGENT_PREFIX: [&str; 2] = ["spire", "agent"];

/// Bounds on the identities of one attestor, or of one of its clusters.
///
/// The rules of the SPIFFE-ID standard hold in every envelope; the fields here
/// narrow them further. The last two bounds came later. Each is written only
/// where it is not at its default, so that an older envelope keeps its text.
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
    /// Patterns of which every selector must match one. Without any, every
    /// selector does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selectors: Vec<SelectorPattern>,
    /// What becomes of a selector under a fact key that is not what was proven.
    #[serde(default, skip_serializing_if = "FalseFacts::is_refuse")]
    pub false_facts: FalseFacts,
}

/// What becomes of a selector under a key of ours, such as `cluster`, that is
/// not what the facts give this key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FalseFacts {
    /// It is refused: a policy cannot say what was not proven.
    #[default]
    Refuse,
    /// It is admitted, as every host did before it could refuse it.
    Admit,
}

impl FalseFacts {
    fn is_refuse(&self) -> bool {
        *self == Self::Refuse
    }
}

impl Default for Envelope {
    fn default() -> Self {
        Self {
            leading: Vec::new(),
            max_id_bytes: 255,
            max_selector_bytes: 255,
            max_selectors: 64,
            reserved: Vec::new(),
            selectors: Vec::new(),
            false_facts: FalseFacts::Refuse,
        }
    }
}

impl Envelope {
    /// The envelope that asks nothing beyond the SPIFFE-ID standard and SPIRE's
    /// tables: a policy may even say facts that were not proven.
    pub fn of_the_standard() -> Self {
        Self {
            false_facts: FalseFacts::Admit,
            ..Self::default()
        }
    }

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
        self.check_selectors(&derivation.selectors, facts)?;
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
            && (self.false_facts == FalseFacts::Refuse || other.false_facts == FalseFacts::Admit)
            && self.selectors_are_within(other)
    }

    fn selectors_are_within(&self, other: &Self) -> bool {
        let mut bounds = other.selectors.iter();
        if other.selectors.is_empty() || bounds.any(SelectorPattern::is_anything) {
            return true;
        }
        let mut own = self.selectors.iter();
        !self.selectors.is_empty() && own.all(|pattern| other.selectors.contains(pattern))
    }

    /// As a record of a decision has it. Whether false facts are refused is
    /// always written: a record without that member is an older host's.
    pub(crate) fn to_record(&self) -> serde_json::Value {
        let mut record = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = record.as_object_mut() {
            let said = serde_json::to_value(self.false_facts).unwrap_or_default();
            fields.insert(FALSE_FACTS.to_owned(), said);
        }
        record
    }

    /// Reads the envelope from the record of a decision, with the rules of the
    /// host that wrote it.
    ///
    /// # Errors
    /// Where it is no envelope, or has a bound that this host does not know.
    pub(crate) fn of_record(record: &serde_json::Value) -> Result<Self, serde_json::Error> {
        let mut envelope: Self = serde_json::from_value(record.clone())?;
        if record.get(FALSE_FACTS).is_none() {
            envelope.false_facts = FalseFacts::Admit;
        }
        Ok(envelope)
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

    fn check_selectors(&self, selectors: &[String], facts: &Facts) -> Result<(), AdmitError> {
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
            if let Some(character) = value.chars().find(|character| is_unseen(*character)) {
                return Err(AdmitError::SelectorUnseen { index, character });
            }
            self.check_fact(index, value, facts)?;
            self.check_pattern(index, value, facts)?;
            // At most `max_selectors` values: comparing all pairs beats a set.
            if selectors.iter().take(index).any(|other| other == value) {
                return Err(AdmitError::DuplicateSelector {
                    value: value.clone(),
                });
            }
        }
        Ok(())
    }

    /// A selector under a key of ours says what was proven, or nothing at all.
    fn check_fact(&self, index: usize, selector: &str, facts: &Facts) -> Result<(), AdmitError> {
        let claim = match self.false_facts {
            FalseFacts::Refuse => FactKey::of(selector),
            FalseFacts::Admit => None,
        };
        match claim {
            Some((key, value)) if !key.proves(value, facts) => Err(AdmitError::SelectorFalseFact {
                index,
                key: key.name(),
                selector: shown_whole(selector),
                proven: key.proven(facts),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn check_pattern(&self, index: usize, selector: &str, facts: &Facts) -> Result<(), AdmitError> {
        let mut patterns = self.selectors.iter();
        if self.selectors.is_empty() || patterns.any(|one| one.matches(selector, facts)) {
            return Ok(());
        }
        Err(AdmitError::SelectorPattern {
            index,
            selector: shown_whole(selector),
        })
    }
}

/// The field that says in a record whether false facts were refused.
const FALSE_FACTS: &str = "false_facts";

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

#[cfg(test)]
mod tests;
