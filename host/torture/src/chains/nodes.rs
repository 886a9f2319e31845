//! Good chains of nodes that are none, are gone, or never asked for the
//! certificate: where it has to be a Kubernetes node's.

use super::{Answer, ChainAttack, ChainGround, attack};
use crate::attack::Expected;
use crate::authority;
use crate::cluster::{KnownTokens, NODE_UID, POD_UID};
use crate::error::TortureError;
use nameplate_evidence::SigningRequestRecord;
use nameplate_evidence::certificates::{CertificateVerifier, Prover, RequestRule};
use rcgen::{Certificate, DnType, KeyPair};
use serde_json::json;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The node that every good certificate is of.
pub(super) const NODE: &str = "node-7";

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const NODE_UID_KEY: &str = "authentication.kubernetes.io/node-uid";

pub(super) fn attacks(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    if ground.verifier.node.is_none() {
        return Ok(Vec::new());
    }
    let mut attacks = names(ground)?;
    attacks.extend(gone(ground)?);
    attacks.extend(requests(ground)?);
    attacks.extend(requesters(ground)?);
    Ok(attacks)
}

/// The same peer; and where the verifier looks at one, a request by which its
/// certificate came about as it should.
pub(super) fn requested(
    verifier: &CertificateVerifier,
    api: &KnownTokens,
    prover: Prover,
    leaf: &Certificate,
) -> Prover {
    match signer(verifier) {
        None => prover,
        Some(signer) => {
            let name = format!("csr-{}", Uuid::new_v4());
            api.request(&name, record(signer, leaf, NODE));
            prover.requested_as(name)
        }
    }
}

/// Which requests count, where any is looked at.
fn rule(verifier: &CertificateVerifier) -> Option<&RequestRule> {
    let lookup = verifier.node.as_ref()?.lookup.as_ref()?;
    lookup.request.as_ref()
}

fn signer(verifier: &CertificateVerifier) -> Option<&str> {
    rule(verifier).map(|rule| rule.signer.as_str())
}

/// A request that an agent on `node` made with its pod's token, and that came
/// to `leaf`.
fn record(signer: &str, leaf: &Certificate, node: &str) -> SigningRequestRecord {
    let extra = [
        (POD_NAME, "spire-agent-x7k2p"),
        ("authentication.kubernetes.io/pod-uid", POD_UID),
        (NODE_NAME, node),
        (NODE_UID_KEY, NODE_UID),
    ];
    let extra = extra.map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
    SigningRequestRecord {
        signer_name: signer.to_owned(),
        username: "system:serviceaccount:spire:spire-agent".to_owned(),
        uid: None,
        groups: Vec::new(),
        extra: BTreeMap::from(extra),
        conditions: vec!["Approved".to_owned()],
        certificate: Some(leaf.pem().into_bytes()),
    }
}

/// A certificate of a node that is called so.
fn leaf(
    ground: &ChainGround,
    common_name: &str,
    organization: &str,
) -> Result<(Certificate, KeyPair), TortureError> {
    let mut params = ground.leaf()?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, common_name);
    if !organization.is_empty() {
        name.push(DnType::OrganizationName, organization);
    }
    let key = KeyPair::generate()?;
    let own = params.signed_by(&key, &ground.root)?;
    Ok((own, key))
}

/// Nodes that the cluster does not have, or not readably.
fn gone(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let rule = ground.verifier.node.as_ref();
    let asked = rule.is_some_and(|rule| rule.lookup.is_some());
    let mut attacks = Vec::new();
    for (name, node, reason) in [
        ("a node that is gone", "gone", "node_gone"),
        ("a node without a UID", "without-uid", "node_uid_missing"),
    ] {
        let (own, key) = leaf(ground, &format!("system:node:{node}"), "system:nodes")?;
        let mut prover = authority::prover(&own, &[], &key)?;
        if let Some(signer) = signer(&ground.verifier) {
            let request = format!("csr-{}", Uuid::new_v4());
            ground.api.request(&request, record(signer, &own, node));
            prover = prover.requested_as(request);
        }
        let expected = match asked {
            true => Expected::by(reason),
            false => Expected::Unasked("`kube_config_file`"),
        };
        attacks.push(attack(
            name,
            prover.payload(),
            Answer::of(prover),
            expected,
            None,
        ));
    }
    Ok(attacks)
}

