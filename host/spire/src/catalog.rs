//! What SPIRE's plugin catalog asks: who the plugin is, and that it be
//! configured.

use crate::log::{Level, log};
use crate::proto::config::config_server::Config;
use crate::proto::config::{
    ConfigureRequest, ConfigureResponse, CoreConfiguration, ValidateRequest, ValidateResponse,
};
use crate::proto::init::init_server::Init;
use crate::proto::init::{DeinitRequest, DeinitResponse, InitRequest, InitResponse};
use nameplate_attestor::config::{PluginData, Problem, Problems, Severity};
use nameplate_attestor::evidence::Method;
use nameplate_attestor::{TrustDomain, chain};
use std::fmt;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// What messages call the configuration's text; SPIRE's own name for it.
pub(crate) const SOURCE: &str = "plugin_data";

/// The host service that spire-server offers and spire-agent does not.
const AGENT_STORE: &str = "spire.hostservice.server.agentstore.v1.AgentStore";

/// The side of a node attestor that a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Agent,
}

impl Side {
    /// The services that are announced: this side's and no other's.
    const fn announced(self) -> [&'static str; 2] {
        let attestor = match self {
            Self::Server => "spire.plugin.server.nodeattestor.v1.NodeAttestor",
            Self::Agent => "spire.plugin.agent.nodeattestor.v1.NodeAttestor",
        };
        [attestor, "spire.service.common.config.v1.Config"]
    }

    /// Who offers `services` must be who loads this side.
    fn fits(self, services: &[String]) -> Result<(), &'static str> {
        let by_server = services.iter().any(|name| name == AGENT_STORE);
        match self {
            // Without it, first use cannot be checked.
            Self::Server if !by_server => Err("AgentStore host service is required: this is the \
                                               server side of a node attestor, to be loaded by \
                                               spire-server"),
            Self::Agent if by_server => Err("this is the agent side of a node attestor, to be \
                                             loaded by spire-agent"),
            Self::Server | Self::Agent => Ok(()),
        }
    }
}

/// SPIRE's part and the plugin's part of a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidate {
    /// The trust domain; none where SPIRE sent no part of its own.
    trust_domain: Option<String>,
    /// The plugin's part.
    text: String,
}

impl Candidate {
    /// What the configuration's reader needs. SPIRE's part is checked in
    /// SPIRE's words.
    pub(crate) fn data(&self, name: &str, method: Method) -> Result<PluginData, String> {
        let trust_domain = self
            .trust_domain
            .clone()
            .ok_or("server core configuration is required")?;
        if trust_domain.is_empty() {
            return Err("server core configuration must contain trust_domain".to_owned());
        }
        let parsed: Result<TrustDomain, _> = trust_domain.parse();
        if let Err(error) = parsed {
            let why = chain(&error);
            return Err(format!(
                "server core configuration trust_domain is malformed: {why}"
            ));
        }
        Ok(PluginData {
            text: self.text.clone(),
            trust_domain,
            attestor: name.to_owned(),
            method,
        })
    }
}

/// The part of a plugin that its configuration changes.
#[tonic::async_trait]
pub(crate) trait Configured: fmt::Debug + Send + Sync + 'static {
    /// Serves with `candidate`, or with what served before.
    fn configure(self: Arc<Self>, candidate: &Candidate) -> Result<(), Vec<String>>;

    /// Every problem of a candidate, each with line and caret. Changes nothing.
    fn problems(&self, candidate: &Candidate) -> Vec<String>;

    /// Comes before the end.
    async fn wind_down(&self) {}
}

/// Each problem by itself: the errors, or the warnings where there is none.
pub(crate) fn rendered(problems: &Problems) -> Vec<String> {
    let failed = problems.has_errors();
    let shown = |problem: &&Problem| !failed || problem.severity == Severity::Error;
    let one = |problem: &Problem| {
        problems
            .source
            .problems(vec![problem.clone()])
            .render(false)
    };
    problems.list.iter().filter(shown).map(one).collect()
}

/// Answers the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) side: Side,
    pub(crate) plugin: Arc<dyn Configured>,
}

#[tonic::async_trait]
impl Init for Catalog {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        self.side
            .fits(&request.into_inner().host_service_names)
            .map_err(|why| {
                log(Level::Error, why, &[]);
                Status::failed_precondition(why)
            })?;
        Ok(Response::new(InitResponse {
            plugin_service_names: self.side.announced().map(str::to_owned).to_vec(),
        }))
    }

    async fn deinit(&self, _: Request<DeinitRequest>) -> Result<Response<DeinitResponse>, Status> {
        self.plugin.wind_down().await;
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
        let plugin = Arc::clone(&self.plugin);
        blocking(move || plugin.configure(&candidate))
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
        let plugin = Arc::clone(&self.plugin);
        let notes = blocking(move || plugin.problems(&candidate)).await?;
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
