//! Tells SPIRE which API servers are suspended because they do not answer.
//!
//! Meanwhile attestations that would ask such a server are refused at once. The
//! operator has to hear the cause once when the suspension begins, and once
//! when it ends.

use crate::log::{Level, log};
use crate::metrics::Metrics;
use crate::serving::Serving;
use nameplate_attestor::chain;
use nameplate_attestor::evidence::{ApiStatus, Suspension};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the API servers for as long as somebody serves. To be called on a
/// runtime.
pub(crate) fn tell(serving: &Arc<Serving>, metrics: Metrics) {
    let serving = Arc::downgrade(serving);
    tokio::spawn(async move {
        let mut told = Told::default();
        let mut ticks = tokio::time::interval(EVERY);
        while let Some((name, servers)) = next(&mut ticks, &serving).await {
            for (cluster, status) in &servers {
                let labels = [("attestor", name.as_str()), ("cluster", cluster)];
                let suspended = f32::from(u8::from(status.suspended.is_some()));
                metrics.gauge("api_suspended", suspended, &labels);
                for line in told.about(cluster, status) {
                    line.say(cluster);
                }
            }
        }
    });
}

/// The attestor's name and the API servers that it asks; none when nobody
/// serves any more.
async fn next(
    ticks: &mut tokio::time::Interval,
    serving: &Weak<Serving>,
) -> Option<(String, BTreeMap<String, ApiStatus>)> {
    ticks.tick().await;
    let serving = serving.upgrade()?;
    let servers = serving.attestor().map(|attestor| attestor.api_servers());
    Some((serving.name().to_owned(), servers.unwrap_or_default()))
}

/// What was logged already.
#[derive(Debug, Default)]
struct Told(BTreeMap<String, ApiStatus>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line<'a> {
    Suspended(&'a Suspension),
    Answers,
}

impl Told {
    /// What is new about the API server of `cluster`.
    fn about<'a>(&mut self, cluster: &str, status: &'a ApiStatus) -> Vec<Line<'a>> {
        let before = self.0.insert(cluster.to_owned(), status.clone());
        let before = before.unwrap_or_default();
        let mut lines = Vec::new();
        // It may have been over, and have begun anew, since it was looked at.
        let again = status.suspensions > before.suspensions;
        if before.suspended.is_some() && (again || status.suspended.is_none()) {
            lines.push(Line::Answers);
        }
        if let Some(suspension) = &status.suspended
            && (again || before.suspended.is_none())
        {
            lines.push(Line::Suspended(suspension));
        }
        lines
    }
}

impl Line<'_> {
    fn say(self, cluster: &str) {
        match self {
            Self::Suspended(suspension) => log(
                Level::Error,
                "An API server does not answer and is not asked for a while",
                &[
                    ("cluster", &cluster),
                    ("failures", &suspension.failures),
                    ("error", &chain(suspension.last_error.as_ref())),
                ],
            ),
            Self::Answers => log(
                Level::Info,
                "An API server answers again",
                &[("cluster", &cluster)],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Told};
    use nameplate_attestor::evidence::{ApiError, ApiStatus, Suspension};
    use std::time::{Duration, SystemTime};

    fn suspended(seconds: u64, suspensions: u64) -> ApiStatus {
        ApiStatus {
            suspended: Some(Suspension {
                since: SystemTime::UNIX_EPOCH,
                lasting: Duration::from_secs(seconds),
                failures: 5,
                last_error: Box::new(ApiError::OutOfPatience),
            }),
            suspensions,
        }
    }

    #[test]
    fn a_suspension_is_said_once_and_when_it_is_over() {
        let good = ApiStatus::default();
        let (first, later, anew) = (suspended(0, 1), suspended(60, 1), suspended(0, 2));
        let over = ApiStatus {
            suspended: None,
            suspensions: 2,
        };
        let line = |status: &'_ ApiStatus| status.suspended.clone().unwrap();
        let mut told = Told::default();
        assert_eq!(told.about("a", &good), []);
        assert_eq!(told.about("a", &first), [Line::Suspended(&line(&first))]);
        assert_eq!(told.about("a", &later), []);
        assert_eq!(told.about("b", &later), [Line::Suspended(&line(&later))]);
        assert_eq!(
            told.about("a", &anew),
            [Line::Answers, Line::Suspended(&line(&anew))]
        );
        assert_eq!(told.about("a", &over), [Line::Answers]);
        assert_eq!(told.about("a", &over), []);
    }
}
