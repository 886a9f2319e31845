//! Against a server that answers what the test says, over real TLS. A fake in
//! that it is not Kubernetes; what a real API server answers is asked of one
//! in the end-to-end runs.

mod accesses;
mod certificate_requests;
mod execs;
mod kubeconfigs;
mod locations;
mod published;
mod server;
mod suspended;

use crate::{Access, ApiServer};
use nameplate_evidence::{ApiError, ClusterApi, Patience};
use server::{Answer, TestServer};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LWNsYWltcw.c2lnbmF0dXJlLWJ5dGVz";

fn patience() -> Patience {
    Patience::until(Instant::now() + Duration::from_secs(30))
}

/// A kubeconfig for `server` with the credential `host-credential`.
fn kubeconfig(folder: &tempfile::TempDir, server: &TestServer, cluster: &str) -> PathBuf {
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, server.ca_pem()).unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n\
         - {{name: c, context: {{cluster: c, user: u}}}}\nclusters:\n\
         - name: c\n  cluster: {{certificate-authority: ca.crt, {cluster}}}\nusers:\n\
         - {{name: u, user: {{token: host-credential}}}}\n"
    );
    let path = folder.path().join("kubeconfig");
    fs::write(&path, text).unwrap();
    path
}

fn asked(server: &TestServer, folder: &tempfile::TempDir) -> ApiServer {
    let cluster = format!("server: {}", server.url());
    ApiServer::new(Access::Kubeconfig(kubeconfig(folder, server, &cluster))).unwrap()
}

#[test]
fn a_review_is_asked_and_read() {
    let server = TestServer::start(|request| {
        assert!(request.starts_with("POST /apis/authentication.k8s.io/v1/tokenreviews "));
        assert!(request.contains("Bearer host-credential"));
        assert!(request.contains(r#""audiences":["spire-server"]"#));
        Answer::json(format!(
            r#"{{"spec":{{"token":"{TOKEN}"}},"status":{{"authenticated":true,
                "user":{{"username":"system:serviceaccount:spire:agent","uid":"u",
                "extra":{{"authentication.kubernetes.io/pod-name":["p"]}}}},
                "audiences":["spire-server"]}}}}"#
        ))
    });
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder);
    let review = api
        .review(TOKEN, &["spire-server".to_owned()], &patience())
        .unwrap();
    assert!(review.authenticated);
    assert_eq!(review.username, "system:serviceaccount:spire:agent");
    assert_eq!(review.extra["authentication.kubernetes.io/pod-name"], ["p"]);
    assert!(!format!("{api:?} {review:?}").contains(TOKEN));
}

#[test]
fn words_of_the_server_never_repeat_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(|_| {
        Answer::status(
            403,
            format!(r#"{{"message":"no\nuse of {TOKEN} or host eyJhbGciOiJFUzI1NiJ9.a.b"}}"#),
        )
    });
    let error = asked(&server, &folder)
        .review(TOKEN, &[], &patience())
        .unwrap_err();
    assert_eq!(
        error,
        ApiError::Forbidden {
            message: "no?use of <token> or host <token>".to_owned()
        }
    );
}

#[test]
fn each_status_is_its_own_error() {
    for (status, reason) in [
        (404, "api_not_found"),
        (403, "api_forbidden"),
        (500, "api_refused"),
        (302, "api_refused"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = TestServer::start(move |_| Answer::status(status, "{}".to_owned()));
        let error = asked(&server, &folder).node("n", &patience()).unwrap_err();
        assert_eq!(error.reason(), reason, "{status}");
        assert_eq!(server.requests(), 1, "{status}: asked once");
    }
}

#[test]
fn a_401_is_tried_once_more_with_credentials_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(|_| Answer::status(401, "{}".to_owned()));
    let error = asked(&server, &folder).node("n", &patience()).unwrap_err();
    assert_eq!(error.reason(), "api_unauthorized");
    assert_eq!(server.requests(), 2);
}

#[test]
fn a_kubeconfig_that_changed_is_what_the_next_request_is_made_with() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(|request| {
        let name = if request.contains("Bearer rotated") {
            "n"
        } else {
            "other"
        };
        Answer::json(format!(r#"{{"metadata":{{"name":"{name}","uid":"u"}}}}"#))
    });
    let api = asked(&server, &folder);
    assert_eq!(
        api.node("n", &patience()),
        Err(ApiError::Malformed {
            what: "an object of another name than was asked for".to_owned()
        })
    );
    let path = folder.path().join("kubeconfig");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("host-credential", "rotated")).unwrap();
    let node = api.node("n", &patience()).unwrap();
    assert_eq!(node.uid.as_deref(), Some("u"));
}

#[test]
fn a_file_that_only_another_context_needs_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        TestServer::start(|_| Answer::json(r#"{"metadata":{"name":"n","uid":"u"}}"#.to_owned()));
    let path = kubeconfig(&folder, &server, &format!("server: {}", server.url()));
    let text = fs::read_to_string(&path).unwrap();
    let other = "users:\n- {name: unused, user: {client-certificate: gone.crt}}";
    fs::write(&path, text.replace("users:", other)).unwrap();
    let api = ApiServer::new(Access::Kubeconfig(path.clone())).unwrap();
    assert!(api.node("n", &patience()).is_ok());
    // One that its own context needs may not.
    fs::remove_file(folder.path().join("ca.crt")).unwrap();
    let error = api.node("n", &patience()).unwrap_err();
    assert_eq!(error.reason(), "api_not_configured");
}

#[test]
fn a_name_that_is_none_is_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(|_| Answer::json("{}".to_owned()));
    let api = asked(&server, &folder);
    for (namespace, name) in [("spire", "../nodes"), ("a/b", "p")] {
        let error = api.pod(namespace, name, &patience()).unwrap_err();
        assert_eq!(error.reason(), "api_malformed");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn an_answer_without_end_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(|_| Answer::json(" ".repeat(crate::MAX_ANSWER_BYTES + 1)));
    let error = asked(&server, &folder).node("n", &patience()).unwrap_err();
    assert_eq!(
        error,
        ApiError::Malformed {
            what: "more than 2,097,152 bytes".to_owned()
        }
    );
}

#[test]
fn a_server_of_another_ca_is_not_spoken_to() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(|_| Answer::json("{}".to_owned()));
    let other = TestServer::start(|_| Answer::json("{}".to_owned()));
    let api = asked(&server, &folder);
    fs::write(folder.path().join("ca.crt"), other.ca_pem()).unwrap();
    let error = api.node("n", &patience()).unwrap_err();
    assert_eq!(error.reason(), "api_unreachable");
    assert_eq!(server.requests(), 0);
}
