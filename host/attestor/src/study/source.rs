//! Facts to ask a policy about: cases, the decisions of a log, or other
//! facts made of given ones.
//!
//! Nothing of a source is believed. A log is read as its reader verifies it,
//! and ends a study at the first line that is not what was written.

use super::bounds::Bounds;
use super::generator::Generator;
use crate::envelope::Envelope;
use nameplate_decisions::{NamingRecord, ReadError, Reader, Recorded};
use nameplate_policy::Facts;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// Facts, and what they are called: a case, or a record of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// What they are called.
    pub name: String,
    /// The facts.
    pub facts: Facts,
    /// The envelope that the decision was made in, where it is one that is
    /// recorded.
    #[serde(skip)]
    pub envelope: Option<Arc<Envelope>>,
}

/// Where facts come from. Going through them again gives the same.
#[derive(Clone, Debug)]
pub enum Source {
    /// Facts that are at hand.
    AtHand(Vec<Described>),
    /// The decisions of a log: its directory, or one of its segments.
    Log(PathBuf),
    /// Facts made of given ones by changing some of them.
    Generated {
        /// What they are made of.
        from: Box<Facts>,
        /// How many.
        count: u64,
        /// What the changes are drawn by.
        seed: u64,
    },
}

impl Source {
    /// The facts of cases.
    ///
    /// A host draws an identifier for every attestation, and cases mostly
    /// repeat one; those that do get another.
    pub fn of_cases(cases: impl IntoIterator<Item = Described>) -> Self {
        let mut seen = BTreeSet::new();
        let own = cases.into_iter().zip(0u64..).map(|(mut case, number)| {
            if !seen.insert(case.facts.attestation_id.clone()) {
                case.facts.attestation_id = attestation_id(number);
            }
            case
        });
        Self::AtHand(own.collect())
    }

    /// The facts, in order.
    ///
    /// # Errors
    /// [`ReadError`] where there is no log.
    pub fn facts(&self) -> Result<FactsOfSource<'_>, ReadError> {
        Ok(match self {
            Self::AtHand(facts) => FactsOfSource::AtHand(facts.iter()),
            Self::Log(path) => FactsOfSource::Log(Box::new(LogFacts {
                lines: Reader::open(path)?,
                redacted: 0,
                envelopes: HashMap::new(),
                unread: 0,
            })),
            Self::Generated { from, count, seed } => {
                FactsOfSource::Generated(Box::new(Generator::new(from, *count, *seed)))
            }
        })
    }
}

/// A version 4 UUID as a host would draw it, for the `number`-th attestation.
pub(super) fn attestation_id(number: u64) -> String {
    format!(
        "5eed0000-0000-4000-8{:03x}-{:012x}",
        (number >> 48) & 0xfff,
        number & 0xffff_ffff_ffff
    )
}

/// The facts of a [`Source`], one after the other.
#[derive(Debug)]
pub enum FactsOfSource<'a> {
    /// Facts that are at hand.
    AtHand(std::slice::Iter<'a, Described>),
    /// Those of a log.
    Log(Box<LogFacts>),
    /// Those that are made.
    Generated(Box<Generator>),
}

/// The facts of a log's decisions.
#[derive(Debug)]
pub struct LogFacts {
    lines: Reader,
    redacted: u64,
    /// By the address of a record, which is kept so that it stays its own.
    envelopes: HashMap<usize, (Arc<NamingRecord>, Option<Arc<Envelope>>)>,
    unread: u64,
}

/// Most records that are remembered by their addresses: each segment of a log
/// says them anew.
const MAX_ADDRESSES: usize = 1_024;

impl FactsOfSource<'_> {
    /// Records so far of which the log kept facts back. What a policy makes of
    /// those is not what it made of the whole.
    pub fn redacted(&self) -> u64 {
        match self {
            Self::Log(log) => log.redacted,
            Self::AtHand(_) | Self::Generated(_) => 0,
        }
    }

    /// Records so far whose envelope cannot be read. They come without one.
    pub fn unread_envelopes(&self) -> u64 {
        match self {
            Self::Log(log) => log.unread,
            Self::AtHand(_) | Self::Generated(_) => 0,
        }
    }
}

impl LogFacts {
    /// The envelope of a decision that a policy was asked for.
    fn envelope(&mut self, naming: Option<&Arc<NamingRecord>>) -> Option<Arc<Envelope>> {
        let naming = naming?;
        if self.envelopes.len() >= MAX_ADDRESSES {
            self.envelopes.clear();
        }
        let (_, envelope) = self
            .envelopes
            .entry(Arc::as_ptr(naming).addr())
            .or_insert_with(|| {
                let read = Bounds::recorded(naming).ok();
                let envelope = read.map(|bounds| Arc::new(bounds.envelope));
                (Arc::clone(naming), envelope)
            });
        if envelope.is_none() {
            self.unread = self.unread.saturating_add(1);
        }
        envelope.clone()
    }
}

impl Iterator for FactsOfSource<'_> {
    type Item = Result<Described, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::AtHand(facts) => facts.next().cloned().map(Ok),
            Self::Log(log) => log.next(),
            Self::Generated(generator) => generator.next().map(Ok),
        }
    }
}

impl Iterator for LogFacts {
    type Item = Result<Described, ReadError>;

    /// The next decision that facts stand in: rejected evidence has none.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Recorded {
                sequence,
                decision,
                naming,
                ..
            } = match self.lines.next_decision()? {
                Ok(recorded) => recorded,
                Err(error) => return Some(Err(error)),
            };
            if let Some(facts) = decision.facts {
                if !decision.redacted.is_empty() {
                    self.redacted = self.redacted.saturating_add(1);
                }
                return Some(Ok(Described {
                    name: format!("record {sequence}"),
                    facts,
                    envelope: self.envelope(naming.as_ref()),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::samples;

    #[test]
    fn a_repeated_identifier_is_another() {
        let case = |name: &str| Described {
            name: name.to_owned(),
            facts: samples::service_account(),
            envelope: None,
        };
        let source = Source::of_cases([case("a"), case("b"), case("c")]);
        let ids: Vec<_> = source
            .facts()
            .unwrap()
            .map(|described| described.unwrap().facts.attestation_id)
            .collect();
        assert_eq!(ids[0], samples::service_account().attestation_id);
        assert_eq!(ids[1], "5eed0000-0000-4000-8000-000000000001");
        assert_eq!(ids[2], "5eed0000-0000-4000-8000-000000000002");
    }

    #[test]
    fn no_log_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        let source = Source::Log(empty.path().to_owned());
        assert!(matches!(
            source.facts().unwrap_err(),
            ReadError::Empty { .. }
        ));
    }
}
