//! One run of all cases, and everything that is said of it.

use super::collisions::{self, Collision};
use super::format::Format;
use super::mutation::Mutation;
use super::subject::{Stated, Subject};
use super::{Arguments, blessing, coverage};
use crate::failure::Failure;
use crate::report::{Output, progress};
use nameplate_attestor::cases::{Case, CaseRun, Coverage, Outcome, Shortfall};
use nameplate_policy::{Facts, Sandbox, Trial};
use serde::Serialize;
use serde_json::{Value, json};

/// A case and what came of it.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) case: Case,
    /// What the policy saw, where it came to that.
    pub(super) facts: Option<Facts>,
    pub(super) run: CaseRun,
    /// In what the run is not what the case states.
    pub(super) shortfall: Option<Shortfall>,
    /// Whether what came of it is now what it states.
    pub(super) blessed: bool,
}

impl Tried {
    /// Runs a case, and writes what came of it where that is asked for.
    fn new(stated: Stated, trial: &Trial, arguments: &Arguments) -> Result<Self, Failure> {
        let Stated { mut case, file } = stated;
        let ready = case.ready().with_false_facts(arguments.false_facts());
        let run = ready.run(trial);
        let facts = ready.into_facts();
        let differs = case.expect.as_ref() != Some(&run.outcome);
        let mut blessed = false;
        if let (true, true, Some(file)) =
            (arguments.update && differs, run.outcome.is_constant(), file)
        {
            blessing::bless(&file, &run.outcome)?;
            case.expect = Some(run.outcome.clone());
            blessed = true;
        }
        Ok(Self {
            shortfall: case.shortfall(&run),
            case,
            facts,
            run,
            blessed,
        })
    }

    pub(super) fn passed(&self) -> bool {
        self.shortfall.is_none()
    }
}

/// What a run is to show besides its cases, where that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// `--deny-collisions`.
    NoCollisions,
    /// `--require-coverage`.
    Coverage,
    /// `--max-unnoticed`.
    Mutants,
}

impl Demand {
    /// The option that asks for it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::NoCollisions => "--deny-collisions",
            Self::Coverage => "--require-coverage",
            Self::Mutants => "--max-unnoticed",
        }
    }

    /// What is wrong where it does not hold.
    pub(super) fn unmet(self) -> &'static str {
        match self {
            Self::NoCollisions => "different subjects get one SPIFFE ID",
            Self::Coverage => "the cases do not show every denial and setting",
            Self::Mutants => "more mutants go unnoticed than may",
        }
    }
}

/// One run of all cases.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) tried: Vec<Tried>,
    pub(super) collisions: Vec<Collision>,
    pub(super) coverage: Option<Coverage>,
    pub(super) mutation: Option<Mutation>,
    deny_collisions: bool,
    require_coverage: bool,
}

impl Round {
    /// Runs the cases, and looks into what else is asked for.
    ///
    /// # Errors
    /// When the component is no policy, or a file cannot be written.
    pub(super) fn run(subject: Subject, arguments: &Arguments) -> Result<Self, Failure> {
        let limits = arguments.limits.limits();
        let sandbox = Sandbox::new()?;
        let trial = Trial::new(&sandbox, &subject.component, &limits)
            .map_err(|error| Failure::load(format!("`{}`", arguments.policy), error))?;
        let tried = subject
            .cases
            .into_iter()
            .map(|stated| Tried::new(stated, &trial, arguments))
            .collect::<Result<Vec<_>, _>>()?;
        let collisions = collisions::find(&tried, &trial, &subject.manifest);
        let coverage = if arguments.coverage || arguments.require_coverage {
            Some(coverage::of(&subject.manifest, &tried)?)
        } else {
            None
        };
        let mut round = Self {
            tried,
            collisions,
            coverage,
            mutation: None,
            deny_collisions: arguments.deny_collisions,
            require_coverage: arguments.require_coverage,
        };
        if arguments.mutation.mutate {
            if round.failed() == 0 {
                let cases = round.tried.iter().map(|tried| {
                    let ready = tried.case.ready();
                    ready.with_false_facts(arguments.false_facts())
                });
                round.mutation = Some(arguments.mutation.hunt(
                    &sandbox,
                    &subject.component,
                    &limits,
                    cases,
                )?);
            } else {
                progress("no mutants are tried while cases fail");
            }
        }
        Ok(round)
    }

    /// Whether everything is as it has to be.
    pub(super) fn is_ok(&self) -> bool {
        self.failed() == 0 && self.unmet().is_empty()
    }

    /// What was asked for besides the cases, and does not hold.
    pub(super) fn unmet(&self) -> Vec<Demand> {
        let covered = self.coverage.as_ref().is_none_or(Coverage::is_complete);
        let demands = [
            (
                Demand::NoCollisions,
                self.collisions.is_empty() || !self.deny_collisions,
            ),
            (Demand::Coverage, covered || !self.require_coverage),
            (
                Demand::Mutants,
                self.mutation.as_ref().is_none_or(Mutation::is_ok),
            ),
        ];
        let unmet = demands.into_iter().filter(|(_, holds)| !holds);
        unmet.map(|(demand, _)| demand).collect()
    }

    pub(super) fn passed(&self) -> usize {
        self.tried.iter().filter(|tried| tried.passed()).count()
    }

    pub(super) fn failed(&self) -> usize {
        self.tried.len().saturating_sub(self.passed())
    }

    pub(super) fn blessed(&self) -> usize {
        self.tried.iter().filter(|tried| tried.blessed).count()
    }

    pub(super) fn max_fuel(&self) -> u64 {
        let fuel = self.tried.iter().filter_map(|tried| tried.run.fuel);
        fuel.max().unwrap_or(0)
    }

    /// Says it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn answer(&self, format: Format, output: Output) -> Result<(), Failure> {
        output.answer(&self.document(), |out| format.write(self, out))
    }

    fn document(&self) -> Value {
        json!({
            "ok": self.is_ok(),
            "passed": self.passed(),
            "failed": self.failed(),
            "blessed": self.blessed(),
            "max_fuel": self.max_fuel(),
            "unmet": self.unmet().into_iter().map(Demand::option).collect::<Vec<_>>(),
            "cases": self.tried.iter().map(CaseReport::new).collect::<Vec<_>>(),
            "collisions": self.collisions,
            "coverage": self.coverage.as_ref().map(coverage::document),
            "mutation": self.mutation.as_ref().map(Mutation::document),
        })
    }
}

/// A case as it goes into JSON.
#[derive(Debug, Serialize)]
struct CaseReport<'a> {
    name: &'a str,
    passed: bool,
    blessed: bool,
    expected: Option<&'a Outcome>,
    found: &'a Outcome,
    detail: Option<&'a str>,
    fuel: Option<u64>,
    max_fuel: Option<u64>,
}

impl<'a> CaseReport<'a> {
    fn new(tried: &'a Tried) -> Self {
        Self {
            name: &tried.case.name,
            passed: tried.passed(),
            blessed: tried.blessed,
            expected: tried.case.expect.as_ref(),
            found: &tried.run.outcome,
            detail: tried.run.detail.as_deref(),
            fuel: tried.run.fuel,
            max_fuel: tried.case.max_fuel,
        }
    }
}
