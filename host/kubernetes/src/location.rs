//! Where a cluster's keys are published, and how they are fetched.
//!
//! Trusts the host that the operator named, if it proves to be that host, and
//! no other: neither a redirect nor a discovery document leads elsewhere.

use crate::origin::Origin;
use crate::{answer, file, words};
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nameplate_evidence::{ApiError, Difference, PeerText, Rhythm};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a cluster's keys are published.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyLocation {
    /// A JWK Set (RFC 7517 §5) at an https URL.
    Jwks(String),
    /// Where the issuer's discovery document says, on the issuer's own host
    /// (OpenID Connect Discovery 1.0 §4).
    Discovery {
        /// The issuer, an https URL.
        issuer: String,
    },
}

/// How the keys of a cluster are followed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Published {
    /// Where they are.
    pub location: KeyLocation,
    /// PEM of the only CAs that the host is trusted by; the system's when
    /// there is none.
    pub ca_pem: Option<Vec<u8>>,
    /// A bearer token for the host, read at each fetch.
    pub bearer_token_file: Option<PathBuf>,
    /// How often they are fetched.
    pub rhythm: Rhythm,
}

/// What a JWK Set is sent as (RFC 7517 §8.5.2), or is by who knows nothing of
/// that. An API server answers 406 to whoever asks for `application/json` alone.
const JWK_SET: &str = "application/jwk-set+json, application/json";

/// What a discovery document is sent as (OpenID Connect Discovery 1.0 §4.2).
const DOCUMENT: &str = "application/json";

/// Fetches what is published.
#[derive(Clone)]
pub(crate) struct Fetcher {
    location: KeyLocation,
    bearer_token_file: Option<PathBuf>,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    pub(crate) fn new(published: &Published) -> Result<Self, ApiError> {
        match &published.location {
            KeyLocation::Jwks(url) => uri(url)?,
            KeyLocation::Discovery { issuer } => uri(issuer)?,
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let tls = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(words::chain(&error)))?
        .with_root_certificates(roots(published.ca_pem.as_deref())?)
        .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            location: published.location.clone(),
            bearer_token_file: published.bearer_token_file.clone(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// The bytes of the JWK Set.
    pub(crate) async fn fetch(&self) -> Result<Bytes, ApiError> {
        let location = match &self.location {
            KeyLocation::Jwks(url) => uri(url)?,
            KeyLocation::Discovery { issuer } => self.discover(issuer).await?,
        };
        self.get(location, JWK_SET).await
    }

    async fn discover(&self, issuer: &str) -> Result<Uri, ApiError> {
        let base = issuer.trim_end_matches('/');
        let document = uri(&format!("{base}/.well-known/openid-configuration"))?;
        let body = self.get(document.clone(), DOCUMENT).await?;
        let discovered: Discovered = answer::json(&body)?;
        // What is discovered for one issuer must not serve another (§4.3).
        if discovered.issuer != issuer {
            return Err(ApiError::Malformed {
                what: format!(
                    "the discovery document is of issuer `{}`, and not of the configured {}",
                    PeerText::long(&discovered.issuer),
                    Difference::between(&discovered.issuer, issuer)
                ),
            });
        }
        let keys = uri(&discovered.jwks_uri)?;
        if Origin::of(&keys) != Origin::of(&document) {
            return Err(ApiError::Malformed {
                what: "`jwks_uri` of the discovery document is on another host".to_owned(),
            });
        }
        // By the operator's spelling: whatever a resolver makes of another one,
        // the credential goes where the document came from.
        let mut parts = keys.into_parts();
        parts.scheme = document.scheme().cloned();
        parts.authority = document.authority().cloned();
        Uri::from_parts(parts).map_err(|_unquoted| ApiError::Malformed {
            what: "`jwks_uri` of the discovery document is not a URL".to_owned(),
        })
    }

    async fn get(&self, location: Uri, accept: &str) -> Result<Bytes, ApiError> {
        let mut request = Request::builder()
            .uri(location)
            .header(header::ACCEPT, accept);
        let mut secret = String::new();
        if let Some(path) = &self.bearer_token_file {
            secret = file::read_token(path)?;
            let mut bearer = HeaderValue::from_str(&format!("Bearer {secret}"))
                .map_err(|_unquoted| unusable("the bearer token cannot be sent".to_owned()))?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let request = request
            .body(Empty::new())
            .map_err(|_unquoted| unusable("the request cannot be written".to_owned()))?;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| ApiError::Unreachable {
                what: words::clean(&words::chain(&error), &secret),
            })?;
        answer::read(answer, &secret).await
    }
}

/// An https URL without what would hide its host.
fn uri(text: &str) -> Result<Uri, ApiError> {
    let bad = |why: &str| ApiError::NotConfigured {
        what: format!("`{}` {why}", words::clean(text, "")),
    };
    let uri: Uri = text.parse().map_err(|_unquoted| bad("is not a URL"))?;
    if uri.scheme_str() != Some("https") {
        return Err(bad("is not an https URL"));
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => Err(bad("has a user name")),
        Some(_) if Origin::of(&uri).is_some() => Ok(uri),
        Some(_) | None => Err(bad("has no host, or no port that can be")),
    }
}

fn roots(ca_pem: Option<&[u8]>) -> Result<RootCertStore, ApiError> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = ca_pem else {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            return Err(unusable("the system trusts no CA".to_owned()));
        }
        return Ok(roots);
    };
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_unquoted| unusable("bad PEM".to_owned()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(format!("bad CA certificate: {error}")))?;
    }
    if roots.is_empty() {
        return Err(unusable("the CA file holds no certificate".to_owned()));
    }
    Ok(roots)
}

fn unusable(what: String) -> ApiError {
    ApiError::NotConfigured { what }
}
