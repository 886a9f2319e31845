//! `--limit NAME=VALUE`: the limits of a configuration, on the command line.
//!
//! Names and units are those of the `limits` table. Without the flag the
//! defaults hold, which are the server's.

use nameplate_policy::Limits;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Limits as the command line changes them.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct LimitFlags {
    /// Run under another limit, named as in the configuration; may be repeated
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = parse)]
    limits: Vec<Change>,
}

impl LimitFlags {
    /// The defaults with every change made; of two for one limit the later counts.
    pub(crate) fn limits(&self) -> Limits {
        self.change(Limits::default())
    }

    /// Other limits with every change made.
    pub(crate) fn change(&self, mut limits: Limits) -> Limits {
        for change in &self.limits {
            change.apply(&mut limits);
        }
        limits
    }
}

/// One limit and its new value.
#[derive(Clone)]
struct Change {
    name: &'static str,
    set: Setter,
}

#[derive(Clone, Copy)]
enum Setter {
    Size(fn(&mut Limits) -> &mut usize, usize),
    Fuel(fn(&mut Limits) -> &mut u64, u64),
    Deadline(Duration),
}

impl Change {
    fn apply(&self, limits: &mut Limits) {
        match self.set {
            Setter::Size(field, value) => *field(limits) = value,
            Setter::Fuel(field, value) => *field(limits) = value,
            Setter::Deadline(value) => limits.deadline = value,
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Change({})", self.name)
    }
}

/// A limit that counts: its name, its field, the values it may have.
type Size = (
    &'static str,
    fn(&mut Limits) -> &mut usize,
    RangeInclusive<usize>,
);

const SIZES: [Size; 18] = [
    (
        "component_bytes",
        |limits| &mut limits.component_bytes,
        1 << 10..=64 << 20,
    ),
    ("nesting", |limits| &mut limits.nesting, 1..=10_000),
    ("functions", |limits| &mut limits.functions, 1..=1_000_000),
    (
        "function_bytes",
        |limits| &mut limits.function_bytes,
        64..=16 << 20,
    ),
    ("locals", |limits| &mut limits.locals, 1..=10_000_000),
    ("joins", |limits| &mut limits.joins, 1..=100_000_000),
    (
        "indirect_calls",
        |limits| &mut limits.indirect_calls,
        1..=100_000,
    ),
    (
        "component_instances",
        |limits| &mut limits.component_instances,
        1..=1_000,
    ),
    (
        "declarations",
        |limits| &mut limits.declarations,
        1..=10_000_000,
    ),
    ("segments", |limits| &mut limits.segments, 1..=100_000),
    (
        "settings_bytes",
        |limits| &mut limits.settings_bytes,
        2..=1 << 20,
    ),
    (
        "memory_bytes",
        |limits| &mut limits.memory_bytes,
        64 << 10..=1 << 30,
    ),
    (
        "table_elements",
        |limits| &mut limits.table_elements,
        1..=10_000_000,
    ),
    ("instances", |limits| &mut limits.instances, 1..=1_000),
    ("memories", |limits| &mut limits.memories, 1..=100),
    ("tables", |limits| &mut limits.tables, 1..=100),
    (
        "stack_bytes",
        |limits| &mut limits.stack_bytes,
        Limits::STACK_BYTES,
    ),
    (
        "lifted_bytes",
        |limits| &mut limits.lifted_bytes,
        1 << 10..=16 << 20,
    ),
];

type Fuel = (&'static str, fn(&mut Limits) -> &mut u64);

const FUELS: [Fuel; 2] = [
    ("fuel", |limits| &mut limits.fuel),
    ("configure_fuel", |limits| &mut limits.configure_fuel),
];

const MAX_FUEL: u64 = 100_000_000_000;

const DEADLINE: &str = "deadline";

fn parse(text: &str) -> Result<Change, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write NAME=VALUE, such as fuel=2000000")?;
    if name == DEADLINE {
        let deadline = humantime::parse_duration(value)
            .map_err(|error| format!("`{value}` is no duration such as `250ms`: {error}"))?;
        if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&deadline) {
            return Err("`deadline` lies between 1ms and 60s".to_owned());
        }
        return Ok(Change {
            name: DEADLINE,
            set: Setter::Deadline(deadline),
        });
    }
    if let Some((name, field)) = FUELS.into_iter().find(|(known, _)| *known == name) {
        let fuel = number(value)?;
        if !(1..=MAX_FUEL).contains(&fuel) {
            return Err(format!(
                "`{name}` lies between 1 and {}",
                nameplate_words::grouped(MAX_FUEL)
            ));
        }
        return Ok(Change {
            name,
            set: Setter::Fuel(field, fuel),
        });
    }
    match SIZES.into_iter().find(|(known, ..)| *known == name) {
        Some((name, field, range)) => {
            let size = if name.ends_with("_bytes") {
                bytes(value)?
            } else {
                number(value)?
            };
            let size = usize::try_from(size)
                .ok()
                .filter(|size| range.contains(size))
                .ok_or_else(|| {
                    format!(
                        "`{name}` lies between {} and {}",
                        nameplate_words::grouped(*range.start()),
                        nameplate_words::grouped(*range.end())
                    )
                })?;
            Ok(Change {
                name,
                set: Setter::Size(field, size),
            })
        }
        None => {
            let known: Vec<_> = FUELS
                .iter()
                .map(|(name, _)| *name)
                .chain([DEADLINE])
                .chain(SIZES.iter().map(|(name, ..)| *name))
                .collect();
            Err(format!(
                "there is no limit `{name}`; there are {}",
                known.join(", ")
            ))
        }
    }
}

