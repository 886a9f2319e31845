//! The commands that verify evidence, against the API server: they ask it, and
//! say what the plugin says.

use crate::Subject;
use crate::run::Run;
use nameplate_peers::Agent;
use serde_json::{Value, json};
use std::fs;

/// Writes the configuration of an attestor of `method`, with `keys`.
fn configure(run: &Run, method: &str, keys: &str) {
    let text = format!("trust_domain = \"example.org\"\n[attestors.{method}]\n{keys}\n");
    fs::write(run.at().join("commands.toml"), text).unwrap();
}

/// Runs the words of `line` with that configuration.
fn asked(run: &mut Run, line: &str) -> (bool, Value) {
    let line = line.replace("CONFIG", "--config commands.toml");
    let words: Vec<_> = line.split_whitespace().collect();
    let (good, answer) = run.asked(&words);
    run.heard(&answer.to_string());
    (good, answer)
}

/// Every way that a token is verified in, by every command that verifies one.
pub(crate) fn ask_about_tokens(run: &mut Run, subject: &Subject, stock: &Agent) {
    eprintln!("- the commands ask the API server");
    let place = run.at().display().to_string();
    let issuer = run.cluster.issuer();
    let published = format!(
        "verification = \"local\"\nissuer = \"{issuer}\"\njwks_ca_file = \"{place}/ca.crt\"\n\
         jwks_token_file = \"{place}/reviewer.token\""
    );
    let id = format!("spiffe://example.org{}", stock.path);
    fs::write(
        run.at().join("commands.token"),
        format!("{}\n", subject.token),
    )
    .unwrap();
    for (step, keys) in [
        ("its review", subject.review.clone()),
        (
            "what it knows of pod and node",
            format!(
                "{}\nlookup = true\nkube_config_file = \"{place}/reviewer.kubeconfig\"",
                subject.local
            ),
        ),
        (
            "its keys, by their URL",
            format!("{published}\njwks_url = \"{issuer}/openid/v1/jwks\""),
        ),
        (
            "its keys, discovered",
            format!("{published}\noidc_discovery = true"),
        ),
    ] {
        eprintln!("  {step}");
        configure(
            run,
            "k8s_psat",
            &format!(
                "[attestors.k8s_psat.clusters.demo]\n\
                 service_account_allow_list = [\"spire:spire-agent\"]\n{keys}"
            ),
        );
        let attest = "attest CONFIG --cluster demo --token commands.token";
        let (good, answer) = asked(run, attest);
        assert!(good, "{answer}");
        assert_eq!(answer["spiffe_id"], id.as_str());
        let (good, answer) = asked(run, &format!("{attest} --record"));
        assert!(good, "{answer}");
        let inspect = "inspect evidence commands.token CONFIG --cluster demo";
        let (good, answer) = asked(run, inspect);
        assert!(good, "{answer}");
        assert_eq!(answer["verdict"]["spiffe_id"], id.as_str());
        let explain = "policy explain builtin:node --evidence commands.token CONFIG --cluster demo";
        let (good, answer) = asked(run, explain);
        assert!(good, "{answer}");
        // Each of them does need an answer.
        let (good, answer) = asked(run, &format!("{attest} --timeout 0"));
        assert!(!good, "{answer}");
        assert_eq!(answer["error"]["reason"], "api_out_of_time");
    }
}

/// A certificate that the cluster's signer made, by its request: of a pod, which
/// is on a node, and of an administrator, who is on none.
pub(crate) fn ask_about_certificates(run: &mut Run, subject: &Subject) {
    const KUBELET: &str = "kubernetes.io/kube-apiserver-client-kubelet";
    const NODE: &str = "system:node:node-1";
    eprintln!("- the commands ask the API server about a certificate");
    let place = run.at().display().to_string();
    let token = run.cluster.token(
        "spire-agent",
        &json!({"expirationSeconds": 600, "boundObjectRef":
            {"apiVersion": "v1", "kind": "Pod", "name": "agent-1", "uid": subject.uid}}),
    );
    let token = run.secret(token);
    let of_pod = run.cluster.sign_by_token(&token, "of-a-pod", NODE, KUBELET);
    let of_administrator = run.cluster.sign("of-an-administrator", NODE, KUBELET);
    for (name, signed) in [("pod", of_pod), ("administrator", of_administrator)] {
        let key = signed.key.serialize_pem();
        let _kept = run.secret(key.lines().nth(1).unwrap().to_owned());
        fs::write(run.at().join(format!("{name}.crt")), &signed.certificate).unwrap();
        fs::write(run.at().join(format!("{name}.key")), key).unwrap();
    }
    let server = format!(
        "cluster = \"demo\"\nca_bundle_path = \"{place}/ca.crt\"\n\
         kube_config_file = \"{place}/reviewer.kubeconfig\""
    );
    configure(run, "k8s", &server);
    let attest = |name: &str| format!("attest CONFIG --certificate {name}.crt --key {name}.key");
    let of_pod = format!("{} --request of-a-pod", attest("pod"));
    let (good, answer) = asked(run, &of_pod);
    assert!(good, "{answer}");
    let id = "spiffe://example.org/spire/agent/k8s/system/node/node-1";
    assert_eq!(answer["spiffe_id"], id);
    let explain = "policy explain builtin:subject --evidence pod.crt --key pod.key CONFIG \
                   --request of-a-pod";
    let (good, answer) = asked(run, explain);
    assert!(good, "{answer}");
    let administrators = format!("{} --request of-an-administrator", attest("administrator"));
    for (line, reason) in [
        (
            format!("{} --request of-nobody", attest("pod")),
            "request_gone",
        ),
        (format!("{of_pod} --timeout 0"), "api_out_of_time"),
        (administrators.clone(), "requester_node_unproven"),
    ] {
        let (good, answer) = asked(run, &line);
        assert!(!good, "{answer}");
        assert_eq!(answer["error"]["reason"], reason);
    }
    let allowed = format!("{server}\nallow_requester_without_node = true");
    configure(run, "k8s", &allowed);
    for line in [&administrators, &of_pod] {
        let (good, answer) = asked(run, line);
        assert!(good, "{answer}");
        assert_eq!(answer["spiffe_id"], id);
    }
    run.cluster.delete_request("of-a-pod");
    run.cluster.delete_request("of-an-administrator");
}
