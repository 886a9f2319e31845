//! Requests for certificates: made, waited for, removed.

use super::server::{Answer, TestServer};
use super::{asked, patience};
use crate::{
    ApiServer, CertificateRequests, NewRequest, NotIssued, RequestState, Requested, Verdict,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::{ApiError, Patience};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NAME: &str = "nameplate-n-1";
const PEM: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

fn requested() -> Requested {
    Requested {
        name: NAME.to_owned(),
        uid: "u-1".to_owned(),
    }
}

fn object(uid: &str, status: &Value) -> Answer {
    let object = json!({"metadata": {"name": NAME, "uid": uid}, "status": status});
    Answer::json(object.to_string())
}

fn condition(kind: &str, reason: &str, message: &str) -> Value {
    json!({"conditions": [
        {"type": kind, "status": "True", "reason": reason, "message": message}]})
}

fn issued() -> Value {
    let mut status = condition("Approved", "", "");
    status["certificate"] = STANDARD.encode(PEM).into();
    status
}

fn verdict(reason: &str, message: &str) -> Verdict {
    Verdict {
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

/// An API server that answers each time with the next of `states`, and with the
/// last of them for ever.
fn through(states: Vec<Value>) -> (tempfile::TempDir, TestServer, ApiServer) {
    let server = TestServer::start_counting(move |request, count| {
        let path = format!("GET /apis/certificates.k8s.io/v1/certificatesigningrequests/{NAME} ");
        assert!(request.starts_with(&path), "{request}");
        object("u-1", &states[count.min(states.len()) - 1])
    });
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder);
    (folder, server, api)
}

#[test]
fn a_request_is_made_as_a_client_of_the_api_makes_it() {
    let server = TestServer::start(|request| {
        let path = "POST /apis/certificates.k8s.io/v1/certificatesigningrequests ";
        assert!(request.starts_with(path), "{request}");
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            body,
            json!({
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "metadata": {"name": NAME},
                "spec": {
                    "request": STANDARD.encode("-----PKCS #10-----"),
                    "signerName": "example.org/agents",
                    "usages": ["digital signature", "client auth"],
                    "expirationSeconds": 3600,
                },
            })
        );
        object("u-1", &json!({}))
    });
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder);
    let new = NewRequest {
        name: NAME,
        request: "-----PKCS #10-----",
        signer: "example.org/agents",
        lifetime: Duration::from_secs(3600),
    };
    assert_eq!(api.make(&new, &patience()), Ok(requested()));
    let elsewhere = NewRequest {
        name: "../nodes",
        ..new
    };
    let error = api.make(&elsewhere, &patience()).unwrap_err();
    assert_eq!(error.reason(), "api_malformed");
    assert_eq!(server.requests(), 1);
}

#[test]
fn each_state_is_read_as_what_it_is() {
    let mut denied = condition("Denied", "NotOurs", "no such\nnode");
    denied["certificate"] = STANDARD.encode(PEM).into();
    for (status, state) in [
        (json!({}), RequestState::Pending),
        (condition("Approved", "", ""), RequestState::Approved),
        (issued(), RequestState::Issued(PEM.to_owned())),
        (
            denied,
            RequestState::Denied(verdict("NotOurs", "no such?node")),
        ),
        (
            condition("Failed", "SignerValidationFailure", "usages"),
            RequestState::Failed(verdict("SignerValidationFailure", "usages")),
        ),
    ] {
        let (_folder, _server, api) = through(vec![status]);
        assert_eq!(api.state(&requested(), &patience()), Ok(state));
    }
    let mut garbled = condition("Approved", "", "");
    garbled["certificate"] = "-".into();
    let (_folder, _server, api) = through(vec![garbled]);
    assert_eq!(
        api.state(&requested(), &patience()),
        Err(ApiError::Malformed {
            what: "a certificate that is not base64 of PEM".to_owned()
        })
    );
}

