//! The selectors that say facts: what may stand behind each of their keys.
//!
//! The keys are SPIRE's, of `k8s_sat`, `k8s_psat` and `x509pop`, and
//! `ca_thumbprint`. The policies that ship write them
//! (`guest/src/selectors.rs`) and registration entries are written for them, so
//! whoever reads `cluster:production` takes it for proven. For each key this
//! file gives every value that the facts prove, byte for byte; any other value
//! is false. All keys are reserved for both kinds of subject.
//!
//! A key is the text before the first colon, compared as SPIRE compares
//! selectors: exactly. `Cluster:x`, ` cluster:x` and `cluster` without a colon
//! are matched by no entry for `cluster:x`, and are a policy's own.

use nameplate_evidence::Subject;
use nameplate_evidence::subject::{AlternativeName, Certificate, Label};
use nameplate_evidence::{Node, Pod, ServiceAccount};
use nameplate_policy::Facts;

/// A key under which a selector says a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FactKey {
    Cluster,
    AgentNs,
    AgentSa,
    AgentPodName,
    AgentPodUid,
    AgentPodLabel,
    AgentNodeIp,
    AgentNodeName,
    AgentNodeUid,
    AgentNodeLabel,
    Subject,
    Ca,
    CaThumbprint,
    Serialnumber,
    San,
}

/// Most values that a message lists.
const LISTED: usize = 3;

impl FactKey {
    /// The key of a selector, where it is one of these, and what stands
    /// behind its colon.
    pub(crate) fn of(selector: &str) -> Option<(Self, &str)> {
        let (key, value) = selector.split_once(':')?;
        let key = match key {
            "cluster" => Self::Cluster,
            "agent_ns" => Self::AgentNs,
            "agent_sa" => Self::AgentSa,
            "agent_pod_name" => Self::AgentPodName,
            "agent_pod_uid" => Self::AgentPodUid,
            "agent_pod_label" => Self::AgentPodLabel,
            "agent_node_ip" => Self::AgentNodeIp,
            "agent_node_name" => Self::AgentNodeName,
            "agent_node_uid" => Self::AgentNodeUid,
            "agent_node_label" => Self::AgentNodeLabel,
            "subject" => Self::Subject,
            "ca" => Self::Ca,
            "ca_thumbprint" => Self::CaThumbprint,
            "serialnumber" => Self::Serialnumber,
            "san" => Self::San,
            _ => return None,
        };
        Some((key, value))
    }

    /// The key as it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::AgentNs => "agent_ns",
            Self::AgentSa => "agent_sa",
            Self::AgentPodName => "agent_pod_name",
            Self::AgentPodUid => "agent_pod_uid",
            Self::AgentPodLabel => "agent_pod_label",
            Self::AgentNodeIp => "agent_node_ip",
            Self::AgentNodeName => "agent_node_name",
            Self::AgentNodeUid => "agent_node_uid",
            Self::AgentNodeLabel => "agent_node_label",
            Self::Subject => "subject",
            Self::Ca => "ca",
            Self::CaThumbprint => "ca_thumbprint",
            Self::Serialnumber => "serialnumber",
            Self::San => "san",
        }
    }

    /// Whether `value` is one that the facts give this key.
    pub(crate) fn proves(self, value: &str, facts: &Facts) -> bool {
        self.any(facts, &mut |parts| is_made_of(value, parts))
    }

    /// What the facts give this key, in words.
    pub(crate) fn proven(self, facts: &Facts) -> String {
        let mut values = Vec::new();
        self.any(facts, &mut |parts| {
            values.push(parts.concat());
            false
        });
        let mut values = values.iter().filter(|value| self.proves(value, facts));
        let listed: Vec<String> = values
            .by_ref()
            .take(LISTED)
            .map(|value| format!("`{}`", super::envelope::shown_whole(value)))
            .collect();
        let name = self.name();
        match (listed.as_slice(), values.count()) {
            ([], _) => format!("it proves no `{name}`"),
            (listed, 0) => format!("`{name}` is {}", listed.join(" or ")),
            (listed, more) => format!("`{name}` is {} or one of {more} more", listed.join(", ")),
        }
    }

    /// Whether `test` accepts one of the proven values, each given in parts. A
    /// value that a later one overrides may be tested too, and does not count.
    fn any(self, facts: &Facts, test: &mut dyn FnMut(&[&str]) -> bool) -> bool {
        let account = service_account(facts);
        let certificate = certificate(facts);
        let mut one = |value: Option<&str>| value.is_some_and(|value| test(&[value]));
        match self {
            Self::Cluster => one(facts.cluster()),
            Self::AgentNs => one(account.map(|account| account.namespace.as_str())),
            Self::AgentSa => one(account.map(|account| account.name.as_str())),
            Self::AgentPodName => one(pod(facts).map(|pod| pod.name.as_str())),
            Self::AgentPodUid => one(pod(facts).and_then(|pod| pod.uid.as_deref())),
            Self::AgentPodLabel => labels(pod(facts).map(|pod| &pod.labels), test),
            Self::AgentNodeIp => one(node(facts).and_then(|node| node.address.as_deref())),
            Self::AgentNodeName => one(node(facts).map(|node| node.name.as_str())),
            Self::AgentNodeUid => one(node(facts).and_then(|node| node.uid.as_deref())),
            Self::AgentNodeLabel => labels(node(facts).map(|node| &node.labels), test),
            Self::Subject => certificate
                .and_then(|certificate| certificate.subject.common_name.as_deref())
                .is_some_and(|name| test(&["cn:", name])),
            Self::Ca => certificate.is_some_and(|certificate| {
                let mut authorities = certificate.authorities.iter();
                authorities.any(|authority| test(&["fingerprint:", &authority.sha1]))
            }),
            Self::CaThumbprint => one(certificate
                .and_then(|certificate| certificate.authorities.first())
                .map(|signer| signer.sha256.as_str())),
            Self::Serialnumber => one(certificate.map(|certificate| certificate.serial.as_str())),
            Self::San => {
                certificate.is_some_and(|certificate| sans(certificate, &facts.trust_domain, test))
            }
        }
    }
}

