//! Log lines in the form that SPIRE takes over into its own log: hclog's JSON,
//! one object a line, one write a line, on standard error.
//!
//! SPIRE asserts that `@message`, `@level` and `@timestamp` are strings and
//! panics where they are not, takes only a time with six decimals, and cuts a
//! line at 64 KiB. Whoever logs here gets all of that right.

use serde_json::{Map, Value};
use std::fmt;
use std::io::Write as _;
use std::time::SystemTime;

/// The longest line that is written, in bytes; SPIRE's limit is 64 KiB.
const MAX_LINE_BYTES: usize = 60 * 1024;

/// The longest text kept of a field of a line that is too long, in bytes.
const MAX_CUT_BYTES: usize = 4 * 1024;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Somebody has to do something.
    Error,
    /// Somebody may want to look.
    Warn,
    /// What an operator follows.
    Info,
    /// What a developer follows.
    Debug,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// A field of a line.
pub(crate) type Field<'a> = (&'a str, &'a dyn fmt::Display);

/// Writes a line. When standard error is gone, nobody is left to be told.
pub(crate) fn log(level: Level, message: &str, fields: &[Field<'_>]) {
    let line = line(SystemTime::now(), level, message, fields);
    let _written = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Makes each panic a line of SPIRE's log instead of plain text, which SPIRE
/// hides.
pub(crate) fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        let said = panic
            .payload_as_str()
            .unwrap_or("a panic without a message");
        log(
            Level::Error,
            "Plugin panicked",
            &[("panic", &said), ("place", &place)],
        );
    }));
}

fn line(now: SystemTime, level: Level, message: &str, fields: &[Field<'_>]) -> String {
    let text = |max| {
        let cut = |text: String| Value::String(cut(text, max));
        let mut object = Map::new();
        for (name, value) in fields {
            // The three names of hclog are not for fields.
            let name = name.trim_start_matches('@').to_owned();
            object.insert(name, cut(value.to_string()));
        }
        object.insert("@level".to_owned(), level.as_str().into());
        object.insert("@message".to_owned(), cut(message.to_owned()));
        let time = humantime::format_rfc3339_micros(now).to_string();
        object.insert("@timestamp".to_owned(), time.into());
        format!("{}\n", Value::Object(object))
    };
    let whole = text(usize::MAX);
    if whole.len() <= MAX_LINE_BYTES {
        return whole;
    }
    text(MAX_CUT_BYTES)
}

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push_str(" [cut]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at_noon(message: &str, fields: &[Field<'_>]) -> String {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_micros(1_796_731_200_000_001);
        line(noon, Level::Warn, message, fields)
    }

    #[test]
    fn a_line_is_what_spire_reads() {
        assert_eq!(
            at_noon("said \"so\"\n", &[("reason", &"x")]),
            "{\"@level\":\"warn\",\"@message\":\"said \\\"so\\\"\\n\",\
             \"@timestamp\":\"2026-12-08T12:00:00.000001Z\",\"reason\":\"x\"}\n"
        );
    }

    #[test]
    fn a_field_cannot_take_the_place_of_spires_own() {
        let line = at_noon("kept", &[("@message", &7)]);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["@message"], "kept");
        assert_eq!(read["message"], "7");
    }

    #[test]
    fn a_long_line_is_cut_and_stays_json() {
        let fits = "ü".repeat(20 * 1024);
        assert!(!at_noon(&fits, &[]).contains("[cut]"));
        let long = "ü".repeat(40 * 1024);
        let line = at_noon(&long, &[("also", &long)]);
        assert!(line.len() < MAX_LINE_BYTES, "{}", line.len());
        let read: Value = serde_json::from_str(&line).unwrap();
        assert!(read["also"].as_str().unwrap().ends_with("ü [cut]"));
    }
}
