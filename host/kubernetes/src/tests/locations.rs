//! Where keys are published: places that are refused, and places that are one.

use super::patience;
use super::published::{followed, jwks};
use super::server::{Answer, TestServer};
use crate::{KeyLocation, PublishedKeys};
use nameplate_evidence::{ApiError, KeySource};

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

/// The same place is the same place, however its host is written.
#[test]
fn a_host_is_the_same_however_it_is_written() {
    let outcome = |spelling: fn(&str) -> String| {
        let server = TestServer::start_knowing(move |request, url| {
            let port = url.rsplit(':').next().unwrap();
            // Asked for by the operator's spelling.
            let host = format!("host: localhost:{port}\r\n");
            assert!(request.to_ascii_lowercase().contains(&host), "{request}");
            if request.starts_with("GET /.well-known/openid-configuration ") {
                let keys = spelling(port);
                Answer::json(format!(
                    r#"{{"issuer":"https://localhost:{port}","jwks_uri":"{keys}"}}"#
                ))
            } else {
                Answer::json(jwks("a"))
            }
        });
        let port = server.url().rsplit(':').next().unwrap().to_owned();
        let location = KeyLocation::Discovery {
            issuer: format!("https://localhost:{port}"),
        };
        let keys = PublishedKeys::new(followed(&server, location)).unwrap();
        keys.current(&patience()).map(|keys| keys.len())
    };
    assert_eq!(
        outcome(|port| format!("https://localhost:{port}/keys")),
        Ok(1)
    );
    assert_eq!(
        outcome(|port| format!("HTTPS://LocalHost:{port}/keys")),
        Ok(1)
    );
    assert_eq!(
        outcome(|port| format!("https://localhost.:0{port}/keys")),
        Ok(1)
    );
    let elsewhere = Err(ApiError::Malformed {
        what: "`jwks_uri` of the discovery document is on another host".to_owned(),
    });
    assert_eq!(outcome(|_| "https://localhost/keys".to_owned()), elsewhere);
    assert_eq!(
        outcome(|port| format!("https://keys.localhost:{port}/keys")),
        elsewhere
    );
    assert_eq!(
        outcome(|port| format!("https://127.0.0.1:{port}/keys")),
        elsewhere
    );
    let refused = |spelling| outcome(spelling).unwrap_err().reason();
    assert_eq!(
        refused(|port| format!("https://u@localhost:{port}/keys")),
        "api_not_configured"
    );
    assert_eq!(
        refused(|port| format!("http://localhost:{port}/keys")),
        "api_not_configured"
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
        (
            "https://a.example:99999/keys",
            "`https://a.example:99999/keys` has no host, or no port that can be",
        ),
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
