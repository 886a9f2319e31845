//! `nameplate log verify`: whether a log is consistent in itself, and whether it
//! is shown to be what was written.
//!
//! The chain has no key: whoever may write to a log can rewrite all of it. So
//! consistency alone proves nothing; checkpoints and a key out of their reach
//! do.

use super::{Meter, unreadable};
use crate::failure::{Failure, plural};
use crate::input;
use crate::report::{BAD, Exit, GOOD, NOTE, Output, grouped, printable, row};
use anyhow::{Context as _, anyhow};
use nameplate_attestor::chain;
use nameplate_attestor::decisions::{
    Checkpoint, LineFault, Place, ReadError, Verification, VerifyFault, VerifyingKey,
};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};

/// Most bytes of a kept checkpoint. The file that they are in grows for as long
/// as the log does, and is read as a stream.
const MAX_CHECKPOINT_BYTES: u64 = 4 << 10;

/// Find out whether a log is whole and what was written, and where it is not
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A changed byte, a line or a segment that is gone, and lines in another order
are found, unless all lines after them were rewritten too. Checkpoints that were
kept elsewhere (`--checkpoint`) show that nothing was rewritten or cut off; the
key that signed the checkpoints in the log (`--public-key`) shows that nothing
was rewritten. Either vouches for the lines up to its last checkpoint. Without
either the log is called consistent in itself and not proven unchanged (`proven`
in JSON), and the exit code is 0.

Examples:
  nameplate log verify /var/lib/nameplate/decisions
  nameplate log verify decisions --checkpoint kept.jsonl --public-key log.pub
  nameplate log verify decisions/decisions-000000000001.jsonl --output json")]
pub(crate) struct Arguments {
    /// The log's directory, or one segment
    path: PathBuf,

    /// Checkpoints that were kept elsewhere; `-` is standard input
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// The public key (Ed25519, PEM) that has to have signed every checkpoint
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
/// When there is no log; what is wrong with one is the answer.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let kept = arguments.checkpoint.as_deref().map(Kept::open);
    let mut kept = kept.transpose()?;
    let key = arguments
        .public_key
        .as_deref()
        .map(public_key)
        .transpose()?;
    let mut meter = Meter::start();
    let checkpoints = kept.iter_mut().flatten();
    let found = Verification::of(&arguments.path, checkpoints, key.as_ref(), |done, of| {
        meter.at(done, of, |_| {
            format!("{} of {} bytes read", grouped(done), grouped(of))
        });
    })
    .map_err(unreadable)?;
    let torn = kept.map_or(Ok(0), Kept::torn)?;
    let asked = Asked {
        kept: arguments.checkpoint.is_some(),
        key: key.is_some(),
    };
    output.answer(&document(&found, torn), |out| {
        write(out, &arguments.path, &found, torn, asked)
    })?;
    Ok(if found.holds() {
        Exit::Done
    } else {
        Exit::Fault
    })
}

/// What the log was held against.
#[derive(Clone, Copy)]
struct Asked {
    /// Checkpoints that were kept elsewhere.
    kept: bool,
    /// A key that has to have signed all of them.
    key: bool,
}

/// Checkpoints that were kept elsewhere, as they are read. It ends at the first
/// line that is none.
struct Kept {
    file: Box<dyn BufRead>,
    path: PathBuf,
    line: u64,
    /// Lines that are half written.
    torn: u64,
    failure: Option<Failure>,
}

impl Kept {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let file =
                File::open(path).with_context(|| format!("cannot read `{}`", path.display()));
            Box::new(BufReader::new(file.map_err(unreadable_input)?))
        };
        Ok(Self {
            file,
            path: path.to_owned(),
            line: 0,
            torn: 0,
            failure: None,
        })
    }

    /// How many lines were half written.
    fn torn(self) -> Result<u64, Failure> {
        self.failure.map_or(Ok(self.torn), Err)
    }

    /// The next line that is not empty.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            let mut line = Vec::new();
            let most = MAX_CHECKPOINT_BYTES.saturating_add(1);
            let read = self.file.by_ref().take(most).read_until(b'\n', &mut line);
            let read = read
                .with_context(|| format!("cannot read `{}`", self.path.display()))
                .map_err(unreadable_input)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if line.len() as u64 > MAX_CHECKPOINT_BYTES {
                return Err(self.malformed(anyhow!(
                    "longer than {} bytes",
                    nameplate_words::grouped(MAX_CHECKPOINT_BYTES)
                )));
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }

    fn next_checkpoint(&mut self) -> Result<Option<Checkpoint>, Failure> {
        while let Some(line) = self.next_line()? {
            match serde_json::from_slice(&line) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                // What a full disk or a power cut leaves there; the writer has
                // gone on below it.
                Err(error) if error.is_eof() => self.torn += 1,
                Err(error) => return Err(self.malformed(error.into())),
            }
        }
        Ok(None)
    }

    fn malformed(&self, error: anyhow::Error) -> Failure {
        let (path, line) = (self.path.display(), self.line);
        let error = error.context(format!("`{path}`: line {line} is no checkpoint"));
        Failure::fault("checkpoint_malformed", error)
    }
}

