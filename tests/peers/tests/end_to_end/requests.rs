//! `k8s`: certificates that the cluster's own signer makes, asked for by our
//! agent with the token of its pod.

use crate::Subject;
use crate::run::Run;
use nameplate_peers::{Agent, Signed, Spire, eventually};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;

const KUBELET: &str = "kubernetes.io/kube-apiserver-client-kubelet";

/// What our server is told; it reads requests, as it does by default.
fn server(run: &Run) -> String {
    server_naming(run, "")
}

fn server_naming(run: &Run, policy: &str) -> String {
    let at = run.at().display().to_string();
    run.k8s(
        "server",
        &format!(
            "cluster = \"demo\"\nca_bundle_path = \"{at}/ca.crt\"\n\
             kube_config_file = \"{at}/reviewer.kubeconfig\"\n{policy}"
        ),
    )
}

/// Our agent on `node`, whose pod is on `node-1`.
fn agent(run: &Run, node: &str, more: &str) -> String {
    let at = run.at().display();
    run.k8s(
        "agent",
        &format!(
            "token_path = \"{at}/requester.token\"\napi_server = \"{}\"\nca_file = \"{at}/ca.crt\"\n\
             node_name = \"{node}\"\n{more}",
            run.cluster.issuer()
        ),
    )
}

/// Writes the credential of our agents: a token of the pod `name` for the API
/// server itself.
fn credential(run: &mut Run, subject: &Subject) {
    let token = run.cluster.token(
        "spire-agent",
        &json!({"expirationSeconds": 3600, "boundObjectRef":
            {"apiVersion": "v1", "kind": "Pod", "name": "agent-1", "uid": subject.uid}}),
    );
    let token = run.secret(token);
    fs::write(run.at().join("requester.token"), token).unwrap();
}

fn nothing_is_left(run: &Run) {
    eventually("the request is removed", || {
        run.cluster.requests().is_empty()
    });
}

/// What the agent of `stanza` is given once its request is approved.
fn approved(run: &mut Run, spire: &Spire, name: &str, stanza: &str) -> Agent {
    let before = run.cluster.requests();
    let mut agent = spire.start_agent(name, stanza);
    let request = run.cluster.requested(&before);
    eventually("the agent waits, and says so", || {
        agent.said().contains("Waiting for an approval")
    });
    run.cluster.decide(&request, "Approved");
    let attested = spire.agent(&agent.attested());
    assert!(agent.said().contains(&request));
    run.heard(&agent.said());
    attested
}

pub(crate) fn are_approved_and_denied(run: &mut Run, subject: &Subject) {
    credential(run, subject);
    run.cluster.start_signer();
    let (server, stanza) = (server(run), agent(run, "node-1", ""));
    let spire = run.spire("k8s: a certificate is requested and approved", &server);
    let given = approved(run, &spire, "a", &stanza);
    assert_eq!(given.path, "/spire/agent/k8s/system/node/node-1");
    assert!(given.can_reattest);
    let [authority, name]: [String; 2] = given.selectors.try_into().unwrap();
    assert!(authority.starts_with("ca:fingerprint:"), "{authority}");
    assert_eq!(name, "subject:cn:system:node:node-1");
    nothing_is_left(run);

    eprintln!("  another is denied");
    let mut denied = spire.start_agent("b", &stanza);
    let request = run.cluster.requested(&[]);
    run.cluster.decide(&request, "Denied");
    eventually("the denied agent ends", || !denied.process().runs());
    let said = denied.said();
    assert!(
        said.contains("denied: EndToEnd: a test has decided"),
        "{said}"
    );
    assert!(said.contains("PermissionDenied"), "{said}");
    nothing_is_left(run);
    run.heard(&said);

    eprintln!("  another is never decided on");
    let stanza = agent(run, "node-1", "approval_timeout = \"1s\"");
    let ignored = spire.start_agent("c", &stanza);
    eventually("the agent is told", || {
        ignored.said().contains("DeadlineExceeded")
            && ignored.said().contains("not approved in time")
    });
    drop(ignored);
    nothing_is_left(run);

    eprintln!("  another is stopped while it waits");
    let stanza = agent(run, "node-1", "");
    let mut stopped = spire.start_agent("d", &stanza);
    let _pending = run.cluster.requested(&[]);
    assert!(stopped.process().stop().success());
    nothing_is_left(run);
    run.heard(&(spire.said() + &stopped.said()));
}

/// Where the agent `keys` keeps its key.
fn kept(run: &Run) -> PathBuf {
    run.at().join("keys")
}

