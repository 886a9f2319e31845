//! By what a policy is trusted: what is recorded of it, and what a new one has
//! to pass.

use crate::report::{printable, row};
use nameplate_attestor::OnCollision;
use nameplate_attestor::config::{
    AttestorConfig, CollisionsConfig, GateConfig, NamingConfig, RollbackConfig,
};
use nameplate_attestor::decisions::{Flush, OnError, Options, Rejections};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// What is configured of it; nothing is by default.
#[derive(Debug, Serialize)]
pub(super) struct TrustSummary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_log: Option<LogSummary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<GateSummary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<RollbackSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_collision: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct LogSummary<'a> {
    directory: &'a Path,
    flush: &'static str,
    on_error: &'static str,
    rejections: &'static str,
    redact: Vec<String>,
    checkpoint_file: Option<&'a Path>,
    signed: bool,
}

#[derive(Debug, Serialize)]
struct GateSummary<'a> {
    against: &'a Path,
    max_changed: usize,
    allow: Vec<String>,
    allow_selectors: Vec<String>,
    no_new_denials: bool,
    no_collisions: bool,
    no_new_dependence: bool,
}

#[derive(Debug, Serialize)]
struct RollbackSummary {
    /// From 0 to 1.
    faults: f64,
    after: u64,
    within_s: u64,
    count: &'static str,
    despite_digest: bool,
}

impl<'a> TrustSummary<'a> {
    pub(super) fn new(config: &'a AttestorConfig) -> Self {
        let swaps = &config.swaps;
        Self {
            decision_log: config
                .decision_log
                .as_ref()
                .map(|log| LogSummary::new(&log.options)),
            state: swaps.state.as_deref(),
            gate: swaps.gate.as_ref().map(GateSummary::new),
            rollback: swaps.rollback.map(RollbackSummary::new),
            shadow: swaps.shadow.as_ref().map(shadow),
            on_collision: swaps.collisions.map(on_collision),
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(log) = &self.decision_log {
            log.write(out)?;
        }
        if let Some(state) = self.state {
            row(out, "state", shown(state))?;
        }
        if let Some(gate) = &self.gate {
            gate.write(out)?;
        }
        if let Some(rollback) = &self.rollback {
            let (faults, after) = (rollback.faults, rollback.after);
            let count = rollback.count;
            let within = humantime::format_duration(Duration::from_secs(rollback.within_s));
            row(
                out,
                "rollback",
                format_args!(
                    "above a share of {faults} faults, of at least {after} {count} within {within}"
                ),
            )?;
            if rollback.despite_digest {
                row(out, "", "also where another digest is pinned")?;
            }
        }
        if let Some(shadow) = &self.shadow {
            row(out, "shadow", printable(shadow))?;
        }
        match self.on_collision {
            Some(on) => row(out, "collisions", on),
            None => Ok(()),
        }
    }
}

impl<'a> LogSummary<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            directory: &options.directory,
            flush: match options.flush {
                Flush::Each => "each",
                Flush::Interval(_) => "interval",
                Flush::Os => "os",
            },
            on_error: match options.on_error {
                OnError::Refuse => "refuse",
                OnError::Drop => "drop",
            },
            rejections: match options.rejections {
                Rejections::Count => "count",
                Rejections::Each => "each",
            },
            redact: options.redact.iter().map(ToString::to_string).collect(),
            checkpoint_file: options.checkpoints.file.as_deref(),
            signed: options.checkpoints.key.is_some(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        row(out, "decisions", shown(self.directory))?;
        let (flush, on_error) = (self.flush, self.on_error);
        row(
            out,
            "",
            format_args!("flush `{flush}`, on an error `{on_error}`"),
        )?;
        if self.rejections == "each" {
            row(out, "", "every rejection has a record")?;
        }
        if !self.redact.is_empty() {
            let without = printable(&self.redact.join(", "));
            row(out, "", format_args!("without {without}"))?;
        }
        match (self.checkpoint_file, self.signed) {
            (Some(file), true) => row(out, "checkpoints", shown(file) + ", signed"),
            (Some(file), false) => row(out, "checkpoints", shown(file)),
            (None, true) => row(out, "checkpoints", "in the log alone, signed"),
            (None, false) => Ok(()),
        }
    }
}

impl<'a> GateSummary<'a> {
    fn new(gate: &'a GateConfig) -> Self {
        Self {
            against: &gate.against,
            max_changed: gate.max_changed,
            allow: gate.allow.iter().map(ToString::to_string).collect(),
            allow_selectors: gate
                .allow_selectors
                .iter()
                .map(ToString::to_string)
                .collect(),
            no_new_denials: gate.no_new_denials,
            no_collisions: gate.no_collisions,
            no_new_dependence: gate.no_new_dependence,
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        row(
            out,
            "gate",
            format_args!("judges over {}", shown(self.against)),
        )?;
        let most = self.max_changed;
        match self.allow.as_slice() {
            [] => row(out, "", format_args!("at most {most} named otherwise")),
            allow => row(
                out,
                "",
                format_args!(
                    "at most {most} named otherwise, besides {}",
                    allow.join(", ")
                ),
            ),
        }?;
        if !self.allow_selectors.is_empty() {
            let selectors = printable(&self.allow_selectors.join(", "));
            row(out, "", format_args!("but for selectors {selectors}"))?;
        }
        for (refused, what) in [
            (self.no_new_denials, "new denials"),
            (self.no_collisions, "new collisions"),
            (self.no_new_dependence, "answers that change by themselves"),
        ] {
            let word = if refused { "no" } else { "any" };
            row(out, "", format_args!("{word} {what}"))?;
        }
        Ok(())
    }
}

impl RollbackSummary {
    fn new(rollback: RollbackConfig) -> Self {
        Self {
            faults: rollback.faults,
            after: rollback.after,
            within_s: rollback.within.as_secs(),
            count: rollback.count.as_str(),
            despite_digest: rollback.despite_digest,
        }
    }
}

fn shadow(naming: &NamingConfig) -> String {
    naming.source.to_string()
}

fn on_collision(collisions: CollisionsConfig) -> &'static str {
    match collisions.on {
        OnCollision::Refuse => "refuse",
        OnCollision::Warn => "warn",
    }
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}
