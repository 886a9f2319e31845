//! One cluster's API server does not answer, and another cluster attests.

use super::host::{Answers, Host, OFFERED, claims_now, payload, soon};
use super::refused;
use super::stand_in::{Manner, StandIn};
use crate::support::{Place, token};
use nameplate_spire::proto::nodeattestor::AttestRequest;
use nameplate_spire::proto::nodeattestor::attest_request::Request as Step;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tonic::Code;

const PSAT: &str = "--attestor k8s_psat";

const NODE: &str = "spiffe://example.org/spire/agent/k8s_psat/production/node-uid";

/// As many streams as the plugin has places.
const STREAMS: usize = 64;

/// Attestations that are measured.
const MEASURED: usize = 31;

/// What a hanging API server may add to an attestation of another cluster.
const DELAY: Duration = Duration::from_millis(50);

/// What an attestation takes that has queued behind the streams: most of
/// their 30 s.
const QUEUED: Duration = Duration::from_secs(10);

/// One cluster that is verified by its keys, and one whose API server is
/// asked, with `more` besides.
fn configuration(more: &str) -> String {
    format!(
        r#"clusters = {{
  "production" = {{
    verification               = "local"
    service_account_key_file   = "key.pem"
    service_account_allow_list = ["spire:spire-agent"]
    issuer                     = "https://kubernetes.default.svc.cluster.local"
    audience                   = ["spire-server"]
  }}
  "hung" = {{
    service_account_allow_list = ["spire:spire-agent"]
    kube_config_file           = "kubeconfig"
    {more}
  }}
}}

policy {{
  source = "builtin:node"
}}

state_directory = "state"
"#
    )
}

async fn serving(place: &Place, more: &str) -> Host {
    let host = Host::start(place, PSAT).await;
    host.init(&OFFERED).await.unwrap();
    host.configure(&configuration(more)).await.unwrap();
    host
}

/// The claims of a token that is bound to a pod of its account.
fn bound() -> Value {
    let mut claims = claims_now();
    claims["sub"] = json!("system:serviceaccount:spire:spire-agent");
    claims
}

/// Evidence of the cluster whose API server is asked.
fn of_hung(token: &str) -> Vec<u8> {
    json!({ "cluster": "hung", "token": token })
        .to_string()
        .into_bytes()
}

/// A stream that has sent it.
async fn hung(host: &Host) -> (mpsc::Sender<AttestRequest>, Answers) {
    let (send, answers) = host.half_open().await;
    let request = AttestRequest {
        request: Some(Step::Payload(of_hung(&token(&bound())))),
    };
    send.send(request).await.unwrap();
    (send, answers)
}

/// How long an attestation of the other cluster takes, in the median and at
/// most.
async fn measured(host: &Host) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..MEASURED {
        let evidence = payload(&bound());
        let began = Instant::now();
        let attested = host.attest(evidence).await.unwrap();
        times.push(began.elapsed());
        assert_eq!(attested.spiffe_id, NODE);
    }
    times.sort_unstable();
    (times[MEASURED / 2], times[MEASURED - 1])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_answer_delays_no_other_cluster() {
    for manner in [
        Manner::Silent,
        Manner::Dripping,
        Manner::Resetting,
        Manner::Failing,
    ] {
        let place = Place::new();
        let server = StandIn::start(&place, manner);
        // So that the streams wait for as long as there is measured.
        let host = serving(&place, "api_timeout = \"30s\"").await;
        let (idle, _) = measured(&host).await;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            streams.push(hung(&host).await);
        }
        let waits = matches!(manner, Manner::Silent | Manner::Dripping);
        // One that fails at once is left alone after five.
        server.was_asked(if waits { STREAMS } else { 5 }).await;
        let (loaded, longest) = measured(&host).await;
        let ratio = loaded.as_secs_f64() / idle.as_secs_f64();
        println!(
            "{manner:?}: idle {idle:?}, at {STREAMS} streams {loaded:?} (longest {longest:?}), \
             ratio {ratio:.2}"
        );
        if waits {
            for (_, answers) in &mut streams {
                let answer = tokio::time::timeout(Duration::ZERO, answers.message()).await;
                assert!(answer.is_err(), "{manner:?}: a stream did not wait");
            }
        }
        // Not one has waited for a patience to end, however busy the machine is.
        assert!(longest < QUEUED, "{manner:?}: {longest:?}");
        assert!(
            loaded < idle + DELAY,
            "{manner:?}: {loaded:?}, where it is {idle:?} without"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_about_what_is_no_token() {
    let place = Place::new();
    let server = StandIn::start(&place, Manner::Silent);
    let host = serving(&place, "").await;
    for _ in 0..STREAMS {
        refused(
            host.attest(of_hung("a.b.c")).await.unwrap_err(),
            Code::InvalidArgument,
            "token_encoding: the evidence was rejected",
        );
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_answer_is_left_alone_and_tried_again() {
    const GAUGE: &str = "nameplate.api_suspended k8s_psat hung";
    let place = Place::new();
    let server = StandIn::start(&place, Manner::Silent);
    let host = serving(&place, "api_timeout = \"200ms\"").await;
    host.gauged(GAUGE, 0.0).await;
    let attest = || host.attest(of_hung(&token(&bound())));
    for _ in 0..5 {
        refused(
            attest().await.unwrap_err(),
            Code::Unavailable,
            "api_out_of_time: the attestor could not decide",
        );
    }
    refused(
        attest().await.unwrap_err(),
        Code::Unavailable,
        "api_suspended: the attestor could not decide",
    );
    host.logged("An API server does not answer and is not asked for a while")
        .await;
    host.logged("s now, after 5 failures in a row: no answer in time")
        .await;
    host.gauged(GAUGE, 1.0).await;
    // The status is written from time to time.
    let shown = async {
        loop {
            let status = place.run("status --state state --output json").json();
            let suspended = status["attestors"][0]["suspended"].clone();
            if suspended != json!([]) {
                return suspended;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let suspended = soon(shown).await;
    assert_eq!(suspended[0]["cluster"], "hung");
    assert_eq!(suspended[0]["error"], "no answer in time");
    let text = place.run("status --state state").exits(0).stdout;
    assert!(
        text.contains("the API server of cluster `hung`, 2"),
        "{text}"
    );

    server.turn(Manner::Reviewing);
    let answered = async {
        loop {
            let status = attest().await.unwrap_err();
            if !status.message().starts_with("api_") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    refused(
        soon(answered).await,
        Code::PermissionDenied,
        "token_not_authenticated: the evidence was rejected",
    );
    host.logged("An API server answers again").await;
    host.gauged(GAUGE, 0.0).await;
}
