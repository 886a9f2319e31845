//! `NodeAttestor/Attest`: one stream for each agent that attests.
//!
//! The peer behind the stream is not authenticated. It may stop anywhere,
//! send anything and open as many streams as it likes; each of them ends by
//! itself, and only [`AttestLimits::concurrent`] of them are at work at once.

use crate::host_services::HostServices;
use crate::log::{Level, log};
use crate::metrics::Metrics;
use crate::proto::nodeattestor::attest_request::Request as Step;
use crate::proto::nodeattestor::attest_response::Response as Answer;
use crate::proto::nodeattestor::node_attestor_server::NodeAttestor;
use crate::proto::nodeattestor::{AgentAttributes, AttestRequest, AttestResponse};
use crate::serving::Serving;
use nameplate_attestor::evidence::{Patience, RawEvidence};
use nameplate_attestor::{Attempt, AttestError, Attestation, Attestor, Failure};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

/// How much the peers of a plugin may ask of it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestLimits {
    /// Attestations at work at once; each has a thread. At least 1.
    pub concurrent: usize,
    /// Attestations that wait for one of them to end; one more is refused at
    /// once with ResourceExhausted.
    pub waiting: usize,
    /// From the opening of a stream to its first message.
    pub first_message: Duration,
    /// From the first message to the answer.
    pub total: Duration,
}

impl Default for AttestLimits {
    /// 64 at work, 1,024 waiting, 10 s for the first message, 30 s in all.
    fn default() -> Self {
        Self {
            concurrent: 64,
            waiting: 1024,
            first_message: Duration::from_secs(10),
            total: Duration::from_secs(30),
        }
    }
}

/// Attests agents.
#[derive(Clone, Debug)]
pub(crate) struct Attest {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    serving: Arc<Serving>,
    host: Arc<HostServices>,
    metrics: Metrics,
    limits: AttestLimits,
    at_work: Arc<Semaphore>,
    queued: AtomicUsize,
}

impl Attest {
    pub(crate) fn new(
        serving: Arc<Serving>,
        host: Arc<HostServices>,
        metrics: Metrics,
        limits: AttestLimits,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                serving,
                host,
                metrics,
                limits,
                at_work: Arc::new(Semaphore::new(limits.concurrent.max(1))),
                queued: AtomicUsize::new(0),
            }),
        }
    }
}

#[tonic::async_trait]
impl NodeAttestor for Attest {
    type AttestStream = ReceiverStream<Result<AttestResponse, Status>>;

