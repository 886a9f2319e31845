//! What a token is bound to: the pod it was issued for, and the node that the
//! pod runs on.
//!
//! Trusts the API server that vouches for the cluster, and the token's own
//! claims once something has vouched for them. A pod's name is not enough:
//! another pod may bear it by now, so the UID decides.

use std::collections::BTreeMap;

use crate::api::{ApiError, NodeRecord, Patience, PodRecord, TokenReview};
use crate::cluster::{Binding, Lookup};
use crate::error::{Asked, TokenError};
use crate::peer_text::PeerText;
use crate::subject::{Label, Node, Pod};
use crate::token::Names;

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const NODE_UID: &str = "authentication.kubernetes.io/node-uid";

/// Why a token's binding does not hold.
pub(crate) enum Unbound {
    /// The token is refused.
    Token(TokenError),
    /// The API server gave no answer.
    Api(Asked, ApiError),
}

impl Binding {
    /// Holds the pod and node that `names` speaks of against what the operator
    /// asks for, and completes them.
    pub(crate) fn hold(&self, names: &mut Names, patience: &Patience) -> Result<(), Unbound> {
        match self {
            Self::Any => Ok(()),
            Self::Pod => {
                let pod = names.pod.as_ref().ok_or(TokenError::PodMissing)?;
                if pod.uid.is_none() {
                    return Err(TokenError::PodUidMissing.into());
                }
                Ok(())
            }
            Self::LookedUp(lookup) => lookup.complete(names, patience),
        }
    }
}

impl Lookup {
    fn complete(&self, names: &mut Names, patience: &Patience) -> Result<(), Unbound> {
        let bound = names.pod.take().ok_or(TokenError::PodMissing)?;
        let uid = bound.uid.ok_or(TokenError::PodUidMissing)?;
        let pod = self
            .api
            .pod(&names.namespace, &bound.name, patience)
            .map_err(|error| gone(error, Asked::Pod, TokenError::PodGone))?;
        names.pod = Some(self.pod(bound.name, uid, &names.name, &pod)?);

        let scheduled = pod
            .node_name
            .filter(|name| !name.is_empty())
            .ok_or(TokenError::PodNotScheduled)?;
        let claimed = names.node.take();
        if let Some(claimed) = &claimed
            && claimed.name != scheduled
        {
            return Err(TokenError::NodeMismatch.into());
        }
        let node = self
            .api
            .node(&scheduled, patience)
            .map_err(|error| gone(error, Asked::Node, TokenError::NodeGone))?;
        let claimed_uid = claimed.and_then(|node| node.uid);
        names.node = Some(self.node(scheduled, claimed_uid, pod.host_ip, node)?);
        Ok(())
    }

    /// The pod, if it is the one that the token was issued for.
    fn pod(
        &self,
        name: String,
        uid: String,
        account: &str,
        record: &PodRecord,
    ) -> Result<Pod, TokenError> {
        if record.uid.as_deref() != Some(uid.as_str()) {
            return Err(TokenError::PodMismatch {
                pod: PeerText::new(&name),
            });
        }
        // A token is issued for a pod of its own service account only.
        if record.service_account.as_deref() != Some(account) {
            return Err(TokenError::PodOfAnotherAccount {
                pod: PeerText::new(&name),
            });
        }
        Ok(Pod {
            name,
            uid: Some(uid),
            address: record.pod_ip.clone().filter(|address| !address.is_empty()),
            labels: allowed(&record.labels, &self.pod_labels),
        })
    }

    /// The node, if it is still the one that the token speaks of.
    fn node(
        &self,
        name: String,
        claimed: Option<String>,
        address: Option<String>,
        record: NodeRecord,
    ) -> Result<Node, TokenError> {
        let uid = record
            .uid
            .filter(|uid| !uid.is_empty())
            .ok_or(TokenError::NodeUidMissing)?;
        if claimed.is_some_and(|claimed| claimed != uid) {
            return Err(TokenError::NodeMismatch);
        }
        Ok(Node {
            name,
            uid: Some(uid),
            address: address.filter(|address| !address.is_empty()),
            labels: allowed(&record.labels, &self.node_labels),
        })
    }
}

/// The pod that an API server says a token is bound to.
pub(crate) fn reviewed_pod(review: &TokenReview) -> Result<Option<Pod>, TokenError> {
    pod_of(&review.extra).map_err(|key| TokenError::ReviewMalformed { key })
}

/// The node that an API server says a token is bound to.
pub(crate) fn reviewed_node(review: &TokenReview) -> Result<Option<Node>, TokenError> {
    node_of(&review.extra).map_err(|key| TokenError::ReviewMalformed { key })
}

/// `extra` of a user, as an API server records it.
type Extra = BTreeMap<String, Vec<String>>;

/// The pod that a user's credential is bound to. The error is the key whose
/// value is not the one text that it has to be.
pub(crate) fn pod_of(extra: &Extra) -> Result<Option<Pod>, &'static str> {
    let named = reference(extra, POD_NAME, POD_UID)?;
    Ok(named.map(|(name, uid)| Pod {
        name,
        uid,
        address: None,
        labels: Vec::new(),
    }))
}

/// The node of that pod; errors as [`pod_of`].
pub(crate) fn node_of(extra: &Extra) -> Result<Option<Node>, &'static str> {
    let named = reference(extra, NODE_NAME, NODE_UID)?;
    Ok(named.map(|(name, uid)| Node {
        name,
        uid,
        address: None,
        labels: Vec::new(),
    }))
}

fn reference(
    extra: &Extra,
    name: &'static str,
    uid: &'static str,
) -> Result<Option<(String, Option<String>)>, &'static str> {
    let Some(named) = single(extra, name)? else {
        return Ok(None);
    };
    Ok(Some((named, single(extra, uid)?)))
}

/// The one value of an `extra` key.
fn single(extra: &Extra, key: &'static str) -> Result<Option<String>, &'static str> {
    match extra.get(key).map(Vec::as_slice) {
        None => Ok(None),
        Some([value]) if !value.is_empty() => Ok(Some(value.clone())),
        Some(_) => Err(key),
    }
}

pub(crate) fn allowed(labels: &BTreeMap<String, String>, keys: &[String]) -> Vec<Label> {
    let mut kept: Vec<_> = labels
        .iter()
        .filter(|(key, _)| keys.contains(key))
        .map(|(key, value)| Label {
            key: key.clone(),
            value: value.clone(),
        })
        .collect();
    kept.sort_by(|a, b| a.key.cmp(&b.key));
    kept
}

fn gone(error: ApiError, asked: Asked, refused: TokenError) -> Unbound {
    if matches!(error, ApiError::NotFound { .. }) {
        Unbound::Token(refused)
    } else {
        Unbound::Api(asked, error)
    }
}

impl From<TokenError> for Unbound {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}
