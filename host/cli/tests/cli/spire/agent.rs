//! The agent's side: a payload that is sent unasked.

use super::host::{Host, OFFERED};
use super::refused;
use crate::support::{Place, nameplate};
use serde_json::json;
use tonic::Code;

const SAT: &str = "--attestor k8s_sat";

/// spire-agent offers Metrics and nothing else.
const OFFERED_BY_AN_AGENT: &[&str] = &["spire.hostservice.common.metrics.v1.Metrics"];

const DATA: &str = "cluster = \"production\"\ntoken_path = \"agent.token\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_proves_itself_with_the_token_that_it_has_now() {
    let place = Place::new();
    let host = Host::agent(&place, SAT).await;
    let announced = host.init(OFFERED_BY_AN_AGENT).await.unwrap();
    assert_eq!(
        announced,
        [
            "spire.plugin.agent.nodeattestor.v1.NodeAttestor",
            "spire.service.common.config.v1.Config"
        ]
    );
    refused(
        host.aid().await.unwrap_err(),
        Code::FailedPrecondition,
        "not configured",
    );
    host.configure(DATA).await.unwrap();
    refused(
        host.aid().await.unwrap_err(),
        Code::InvalidArgument,
        "unable to load token from `agent.token`: cannot read `agent.token`: No such \
         file or directory (os error 2)",
    );
    for token in ["first-canary", "second-canary"] {
        place.write("agent.token", &format!("{token}\n"));
        let payload = format!(r#"{{"cluster":"production","token":"{token}"}}"#);
        assert_eq!(host.aid().await.unwrap(), (payload.into_bytes(), true));
    }
    assert!(!host.whole_log().contains("canary"));
    let socket = host.socket.clone();
    let (status, stdout) = host.shut_down().await;
    assert_eq!((status.code(), stdout.as_str()), (Some(0), ""));
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_side_of_spire_is_told_so() {
    let place = Place::new();
    let host = Host::agent(&place, SAT).await;
    refused(
        host.init(&OFFERED).await.unwrap_err(),
        Code::FailedPrecondition,
        "this is the agent side of a node attestor, to be loaded by spire-agent",
    );
    host.init(OFFERED_BY_AN_AGENT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_keeps_the_old_one() {
    let place = Place::new();
    place.write("agent.token", "t");
    for (method, missing) in [
        ("k8s_sat", "configuration missing cluster"),
        ("k8s_psat", "missing required cluster block"),
    ] {
        let host = Host::agent(&place, &format!("--attestor {method}")).await;
        host.init(OFFERED_BY_AN_AGENT).await.unwrap();
        host.configure(DATA).await.unwrap();
        let status = host.configure("").await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(missing), "{}", status.message());
        let (good, notes) = host.validate(&DATA.replace("cluster", "clustr")).await;
        assert!(!good);
        let unknown = "unknown key `clustr`";
        assert!(notes.iter().any(|note| note.contains(unknown)), "{notes:?}");
        assert_eq!(host.validate(DATA).await, (true, Vec::new()));
        assert!(host.aid().await.is_ok());
    }
}

#[test]
fn started_by_hand_it_says_who_loads_it() {
    let run = nameplate(&["spire", "agent", "--attestor", "k8s_sat"]).exits(2);
    assert_eq!(run.stdout, "");
    assert_eq!(
        run.stderr,
        "error: this is a plugin of SPIRE, to be started by spire-agent: put it into \
         spire-agent's configuration, as `nameplate spire config` prints it\n"
    );
}

#[test]
fn its_configuration_is_checked_offline() {
    let place = Place::new();
    let check = "config check agent.hcl --plugin k8s_sat --side agent --trust-domain example.org";
    place.write("agent.hcl", DATA);
    let run = place.run(check).exits(0);
    assert!(run.stdout.contains("`agent.hcl` is good"), "{}", run.stdout);
    place.write("agent.hcl", "clusters = {}\ncluster = \"../x\"\n");
    let run = place.run(check).exits(1);
    for problem in [
        "`clusters` is of the server's side, and this is the agent's",
        "bad cluster name `../x`",
    ] {
        assert!(run.stderr.contains(problem), "{}", run.stderr);
    }
}

/// A kubeconfig of an API server that is not there, and what the agent of `k8s`
/// is told of it.
fn of_k8s(place: &Place) -> &'static str {
    place.issue();
    place.write(
        "kubeconfig",
        "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n\
         clusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\", \
         certificate-authority: ca.pem}}]\nusers: [{name: u, user: {token: canary}}]\n",
    );
    "kube_config_file = \"kubeconfig\"\nnode_name = \"node-1\"\n"
}

#[test]
fn a_node_that_asks_for_its_certificate_is_checked_offline() {
    let place = Place::new();
    let check = "config check agent.hcl --plugin k8s --side agent --trust-domain example.org";
    let data = of_k8s(&place);
    place.write("agent.hcl", data);
    let run = place.run(check).exits(0);
    for words in ["node-1", "new for each attestation"] {
        assert!(run.stdout.contains(words), "{}", run.stdout);
    }
    let more = format!("{data}key_directory = \"keys\"\nverify_request = false\n");
    place.write("agent.hcl", &more);
    let run = place.run(&format!("{check} --output json")).exits(0).json();
    assert_eq!(run["node_name"], "node-1");
    assert_eq!(run["verify_request"], false);
    assert_eq!(run["key_directory"], "keys");
    assert!(!place.path().join("keys").exists());
    place.write("agent.hcl", &data.replace("node_name", "node_nam"));
    let run = place.run(check).exits(1);
    let help = "did you mean `node_name`?";
    assert!(run.stderr.contains(help), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_is_said_and_may_come_back() {
    let place = Place::new();
    let data = of_k8s(&place);
    let host = Host::agent(&place, "--attestor k8s").await;
    host.init(OFFERED_BY_AN_AGENT).await.unwrap();
    host.configure(data).await.unwrap();
    let status = host.aid().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let message = status.message();
    let why = "CertificateSigningRequest cannot be made: no answer: ";
    assert!(message.starts_with(why), "{message}");
    assert!(!host.whole_log().contains("canary"));
    // Nothing is at work any more that the end would have to wait for.
    host.deinit().await;
    let (status, _) = host.shut_down().await;
    assert_eq!(status.code(), Some(0));
}

#[test]
fn every_option_of_the_stanza_is_written_or_refused() {
    let config = |arguments: &str| {
        let mut words = vec!["spire", "config"];
        words.extend(arguments.split_whitespace());
        nameplate(&words)
    };
    let plain = config("--attestor k8s_sat --side server").exits(0).stdout;
    assert!(!plain.contains("issuer"), "{plain}");
    assert!(!plain.contains("audience"), "{plain}");
    let given = "--attestor k8s_sat --side server --issuer https://i --audience a --audience b";
    let stanza = config(given).exits(0).stdout;
    assert!(
        stanza.contains("issuer = \"https://i\"\n                audience = [\"a\", \"b\"]\n"),
        "{stanza}"
    );
    let psat = config("--attestor k8s_psat --side server").exits(0).stdout;
    for default in [
        "issuer = \"https://kubernetes.default.svc.cluster.local\"\n",
        "audience = [\"spire-server\"]\n",
        "service_account_allow_list = [\"spire:spire-agent\"]\n",
    ] {
        assert!(psat.contains(default), "{psat}");
    }
    for (method, option) in [
        ("x509pop", "--cluster"),
        ("x509pop", "--keys"),
        ("x509pop", "--issuer"),
        ("k8s", "--audience"),
        ("k8s", "--token-path"),
        ("k8s_sat", "--ca-bundle"),
        ("k8s_psat", "--kubeconfig"),
        ("k8s", "--certificate"),
        ("k8s_sat", "--private-key"),
    ] {
        let run = config(&format!("--attestor {method} {option} x")).exits(2);
        assert_eq!(
            run.stderr,
            format!("error: `{option}` says nothing about `{method}`: leave it out\n")
        );
    }
    for fits in [
        "k8s --cluster x --ca-bundle x --kubeconfig x",
        "x509pop --ca-bundle x --certificate x --private-key x",
        "k8s_sat --cluster x --keys x --service-account a:b --token-path x",
    ] {
        config(&format!("--attestor {fits}")).exits(0);
    }
}

#[test]
fn a_file_that_is_not_there_is_shown_where_it_is_written() {
    let place = Place::new();
    place.issue();
    let check = "config check agent.hcl --plugin x509pop --side agent --trust-domain example.org --output json";
    let line_of = |key: &str, certificate: &str, intermediates: &str| {
        let data = format!(
            "private_key_path = \"{key}\"\ncertificate_path = \"{certificate}\"\n\
             intermediates_path = \"{intermediates}\"\n"
        );
        place.write("agent.hcl", &data);
        let run = place.run(check);
        (run.code == 1).then(|| run.json()["error"]["problems"][0]["line"].clone())
    };
    assert_eq!(line_of("node.key", "node.pem", "ca.pem"), None);
    assert_eq!(line_of("gone", "node.pem", "ca.pem"), Some(json!(1)));
    assert_eq!(line_of("node.key", "gone", "ca.pem"), Some(json!(2)));
    assert_eq!(line_of("node.key", "node.pem", "gone"), Some(json!(3)));
}

#[test]
fn the_stanza_loads_it_where_spire_has_no_agent_side_of_its_own() {
    let agent = |arguments: &str| {
        let mut words = vec!["spire", "config", "--output", "json"];
        words.extend(arguments.split_whitespace());
        let run = nameplate(&words).exits(0).json();
        run["agent"].as_str().unwrap().to_owned()
    };
    let built_in = agent("--attestor k8s_psat");
    assert!(!built_in.contains("plugin_cmd"), "{built_in}");
    for (arguments, words) in [
        (
            "--attestor k8s_sat",
            r#"["spire", "agent", "--attestor", "k8s_sat"]"#,
        ),
        (
            "--attestor k8s",
            r#"["spire", "agent", "--attestor", "k8s"]"#,
        ),
        (
            "--attestor k8s_psat --agent-plugin",
            r#"["spire", "agent", "--attestor", "k8s_psat"]"#,
        ),
        (
            "--attestor k8s_psat --name edge",
            r#"["spire", "agent", "--attestor", "k8s_psat", "--name", "edge"]"#,
        ),
    ] {
        let stanza = agent(arguments);
        let words = format!("plugin_args = {words}");
        assert!(stanza.contains(&words), "{stanza}");
    }
}
