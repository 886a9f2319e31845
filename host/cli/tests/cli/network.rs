//! The commands that verify evidence, over a network: whoever has to be asked
//! is asked.

use crate::server::{Answer, TestServer};
use crate::support::{NOW_TEXT, Place, claims, token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

const ID: &str = "spiffe://example.org/spire/agent/k8s_psat/production/node-uid";

/// A place whose tokens are verified in `keys`, and the server that knows.
struct Network {
    place: Place,
    server: TestServer,
}

impl Network {
    /// `URL` in `keys` is the server's.
    fn new(keys: &str) -> Self {
        let place = Place::new();
        let server = cluster(&place);
        place.write("server.pem", &server.ca_pem());
        place.write("kubeconfig", &kubeconfig(&server.url()));
        let keys = keys.replace("URL", &server.url());
        place.write(
            "nameplate.toml",
            &format!(
                "trust_domain = \"example.org\"\n[attestors.k8s_psat]\n\
                 policy = {{ source = \"builtin:node\" }}\n\
                 [attestors.k8s_psat.clusters.production]\n\
                 service_account_allow_list = [\"spire:spire-agent\"]\n{keys}\n"
            ),
        );
        let mut claims = claims();
        claims["iss"] = server.url().into();
        claims["sub"] = "system:serviceaccount:spire:spire-agent".into();
        place.write("token", &token(&claims));
        Self { place, server }
    }
}

fn kubeconfig(url: &str) -> String {
    format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"{url}\", certificate-authority: server.pem}}}}]\n\
         users: [{{name: u, user: {{token: canary}}}}]\n"
    )
}

/// A cluster that knows the pod and the node of the tokens, and the certificate
/// `node.pem` by the request `r`, once that is there.
fn cluster(place: &Place) -> TestServer {
    let keys = place.read("key.pem");
    let at = place.path().to_owned();
    TestServer::start_knowing(move |request, url| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let answer = match path {
            "/.well-known/openid-configuration" => {
                json!({"issuer": url, "jwks_uri": format!("{url}/keys")})
            }
            "/keys" => jwks(&keys),
            "/apis/authentication.k8s.io/v1/tokenreviews" => json!({"status": {
                "authenticated": true,
                "audiences": ["spire-server"],
                "user": {
                    "username": "system:serviceaccount:spire:spire-agent",
                    "uid": "sa-uid",
                    "extra": {
                        "authentication.kubernetes.io/pod-name": ["agent-x7k2p"],
                        "authentication.kubernetes.io/pod-uid": ["pod-uid"],
                    },
                },
            }}),
            "/api/v1/namespaces/spire/pods/agent-x7k2p" => json!({
                "metadata": {"name": "agent-x7k2p", "uid": "pod-uid"},
                "spec": {"serviceAccountName": "spire-agent", "nodeName": "worker-1"},
            }),
            "/api/v1/nodes/worker-1" => {
                json!({"metadata": {"name": "worker-1", "uid": "node-uid"}})
            }
            "/apis/certificates.k8s.io/v1/certificatesigningrequests/r" => {
                let certificate = std::fs::read(at.join("node.pem")).unwrap();
                json!({
                    "metadata": {"name": "r", "uid": "r-uid"},
                    "spec": {
                        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                        "username": "system:node:worker-1",
                        "groups": ["system:nodes", "system:authenticated"],
                    },
                    "status": {
                        "certificate": STANDARD.encode(certificate),
                        "conditions": [{"type": "Approved", "status": "True"}],
                    },
                })
            }
            _ => return Answer::status(404, "{}".to_owned()),
        };
        Answer::json(answer.to_string())
    })
}

/// The P-256 key of a PEM file as a JWK Set.
fn jwks(pem: &str) -> Value {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let spki = STANDARD.decode(body).unwrap();
    let point = &spki[spki.len() - 64..];
    json!({"keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
        "x": URL_SAFE_NO_PAD.encode(&point[..32]),
        "y": URL_SAFE_NO_PAD.encode(&point[32..]),
    }]})
}

const JWKS: &str = "verification = \"local\"\nissuer = \"URL\"\njwks_url = \"URL/keys\"\n\
                    jwks_ca_file = \"server.pem\"";
const DISCOVERY: &str = "verification = \"local\"\nissuer = \"URL\"\noidc_discovery = true\n\
                         jwks_ca_file = \"server.pem\"";
const LOOKUP: &str = "verification = \"local\"\nissuer = \"URL\"\n\
                      service_account_key_file = \"key.pem\"\nlookup = true\n\
                      kube_config_file = \"kubeconfig\"";
const REVIEW: &str = "kube_config_file = \"kubeconfig\"";

const TOKEN: &str = "--config nameplate.toml --cluster production --output json";

