//! Facts to ask a policy about: cases, the decisions of a log, or other
//! facts made of given ones.
//!
//! Nothing of a source is believed. A log is read as its reader verifies it,
//! and ends a study at the first line that is not what was written.

use super::generator::Generator;
use nameplate_decisions::{ReadError, Reader, Recorded};
use nameplate_policy::Facts;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Facts, and what they are called: a case, or a record of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// What they are called.
    pub name: String,
    /// The facts.
    pub facts: Facts,
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
}

impl FactsOfSource<'_> {
    /// Records so far of which the log kept facts back. What a policy makes of
    /// those is not what it made of the whole.
    pub fn redacted(&self) -> u64 {
        match self {
            Self::Log(log) => log.redacted,
            Self::AtHand(_) | Self::Generated(_) => 0,
        }
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
                sequence, decision, ..
            } = match self.lines.next_decision()? {
                Ok(recorded) => recorded,
                Err(error) => return Some(Err(error)),
            };
            if let Some(facts) = decision.facts {
                if !decision.redacted.is_empty() {
                    self.redacted = self.redacted.saturating_add(1);
                }
                let name = format!("record {sequence}");
                return Some(Ok(Described { name, facts }));
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