#[test]
fn an_object_of_its_name_that_another_made_is_not_it() {
    let server = TestServer::start(|_| object("u-2", &issued()));
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder);
    assert_eq!(api.state(&requested(), &patience()), Ok(RequestState::Gone));
}

#[test]
fn a_certificate_is_waited_for_and_changes_are_said() {
    let (pending, approved) = (json!({}), condition("Approved", "", ""));
    let (_folder, server, api) = through(vec![
        pending.clone(),
        pending,
        approved.clone(),
        approved,
        issued(),
    ]);
    let mut said = Vec::new();
    let certificate = api.certificate(&requested(), &patience(), &mut |still| {
        assert!(still.trouble.is_none());
        said.push(still.approved);
    });
    assert_eq!(certificate.as_deref(), Ok(PEM));
    assert_eq!(said, [false, true]);
    assert_eq!(server.requests(), 5);
}

#[test]
fn each_way_to_get_none_is_its_own_error() {
    let outcome = |status: Value| {
        let (_folder, _server, api) = through(vec![status]);
        let patience = Patience::until(Instant::now() + Duration::from_millis(500));
        api.certificate(&requested(), &patience, &mut |_| {})
            .unwrap_err()
    };
    let texts = [
        (json!({}), "not approved in time"),
        (
            condition("Approved", "", ""),
            "approved, and not signed in time",
        ),
        (
            condition("Denied", "NotOurs", "no such node"),
            "denied: NotOurs: no such node",
        ),
        (condition("Denied", "", ""), "denied: no reason given"),
        (
            condition("Failed", "SignerValidationFailure", ""),
            "approved, and refused by the signer: SignerValidationFailure",
        ),
    ];
    for (status, text) in texts {
        assert_eq!(outcome(status).to_string(), text);
    }
    let server = TestServer::start(|_| Answer::status(404, "{}".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder);
    let gone = api.certificate(&requested(), &patience(), &mut |_| {});
    assert_eq!(gone, Err(NotIssued::Gone));
}

#[test]
fn an_api_server_that_is_away_for_a_while_is_waited_for() {
    let server = TestServer::start_counting(|_, count| match count {
        1 => object("u-1", &json!({})),
        2 => Answer::status(503, "{}".to_owned()),
        _ => object("u-1", &issued()),
    });
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder);
    let mut said = Vec::new();
    let certificate = api.certificate(&requested(), &patience(), &mut |still| {
        said.push(still.trouble.map(ApiError::reason));
    });
    assert_eq!(certificate.as_deref(), Ok(PEM));
    assert_eq!(said, [None, Some("api_refused")]);
    // One that will not tell is not asked again.
    let server = TestServer::start(|_| Answer::status(403, "{}".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder);
    let error = api
        .certificate(&requested(), &patience(), &mut |_| {})
        .unwrap_err();
    assert!(matches!(error, NotIssued::Api(ApiError::Forbidden { .. })));
    assert_eq!(server.requests(), 1);
}

#[test]
fn whoever_gives_up_waits_no_longer() {
    let (_folder, _server, api) = through(vec![json!({})]);
    let patience = patience();
    let outcome = api.certificate(&requested(), &patience, &mut |_| patience.give_up());
    assert_eq!(outcome, Err(NotIssued::NotApproved));
}

#[test]
fn a_request_is_removed_if_it_is_still_the_same() {
    for (status, removed) in [(200, true), (404, true), (409, true), (403, false)] {
        let server = TestServer::start(move |request| {
            let path =
                format!("DELETE /apis/certificates.k8s.io/v1/certificatesigningrequests/{NAME} ");
            assert!(request.starts_with(&path), "{request}");
            assert!(request.contains(r#""preconditions":{"uid":"u-1"}"#));
            Answer::status(status, "{}".to_owned())
        });
        let folder = tempfile::tempdir().unwrap();
        let api = asked(&server, &folder);
        let outcome = api.remove(&requested(), &patience());
        assert_eq!(outcome.is_ok(), removed, "{status}: {outcome:?}");
    }
}
