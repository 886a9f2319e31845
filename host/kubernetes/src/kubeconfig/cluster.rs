//! The cluster of a current context: where the API server is, and who vouches
//! for it.
//!
//! One that would send a token unprotected, or by way of another host, is
//! refused.

use super::Reading;
use super::entry::Entry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use kube::Config;
use nameplate_evidence::ApiError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value as Json, json};

/// A client of the cluster, of nobody yet, and what a credential plugin is told
/// of the cluster.
pub(crate) fn client(
    cluster: &Entry,
    reading: &mut Reading,
) -> Result<(Config, Map<String, Json>), ApiError> {
    let Some(server) = cluster.text("server")? else {
        return Err(cluster.lacks("server"));
    };
    let url: Uri = server
        .value
        .parse()
        .map_err(|_unquoted| server.refuse("is no URL"))?;
    if url.scheme_str() != Some("https") {
        return Err(server.refuse("is not an https URL"));
    }
    if let Some(proxy) = cluster.text("proxy-url")? {
        return Err(proxy.refuse("asks for a proxy, and none is used here"));
    }
    if let Some(flag) = cluster.flag("insecure-skip-tls-verify")? {
        return Err(flag.refuse("gives protection up"));
    }
    let mut told = Map::new();
    told.insert("server".to_owned(), server.value.clone().into());
    let mut config = Config::new(url);
    // The data counts where both are there.
    let inline = cluster.text("certificate-authority-data")?;
    let authorities = match (&inline, cluster.text("certificate-authority")?) {
        (Some(data), _) => Some((data.decoded()?, data.refuse("holds no certificate in PEM"))),
        (None, Some(file)) => Some((
            reading.read(&file.path())?,
            file.refuse("names a file that holds no certificate in PEM"),
        )),
        (None, None) => None,
    };
    if let Some((pem, none)) = authorities {
        let Some(certificates) = certificates(&pem) else {
            return Err(none);
        };
        config.root_cert = Some(certificates);
        let data = STANDARD.encode(&pem);
        told.insert("certificate-authority-data".to_owned(), data.into());
    }
    if let Some(name) = cluster.text("tls-server-name")? {
        told.insert("tls-server-name".to_owned(), name.value.clone().into());
        config.tls_server_name = Some(name.value);
    }
    Ok((config, told))
}

/// The certificates of `pem`; none where it is broken or has none.
pub(crate) fn certificates(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem)
        .map(|certificate| certificate.map(|certificate| certificate.to_vec()))
        .collect();
    all.ok().filter(|all| !all.is_empty())
}

/// What a plugin is told of the cluster in `spec.cluster`
/// (`client.authentication.k8s.io`), by what `extensions` has for plugins.
pub(crate) fn told_to_plugins(
    cluster: &Entry,
    mut told: Map<String, Json>,
) -> Result<Json, ApiError> {
    const FOR_PLUGINS: &str = "client.authentication.k8s.io/exec";
    for extension in cluster.maps("extensions")? {
        let name = extension.text("name")?;
        if name.is_some_and(|name| name.value == FOR_PLUGINS) {
            told.insert("config".to_owned(), extension.json("extension")?);
        }
    }
    Ok(json!(told))
}
