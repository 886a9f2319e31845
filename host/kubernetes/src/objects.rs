//! Kubernetes' objects, as far as they are read.
//!
//! A `TokenReview` comes back with the token in its `spec`, so nothing here
//! has `Debug` and nothing is kept but the `status`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::{ApiError, NodeRecord, PodRecord, SigningRequestRecord, TokenReview};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `authentication.k8s.io/v1`, `TokenReview`.
#[derive(Deserialize)]
pub(crate) struct ReviewAnswer {
    status: Option<ReviewStatus>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct ReviewStatus {
    authenticated: bool,
    error: Option<String>,
    user: User,
    audiences: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct User {
    username: String,
    uid: Option<String>,
    extra: Option<BTreeMap<String, Vec<String>>>,
}

impl ReviewAnswer {
    /// What the review found; `clean` makes its words fit to be repeated.
    pub(crate) fn review(self, clean: impl Fn(&str) -> String) -> Result<TokenReview, ApiError> {
        let status = self.status.ok_or_else(|| ApiError::Malformed {
            what: "a TokenReview without `status`".to_owned(),
        })?;
        Ok(TokenReview {
            authenticated: status.authenticated,
            error: status
                .error
                .filter(|error| !error.is_empty())
                .map(|error| clean(&error)),
            username: status.user.username,
            uid: status.user.uid,
            audiences: status.audiences,
            extra: status.user.extra.unwrap_or_default(),
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: String,
    uid: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

impl Metadata {
    /// An object of another name is not the one that was asked for.
    fn is_of(&self, name: &str) -> Result<(), ApiError> {
        if self.name == name {
            return Ok(());
        }
        Err(ApiError::Malformed {
            what: "an object of another name than was asked for".to_owned(),
        })
    }
}

/// `v1`, `Pod`.
#[derive(Deserialize)]
pub(crate) struct PodAnswer {
    metadata: Metadata,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    service_account_name: Option<String>,
    node_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodStatus {
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
}

impl PodAnswer {
    pub(crate) fn pod(self, name: &str) -> Result<PodRecord, ApiError> {
        self.metadata.is_of(name)?;
        Ok(PodRecord {
            uid: self.metadata.uid,
            service_account: self.spec.service_account_name,
            node_name: self.spec.node_name.filter(|name| !name.is_empty()),
            pod_ip: self.status.pod_ip,
            host_ip: self.status.host_ip,
            labels: self.metadata.labels.unwrap_or_default(),
        })
    }
}

/// `v1`, `Node`.
#[derive(Deserialize)]
pub(crate) struct NodeAnswer {
    metadata: Metadata,
}

impl NodeAnswer {
    pub(crate) fn node(self, name: &str) -> Result<NodeRecord, ApiError> {
        self.metadata.is_of(name)?;
        Ok(NodeRecord {
            uid: self.metadata.uid,
            labels: self.metadata.labels.unwrap_or_default(),
        })
    }
}

/// `certificates.k8s.io/v1`, `CertificateSigningRequest`.
#[derive(Deserialize)]
pub(crate) struct SigningRequestAnswer {
    metadata: Metadata,
    #[serde(default)]
    spec: SigningRequestSpec,
    #[serde(default)]
    status: SigningRequestStatus,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SigningRequestSpec {
    signer_name: String,
    username: String,
    uid: Option<String>,
    groups: Option<Vec<String>>,
    extra: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SigningRequestStatus {
    conditions: Option<Vec<Condition>>,
    certificate: Option<String>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl SigningRequestAnswer {
    pub(crate) fn request(self, name: &str) -> Result<SigningRequestRecord, ApiError> {
        self.metadata.is_of(name)?;
        let certificate = self.status.certificate.filter(|text| !text.is_empty());
        let certificate = certificate.map(|text| STANDARD.decode(text)).transpose();
        Ok(SigningRequestRecord {
            signer_name: self.spec.signer_name,
            username: self.spec.username,
            uid: self.spec.uid,
            groups: self.spec.groups.unwrap_or_default(),
            extra: self.spec.extra.unwrap_or_default(),
            conditions: self
                .status
                .conditions
                .unwrap_or_default()
                .into_iter()
                .filter(|condition| condition.status == "True")
                .map(|condition| condition.kind)
                .collect(),
            certificate: certificate.map_err(|_unquoted| ApiError::Malformed {
                what: "`status.certificate` is not base64".to_owned(),
            })?,
        })
    }
}
