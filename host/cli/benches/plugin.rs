//! What an attestation costs over the plugin's own socket: attestations per
//! second, and CPU of the plugin, as a ratio to one signature verification with
//! a parsed key in the same run: RS256-2048 for tokens, P-256 for certificates.
//! These are the numbers in the README.
//!
//! The plugin is the real process and this program plays SPIRE, host services
//! included: `k8s_sat` asks AgentStore for each agent, and both count in
//! Metrics. Driver and plugin share the machine's cores, so the rate is less
//! than the plugin could do; its CPU is its own.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on should stop, and says what it measured"
)]

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper_util::rt::TokioIo;
use nameplate_evidence::certificates::{Nonce, Prover};
use nameplate_spire::proto::agentstore::agent_store_server::{AgentStore, AgentStoreServer};
use nameplate_spire::proto::agentstore::{GetAgentInfoRequest, GetAgentInfoResponse};
use nameplate_spire::proto::config::config_client::ConfigClient;
use nameplate_spire::proto::config::{ConfigureRequest, CoreConfiguration};
use nameplate_spire::proto::init::InitRequest;
use nameplate_spire::proto::init::init_client::InitClient;
use nameplate_spire::proto::metrics::metrics_server::{Metrics, MetricsServer};
use nameplate_spire::proto::metrics::{AddSampleRequest, IncrCounterRequest, SetGaugeRequest};
use nameplate_spire::proto::nodeattestor::AttestRequest;
use nameplate_spire::proto::nodeattestor::attest_request::Request as Step;
use nameplate_spire::proto::nodeattestor::attest_response::Response as Answer;
use nameplate_spire::proto::nodeattestor::node_attestor_client::NodeAttestorClient;
use nameplate_spire::proto::plugin::ConnInfo;
use nameplate_spire::proto::plugin::grpc_broker_client::GrpcBrokerClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyUsagePurpose};
use serde_json::json;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each number of streams has its turn; the median counts.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const STREAMS: [usize; 3] = [1, 8, 32];

/// SPIRE's services, with the answers that let an agent attest.
#[derive(Clone, Copy, Debug)]
struct Spire;

#[tonic::async_trait]
impl AgentStore for Spire {
    async fn get_agent_info(
        &self,
        _: Request<GetAgentInfoRequest>,
    ) -> Result<Response<GetAgentInfoResponse>, Status> {
        Err(Status::not_found("no such agent"))
    }
}

#[tonic::async_trait]
impl Metrics for Spire {
    async fn set_gauge(&self, _: Request<SetGaugeRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }

    async fn incr_counter(&self, _: Request<IncrCounterRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }

    async fn add_sample(&self, _: Request<AddSampleRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }
}

/// A started plugin, and the broker's stream, which has to stay open.
struct Plugin {
    child: Child,
    channel: Channel,
    _broker: mpsc::Sender<ConnInfo>,
}

