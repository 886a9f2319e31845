//! The selectors that SPIRE's `k8s_sat`, `k8s_psat` and `x509pop` give an agent,
//! so that registration entries keep matching whichever policy names it.
//!
//! A certificate that a Kubernetes cluster signed for a node has, behind
//! `x509pop`'s, those of `k8s_psat` that are about a node.
//!
//! Writes only what was proven: a fact that is `None` gives no selector.

use serde::Deserialize;

use crate::{AlternativeName, Certificate, Facts, Label, Node, ServiceAccount, Subject};

/// Which of the selectors to write; by default all of them but `ca_thumbprint`,
/// which SPIRE does not have.
///
/// In settings a list of names: `selectors = ["cluster", "agent_ns"]`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "Vec<Kind>")]
pub struct Keep(u16);

impl Keep {
    /// No selector at all: `selectors = []`.
    pub const NONE: Self = Self(0);

    /// The default, and `ca_thumbprint`.
    pub const WITH_CA_THUMBPRINT: Self =
        Self(Self::SPIRE.0 | 1 << Kind::CaThumbprint as u16);

    /// A bit for every kind that SPIRE has.
    const SPIRE: Self = Self((1 << (Kind::San as u16 + 1)) - 1);

    fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self::SPIRE
    }
}

impl From<Vec<Kind>> for Keep {
    fn from(kinds: Vec<Kind>) -> Self {
        Self(
            kinds
                .into_iter()
                .fold(0, |kept, kind| kept | 1 << kind as u16),
        )
    }
}

/// A kind of selector, named as the part before its first colon.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Cluster,
    AgentNs,
    AgentSa,
    AgentPodName,
    AgentPodUid,
    AgentNodeIp,
    AgentNodeName,
    AgentNodeUid,
    AgentNodeLabel,
    AgentPodLabel,
    Subject,
    Ca,
    Serialnumber,
    San,
    CaThumbprint,
}

/// The selectors for `facts` that `keep` lets through, in SPIRE's order: those
/// of `k8s_psat` for a service account, those of `x509pop` for a certificate.
#[must_use]
pub fn spire(facts: &Facts, keep: &Keep) -> Vec<String> {
    match &facts.subject {
        Subject::ServiceAccount(account) => of_service_account(account, *keep),
        Subject::Certificate(certificate) => {
            of_certificate(certificate, &facts.trust_domain, *keep)
        }
    }
}

fn of_service_account(account: &ServiceAccount, keep: Keep) -> Vec<String> {
    let pod = account.pod.as_ref();
    let node = account.node.as_ref();
    let node_labels = node.map_or(&[] as &[Label], |node| &node.labels);
    let pod_labels = pod.map_or(&[] as &[Label], |pod| &pod.labels);
    // One allocation: 8 kinds that occur once, and the labels.
    let mut selectors = Vec::with_capacity(8 + node_labels.len() + pod_labels.len());

    let mut push = |kind: Kind, prefix: &str, value: Option<&str>| {
        if let Some(value) = value
            && keep.has(kind)
        {
            selectors.push([prefix, value].concat());
        }
    };
    push(Kind::Cluster, "cluster:", Some(&account.cluster));
    push(Kind::AgentNs, "agent_ns:", Some(&account.namespace));
    push(Kind::AgentSa, "agent_sa:", Some(&account.name));
    push(
        Kind::AgentPodName,
        "agent_pod_name:",
        pod.map(|pod| pod.name.as_str()),
    );
    push(
        Kind::AgentPodUid,
        "agent_pod_uid:",
        pod.and_then(|pod| pod.uid.as_deref()),
    );
    push(
        Kind::AgentNodeIp,
        "agent_node_ip:",
        node.and_then(|node| node.address.as_deref()),
    );
    push(
        Kind::AgentNodeName,
        "agent_node_name:",
        node.map(|node| node.name.as_str()),
    );
    push(
        Kind::AgentNodeUid,
        "agent_node_uid:",
        node.and_then(|node| node.uid.as_deref()),
    );

    if keep.has(Kind::AgentNodeLabel) {
        selectors.extend(
            node_labels
                .iter()
                .map(|label| of_label("agent_node_label:", label)),
        );
    }
    if keep.has(Kind::AgentPodLabel) {
        selectors.extend(
            pod_labels
                .iter()
                .map(|label| of_label("agent_pod_label:", label)),
        );
    }
    selectors
}