/// The name of the request, and the key, of what is kept.
fn read_kept(run: &mut Run) -> (String, String) {
    let file = kept(run).join("k8s.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let text = |pointer: &str| kept.pointer(pointer).and_then(Value::as_str).unwrap();
    let key = text("/key");
    let key = run.secret(key.lines().nth(1).unwrap().to_owned());
    (text("/request/name").to_owned(), key)
}

/// And who asked for them is a fact, from the credential that was asked with.
pub(crate) fn are_kept_and_renewed(run: &mut Run, subject: &Subject) {
    let directory = kept(run).display().to_string();
    let more = format!("key_directory = \"{directory}\"\ncertificate_ttl = \"10m\"");
    let policy = "policy {\nsource = \"builtin:template\"\n\
                  settings { path = [\"{node_name}\", \"{requester_pod_uid}\"] }\n}";
    let server = server_naming(run, policy);
    let stanza = agent(run, "node-1", &more);
    let spire = run.spire("k8s: a key is kept, and used again", &server);
    let given = approved(run, &spire, "a", &stanza);
    let pod = &subject.uid;
    assert_eq!(given.path, format!("/spire/agent/k8s/node-1/{pod}"));
    let (request, key) = read_kept(run);
    assert_eq!(run.cluster.requests(), [request.as_str()]);
    let mut again = spire.start_agent("b", &stanza);
    assert_eq!(spire.agent(&again.attested()), given);
    assert!(again.said().contains("Kept certificate used"));
    assert_eq!(run.cluster.requests(), [request.as_str()]);
    run.heard(&again.said());
    drop(again);

    eprintln!("  Kubernetes has removed the request: it is renewed");
    run.cluster.delete_request(&request);
    let anew = approved(run, &spire, "c", &stanza);
    assert_eq!(anew.path, given.path);
    // Among them is the certificate's serial number.
    assert_ne!(anew.selectors, given.selectors);
    let (request, renewed) = read_kept(run);
    assert_ne!(renewed, key);
    assert_eq!(run.cluster.requests(), [request.as_str()]);
    run.heard(&(spire.said() + &spire.metrics()));
    run.cluster.delete_request(&request);
    fs::remove_dir_all(kept(run)).unwrap();
}

/// Lays a certificate where the agent on `node` keeps its own.
fn lay(run: &mut Run, node: &str, signer: &str, signed: &Signed) {
    let directory = kept(run);
    let _left = fs::remove_dir_all(&directory);
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&directory)
        .unwrap();
    let key = signed.key.serialize_pem();
    let _kept = run.secret(key.lines().nth(1).unwrap().to_owned());
    let of = |key: &str| signed.metadata.get(key).unwrap();
    let kept = json!({
        "node": node,
        "signer": signer,
        "request": {"name": of("name"), "uid": of("uid")},
        "certificate": signed.certificate,
        "key": key,
    });
    fs::write(directory.join("k8s.json"), kept.to_string()).unwrap();
}

/// The cluster signs all of these, and our server gives none of them a name.
pub(crate) fn are_refused_by_what_the_api_server_knows(run: &mut Run) {
    const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
    let directory = kept(run).display().to_string();
    let (strict, lenient) = (
        server(run),
        server_naming(run, "allow_requester_without_node = true"),
    );
    for (step, common_name, signer, server, reason) in [
        (
            "a name that walks out",
            "system:node:../../x",
            KUBELET,
            &strict,
            "node_name_malformed",
        ),
        (
            "no name",
            "system:node:",
            KUBELET,
            &strict,
            "node_name_malformed",
        ),
        (
            "another signer",
            "system:node:node-1",
            CLIENT,
            &strict,
            "request_signer",
        ),
        (
            "an administrator asks, who is on no node",
            "system:node:node-1",
            KUBELET,
            &strict,
            "requester_node_unproven",
        ),
        (
            "a node that there is not",
            "system:node:ghost",
            KUBELET,
            &lenient,
            "node_gone",
        ),
    ] {
        let signed = run.cluster.sign("by-an-administrator", common_name, signer);
        lay(run, "node-1", signer, &signed);
        let more = format!("key_directory = \"{directory}\"\nsigner = \"{signer}\"");
        let stanza = agent(run, "node-1", &more);
        let refused = run.refuse(&format!("k8s: {step}"), server, &stanza);
        assert_eq!(refused, reason, "{step}");
        run.cluster.delete_request("by-an-administrator");
    }
    let _left = fs::remove_dir_all(kept(run));

    let step = "k8s: a pod of another node asks";
    let _made = run.cluster.ask(
        "POST",
        "/api/v1/nodes",
        &json!({"metadata": {"name": "node-2"}}),
    );
    let spire = run.spire(step, &strict);
    let stanza = agent(run, "node-2", "");
    let elsewhere = spire.start_agent("a", &stanza);
    let request = run.cluster.requested(&[]);
    run.cluster.decide(&request, "Approved");
    assert_eq!(spire.refused(0), "requester_elsewhere");
    run.heard(&(spire.said() + &elsewhere.said()));
    drop(elsewhere);
    nothing_is_left(run);
}
