//! Against a server that answers what the test says, over real TLS. A fake in
//! that it is not Kubernetes; what a real API server answers is asked of one
//! in the end-to-end runs.

mod accesses;
mod certificate_requests;
mod server;

use crate::{Access, ApiServer, KeyLocation, Published, PublishedKeys};
use nameplate_evidence::{ApiError, ClusterApi, KeySource, Patience};
use server::{Answer, TestServer};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
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
fn a_kubeconfig_that_gives_protection_up_is_refused() {
    let server = TestServer::start(|_| Answer::json("{}".to_owned()));
    let url = server.url();
    for (cluster, why) in [
        (
            format!("server: {url}, proxy-url: \"http://p:1\""),
            "asks for a proxy",
        ),
        (
            format!("server: {url}, insecure-skip-tls-verify: true"),
            "asks for `insecure-skip-tls-verify`",
        ),
        (
            "server: \"http://127.0.0.1:1\"".to_owned(),
            "names a server without https",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = kubeconfig(&folder, &server, &cluster);
        assert_eq!(
            ApiServer::new(Access::Kubeconfig(path)).unwrap_err(),
            ApiError::NotConfigured {
                what: format!("the kubeconfig {why}")
            }
        );
    }
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

/// One EC key (RFC 7517 A.1) as `kid`.
fn jwks(kid: &str) -> String {
    format!(
        r#"{{"keys":[{{"kty":"EC","crv":"P-256","alg":"ES256","kid":"{kid}",
            "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}]}}"#
    )
}

fn followed(server: &TestServer, location: KeyLocation) -> Published {
    Published {
        location,
        ca_pem: Some(server.ca_pem().into_bytes()),
        bearer_token_file: None,
        refresh: Duration::from_secs(300),
        max_age: Duration::from_secs(3600),
        retry: Duration::from_secs(10),
    }
}

#[test]
fn a_set_is_asked_for_as_what_it_is() {
    // As an API server's `/openid/v1/jwks` does.
    let server = TestServer::start(|request| {
        let accepted = "accept: application/jwk-set+json,";
        if request.to_ascii_lowercase().contains(accepted) {
            Answer::json(jwks("a"))
        } else {
            Answer::status(406, String::new())
        }
    });
    let location = KeyLocation::Jwks(format!("{}/openid/v1/jwks", server.url()));
    let keys = PublishedKeys::new(followed(&server, location)).unwrap();
    assert!(keys.current(&patience()).is_ok());
}

#[test]
fn a_fresh_set_is_fetched_once_whatever_is_asked() {
    let server = TestServer::start(|_| Answer::json(jwks("a")));
    let location = KeyLocation::Jwks(format!("{}/keys", server.url()));
    let keys = PublishedKeys::new(followed(&server, location)).unwrap();
    let first = keys.current(&patience()).unwrap();
    for _ in 0..100 {
        assert!(Arc::ptr_eq(&first, &keys.current(&patience()).unwrap()));
        // An unknown `kid`, again and again, within the interval.
        assert!(keys.newer_than(&first, &patience()).is_none());
    }
    assert_eq!(server.requests(), 1);
    let status = keys.status();
    assert_eq!((status.fetches, status.last_error), (1, None));
    assert!(status.age.is_some());
}

#[test]
fn a_set_that_rotates_is_found_after_the_interval() {
    let server = TestServer::start_counting(|_, count| Answer::json(jwks(&count.to_string())));
    let location = KeyLocation::Jwks(format!("{}/keys", server.url()));
    let published = Published {
        retry: Duration::ZERO,
        ..followed(&server, location)
    };
    let keys = PublishedKeys::new(published).unwrap();
    let first = keys.current(&patience()).unwrap();
    let second = keys.newer_than(&first, &patience()).unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    // Who still has the first one is given the second without a fetch.
    assert!(keys.newer_than(&first, &patience()).is_some());
    assert_eq!(server.requests(), 2);
}

#[test]
fn a_failed_fetch_keeps_the_last_good_set_and_says_so() {
    let server = TestServer::start_counting(|_, count| match count {
        1 => Answer::json(jwks("a")),
        _ => Answer::status(503, "secret body".to_owned()),
    });
    let location = KeyLocation::Jwks(format!("{}/keys", server.url()));
    let published = Published {
        refresh: Duration::ZERO,
        retry: Duration::ZERO,
        ..followed(&server, location)
    };
    let keys = PublishedKeys::new(published).unwrap();
    let first = keys.current(&patience()).unwrap();
    assert!(keys.newer_than(&first, &patience()).is_none());
    assert!(Arc::ptr_eq(&first, &keys.current(&patience()).unwrap()));
    let error = keys.status().last_error.unwrap();
    assert_eq!(error.to_string(), "HTTP status 503: Service Unavailable");
}

#[test]
fn discovery_stays_with_its_issuer_and_its_host() {
    let outcome = |document: fn(&str) -> String| {
        let server = TestServer::start_knowing(move |request, url| {
            if request.starts_with("GET /id/.well-known/openid-configuration ") {
                Answer::json(document(url))
            } else {
                Answer::json(jwks("a"))
            }
        });
        let issuer = format!("{}/id", server.url());
        let location = KeyLocation::Discovery { issuer };
        let keys = PublishedKeys::new(followed(&server, location)).unwrap();
        let outcome = keys.current(&patience()).map(|keys| keys.len());
        let Err(ApiError::Malformed { what }) = outcome else {
            return outcome;
        };
        let what = what.replace(&server.url(), "URL");
        Err(ApiError::Malformed { what })
    };
    let document = |url: &str| format!(r#"{{"issuer":"{url}/id","jwks_uri":"{url}/keys"}}"#);
    assert_eq!(outcome(document), Ok(1));
    let malformed = |what: &str| {
        Err(ApiError::Malformed {
            what: what.to_owned(),
        })
    };
    assert_eq!(
        outcome(|url| format!(r#"{{"issuer":"{url}/id/","jwks_uri":"{url}/keys"}}"#)),
        malformed(
            "the discovery document is of issuer `URL/id/`, and not of the configured `URL/id`, \
             which has no slash at its end"
        )
    );
    assert_eq!(
        outcome(|url| {
            format!(r#"{{"issuer":"{url}/id","jwks_uri":"https://other.example/keys"}}"#)
        }),
        malformed("`jwks_uri` of the discovery document is on another host")
    );
}

#[test]
fn a_location_without_https_is_refused() {
    let server = TestServer::start(|_| Answer::json(jwks("a")));
    for (url, why) in [
        (
            "http://a.example/keys",
            "`http://a.example/keys` is not an https URL",
        ),
        (
            "https://u@a.example/keys",
            "`https://u@a.example/keys` has a user name",
        ),
        ("keys", "`keys` is not an https URL"),
    ] {
        let location = KeyLocation::Jwks(url.to_owned());
        assert_eq!(
            PublishedKeys::new(followed(&server, location)).unwrap_err(),
            ApiError::NotConfigured {
                what: why.to_owned()
            }
        );
    }
}
