//! Plays SPIRE: starts the binary as go-plugin does, dials it, and serves the
//! host services. A fake in that it is not SPIRE; the plugin is the real one.

use crate::support::{Place, claims, token};
use hyper_util::rt::TokioIo;
use nameplate_spire::proto::agent_nodeattestor::node_attestor_client::NodeAttestorClient as AidClient;
use nameplate_spire::proto::agent_nodeattestor::payload_or_challenge_response::Data;
use nameplate_spire::proto::agent_nodeattestor::{Challenge, PayloadOrChallengeResponse as Said};
use nameplate_spire::proto::agentstore::agent_store_server::{AgentStore, AgentStoreServer};
use nameplate_spire::proto::agentstore::{GetAgentInfoRequest, GetAgentInfoResponse};
use nameplate_spire::proto::config::config_client::ConfigClient;
use nameplate_spire::proto::config::{ConfigureRequest, CoreConfiguration, ValidateRequest};
use nameplate_spire::proto::init::InitRequest;
use nameplate_spire::proto::init::init_client::InitClient;
use nameplate_spire::proto::metrics::metrics_server::{Metrics, MetricsServer};
use nameplate_spire::proto::metrics::{AddSampleRequest, IncrCounterRequest, SetGaugeRequest};
use nameplate_spire::proto::nodeattestor::attest_request::Request as Step;
use nameplate_spire::proto::nodeattestor::attest_response::Response as Answer;
use nameplate_spire::proto::nodeattestor::node_attestor_client::NodeAttestorClient;
use nameplate_spire::proto::nodeattestor::{AgentAttributes, AttestRequest};
use nameplate_spire::proto::plugin::grpc_broker_client::GrpcBrokerClient;
use nameplate_spire::proto::plugin::grpc_controller_client::GrpcControllerClient;
use nameplate_spire::proto::plugin::{ConnInfo, Empty};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};

/// The host services that spire-server offers.
pub(super) const OFFERED: [&str; 3] = [
    "spire.hostservice.server.identityprovider.v1.IdentityProvider",
    "spire.hostservice.server.agentstore.v1.AgentStore",
    "spire.hostservice.common.metrics.v1.Metrics",
];

/// Longer than anything here takes; what exceeds it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what has to come.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("hangs")
}

/// What the host services answer, and what they were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    /// How AgentStore answers; without one the agent is known.
    pub(super) agents: Arc<Mutex<Option<Code>>>,
    /// The counters, with their labels.
    pub(super) counted: Arc<Mutex<Vec<String>>>,
    /// The gauges as they are, by name and labels.
    pub(super) gauges: watch::Sender<BTreeMap<String, f32>>,
}

#[tonic::async_trait]
impl AgentStore for Services {
    async fn get_agent_info(
        &self,
        _: Request<GetAgentInfoRequest>,
    ) -> Result<Response<GetAgentInfoResponse>, Status> {
        match *self.agents.lock().unwrap() {
            Some(code) => Err(Status::new(code, "said by the test")),
            None => Ok(Response::new(GetAgentInfoResponse::default())),
        }
    }
}

#[tonic::async_trait]
impl Metrics for Services {
    async fn set_gauge(&self, one: Request<SetGaugeRequest>) -> Result<Response<()>, Status> {
        let one = one.into_inner();
        let labels: Vec<_> = one
            .labels
            .iter()
            .map(|label| label.value.as_str())
            .collect();
        let line = format!("{} {}", one.key.join("."), labels.join(" "));
        self.gauges.send_modify(|gauges| {
            gauges.insert(line, one.val);
        });
        Ok(Response::new(()))
    }

    async fn incr_counter(&self, one: Request<IncrCounterRequest>) -> Result<Response<()>, Status> {
        let one = one.into_inner();
        let labels: Vec<_> = one
            .labels
            .iter()
            .map(|label| label.value.as_str())
            .collect();
        let line = format!("{} {}", one.key.join("."), labels.join(" "));
        self.counted.lock().unwrap().push(line);
        Ok(Response::new(()))
    }

    async fn add_sample(&self, _: Request<AddSampleRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }
}

/// A started plugin.
pub(super) struct Host {
    pub(super) child: Child,
    pub(super) socket: PathBuf,
    pub(super) services: Services,
    channel: Channel,
    broker: mpsc::Sender<ConnInfo>,
    answers: Streaming<ConnInfo>,
    log: watch::Receiver<String>,
}

