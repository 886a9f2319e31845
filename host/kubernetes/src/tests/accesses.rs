//! Credentials that are found, merged, or a token alone.

use super::server::{Answer, TestServer};
use super::{kubeconfig, patience};
use crate::{Access, ApiServer};
use nameplate_evidence::{ApiError, ClusterApi};
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn node_of(bearer: &'static str) -> TestServer {
    TestServer::start(move |request| {
        let answer = r#"{"metadata":{"name":"n","uid":"u"}}"#;
        if request.contains(&format!("Bearer {bearer}\r\n")) {
            Answer::json(answer.to_owned())
        } else {
            Answer::status(401, "{}".to_owned())
        }
    })
}

pub(super) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn of_several_kubeconfigs_the_first_to_say_a_thing_counts() {
    let folder = tempfile::tempdir().unwrap();
    let server = node_of("of-the-first");
    let whole = kubeconfig(&folder, &server, &format!("server: {}", server.url()));
    let first = write(
        folder.path(),
        "first",
        "apiVersion: v1\nkind: Config\ncurrent-context: \"\"\n\
         users: [{name: u, user: {token: of-the-first}}]\n",
    );
    let missing = folder.path().join("missing");
    let asked = |paths: &[&PathBuf]| {
        let paths = paths.iter().map(|path| (*path).clone()).collect();
        let api = ApiServer::new(Access::Merged(paths))?;
        api.node("n", &patience())
    };
    assert!(asked(&[&missing, &first, &whole]).is_ok());
    // Its own user is another.
    let reason = |result: Result<_, ApiError>| result.unwrap_err().reason();
    assert_eq!(reason(asked(&[&whole, &first])), "api_unauthorized");
    // Alone it says of no server.
    assert_eq!(reason(asked(&[&first])), "api_not_configured");
    let broken = write(folder.path(), "broken", "clusters: 7");
    assert_eq!(
        asked(&[&whole, &broken]).unwrap_err(),
        ApiError::NotConfigured {
            what: format!("`{}`, line 1: `clusters` is no list", broken.display())
        }
    );
}

#[test]
fn a_kubeconfig_that_comes_later_counts_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = node_of("of-the-first");
    let whole = kubeconfig(&folder, &server, &format!("server: {}", server.url()));
    let first = folder.path().join("first");
    let api = ApiServer::new(Access::Merged(vec![first.clone(), whole])).unwrap();
    let error = api.node("n", &patience()).unwrap_err();
    assert_eq!(error.reason(), "api_unauthorized");
    fs::write(&first, "users: [{name: u, user: {token: of-the-first}}]\n").unwrap();
    assert!(api.node("n", &patience()).is_ok());
}

#[test]
fn a_token_alone_is_a_credential() {
    let folder = tempfile::tempdir().unwrap();
    let server = node_of("projected");
    let access = |server: &str| Access::Token {
        token: folder.path().join("token"),
        server: server.to_owned(),
        ca: folder.path().join("ca.crt"),
    };
    let unusable = |server: &str| {
        let error = ApiServer::new(access(server)).unwrap_err();
        let ApiError::NotConfigured { what } = &error else {
            panic!("{error:?}");
        };
        what.clone()
    };
    let url = server.url();
    assert!(unusable(&url).contains("token` cannot be read"));
    write(folder.path(), "token", "projected\n");
    assert!(unusable(&url).contains("ca.crt` cannot be read"));
    write(folder.path(), "ca.crt", &server.ca_pem());
    let plain = url.replace("https", "http");
    assert_eq!(unusable(&plain), format!("`{plain}` is not an https URL"));
    let api = ApiServer::new(access(&url)).unwrap();
    assert!(api.node("n", &patience()).is_ok());
    // The kubelet replaces it.
    write(folder.path(), "token", "replaced");
    let error = api.node("n", &patience()).unwrap_err();
    assert_eq!(error.reason(), "api_unauthorized");
}
