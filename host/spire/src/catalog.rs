//! What SPIRE's plugin catalog asks: who the plugin is, and that it be
//! configured.

use crate::log::{Level, log};
use crate::proto::config::config_server::Config;
use crate::proto::config::{
    ConfigureRequest, ConfigureResponse, CoreConfiguration, ValidateRequest, ValidateResponse,
};
use crate::proto::init::init_server::Init;
use crate::proto::init::{DeinitRequest, DeinitResponse, InitRequest, InitResponse};
use crate::serving::{Candidate, Serving};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The services that are announced: this side's and no other's.
const ANNOUNCED: [&str; 2] = [
    "spire.plugin.server.nodeattestor.v1.NodeAttestor",
    "spire.service.common.config.v1.Config",
];

/// The host service without which first use cannot be checked.
const AGENT_STORE: &str = "spire.hostservice.server.agentstore.v1.AgentStore";

/// Answers the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) serving: Arc<Serving>,
}

#[tonic::async_trait]
impl Init for Catalog {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let offered = request.into_inner().host_service_names;
        if !offered.iter().any(|name| name == AGENT_STORE) {
            // spire-agent offers no such service.
            let why = "AgentStore host service is required: this is the server side of a node \
                       attestor, to be loaded by spire-server";
            log(Level::Error, why, &[]);
            return Err(Status::failed_precondition(why));
        }
        Ok(Response::new(InitResponse {
            plugin_service_names: ANNOUNCED.map(str::to_owned).to_vec(),
        }))
    }

    async fn deinit(&self, _: Request<DeinitRequest>) -> Result<Response<DeinitResponse>, Status> {
        Ok(Response::new(DeinitResponse {}))
    }
}

#[tonic::async_trait]
impl Config for Catalog {
    async fn configure(
        &self,
        request: Request<ConfigureRequest>,
    ) -> Result<Response<ConfigureResponse>, Status> {
        let request = request.into_inner();
        let candidate = candidate(request.core_configuration, request.hcl_configuration);
        let serving = Arc::clone(&self.serving);
        blocking(move || serving.configure(&candidate))
            .await?
            .map_err(|problems| Status::invalid_argument(problems.join("\n\n")))?;
        Ok(Response::new(ConfigureResponse {}))
    }

    async fn validate(
        &self,
        request: Request<ValidateRequest>,
    ) -> Result<Response<ValidateResponse>, Status> {
        let request = request.into_inner();
        let candidate = candidate(request.core_configuration, request.hcl_configuration);
        let serving = Arc::clone(&self.serving);
        let notes = blocking(move || serving.problems(&candidate)).await?;
        Ok(Response::new(ValidateResponse {
            valid: notes.is_empty(),
            notes,
        }))
    }
}

fn candidate(core: Option<CoreConfiguration>, text: String) -> Candidate {
    Candidate {
        trust_domain: core.map(|core| core.trust_domain),
        text,
    }
}

/// Compiling a policy must not hold up the other services.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_panicked| Status::internal("the plugin could not look at the configuration"))
}
