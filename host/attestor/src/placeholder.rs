//! `{placeholders}` for facts, as an operator writes them in an envelope, and
//! the segments of a path that are made of them.
//!
//! The names are those of the `template` policy. Only facts that can bound a
//! namespace are here: each stands for one thing that the evidence proved.

use nameplate_evidence::{Node, Pod, Subject};
use nameplate_policy::Facts;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// One path segment, made of text and facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fact(Placeholder),
}

/// A fact that an envelope can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    Cluster,
    ClusterThumbprint,
    Namespace,
    ServiceAccount,
    ServiceAccountUid,
    PodName,
    PodUid,
    NodeName,
    NodeUid,
}

impl Placeholder {
    const ALL: [Self; 9] = [
        Self::Cluster,
        Self::ClusterThumbprint,
        Self::Namespace,
        Self::ServiceAccount,
        Self::ServiceAccountUid,
        Self::PodName,
        Self::PodUid,
        Self::NodeName,
        Self::NodeUid,
    ];

    /// The placeholder that is written `{name}`.
    pub(crate) fn find(name: &str) -> Result<Self, UnknownPlaceholder> {
        Self::ALL
            .into_iter()
            .find(|fact| fact.name() == name)
            .ok_or_else(|| UnknownPlaceholder {
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::ClusterThumbprint => "cluster_thumbprint",
            Self::Namespace => "namespace",
            Self::ServiceAccount => "service_account",
            Self::ServiceAccountUid => "service_account_uid",
            Self::PodName => "pod_name",
            Self::PodUid => "pod_uid",
            Self::NodeName => "node_name",
            Self::NodeUid => "node_uid",
        }
    }

    /// The fact, where it is proven.
    pub(crate) fn of(self, facts: &Facts) -> Option<&str> {
        let account = match &facts.subject {
            Subject::ServiceAccount(account) => Some(account),
            Subject::Certificate(_) => None,
        };
        let pod = || -> Option<&Pod> { account?.pod.as_ref() };
        let node = || -> Option<&Node> {
            match &facts.subject {
                Subject::ServiceAccount(account) => account.node.as_ref(),
                Subject::Certificate(certificate) => certificate.node.as_ref(),
            }
        };
        match self {
            Self::Cluster => facts.cluster(),
            Self::ClusterThumbprint => account?.cluster_thumbprint.as_deref(),
            Self::Namespace => Some(&account?.namespace),
            Self::ServiceAccount => Some(&account?.name),
            Self::ServiceAccountUid => account?.uid.as_deref(),
            Self::PodName => Some(&pod()?.name),
            Self::PodUid => pod()?.uid.as_deref(),
            Self::NodeName => Some(&node()?.name),
            Self::NodeUid => node()?.uid.as_deref(),
        }
    }
}

impl Pattern {
    /// The text that the facts make of it, or the placeholder that they lack.
    pub(crate) fn fill<'a>(&'a self, facts: &'a Facts) -> Result<Cow<'a, str>, &'static str> {
        let piece = |piece: &'a Piece| match piece {
            Piece::Text(text) => Ok(text.as_str()),
            Piece::Fact(fact) => fact.of(facts).ok_or(fact.name()),
        };
        if let [only] = self.0.as_slice() {
            return piece(only).map(Cow::Borrowed);
        }
        self.0
            .iter()
            .map(piece)
            .collect::<Result<String, _>>()
            .map(Cow::Owned)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            push_text(&mut pieces, literal)?;
            let (name, after) = after.split_once('}').ok_or(PatternError::Unclosed)?;
            pieces.push(Piece::Fact(Placeholder::find(name)?));
            rest = after;
        }
        push_text(&mut pieces, rest)?;
        match pieces.as_slice() {
            [] => Err(PatternError::Empty),
            [Piece::Text(text)] if matches!(text.as_str(), "." | "..") => {
                Err(PatternError::Character { character: '.' })
            }
            _ => Ok(Self(pieces)),
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) -> Result<(), PatternError> {
    let valid = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if let Some(character) = text.chars().find(|c| !valid(c)) {
        return Err(PatternError::Character { character });
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Fact(fact) => write!(f, "{{{}}}", fact.name()),
        })
    }
}

/// Text that cannot be a segment of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No text at all.
    #[error("a leading segment cannot be empty")]
    Empty,
    /// A `{` without its `}`.
    #[error("a `{{` is not closed")]
    Unclosed,
    /// A placeholder that an envelope does not know.
    #[error(transparent)]
    Unknown(#[from] UnknownPlaceholder),
    /// A character that no SPIFFE path segment may have.
    #[error("`{}` cannot stand in a SPIFFE path segment", character.escape_debug())]
    Character {
        /// The character.
        character: char,
    },
}

/// A placeholder that an envelope does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no placeholder `{{{}}}` here; there are {known}", name.escape_debug())]
pub struct UnknownPlaceholder {
    name: String,
    known: String,
}
