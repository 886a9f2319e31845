//! `NodeAttestor/AidAttestation`: a node proves what it is to spire-server, by
//! way of its spire-agent.

use crate::catalog::{Candidate, Configured, SOURCE, rendered};
use crate::log::{Level, log};
use crate::node_log::SpireLog;
use crate::proto::agent_nodeattestor::node_attestor_server::NodeAttestor;
use crate::proto::agent_nodeattestor::payload_or_challenge_response::Data;
use crate::proto::agent_nodeattestor::{Challenge, PayloadOrChallengeResponse};
use crate::workload_api::WorkloadApi;
use arc_swap::ArcSwapOption;
use nameplate_attestor::config::Problems;
use nameplate_attestor::evidence::certificates::{Nonce, Prover};
use nameplate_attestor::evidence::{ApiError, Method, Patience};
use nameplate_attestor::kubernetes::NotIssued;
use nameplate_attestor::{
    AgentConfig, Credential, CredentialError, NodeCertificateError, NodeSurroundings, chain,
};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{RwLock, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

/// How long attestations may take to end before the plugin does. SPIRE waits
/// 10 s.
const WIND_DOWN: Duration = Duration::from_secs(5);

/// Sends the payload of the configured node.
#[derive(Debug)]
pub(crate) struct Aid {
    method: Method,
    name: String,
    svids: Arc<WorkloadApi>,
    config: ArcSwapOption<AgentConfig>,
    /// Held for reading by each attestation, until it has cleaned up.
    at_work: Arc<RwLock<()>>,
}

impl Aid {
    /// To be called on the runtime that shall carry its calls.
    pub(crate) fn new(method: Method, name: String) -> Self {
        Self {
            method,
            name,
            svids: Arc::new(WorkloadApi::new()),
            config: ArcSwapOption::empty(),
            at_work: Arc::default(),
        }
    }

    /// Relative paths start where SPIRE was started, as those of SPIRE's own
    /// plugins do.
    fn read(&self, candidate: &Candidate) -> Result<(AgentConfig, Problems), Vec<String>> {
        let data = candidate
            .data(&self.name, self.method)
            .map_err(|problem| vec![problem])?;
        AgentConfig::from_plugin(&data, SOURCE, Path::new(""))
            .map_err(|problems| rendered(&problems))
    }
}

#[tonic::async_trait]
impl Configured for Aid {
    fn configure(self: Arc<Self>, candidate: &Candidate) -> Result<(), Vec<String>> {
        let (config, warnings) = self.read(candidate)?;
        for warning in rendered(&warnings) {
            log(
                Level::Warn,
                "Configuration warning",
                &[("warning", &warning)],
            );
        }
        let told = match &config {
            AgentConfig::Token(token) => ("token_path", token.token_path.display()),
            AgentConfig::Certificate(files) => ("certificate_path", files.certificate.display()),
            AgentConfig::Svid(endpoint) => ("spiffe_endpoint_socket", endpoint.path().display()),
            AgentConfig::Requested(certificate) => ("node", Path::new(&certificate.node).display()),
        };
        log(
            Level::Info,
            "Configured",
            &[("attestor", &self.name), (told.0, &told.1)],
        );
        self.config.store(Some(Arc::new(config)));
        Ok(())
    }

    fn problems(&self, candidate: &Candidate) -> Vec<String> {
        self.read(candidate).err().unwrap_or_default()
    }

    /// An attestation that SPIRE gave up removes what it has asked for.
    async fn wind_down(&self) {
        // What is not done by then stays behind.
        let _done = tokio::time::timeout(WIND_DOWN, self.at_work.write()).await;
    }
}

#[tonic::async_trait]
impl NodeAttestor for Aid {
    type AidAttestationStream = ReceiverStream<Result<PayloadOrChallengeResponse, Status>>;

    /// SPIRE sends nothing before it has the payload, so nothing is waited
    /// for. A token is all there is to say: the stream ends with it. A
    /// certificate's is followed by an answer.
    async fn aid_attestation(
        &self,
        challenges: Request<Streaming<Challenge>>,
    ) -> Result<Response<Self::AidAttestationStream>, Status> {
        let (send, stream) = mpsc::channel(1);
        let at_work = Arc::clone(&self.at_work).read_owned().await;
        let attestation = Attestation {
            config: self.config.load_full(),
            svids: Arc::clone(&self.svids),
            challenges: challenges.into_inner(),
            said: send.clone(),
        };
        tokio::spawn(async move {
            if let Err(status) = attestation.run().await {
                // Gone is who does not want to know any more.
                let _sent = send.send(Err(status)).await;
            }
            drop(at_work);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// One attestation of this node.
struct Attestation {
    config: Option<Arc<AgentConfig>>,
    svids: Arc<WorkloadApi>,
    challenges: Streaming<Challenge>,
    said: mpsc::Sender<Result<PayloadOrChallengeResponse, Status>>,
}

impl Attestation {
    async fn run(mut self) -> Result<(), Status> {
        let credential = self.credential().await?;
        self.say(Data::Payload(credential.payload)).await;
        let answered = match credential.prover {
            Some(prover) => self.answer(prover).await,
            None => Ok(()),
        };
        if let Some(request) = credential.request {
            if answered.is_ok() {
                self.ended().await;
            }
            let removed = tokio::task::spawn_blocking(move || request.remove(&SpireLog));
            // A panic is in the log already.
            let _removed = removed.await;
        }
        answered
    }

    /// Waits until SPIRE has the server's verdict, or does not wait for it any
    /// more. Another challenge is not answered.
    async fn ended(&mut self) {
        tokio::select! {
            _ = self.challenges.message() => {}
            () = self.said.closed() => {}
        }
    }

    /// Given up when SPIRE does not wait for it any more.
    async fn credential(&self) -> Result<Credential, Status> {
        let config = self
            .config
            .clone()
            .ok_or_else(|| Status::failed_precondition("not configured"))?;
        let patience = Patience::until(Instant::now() + config.timeout());
        let (shared, svids) = (patience.clone(), Arc::clone(&self.svids));
        let credential = tokio::task::spawn_blocking(move || {
            config.credential(&NodeSurroundings {
                patience: &shared,
                now: SystemTime::now(),
                svids: &*svids,
                log: &SpireLog,
            })
        });
        let given_up = async {
            self.said.closed().await;
            patience.give_up();
            std::future::pending().await
        };
        tokio::select! {
            credential = credential => credential
                .map_err(|_panicked| Status::internal("the credential could not be read"))?
                .map_err(|error| {
                    let why = chain(&error);
                    log(Level::Error, "Nothing to attest with", &[("error", &why)]);
                    // To this machine's own agent, which logs it.
                    Status::new(code(&error), why)
                }),
            never = given_up => never,
        }
    }

    /// Answers the first challenge. There is one in an attestation: whoever sends
    /// more asks this node to sign for something else.
    async fn answer(&mut self, prover: Prover) -> Result<(), Status> {
        let challenge = match self.challenges.message().await {
            Ok(Some(challenge)) => challenge.challenge,
            // SPIRE is done, or gone.
            Ok(None) | Err(_) => return Ok(()),
        };
        let answered = tokio::task::spawn_blocking(move || {
            let nonce =
                Nonce::random().ok_or("the operating system has no random bytes".to_owned())?;
            prover
                .answer(&challenge, nonce)
                .map_err(|error| chain(&error))
        });
        let answer = answered
            .await
            .map_err(|_panicked| Status::internal("the challenge could not be answered"))?
            .map_err(|why| {
                log(Level::Error, "Challenge not answered", &[("error", &why)]);
                Status::internal(why)
            })?;
        self.say(Data::ChallengeResponse(answer)).await;
        Ok(())
    }

    async fn say(&self, data: Data) {
        let data = Some(data);
        // Gone is who does not want it any more.
        let _sent = self
            .said
            .send(Ok(PayloadOrChallengeResponse { data }))
            .await;
    }
}

/// As SPIRE's own plugins have them: what is to be mended here, and what may
/// mend itself.
fn code(error: &CredentialError) -> Code {
    match error {
        CredentialError::Token(_) | CredentialError::Certificate(_) => Code::InvalidArgument,
        CredentialError::Svid(_) => Code::Unavailable,
        CredentialError::Requested(error) => code_of_request(error),
    }
}

/// An agent that is refused a certificate ends, as one that a server refuses
/// does; all else is tried again.
fn code_of_request(error: &NodeCertificateError) -> Code {
    let of_api = |error: &ApiError| {
        if error.is_transient() {
            Code::Unavailable
        } else {
            Code::FailedPrecondition
        }
    };
    match error {
        NodeCertificateError::NotIssued { source, .. } => match source {
            NotIssued::Denied(_) => Code::PermissionDenied,
            NotIssued::Failed(_) => Code::FailedPrecondition,
            NotIssued::Gone => Code::Aborted,
            NotIssued::NotApproved | NotIssued::NotSigned => Code::DeadlineExceeded,
            NotIssued::Api(error) => of_api(error),
        },
        NodeCertificateError::Access(error) | NodeCertificateError::Unmade(error) => of_api(error),
        NodeCertificateError::Directory(_) => Code::FailedPrecondition,
        NodeCertificateError::Key(_) | NodeCertificateError::Certificate(_) => Code::Internal,
    }
}
