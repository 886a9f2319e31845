//! Programs that a kubeconfig asks for its credential, as far as a server sees
//! of it.

use super::patience;
use super::server::{Answer, TestServer};
use crate::{Access, ApiServer};
use nameplate_evidence::ClusterApi;
use std::fs;
use std::path::{Path, PathBuf};

/// A kubeconfig whose user is what the script `plugin` says.
fn kubeconfig(folder: &Path, server: &TestServer, plugin: &str) -> PathBuf {
    fs::write(folder.join("ca.crt"), server.ca_pem()).unwrap();
    let counted = format!("echo run >> {}/runs\n{plugin}", folder.display());
    fs::write(folder.join("plugin"), counted).unwrap();
    let path = folder.join("kubeconfig");
    let text = format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"{}\", certificate-authority: ca.crt}}}}]\n\
         users: [{{name: u, user: {{exec: {{command: sh, args: [{}/plugin]}}}}}}]\n",
        server.url(),
        folder.display()
    );
    fs::write(&path, text).unwrap();
    path
}

fn runs(folder: &Path) -> usize {
    fs::read_to_string(folder.join("runs")).map_or(0, |text| text.lines().count())
}

#[test]
fn a_configuration_that_is_read_again_runs_nothing_again() {
    let server = TestServer::start(|request| {
        assert!(request.contains("Bearer of-a-program\r\n"), "{request}");
        Answer::json(r#"{"metadata":{"name":"n","uid":"u"}}"#.to_owned())
    });
    let folder = tempfile::tempdir().unwrap();
    let plugin = "echo '{\"status\":{\"token\":\"of-a-program\"}}'";
    let path = kubeconfig(folder.path(), &server, plugin);
    for access in [
        Access::Kubeconfig(path.clone()),
        Access::Merged(vec![path.clone()]),
        Access::Kubeconfig(path),
    ] {
        // Each goes before the next comes.
        let api = ApiServer::new(access).unwrap();
        assert!(api.node("n", &patience()).is_ok());
    }
    assert_eq!(runs(folder.path()), 1);
}

#[test]
fn peers_cannot_have_a_program_run_by_asking() {
    let server = TestServer::start(|_| Answer::status(401, "{}".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let plugin = "echo '{\"status\":{\"token\":\"refused\"}}'";
    let path = kubeconfig(folder.path(), &server, plugin);
    let api = ApiServer::new(Access::Kubeconfig(path)).unwrap();
    for _ in 0..20 {
        let error = api.node("n", &patience()).unwrap_err();
        assert_eq!(error.reason(), "api_unauthorized");
    }
    // Again after ten seconds, which a slow machine may take for this.
    assert!(runs(folder.path()) < 10, "{}", runs(folder.path()));
}

#[test]
fn a_certificate_of_a_program_is_shown() {
    use rcgen::{CertificateParams, KeyPair};
    let server =
        TestServer::start(|_| Answer::json(r#"{"metadata":{"name":"n","uid":"u"}}"#.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let answer = |key: &str| {
        serde_json::json!({"status": {
            "clientCertificateData": certificate.pem(),
            "clientKeyData": key,
        }})
    };
    let plugin = |key: &str| format!("cat <<'E'\n{}\nE\n", answer(key));
    let path = kubeconfig(folder.path(), &server, &plugin(&key.serialize_pem()));
    let api = ApiServer::new(Access::Kubeconfig(path)).unwrap();
    assert!(api.node("n", &patience()).is_ok());
    let other = tempfile::tempdir().unwrap();
    let path = kubeconfig(other.path(), &server, &plugin("no key"));
    let error = ApiServer::new(Access::Kubeconfig(path)).unwrap_err();
    assert_eq!(error.reason(), "api_not_configured");
}
