//! Counts and timings for SPIRE's own telemetry.
//!
//! An attestation never waits for them: measurements go into a queue of
//! [`QUEUE`], and what does not fit is counted as dropped.

use crate::host_services::HostServices;
use crate::log::{Level, log};
use crate::proto::metrics::metrics_client::MetricsClient;
use crate::proto::metrics::{AddSampleRequest, IncrCounterRequest, Label, SetGaugeRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// How many measurements may wait.
const QUEUE: usize = 1024;

/// How long SPIRE may take for one.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes measurements.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    queue: mpsc::Sender<Measurement>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Measurement {
    Count(IncrCounterRequest),
    Gauge(SetGaugeRequest),
    Sample(AddSampleRequest),
}

impl Metrics {
    /// Sends what is measured to `host`. To be called on a runtime.
    pub(crate) fn to(host: Arc<HostServices>) -> Self {
        let (queue, mut measured) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        tokio::spawn(async move {
            while let Some(measurement) = measured.recv().await {
                let sent = tokio::time::timeout(PATIENCE, send(&host, measurement)).await;
                if !matches!(sent, Ok(true)) {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
                let lost = lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    log(Level::Debug, "Measurements dropped", &[("count", &lost)]);
                }
            }
        });
        Self { queue, dropped }
    }

    /// One more of `name`.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) {
        self.put(Measurement::Count(IncrCounterRequest {
            key: key(name),
            val: 1.0,
            labels: self::labels(labels),
        }));
    }

    /// `name` as it is now.
    pub(crate) fn gauge(&self, name: &str, value: f32, labels: &[(&str, &str)]) {
        self.put(Measurement::Gauge(SetGaugeRequest {
            key: key(name),
            val: value,
            labels: self::labels(labels),
        }));
    }

    /// A sample of `name`.
    pub(crate) fn sample(&self, name: &str, value: f32, labels: &[(&str, &str)]) {
        self.put(Measurement::Sample(AddSampleRequest {
            key: key(name),
            val: value,
            labels: self::labels(labels),
        }));
    }

    fn put(&self, measurement: Measurement) {
        if self.queue.try_send(measurement).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn key(name: &str) -> Vec<String> {
    vec!["nameplate".to_owned(), name.to_owned()]
}

fn labels(labels: &[(&str, &str)]) -> Vec<Label> {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    labels.iter().map(label).collect()
}

async fn send(host: &HostServices, measurement: Measurement) -> bool {
    let Ok(channel) = host.channel().await else {
        return false;
    };
    let mut metrics = MetricsClient::new(channel);
    match measurement {
        Measurement::Count(count) => metrics.incr_counter(count).await.is_ok(),
        Measurement::Gauge(gauge) => metrics.set_gauge(gauge).await.is_ok(),
        Measurement::Sample(sample) => metrics.add_sample(sample).await.is_ok(),
    }
}
