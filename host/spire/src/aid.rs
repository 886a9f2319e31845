//! `NodeAttestor/AidAttestation`: a node proves what it is to spire-server, by
//! way of its spire-agent.

use crate::catalog::{Candidate, Configured, SOURCE, rendered};
use crate::log::{Level, log};
use crate::proto::agent_nodeattestor::node_attestor_server::NodeAttestor;
use crate::proto::agent_nodeattestor::payload_or_challenge_response::Data;
use crate::proto::agent_nodeattestor::{Challenge, PayloadOrChallengeResponse};
use arc_swap::ArcSwapOption;
use nameplate_attestor::config::Problems;
use nameplate_attestor::evidence::Method;
use nameplate_attestor::evidence::certificates::{Nonce, Prover};
use nameplate_attestor::{AgentConfig, chain};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Sends the payload of the configured node.
#[derive(Debug)]
pub(crate) struct Aid {
    method: Method,
    name: String,
    config: ArcSwapOption<AgentConfig>,
}

impl Aid {
    pub(crate) fn new(method: Method, name: String) -> Self {
        Self {
            method,
            name,
            config: ArcSwapOption::empty(),
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
        let file = match &config {
            AgentConfig::Token(token) => ("token_path", token.token_path.display()),
            AgentConfig::Certificate(files) => ("certificate_path", files.certificate.display()),
        };
        log(
            Level::Info,
            "Configured",
            &[("attestor", &self.name), (file.0, &file.1)],
        );
        self.config.store(Some(Arc::new(config)));
        Ok(())
    }

    fn problems(&self, candidate: &Candidate) -> Vec<String> {
        self.read(candidate).err().unwrap_or_default()
    }
}

#[tonic::async_trait]
impl NodeAttestor for Aid {
    type AidAttestationStream = ReceiverStream<Result<PayloadOrChallengeResponse, Status>>;

    /// SPIRE sends nothing before it has the payload, so nothing is waited
    /// for. A token is all there is to say: the stream ends with it. A
    /// certificate's is followed by answers, until SPIRE ends its side.
    async fn aid_attestation(
        &self,
        challenges: Request<Streaming<Challenge>>,
    ) -> Result<Response<Self::AidAttestationStream>, Status> {
        let config = self
            .config
            .load_full()
            .ok_or_else(|| Status::failed_precondition("not configured"))?;
        let credential = tokio::task::spawn_blocking(move || config.credential())
            .await
            .map_err(|_panicked| Status::internal("the credential could not be read"))?
            .map_err(|error| {
                let why = chain(&error);
                log(Level::Error, "Nothing to attest with", &[("error", &why)]);
                // To this machine's own agent, which logs it.
                Status::invalid_argument(why)
            })?;
        let (send, stream) = mpsc::channel(1);
        // There is room for one, and the other end is right here.
        let _sent = send.try_send(Ok(said(Data::Payload(credential.payload))));
        if let Some(prover) = credential.prover {
            tokio::spawn(answer(prover, challenges.into_inner(), send));
        }
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn said(data: Data) -> PayloadOrChallengeResponse {
    PayloadOrChallengeResponse { data: Some(data) }
}

/// Answers the first challenge. There is one in an attestation: whoever sends
/// more asks this node to sign for something else.
async fn answer(prover: Prover, mut challenges: Streaming<Challenge>, send: Sender) {
    let challenge = match challenges.message().await {
        Ok(Some(challenge)) => challenge.challenge,
        // SPIRE is done, or gone.
        Ok(None) | Err(_) => return,
    };
    let answered = tokio::task::spawn_blocking(move || {
        let nonce = Nonce::random().ok_or("the operating system has no random bytes".to_owned())?;
        prover
            .answer(&challenge, nonce)
            .map_err(|error| chain(&error))
    });
    let answer = match answered.await {
        Ok(Ok(answer)) => Ok(said(Data::ChallengeResponse(answer))),
        Ok(Err(why)) => {
            log(Level::Error, "Challenge not answered", &[("error", &why)]);
            Err(Status::internal(why))
        }
        Err(_panicked) => Err(Status::internal("the challenge could not be answered")),
    };
    // Gone is who does not want the answer any more.
    let _sent = send.send(answer).await;
}

type Sender = mpsc::Sender<Result<PayloadOrChallengeResponse, Status>>;
