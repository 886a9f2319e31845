//! Keys that are followed: when they are fetched, and which of them verify.

use super::patience;
use super::server::{Answer, TestServer};
use crate::{KeyLocation, Published, PublishedKeys};
use nameplate_evidence::{ApiError, KeyPublisher, KeySet, KeySource, Patience, Rhythm};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

const RHYTHM: Rhythm = Rhythm {
    refresh: Duration::from_secs(300),
    max_age: Duration::from_secs(3600),
    retry: Duration::from_secs(10),
    serve_while_refreshing: false,
};

/// One EC key (RFC 7517 A.1) as `kid`.
pub(super) fn jwks(kid: &str) -> String {
    format!(
        r#"{{"keys":[{{"kty":"EC","crv":"P-256","alg":"ES256","kid":"{kid}",
            "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}]}}"#
    )
}

pub(super) fn followed(server: &TestServer, location: KeyLocation) -> Published {
    Published {
        location,
        ca_pem: Some(server.ca_pem().into_bytes()),
        bearer_token_file: None,
        rhythm: RHYTHM,
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
    let mut published = followed(&server, location);
    published.rhythm.retry = Duration::ZERO;
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
    let mut published = followed(&server, location);
    published.rhythm.refresh = Duration::ZERO;
    published.rhythm.retry = Duration::ZERO;
    let keys = PublishedKeys::new(published).unwrap();
    let first = keys.current(&patience()).unwrap();
    assert!(keys.newer_than(&first, &patience()).is_none());
    assert!(Arc::ptr_eq(&first, &keys.current(&patience()).unwrap()));
    let error = keys.status().last_error.unwrap();
    assert_eq!(error.to_string(), "HTTP status 503: Service Unavailable");
}

/// A publisher in this process, whose time passes when the test says so.
#[derive(Debug)]
struct Told {
    now: Mutex<Instant>,
    /// What is published; none where a fetch fails.
    set: Mutex<Option<String>>,
}

impl Told {
    fn publishing(set: String) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(Instant::now()),
            set: Mutex::new(Some(set)),
        })
    }

    fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn publish(&self, set: Option<String>) {
        *self.set.lock().unwrap() = set;
    }
}

impl KeyPublisher for Told {
    fn published(&self) -> Result<Vec<u8>, ApiError> {
        let set = self.set.lock().unwrap().clone();
        set.map(String::into_bytes).ok_or(ApiError::Unreachable {
            what: "connection refused".to_owned(),
        })
    }

    fn now(&self) -> Instant {
        *self.now.lock().unwrap()
    }
}

fn rehearsing(rhythm: Rhythm, publisher: &Arc<Told>) -> PublishedKeys {
    PublishedKeys::rehearsing(rhythm, Arc::clone(publisher) as _)
}

fn kids(keys: &KeySet) -> Vec<&str> {
    keys.descriptions().filter_map(|key| key.kid()).collect()
}

fn two(first: &str, second: &str) -> String {
    let set = |kid| serde_json::from_str::<serde_json::Value>(&jwks(kid)).unwrap();
    let mut both = set(first);
    let second = set(second)["keys"][0].take();
    both["keys"].as_array_mut().unwrap().push(second);
    both.to_string()
}

/// The forger's moment: nobody has asked for a while, and the key is gone.
#[test]
fn a_withdrawn_key_verifies_nothing_after_a_quiet_spell() {
    let publisher = Told::publishing(two("stolen", "good"));
    let keys = rehearsing(RHYTHM, &publisher);
    assert_eq!(
        kids(&keys.current(&patience()).unwrap()),
        ["stolen", "good"]
    );
    publisher.publish(Some(jwks("good")));
    // A set that is not due serves, as the operator says.
    publisher.pass(RHYTHM.refresh - SECOND);
    assert_eq!(
        kids(&keys.current(&patience()).unwrap()),
        ["stolen", "good"]
    );
    publisher.pass(SECOND);
    assert_eq!(kids(&keys.current(&patience()).unwrap()), ["good"]);
    assert_eq!(keys.status().fetches, 2);

    // The old way, by its key: the first token is verified with the old set.
    let publisher = Told::publishing(two("stolen", "good"));
    let rhythm = Rhythm {
        serve_while_refreshing: true,
        ..RHYTHM
    };
    let keys = rehearsing(rhythm, &publisher);
    keys.current(&patience()).unwrap();
    publisher.publish(Some(jwks("good")));
    publisher.pass(RHYTHM.refresh);
    assert_eq!(
        kids(&keys.current(&patience()).unwrap()),
        ["stolen", "good"]
    );
}