fn of_certificate(certificate: &Certificate, trust_domain: &str, keep: Keep) -> Vec<String> {
    let mut selectors = Vec::with_capacity(2 + certificate.authorities.len());
    if let Some(name) = &certificate.subject.common_name
        && keep.has(Kind::Subject)
    {
        selectors.push(["subject:cn:", name].concat());
    }
    if keep.has(Kind::Ca) {
        for authority in &certificate.authorities {
            selectors.push(["ca:fingerprint:", &authority.sha1].concat());
        }
    }
    if keep.has(Kind::Serialnumber) {
        selectors.push(["serialnumber:", &certificate.serial].concat());
    }
    if keep.has(Kind::San) {
        of_names(certificate, trust_domain, &mut selectors);
    }
    if let Some(signer) = certificate.authorities.first()
        && keep.has(Kind::CaThumbprint)
    {
        selectors.push(["ca_thumbprint:", &signer.sha256].concat());
    }
    if let Some(cluster) = &certificate.cluster
        && keep.has(Kind::Cluster)
    {
        selectors.push(["cluster:", cluster].concat());
    }
    if let Some(node) = &certificate.node {
        of_node(node, keep, &mut selectors);
    }
    selectors
}

fn of_node(node: &Node, keep: Keep, selectors: &mut Vec<String>) {
    if keep.has(Kind::AgentNodeName) {
        selectors.push(["agent_node_name:", &node.name].concat());
    }
    if let Some(uid) = &node.uid
        && keep.has(Kind::AgentNodeUid)
    {
        selectors.push(["agent_node_uid:", uid].concat());
    }
    if keep.has(Kind::AgentNodeLabel) {
        let labels = node.labels.iter();
        selectors.extend(labels.map(|label| of_label("agent_node_label:", label)));
    }
}

/// `x509pop://<trust domain>/<key>/<value>` is a selector by SPIRE's rule; of
/// two with one key the later counts.
fn of_names(certificate: &Certificate, trust_domain: &str, selectors: &mut Vec<String>) {
    let prefix = ["x509pop://", trust_domain, "/"].concat();
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let written = certificate.alternative_names.iter().filter_map(uri);
    for (key, value) in written.filter_map(|uri| uri.strip_prefix(prefix.as_str())?.split_once('/'))
    {
        if key.is_empty() || value.is_empty() {
            continue;
        }
        pairs.retain(|(other, _)| *other != key);
        pairs.push((key, value));
    }
    for (key, value) in pairs {
        selectors.push(["san:", key, ":", value].concat());
    }
}

fn uri(name: &AlternativeName) -> Option<&str> {
    match name {
        AlternativeName::Uri(uri) => Some(uri),
        AlternativeName::Dns(_) | AlternativeName::Ip(_) | AlternativeName::Email(_) => None,
    }
}

