//! Lends facts to a guest: the same words, borrowed, in the generated types.
//!
//! Strings are not copied on the way; only lists of records need an array of
//! their own, which [`Lists`] holds for the length of one call.

use crate::bindings::naming;
use crate::facts::Facts;
use nameplate_evidence as evidence;

/// The arrays behind the lists of one question.
#[derive(Default)]
pub(crate) struct Lists<'a> {
    texts: Vec<&'a str>,
    units: Vec<&'a str>,
    pod_labels: Vec<naming::Label<'a>>,
    node_labels: Vec<naming::Label<'a>>,
    names: Vec<naming::AlternativeName<'a>>,
    authorities: Vec<naming::Authority<'a>>,
    groups: Vec<&'a str>,
    requester_pod_labels: Vec<naming::Label<'a>>,
    requester_node_labels: Vec<naming::Label<'a>>,
}

impl<'a> Lists<'a> {
    pub(crate) fn of(facts: &'a Facts) -> Self {
        match &facts.subject {
            evidence::Subject::ServiceAccount(account) => Self {
                texts: texts(&account.audiences),
                pod_labels: pod_labels(account.pod.as_ref()),
                node_labels: node_labels(account.node.as_ref()),
                ..Self::default()
            },
            evidence::Subject::Certificate(certificate) => {
                let requester = certificate.requester.as_ref();
                Self {
                    texts: texts(&certificate.subject.organizations),
                    units: texts(&certificate.subject.organizational_units),
                    node_labels: node_labels(certificate.node.as_ref()),
                    names: certificate.alternative_names.iter().map(name).collect(),
                    authorities: certificate.authorities.iter().map(authority).collect(),
                    groups: requester.map_or_else(Vec::new, |by| texts(&by.groups)),
                    requester_pod_labels: pod_labels(requester.and_then(|by| by.pod.as_ref())),
                    requester_node_labels: node_labels(requester.and_then(|by| by.node.as_ref())),
                    ..Self::default()
                }
            }
        }
    }
}

/// The question to a guest.
pub(crate) fn facts<'a>(facts: &'a Facts, lists: &'a Lists<'a>) -> naming::Facts<'a> {
    naming::Facts {
        trust_domain: &facts.trust_domain,
        attestor: &facts.attestor,
        attested_at: facts.attested_at,
        attestation_id: &facts.attestation_id,
        claimed_id: facts.claimed_id.as_deref(),
        subject: match &facts.subject {
            evidence::Subject::ServiceAccount(account) => {
                naming::Subject::ServiceAccount(service_account(account, lists))
            }
            evidence::Subject::Certificate(proven) => {
                naming::Subject::Certificate(certificate(proven, lists))
            }
        },
    }
}

fn service_account<'a>(
    account: &'a evidence::ServiceAccount,
    lists: &'a Lists<'a>,
) -> naming::ServiceAccount<'a> {
    naming::ServiceAccount {
        cluster: &account.cluster,
        cluster_thumbprint: account.cluster_thumbprint.as_deref(),
        namespace: &account.namespace,
        name: &account.name,
        uid: account.uid.as_deref(),
        pod: account.pod.as_ref().map(|it| pod(it, &lists.pod_labels)),
        node: account.node.as_ref().map(|it| node(it, &lists.node_labels)),
        issuer: account.issuer.as_deref(),
        audiences: &lists.texts,
        token_id: account.token_id.as_deref(),
        token_sha256: &account.token_sha256,
        issued_at: account.issued_at,
        expires_at: account.expires_at,
    }
}

fn certificate<'a>(
    proven: &'a evidence::Certificate,
    lists: &'a Lists<'a>,
) -> naming::Certificate<'a> {
    naming::Certificate {
        cluster: proven.cluster.as_deref(),
        subject: naming::DistinguishedName {
            common_name: proven.subject.common_name.as_deref(),
            organizations: &lists.texts,
            organizational_units: &lists.units,
        },
        serial: &proven.serial,
        sha1: &proven.sha1,
        sha256: &proven.sha256,
        alternative_names: &lists.names,
        authorities: &lists.authorities,
        not_before: proven.not_before,
        not_after: proven.not_after,
        key: match proven.key {
            evidence::KeyKind::Rsa => naming::KeyKind::Rsa,
            evidence::KeyKind::P256 => naming::KeyKind::P256,
            evidence::KeyKind::P384 => naming::KeyKind::P384,
            evidence::KeyKind::P521 => naming::KeyKind::P521,
        },
        node: proven.node.as_ref().map(|it| node(it, &lists.node_labels)),
        requester: proven.requester.as_ref().map(|by| naming::Requester {
            username: &by.username,
            uid: by.uid.as_deref(),
            groups: &lists.groups,
            pod: by
                .pod
                .as_ref()
                .map(|it| pod(it, &lists.requester_pod_labels)),
            node: by
                .node
                .as_ref()
                .map(|it| node(it, &lists.requester_node_labels)),
        }),
    }
}

fn pod<'a>(pod: &'a evidence::Pod, labels: &'a [naming::Label<'a>]) -> naming::Pod<'a> {
    naming::Pod {
        name: &pod.name,
        uid: pod.uid.as_deref(),
        address: pod.address.as_deref(),
        labels,
    }
}

fn node<'a>(node: &'a evidence::Node, labels: &'a [naming::Label<'a>]) -> naming::Node<'a> {
    naming::Node {
        name: &node.name,
        uid: node.uid.as_deref(),
        address: node.address.as_deref(),
        labels,
    }
}

fn name(name: &evidence::AlternativeName) -> naming::AlternativeName<'_> {
    match name {
        evidence::AlternativeName::Dns(text) => naming::AlternativeName::Dns(text),
        evidence::AlternativeName::Uri(text) => naming::AlternativeName::Uri(text),
        evidence::AlternativeName::Ip(text) => naming::AlternativeName::Ip(text),
        evidence::AlternativeName::Email(text) => naming::AlternativeName::Email(text),
    }
}

fn authority(authority: &evidence::Authority) -> naming::Authority<'_> {
    naming::Authority {
        sha1: &authority.sha1,
        sha256: &authority.sha256,
    }
}

fn pod_labels(pod: Option<&evidence::Pod>) -> Vec<naming::Label<'_>> {
    labels(pod.map_or(&[], |pod| &pod.labels))
}

fn node_labels(node: Option<&evidence::Node>) -> Vec<naming::Label<'_>> {
    labels(node.map_or(&[], |node| &node.labels))
}

fn labels(labels: &[evidence::Label]) -> Vec<naming::Label<'_>> {
    labels
        .iter()
        .map(|label| naming::Label {
            key: &label.key,
            value: &label.value,
        })
        .collect()
}

fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
