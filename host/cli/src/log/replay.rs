//! `nameplate log replay`: makes every decision of a log again.

use super::{Meter, unreadable};
use crate::failure::{Failure, plural};
use crate::input;
use crate::report::{BAD, Exit, FAINT, GOOD, NOTE, Output, grouped, printable, row, short};
use anyhow::Context as _;
use nameplate_attestor::chain;
use nameplate_attestor::config::{AttestorConfig, Config, NamingConfig};
use nameplate_attestor::decisions::{Answer, Reader};
use nameplate_attestor::study::{Came, Divergence, Replay, Replayer};
use nameplate_files::Directory;
use nameplate_policy::{Backend, Limits, PolicySource, Sandbox};
use serde_json::json;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Most divergences that a JSON answer lists.
const MAX_LISTED: usize = 10_000;

/// Largest component that a configuration may allow.
const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// Make every decision of a log again, and report what comes out otherwise
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each policy is found by the digest that is recorded: among those that ship,
and those given by `--component` or `--config`. Settings, limits and envelope
are in the log. Fuel is compared where the same engine ran the same component.

With `--policy` every decision is made under that one, and what is reported is
what it would have said otherwise.

Examples:
  nameplate log replay /var/lib/nameplate/decisions
  nameplate log replay decisions --config nameplate.toml --output json
  nameplate log replay decisions --component older.wasm --component policies/
  nameplate log replay decisions --engine pulley
  nameplate log replay decisions --policy candidate.wasm --settings @settings.json")]
pub(crate) struct Arguments {
    /// The log's directory, or one segment
    path: PathBuf,

    /// A policy to make every decision under, whichever is recorded
    #[arg(long, value_name = "POLICY", conflicts_with_all = ["component", "config"])]
    policy: Option<String>,

    /// Its settings, where they are not the recorded ones: a JSON object, or @FILE
    #[arg(long, value_name = "JSON|@FILE", requires = "policy")]
    settings: Option<String>,

    /// A component that decisions were made with, or a folder with such in it; can
    /// be said several times
    #[arg(long, value_name = "PATH")]
    component: Vec<PathBuf>,

    /// A configuration, whose policies are taken as `--component` takes them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// What runs the policies; answers and fuel are the same by either
    #[arg(long, value_enum, default_value_t)]
    engine: EngineName,

    /// Threads to run on; one for each core by default
    #[arg(long, value_name = "COUNT")]
    threads: Option<NonZeroUsize>,
}

/// What runs the policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum EngineName {
    /// Machine code, as in a server
    #[default]
    Cranelift,
    /// An interpreter, some ten times slower
    Pulley,
}

/// Runs the subcommand.
///
/// # Errors
/// When the log or a policy cannot be read; what comes out otherwise is the answer.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let replayer = replayer(arguments)?;
    let log = Reader::open(&arguments.path).map_err(unreadable)?;
    let threads = arguments
        .threads
        .or_else(|| std::thread::available_parallelism().ok());
    let mut meter = Meter::start();
    let begun = Instant::now();
    let mut listed = Vec::new();
    let mut written = Ok(());
    let replay = Replay::of(
        &replayer,
        log,
        threads.unwrap_or(NonZeroUsize::MIN),
        |divergence| match output {
            Output::Text if written.is_ok() => written = write_divergence(divergence),
            Output::Json if listed.len() < MAX_LISTED => listed.push(divergence.clone()),
            Output::Text | Output::Json => {}
        },
        |progress| {
            meter.at(progress.bytes, progress.of_bytes, |elapsed| {
                let rate = rate(progress.decisions, elapsed);
                format!(
                    "{}, {} a second",
                    counted(progress.decisions, "decision"),
                    grouped(rate)
                )
            });
        },
    );
    written.map_err(Failure::Output)?;
    let elapsed = begun.elapsed();
    let reasons: Vec<_> = replay
        .reasons
        .iter()
        .map(|(why, count)| json!({"why": why.to_string(), "decisions": count}))
        .collect();
    let document = json!({
        "ok": replay.holds(),
        "decisions": replay.decisions(),
        "same": replay.same,
        "diverged": replay.diverged,
        "redacted": replay.redacted,
        "not_asked": replay.not_asked,
        "counted": replay.counted,
        "unreplayable": replay.unreplayable,
        "reasons": reasons,
        "broken": replay.broken,
        "first_broken": replay.first_broken.as_ref().map(|error| chain(error)),
        "first_divergence": listed.first(),
        "divergences": listed,
        "engine": replayer.engine(),
        "seconds": elapsed.as_secs_f64(),
    });
    output.answer(&document, |out| write(out, &replay, elapsed))?;
    Ok(if replay.holds() {
        Exit::Done
    } else {
        Exit::Fault
    })
}

fn replayer(arguments: &Arguments) -> Result<Replayer, Failure> {
    let mut replayer = Replayer::new(Sandbox::on(match arguments.engine {
        EngineName::Cranelift => Backend::Native,
        EngineName::Pulley => Backend::Interpreter,
    })?);
    for path in &arguments.component {
        for file in files(path)? {
            replayer.know(component(&PolicySource::File(file))?);
        }
    }
    if let Some(path) = &arguments.config {
        let config = Config::read(path).map_err(Failure::Config)?;
        for naming in config.attestors.iter().flat_map(namings) {
            replayer.know(component(&naming.source)?);
        }
    }
    if let Some(policy) = &arguments.policy {
        let settings = arguments.settings.as_deref();
        let settings = settings
            .map(|text| input::settings(Some(text)))
            .transpose()?;
        replayer.decide_under(component(&PolicySource::parse(policy))?, settings);
    }
    Ok(replayer)
}

