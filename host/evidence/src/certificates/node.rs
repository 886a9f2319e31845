//! Certificates of Kubernetes nodes: whose name the certificate bears, and what
//! the cluster's API server knows of how it came about.
//!
//! A chain and a common name prove no node. The signer for kubelets checks
//! nothing but that the name begins with `system:node:`; it signs
//! `system:node:../../x` and an empty name, and another signer of the same
//! authority signs names that look like a node's. So the name is parsed, and
//! where an API server can be asked it has to know the node and, by the
//! CertificateSigningRequest, who asked for this very certificate, and from
//! where.
//!
//! Trusts the API server that the operator named. What the peer says, the
//! request's name, only says where to look.

use super::CertificateError;
use super::requester::RequestRule;
use crate::api::{ApiError, ClusterApi, Patience, is_object_name};
use crate::binding::allowed;
use crate::error::{Asked, EvidenceError};
use crate::peer_text::PeerText;
use crate::subject::{Certificate, DistinguishedName, Node, Requester};
use std::sync::Arc;

/// How a node is called among the users of a cluster (Kubernetes, "Using Node
/// Authorization").
pub(super) const NODE_USER: &str = "system:node:";
pub(super) const NODE_GROUP: &str = "system:nodes";

/// That the certificate is a Kubernetes node's.
#[derive(Debug, Clone)]
pub struct NodeRule {
    /// Where the cluster is asked about it. With none, what is proven is that
    /// an authority signed the name.
    pub lookup: Option<NodeLookup>,
}

/// What a cluster's API server is asked about a node.
#[derive(Debug, Clone)]
pub struct NodeLookup {
    /// The API server.
    pub api: Arc<dyn ClusterApi>,
    /// Keys of the labels of a node that become facts.
    pub node_labels: Vec<String>,
    /// Which CertificateSigningRequests count. With a rule, the peer has to
    /// name the request that its certificate came from, and the request is
    /// read.
    pub request: Option<RequestRule>,
}

/// A node that a certificate names, for the time when its key is shown.
#[derive(Debug)]
pub(super) struct NodeClaim {
    name: String,
    /// The CertificateSigningRequest to look at, where one has to be.
    request: Option<String>,
    lookup: Option<NodeLookup>,
    /// The peer's certificate, in DER.
    leaf: Vec<u8>,
}

impl NodeRule {
    /// What the certificate claims. Nobody is asked before its key is shown.
    pub(super) fn claim(
        &self,
        subject: &DistinguishedName,
        request: Option<String>,
        leaf: &[u8],
    ) -> Result<NodeClaim, CertificateError> {
        let name = subject
            .common_name
            .as_deref()
            .and_then(|name| name.strip_prefix(NODE_USER))
            .ok_or(CertificateError::NodeNameMissing)?;
        if subject.organizations != [NODE_GROUP] {
            return Err(CertificateError::NodeGroupMissing);
        }
        if !is_object_name(name) {
            return Err(CertificateError::NodeNameMalformed {
                name: PeerText::new(name),
            });
        }
        let looked_at = self
            .lookup
            .as_ref()
            .is_some_and(|lookup| lookup.request.is_some());
        let request = match request {
            // It becomes part of a path that is asked for with our rights.
            Some(request) if !is_object_name(&request) => {
                return Err(CertificateError::RequestNameMalformed);
            }
            None if looked_at => return Err(CertificateError::RequestMissing),
            request => request.filter(|_| looked_at),
        };
        Ok(NodeClaim {
            name: name.to_owned(),
            request,
            lookup: self.lookup.clone(),
            leaf: leaf.to_vec(),
        })
    }
}

impl NodeClaim {
    /// Whether an API server is asked about it.
    pub(super) fn asks(&self) -> bool {
        self.lookup.is_some()
    }

    /// Puts the node, and who asked for the certificate, into `certificate`, as
    /// far as the cluster knows them.
    pub(super) fn prove(
        self,
        certificate: &mut Certificate,
        patience: &Patience,
    ) -> Result<(), EvidenceError> {
        let mut node = Node {
            name: self.name.clone(),
            uid: None,
            address: None,
            labels: Vec::new(),
        };
        if let Some(lookup) = &self.lookup {
            if let (Some(name), Some(rule)) = (&self.request, &lookup.request) {
                let api = &*lookup.api;
                let request = api.signing_request(name, patience).map_err(|error| {
                    let gone = CertificateError::RequestGone {
                        name: PeerText::new(name),
                    };
                    unanswered(error, Asked::Request, gone)
                })?;
                let requester = rule.requester(request, &self.leaf, &self.name, api, patience)?;
                certificate.requester = Some(requester);
            }
            lookup.complete(&mut node, certificate.requester.as_ref(), patience)?;
        }
        certificate.node = Some(node);
        Ok(())
    }
}

impl NodeLookup {
    /// Completes `node`, if it is in the cluster and the one from which the
    /// certificate was asked for.
    fn complete(
        &self,
        node: &mut Node,
        requester: Option<&Requester>,
        patience: &Patience,
    ) -> Result<(), EvidenceError> {
        let name = || node.name.clone();
        let record = self.api.node(&node.name, patience).map_err(|error| {
            let gone = CertificateError::NodeGone { node: name() };
            unanswered(error, Asked::Node, gone)
        })?;
        let uid = record
            .uid
            .filter(|uid| !uid.is_empty())
            .ok_or_else(|| CertificateError::NodeUidMissing { node: name() })?;
        let asked_from = requester.and_then(|requester| requester.node.as_ref()?.uid.as_ref());
        if asked_from.is_some_and(|asked_from| *asked_from != uid) {
            return Err(CertificateError::NodeReplaced { node: name() }.into());
        }
        node.uid = Some(uid);
        node.labels = allowed(&record.labels, &self.node_labels);
        Ok(())
    }
}

/// An object that is not there refuses the peer; no answer is no verdict.
pub(super) fn unanswered(error: ApiError, asked: Asked, gone: CertificateError) -> EvidenceError {
    if matches!(error, ApiError::NotFound { .. }) {
        gone.into()
    } else {
        EvidenceError::CertificateApi {
            asked,
            source: error,
        }
    }
}