/// Reads a number, in groups if they like: `2_000_000`.
fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "")
        .parse()
        .map_err(|_not| format!("`{text}` is no number"))
}

/// Reads a number of bytes, or one with a unit: `8 MiB`.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = UNITS
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (digits, factor) = unit.unwrap_or((text, 1));
    number(digits.trim())
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("`{text}` is no size such as `1048576` or `1 MiB`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(flags: &[&str]) -> Limits {
        LimitFlags {
            limits: flags.iter().map(|flag| parse(flag).unwrap()).collect(),
        }
        .limits()
    }

    #[test]
    fn every_limit_alone_changes_itself_and_nothing_else() {
        // Written out without `..`, so that a new limit cannot lack a flag.
        let Limits {
            component_bytes: _,
            nesting: _,
            functions: _,
            function_bytes: _,
            locals: _,
            joins: _,
            indirect_calls: _,
            component_instances: _,
            declarations: _,
            segments: _,
            settings_bytes: _,
            fuel: _,
            configure_fuel: _,
            deadline: _,
            memory_bytes: _,
            table_elements: _,
            instances: _,
            memories: _,
            tables: _,
            stack_bytes: _,
            lifted_bytes: _,
        } = Limits::default();
        assert_eq!(SIZES.len() + FUELS.len() + 1, 21);
        for (name, field, range) in SIZES {
            let changed = limits(&[&format!("{name}={}", range.end())]);
            let mut expected = Limits::default();
            *field(&mut expected) = *range.end();
            assert_eq!(changed, expected, "{name}");
            assert!(format!("{changed:?}").contains(&format!("{name}: {}", range.end())));
        }
        for (name, field) in FUELS {
            let mut expected = Limits::default();
            *field(&mut expected) = 7;
            assert_eq!(limits(&[&format!("{name}=7")]), expected, "{name}");
        }
        assert_eq!(limits(&["fuel=2_000"]).fuel, 2_000);
        assert_eq!(limits(&["configure_fuel=5"]).configure_fuel, 5);
        assert_eq!(
            limits(&["deadline=250ms"]).deadline,
            Duration::from_millis(250)
        );
        assert_eq!(limits(&["memory_bytes=8 MiB"]).memory_bytes, 8 << 20);
        assert_eq!(limits(&["nesting=3", "nesting=4"]).nesting, 4);
        assert_eq!(limits(&[]), Limits::default());
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for (flag, message) in [
            ("fuel", "write NAME=VALUE, such as fuel=2000000"),
            ("fuel=0", "`fuel` lies between 1 and 100,000,000,000"),
            ("fuel=x", "`x` is no number"),
            ("nesting=0", "`nesting` lies between 1 and 10,000"),
            (
                "memory_bytes=1 MB",
                "`1 MB` is no size such as `1048576` or `1 MiB`",
            ),
            ("deadline=0s", "`deadline` lies between 1ms and 60s"),
        ] {
            assert_eq!(parse(flag).unwrap_err(), message, "{flag}");
        }
        assert!(
            parse("fule=1")
                .unwrap_err()
                .starts_with("there is no limit `fule`; there are fuel, ")
        );
        assert!(
            parse("deadline=soon")
                .unwrap_err()
                .starts_with("`soon` is no duration")
        );
    }
}
