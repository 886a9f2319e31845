//! A run for people.

use super::super::coverage;
use super::super::difference;
use super::super::round::{Demand, Round, Tried};
use crate::failure::plural;
use crate::report::{BAD, FAINT, GOOD, NOTE, grouped, printable};
use nameplate_attestor::cases::Shortfall;
use std::io::{self, Write};

/// Writes the cases, the rest, and the sum.
pub(super) fn write(round: &Round, out: &mut dyn Write) -> io::Result<()> {
    let names = round
        .tried
        .iter()
        .map(|tried| printable(&tried.case.name).chars().count());
    let width = names.max().unwrap_or(0);
    round
        .tried
        .iter()
        .try_for_each(|tried| write_case(out, tried, width))?;
    for demand in [Demand::NoCollisions, Demand::Coverage, Demand::Mutants] {
        write_demand(round, demand, out)?;
    }
    write_sum(round, out)
}

/// Writes what was found of a demand, met or not.
pub(super) fn write_demand(round: &Round, demand: Demand, out: &mut dyn Write) -> io::Result<()> {
    match (demand, &round.coverage, &round.mutation) {
        (Demand::NoCollisions, ..) => round
            .collisions
            .iter()
            .try_for_each(|collision| collision.write(out)),
        (Demand::Coverage, Some(coverage), _) => coverage::write(coverage, out),
        (Demand::Mutants, _, Some(mutation)) => mutation.write(out),
        (Demand::Coverage, None, _) | (Demand::Mutants, _, None) => Ok(()),
    }
}

/// Writes a line for a case, its name as wide as the widest, and the
/// difference where there is one.
fn write_case(out: &mut dyn Write, tried: &Tried, width: usize) -> io::Result<()> {
    let (style, word) = match (tried.passed(), tried.blessed) {
        (false, _) => (BAD, "FAILED"),
        (true, true) => (NOTE, "blessed"),
        (true, false) => (GOOD, "ok"),
    };
    let name = printable(&tried.case.name);
    match tried.run.fuel {
        Some(fuel) => {
            let fuel = grouped(fuel);
            writeln!(
                out,
                "{style}{word:<7}{style:#}  {name:<width$}  {FAINT}fuel {fuel}{FAINT:#}"
            )?;
        }
        None => writeln!(out, "{style}{word:<7}{style:#}  {name}")?,
    }
    match &tried.shortfall {
        None => return Ok(()),
        Some(Shortfall::Outcome { expected, found }) => {
            difference::write(out, expected.as_ref(), found)?;
        }
        Some(Shortfall::Fuel { most, .. }) => {
            let most = grouped(*most);
            writeln!(out, "    {BAD}at most {most} fuel stated{BAD:#}")?;
        }
    }
    match &tried.run.detail {
        Some(detail) => writeln!(out, "    {FAINT}{}{FAINT:#}", printable(detail)),
        None => Ok(()),
    }
}

fn write_sum(round: &Round, out: &mut dyn Write) -> io::Result<()> {
    let style = if round.is_ok() { GOOD } else { BAD };
    let verdict = if round.is_ok() { "passed" } else { "FAILED" };
    write!(
        out,
        "\n{style}{verdict}{style:#}: {} passed, {} failed",
        round.passed(),
        round.failed()
    )?;
    if round.blessed() > 0 {
        write!(out, ", {} of them blessed now", round.blessed())?;
    }
    let collisions = round.collisions.len();
    if collisions > 0 {
        write!(out, ", {collisions} {}", plural(collisions, "collision"))?;
    }
    writeln!(out, "; at most {} fuel", grouped(round.max_fuel()))?;
    round.unmet().into_iter().try_for_each(|demand| {
        let (option, unmet) = (demand.option(), demand.unmet());
        writeln!(
            out,
            "{BAD}FAILED{BAD:#}: {unmet}, and `{option}` is asked for"
        )
    })
}