    async fn attest(
        &self,
        request: Request<Streaming<AttestRequest>>,
    ) -> Result<Response<Self::AttestStream>, Status> {
        // The stream is given back at once: its headers are what the peer
        // waits for before anything else.
        let (answers, stream) = mpsc::channel(1);
        let shared = Arc::clone(&self.shared);
        let requests = request.into_inner();
        tokio::spawn(async move {
            let answer = shared.answer(requests, &answers).await;
            // Gone is who does not want the answer any more.
            let _sent = answers.send(answer).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

type Answers = mpsc::Sender<Result<AttestResponse, Status>>;

impl Shared {
    async fn answer(
        &self,
        mut requests: Streaming<AttestRequest>,
        answers: &Answers,
    ) -> Result<AttestResponse, Status> {
        // The first message is read before anything is refused: SPIRE takes
        // a refusal that overtakes it for a stream that broke.
        let first = tokio::time::timeout(self.limits.first_message, requests.message());
        let first = match first.await {
            Ok(Ok(first)) => first,
            Ok(Err(status)) if status.code() == Code::OutOfRange => {
                return Err(Status::invalid_argument(
                    "payload_too_large: the evidence was rejected",
                ));
            }
            Ok(Err(status)) => return Err(status),
            Err(_elapsed) => {
                return Err(Status::deadline_exceeded("no attestation payload in time"));
            }
        };
        let deadline = Instant::now() + self.limits.total;
        let Some(attestor) = self.serving.attestor() else {
            return Err(Status::failed_precondition("not configured"));
        };
        let payload = match first.and_then(|first| first.request) {
            Some(Step::Payload(payload)) if !payload.is_empty() => payload,
            Some(Step::Payload(_) | Step::ChallengeResponse(_)) | None => {
                return Err(Status::invalid_argument("missing attestation payload"));
            }
        };
        let _place = self.place(deadline, answers).await?;

        let patience = Patience::until(deadline);
        let attempt = Attempt::at(SystemTime::now())
            .within(patience.clone())
            .knowing(Arc::clone(&self.host) as _);
        let started = Instant::now();
        let work = tokio::task::spawn_blocking(move || attest(&attestor, payload, &attempt));
        tokio::pin!(work);
        let result = tokio::select! {
            result = &mut work => result,
            () = answers.closed() => {
                patience.give_up();
                // Its place is free only when the thread is.
                work.await
            }
        };
        let Ok(result) = result else {
            self.measure("fault", "host_panic", started, None);
            return Err(Status::internal(
                "host_panic: the attestor could not decide",
            ));
        };
        self.said(result, started)
    }

    /// Waits for a place among those at work, unless too many wait already.
    async fn place(
        &self,
        deadline: Instant,
        answers: &Answers,
    ) -> Result<tokio::sync::OwnedSemaphorePermit, Status> {
        if let Ok(place) = Arc::clone(&self.at_work).try_acquire_owned() {
            return Ok(place);
        }
        let waiting = Waiting::new(&self.queued);
        if waiting.before >= self.limits.waiting {
            self.metrics.count("refused_early", &[]);
            return Err(Status::resource_exhausted(
                "too many attestations at once: try again later",
            ));
        }
        tokio::select! {
            place = Arc::clone(&self.at_work).acquire_owned() => {
                place.map_err(|_closed| Status::unavailable("the plugin is ending"))
            }
            () = tokio::time::sleep_until(deadline.into()) => {
                Err(Status::deadline_exceeded("too many attestations at once: no answer in time"))
            }
            () = answers.closed() => Err(Status::cancelled("the peer is gone")),
        }
    }

    /// Tells the log everything and the peer what it may know.
    fn said(
        &self,
        result: Result<Attestation, AttestError>,
        started: Instant,
    ) -> Result<AttestResponse, Status> {
        match result {
            Ok(attestation) => {
                self.measure("identity", "", started, Some(attestation.fuel));
                let identity = &attestation.identity;
                log(
                    Level::Debug,
                    "Attested",
                    &[
                        ("agent_id", identity.spiffe_id()),
                        ("policy", &attestation.policy),
                        ("fuel", &attestation.fuel),
                        ("generation", &attestation.generation),
                    ],
                );
                Ok(AttestResponse {
                    response: Some(Answer::AgentAttributes(AgentAttributes {
                        spiffe_id: identity.spiffe_id().to_string(),
                        selector_values: identity
                            .selectors()
                            .map(|selector| selector.value.to_owned())
                            .collect(),
                        can_reattest: attestation.can_reattest,
                    })),
                })
            }
            Err(error) => {
                let outcome = match error.failure() {
                    Failure::Rejected => "rejected",
                    Failure::Denied => "denied",
                    Failure::Fault => "fault",
                };
                self.measure(outcome, error.reason(), started, None);
                log(
                    Level::Warn,
                    "Not attested",
                    &[
                        ("outcome", &outcome),
                        ("reason", &error.reason()),
                        ("error", &error.chain()),
                    ],
                );
                Err(Status::new(code(&error), error.peer_message().to_string()))
            }
        }
    }

    fn measure(&self, outcome: &str, reason: &str, started: Instant, fuel: Option<u64>) {
        let name = self.serving.name();
        let labels = [("attestor", name), ("outcome", outcome), ("reason", reason)];
        self.metrics.count("attestation", &labels);
        let milliseconds = started.elapsed().as_secs_f32() * 1000.0;
        self.metrics
            .sample("attestation_milliseconds", milliseconds, &labels);
        if let Some(fuel) = fuel {
            let fuel = u16::try_from(fuel / 1000).unwrap_or(u16::MAX);
            self.metrics
                .sample("policy_fuel_thousands", fuel.into(), &[("attestor", name)]);
        }
    }
}

/// One that waits for a place, for as long as it does.
struct Waiting<'a> {
    queued: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn new(queued: &'a AtomicUsize) -> Self {
        let before = queued.fetch_add(1, Ordering::Relaxed);
        Self { queued, before }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

fn attest(
    attestor: &Attestor,
    payload: Vec<u8>,
    attempt: &Attempt,
) -> Result<Attestation, AttestError> {
    let evidence = RawEvidence::new(attestor.method(), payload).map_err(AttestError::Rejected)?;
    attestor.attest(&evidence, attempt)
}

/// The reasons that SPIRE's own attestors answer with PermissionDenied, at
/// which an agent that starts gives up; what else a peer did wrong is
/// InvalidArgument.
const FINAL: [&str; 6] = [
    "agent_already_attested",
    "pod_mismatch",
    "policy_denied",
    "service_account_not_allowed",
    "token_already_used",
    "token_not_authenticated",
];

fn code(error: &AttestError) -> Code {
    match error.failure() {
        Failure::Rejected | Failure::Denied if FINAL.contains(&error.reason()) => {
            Code::PermissionDenied
        }
        Failure::Rejected | Failure::Denied => Code::InvalidArgument,
        Failure::Fault if error.is_transient() => Code::Unavailable,
        Failure::Fault => Code::Internal,
    }
}
