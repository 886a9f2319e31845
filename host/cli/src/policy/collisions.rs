//! `nameplate policy collisions`: two subjects with one SPIFFE ID.

use super::limits::LimitFlags;
use super::many_subjects::{self as subjects, naming, progress, through};
use crate::failure::{Failure, plural};
use crate::input;
use crate::report::{BAD, Exit, FAINT, GOOD, HEADING, NOTE, Output, grouped, printable};
use nameplate_attestor::study::{
    AsRecorded, Collisions, Difference, SharedId, Source, both_subjects,
};
use nameplate_attestor::{FactPointer, SaidBy, SubjectKeys};
use nameplate_policy::Sandbox;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};
use std::path::PathBuf;

/// Find two subjects that a policy gives one SPIFFE ID
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("source").required(true).args(["cases", "log", "generate"])),
    after_help = "\
Which facts keep subjects apart is said by the policy (see `policy inspect`),
or by --subject-key. Ends with 1 where two subjects share an ID.

Examples:
  nameplate policy collisions my-policy.wasm --cases my-policy/cases
  nameplate policy collisions builtin:node --settings '{\"by\": \"name\"}' --log /var/lib/nameplate/log
  nameplate policy collisions my-policy.wasm --generate facts.json --count 1000000 --seed 7"
)]
pub(crate) struct Arguments {
    /// A component, or builtin:NAME
    policy: String,

    /// The facts of the cases in a directory
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,

    /// The facts of a decision log
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,

    /// Facts made of these by changing some of them; `-` is standard input
    #[arg(long, value_name = "FACTS")]
    generate: Option<PathBuf>,

    /// How many facts to make
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100_000,
        requires = "generate"
    )]
    count: u64,

    /// Make other facts
    #[arg(long, value_name = "S", default_value_t = 0, requires = "generate")]
    seed: u64,

    /// Settings: a JSON object, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,

    /// A fact that keeps subjects apart, as a JSON Pointer, instead of those
    /// that the policy names; may be repeated
    #[arg(long = "subject-key", value_name = "FACT")]
    subject_keys: Vec<FactPointer>,

    /// Most IDs to remember, at about 100 bytes each
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    remember: usize,

    /// Most collisions to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    show: usize,

    #[command(flatten)]
    limits: LimitFlags,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Document {
    ok: bool,
    asked: u64,
    named: u64,
    collided: u64,
    unremembered: u64,
    subjects_said_by: SaidBy,
    subject_keys: Vec<Vec<FactPointer>>,
    collisions: Vec<SharedId>,
}

/// Runs the subcommand.
///
/// # Errors
/// Where the policy cannot be loaded or its facts cannot be read.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let settings = input::settings(arguments.settings.as_deref())?;
    let source = source(arguments)?;
    let sandbox = Sandbox::new()?;
    let naming = naming(&sandbox, &arguments.policy, settings, &arguments.limits)?;
    let keys = match arguments.subject_keys.as_slice() {
        [] => naming.subject_keys().clone(),
        named => SubjectKeys::of_facts(named.to_vec()),
    };
    let collisions = through(&source, |facts| {
        Collisions::find(
            &AsRecorded(&naming),
            &keys,
            facts,
            arguments.remember,
            arguments.show,
            progress(),
        )
    })?;
    let shared = through(&source, |facts| both_subjects(collisions.found, facts))?;
    let document = Document {
        ok: collisions.collided == 0,
        asked: collisions.asked,
        named: collisions.named,
        collided: collisions.collided,
        unremembered: collisions.unremembered,
        subjects_said_by: keys.said_by(),
        subject_keys: keys.groups().to_vec(),
        collisions: shared,
    };
    output.answer(&document, |out| document.write(out))?;
    Ok(if document.ok { Exit::Done } else { Exit::Fault })
}

fn source(arguments: &Arguments) -> Result<Source, Failure> {
    match (&arguments.cases, &arguments.log, &arguments.generate) {
        (Some(directory), ..) => subjects::cases(directory),
        (None, Some(log), _) => Ok(Source::Log(log.clone())),
        (None, None, Some(path)) => Ok(Source::Generated {
            from: Box::new(input::facts(path)?),
            count: arguments.count,
            seed: arguments.seed,
        }),
        (None, None, None) => Err(Failure::Usage(
            "name the facts: `--cases`, `--log` or `--generate`".to_owned(),
        )),
    }
}

impl Document {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for shared in &self.collisions {
            write_shared(out, shared)?;
        }
        let shown = u64::try_from(self.collisions.len()).unwrap_or(u64::MAX);
        if self.collided > shown {
            writeln!(
                out,
                "{FAINT}… and {} more{FAINT:#}\n",
                grouped(self.collided - shown)
            )?;
        }
        let collided = usize::try_from(self.collided).unwrap_or(usize::MAX);
        match self.collided {
            0 => write!(out, "{GOOD}no two subjects share an ID{GOOD:#}")?,
            count => write!(
                out,
                "{BAD}{} {} several subjects{BAD:#}",
                grouped(count),
                if collided == 1 {
                    "ID is given to"
                } else {
                    "IDs are given to"
                }
            )?,
        }
        writeln!(
            out,
            ": {} {} asked about, {} named",
            grouped(self.asked),
            plural(usize::try_from(self.asked).unwrap_or(usize::MAX), "subject"),
            grouped(self.named)
        )?;
        writeln!(
            out,
            "{FAINT}subjects are kept apart by {}{FAINT:#}",
            self.kept_apart()
        )?;
        if self.unremembered > 0 {
            writeln!(
                out,
                "{NOTE}{} sightings of further IDs were held against the remembered ones only{NOTE:#} (--remember)",
                grouped(self.unremembered)
            )?;
        }
        Ok(())
    }

    /// The facts that keep subjects apart, and who says so.
    fn kept_apart(&self) -> String {
        let groups: Vec<_> = self
            .subject_keys
            .iter()
            .map(|group| {
                let names: Vec<_> = group.iter().map(ToString::to_string).collect();
                names.join(" + ")
            })
            .collect();
        let said = match self.subjects_said_by {
            SaidBy::Default => return "the strongest UID that the evidence proves".to_owned(),
            SaidBy::Policy => "as the policy says",
            SaidBy::Operator => "as asked for",
        };
        format!("{}, {said}", printable(&groups.join(", or else ")))
    }
}

/// Writes an ID, both who bear it and the facts in which they differ.
fn write_shared(out: &mut dyn Write, shared: &SharedId) -> io::Result<()> {
    writeln!(out, "{HEADING}{}{HEADING:#}", printable(&shared.spiffe_id))?;
    let [one, other] = &shared.subjects;
    let shown: Vec<[String; 3]> = [[String::new(), printable(&one.name), printable(&other.name)]]
        .into_iter()
        .chain(shared.differ_in.iter().map(row))
        .collect();
    let width = |column: usize| {
        let cells = shown.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    for [name, one, other] in &shown {
        writeln!(
            out,
            "  {FAINT}{name:<first$}{FAINT:#}  {one:<second$}  {other}"
        )?;
    }
    writeln!(out)
}

fn row(difference: &Difference) -> [String; 3] {
    let [one, other] = &difference.values;
    let value = |value: &Option<Value>| match value {
        None => "–".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(other) => printable(&other.to_string()),
    };
    [printable(&difference.name), value(one), value(other)]
}
