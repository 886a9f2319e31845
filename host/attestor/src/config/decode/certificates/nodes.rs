//! The keys of a `k8s` attestor: the cluster whose signer's certificates prove
//! nodes, and what its API server is asked about them.

use super::super::attestor::default_naming;
use super::super::cluster::cluster_name;
use super::super::cluster::verification::{api_server, unused_timeout};
use super::super::compared::{self, label_keys};
use super::super::table::TableReader;
use super::{Certificates, bundle, limits, verify_client_ip};
use crate::config::PolicyPlace;
use crate::config::problem::Problem;
use nameplate_evidence::Method;
use nameplate_evidence::certificates::{
    CertificateVerifier, NodeLookup, NodeRule, RequestRule, Trust,
};
use std::ops::Range;

/// The signer of kubelets' certificates (Kubernetes, "Certificate Signing
/// Requests").
pub(in crate::config) const KUBELET_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";

/// Reads what a `k8s` attestor is told besides its policy.
pub(in super::super) fn k8s(table: &mut TableReader<'_, '_>, place: PolicyPlace) -> Certificates {
    let bundle = bundle(table).map(Trust::Bundle);
    let cluster = cluster(table);
    let node = node_rule(table);
    let limits = limits(table);
    let verify_client_ip = verify_client_ip(table);
    Certificates {
        verifier: bundle.zip(node).map(|(trust, node)| CertificateVerifier {
            trust,
            limits,
            cluster,
            verify_client_ip,
            node: Some(node),
        }),
        naming: default_naming(Method::K8s, place),
    }
}

fn cluster(table: &mut TableReader<'_, '_>) -> Option<String> {
    let name = table.string("cluster")?;
    let segment = cluster_name(table.reading(), name.value, name.span)?;
    Some(segment.as_str().to_owned())
}

/// None when a problem was noted.
fn node_rule(table: &mut TableReader<'_, '_>) -> Option<NodeRule> {
    let key = kubeconfig_key(table)?;
    let verify = table.boolean("verify_request");
    let asked = table.has(key) || verify.as_ref().is_some_and(|verify| verify.value);
    // With nobody to ask, that has to be said: it lets an approver name nodes.
    let verify_request = verify.as_ref().is_none_or(|verify| verify.value);
    let signer = signer(table);
    let without_node = requester_without_node(table, verify_request);
    if let Some(entry) = table.entry("signer").filter(|_| !verify_request) {
        let text = "`signer` is set, and no CertificateSigningRequest is looked at";
        let problem = Problem::error(entry.node.span.clone(), text);
        table.note(problem.with_help("write `verify_request = true`"));
    }
    let labels = label_keys(table, "allowed_node_label_keys");
    if !asked {
        unasked(table, verify.map(|verify| verify.span));
        if let Some(labels) = labels.filter(|labels| !labels.value.is_empty()) {
            let text = "`allowed_node_label_keys` is set, and no label is read from an API server";
            table.note(Problem::error(labels.span, text).with_help("give `kube_config_file`"));
        }
        unused_timeout(table, "the cluster");
        return Some(NodeRule { lookup: None });
    }
    if let Some(verify) = verify.filter(|verify| !verify.value) {
        let text = "`verify_request = false`: a node is believed to be who asked for its \
                    certificate";
        table.note(Problem::warning(verify.span, text));
    }
    let api = api_server(table, key, "the cluster")?;
    let node_labels = labels.map(|labels| labels.value).unwrap_or_default();
    Some(NodeRule {
        lookup: Some(NodeLookup {
            api,
            node_labels,
            request: verify_request.then_some(RequestRule {
                signer,
                allow_requester_without_node: without_node,
            }),
        }),
    })
}

/// Notes that no API server is asked: a warning where the operator `agreed` to
/// it, at that place, and else an error.
fn unasked(table: &mut TableReader<'_, '_>, agreed: Option<Range<usize>>) {
    let text = "no API server is asked: whoever gets a node's name signed by this authority is \
                that node";
    let problem = match agreed {
        Some(place) => Problem::warning(place, text).with_help("give `kube_config_file`"),
        None => Problem::error(table.place(), text).with_help(
            "give `kube_config_file` (`\"\"`: as the pod that this runs in); \
             `verify_request = false` does without",
        ),
    };
    table.note(problem);
}

/// Whether a requester whose node is not proven is accepted.
fn requester_without_node(table: &mut TableReader<'_, '_>, verify_request: bool) -> bool {
    let key = "allow_requester_without_node";
    let Some(allow) = table.boolean(key).filter(|allow| allow.value) else {
        return false;
    };
    if !verify_request {
        let text = format!("`{key}` is set, and no CertificateSigningRequest is looked at");
        let problem = Problem::error(allow.span, text);
        table.note(problem.with_help("write `verify_request = true`"));
    } else {
        let text = format!(
            "`{key} = true`: a requester that is on no known node names any node that an \
             approver signs"
        );
        table.note(Problem::warning(allow.span, text));
    }
    true
}

/// What SPIRE's Kubernetes attestors call it, or the first of them did.
pub(in super::super) fn kubeconfig_key(table: &mut TableReader<'_, '_>) -> Option<&'static str> {
    match (
        table.has("kube_config_file"),
        table.entry("kubeconfig_path"),
    ) {
        (_, None) => Some("kube_config_file"),
        (false, Some(_)) => Some("kubeconfig_path"),
        (true, Some(second)) => {
            let text = "`kubeconfig_path` and `kube_config_file` are two names of one key";
            table.note(Problem::error(second.key_span.clone(), text));
            table.accept_rest();
            None
        }
    }
}

/// Who signs, by its name; the kubelets' where none is given.
pub(in super::super) fn signer(table: &mut TableReader<'_, '_>) -> String {
    let Some(written) = table.string("signer") else {
        return KUBELET_SIGNER.to_owned();
    };
    compared::check(table, "signer", &written);
    // Kubernetes demands `domain/name`.
    if !matches!(written.value.split_once('/'), Some((domain, name)) if !domain.is_empty() && !name.is_empty())
    {
        let text = "a signer's name has a domain, a slash and a path";
        let problem = Problem::error(written.span, text);
        table.note(problem.with_help(format!("such as `{KUBELET_SIGNER}`")));
    }
    written.value.to_owned()
}
