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
        let token_path = config.token_path.display();
        log(
            Level::Info,
            "Configured",
            &[("attestor", &self.name), ("token_path", &token_path)],
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
    /// for. There is no challenge in these methods: the stream ends with it.
    async fn aid_attestation(
        &self,
        _challenges: Request<Streaming<Challenge>>,
    ) -> Result<Response<Self::AidAttestationStream>, Status> {
        let config = self
            .config
            .load_full()
            .ok_or_else(|| Status::failed_precondition("not configured"))?;
        let payload = tokio::task::spawn_blocking(move || config.payload())
            .await
            .map_err(|_panicked| Status::internal("the token could not be read"))?
            .map_err(|error| {
                let why = chain(&error);
                log(Level::Error, "No token to attest with", &[("error", &why)]);
                // To this machine's own agent, which logs it.
                Status::invalid_argument(why)
            })?;
        let (send, stream) = mpsc::channel(1);
        let message = PayloadOrChallengeResponse {
            data: Some(Data::Payload(payload)),
        };
        // There is room for one, and the other end is right here.
        let _sent = send.try_send(Ok(message));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
