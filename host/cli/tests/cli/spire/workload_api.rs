//! The agent's side with an SVID of the Workload API, which is served here over
//! a real socket.

use super::host::{Host, soon};
use super::refused;
use crate::support::Place;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::certificates::Prover;
use nameplate_spire::proto::agent_nodeattestor::payload_or_challenge_response::Data;
use nameplate_spire::proto::workload::spiffe_workload_api_server::{
    SpiffeWorkloadApi, SpiffeWorkloadApiServer,
};
use nameplate_spire::proto::workload::{X509svid, X509svidRequest, X509svidResponse};
use std::sync::{Arc, Mutex};
use tokio::net::UnixListener;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

const DATA: &str = "spiffe_endpoint_socket = \"unix://SOCKET\"\n";

/// What the Workload API answers.
#[derive(Clone, Debug)]
enum Answer {
    Svids(Vec<X509svid>),
    Refusal(Code, &'static str),
    /// A stream that ends without a word.
    Silence,
}

#[derive(Clone, Debug)]
struct WorkloadApi(Arc<Mutex<Answer>>);

#[tonic::async_trait]
impl SpiffeWorkloadApi for WorkloadApi {
    type FetchX509SVIDStream = ReceiverStream<Result<X509svidResponse, Status>>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        // As every Workload API has to (SPIFFE Workload Endpoint §6.1).
        let header = request.metadata().get("workload.spiffe.io");
        if header.is_none_or(|value| value != "true") {
            return Err(Status::invalid_argument("security header missing"));
        }
        let (send, stream) = tokio::sync::mpsc::channel(1);
        match self.0.lock().unwrap().clone() {
            Answer::Svids(svids) => send.try_send(Ok(X509svidResponse { svids })).unwrap(),
            Answer::Refusal(code, message) => return Err(Status::new(code, message)),
            Answer::Silence => {}
        }
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// The DER of the first PEM block of a file.
fn der(place: &Place, name: &str) -> Vec<u8> {
    let text = place.read(name);
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

fn svid(place: &Place, key: &str) -> X509svid {
    X509svid {
        spiffe_id: "spiffe://example.org/spire-exchange/node-7".to_owned(),
        // The SVID, and an intermediate behind it.
        x509_svid: [der(place, "node.pem"), der(place, "ca.pem")].concat(),
        x509_svid_key: der(place, key),
    }
}

/// A Workload API, and the plugin that asks it.
async fn served(place: &Place) -> (WorkloadApi, Host) {
    place.issue();
    let api = WorkloadApi(Arc::new(Mutex::new(Answer::Silence)));
    let socket = place.path().join("workload.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(
        Server::builder()
            .add_service(SpiffeWorkloadApiServer::new(api.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener)),
    );
    let host = Host::agent(place, "--attestor x509pop").await;
    host.init(&["spire.hostservice.common.metrics.v1.Metrics"])
        .await
        .unwrap();
    host.configure(&DATA.replace("SOCKET", socket.to_str().unwrap()))
        .await
        .unwrap();
    (api, host)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_proves_itself_with_the_svid_that_it_is_given_now() {
    let place = Place::new();
    let (api, host) = served(&place).await;
    let good = svid(&place, "node.key");
    let prover = Prover::from_der(&good.x509_svid, &good.x509_svid_key).unwrap();
    // Of several the first counts, as it does for SPIRE.
    *api.0.lock().unwrap() = Answer::Svids(vec![good, svid(&place, "other.key")]);
    let (_challenges, mut said) = host.aid_open().await;
    let first = soon(said.message()).await.unwrap().unwrap();
    assert_eq!(first.data, Some(Data::Payload(prover.payload())));
    let log = host.whole_log();
    let key = place.read("node.key");
    assert!(!log.contains(key.lines().nth(1).unwrap()), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_svid_it_says_why() {
    let place = Place::new();
    let (api, host) = served(&place).await;
    let broken = X509svid {
        x509_svid: vec![0x30, 0x82],
        ..svid(&place, "node.key")
    };
    for (answer, why) in [
        (
            Answer::Refusal(Code::PermissionDenied, "no identity issued"),
            ": PermissionDenied: no identity issued",
        ),
        (Answer::Svids(Vec::new()), ": no SVIDs in response"),
        (Answer::Silence, ": no SVIDs in response"),
        (
            Answer::Svids(vec![svid(&place, "other.key")]),
            ": private key does not match the certificate's public key",
        ),
    ] {
        *api.0.lock().unwrap() = answer;
        refused(
            host.aid().await.unwrap_err(),
            Code::Unavailable,
            &format!("unable to fetch SVID from workload API{why}"),
        );
    }
    *api.0.lock().unwrap() = Answer::Svids(vec![broken]);
    let status = host.aid().await.unwrap_err();
    let why = "unable to fetch SVID from workload API: certificate cannot be read";
    assert!(status.message().starts_with(why), "{}", status.message());

    host.configure("spiffe_endpoint_socket = \"unix:///nowhere.sock\"\n")
        .await
        .unwrap();
    let status = host.aid().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let message = status.message();
    assert!(
        message.starts_with("unable to fetch SVID from workload API: Unavailable: "),
        "{message}"
    );
    assert!(message.contains("No such file or directory"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_the_workload_api_exclude_each_other() {
    let place = Place::new();
    let (_api, host) = served(&place).await;
    for (data, problem) in [
        (
            "spiffe_endpoint_socket = \"/run/a.sock\"\ncertificate_path = \"node.pem\"\n",
            "`certificate_path` and `spiffe_endpoint_socket` exclude each other",
        ),
        (
            "spiffe_endpoint_socket = \"tcp://127.0.0.1:8000\"\n",
            "the private key would travel unprotected",
        ),
        (
            "spiffe_endpoint_socket = \"\"\n",
            "`spiffe_endpoint_socket` is empty",
        ),
    ] {
        let status = host.configure(data).await.unwrap_err();
        assert!(status.message().contains(problem), "{}", status.message());
    }
    assert_eq!(
        host.validate("spiffe_endpoint_socket = \"/run/a.sock\"\n")
            .await,
        (true, Vec::new())
    );
}
