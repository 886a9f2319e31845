//! The selectors that SPIRE's `k8s_sat` and `k8s_psat` give an agent, so that
//! registration entries keep matching whichever policy names it.
//!
//! Writes only what was proven: a fact that is `None` gives no selector.

use serde::Deserialize;

use crate::{Facts, Label, ServiceAccount, Subject};

/// Which of the selectors to write; all of them by default.
///
/// In settings a list of names: `selectors = ["cluster", "agent_ns"]`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "Vec<Kind>")]
pub struct Keep(u16);

impl Keep {
    /// No selector at all: `selectors = []`.
    pub const NONE: Self = Self(0);

    /// A bit for every kind there is.
    const ALL: Self = Self((1 << (Kind::AgentPodLabel as u16 + 1)) - 1);

    fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self::ALL
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
}

/// The selectors for `facts` that `keep` lets through, in SPIRE's order.
///
/// Empty for a certificate, to which SPIRE gives none of these.
#[must_use]
pub fn kubernetes(facts: &Facts, keep: &Keep) -> Vec<String> {
    match &facts.subject {
        Subject::ServiceAccount(account) => of_service_account(account, *keep),
        Subject::Certificate(_) => Vec::new(),
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
            kubernetes(&facts, &Keep::default()),
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
            kubernetes(&facts, &Keep::default()),
            [
                "cluster:production",
                "agent_ns:spire",
                "agent_sa:spire-agent"
            ]
        );
        let facts = testing::facts(testing::certificate());
        assert!(kubernetes(&facts, &Keep::default()).is_empty());
    }

    #[test]
    fn each_kind_can_be_kept_alone() {
        let facts = testing::facts(testing::bound_token());
        let all = kubernetes(&facts, &Keep::default());
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
            assert_eq!(kubernetes(&facts, &keep(vec![kind])), [selector]);
        }
        assert!(kubernetes(&facts, &Keep::NONE).is_empty());
        assert_eq!(keep(kinds.to_vec()), Keep::default());
    }

    #[test]
    fn the_order_of_the_setting_does_not_count() {
        let facts = testing::facts(testing::bound_token());
        let kept = keep(vec![Kind::AgentSa, Kind::Cluster, Kind::Cluster]);
        assert_eq!(
            kubernetes(&facts, &kept),
            ["cluster:production", "agent_sa:spire-agent"]
        );
    }
}