impl Iterator for Kept {
    type Item = Checkpoint;

    fn next(&mut self) -> Option<Checkpoint> {
        if self.failure.is_some() {
            return None;
        }
        self.next_checkpoint().unwrap_or_else(|failure| {
            self.failure = Some(failure);
            None
        })
    }
}

fn unreadable_input(error: anyhow::Error) -> Failure {
    Failure::fault("input_unreadable", error)
}

fn public_key(path: &Path) -> Result<VerifyingKey, Failure> {
    let pem = input::read(path, input::MAX_INPUT_BYTES)?;
    VerifyingKey::from_pem(&pem)
        .with_context(|| format!("`{}` cannot be used", path.display()))
        .map_err(|error| Failure::fault("public_key_malformed", error))
}

fn document(found: &Verification, torn: u64) -> Value {
    let faults: Vec<_> = found
        .faults
        .iter()
        .map(|fault| {
            let place = place_of(fault);
            json!({
                "message": chain(fault),
                "segment": place.map(|place| place.segment.display().to_string()),
                "line": place.map(|place| place.line),
                "line_begins_at": place.map(|place| place.offset),
                "byte": byte_of(fault),
            })
        })
        .collect();
    json!({
        "ok": found.holds(),
        "proven": found.is_proven(),
        "proven_through": found.vouched_through.filter(|_| found.holds()),
        "decisions_not_proven": if found.holds() { found.decisions_after } else { found.decisions },
        "log": found.log,
        "segments": found.segments,
        "lines": found.lines,
        "decisions": found.decisions,
        "counted": found.counted,
        "first": found.first,
        "last": found.last.map(|(sequence, _)| sequence),
        "head": found.last.map(|(_, head)| head),
        "lost": found.lost,
        "repairs": found.repairs,
        "retired_through": found.retired_through,
        "torn": found.torn.as_ref().map(ToString::to_string),
        "checkpoints": {
            "in_the_log": found.checkpoints,
            "kept_and_equal": found.kept,
            "kept_of_lines_before": found.kept_before,
            "kept_of_other_logs": found.kept_foreign,
            "kept_half_written": torn,
        },
        "fault_count": found.fault_count,
        "faults": faults,
    })
}

fn write(
    out: &mut dyn Write,
    path: &Path,
    found: &Verification,
    torn: u64,
    asked: Asked,
) -> io::Result<()> {
    let name = printable(&path.display().to_string());
    for fault in &found.faults {
        writeln!(out, "{BAD}{}{BAD:#}", printable(&chain(fault)))?;
    }
    let listed = found.faults.len() as u64;
    if let Some(more @ 1..) = found.fault_count.checked_sub(listed) {
        writeln!(out, "and {} more", grouped(more))?;
    }
    if found.holds() {
        verdict(out, &name, found, asked)?;
    } else {
        let count = found.fault_count;
        let faults = plural(usize::try_from(count).unwrap_or(usize::MAX), "fault");
        writeln!(out, "{BAD}`{name}` has {} {faults}{BAD:#}", grouped(count))?;
    }
    if let Some(log) = &found.log {
        // A whole log may be another than was meant: kept checkpoints of both
        // may be in one file.
        row(out, "log", printable(log))?;
    }
    row(out, "decisions", grouped(found.decisions))?;
    if found.counted > 0 {
        let counted = grouped(found.counted);
        row(
            out,
            "counted",
            format_args!("{counted} with nothing proven, in place of a record each"),
        )?;
    }
    let lines = grouped(found.lines);
    row(
        out,
        "lines",
        format_args!("{lines}, segments {}", found.segments),
    )?;
    if let (Some(first), Some((last, head))) = (found.first, found.last) {
        row(out, "from, to", format_args!("{first}, {last} ({head})"))?;
    }
    let (here, kept) = (found.checkpoints, found.kept);
    row(
        out,
        "checkpoints",
        format_args!("{here} in the log, {kept} kept elsewhere that agree"),
    )?;
    notes(found, torn)
        .into_iter()
        .try_for_each(|note| writeln!(out, "  {NOTE}{note}{NOTE:#}"))
}

