//! Whether selectors say what was proven, and match the operator's patterns.
//! Written independently of the envelope's own check, so that a hole in that
//! one shows.

use super::bounds;
use nameplate_attestor::{AgentIdentity, Envelope, FalseFacts};
use nameplate_policy::Facts;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Keys under which a selector says a fact.
const KEYS: [&str; 15] = [
    "cluster",
    "agent_ns",
    "agent_sa",
    "agent_pod_name",
    "agent_pod_uid",
    "agent_pod_label",
    "agent_node_ip",
    "agent_node_name",
    "agent_node_uid",
    "agent_node_label",
    "subject",
    "ca",
    "ca_thumbprint",
    "serialnumber",
    "san",
];

/// Keys whose one value stands in one place of a subject of either kind.
const OF_BOTH: [(&str, &str); 4] = [
    ("cluster:", "/cluster"),
    ("agent_node_ip:", "/node/address"),
    ("agent_node_name:", "/node/name"),
    ("agent_node_uid:", "/node/uid"),
];

const OF_ACCOUNTS: [(&str, &str); 4] = [
    ("agent_ns:", "/namespace"),
    ("agent_sa:", "/name"),
    ("agent_pod_name:", "/pod/name"),
    ("agent_pod_uid:", "/pod/uid"),
];

const OF_CERTIFICATES: [(&str, &str); 3] = [
    ("subject:cn:", "/subject/common_name"),
    ("ca_thumbprint:", "/authorities/0/sha256"),
    ("serialnumber:", "/serial"),
];

/// Whether `envelope` has anything to say of selectors that depends on facts.
pub(super) fn are_bounded(envelope: &Envelope) -> bool {
    envelope.false_facts == FalseFacts::Refuse || !envelope.selectors.is_empty()
}

/// Why the selectors of an identity are not those that `facts` allow.
pub(super) fn outside(
    envelope: &Envelope,
    identity: &AgentIdentity,
    facts: &Facts,
) -> Option<String> {
    let facts = serde_json::to_value(facts).ok()?;
    let truths = truths(&facts);
    identity.selectors().find_map(|selector| {
        let value = selector.value;
        let key = value.split_once(':').map(|(key, _)| key);
        let claims = key.is_some_and(|key| KEYS.contains(&key));
        if envelope.false_facts == FalseFacts::Refuse && claims && !truths.contains(value) {
            return Some(format!("its selector `{value}` is not what was proven"));
        }
        let mut patterns = envelope.selectors.iter().map(ToString::to_string);
        if envelope.selectors.is_empty() || patterns.any(|text| is_like(value, &text, &facts)) {
            return None;
        }
        Some(format!("its selector `{value}` is like no pattern"))
    })
}

/// Every selector that says one of these facts.
fn truths(facts: &Value) -> BTreeSet<String> {
    let mut truths = BTreeSet::new();
    let Some((kind, subject)) = kind_and_subject(facts) else {
        return truths;
    };
    let is_account = kind == "service_account";
    let of_kind: &[(&str, &str)] = match is_account {
        true => &OF_ACCOUNTS,
        false => &OF_CERTIFICATES,
    };
    for (prefix, pointer) in OF_BOTH.iter().chain(of_kind) {
        if let Some(text) = subject.pointer(pointer).and_then(Value::as_str) {
            truths.insert(format!("{prefix}{text}"));
        }
    }
    let mut labels = |key: &str, pointer: &str| {
        for label in list(subject, pointer) {
            let part = |name: &str| label.get(name).and_then(Value::as_str);
            if let (Some(name), Some(value)) = (part("key"), part("value")) {
                truths.insert(format!("{key}:{name}:{value}"));
            }
        }
    };
    labels("agent_node_label", "/node/labels");
    if is_account {
        labels("agent_pod_label", "/pod/labels");
        return truths;
    }
    for authority in list(subject, "/authorities") {
        if let Some(sha1) = authority.get("sha1").and_then(Value::as_str) {
            truths.insert(format!("ca:fingerprint:{sha1}"));
        }
    }
    let domain = facts.get("trust_domain").and_then(Value::as_str);
    let below = format!("x509pop://{}/", domain.unwrap_or_default());
    // The later of two with one key.
    let mut names = BTreeMap::new();
    for name in list(subject, "/alternative_names") {
        let uri = name.get("uri").and_then(Value::as_str);
        let pair = uri.and_then(|uri| uri.strip_prefix(&below)?.split_once('/'));
        if let Some((key, value)) = pair.filter(|(key, value)| !key.is_empty() && !value.is_empty())
        {
            names.insert(key, value);
        }
    }
    let names = names.iter();
    truths.extend(names.map(|(key, value)| format!("san:{key}:{value}")));
    truths
}

