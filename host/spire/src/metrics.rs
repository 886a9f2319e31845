//! Counts and timings for SPIRE's own telemetry.
//!
//! An attestation never waits for them, and thousands of them a second make
//! few calls of SPIRE: what is measured between two rounds is added up. All
//! that is counted is told; of timings no more than [`SAMPLES`] a round.

use crate::host_services::HostServices;
use crate::log::{Level, log};
use crate::proto::metrics::metrics_client::MetricsClient;
use crate::proto::metrics::{AddSampleRequest, IncrCounterRequest, Label, SetGaugeRequest};
use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tonic::transport::Channel;

/// The most timings of one kind that are told in a round.
const SAMPLES: usize = 16;

/// The least time between two rounds.
const ROUND: Duration = Duration::from_millis(50);

/// How long SPIRE may take for one call.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes measurements.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    measured: Mutex<Measured>,
    more: Notify,
}

/// What was measured since the last round.
#[derive(Debug, Default)]
struct Measured {
    counts: BTreeMap<Series, f32>,
    gauges: BTreeMap<Series, f32>,
    samples: BTreeMap<Series, Vec<f32>>,
}

/// A name and its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
}

impl Metrics {
    /// Sends what is measured to `host`. To be called on a runtime.
    pub(crate) fn to(host: Arc<HostServices>) -> Self {
        let shared = Arc::new(Shared::default());
        let measured = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                measured.more.notified().await;
                let round = mem::take(&mut *measured.measured());
                let lost = tell(&host, round).await;
                if lost > 0 {
                    log(Level::Debug, "Measurements dropped", &[("count", &lost)]);
                }
                tokio::time::sleep(ROUND).await;
            }
        });
        Self { shared }
    }

    /// One more of `name`.
    pub(crate) fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        self.put(|measured| *measured.counts.entry(series(name, labels)).or_default() += 1.0);
    }

    /// `name` as it is now.
    pub(crate) fn gauge(&self, name: &'static str, value: f32, labels: &[(&'static str, &str)]) {
        self.put(|measured| {
            measured.gauges.insert(series(name, labels), value);
        });
    }

    /// A sample of `name`.
    pub(crate) fn sample(&self, name: &'static str, value: f32, labels: &[(&'static str, &str)]) {
        self.put(|measured| {
            let samples = measured.samples.entry(series(name, labels)).or_default();
            if samples.len() < SAMPLES {
                samples.push(value);
            }
        });
    }

    fn put(&self, put: impl FnOnce(&mut Measured)) {
        put(&mut self.shared.measured());
        self.shared.more.notify_one();
    }
}

impl Shared {
    fn measured(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn series(name: &'static str, labels: &[(&'static str, &str)]) -> Series {
    let labels = labels
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    Series {
        name,
        labels: labels.collect(),
    }
}

impl Series {
    /// The key and the labels, as SPIRE takes them.
    fn into_parts(self) -> (Vec<String>, Vec<Label>) {
        let label = |(name, value): (&str, String)| Label {
            name: name.to_owned(),
            value,
        };
        let key = vec!["nameplate".to_owned(), self.name.to_owned()];
        (key, self.labels.into_iter().map(label).collect())
    }
}

/// One call of SPIRE.
enum Call {
    Count(IncrCounterRequest),
    Gauge(SetGaugeRequest),
    Sample(AddSampleRequest),
}

impl Measured {
    fn calls(self) -> Vec<Call> {
        let count = |(series, val): (Series, f32)| {
            let (key, labels) = series.into_parts();
            Call::Count(IncrCounterRequest { key, val, labels })
        };
        let gauge = |(series, val): (Series, f32)| {
            let (key, labels) = series.into_parts();
            Call::Gauge(SetGaugeRequest { key, val, labels })
        };
        let samples = |(series, values): (Series, Vec<f32>)| {
            let (key, labels) = series.into_parts();
            values.into_iter().map(move |val| {
                Call::Sample(AddSampleRequest {
                    key: key.clone(),
                    val,
                    labels: labels.clone(),
                })
            })
        };
        let counts = self.counts.into_iter().map(count);
        let gauges = self.gauges.into_iter().map(gauge);
        let samples = self.samples.into_iter().flat_map(samples);
        counts.chain(gauges).chain(samples).collect()
    }
}

/// Tells SPIRE, and gives the number of calls that did not reach it.
async fn tell(host: &HostServices, round: Measured) -> usize {
    let calls = round.calls();
    let Ok(channel) = host.channel().await else {
        return calls.len();
    };
    let mut lost = 0;
    for one in calls {
        let told = tokio::time::timeout(PATIENCE, call(channel.clone(), one)).await;
        if !matches!(told, Ok(true)) {
            lost += 1;
        }
    }
    lost
}

async fn call(channel: Channel, call: Call) -> bool {
    let mut metrics = MetricsClient::new(channel);
    match call {
        Call::Count(count) => metrics.incr_counter(count).await.is_ok(),
        Call::Gauge(gauge) => metrics.set_gauge(gauge).await.is_ok(),
        Call::Sample(sample) => metrics.add_sample(sample).await.is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, Measured, Metrics, SAMPLES, Shared};
    use std::sync::Arc;

    #[test]
    fn a_round_adds_up_counts_and_bounds_samples() {
        let shared = Arc::new(Shared::default());
        let metrics = Metrics {
            shared: Arc::clone(&shared),
        };
        for _ in 0..1000 {
            metrics.count("attestation", &[("outcome", "identity")]);
            metrics.count("attestation", &[("outcome", "denied")]);
            metrics.sample("milliseconds", 0.5, &[]);
            metrics.gauge("age", 1.0, &[]);
        }
        metrics.gauge("age", 2.0, &[]);
        let round: Measured = std::mem::take(&mut *shared.measured());
        let mut said = Vec::new();
        let mut samples = 0;
        for call in round.calls() {
            match call {
                Call::Count(count) => {
                    said.push((
                        count.key.join("."),
                        count.labels[0].value.clone(),
                        count.val,
                    ));
                }
                Call::Gauge(gauge) => said.push((gauge.key.join("."), String::new(), gauge.val)),
                Call::Sample(_) => samples += 1,
            }
        }
        let line = |key: &str, label: &str, value| (key.to_owned(), label.to_owned(), value);
        assert_eq!(
            said,
            [
                line("nameplate.attestation", "denied", 1000.0),
                line("nameplate.attestation", "identity", 1000.0),
                line("nameplate.age", "", 2.0),
            ]
        );
        assert_eq!(samples, SAMPLES);
        assert!(shared.measured().counts.is_empty());
    }
}
