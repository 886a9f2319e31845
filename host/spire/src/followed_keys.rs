//! Tells SPIRE how old the keys are that clusters publish, and when they can't
//! be fetched.
//!
//! Keys serve on when a fetch fails, so attestations say nothing of it until
//! the last good ones are too old: who operates this has to hear it before.

use crate::log::{Level, log};
use crate::metrics::Metrics;
use crate::serving::Serving;
use nameplate_attestor::chain;
use nameplate_attestor::evidence::{ApiError, KeysStatus};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Looks at the keys for as long as somebody serves. To be called on a runtime.
pub(crate) fn tell(serving: &Arc<Serving>, metrics: Metrics) {
    let serving = Arc::downgrade(serving);
    tokio::spawn(async move {
        let mut told = Told::default();
        let mut ticks = tokio::time::interval(EVERY);
        while let Some((name, keys)) = next(&mut ticks, &serving).await {
            for (cluster, status) in &keys {
                let labels = [("attestor", name.as_str()), ("cluster", cluster)];
                if let Some(age) = status.age {
                    metrics.gauge("jwks_age_seconds", age.as_secs_f32(), &labels);
                    let ignored = u16::try_from(status.ignored).unwrap_or(u16::MAX);
                    metrics.gauge("jwks_ignored_keys", ignored.into(), &labels);
                }
                if let Some(line) = told.about(cluster, status) {
                    line.say(cluster, status.age);
                }
            }
        }
    });
}

/// The attestor's name and its keys; none when nobody serves any more.
async fn next(
    ticks: &mut tokio::time::Interval,
    serving: &Weak<Serving>,
) -> Option<(String, BTreeMap<String, KeysStatus>)> {
    ticks.tick().await;
    let serving = serving.upgrade()?;
    let keys = serving.attestor().map(|attestor| attestor.followed_keys());
    Some((serving.name().to_owned(), keys.unwrap_or_default()))
}

/// The clusters whose trouble the log has already.
#[derive(Debug, Default)]
struct Told {
    failing: BTreeMap<String, bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Failing(&'a ApiError),
    Recovered,
}

impl Told {
    /// What is new about `cluster`.
    fn about<'a>(&mut self, cluster: &str, status: &'a KeysStatus) -> Option<Line<'a>> {
        let error = status.last_error.as_ref();
        let before = self.failing.insert(cluster.to_owned(), error.is_some());
        match (before.unwrap_or_default(), error) {
            (false, Some(error)) => Some(Line::Failing(error)),
            (true, None) => Some(Line::Recovered),
            (false, None) | (true, Some(_)) => None,
        }
    }
}

impl Line<'_> {
    fn say(self, cluster: &str, age: Option<Duration>) {
        match self {
            Self::Failing(error) => {
                let age = age.map_or_else(
                    || "none yet".to_owned(),
                    |age| format!("{} s", age.as_secs()),
                );
                log(
                    Level::Warn,
                    "Keys cannot be fetched, the last good ones serve",
                    &[
                        ("cluster", &cluster),
                        ("error", &chain(error)),
                        ("age", &age),
                    ],
                );
            }
            Self::Recovered => log(
                Level::Info,
                "Keys were fetched again",
                &[("cluster", &cluster)],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Told};
    use nameplate_attestor::evidence::{ApiError, KeysStatus};

    #[test]
    fn a_cluster_in_trouble_is_said_once_and_when_it_is_over() {
        let good = KeysStatus::default();
        let bad = KeysStatus {
            last_error: Some(ApiError::OutOfPatience),
            ..KeysStatus::default()
        };
        let mut told = Told::default();
        assert_eq!(told.about("a", &good), None);
        assert_eq!(
            told.about("a", &bad),
            Some(Line::Failing(&ApiError::OutOfPatience))
        );
        assert_eq!(told.about("a", &bad), None);
        assert_eq!(
            told.about("b", &bad),
            Some(Line::Failing(&ApiError::OutOfPatience))
        );
        assert_eq!(told.about("a", &good), Some(Line::Recovered));
        assert_eq!(told.about("a", &good), None);
    }
}