#[test]
fn the_old_set_serves_on_where_a_fetch_fails_and_no_longer_than_it_may() {
    let publisher = Told::publishing(jwks("a"));
    let keys = rehearsing(RHYTHM, &publisher);
    let first = keys.current(&patience()).unwrap();
    publisher.publish(None);
    publisher.pass(RHYTHM.refresh);
    assert!(Arc::ptr_eq(&first, &keys.current(&patience()).unwrap()));
    let failed = keys.status();
    assert_eq!(failed.last_error.unwrap().reason(), "api_unreachable");
    assert_eq!(failed.fetches, 2);
    // Within the interval nobody is asked again, and it serves all the same.
    publisher.pass(SECOND);
    assert!(Arc::ptr_eq(&first, &keys.current(&patience()).unwrap()));
    assert_eq!(keys.status().fetches, 2);
    publisher.pass(RHYTHM.max_age);
    let error = keys.current(&patience()).unwrap_err();
    assert_eq!(error.to_string(), "no answer: connection refused");
}

/// Who was asleep for an hour does not know any more that the fetch failed.
#[test]
fn an_old_failure_excuses_nothing() {
    let publisher = Told::publishing(two("stolen", "good"));
    let keys = rehearsing(RHYTHM, &publisher);
    keys.current(&patience()).unwrap();
    publisher.publish(None);
    publisher.pass(RHYTHM.refresh);
    assert_eq!(keys.current(&patience()).unwrap().len(), 2);
    publisher.publish(Some(jwks("good")));
    publisher.pass(30 * MINUTE);
    assert_eq!(kids(&keys.current(&patience()).unwrap()), ["good"]);
}

/// A publisher that answers when it is told to, and nothing before.
struct Hanging {
    server: TestServer,
    asked: Receiver<()>,
    answer: Sender<String>,
}

impl Hanging {
    fn start() -> Self {
        let (tell, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let (tell, answers) = (Mutex::new(tell), Mutex::new(answers));
        let server = TestServer::start(move |_| {
            tell.lock().unwrap().send(()).unwrap();
            Answer::json(answers.lock().unwrap().recv().unwrap_or_default())
        });
        Self {
            server,
            asked,
            answer,
        }
    }

    /// Its keys, and what time it is for them.
    fn followed(&self) -> (PublishedKeys, Arc<Mutex<Instant>>) {
        let location = KeyLocation::Jwks(format!("{}/keys", self.server.url()));
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&now);
        let published = followed(&self.server, location);
        let keys = PublishedKeys::by_clock(&published, Box::new(move || *clock.lock().unwrap()));
        (keys.unwrap(), now)
    }
}

#[test]
fn a_verification_waits_for_the_fetch_that_is_due() {
    let hanging = Hanging::start();
    let (keys, now) = hanging.followed();
    hanging.answer.send(two("stolen", "good")).unwrap();
    keys.current(&patience()).unwrap();
    hanging.asked.recv().unwrap();

    *now.lock().unwrap() += RHYTHM.refresh;
    let waiting = {
        let keys = keys.clone();
        thread::spawn(move || keys.current(&patience()).map(|keys| keys.len()))
    };
    hanging.asked.recv().unwrap();
    // It is being fetched: whoever has no time for that gets no verdict, and
    // not the old keys.
    assert_eq!(
        keys.current(&Patience::none()).map(|keys| keys.len()),
        Err(ApiError::OutOfPatience)
    );
    hanging.answer.send(jwks("good")).unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(1));
    assert_eq!(hanging.server.requests(), 2);
}

/// What nobody answers is known to fail, and is not waited for once more.
#[test]
fn a_publisher_that_hangs_is_waited_for_once() {
    let hanging = Hanging::start();
    let (keys, now) = hanging.followed();
    hanging.answer.send(jwks("a")).unwrap();
    let first = keys.current(&patience()).unwrap();
    *now.lock().unwrap() += RHYTHM.refresh;
    // One answer that is none: the fetch fails.
    hanging.answer.send("{".to_owned()).unwrap();
    assert!(Arc::ptr_eq(&first, &keys.current(&patience()).unwrap()));
    // The next hangs, and nobody waits for it.
    *now.lock().unwrap() += RHYTHM.retry;
    for _ in 0..3 {
        let served = keys.current(&Patience::none()).unwrap();
        assert!(Arc::ptr_eq(&first, &served));
    }
    assert_eq!(keys.status().fetches, 3);
}

/// A publisher that tells of each fetch.
#[derive(Debug)]
struct Telling(Mutex<Sender<()>>);

impl KeyPublisher for Telling {
    fn published(&self) -> Result<Vec<u8>, ApiError> {
        // Who listened may have heard enough.
        let _heard = self.0.lock().unwrap().send(());
        Ok(jwks("a").into_bytes())
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

#[test]
fn keys_are_fetched_again_with_nobody_asking_until_nobody_has_them() {
    let (tell, told) = mpsc::channel();
    let rhythm = Rhythm {
        refresh: Duration::ZERO,
        retry: Duration::ZERO,
        ..RHYTHM
    };
    let keys = PublishedKeys::rehearsing(rhythm, Arc::new(Telling(Mutex::new(tell))));
    assert_eq!(keys.status().fetches, 0);
    keys.current(&patience()).unwrap();
    for _ in 0..2 {
        told.recv().unwrap();
    }
    drop(keys);
    // Nothing that waits for the next fetch keeps the publisher.
    while told.recv().is_ok() {}
}