impl Plugin {
    async fn start(place: &Path, method: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nameplate"))
            .args(["spire", "server", "--attestor", method])
            .current_dir(place)
            .env("NodeAttestor", "NodeAttestor")
            .env("TMPDIR", place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Written all the same, and not into the directory that is watched.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).await.unwrap();
        let socket = line.split('|').nth(3).unwrap().to_owned();
        let channel = Endpoint::from_static("http://unused")
            .connect_with_connector(tower::service_fn(move |_| {
                let socket = socket.clone();
                async move { UnixStream::connect(socket).await.map(TokioIo::new) }
            }))
            .await
            .unwrap();

        let address = place.join(format!("{method}.sock"));
        let listener = UnixListener::bind(&address).unwrap();
        tokio::spawn(
            Server::builder()
                .add_service(AgentStoreServer::new(Spire))
                .add_service(MetricsServer::new(Spire))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        let (broker, told) = mpsc::channel(1);
        GrpcBrokerClient::new(channel.clone())
            .start_stream(ReceiverStream::new(told))
            .await
            .unwrap();
        let info = ConnInfo {
            service_id: 1,
            network: "unix".to_owned(),
            address: address.to_str().unwrap().to_owned(),
            knock: None,
        };
        broker.send(info).await.unwrap();
        Self {
            child,
            channel,
            _broker: broker,
        }
    }

    async fn configure(&self, text: &str) {
        let services = [
            "spire.hostservice.server.agentstore.v1.AgentStore",
            "spire.hostservice.common.metrics.v1.Metrics",
        ];
        let request = InitRequest {
            host_service_names: services.map(str::to_owned).to_vec(),
        };
        InitClient::new(self.channel.clone())
            .init(request)
            .await
            .unwrap();
        let request = ConfigureRequest {
            core_configuration: Some(CoreConfiguration {
                trust_domain: "example.org".to_owned(),
            }),
            hcl_configuration: text.to_owned(),
        };
        ConfigClient::new(self.channel.clone())
            .configure(request)
            .await
            .unwrap();
    }

    /// CPU that the plugin has used so far, in user and in system.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id().unwrap())).unwrap();
        // The name in parentheses may hold anything; two fields before the state.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Attests on `streams` at once for a round; attestations and CPU per each.
    async fn round(&self, streams: usize, node: &Node) -> (f64, f64) {
        let (cpu, started) = (self.cpu(), Instant::now());
        let mut at_work = Vec::new();
        for _ in 0..streams {
            let attestor = NodeAttestorClient::new(self.channel.clone());
            let node = node.clone();
            at_work.push(tokio::spawn(async move {
                let mut count = 0_u32;
                while started.elapsed() < ROUND {
                    node.attest(attestor.clone()).await;
                    count += 1;
                }
                count
            }));
        }
        let mut count = 0_u32;
        for one in at_work {
            count += one.await.unwrap();
        }
        let rate = f64::from(count) / started.elapsed().as_secs_f64();
        let cost = (self.cpu() - cpu).as_secs_f64() * 1e6 / f64::from(count);
        (rate, cost)
    }
}

/// A node that attests: what it sends, and what answers a challenge.
#[derive(Clone)]
struct Node {
    payload: Vec<u8>,
    prover: Option<Arc<Prover>>,
}

impl Node {
    async fn attest(&self, mut attestor: NodeAttestorClient<Channel>) {
        let (send, requests) = mpsc::channel(1);
        let say = |step| AttestRequest {
            request: Some(step),
        };
        let payload = Step::Payload(self.payload.clone());
        send.send(say(payload)).await.unwrap();
        let answers = attestor.attest(ReceiverStream::new(requests)).await;
        let mut answers = answers.unwrap().into_inner();
        let mut answer = answers.message().await.unwrap().unwrap().response.unwrap();
        if let (Answer::Challenge(challenge), Some(prover)) = (&answer, &self.prover) {
            let proof = prover.answer(challenge, Nonce::random().unwrap()).unwrap();
            send.send(say(Step::ChallengeResponse(proof)))
                .await
                .unwrap();
            answer = answers.message().await.unwrap().unwrap().response.unwrap();
        }
        assert!(matches!(answer, Answer::AgentAttributes(_)));
        // To the end: a stream that is given up costs both sides more.
        drop(send);
        assert!(answers.message().await.unwrap().is_none());
    }
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches` only wants to know that it builds.
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let place = tempfile::tempdir().unwrap();
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = key.public_key().as_der().unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    fs::write(place.path().join("key.pem"), pem).unwrap();
    let clusters = |more: &str| {
        format!(
            "clusters = {{ \"production\" = {{\n{more}\n\
             service_account_key_file = \"key.pem\"\n\
             service_account_allow_list = [\"spire:spire-agent\"]\n\
             issuer = \"https://kubernetes.default.svc.cluster.local\"\n\
             audience = [\"spire-server\"]\n}} }}"
        )
    };
    let pod = Node {
        payload: json!({"cluster": "production", "token": token(&key)})
            .to_string()
            .into_bytes(),
        prover: None,
    };
    let machine = machine(place.path());
    let (rsa, p256) = (Verification::rsa(&key), Verification::p256());

    println!("attestor  streams  attestations/s  plugin CPU each  ÷ one verification");
    for (method, data, node, verification) in [
        ("k8s_sat", clusters(""), &pod, &rsa),
        ("k8s_psat", clusters("verification = \"local\""), &pod, &rsa),
        (
            "x509pop",
            "ca_bundle_path = \"ca.pem\"".to_owned(),
            &machine,
            &p256,
        ),
    ] {
        let plugin = Plugin::start(place.path(), method).await;
        plugin.configure(&data).await;
        let mut measured = STREAMS.map(|streams| (streams, Vec::new()));
        for _ in 0..ROUNDS {
            for (streams, rounds) in &mut measured {
                let (rate, cost) = plugin.round(*streams, node).await;
                rounds.push((rate, cost, cost / verification.micros()));
            }
        }
        for (streams, rounds) in measured {
            let rate = median(rounds.iter().map(|round| round.0));
            let cost = median(rounds.iter().map(|round| round.1));
            let ratio = median(rounds.iter().map(|round| round.2));
            println!("{method:8}  {streams:7}  {rate:14.0}  {cost:12.1} µs  {ratio:.2}");
        }
    }
    println!(
        "one verification: RS256-2048 {:.1} µs, P-256 {:.1} µs",
        rsa.micros(),
        p256.micros()
    );
}

/// A machine with a P-256 certificate of the authority in `place`/ca.pem.
fn machine(place: &Path) -> Node {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    fs::write(place.join("ca.pem"), root.pem()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "node-7");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let leaf = params.signed_by(&key, &root).unwrap();
    let prover = Prover::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    Node {
        payload: prover.payload(),
        prover: Some(Arc::new(prover)),
    }
}

/// One signature over and over.
struct Verification {
    key: ParsedPublicKey,
    signature: Vec<u8>,
}

const MESSAGE: &[u8] = b"a message of no consequence";

impl Verification {
    fn rsa(key: &KeyPair) -> Self {
        let der = key.public_key().as_der().unwrap();
        Self {
            key: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref()).unwrap(),
            signature: sign(key, MESSAGE),
        }
    }

    fn p256() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self {
            key: ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref()).unwrap(),
            signature: key.sign(&random, MESSAGE).unwrap().as_ref().to_vec(),
        }
    }

    /// What it costs now, the machine being as busy as it is: nobody else of
    /// this run is at work.
    fn micros(&self) -> f64 {
        median((0..31).map(|_| {
            let started = Instant::now();
            for _ in 0..200 {
                self.key
                    .verify_sig(black_box(MESSAGE), black_box(&self.signature))
                    .unwrap();
            }
            started.elapsed().as_secs_f64() * 1e6 / 200.0
        }))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn sign(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message,
        &mut signature,
    )
    .unwrap();
    signature
}

/// A projected token as Kubernetes issues it, good for an hour.
fn token(key: &KeyPair) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = json!({
        "aud": ["spire-server"], "iss": "https://kubernetes.default.svc.cluster.local",
        "exp": now + 3600, "iat": now, "nbf": now, "jti": "0e8a4d5c-1b7f-4b6e-9c53-6ad8e7b0a2f1",
        "sub": "system:serviceaccount:spire:spire-agent",
        "kubernetes.io": {
            "namespace": "spire",
            "node": {"name": "node-7.example.internal", "uid": "c56a4180-65aa-42ec-a945-5fd21dec0538"},
            "pod": {"name": "spire-agent-x8k2p", "uid": "5dbad7b1-9a3e-4b62-8a5e-3d8f5f7b3f11"},
            "serviceaccount": {"name": "spire-agent", "uid": "9c2f7a43-7d4f-4b8e-b6a4-2f3d1a9e8c70"},
        },
    });
    let header = json!({"alg": "RS256", "kid": "ZkVFzqoFhGLEnh3C2aEUxQIW1yQC4MCGPu_8Zc8JTPE"});
    let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let input = input.join(".");
    let signature = URL_SAFE_NO_PAD.encode(sign(key, input.as_bytes()));
    format!("{input}.{signature}")
}
