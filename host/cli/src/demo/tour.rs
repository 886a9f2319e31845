//! The tour's telling: each step as it happens, or all of them as JSON.

use crate::failure::Failure;
use crate::report::{FAINT, HEADING, Output, millis, row, short};
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// Steps taken so far.
#[derive(Debug)]
pub(super) struct Tour {
    output: Output,
    began: Instant,
    steps: Vec<Value>,
}

/// A labelled line of a step.
#[derive(Debug)]
pub(super) struct Line {
    label: &'static str,
    value: String,
}

impl Line {
    /// One line.
    pub(super) fn new(label: &'static str, value: impl Display) -> Self {
        Self {
            label,
            value: value.to_string(),
        }
    }
}

impl Tour {
    /// A tour that begins now.
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            began: Instant::now(),
            steps: Vec::new(),
        }
    }

    /// Tells one step: `step` says of what kind it is, `document` is the
    /// rest of what a program gets to know.
    ///
    /// # Errors
    /// When standard output is gone.
    pub(super) fn step(
        &mut self,
        step: &'static str,
        title: &str,
        took: Duration,
        lines: &[Line],
        mut document: Value,
    ) -> anyhow::Result<()> {
        if let Some(members) = document.as_object_mut() {
            members.insert("step".to_owned(), Value::from(step));
            members.insert("title".to_owned(), Value::from(title));
            members.insert("took_ms".to_owned(), Value::from(millis(took)));
        }
        self.steps.push(document);
        if self.output == Output::Text {
            self.write(title, took, lines)?;
        }
        Ok(())
    }

    fn write(&self, title: &str, took: Duration, lines: &[Line]) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        let number = self.steps.len();
        writeln!(
            out,
            "{FAINT}{number:>2}{FAINT:#} {HEADING}{title}{HEADING:#} {FAINT}({}){FAINT:#}",
            short(took)
        )?;
        for line in lines {
            row(&mut out, line.label, &line.value)?;
        }
        writeln!(out)?;
        out.flush()
    }

    /// Ends the tour: what to do next, or the whole document.
    ///
    /// # Errors
    /// When standard output is gone.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let took = self.began.elapsed();
        let document = json!({ "steps": self.steps, "took_ms": millis(took) });
        self.output.answer(&document, |out| {
            writeln!(
                out,
                "{HEADING}The tour took {}. What next?{HEADING:#}",
                short(took)
            )?;
            for (command, what) in [
                (
                    "nameplate policy inspect builtin:node",
                    "what a policy asks for and costs",
                ),
                (
                    "nameplate policy test builtin:template",
                    "the cases that a policy carries",
                ),
                (
                    "nameplate policy new my-policy",
                    "a naming policy of your own",
                ),
                ("nameplate attest --help", "your own cluster's tokens"),
            ] {
                writeln!(out, "  {command:<40} {FAINT}{what}{FAINT:#}")?;
            }
            Ok(())
        })
    }
}