#[test]
fn whoever_knows_is_asked_by_each_command() {
    for keys in [JWKS, DISCOVERY, LOOKUP, REVIEW] {
        let network = Network::new(keys);
        let run = |line: &str| {
            let line = line.replace("FLAGS", &format!("{TOKEN} --now {NOW_TEXT}"));
            network.place.run(&line)
        };
        let before = network.server.requests();
        let given = run("attest --token token FLAGS").exits(0).json();
        assert_eq!(given["spiffe_id"], ID, "{keys}");
        assert!(network.server.requests() > before, "{keys}");
        let given = run("attest --token token --record FLAGS").exits(0).json();
        assert_eq!(given["spiffe_id"], ID, "{keys}");
        let shown = run("inspect evidence token FLAGS").exits(0).json();
        assert_eq!(shown["verdict"]["spiffe_id"], ID, "{keys}");
        let _explained = run("policy explain builtin:node --evidence token FLAGS").exits(0);
        // What has to be known nobody else knows.
        let asked = network.server.requests();
        for line in [
            "attest --token token --timeout 0 FLAGS",
            "policy explain builtin:node --evidence token --timeout 0s FLAGS",
        ] {
            let error = run(line).exits(1).json()["error"].clone();
            assert_eq!(error["reason"], "api_out_of_time", "{keys}");
            assert_eq!(
                error["whose"],
                "nobody's yet: no answer came in the time that there was for it"
            );
        }
        let shown = run("inspect evidence token --timeout 0 FLAGS")
            .exits(1)
            .json();
        assert_eq!(shown["verdict"]["reason"], "api_out_of_time", "{keys}");
        assert_eq!(network.server.requests(), asked, "{keys}");
    }
}

#[test]
fn that_nobody_is_asked_is_said() {
    let network = Network::new(REVIEW);
    let run = network
        .place
        .attest("--cluster production --token token --timeout 0");
    assert_eq!(
        run.exits(1).stderr,
        "note: with `--timeout 0` no API server and nobody who publishes keys is asked\n\
         evidence cannot be verified: no verdict on a token for cluster `production`: the token review failed: no answer in time\n  \
         check    api_out_of_time\n  \
         cluster  production\n  \
         whose    nobody's yet: no answer came in the time that there was for it\n"
    );
}

#[test]
fn a_certificate_is_looked_up_by_its_request() {
    let network = Network::new(REVIEW);
    let place = &network.place;
    place.issue_for("system:node:worker-1", Some("system:nodes"));
    place.write(
        "k8s.toml",
        "trust_domain = \"example.org\"\n[attestors.k8s]\ncluster = \"production\"\n\
         ca_bundle_path = \"ca.pem\"\nkube_config_file = \"kubeconfig\"\n\
         limits = { deadline = \"30s\" }\n",
    );
    let flags = "--config k8s.toml --output json --key node.key";
    let attest = format!("attest {flags} --certificate node.pem --request");
    let given = place.run(&format!("{attest} r")).exits(0).json();
    let id = "spiffe://example.org/spire/agent/k8s/system/node/worker-1";
    assert_eq!(given["spiffe_id"], id);
    let explain = format!("policy explain builtin:subject {flags} --evidence node.pem --request r");
    let _explained = place.run(&explain).exits(0);
    let error = place.run(&format!("{attest} other")).exits(3).json();
    assert_eq!(error["error"]["reason"], "request_gone");
    let nobody = place
        .run(&format!("{attest} r --timeout 0"))
        .exits(1)
        .json();
    assert_eq!(nobody["error"]["reason"], "api_out_of_time");
}

#[test]
fn a_server_that_never_answers_is_waited_for_as_long_as_is_said() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let network = Network::new(REVIEW);
    let url = format!("https://{}", silent.local_addr().unwrap());
    network.place.write("kubeconfig", &kubeconfig(&url));
    let run = network
        .place
        .attest("--cluster production --token token --timeout 100ms --output json");
    let error = run.exits(1).json()["error"].clone();
    assert_eq!(error["reason"], "api_out_of_time");
    for wrong in ["soon", "30", "-1s"] {
        let run = network.place.attest(&format!(
            "--cluster production --token token --timeout={wrong}"
        ));
        assert!(run.exits(2).stderr.contains("write 30s"), "{wrong}");
    }
}

#[test]
fn a_signal_ends_the_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let network = Network::new(REVIEW);
    let url = format!("https://{}", silent.local_addr().unwrap());
    network.place.write("kubeconfig", &kubeconfig(&url));
    let line = format!("attest --token token --timeout 1h {TOKEN} --now {NOW_TEXT}");
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_nameplate"))
        .args(line.split_whitespace())
        .current_dir(network.place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // It waits once it has connected. SIGINT would be ignored where a shell
    // runs the tests behind itself.
    let _connected = silent.accept().unwrap();
    let pid = rustix::process::Pid::from_child(&waiting);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(waiting.wait().unwrap().signal(), Some(15));
}