type Change = fn(&mut SigningRequestRecord);

/// Requests that do not vouch for the certificate.
fn requests(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let expected = |reason| match signer(&ground.verifier) {
        Some(_) => Expected::by(reason),
        None => Expected::Unasked("`verify_request`"),
    };
    let (own, key) = leaf(ground, "system:node:node-7", "system:nodes")?;
    let prover = || authority::prover(&own, &[], &key);
    let mut attacks = Vec::new();
    let mut push = |name: &str, prover: Prover, expected| {
        let incident = Some("kubernetes/kubernetes#57164");
        attacks.push(attack(
            name,
            prover.payload(),
            Answer::of(prover),
            expected,
            incident,
        ));
    };
    push(
        "a certificate and no request",
        prover()?,
        expected("request_missing"),
    );
    push(
        "a request that there is not",
        prover()?.requested_as("csr-gone"),
        expected("request_gone"),
    );
    for (name, request) in [
        ("a request that climbs", "../../../api/v1/secrets"),
        ("a request of no name", ""),
    ] {
        // It would become part of a path, whoever is asked then.
        let malformed = Expected::by("request_name_malformed");
        push(name, prover()?.requested_as(request), malformed);
    }
    let signer = signer(&ground.verifier).unwrap_or("example.org/signer");
    for (name, change, reason) in changes() {
        let mut record = record(signer, &own, NODE);
        change(&mut record);
        let request = format!("csr-{}", Uuid::new_v4());
        ground.api.request(&request, record);
        push(name, prover()?.requested_as(request), expected(reason));
    }
    let other = record(
        signer,
        &leaf(ground, "system:node:node-7", "system:nodes")?.0,
        NODE,
    );
    let request = format!("csr-{}", Uuid::new_v4());
    ground.api.request(&request, other);
    push(
        "the request of another certificate",
        prover()?.requested_as(request),
        expected("request_mismatch"),
    );
    Ok(attacks)
}

/// Requests of which it is not recorded on which node the requester is: as by
/// Kubernetes before 1.30, and with a credential that is on no node.
fn requesters(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let (own, key) = leaf(ground, "system:node:node-7", "system:nodes")?;
    let rule = rule(&ground.verifier);
    let signer = rule.map_or("example.org/signer", |rule| rule.signer.as_str());
    let expected = |reason| match rule {
        None => Expected::Unasked("`verify_request`"),
        Some(rule) if rule.allow_requester_without_node => {
            Expected::Unasked("`allow_requester_without_node = false`")
        }
        Some(_) => Expected::by(reason),
    };
    let mut attacks = Vec::new();
    let mut push = |name: &str, record, expected| -> Result<(), TortureError> {
        let request = format!("csr-{}", Uuid::new_v4());
        ground.api.request(&request, record);
        let prover = authority::prover(&own, &[], &key)?.requested_as(request);
        attacks.push(attack(
            name,
            prover.payload(),
            Answer::of(prover),
            expected,
            Some("kubernetes/kubernetes#57164"),
        ));
        Ok(())
    };
    let by_pod = |pod: &str| {
        let mut record = record(signer, &own, NODE);
        record.extra.remove(NODE_NAME);
        record.extra.remove(NODE_UID_KEY);
        record
            .extra
            .insert(POD_NAME.to_owned(), vec![pod.to_owned()]);
        record
    };
    push(
        "a request by a pod, recorded without its node",
        by_pod("spire-agent-x7k2p"),
        Expected::Twin,
    )?;
    for (name, pod, reason) in [
        (
            "a request by a pod that is on another node",
            "on-another-node",
            "requester_elsewhere",
        ),
        (
            "a request by a pod that was replaced",
            "of-another-uid",
            "requester_pod_mismatch",
        ),
        (
            "a request by a pod of another account",
            "of-another-account",
            "requester_pod_account_mismatch",
        ),
        (
            "a request by a pod that is gone",
            "gone",
            "requester_pod_gone",
        ),
        (
            "a request by a pod on no node",
            "unscheduled",
            "requester_pod_not_scheduled",
        ),
    ] {
        push(name, by_pod(pod), expected(reason))?;
    }
    let mut node = record(signer, &own, NODE);
    node.extra.clear();
    node.username = format!("system:node:{NODE}");
    node.groups = vec!["system:nodes".to_owned()];
    push("a request by the node itself", node.clone(), Expected::Twin)?;
    for (name, username) in [
        (
            "a request by a token that is bound to nothing",
            "system:serviceaccount:spire:spire-agent",
        ),
        ("a request by a bootstrap token", "system:bootstrap:07401b"),
        ("a request by an administrator", "kubernetes-admin"),
        (
            "a request by a user called after the node, of no node's group",
            "system:node:node-7",
        ),
    ] {
        let record = SigningRequestRecord {
            username: username.to_owned(),
            groups: vec!["system:authenticated".to_owned()],
            ..node.clone()
        };
        push(name, record, expected("requester_node_unproven"))?;
    }
    Ok(attacks)
}

