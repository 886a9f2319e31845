//! Between a challenge and its answer, on either side.

use super::host::{Answers, Host, OFFERED, soon};
use super::refused;
use crate::support::Place;
use nameplate_evidence::certificates::{Nonce, Prover};
use nameplate_spire::proto::agent_nodeattestor::Challenge;
use nameplate_spire::proto::agent_nodeattestor::payload_or_challenge_response::Data;
use nameplate_spire::proto::nodeattestor::attest_request::Request as Sent;
use nameplate_spire::proto::nodeattestor::attest_response::Response as Answer;
use nameplate_spire::proto::nodeattestor::{AgentAttributes, AttestRequest};
use tokio::sync::mpsc;
use tonic::{Code, Status};

const POP: &str = "--attestor x509pop";

const DATA: &str = "ca_bundle_path = \"ca.pem\"\npolicy { source = \"builtin:subject\" }\n\
                    limits { deadline = \"30s\" }\n";

async fn serving(place: &Place, arguments: &str) -> Host {
    place.issue();
    let host = Host::start(place, arguments).await;
    host.init(&OFFERED).await.unwrap();
    host.configure(DATA).await.unwrap();
    host
}

fn prover(place: &Place) -> Prover {
    let (certificate, key) = (place.read("node.pem"), place.read("node.key"));
    Prover::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
}

/// A stream, and what is asked on it.
struct Asked {
    send: mpsc::Sender<AttestRequest>,
    answers: Answers,
    challenge: Vec<u8>,
}

impl Asked {
    async fn by(host: &Host, prover: &Prover) -> Self {
        let (send, answers) = host.half_open().await;
        let mut asked = Self {
            send,
            answers,
            challenge: Vec::new(),
        };
        asked.say(Sent::Payload(prover.payload())).await;
        match soon(asked.answers.message())
            .await
            .unwrap()
            .unwrap()
            .response
        {
            Some(Answer::Challenge(challenge)) => asked.challenge = challenge,
            other => panic!("no challenge: {other:?}"),
        }
        asked
    }

    async fn say(&self, what: Sent) {
        let request = Some(what);
        self.send.send(AttestRequest { request }).await.unwrap();
    }

    async fn given(mut self) -> Result<AgentAttributes, Status> {
        match soon(self.answers.message()).await?.unwrap().response {
            Some(Answer::AgentAttributes(attributes)) => Ok(attributes),
            other => panic!("no attributes: {other:?}"),
        }
    }

    async fn answer(self, with: Sent) -> Result<AgentAttributes, Status> {
        self.say(with).await;
        self.given().await
    }
}

