//! How the generations of an attestor follow each other.

use super::NamingConfig;
use crate::fact::FactPointer;
use crate::holders::{HoldersLimits, OnCollision};
use crate::selector_pattern::SelectorPattern;
use nameplate_files::DirectoryCheck;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What is kept, watched and asked for when a naming changes.
#[derive(Clone, Debug, Default)]
pub struct SwapsConfig {
    /// The folder of this attestor below `state_directory`, where one is set.
    pub state: Option<PathBuf>,
    /// Whether nobody else may write to it.
    pub directory_check: DirectoryCheck,
    /// What a new naming has to pass before it serves.
    pub gate: Option<GateConfig>,
    /// When a new naming is taken back.
    pub rollback: Option<RollbackConfig>,
    /// A naming to be tried beside the one that serves.
    pub shadow: Option<NamingConfig>,
    /// What happens when two subjects are given one ID.
    pub collisions: Option<CollisionsConfig>,
    /// The facts that keep subjects apart; none for the host's own choice.
    pub subjects: Vec<FactPointer>,
}

/// What a new naming has to pass before it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateConfig {
    /// What it is judged over: the folder of a decision log, or of cases.
    pub against: PathBuf,
    /// Most subjects that may be named otherwise, or for the first time.
    pub max_changed: usize,
    /// New IDs that don't count as changed, where the selectors stay.
    pub allow: Vec<PathPattern>,
    /// Selectors that may come and go without counting as changed.
    pub allow_selectors: Vec<SelectorPattern>,
    /// Whether who has an identity must keep one.
    pub no_new_denials: bool,
    /// Whether two subjects may not be given one ID.
    pub no_collisions: bool,
    /// Whether the candidate's answers may depend on the time, or on the
    /// identifier of the attestation, only where the serving naming's do.
    pub no_new_dependence: bool,
    /// Most decisions that are looked at; the latest.
    pub records: usize,
    /// The longest that judging may take.
    pub within: Duration,
}

/// When a new naming is taken back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RollbackConfig {
    /// Share of what is counted that may be faults of the naming, from 0 to 1.
    pub faults: f64,
    /// How many are counted before anything is decided.
    pub after: u64,
    /// How long after the swap faults are counted.
    pub within: Duration,
    /// What is counted.
    pub count: Counted,
    /// Whether an older naming stands in where the digest of another is
    /// pinned, here and at a start.
    pub despite_digest: bool,
}

/// What faults are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Subjects, each once however often it attests: no machine decides for
    /// the others.
    Subjects,
    /// Attestations. State that was written before there was a choice counts
    /// these.
    #[default]
    Attestations,
}

impl Counted {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subjects => "subjects",
            Self::Attestations => "attestations",
        }
    }
}

/// What happens when two subjects are given one ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollisionsConfig {
    /// What is done with the second subject.
    pub on: OnCollision,
    /// How much is remembered.
    pub limits: HoldersLimits,
}

/// A pattern for the path of an ID below the attestor's name: segments, where
/// `*` is any one, and `**` at the end any further ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Option<String>>,
    open: bool,
}

/// Text that is no pattern for a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    /// Nothing between two slashes, or nothing at all.
    #[error("a segment is empty")]
    EmptySegment,
    /// An asterisk that is not alone in its segment.
    #[error("`*` stands for a whole segment")]
    PartOfSegment,
    /// `**` before the end.
    #[error("`**` stands at the end")]
    OpenBeforeEnd,
}

impl PathPattern {
    /// Whether a path of `segments` is of this pattern.
    pub fn matches<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> bool {
        let mut segments = segments.into_iter();
        for expected in &self.segments {
            match (expected, segments.next()) {
                (_, None) => return false,
                (Some(expected), Some(found)) if expected != found => return false,
                (Some(_) | None, Some(_)) => {}
            }
        }
        self.open || segments.next().is_none()
    }
}

impl FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(text: &str) -> Result<Self, PathPatternError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let mut segments = Vec::new();
        let mut open = false;
        for segment in text.split('/') {
            if open {
                return Err(PathPatternError::OpenBeforeEnd);
            }
            match segment {
                "" => return Err(PathPatternError::EmptySegment),
                "*" => segments.push(None),
                "**" => open = true,
                _ if segment.contains('*') => return Err(PathPatternError::PartOfSegment),
                _ => segments.push(Some(segment.to_owned())),
            }
        }
        Ok(Self { segments, open })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            write!(f, "/{}", segment.as_deref().unwrap_or("*"))?;
        }
        if self.open {
            f.write_str("/**")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let pattern: PathPattern = pattern.parse().unwrap();
        pattern.matches(path.split('/'))
    }

    #[test]
    fn a_pattern_is_of_whole_segments() {
        assert!(matches("/production/*", "production/a"));
        assert!(matches("production/*", "production/a"));
        assert!(!matches("/production/*", "staging/a"));
        assert!(!matches("/production/*", "production"));
        assert!(!matches("/production/*", "production/a/b"));
        assert!(matches("/production/**", "production/a/b"));
        assert!(matches("/production/**", "production"));
        assert!(!matches("/production/**", "productions/a"));
        assert!(matches("/*/machines/**", "x/machines/a/b"));
        assert!(matches("**", "any/thing"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, error) in [
            ("", PathPatternError::EmptySegment),
            ("/", PathPatternError::EmptySegment),
            ("/a//b", PathPatternError::EmptySegment),
            ("/a/", PathPatternError::EmptySegment),
            ("/a*", PathPatternError::PartOfSegment),
            ("/**/a", PathPatternError::OpenBeforeEnd),
        ] {
            assert_eq!(text.parse::<PathPattern>(), Err(error), "{text}");
        }
        let shown = |text: &str| text.parse::<PathPattern>().unwrap().to_string();
        assert_eq!(shown("a/*/**"), "/a/*/**");
    }
}