fn kind_and_subject(facts: &Value) -> Option<(&String, &Value)> {
    facts.get("subject")?.as_object()?.iter().next()
}

fn list<'a>(subject: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let list = subject.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// Whether `value` matches the pattern `text`. A pattern with doubled braces,
/// which this reader does not know, is taken to match.
fn is_like(value: &str, text: &str, facts: &Value) -> bool {
    if text.contains("{{") || text.contains("}}") {
        return true;
    }
    kind_and_subject(facts)
        .and_then(|(_, subject)| bounds::fill(text.to_owned(), subject))
        .is_some_and(|pattern| {
            let value: Vec<char> = value.chars().collect();
            let pattern: Vec<char> = pattern.chars().collect();
            glob(&value, &pattern)
        })
}

/// Column by column: which beginnings of `value` the pattern so far is like.
fn glob(value: &[char], pattern: &[char]) -> bool {
    let mut reached: Vec<bool> = (0..=value.len()).map(|at| at == 0).collect();
    for piece in pattern {
        let mut next = Vec::with_capacity(reached.len());
        let mut before = false;
        for (at, here) in reached.iter().enumerate() {
            let is = match piece {
                '*' => *here || next.last() == Some(&true),
                piece => before && at.checked_sub(1).and_then(|at| value.get(at)) == Some(piece),
            };
            next.push(is);
            before = *here;
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults;
    use nameplate_attestor::Namespace;
    use nameplate_policy::Derivation;
    use std::time::SystemTime;

    /// What is said of an identity that another envelope let through.
    fn judged(envelope: &Envelope, selector: &str) -> String {
        let targets = defaults::targets(SystemTime::now()).unwrap();
        let target = targets.first().unwrap();
        let facts = target.facts().unwrap();
        let namespace: Namespace = target.subject.namespace.clone();
        let answer = Derivation {
            path: vec!["a".to_owned()],
            selectors: vec![selector.to_owned()],
        };
        let identity = Envelope::of_the_standard().admit(&namespace, &facts, answer);
        let why = outside(envelope, &identity.unwrap(), &facts);
        why.unwrap_or_else(|| "inside".to_owned())
    }

    #[test]
    fn false_facts_are_seen_without_the_envelope() {
        let envelope = Envelope::default();
        for good in ["cluster:production", "agent_node_name:worker-1", "own:x"] {
            assert_eq!(judged(&envelope, good), "inside");
        }
        for bad in ["cluster:staging", "agent_ns:other", "san:role:admin"] {
            assert_eq!(
                judged(&envelope, bad),
                format!("its selector `{bad}` is not what was proven")
            );
            assert_eq!(judged(&Envelope::of_the_standard(), bad), "inside");
        }
    }

    #[test]
    fn patterns_are_read_without_the_envelope() {
        let envelope = Envelope {
            selectors: ["cluster:{cluster}", "a*b*", "{cluster_thumbprint}*"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            ..Envelope::of_the_standard()
        };
        for good in ["cluster:production", "ab", "aXbY"] {
            assert_eq!(judged(&envelope, good), "inside");
        }
        for bad in ["cluster:staging", "a", "ba", "cluster:productio"] {
            assert_eq!(
                judged(&envelope, bad),
                format!("its selector `{bad}` is like no pattern")
            );
        }
    }
}
