//! `NodeAttestor/Attest`: one stream for each agent that attests.
//!
//! The peer behind the stream is not authenticated. It may stop anywhere, send
//! anything and open as many streams as it likes; each of them ends by itself,
//! and [`AttestLimits::concurrent`] bounds how many are at work at once. An
//! attestation that asks an API server holds up those of its own cluster only:
//! [`Places`].

use crate::host_services::HostServices;
use crate::log::{Level, log};
use crate::metrics::Metrics;
use crate::proto::nodeattestor::attest_request::Request as Sent;
use crate::proto::nodeattestor::attest_response::Response as Answer;
use crate::proto::nodeattestor::node_attestor_server::NodeAttestor;
use crate::proto::nodeattestor::{AgentAttributes, AttestRequest, AttestResponse};
use crate::serving::Serving;
use nameplate_attestor::evidence::certificates::CertificateError;
use nameplate_attestor::evidence::{Patience, RawEvidence};
use nameplate_attestor::{
    Attempt, AttestError, Attestation, Attestor, Challenged, Failure, Place, PlaceLimits, Places,
    Presented, QueueFull, Step,
};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

/// How much the peers of a plugin may ask of it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestLimits {
    /// Attestations at work at once that ask nobody, and as many that wait for
    /// an API server or for published keys, each cluster within its share; each
    /// has a thread. At least 1.
    pub concurrent: usize,
    /// Attestations that wait for one of those to end, likewise; one more is
    /// refused at once with ResourceExhausted.
    pub waiting: usize,
    /// From the opening of a stream to its first message.
    pub first_message: Duration,
    /// From a challenge to the peer's answer. Meanwhile it takes no place of
    /// those at work.
    pub challenge: Duration,
    /// From the first message to the answer.
    pub total: Duration,
}