/// A command line of the plugin, in the environment that SPIRE gives it.
pub(super) fn launched(place: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(place)
        .env("NodeAttestor", "NodeAttestor")
        .env("TMPDIR", place)
        .env_remove("PLUGIN_UNIX_SOCKET_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The socket that the handshake line names.
pub(super) async fn handshake(child: &mut Child) -> PathBuf {
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.as_mut().unwrap());
    soon(stdout.read_line(&mut line)).await.unwrap();
    let fields: Vec<_> = line.trim_end().split('|').collect();
    let [core, protocol, network, path, transport, certificate] = fields[..] else {
        panic!("not a handshake line: {line:?}");
    };
    let said = [core, protocol, network, transport, certificate];
    assert_eq!(said, ["1", "1", "unix", "grpc", ""]);
    path.into()
}

impl Host {
    /// Starts the plugin, and says through the broker where the services are.
    pub(super) async fn start(place: &Place, arguments: &str) -> Self {
        let mut host = Self::silent(place, arguments).await;
        host.say_where(place).await;
        host
    }

    /// Starts the plugin and says nothing.
    pub(super) async fn silent(place: &Place, arguments: &str) -> Self {
        Self::silent_side(place, "server", arguments).await
    }

    /// Starts the plugin of the agent's side; it asks nothing of SPIRE.
    pub(super) async fn agent(place: &Place, arguments: &str) -> Self {
        Self::silent_side(place, "agent", arguments).await
    }

    async fn silent_side(place: &Place, side: &str, arguments: &str) -> Self {
        let mut child = launched(place.path(), env!("CARGO_BIN_EXE_nameplate"))
            .args(["spire", side])
            .args(arguments.split_whitespace())
            .spawn()
            .unwrap();
        let socket = handshake(&mut child).await;
        let (write, log) = watch::channel(String::new());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        tokio::spawn(async move {
            let mut line = String::new();
            while stderr.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                write.send_modify(|log| log.push_str(&line));
                line.clear();
            }
        });
        let path = socket.clone();
        // The authority that grpc-go sends.
        let channel = Endpoint::from_static("http://unused")
            .connect_with_connector(tower::service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            }))
            .await
            .unwrap();
        let (broker, told) = mpsc::channel(1);
        let answers = GrpcBrokerClient::new(channel.clone())
            .start_stream(ReceiverStream::new(told))
            .await
            .unwrap()
            .into_inner();
        let services = Services::default();
        *services.agents.lock().unwrap() = Some(Code::NotFound);
        Self {
            child,
            socket,
            services,
            channel,
            broker,
            answers,
            log,
        }
    }

    /// Serves the host services, and tells the plugin where.
    pub(super) async fn say_where(&mut self, place: &Place) {
        let address = place.path().join("spire.sock");
        let listener = UnixListener::bind(&address).unwrap();
        tokio::spawn(
            Server::builder()
                .add_service(AgentStoreServer::new(self.services.clone()))
                .add_service(MetricsServer::new(self.services.clone()))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        let info = ConnInfo {
            service_id: 1,
            network: "unix".to_owned(),
            address: address.to_str().unwrap().to_owned(),
            knock: None,
        };
        self.broker.send(info).await.unwrap();
    }

    pub(super) async fn init(&self, offered: &[&str]) -> Result<Vec<String>, Status> {
        let request = InitRequest {
            host_service_names: offered.iter().map(ToString::to_string).collect(),
        };
        let mut init = InitClient::new(self.channel.clone());
        let response = soon(init.init(request)).await?;
        Ok(response.into_inner().plugin_service_names)
    }

    pub(super) async fn configure(&self, text: &str) -> Result<(), Status> {
        self.configure_with(Some("example.org"), text).await
    }

    pub(super) async fn configure_with(
        &self,
        trust_domain: Option<&str>,
        text: &str,
    ) -> Result<(), Status> {
        let request = ConfigureRequest {
            core_configuration: trust_domain.map(|name| CoreConfiguration {
                trust_domain: name.to_owned(),
            }),
            hcl_configuration: text.to_owned(),
        };
        let mut config = ConfigClient::new(self.channel.clone());
        soon(config.configure(request)).await?;
        Ok(())
    }

    pub(super) async fn validate(&self, text: &str) -> (bool, Vec<String>) {
        let request = ValidateRequest {
            core_configuration: Some(CoreConfiguration {
                trust_domain: "example.org".to_owned(),
            }),
            hcl_configuration: text.to_owned(),
        };
        let mut config = ConfigClient::new(self.channel.clone());
        let response = soon(config.validate(request)).await.unwrap().into_inner();
        (response.valid, response.notes)
    }

    /// Opens a stream and sends nothing.
    pub(super) async fn half_open(&self) -> (mpsc::Sender<AttestRequest>, Answers) {
        let (send, requests) = mpsc::channel(1);
        let mut attestor = NodeAttestorClient::new(self.channel.clone());
        let answers = soon(attestor.attest(ReceiverStream::new(requests))).await;
        (send, answers.unwrap().into_inner())
    }

    pub(super) async fn attest(&self, payload: Vec<u8>) -> Result<AgentAttributes, Status> {
        self.attest_step(Step::Payload(payload)).await
    }

    pub(super) async fn attest_step(&self, step: Step) -> Result<AgentAttributes, Status> {
        let (send, mut answers) = self.half_open().await;
        let request = AttestRequest {
            request: Some(step),
        };
        send.send(request).await.unwrap();
        let answer = soon(answers.message()).await?.expect("the stream ended");
        match answer.response {
            Some(Answer::AgentAttributes(attributes)) => Ok(attributes),
            other => panic!("no attributes: {other:?}"),
        }
    }

    /// Asks for a node's payload as spire-agent does: sends nothing, waits.
    /// Whether the stream ended with it comes too.
    pub(super) async fn aid(&self) -> Result<(Vec<u8>, bool), Status> {
        let (_send, challenges) = mpsc::channel(1);
        let mut attestor = AidClient::new(self.channel.clone());
        let answer = soon(attestor.aid_attestation(ReceiverStream::new(challenges))).await?;
        let mut answers = answer.into_inner();
        let first = soon(answers.message()).await?.expect("the stream ended");
        let Some(Data::Payload(payload)) = first.data else {
            panic!("no payload: {first:?}");
        };
        Ok((payload, soon(answers.message()).await?.is_none()))
    }

    /// Opens the agent's stream, as spire-agent does for a challenge.
    pub(super) async fn aid_open(&self) -> (mpsc::Sender<Challenge>, Streaming<Said>) {
        let (send, challenges) = mpsc::channel(1);
        let mut attestor = AidClient::new(self.channel.clone());
        let answers = soon(attestor.aid_attestation(ReceiverStream::new(challenges))).await;
        (send, answers.unwrap().into_inner())
    }

    /// Waits until the log has a line with `words`.
    pub(super) async fn logged(&self, words: &str) {
        let mut log = self.log.clone();
        let has = |log: &String| log.contains(words);
        if tokio::time::timeout(PATIENCE, log.wait_for(has))
            .await
            .is_err()
        {
            panic!("never logged {words:?}: {}", *self.log.borrow());
        }
    }

    /// Waits until a gauge has a value.
    pub(super) async fn gauged(&self, name: &str, value: f32) {
        let mut gauges = self.services.gauges.subscribe();
        let is = |gauges: &BTreeMap<String, f32>| gauges.get(name) == Some(&value);
        if tokio::time::timeout(PATIENCE, gauges.wait_for(is))
            .await
            .is_err()
        {
            panic!("never {name} {value}: {:?}", *self.services.gauges.borrow());
        }
    }

    /// The log so far, each line read as SPIRE reads it.
    pub(super) fn log(&self) -> Vec<Value> {
        let log = self.log.borrow();
        let read = |line| {
            let read: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
            for name in ["@level", "@message", "@timestamp"] {
                assert!(read[name].is_string(), "{line}");
            }
            read
        };
        log.lines().map(read).collect()
    }

    pub(super) fn whole_log(&self) -> String {
        self.log.borrow().clone()
    }

    pub(super) async fn deinit(&self) {
        let mut init = InitClient::new(self.channel.clone());
        soon(init.deinit(nameplate_spire::proto::init::DeinitRequest {}))
            .await
            .unwrap();
    }

    /// Whether the broker's stream is still open.
    pub(super) async fn broker_is_open(&mut self) -> bool {
        let ended = self.answers.message();
        tokio::time::timeout(Duration::ZERO, ended).await.is_err()
    }

    /// Asks the plugin to end; its exit status, and what else it had said on
    /// standard output.
    pub(super) async fn shut_down(mut self) -> (ExitStatus, String) {
        let mut controller = GrpcControllerClient::new(self.channel.clone());
        // The answer may be lost with the connection.
        let _answer = soon(controller.shutdown(Empty {})).await;
        self.ended().await
    }

    /// SPIRE kills what has not ended after two seconds.
    pub(super) async fn ended(&mut self) -> (ExitStatus, String) {
        let status = tokio::time::timeout(Duration::from_secs(2), self.child.wait()).await;
        let mut rest = String::new();
        let stdout = self.child.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut rest).await.unwrap();
        (status.expect("still there after 2 s").unwrap(), rest)
    }
}

pub(super) type Answers = Streaming<nameplate_spire::proto::nodeattestor::AttestResponse>;

/// Claims that hold now.
pub(super) fn claims_now() -> Value {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    let mut claims = claims();
    claims["iat"] = json!(now);
    claims["nbf"] = json!(now);
    claims["exp"] = json!(now + 600);
    claims
}

/// What an agent sends.
pub(super) fn payload(claims: &Value) -> Vec<u8> {
    let payload = json!({ "cluster": "production", "token": token(claims) });
    payload.to_string().into_bytes()
}