fn proof(prover: &Prover, challenge: &[u8]) -> Vec<u8> {
    prover.answer(challenge, Nonce::random().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_key_has_the_name() {
    let place = Place::new();
    let host = serving(&place, POP).await;
    let prover = prover(&place);
    let asked = Asked::by(&host, &prover).await;
    let good = proof(&prover, &asked.challenge);
    let given = asked
        .answer(Sent::ChallengeResponse(good.clone()))
        .await
        .unwrap();
    assert_eq!(
        given.spiffe_id,
        "spiffe://example.org/spire/agent/x509pop/node-7"
    );
    assert!(given.can_reattest);

    let rejected = |reason: &str| format!("{reason}: the evidence was rejected");
    for (answer, code, reason) in [
        // Good for the challenge before, and no other.
        (
            Sent::ChallengeResponse(good),
            Code::PermissionDenied,
            "possession_unproven",
        ),
        (
            Sent::ChallengeResponse(b"{}".to_vec()),
            Code::PermissionDenied,
            "response_kind",
        ),
        (
            Sent::ChallengeResponse(b"{".to_vec()),
            Code::InvalidArgument,
            "response_malformed",
        ),
        (
            Sent::ChallengeResponse(vec![b' '; 1 << 20]),
            Code::InvalidArgument,
            "response_malformed",
        ),
        (
            Sent::Payload(prover.payload()),
            Code::InvalidArgument,
            "challenge_unanswered",
        ),
    ] {
        let asked = Asked::by(&host, &prover).await;
        refused(
            asked.answer(answer).await.unwrap_err(),
            code,
            &rejected(reason),
        );
    }
    // One that ends its side instead.
    let mut asked = Asked::by(&host, &prover).await;
    asked.send = mpsc::channel(1).0;
    let reason = rejected("challenge_unanswered");
    refused(
        asked.given().await.unwrap_err(),
        Code::InvalidArgument,
        &reason,
    );
    // No key and no nonce is said.
    let key = place.read("node.key");
    assert!(!host.whole_log().contains(key.lines().nth(1).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_thinks_takes_no_place_of_those_at_work() {
    let place = Place::new();
    let host = serving(&place, &format!("{POP} --max-concurrent 1 --max-waiting 1")).await;
    let prover = prover(&place);
    let mut thinking = Vec::new();
    for _ in 0..200 {
        thinking.push(Asked::by(&host, &prover).await);
    }
    let asked = Asked::by(&host, &prover).await;
    let answer = proof(&prover, &asked.challenge);
    asked.answer(Sent::ChallengeResponse(answer)).await.unwrap();
    let (status, _) = host.shut_down().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_challenge_ends_at_its_deadline() {
    let place = Place::new();
    let host = serving(&place, &format!("{POP} --deadline 1s")).await;
    let asked = Asked::by(&host, &prover(&place)).await;
    refused(
        asked.given().await.unwrap_err(),
        Code::DeadlineExceeded,
        "challenge_unanswered: the evidence was rejected",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_side_answers_one_challenge() {
    let place = Place::new();
    let server = serving(&place, POP).await;
    let host = Host::agent(&place, POP).await;
    host.init(&["spire.hostservice.common.metrics.v1.Metrics"])
        .await
        .unwrap();
    let status = host.configure("").await.unwrap_err();
    for missing in [
        "private_key_path is required",
        "certificate_path is required",
    ] {
        assert!(status.message().contains(missing), "{}", status.message());
    }
    let data = "private_key_path = \"other.key\"\ncertificate_path = \"node.pem\"\n";
    let status = host.configure(data).await.unwrap_err();
    let why = "unable to load keypair: private key does not match the certificate's public key";
    assert!(status.message().contains(why), "{}", status.message());
    let data = data.replace("other.key", "node.key");
    host.configure(&data).await.unwrap();

    // What it says goes to the server's side, and back.
    let (challenges, mut said) = host.aid_open().await;
    let first = soon(said.message()).await.unwrap().unwrap().data;
    let Some(Data::Payload(payload)) = first else {
        panic!("no payload: {first:?}");
    };
    assert_eq!(payload, prover(&place).payload());
    let asked = Asked::by(&server, &prover(&place)).await;
    let challenge = asked.challenge.clone();
    challenges.send(Challenge { challenge }).await.unwrap();
    let second = soon(said.message()).await.unwrap().unwrap().data;
    let Some(Data::ChallengeResponse(answer)) = second else {
        panic!("no answer: {second:?}");
    };
    let given = asked.answer(Sent::ChallengeResponse(answer)).await.unwrap();
    assert!(given.spiffe_id.ends_with("/x509pop/node-7"));
    // And that is all it signs.
    assert!(soon(said.message()).await.unwrap().is_none());

    let (challenges, mut said) = host.aid_open().await;
    assert!(soon(said.message()).await.unwrap().is_some());
    let challenge = b"{}".to_vec();
    challenges.send(Challenge { challenge }).await.unwrap();
    refused(
        soon(said.message()).await.unwrap_err(),
        Code::Internal,
        "challenge is not for the certificate's kind of key",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_spiffe_mode_spire_has_to_say_whom_it_trusts() {
    let place = Place::new();
    let host = serving(&place, POP).await;
    host.configure("mode = \"spiffe\"\n").await.unwrap();
    let payload = prover(&place).payload();
    // This host offers no IdentityProvider; the end-to-end suite's SPIRE does.
    refused(
        host.attest(payload).await.unwrap_err(),
        Code::Unavailable,
        "trust_bundle_unavailable: the attestor could not decide",
    );
    host.logged("IdentityProvider: Unimplemented").await;
}
