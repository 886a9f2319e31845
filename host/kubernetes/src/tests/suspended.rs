//! An API server that gives no answer, again and again.

use super::server::{Answer, TestServer};
use super::{asked, patience};
use crate::breaker::FAILURES;
use crate::{ApiServer, CertificateRequests as _, Requested};
use nameplate_evidence::{ApiError, ClusterApi as _};
use std::thread;
use std::time::Duration;

/// What each of so many calls came to.
fn calls(api: &ApiServer, count: u32) -> Vec<&'static str> {
    let call = |_| match api.node("n", &patience()) {
        Ok(_) => "answered",
        Err(error) => error.reason(),
    };
    (0..count).map(call).collect()
}

fn times<T: Clone>(count: u32, one: T) -> Vec<T> {
    vec![one; usize::try_from(count).unwrap()]
}

#[test]
fn one_that_hangs_is_left_alone_by_all_who_ask_it() {
    let server = TestServer::start(|_| {
        loop {
            thread::park();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder).with_timeout(Duration::from_millis(200));
    assert_eq!(calls(&api, FAILURES), times(FAILURES, "api_out_of_time"));
    let asked_so_far = server.requests();
    // Whoever asks the same one knows of it.
    let other = asked(&server, &folder);
    assert_eq!(calls(&other, 3), times(3, "api_suspended"));
    assert_eq!(server.requests(), asked_so_far);
    let suspended = other.status().suspended.unwrap();
    assert_eq!(*suspended.last_error, ApiError::OutOfPatience);
    assert_eq!(suspended.failures, FAILURES);
    assert_eq!(other.status().suspensions, 1);
    // Not who makes certificates with it, who has waited all along.
    let requested = Requested {
        name: "n".to_owned(),
        uid: "u".to_owned(),
    };
    let short = patience().no_longer_than(std::time::Instant::now() + Duration::from_millis(50));
    let error = api.state(&requested, &short).unwrap_err();
    assert_eq!(error.reason(), "api_out_of_time");
}

#[test]
fn one_that_fails_is_left_alone_and_one_that_refuses_is_not() {
    for (status, reason, after) in [
        (500, "api_refused", "api_suspended"),
        (503, "api_refused", "api_suspended"),
        (429, "api_refused", "api_refused"),
        (404, "api_not_found", "api_not_found"),
        (401, "api_unauthorized", "api_unauthorized"),
    ] {
        let server = TestServer::start(move |_| Answer::status(status, "{}".to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let api = asked(&server, &folder);
        assert_eq!(calls(&api, FAILURES), times(FAILURES, reason), "{status}");
        assert_eq!(calls(&api, 1), [after], "{status}");
    }
}

#[test]
fn one_that_has_another_certificate_is_left_alone() {
    let server = TestServer::start(|_| Answer::json("{}".to_owned()));
    let other = TestServer::start(|_| Answer::json("{}".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let api = asked(&server, &folder);
    std::fs::write(folder.path().join("ca.crt"), other.ca_pem()).unwrap();
    assert_eq!(calls(&api, FAILURES), times(FAILURES, "api_unreachable"));
    assert_eq!(calls(&api, 1), ["api_suspended"]);
}
