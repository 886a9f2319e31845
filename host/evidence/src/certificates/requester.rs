//! Who asked for a node's certificate, and on which node that was.
//!
//! Whoever gets a request approved names the node. So a requester is accepted
//! only where its node is proven: by the node that the API server recorded for
//! its token, by its own name where it is a node, or by its pod, which is read.
//! Kubernetes before 1.30 records the pod alone. A token that is bound to
//! nothing, a bootstrap token and an administrator's credential prove no node.
//!
//! Trusts the API server that the operator named, for what it recorded of the
//! requester and for what it says of the pod.

use super::CertificateError;
use super::node::{NODE_GROUP, NODE_USER, unanswered};
use crate::api::{ClusterApi, Patience, SigningRequestRecord, is_object_name};
use crate::binding::{node_of, pod_of};
use crate::error::{Asked, EvidenceError};
use crate::peer_text::PeerText;
use crate::pem;
use crate::review::service_account;
use crate::subject::{Pod, Requester};

/// Which CertificateSigningRequests vouch for a certificate.
#[derive(Debug, Clone)]
pub struct RequestRule {
    /// The one signer (`spec.signerName`) whose certificates count.
    pub signer: String,
    /// Whether a requester whose node is not proven is accepted. It then gets
    /// any node's name that an approver signs for.
    pub allow_requester_without_node: bool,
}

impl RequestRule {
    /// The requester of the certificate `leaf` for the node `node`, where
    /// `request` is accepted for it.
    pub(super) fn requester(
        &self,
        request: SigningRequestRecord,
        leaf: &[u8],
        node: &str,
        api: &dyn ClusterApi,
        patience: &Patience,
    ) -> Result<Requester, EvidenceError> {
        let requester = self.recorded(request, leaf)?;
        let account = account_of(&requester.username)?;
        for known in known_nodes(&requester) {
            same(node, known)?;
        }
        if self.allow_requester_without_node || is_on_known_node(&requester) {
            return Ok(requester);
        }
        let (Some((namespace, account)), Some(pod)) = (account, &requester.pod) else {
            return Err(CertificateError::RequesterNodeUnproven {
                username: PeerText::new(&requester.username),
            }
            .into());
        };
        let scheduled = scheduled(namespace, account, pod, api, patience)?;
        same(node, &scheduled)?;
        Ok(requester)
    }

    /// The recorded requester, where the request resulted in this certificate.
    fn recorded(
        &self,
        request: SigningRequestRecord,
        leaf: &[u8],
    ) -> Result<Requester, CertificateError> {
        if request.signer_name != self.signer {
            return Err(CertificateError::RequestSigner {
                found: PeerText::long(&request.signer_name),
                expected: self.signer.clone(),
            });
        }
        // An approved request that the signer refused has `Failed` besides.
        if request.conditions != ["Approved"] {
            return Err(CertificateError::RequestNotApproved);
        }
        let issued = request.certificate.as_deref().and_then(leaf_of);
        if issued.as_deref() != Some(leaf) {
            return Err(CertificateError::RequestMismatch);
        }
        if request.username.is_empty() {
            return Err(malformed("spec.username"));
        }
        Ok(Requester {
            pod: pod_of(&request.extra).map_err(malformed)?,
            node: node_of(&request.extra).map_err(malformed)?,
            uid: request.uid.filter(|uid| !uid.is_empty()),
            groups: request.groups,
            username: request.username,
        })
    }
}

/// Namespace and name of a service account; none for any other user.
fn account_of(username: &str) -> Result<Option<(&str, &str)>, CertificateError> {
    if !username.starts_with(crate::review::USERNAME) {
        return Ok(None);
    }
    // Both become part of a path that is asked for with our rights.
    service_account(username)
        .filter(|(namespace, name)| {
            is_object_name(namespace) && !namespace.contains('.') && is_object_name(name)
        })
        .map(Some)
        .ok_or(malformed("spec.username"))
}

/// The node that the API server recorded, and the one in the requester's user
/// name.
fn known_nodes(requester: &Requester) -> impl Iterator<Item = &str> {
    let recorded = requester.node.as_ref().map(|node| node.name.as_str());
    let named = requester.username.strip_prefix(NODE_USER);
    recorded.into_iter().chain(named)
}

/// Whether the record alone proves the requester's node. Another signer of the
/// cluster signs names that look like a node's, so the group is needed too, as
/// for Kubernetes' own authorizer.
fn is_on_known_node(requester: &Requester) -> bool {
    let is_node = requester.username.starts_with(NODE_USER)
        && requester.groups.iter().any(|group| group == NODE_GROUP);
    requester.node.is_some() || is_node
}

fn same(node: &str, requester: &str) -> Result<(), CertificateError> {
    if node == requester {
        return Ok(());
    }
    Err(CertificateError::RequesterElsewhere {
        node: node.to_owned(),
        requester: PeerText::new(requester),
    })
}

/// The node that the requester's pod runs on.
fn scheduled(
    namespace: &str,
    account: &str,
    pod: &Pod,
    api: &dyn ClusterApi,
    patience: &Patience,
) -> Result<String, EvidenceError> {
    let name = || PeerText::new(&pod.name);
    if !is_object_name(&pod.name) {
        return Err(malformed("authentication.kubernetes.io/pod-name").into());
    }
    let record = api.pod(namespace, &pod.name, patience).map_err(|error| {
        let gone = CertificateError::RequesterPodGone { pod: name() };
        unanswered(error, Asked::Pod, gone)
    })?;
    // Another pod may bear the name by now: the UID decides, and none is none.
    let uid = record.uid.as_deref().filter(|uid| !uid.is_empty());
    if uid.is_none() || uid != pod.uid.as_deref() {
        return Err(CertificateError::RequesterPodMismatch { pod: name() }.into());
    }
    if record.service_account.as_deref() != Some(account) {
        return Err(CertificateError::RequesterPodOfAnotherAccount { pod: name() }.into());
    }
    record
        .node_name
        .filter(|node| !node.is_empty())
        .ok_or_else(|| CertificateError::RequesterPodNotScheduled { pod: name() }.into())
}

fn malformed(key: &'static str) -> CertificateError {
    CertificateError::RequestMalformed { key }
}

/// The first certificate of a PEM file, in DER.
fn leaf_of(file: &[u8]) -> Option<Vec<u8>> {
    let blocks = pem::blocks(file).ok()?;
    blocks
        .iter()
        .find(|block| block.label == "CERTIFICATE")?
        .der()
        .ok()
}
