//! The throw-away cluster's API server: it knows the tokens that it issued, and
//! pods that are what they should be, or not.

use nameplate_evidence::{
    ApiError, ClusterApi, NodeRecord, Patience, PodRecord, SigningRequestRecord, TokenReview,
};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Pods by name, and what looking each up has to come to.
pub(crate) const PODS: [(&str, &str); 7] = [
    ("gone", "pod_gone"),
    ("of-another-uid", "pod_mismatch"),
    ("of-another-account", "pod_account_mismatch"),
    ("unscheduled", "pod_not_scheduled"),
    ("on-a-node-that-is-gone", "node_gone"),
    ("on-a-node-without-uid", "node_uid_missing"),
    ("on-another-node", "node_mismatch"),
];

/// UID of every pod, as a token says it.
pub(crate) const POD_UID: &str = "5f2c9c1b-0b64-4d0e-8f9d-6f1f2c3d4e5a";
/// UID of every node, as a token says it.
pub(crate) const NODE_UID: &str = "c4d2e1f0-7a6b-4c5d-9e8f-0a1b2c3d4e5f";
/// Name of the node, as a token says it.
pub(crate) const NODE: &str = "worker-1";

/// An API server that has issued some tokens.
#[derive(Debug)]
pub(crate) struct KnownTokens {
    issued: Mutex<BTreeMap<String, TokenReview>>,
    account: String,
}

impl KnownTokens {
    /// One that has issued none; pods run as the service account `account`.
    pub(crate) fn new(account: &str) -> Self {
        Self {
            issued: Mutex::default(),
            account: account.to_owned(),
        }
    }

    /// From now on `token` was issued, and is reviewed as `review`.
    pub(crate) fn issue(&self, token: &str, review: TokenReview) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.insert(token.to_owned(), review);
    }
}

impl ClusterApi for KnownTokens {
    fn review(
        &self,
        token: &str,
        _audiences: &[String],
        _patience: &Patience,
    ) -> Result<TokenReview, ApiError> {
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(issued.get(token).cloned().unwrap_or_default())
    }

    fn pod(&self, _: &str, name: &str, _: &Patience) -> Result<PodRecord, ApiError> {
        let good = PodRecord {
            uid: Some(POD_UID.to_owned()),
            service_account: Some(self.account.clone()),
            node_name: Some(NODE.to_owned()),
            pod_ip: Some("10.20.0.17".to_owned()),
            host_ip: Some("192.0.2.7".to_owned()),
            labels: BTreeMap::new(),
        };
        let node = |name: &str| Some(name.to_owned());
        Ok(match name {
            "gone" => return Err(not_found()),
            "of-another-uid" => PodRecord {
                uid: Some(NODE_UID.to_owned()),
                ..good
            },
            "of-another-account" => PodRecord {
                service_account: Some("default".to_owned()),
                ..good
            },
            "unscheduled" => PodRecord {
                node_name: None,
                ..good
            },
            "on-a-node-that-is-gone" => PodRecord {
                node_name: node("gone"),
                ..good
            },
            "on-a-node-without-uid" => PodRecord {
                node_name: node("without-uid"),
                ..good
            },
            "on-another-node" => PodRecord {
                node_name: node("worker-2"),
                ..good
            },
            _ => good,
        })
    }

    fn node(&self, name: &str, _: &Patience) -> Result<NodeRecord, ApiError> {
        let uid = match name {
            "gone" => return Err(not_found()),
            "without-uid" => None,
            _ => Some(NODE_UID.to_owned()),
        };
        Ok(NodeRecord {
            uid,
            labels: BTreeMap::new(),
        })
    }

    fn signing_request(&self, _: &str, _: &Patience) -> Result<SigningRequestRecord, ApiError> {
        Err(not_found())
    }
}

fn not_found() -> ApiError {
    ApiError::NotFound {
        message: "there is none".to_owned(),
    }
}