fn of_label(prefix: &str, label: &Label) -> String {
    [prefix, &label.key, ":", &label.value].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn keep(kinds: Vec<Kind>) -> Keep {
        Keep::from(kinds)
    }

    #[test]
    fn everything_proven_is_written_in_spires_order() {
        let facts = testing::facts(testing::bound_token());
        assert_eq!(
            spire(&facts, &Keep::default()),
            [
                "cluster:production",
                "agent_ns:spire",
                "agent_sa:spire-agent",
                "agent_pod_name:spire-agent-x7k2p",
                "agent_pod_uid:3d9f2b64-8c15-4a7e-b0d3-5e6f7a8b9c0d",
                "agent_node_ip:192.0.2.7",
                "agent_node_name:node-7",
                "agent_node_uid:e4b7c1a9-0d52-4f83-a6e1-9b8c7d6e5f40",
                "agent_node_label:topology.kubernetes.io/zone:eu-1a",
                "agent_pod_label:app:spire-agent",
            ]
        );
    }

    #[test]
    fn nothing_is_written_for_what_was_not_proven() {
        let facts = testing::facts(testing::legacy_token());
        assert_eq!(
            spire(&facts, &Keep::default()),
            [
                "cluster:production",
                "agent_ns:spire",
                "agent_sa:spire-agent"
            ]
        );
        let mut certificate = testing::certificate();
        certificate.subject.common_name = None;
        certificate.authorities.clear();
        let facts = testing::facts(certificate);
        assert_eq!(spire(&facts, &Keep::default()), ["serialnumber:01a4f0"]);
    }

    #[test]
    fn a_certificate_has_those_of_x509pop() {
        let mut certificate = testing::certificate();
        for uri in [
            "x509pop://example.org/rack/1",
            "x509pop://example.org/zone/a/b",
            "x509pop://example.org/rack/2",
            "x509pop://example.org/empty/",
            "x509pop://elsewhere.org/rack/3",
            "spiffe://example.org/rack/4",
        ] {
            let uri = AlternativeName::Uri(uri.into());
            certificate.alternative_names.push(uri);
        }
        let facts = testing::facts(certificate);
        let all = [
            "subject:cn:db-3.example.org",
            "ca:fingerprint:3333333333333333333333333333333333333333",
            "ca:fingerprint:5555555555555555555555555555555555555555",
            "serialnumber:01a4f0",
            "san:zone:a/b",
            "san:rack:2",
        ];
        assert_eq!(spire(&facts, &Keep::default()), all);
        for (kind, kept) in [
            (Kind::Subject, &all[..1]),
            (Kind::Ca, &all[1..3]),
            (Kind::Serialnumber, &all[3..4]),
            (Kind::San, &all[4..]),
        ] {
            assert_eq!(spire(&facts, &keep(vec![kind])), kept);
        }
        assert!(spire(&facts, &Keep::NONE).is_empty());
    }

    #[test]
    fn a_certificate_of_a_node_has_the_nodes_behind_them() {
        let mut certificate = testing::certificate();
        certificate.alternative_names.clear();
        certificate.authorities.truncate(1);
        certificate.cluster = Some("production".into());
        certificate.node = match testing::bound_token() {
            Subject::ServiceAccount(account) => account.node,
            Subject::Certificate(_) => None,
        };
        let facts = testing::facts(certificate);
        let thumbprint = ["ca_thumbprint:", "4".repeat(64).as_str()].concat();
        let all = [
            "subject:cn:db-3.example.org",
            "ca:fingerprint:3333333333333333333333333333333333333333",
            "serialnumber:01a4f0",
            &thumbprint,
            "cluster:production",
            "agent_node_name:node-7",
            "agent_node_uid:e4b7c1a9-0d52-4f83-a6e1-9b8c7d6e5f40",
            "agent_node_label:topology.kubernetes.io/zone:eu-1a",
        ];
        assert_eq!(spire(&facts, &Keep::WITH_CA_THUMBPRINT), all);
        for (kind, kept) in [
            (Kind::CaThumbprint, all[3]),
            (Kind::Cluster, all[4]),
            (Kind::AgentNodeName, all[5]),
            (Kind::AgentNodeUid, all[6]),
            (Kind::AgentNodeLabel, all[7]),
        ] {
            assert_eq!(spire(&facts, &keep(vec![kind])), [kept]);
        }
        let spires = spire(&facts, &Keep::default());
        assert!(!spires.contains(&thumbprint), "{spires:?}");
    }

    #[test]
    fn each_kind_can_be_kept_alone() {
        let facts = testing::facts(testing::bound_token());
        let all = spire(&facts, &Keep::default());
        let kinds = [
            Kind::Cluster,
            Kind::AgentNs,
            Kind::AgentSa,
            Kind::AgentPodName,
            Kind::AgentPodUid,
            Kind::AgentNodeIp,
            Kind::AgentNodeName,
            Kind::AgentNodeUid,
            Kind::AgentNodeLabel,
            Kind::AgentPodLabel,
        ];
        for (kind, selector) in kinds.into_iter().zip(all) {
            assert_eq!(spire(&facts, &keep(vec![kind])), [selector]);
        }
        assert!(spire(&facts, &Keep::NONE).is_empty());
    }

    #[test]
    fn the_order_of_the_setting_does_not_count() {
        let facts = testing::facts(testing::bound_token());
        let kept = keep(vec![Kind::AgentSa, Kind::Cluster, Kind::Cluster]);
        assert_eq!(
            spire(&facts, &kept),
            ["cluster:production", "agent_sa:spire-agent"]
        );
    }
}
