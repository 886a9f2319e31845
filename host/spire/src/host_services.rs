//! What SPIRE offers to the plugin, dialled at the first use.
//!
//! SPIRE says through the broker where its services listen, on another stream
//! than the one that `Init` comes on: either may be first. And until the
//! server is up they answer FailedPrecondition, so nothing here is called
//! before an attestation needs it.

use crate::dial::{self, said};
use crate::proto::agentstore::GetAgentInfoRequest;
use crate::proto::agentstore::agent_store_client::AgentStoreClient;
use crate::proto::identityprovider::FetchX509IdentityRequest;
use crate::proto::identityprovider::identity_provider_client::IdentityProviderClient;
use nameplate_attestor::evidence::Patience;
use nameplate_attestor::evidence::certificates::{BundleError, BundleSource, TrustedAuthorities};
use nameplate_attestor::{KnownAgents, KnownAgentsError, SpiffeId, chain};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, watch};
use tonic::Code;
use tonic::transport::Channel;

/// How long a call waits to be told where SPIRE listens; go-plugin's own wait.
const ADDRESS_WAIT: Duration = Duration::from_secs(5);

/// The number of SPIRE's services at the broker.
pub(crate) const HOST_SERVICES: u32 = 1;

/// SPIRE's services.
#[derive(Debug)]
pub(crate) struct HostServices {
    address: watch::Sender<Option<PathBuf>>,
    channel: OnceCell<Channel>,
    runtime: Handle,
}

impl HostServices {
    /// To be called on the runtime that shall carry the calls.
    pub(crate) fn new() -> Self {
        Self {
            address: watch::Sender::new(None),
            channel: OnceCell::new(),
            runtime: Handle::current(),
        }
    }

    /// SPIRE said where it listens.
    pub(crate) fn listen_at(&self, path: PathBuf) {
        self.address.send_replace(Some(path));
    }

    /// A connection, made when it is first used and again after a loss.
    pub(crate) async fn channel(&self) -> Result<Channel, String> {
        let dial = || async {
            let mut address = self.address.subscribe();
            let known = address.wait_for(Option::is_some);
            let path = match tokio::time::timeout(ADDRESS_WAIT, known).await {
                Ok(Ok(path)) => path.clone().unwrap_or_default(),
                Ok(Err(_)) | Err(_) => return Err("SPIRE did not say where it listens".to_owned()),
            };
            Ok(dial::unix(path))
        };
        self.channel.get_or_try_init(dial).await.cloned()
    }

    async fn agent_is_known(&self, id: &SpiffeId) -> Result<bool, String> {
        let mut agents = AgentStoreClient::new(self.channel().await?);
        let asked = GetAgentInfoRequest {
            agent_id: id.to_string(),
        };
        match agents.get_agent_info(asked).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(said(&status)),
        }
    }

    async fn authorities_now(&self) -> Result<TrustedAuthorities, String> {
        let mut provider = IdentityProviderClient::new(self.channel().await?);
        let answer = provider
            .fetch_x509_identity(FetchX509IdentityRequest {})
            .await
            .map_err(|status| said(&status))?;
        let bundle = answer.into_inner().bundle.unwrap_or_default();
        let authorities = bundle.x509_authorities.into_iter();
        TrustedAuthorities::from_der(authorities.map(|authority| authority.asn1.into()).collect())
            .map_err(|error| chain(&error))
    }
}

/// Asked on the blocking threads that attestations run on.
impl BundleSource for HostServices {
    fn authorities(&self, patience: &Patience) -> Result<TrustedAuthorities, BundleError> {
        let left = patience.left(Instant::now());
        let asked = tokio::time::timeout(left, self.authorities_now());
        match self.runtime.block_on(asked) {
            Ok(answer) => answer.map_err(|what| BundleError(format!("IdentityProvider: {what}"))),
            Err(_elapsed) => Err(BundleError(
                "IdentityProvider: no answer in time".to_owned(),
            )),
        }
    }
}

/// Asked on the blocking threads that attestations run on.
impl KnownAgents for HostServices {
    fn knows(&self, id: &SpiffeId, patience: &Patience) -> Result<bool, KnownAgentsError> {
        let left = patience.left(Instant::now());
        let asked = tokio::time::timeout(left, self.agent_is_known(id));
        match self.runtime.block_on(asked) {
            Ok(answer) => answer.map_err(|what| KnownAgentsError(format!("AgentStore: {what}"))),
            Err(_elapsed) => Err(KnownAgentsError("AgentStore: no answer in time".to_owned())),
        }
    }
}