/// What is shown of a log with no fault in it.
fn verdict(out: &mut dyn Write, name: &str, found: &Verification, asked: Asked) -> io::Result<()> {
    let Some(through) = found.vouched_through else {
        writeln!(
            out,
            "{NOTE}`{name}` is consistent in itself, not proven unchanged{NOTE:#}"
        )?;
        let why = match (asked.kept, asked.key) {
            (false, false) => {
                "whoever may write to it can write all of it anew: give `--checkpoint`, \
                 `--public-key` or both"
            }
            (true, _) => "no kept checkpoint is of a line that it has",
            (false, true) => "it holds no checkpoint that could be signed",
        };
        return writeln!(out, "  {NOTE}{why}{NOTE:#}");
    };
    let after = found.decisions_after;
    if after == 0 {
        writeln!(out, "{GOOD}`{name}` is what was written{GOOD:#}")?;
    } else {
        let (through, are) = (grouped(through), if after == 1 { "is" } else { "are" });
        let decisions = plural(usize::try_from(after).unwrap_or(usize::MAX), "decision");
        let after = grouped(after);
        writeln!(
            out,
            "{GOOD}`{name}` is what was written up to line {through}{GOOD:#}; {NOTE}{after} \
             {decisions} after it {are} consistent and not proven unchanged{NOTE:#}"
        )?;
    }
    if found.kept == 0 {
        writeln!(
            out,
            "  {NOTE}whether its end was cut off shows in checkpoints that were kept elsewhere alone: \
             give `--checkpoint`{NOTE:#}"
        )?;
    }
    Ok(())
}

/// What is no fault, and is good to know.
fn notes(found: &Verification, torn: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if found.lost > 0 {
        let lost = grouped(found.lost);
        notes.push(format!(
            "decisions that are not in it, as it says itself: {lost}"
        ));
    }
    if found.repairs > 0 {
        notes.push(format!("torn ends that were mended: {}", found.repairs));
    }
    if found.retired_through > 0 {
        let through = grouped(found.retired_through);
        notes.push(format!(
            "lines to {through} were deleted with their segments"
        ));
    }
    if let Some(place) = &found.torn {
        let place = printable(&place.to_string());
        notes.push(format!(
            "{place}: half a line; it is being written, or was when the process ended"
        ));
    }
    if found.kept_before > 0 {
        let before = found.kept_before;
        notes.push(format!(
            "kept checkpoints of lines from before the first: {before}"
        ));
    }
    if found.kept_foreign > 0 {
        let foreign = grouped(found.kept_foreign);
        notes.push(format!("kept checkpoints of other logs: {foreign}"));
    }
    if torn > 0 {
        notes.push(format!(
            "kept checkpoints that are half written: {}",
            grouped(torn)
        ));
    }
    notes
}

fn place_of(fault: &VerifyFault) -> Option<&Place> {
    match fault {
        VerifyFault::Read(ReadError::Broken { place, .. })
        | VerifyFault::BeginningMissing { place, .. }
        | VerifyFault::Signature { place, .. }
        | VerifyFault::CheckpointContradicts { place, .. }
        | VerifyFault::Rewritten { place, .. } => Some(place),
        VerifyFault::Read(ReadError::Unreadable { .. } | ReadError::Empty { .. })
        | VerifyFault::KeptSignature { .. }
        | VerifyFault::KeptForeign { .. }
        | VerifyFault::CutOff { .. } => None,
    }
}

/// Where the one byte is that was changed, if that can be said.
fn byte_of(fault: &VerifyFault) -> Option<u64> {
    match fault {
        VerifyFault::Read(ReadError::Broken { fault, .. }) => match **fault {
            LineFault::ByteChanged { offset, .. } => Some(offset),
            LineFault::Changed { .. }
            | LineFault::Malformed(_)
            | LineFault::Torn { .. }
            | LineFault::Missing { .. }
            | LineFault::OutOfOrder { .. }
            | LineFault::Unchained { .. }
            | LineFault::Misnamed { .. }
            | LineFault::Misplaced { .. }
            | LineFault::Foreign(_)
            | LineFault::NamingUnknown(_) => None,
        },
        VerifyFault::Read(ReadError::Unreadable { .. } | ReadError::Empty { .. })
        | VerifyFault::BeginningMissing { .. }
        | VerifyFault::Signature { .. }
        | VerifyFault::CheckpointContradicts { .. }
        | VerifyFault::Rewritten { .. }
        | VerifyFault::KeptSignature { .. }
        | VerifyFault::KeptForeign { .. }
        | VerifyFault::CutOff { .. } => None,
    }
}
