//! The forms in which a run of cases is told: for people, and for the
//! programs that collect test results.

mod junit;
mod tap;
mod text;

use super::round::{Demand, Round, Tried};
use nameplate_attestor::cases::{Outcome, Shortfall};
use std::io::{self, Write};

/// The form of an answer that is not JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// The Test Anything Protocol, version 14
    Tap,
    /// JUnit's XML, as CI servers read it
    Junit,
}

impl Format {
    /// Writes a run.
    pub(super) fn write(self, round: &Round, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Text => text::write(round, out),
            Self::Tap => tap::write(round, out),
            Self::Junit => junit::write(round, out),
        }
    }
}

/// Something that is to hold, as programs are told of it.
#[derive(Debug, PartialEq, Eq)]
struct Check {
    name: String,
    fuel: Option<u64>,
    failure: Option<CheckFailure>,
}

/// Why something does not hold.
#[derive(Debug, PartialEq, Eq)]
struct CheckFailure {
    /// In one line.
    message: String,
    expected: Option<String>,
    found: Option<String>,
    detail: Option<String>,
}

/// The cases, and what else decides how the process ends: each is a check, so
/// that no run that fails looks like one where everything holds.
fn checks(round: &Round) -> Vec<Check> {
    let cases = round.tried.iter().map(case);
    let unmet = round.unmet().into_iter().map(|demand| Check {
        name: demand.option().to_owned(),
        fuel: None,
        failure: Some(CheckFailure {
            message: demand.unmet().to_owned(),
            expected: None,
            found: None,
            detail: Some(detail(round, demand)),
        }),
    });
    cases.chain(unmet).collect()
}

fn case(tried: &Tried) -> Check {
    let failure = tried.shortfall.as_ref().map(|shortfall| match shortfall {
        Shortfall::Outcome { expected, found } => CheckFailure {
            message: "another outcome than expected".to_owned(),
            expected: Some(expected.as_ref().map_or_else(
                || "nothing yet".to_owned(),
                |outcome: &Outcome| outcome.to_string(),
            )),
            found: Some(found.to_string()),
            detail: tried.run.detail.clone(),
        },
        Shortfall::Fuel { most, used } => CheckFailure {
            message: "more fuel than the case allows".to_owned(),
            expected: Some(format!("at most {most} fuel")),
            found: Some(format!("{used} fuel")),
            detail: None,
        },
    });
    Check {
        name: tried.case.name.clone(),
        fuel: tried.run.fuel,
        failure,
    }
}

/// What shows that a demand is not met, as people read it.
fn detail(round: &Round, demand: Demand) -> String {
    let mut written = anstream::StripStream::new(Vec::new());
    // Nothing that writes into memory fails.
    let _written = text::write_demand(round, demand, &mut written);
    String::from_utf8_lossy(&written.into_inner())
        .trim()
        .to_owned()
}