/// The file at `path`, or the components among the files of the folder that it is.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let names = Directory::open(path)
        .and_then(|folder| folder.names())
        .map_err(|error| Failure::fault("component_unreadable", error))?;
    // A folder of policies has their sources beside them, too.
    let files = names.into_iter().map(|name| path.join(name));
    let mut components = Vec::new();
    for file in files.filter(|file| file.is_file()) {
        if is_component(&file)? {
            components.push(file);
        }
    }
    Ok(components)
}

/// Whether `file` begins as WebAssembly does. One that cannot be read is
/// refused: it may be the component that is looked for.
fn is_component(file: &Path) -> Result<bool, Failure> {
    let mut begins = [0; 4];
    let read = File::open(file)
        .and_then(|mut file| file.read_exact(&mut begins))
        .map(|()| begins == *b"\0asm");
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read
            .with_context(|| format!("cannot read `{}`", file.display()))
            .map_err(|error| Failure::fault("component_unreadable", error)),
    }
}

/// A component to ask. It is bounded as it was when the decision was made.
fn component(source: &PolicySource) -> Result<Cow<'static, [u8]>, Failure> {
    let limits = Limits {
        component_bytes: MAX_COMPONENT_BYTES,
        ..Limits::default()
    };
    let read = source.read(None, &limits);
    read.map(|(component, _)| component)
        .map_err(|error| Failure::load(format!("`{source}`"), error))
}

/// Every way of naming that an attestor is configured with.
fn namings(attestor: &AttestorConfig) -> impl Iterator<Item = &NamingConfig> {
    let of_clusters = attestor
        .clusters()
        .iter()
        .filter_map(|cluster| cluster.naming.as_ref());
    std::iter::once(&attestor.naming).chain(of_clusters)
}

/// How many of what there is a noun for.
fn counted(count: u64, noun: &str) -> String {
    let of_nouns = usize::try_from(count).unwrap_or(usize::MAX);
    format!("{} {}", grouped(count), plural(of_nouns, noun))
}

fn rate(decisions: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    decisions.saturating_mul(1_000) / millis
}

fn write_divergence(divergence: &Divergence) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let (segment, line) = (printable(&divergence.segment), divergence.line);
    writeln!(
        out,
        "{segment}:{line}: {BAD}decision {} comes out otherwise{BAD:#}",
        divergence.sequence
    )?;
    for (label, came) in [
        ("recorded", &divergence.recorded),
        ("replayed", &divergence.replayed),
    ] {
        writeln!(
            out,
            "  {FAINT}{label}{FAINT:#}  {}",
            printable(&shown(came))
        )?;
    }
    Ok(())
}

fn shown(came: &Came) -> String {
    let answer = match (&came.answer, &came.spiffe_id) {
        (Answer::Derivation(derivation), Some(id)) => format!("{id} {:?}", derivation.selectors),
        (Answer::Derivation(derivation), None) => {
            let reason = came.reason.as_deref().unwrap_or_default();
            format!(
                "{} {:?}, {reason}",
                derivation.path.join("/"),
                derivation.selectors
            )
        }
        (Answer::Denial(denial), _) => format!("denied ({}): {}", denial.code, denial.detail),
        (Answer::Fault(reason), _) => format!("no answer: {reason}"),
    };
    match came.fuel {
        Some(fuel) => format!("{answer}, {} fuel", grouped(fuel)),
        None => answer,
    }
}

fn write(out: &mut dyn Write, replay: &Replay, elapsed: Duration) -> io::Result<()> {
    let decisions = counted(replay.decisions(), "decision");
    if replay.holds() {
        writeln!(
            out,
            "{GOOD}{decisions}, and none comes out otherwise{GOOD:#}"
        )?;
    } else {
        let diverged = replay.diverged.saturating_add(replay.redacted);
        let come = if diverged == 1 { "comes" } else { "come" };
        let diverged = grouped(diverged);
        writeln!(
            out,
            "{BAD}{diverged} of {decisions} {come} out otherwise{BAD:#}"
        )?;
    }
    row(out, "the same", grouped(replay.same))?;
    row(
        out,
        "no policy",
        format_args!("{} for which none was asked", grouped(replay.not_asked)),
    )?;
    if replay.counted > 0 {
        let counted = grouped(replay.counted);
        writeln!(
            out,
            "  {NOTE}{counted} more are counted in the log, with nothing proven: none was asked{NOTE:#}"
        )?;
    }
    if replay.redacted > 0 {
        let redacted = grouped(replay.redacted);
        writeln!(
            out,
            "  {NOTE}{redacted} of them have facts that were left out of the log, which may be why{NOTE:#}"
        )?;
    }
    for (why, count) in &replay.reasons {
        let count = grouped(*count);
        writeln!(
            out,
            "  {BAD}{count} cannot be replayed: {}{BAD:#}",
            printable(&why.to_string())
        )?;
    }
    if let Some(error) = &replay.first_broken {
        let are = if replay.broken == 1 { "is" } else { "are" };
        let broken = counted(replay.broken, "line");
        writeln!(
            out,
            "  {BAD}{broken} {are} not what was written; the first: {}{BAD:#}",
            printable(&chain(error))
        )?;
    }
    let rate = grouped(rate(replay.decisions(), elapsed));
    row(
        out,
        "took",
        format_args!("{}, {rate} decisions a second", short(elapsed)),
    )
}