impl Default for AttestLimits {
    /// 64 at work, 1,024 waiting, 10 s for the first message and
    /// for the answer to a challenge, 30 s in all.
    fn default() -> Self {
        Self {
            concurrent: 64,
            waiting: 1024,
            first_message: Duration::from_secs(10),
            challenge: Duration::from_secs(10),
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
    places: Places,
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
                places: Places::new(PlaceLimits {
                    concurrent: limits.concurrent,
                    queued: limits.waiting,
                }),
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
        let client_address = client_address(&request);
        let requests = request.into_inner();
        tokio::spawn(async move {
            let answering = {
                let (shared, answers) = (Arc::clone(&shared), answers.clone());
                async move { shared.answer(requests, client_address, &answers).await }
            };
            let answer = shared.answered(answering).await;
            // Gone is who does not want the answer any more.
            let _sent = answers.send(answer).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

type Answers = mpsc::Sender<Result<AttestResponse, Status>>;

impl Shared {
    /// What `answering` comes to. It has a task of its own: a panic anywhere in
    /// it is a fault that the peer hears of, and no stream that breaks.
    async fn answered(
        &self,
        answering: impl Future<Output = Result<AttestResponse, Status>> + Send + 'static,
    ) -> Result<AttestResponse, Status> {
        let started = Instant::now();
        let answer = tokio::spawn(answering).await;
        answer.unwrap_or_else(|_panicked| Err(self.panicked(started)))
    }

    async fn answer(
        &self,
        mut requests: Streaming<AttestRequest>,
        client_address: Option<String>,
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
            Some(Sent::Payload(payload)) if !payload.is_empty() => payload,
            Some(Sent::Payload(_) | Sent::ChallengeResponse(_)) | None => {
                return Err(Status::invalid_argument("missing attestation payload"));
            }
        };

        let attempt = Attempt::at(SystemTime::now())
            .within(Patience::until(deadline))
            .knowing(Arc::clone(&self.host) as _)
            .trusting(Arc::clone(&self.host) as _)
            .from_address(client_address);
        let started = Instant::now();
        let evidence = match RawEvidence::new(attestor.method(), payload) {
            Ok(evidence) => evidence,
            Err(error) => return self.said(Err(AttestError::Rejected(error)), started),
        };
        let mut message = Message::Evidence(evidence);
        loop {
            let step = self.step(&attestor, message, &attempt, deadline, answers);
            let challenged = match step.await? {
                Ok(Step::Attested(attestation)) => return self.said(Ok(attestation), started),
                Ok(Step::Challenged(challenged)) => challenged,
                Err(error) => return self.said(Err(error), started),
            };
            let challenge = AttestResponse {
                response: Some(Answer::Challenge(challenged.message())),
            };
            answers
                .send(Ok(challenge))
                .await
                .map_err(|_gone| Status::cancelled("the peer is gone"))?;
            match self.answer_to_challenge(&mut requests, deadline).await {
                Ok(Some(answer)) => message = Message::Answer(challenged, answer),
                Ok(None) => {
                    let unanswered = CertificateError::Unanswered;
                    let error = AttestError::Rejected(unanswered.into());
                    return self.said(Err(error), started);
                }
                Err(status) => {
                    self.measure("rejected", "challenge_unanswered", started, None);
                    return Err(status);
                }
            }
        }
    }

    /// Takes a place, and goes as far as what the peer said leads.
    async fn step(
        &self,
        attestor: &Arc<Attestor>,
        message: Message,
        attempt: &Attempt,
        deadline: Instant,
        answers: &Answers,
    ) -> Result<Result<Step, AttestError>, Status> {
        let _place = self.place(attestor, &message, deadline, answers).await?;
        let started = Instant::now();
        let work = {
            let (attestor, attempt) = (Arc::clone(attestor), attempt.clone());
            tokio::task::spawn_blocking(move || step(&attestor, message, &attempt))
        };
        tokio::pin!(work);
        let result = tokio::select! {
            result = &mut work => result,
            () = answers.closed() => {
                attempt.patience().give_up();
                // Its place is free only when the thread is.
                work.await
            }
        };
        result.map_err(|_panicked| self.panicked(started))
    }

    /// What a peer is told where this process failed. The panic itself is in the
    /// log already.
    fn panicked(&self, started: Instant) -> Status {
        self.measure("fault", "host_panic", started, None);
        Status::internal("host_panic: the attestor could not decide")
    }

    /// What the peer sends next; `None` when it ends its side instead.
    async fn answer_to_challenge(
        &self,
        requests: &mut Streaming<AttestRequest>,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, Status> {
        let until = deadline.min(Instant::now() + self.limits.challenge);
        match tokio::time::timeout_at(until.into(), requests.message()).await {
            Ok(Ok(next)) => Ok(next.and_then(|next| match next.request {
                Some(Sent::ChallengeResponse(answer)) => Some(answer),
                Some(Sent::Payload(_)) | None => None,
            })),
            Ok(Err(status)) if status.code() == Code::OutOfRange => Err(Status::invalid_argument(
                "response_malformed: the evidence was rejected",
            )),
            Ok(Err(status)) => Err(status),
            Err(_elapsed) => Err(Status::deadline_exceeded(
                "challenge_unanswered: the evidence was rejected",
            )),
        }
    }

    /// Waits for a place among those at work, unless too many wait already.
    async fn place(
        &self,
        attestor: &Attestor,
        message: &Message,
        deadline: Instant,
        answers: &Answers,
    ) -> Result<Place, Status> {
        // Its shape is looked at, and nobody is asked.
        let queue = match message {
            Message::Evidence(evidence) => self.places.queue(attestor, evidence),
            Message::Answer(challenged, _) => self.places.queue_to_answer(attestor, challenged),
        };
        tokio::select! {
            // Where there is a place, no deadline is looked at.
            biased;
            place = queue.place() => match place {
                Ok(place) => Ok(place),
                Err(QueueFull) => {
                    let cluster = queue.cluster().unwrap_or_default();
                    let labels = [("attestor", self.serving.name()), ("cluster", cluster)];
                    self.metrics.count("refused_early", &labels);
                    Err(Status::resource_exhausted(
                        "too many attestations at once: try again later",
                    ))
                }
            },
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
                if let Some(notice) = &attestation.notice {
                    let labels = [("attestor", self.serving.name()), ("kind", notice.kind())];
                    self.metrics.count("identity_holder", &labels);
                    log(Level::Warn, "About who holds an ID", &[("notice", notice)]);
                }
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

/// What a peer said, on its way to the thread that looks at it.
enum Message {
    Evidence(RawEvidence),
    Answer(Challenged, Vec<u8>),
}

fn step(attestor: &Attestor, message: Message, attempt: &Attempt) -> Result<Step, AttestError> {
    match message {
        Message::Evidence(evidence) => attestor.step(Presented::Evidence(&evidence), attempt),
        Message::Answer(challenged, answer) => {
            attestor.step(Presented::Answer(challenged, &answer), attempt)
        }
    }
}

/// The agent's address, as spire-server sees it.
fn client_address(request: &Request<Streaming<AttestRequest>>) -> Option<String> {
    let address = request.metadata().get("x-forwarded-client-ip")?;
    address.to_str().ok().map(str::to_owned)
}

/// The reasons that SPIRE's own attestors answer with PermissionDenied, and
/// their like, at which an agent that starts gives up; what else a peer did wrong is
/// InvalidArgument.
const FINAL: [&str; 22] = [
    "agent_already_attested",
    "chain_untrusted",
    "client_address_mismatch",
    "node_group_missing",
    "node_name_malformed",
    "node_name_missing",
    "nonce_malformed",
    "pod_mismatch",
    "policy_denied",
    "possession_unproven",
    "request_mismatch",
    "request_signer",
    "requester_elsewhere",
    "requester_node_unproven",
    "requester_pod_mismatch",
    "response_kind",
    "service_account_not_allowed",
    "svid_foreign",
    "svid_missing",
    "svid_prefix",
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

#[cfg(test)]
mod tests {
    use super::*;
    use nameplate_attestor::evidence::Method;
    use nameplate_attestor::policy::Sandbox;

    #[tokio::test]
    async fn a_panic_on_the_way_to_a_place_is_a_fault() {
        let host = Arc::new(HostServices::new());
        let metrics = Metrics::to(Arc::clone(&host));
        let (method, sandbox) = (Method::K8sSat, Sandbox::new().unwrap());
        let serving = Serving::new(method, "k8s_sat".into(), None, sandbox, metrics.clone());
        let attest = Attest::new(Arc::new(serving), host, metrics, AttestLimits::default());
        let said = |status: Status| (status.code(), status.message().to_owned());
        let panics = attest.shared.answered(async { panic!("in the test") });
        assert_eq!(
            said(panics.await.unwrap_err()),
            (
                Code::Internal,
                "host_panic: the attestor could not decide".to_owned()
            )
        );
        let refuses = async { Err(Status::invalid_argument("refused")) };
        let refused = attest.shared.answered(refuses).await.unwrap_err();
        assert_eq!(said(refused), (Code::InvalidArgument, "refused".to_owned()));
    }
}