fn service_account(facts: &Facts) -> Option<&ServiceAccount> {
    match &facts.subject {
        Subject::ServiceAccount(account) => Some(account),
        Subject::Certificate(_) => None,
    }
}

fn certificate(facts: &Facts) -> Option<&Certificate> {
    match &facts.subject {
        Subject::Certificate(certificate) => Some(certificate),
        Subject::ServiceAccount(_) => None,
    }
}

/// The agent's own pod. Who asked for a certificate is another question.
fn pod(facts: &Facts) -> Option<&Pod> {
    service_account(facts)?.pod.as_ref()
}

fn node(facts: &Facts) -> Option<&Node> {
    match &facts.subject {
        Subject::ServiceAccount(account) => account.node.as_ref(),
        Subject::Certificate(certificate) => certificate.node.as_ref(),
    }
}

fn labels(labels: Option<&Vec<Label>>, test: &mut dyn FnMut(&[&str]) -> bool) -> bool {
    let mut labels = labels.into_iter().flatten();
    labels.any(|label| test(&[&label.key, ":", &label.value]))
}

/// `x509pop://<trust domain>/<key>/<value>` is a selector by SPIRE's rule; of
/// two with one key the later counts.
fn sans(
    certificate: &Certificate,
    trust_domain: &str,
    test: &mut dyn FnMut(&[&str]) -> bool,
) -> bool {
    let pairs = || {
        let uris = certificate.alternative_names.iter().filter_map(uri);
        uris.filter_map(|uri| {
            let below = uri.strip_prefix("x509pop://")?.strip_prefix(trust_domain)?;
            let (key, value) = below.strip_prefix('/')?.split_once('/')?;
            (!key.is_empty() && !value.is_empty()).then_some((key, value))
        })
    };
    // The test comes first: it is the cheap half, and a certificate may have
    // many names.
    pairs().enumerate().any(|(at, (key, value))| {
        test(&[key, ":", value]) && !pairs().skip(at + 1).any(|(later, _)| later == key)
    })
}

fn uri(name: &AlternativeName) -> Option<&str> {
    match name {
        AlternativeName::Uri(uri) => Some(uri),
        AlternativeName::Dns(_) | AlternativeName::Ip(_) | AlternativeName::Email(_) => None,
    }
}

/// Whether `value` is these parts, one behind the other.
fn is_made_of(value: &str, parts: &[&str]) -> bool {
    let rest = parts
        .iter()
        .try_fold(value, |rest, part| rest.strip_prefix(part));
    rest == Some("")
}

#[cfg(test)]
mod tests;
