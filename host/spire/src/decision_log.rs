//! Tells SPIRE how the decision log goes: in its metrics, and in its log when
//! trouble begins and when it is over.

use crate::log::{Level, log};
use crate::metrics::Metrics;
use crate::serving::Serving;
use nameplate_attestor::decisions::Status;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Looks at the log for as long as somebody serves. To be called on a runtime.
pub(crate) fn tell(serving: &Arc<Serving>, metrics: Metrics) {
    let serving = Arc::downgrade(serving);
    tokio::spawn(async move {
        let mut told = Told::default();
        let mut ticks = tokio::time::interval(EVERY);
        while let Some((name, status)) = next(&mut ticks, &serving).await {
            let Some(status) = status else {
                continue;
            };
            let labels = [("attestor", name.as_str())];
            let gauge = |name, value: u64| metrics.gauge(name, float(value), &labels);
            gauge("decision_log_recorded", status.recorded);
            gauge("decision_log_counted", status.counted);
            gauge("decision_log_lost", status.lost);
            gauge("decision_log_waiting", status.waiting as u64);
            gauge("decision_log_failing", status.error.is_some().into());
            for line in told.about(&status) {
                line.say(&name);
            }
        }
    });
}

/// The attestor's name and how its log goes; none when nobody serves any more.
async fn next(
    ticks: &mut tokio::time::Interval,
    serving: &Weak<Serving>,
) -> Option<(String, Option<Status>)> {
    ticks.tick().await;
    let serving = serving.upgrade()?;
    let attestor = serving.attestor();
    let status = attestor.and_then(|attestor| attestor.decision_log());
    Some((serving.name().to_owned(), status))
}

/// SPIRE's metrics are 32-bit floats: counts above 16 million lose their last digits.
fn float(value: u64) -> f32 {
    value as f32
}

/// What the log has been told of.
#[derive(Debug, Default)]
struct Told {
    error: Option<String>,
    checkpoint_error: Option<String>,
    lost: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Failing(String),
    Recovered,
    Lost(u64),
    CheckpointFailing(String),
    CheckpointRecovered,
}

impl Told {
    /// What is new.
    fn about(&mut self, status: &Status) -> Vec<Line> {
        let mut lines = Vec::new();
        match (&self.error, &status.error) {
            (None, Some(error)) => lines.push(Line::Failing(error.clone())),
            (Some(_), None) => lines.push(Line::Recovered),
            (None, None) | (Some(_), Some(_)) => {}
        }
        match (&self.checkpoint_error, &status.checkpoint_error) {
            (None, Some(error)) => lines.push(Line::CheckpointFailing(error.clone())),
            (Some(_), None) => lines.push(Line::CheckpointRecovered),
            (None, None) | (Some(_), Some(_)) => {}
        }
        // A log that was opened anew counts from 0.
        let more = status.lost.saturating_sub(self.lost);
        if more > 0 {
            lines.push(Line::Lost(more));
        }
        *self = Self {
            error: status.error.clone(),
            checkpoint_error: status.checkpoint_error.clone(),
            lost: status.lost,
        };
        lines
    }
}

impl Line {
    fn say(self, attestor: &str) {
        match self {
            Self::Failing(error) => log(
                Level::Error,
                "The decision log cannot be written",
                &[("attestor", &attestor), ("error", &error)],
            ),
            Self::Recovered => log(
                Level::Info,
                "The decision log is written again",
                &[("attestor", &attestor)],
            ),
            Self::Lost(count) => log(
                Level::Error,
                "Decisions are not in the decision log",
                &[("attestor", &attestor), ("count", &count)],
            ),
            Self::CheckpointFailing(error) => log(
                Level::Error,
                "Checkpoints of the decision log cannot be kept",
                &[("attestor", &attestor), ("error", &error)],
            ),
            Self::CheckpointRecovered => log(
                Level::Info,
                "Checkpoints of the decision log are kept again",
                &[("attestor", &attestor)],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Told};
    use nameplate_attestor::decisions::Status;

    #[test]
    fn trouble_is_said_once_and_when_it_is_over() {
        let good = Status::default();
        let bad = Status {
            error: Some("full".to_owned()),
            checkpoint_error: Some("gone".to_owned()),
            lost: 3,
            ..Status::default()
        };
        let worse = Status {
            lost: 5,
            ..bad.clone()
        };
        let over = Status {
            lost: 5,
            ..good.clone()
        };
        let mut told = Told::default();
        assert_eq!(told.about(&good), []);
        assert_eq!(
            told.about(&bad),
            [
                Line::Failing("full".to_owned()),
                Line::CheckpointFailing("gone".to_owned()),
                Line::Lost(3),
            ]
        );
        assert_eq!(told.about(&bad), []);
        assert_eq!(told.about(&worse), [Line::Lost(2)]);
        assert_eq!(
            told.about(&over),
            [Line::Recovered, Line::CheckpointRecovered]
        );
        assert_eq!(told.about(&good), []);
    }
}
