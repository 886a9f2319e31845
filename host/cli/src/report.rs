//! How the command line answers: text or JSON, colours, exit codes.
//!
//! Text that came from a policy, a peer or a file passes through
//! [`printable`] before it reaches a terminal.

use crate::failure::Failure;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// A heading.
pub(crate) const HEADING: Style = Style::new().bold();
/// Something that went as it should.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Something that did not.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something to look at.
pub(crate) const NOTE: Style = AnsiColor::Yellow.on_default();
/// Something in the background: a label, a duration.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Text,
    /// One JSON document, for programs
    Json,
}

impl Output {
    /// The form that a command line asks for which could not be read.
    pub(crate) fn asked_for(arguments: &[OsString]) -> Self {
        let json = arguments
            .iter()
            .zip(arguments.iter().skip(1))
            .any(|(flag, value)| flag == "--output" && value == "json")
            || arguments.iter().any(|argument| argument == "--output=json");
        if json { Self::Json } else { Self::Text }
    }

    /// Answers on standard output: `document` as JSON, or what `text` writes.
    ///
    /// # Errors
    /// [`Failure::Output`] when standard output cannot be written.
    pub(crate) fn answer(
        self,
        document: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        match self {
            Self::Text => text(&mut out),
            Self::Json => serde_json::to_string_pretty(document)
                .map_err(io::Error::from)
                .and_then(|json| writeln!(out, "{json}")),
        }
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
    }
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// An identity was given, or all is well.
    Done,
    /// Something of the operator's, the policy author's or ours is wrong.
    Fault,
    /// The command line was not understood.
    Usage,
    /// The evidence was rejected.
    Rejected,
    /// The policy denied the subject a name.
    Denied,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Fault => 1,
            Exit::Usage => 2,
            Exit::Rejected => 3,
            Exit::Denied => 4,
        })
    }
}

/// Writes a line `label  value`, the values of several under each other.
pub(crate) fn row(out: &mut dyn Write, label: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "  {FAINT}{label:<13}{FAINT:#} {value}")
}

/// Tells the person at the terminal, not the program that reads the answer.
pub(crate) fn progress(line: &str) {
    let mut err = anstream::stderr().lock();
    // What cannot be told is not worth failing for.
    let _told = writeln!(err, "{FAINT}{line}{FAINT:#}");
}

/// `text` without anything that a terminal acts on or that hides its neighbours.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let acts = character.is_control()
                || matches!(character, '\u{2028}' | '\u{2029}')
                || nameplate_words::is_unseen(character);
            let escaped = acts.then(|| character.escape_default());
            let plain = (!acts).then_some(character);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// A duration with three digits that count and a unit that fits.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    match value {
        v if v >= 99.95 => format!("{v:.0} {unit}"),
        v if v >= 9.995 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

/// A number in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    nameplate_words::grouped(number).to_string()
}

/// Milliseconds of a duration, for JSON.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (nanos, text) in [
            (17, "17.0 ns"),
            (1_234, "1.23 µs"),
            (12_340, "12.3 µs"),
            (123_400, "123 µs"),
            (99_960, "100 µs"),
            (2_500_000, "2.50 ms"),
            (61_000_000_000, "61.0 s"),
        ] {
            assert_eq!(short(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn foreign_text_does_not_reach_the_terminal_as_it_is() {
        assert_eq!(printable("plain ü `x`"), "plain ü `x`");
        assert_eq!(
            printable("a\u{1b}[2Jb\n\u{202e}c"),
            "a\\u{1b}[2Jb\\n\\u{202e}c"
        );
    }

    #[test]
    fn json_is_recognised_in_a_line_that_cannot_be_read() {
        let asked = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            Output::asked_for(&arguments)
        };
        assert_eq!(asked("nameplate --output json nonsense"), Output::Json);
        assert_eq!(asked("nameplate nonsense --output=json"), Output::Json);
        assert_eq!(asked("nameplate --output text json"), Output::Text);
        assert_eq!(asked("nameplate --output"), Output::Text);
    }
}
