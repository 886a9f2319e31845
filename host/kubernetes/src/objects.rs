//! Kubernetes' objects, as far as they are read.
//!
//! A `TokenReview` comes back with the token in its `spec`, so nothing here
//! has `Debug` and nothing is kept but the `status`.

use nameplate_evidence::{ApiError, NodeRecord, PodRecord, TokenReview};
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
