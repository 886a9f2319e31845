//! Tells SPIRE what became of the generations: one line of its log for each
//! change, and numbers for its telemetry.
//!
//! The state directory is brought up to date here too, so that `nameplate
//! status` shows what a shadow came to without anything having changed.

use crate::log::{Level, log};
use crate::metrics::Metrics;
use crate::serving::Serving;
use nameplate_attestor::{Change, Observer, Refused, ShadowStatus, Status};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Hears of changes that come by themselves.
#[derive(Debug)]
pub(crate) struct Changes(pub(crate) Metrics);

impl Observer for Changes {
    fn changed(&self, name: &str, change: &Change) {
        let outcome = match change {
            Change::Restored(refused) => {
                refused_line(
                    "The last good naming serves, not what is configured",
                    refused,
                );
                "restored"
            }
            Change::RolledBack {
                generation,
                refused,
            } => {
                log(
                    Level::Error,
                    "Rolled back to the naming before",
                    &[
                        ("generation", generation),
                        ("reason", &refused.reasons.join("; ")),
                    ],
                );
                "rolled_back"
            }
            Change::Warning(warning) => {
                log(Level::Warn, "Generation warning", &[("warning", warning)]);
                return;
            }
        };
        let labels = [("attestor", name), ("outcome", outcome)];
        self.0.count("swap", &labels);
    }
}

/// A line about what does not serve.
pub(crate) fn refused_line(message: &str, refused: &Refused) {
    log(
        Level::Error,
        message,
        &[
            ("refused_by", &refused.by.as_str()),
            ("reason", &refused.reasons.join("; ")),
        ],
    );
}

/// Looks at the generations for as long as somebody serves. To be called on a
/// runtime.
pub(crate) fn tell(serving: &Arc<Serving>, metrics: Metrics) {
    let serving = Arc::downgrade(serving);
    tokio::spawn(async move {
        let mut told = Told::default();
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let Some(serving) = serving.upgrade() else {
                return;
            };
            let Some(succession) = serving.succession() else {
                continue;
            };
            let now = SystemTime::now();
            // It reads and writes files.
            let looked = tokio::task::spawn_blocking(move || {
                succession.write_status(now);
                succession.status(now)
            });
            if let Ok(status) = looked.await {
                told.measure(&status, &metrics);
            }
        }
    });
}

/// What was told already: counts are told as what came on top.
#[derive(Debug, Default)]
struct Told {
    shadow: Option<ShadowStatus>,
}

impl Told {
    fn measure(&mut self, status: &Status, metrics: &Metrics) {
        let attestor = [("attestor", status.attestor.as_str())];
        let why = status.serving.why.as_str();
        let labels = [("attestor", status.attestor.as_str()), ("why", why)];
        metrics.gauge("generation", number(status.serving.generation), &labels);
        let refused = if status.refused.is_some() { 1.0 } else { 0.0 };
        metrics.gauge("configuration_refused", refused, &attestor);
        if let Some(holders) = &status.holders {
            metrics.gauge("identities_held", number(holders.entries), &attestor);
            metrics.gauge("identities_forgotten", number(holders.forgotten), &attestor);
        }
        self.shadow(status, metrics);
    }

    fn shadow(&mut self, status: &Status, metrics: &Metrics) {
        let Some(shadow) = &status.shadow else {
            self.shadow = None;
            return;
        };
        let counts = [
            ("agreed", shadow.agreed),
            ("differed", shadow.differed),
            ("fault", shadow.faults),
            ("dropped", shadow.dropped),
        ];
        for (outcome, count) in counts {
            let labels = [("attestor", status.attestor.as_str()), ("outcome", outcome)];
            metrics.gauge("shadow", number(count), &labels);
        }
        let before = self.shadow.replace(shadow.clone());
        let known = before.filter(|before| before.component == shadow.component);
        for difference in &shadow.kinds {
            let is_new = known
                .as_ref()
                .is_none_or(|known| known.kinds.iter().all(|one| one.kind != difference.kind));
            if is_new {
                log(
                    Level::Info,
                    "The shadow decides otherwise",
                    &[
                        ("difference", &difference.kind),
                        ("decided", &difference.live),
                        ("shadow", &difference.shadow),
                    ],
                );
            }
        }
    }
}

/// A count for SPIRE, which takes no other numbers.
#[expect(
    clippy::cast_precision_loss,
    reason = "SPIRE's telemetry takes single precision"
)]
fn number(count: u64) -> f32 {
    count as f32
}