/// A name, what changes of a good request, and what refuses it.
fn changes() -> [(&'static str, Change, &'static str); 10] {
    fn extra(record: &mut SigningRequestRecord, key: &str, values: &[&str]) {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        record.extra.insert(key.to_owned(), values);
    }
    [
        (
            "a request of another signer",
            |record| record.signer_name.push_str("-not"),
            "request_signer",
        ),
        (
            "a request that nobody approved",
            |record| record.conditions.clear(),
            "request_not_approved",
        ),
        (
            "a request that was approved and denied",
            |record| record.conditions.push("Denied".to_owned()),
            "request_not_approved",
        ),
        (
            "a request that was approved and failed",
            |record| record.conditions.push("Failed".to_owned()),
            "request_not_approved",
        ),
        (
            "a request that came to no certificate",
            |record| record.certificate = None,
            "request_mismatch",
        ),
        (
            "a request of nobody",
            |record| record.username.clear(),
            "request_malformed",
        ),
        (
            "a request from two nodes",
            |record| extra(record, NODE_NAME, &["node-7", "node-8"]),
            "request_malformed",
        ),
        (
            "a request from another node",
            |record| extra(record, NODE_NAME, &["node-8"]),
            "requester_elsewhere",
        ),
        (
            "a request by another node",
            |record| "system:node:node-8".clone_into(&mut record.username),
            "requester_elsewhere",
        ),
        (
            "a request from a node that was replaced since",
            |record| {
                extra(
                    record,
                    NODE_UID_KEY,
                    &["00000000-0000-4000-8000-000000000000"],
                )
            },
            "node_mismatch",
        ),
    ]
}

/// Names that are no node's, where the certificate has to be a node's. A
/// cluster's signer for kubelets signs some of them.
fn names(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let mut attacks = Vec::new();
    for (common_name, organization, reason) in [
        ("node-7", "system:nodes", "node_name_missing"),
        ("system:NODE:node-7", "system:nodes", "node_name_missing"),
        ("system:node:", "system:nodes", "node_name_malformed"),
        ("system:node:../../x", "system:nodes", "node_name_malformed"),
        ("system:node:a:b", "system:nodes", "node_name_malformed"),
        ("system:node:a/b", "system:nodes", "node_name_malformed"),
        ("system:node:node-7", "system:masters", "node_group_missing"),
        ("system:node:node-7", "", "node_group_missing"),
    ] {
        let (own, key) = leaf(ground, common_name, organization)?;
        let prover = ground.prover(&own, &[], &key)?;
        attacks.push(attack(
            format!(
                "a node called {} of {}",
                json!(common_name),
                json!(organization)
            ),
            prover.payload(),
            Answer::of(prover),
            Expected::by(reason),
            Some("kubernetes/kubernetes#57164"),
        ));
    }
    Ok(attacks)
}
