//! The plugin as SPIRE sees it: every RPC, and every way it ends.

mod agent;
mod challenge;
mod host;
mod hung;
mod stand_in;
mod workload_api;

use crate::support::{Place, nameplate, nameplate_in, repository};
use host::{Host, OFFERED, claims_now, handshake, launched, payload, soon};
use nameplate_spire::proto::nodeattestor::AttestRequest;
use nameplate_spire::proto::nodeattestor::attest_request::Request as Step;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tonic::{Code, Status};

const SAT: &str = "--attestor k8s_sat";

/// As SPIRE prints it.
const GOOD: &str = r#"clusters = {
  "production" = {
    service_account_key_file   = "key.pem"
    service_account_allow_list = ["spire:spire-agent"]
    issuer                     = "https://kubernetes.default.svc.cluster.local"
    audience                   = ["spire-server"]
  }
}

policy {
  source = "builtin:node"
}
"#;

const NODE: &str = "spiffe://example.org/spire/agent/k8s_sat/production/node-uid";

fn bad() -> String {
    GOOD.replace("service_account_allow_list", "service_account_allowlist")
}

#[track_caller]
fn refused(status: Status, code: Code, message: &str) {
    assert_eq!((status.code(), status.message()), (code, message));
}

async fn serving(place: &Place) -> Host {
    let host = Host::start(place, SAT).await;
    host.init(&OFFERED).await.unwrap();
    host.configure(GOOD).await.unwrap();
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_attests_from_launch_to_shutdown() {
    let place = Place::new();
    let mut host = Host::start(&place, SAT).await;
    let announced = host.init(&OFFERED).await.unwrap();
    assert_eq!(
        announced,
        [
            "spire.plugin.server.nodeattestor.v1.NodeAttestor",
            "spire.service.common.config.v1.Config"
        ]
    );
    host.configure(GOOD).await.unwrap();

    let evidence = payload(&claims_now());
    let attributes = host.attest(evidence.clone()).await.unwrap();
    assert_eq!(attributes.spiffe_id, NODE);
    assert_eq!(
        attributes.selector_values,
        [
            "cluster:production",
            "agent_ns:spire",
            "agent_sa:spire-agent",
            "agent_pod_name:agent-x7k2p",
            "agent_pod_uid:pod-uid",
            "agent_node_name:worker-1",
            "agent_node_uid:node-uid",
        ]
    );
    assert!(!attributes.can_reattest);
    assert!(host.broker_is_open().await);

    let token = serde_json::from_slice::<serde_json::Value>(&evidence).unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    host.logged("Attested").await;
    assert!(!host.whole_log().contains(&token));
    let counted = host.services.counted.clone();
    assert!(host.log().iter().all(|line| line["@level"] != "error"));
    host.deinit().await;
    let socket = host.socket.clone();
    let (status, stdout) = host.shut_down().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(stdout, "");
    assert!(!socket.exists());
    let counted = counted.lock().unwrap().clone();
    assert_eq!(counted, ["nameplate.attestation k8s_sat identity "]);
}

#[test]
fn started_by_hand_it_says_how_it_is_loaded() {
    let run = nameplate(&["spire", "server", "--attestor", "k8s_sat"]).exits(2);
    assert_eq!(run.stdout, "");
    assert_eq!(
        run.stderr,
        "error: this is a plugin of SPIRE, to be started by spire-server: put it into \
         spire-server's configuration, as `nameplate spire config` prints it\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_to_start_is_a_line_that_spire_shows() {
    let place = Place::new();
    let output = launched(place.path(), env!("CARGO_BIN_EXE_nameplate"))
        .args(["spire", "server", "--attestor", "k8s_sat"])
        .env("PLUGIN_UNIX_SOCKET_DIR", place.path().join("nowhere"))
        .output();
    let output = soon(output).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(line["@level"], "error");
    assert_eq!(line["@message"], "Plugin cannot serve");
    let error = line["error"].as_str().unwrap();
    assert!(
        error.starts_with("cannot listen: No such file or directory"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_side_of_spire_is_told_so() {
    let place = Place::new();
    let host = Host::start(&place, SAT).await;
    let offered_by_an_agent = &OFFERED[2..];
    let status = host.init(offered_by_an_agent).await.unwrap_err();
    refused(
        status,
        Code::FailedPrecondition,
        "AgentStore host service is required: this is the server side of a node attestor, to be \
         loaded by spire-server",
    );
    host.init(&OFFERED).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_serves_whole_or_the_old_one_does() {
    let place = Place::new();
    let host = Host::start(&place, SAT).await;
    host.init(&OFFERED).await.unwrap();
    let status = host.attest(payload(&claims_now())).await.unwrap_err();
    refused(status, Code::FailedPrecondition, "not configured");

    let problem = "\
error: unknown key `service_account_allowlist`
 --> plugin_data:4:5
  |
4 |     service_account_allowlist = [\"spire:spire-agent\"]
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `service_account_allow_list`?";
    let status = host.configure(&bad()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains(problem), "{}", status.message());
    let status = host.attest(payload(&claims_now())).await.unwrap_err();
    refused(status, Code::FailedPrecondition, "not configured");

    host.configure(GOOD).await.unwrap();
    host.configure(&bad()).await.unwrap_err();
    assert_eq!(
        host.attest(payload(&claims_now())).await.unwrap().spiffe_id,
        NODE
    );

    let pods = GOOD.replace("builtin:node", "builtin:pod");
    host.configure(&pods).await.unwrap();
    let id = host.attest(payload(&claims_now())).await.unwrap().spiffe_id;
    assert_ne!(id, NODE);
}

#[tokio::test(flavor = "multi_thread")]
async fn spires_own_part_is_checked_in_spires_words() {
    let place = Place::new();
    let host = Host::start(&place, SAT).await;
    for (trust_domain, message) in [
        (None, "server core configuration is required"),
        (
            Some(""),
            "server core configuration must contain trust_domain",
        ),
    ] {
        let status = host.configure_with(trust_domain, GOOD).await.unwrap_err();
        refused(status, Code::InvalidArgument, message);
    }
    let status = host
        .configure_with(Some("Example"), GOOD)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let malformed = "server core configuration trust_domain is malformed: ";
    assert!(status.message().starts_with(malformed), "{status}");
    host.configure(GOOD).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_changes_nothing() {
    let place = Place::new();
    let host = Host::start(&place, SAT).await;
    assert_eq!(host.validate(GOOD).await, (true, Vec::new()));
    let (valid, notes) = host.validate(&bad()).await;
    assert!(!valid);
    // The key that nobody knows, and the one that is missing.
    assert_eq!(notes.len(), 2, "{notes:#?}");
    let status = host.attest(payload(&claims_now())).await.unwrap_err();
    refused(status, Code::FailedPrecondition, "not configured");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_code_and_one_fixed_sentence() {
    let place = Place::new();
    let host = serving(&place).await;
    let mut expired = claims_now();
    expired["exp"] = json!(1_700_000_000);
    let mut stranger = claims_now();
    stranger["kubernetes.io"]["serviceaccount"]["name"] = json!("other");
    let mut forged = payload(&claims_now());
    let end = forged.len() - 20;
    forged[end] = if forged[end] == b'A' { b'B' } else { b'A' };
    let invalid = Code::InvalidArgument;
    for (evidence, code, message) in [
        (
            payload(&expired),
            invalid,
            "token_expired: the evidence was rejected",
        ),
        (
            forged,
            invalid,
            "signature_invalid: the evidence was rejected",
        ),
        (
            b"{".to_vec(),
            invalid,
            "payload_malformed: the evidence was rejected",
        ),
        (
            vec![b' '; 40 * 1024],
            invalid,
            "payload_too_large: the evidence was rejected",
        ),
        (
            vec![b' '; 1 << 20],
            invalid,
            "payload_too_large: the evidence was rejected",
        ),
        (Vec::new(), invalid, "missing attestation payload"),
        (
            payload(&stranger),
            Code::PermissionDenied,
            "service_account_not_allowed: the evidence was rejected",
        ),
    ] {
        let status = host.attest(evidence).await.unwrap_err();
        refused(status, code, message);
    }
    let status = host
        .attest_step(Step::ChallengeResponse(b"x".to_vec()))
        .await
        .unwrap_err();
    refused(status, invalid, "missing attestation payload");
    assert!(host.attest(payload(&claims_now())).await.is_ok());
    // The operator reads what the peer is not told.
    host.logged("service account `spire:other` is not on the allow list")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_use_is_asked_of_spire() {
    let place = Place::new();
    let host = serving(&place).await;
    assert!(host.attest(payload(&claims_now())).await.is_ok());
    for (answer, code, message) in [
        (
            None,
            Code::PermissionDenied,
            "agent_already_attested: the evidence was rejected",
        ),
        (
            Some(Code::FailedPrecondition),
            Code::Unavailable,
            "known_agents_unavailable: the attestor could not decide",
        ),
    ] {
        *host.services.agents.lock().unwrap() = answer;
        let status = host.attest(payload(&claims_now())).await.unwrap_err();
        refused(status, code, message);
    }
    host.logged("AgentStore: FailedPrecondition: said by the test")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_before_it_knows_where_spire_listens() {
    let place = Place::new();
    let mut host = Host::silent(&place, SAT).await;
    host.init(&OFFERED).await.unwrap();
    host.configure(GOOD).await.unwrap();
    let (send, mut answers) = host.half_open().await;
    let request = AttestRequest {
        request: Some(Step::Payload(payload(&claims_now()))),
    };
    send.send(request).await.unwrap();
    host.say_where(&place).await;
    assert!(soon(answers.message()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_half_open_streams_leave_it_answering() {
    let place = Place::new();
    let host = serving(&place).await;
    let mut open = Vec::new();
    for _ in 0..1000 {
        open.push(host.half_open().await);
    }
    for _ in 0..100 {
        host.attest(vec![b' '; 60 * 1024]).await.unwrap_err();
    }
    assert!(host.attest(payload(&claims_now())).await.is_ok());
    // Streams that are open do not hold it up either.
    let (status, _) = host.shut_down().await;
    assert_eq!(status.code(), Some(0));
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exceeds_the_queue_is_refused_early() {
    let place = Place::new();
    // Nothing says where AgentStore is, so the first attestation stays at work.
    let host = Host::silent(
        &place,
        "--attestor k8s_sat --max-concurrent 1 --max-waiting 0",
    )
    .await;
    host.init(&OFFERED).await.unwrap();
    host.configure(GOOD).await.unwrap();
    // Whichever comes first is at work until it gives AgentStore up.
    let attest = || host.attest(payload(&claims_now()));
    let (one, two, three, four) = tokio::join!(attest(), attest(), attest(), attest());
    let (refusals, failures): (Vec<_>, Vec<_>) = [one, two, three, four]
        .map(Result::unwrap_err)
        .into_iter()
        .partition(|status| status.code() == Code::ResourceExhausted);
    assert!(!refusals.is_empty() && !failures.is_empty());
    for refusal in refusals {
        refused(
            refusal,
            Code::ResourceExhausted,
            "too many attestations at once: try again later",
        );
    }
    for failure in failures {
        assert_eq!(failure.code(), Code::Unavailable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_that_spire_reads_is_watched_where_it_is_named() {
    const REFUSED: &str = "A changed file was refused, what served goes on";
    let place = Place::new();
    let swap = |text: &str| {
        place.write("data.new", text);
        let [new, there] = ["data.new", "data.hcl"].map(|name| place.path().join(name));
        std::fs::rename(new, there).unwrap();
    };
    let by_pod = GOOD.replace("builtin:node", "builtin:pod");
    swap(GOOD);
    let host = Host::start(&place, &format!("{SAT} --plugin-data-file data.hcl")).await;
    host.init(&OFFERED).await.unwrap();
    host.configure(GOOD).await.unwrap();
    let id = || async { host.attest(payload(&claims_now())).await.unwrap().spiffe_id };
    assert_eq!(id().await, NODE);
    swap(&bad());
    host.logged(REFUSED).await;
    assert_eq!(id().await, NODE);
    swap(&by_pod);
    host.logged("Swapped after a file changed").await;
    assert_ne!(id().await, NODE);
    // What SPIRE hands over counts, and that it is another text is said.
    assert!(!host.whole_log().contains("is not SPIRE's"));
    host.configure(GOOD).await.unwrap();
    assert_eq!(id().await, NODE);
    host.logged("The plugin data file is not SPIRE's").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_file_that_changed_serves_and_a_broken_one_does_not() {
    let place = Place::new();
    let policies = repository().join("policies");
    let install = |name: &str| {
        let from = policies.join(name);
        let there = place.path().join("policy.wasm");
        let new = place.path().join("policy.new");
        std::fs::copy(from, &new).unwrap();
        std::fs::rename(new, there).unwrap();
    };
    install("node.wasm");
    let host = Host::start(&place, SAT).await;
    host.init(&OFFERED).await.unwrap();
    let text = GOOD.replace("builtin:node", "policy.wasm");
    host.configure(&text).await.unwrap();
    assert_eq!(
        host.attest(payload(&claims_now())).await.unwrap().spiffe_id,
        NODE
    );

    place.write("policy.new", "not a component");
    std::fs::rename(
        place.path().join("policy.new"),
        place.path().join("policy.wasm"),
    )
    .unwrap();
    host.logged("A changed file was refused, what served goes on")
        .await;
    assert_eq!(
        host.attest(payload(&claims_now())).await.unwrap().spiffe_id,
        NODE
    );

    install("pod.wasm");
    host.logged("Swapped after a file changed").await;
    let id = host.attest(payload(&claims_now())).await.unwrap().spiffe_id;
    assert_ne!(id, NODE);
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_is_spires_business_and_a_termination_is_ours() {
    let place = Place::new();
    let mut host = serving(&place).await;
    let pid = host.child.id().unwrap();
    signal(pid, Signal::INT);
    assert!(host.attest(payload(&claims_now())).await.is_ok());
    signal(pid, Signal::TERM);
    let (status, stdout) = host.ended().await;
    assert_eq!((status.code(), stdout.as_str()), (Some(0), ""));
    assert!(!host.socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spire_that_dies_takes_the_plugin_with_it() {
    let place = Place::new();
    // A shell is the parent. Its `wait` keeps it from becoming the plugin.
    let mut parent = launched(place.path(), "sh")
        .args(["-c", "\"$0\" spire server --attestor k8s_sat & wait"])
        .arg(env!("CARGO_BIN_EXE_nameplate"))
        .spawn()
        .unwrap();
    let socket = handshake(&mut parent).await;
    assert!(socket.exists());
    signal(parent.id().unwrap(), Signal::KILL);
    // The plugin holds the other end of this pipe until it ends.
    let mut rest = String::new();
    let stdout = parent.stdout.as_mut().unwrap();
    soon(tokio::io::AsyncReadExt::read_to_string(stdout, &mut rest))
        .await
        .unwrap();
    assert_eq!(rest, "");
    assert!(!socket.exists());
}

#[test]
fn the_stanza_that_is_printed_is_the_binary_and_a_good_configuration() {
    let place = Place::new();
    place.write("binary", "abc");
    let run = nameplate_in(
        place.path(),
        &[
            "spire",
            "config",
            "--attestor",
            "k8s_psat",
            "--cluster",
            "edge",
            "--binary",
            "binary",
            "--output",
            "json",
        ],
        "",
    )
    .exits(0)
    .json();
    let sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(run["plugin_checksum"], sha256_of_abc);
    assert_eq!(
        run["plugin_cmd"],
        place.path().join("binary").to_str().unwrap()
    );
    let server = run["server"].as_str().unwrap();
    assert!(server.contains("plugin_args = [\"spire\", \"server\", \"--attestor\", \"k8s_psat\"]"));

    // What stands in `plugin_data`, with real keys, is what the plugin reads.
    let (_, data) = server.split_once("plugin_data {\n").unwrap();
    let data = data.trim_end().strip_suffix("}\n}").unwrap();
    let data = data.replace(
        "jwks_file = \"/path/to/jwks.json\"",
        "service_account_key_file = \"key.pem\"",
    );
    place.write("data.hcl", &data);
    place
        .run("config check data.hcl --plugin k8s_psat --trust-domain example.org")
        .exits(0);
    let agent = run["agent"].as_str().unwrap();
    assert!(agent.contains("cluster = \"edge\""), "{agent}");
    assert!(!agent.contains("token_path"), "{agent}");

    // What is said of the cluster stands in it, with paths that are whole.
    let side = |side: &str| {
        let words = "spire config --attestor k8s_psat --binary binary --keys k.jwks --issuer \
                     https://oidc.example.org --service-account a:b --token-path t";
        place.run(&format!("{words} --side {side}")).exits(0).stdout
    };
    let at = |name: &str| place.path().join(name).display().to_string();
    let server = side("server");
    for line in [
        format!("jwks_file = \"{}\"", at("k.jwks")),
        "issuer = \"https://oidc.example.org\"".to_owned(),
        "service_account_allow_list = [\"a:b\"]".to_owned(),
    ] {
        assert!(server.contains(&line), "{line}: {server}");
    }
    assert!(!server.contains("token_path"), "{server}");
    let token_path = format!("token_path = \"{}\"", at("t"));
    assert!(side("agent").contains(&token_path));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_policy_serves_a_plugin_that_starts_without_its_file() {
    let place = Place::new();
    let policy = place.path().join("policy.wasm");
    let node = repository().join("policies/node.wasm");
    std::fs::copy(node, &policy).unwrap();
    let text = GOOD.replace("builtin:node", "policy.wasm");
    let text = format!("{text}state_directory = \"state\"\non_collision = \"refuse\"\n");
    let host = Host::start(&place, SAT).await;
    host.init(&OFFERED).await.unwrap();
    host.configure(&text).await.unwrap();
    async fn id(host: &Host) -> String {
        let attested = host.attest(payload(&claims_now())).await;
        attested.unwrap().spiffe_id
    }
    assert_eq!(id(&host).await, NODE);
    let status = |code| {
        let run = place.run("status --state state --output json").exits(code);
        run.json()["attestors"][0].clone()
    };
    assert_eq!(status(0)["serving"]["why"], "configured");
    host.shut_down().await;
    assert_eq!(status(0)["running"], false);

    std::fs::remove_file(&policy).unwrap();
    std::fs::remove_file(place.path().join("spire.sock")).unwrap();
    let host = Host::start(&place, SAT).await;
    host.init(&OFFERED).await.unwrap();
    host.configure(&text).await.unwrap();
    host.logged("The last good naming serves, not what is configured")
        .await;
    assert_eq!(id(&host).await, NODE);
    let restored = status(1);
    assert_eq!(restored["running"], true);
    assert_eq!(restored["serving"]["why"], "restored");
    assert_eq!(restored["refused"]["by"], "loading");
    assert_eq!(restored["holders"]["entries"], 1);
}
