//! The bounds of an envelope, read and applied once more: by another way than
//! the envelope's own, so that a hole in that one is seen.

use super::Subject;
use nameplate_attestor::{AgentIdentity, Envelope};
use nameplate_policy::Facts;
use serde_json::Value;

/// Where the facts have what a placeholder stands for.
const PLACES: [(&str, &[&str]); 9] = [
    ("cluster", &["cluster"]),
    ("cluster_thumbprint", &["cluster_thumbprint"]),
    ("namespace", &["namespace"]),
    ("service_account", &["name"]),
    ("service_account_uid", &["uid"]),
    ("pod_name", &["pod", "name"]),
    ("pod_uid", &["pod", "uid"]),
    ("node_name", &["node", "name"]),
    ("node_uid", &["node", "uid"]),
];

/// The segments that the path of `facts` has to begin with; none where they
/// lack one that it has to be made of.
pub(super) fn leading(envelope: &Envelope, facts: &Facts) -> Option<Vec<String>> {
    let facts = serde_json::to_value(facts).ok()?;
    let (_kind, subject) = facts.get("subject")?.as_object()?.iter().next()?;
    let patterns = envelope.leading.iter().map(ToString::to_string);
    patterns.map(|pattern| fill(pattern, subject)).collect()
}

/// `pattern` with the facts of `subject` in it; none where it lacks one.
pub(super) fn fill(pattern: String, subject: &Value) -> Option<String> {
    PLACES.iter().try_fold(pattern, |text, (name, place)| {
        let placeholder = format!("{{{name}}}");
        if !text.contains(&placeholder) {
            return Some(text);
        }
        let fact = place.iter().try_fold(subject, |at, step| at.get(step));
        let fact = fact.and_then(Value::as_str)?;
        Some(text.replace(&placeholder, fact))
    })
}

/// Why an identity is not one that `subject` may give where its path has to
/// begin with `leading`: judged by its text alone.
pub(super) fn outside(
    subject: &Subject,
    leading: &[String],
    identity: &AgentIdentity,
) -> Option<String> {
    let envelope = &subject.naming.envelope;
    let id = identity.spiffe_id().as_str();
    let prefix = format!(
        "spiffe://{}/spire/agent/{}/",
        subject.namespace.trust_domain, subject.namespace.attestor
    );
    let Some(path) = id.strip_prefix(&prefix) else {
        return Some(format!("it does not lie below {prefix}"));
    };
    let path: Vec<&str> = path.split('/').collect();
    let word = |segment: &&str| {
        !matches!(*segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if !path.iter().all(word) {
        return Some("its path is none".to_owned());
    }
    let begins = path.iter().copied().take(leading.len());
    if !begins.eq(leading.iter().map(String::as_str)) {
        return Some(format!("it does not begin with {}", leading.join("/")));
    }
    let reserved = |segment: &&&str| {
        let lower = segment.to_ascii_lowercase();
        let mut words = envelope.reserved.iter();
        words.any(|word| word.to_ascii_lowercase() == lower)
    };
    if let Some(segment) = path.iter().find(reserved) {
        return Some(format!("`{segment}` is reserved"));
    }
    if id.len() > envelope.max_id_bytes {
        return Some(format!("it is longer than {} bytes", envelope.max_id_bytes));
    }
    if identity.selectors().len() > envelope.max_selectors {
        let most = envelope.max_selectors;
        return Some(format!("it has more than {most} selectors"));
    }
    identity
        .selectors()
        .any(|selector| {
            selector.value.is_empty()
                || selector.value.len() > envelope.max_selector_bytes
                || selector.value.chars().any(char::is_control)
                || selector.kind != subject.namespace.attestor.as_str()
        })
        .then(|| "a selector is none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults;
    use nameplate_attestor::Namespace;
    use nameplate_policy::Derivation;
    use std::time::SystemTime;

    /// What `bounds` says of an identity that another envelope let through.
    fn judged(change: impl Fn(&mut Namespace), path: &[&str], selectors: &[&str]) -> String {
        let targets = defaults::targets(SystemTime::now()).unwrap();
        let target = targets.first().unwrap();
        let facts = target.facts().unwrap();
        let mut subject = target.subject.clone();
        let envelope = &mut subject.naming.envelope;
        envelope.leading = vec![
            "{cluster}".parse().unwrap(),
            "of-{namespace}".parse().unwrap(),
        ];
        envelope.max_id_bytes = 80;
        envelope.max_selectors = 2;
        envelope.max_selector_bytes = 4;
        let mut namespace = subject.namespace.clone();
        change(&mut namespace);
        let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let answer = Derivation {
            path: own(path),
            selectors: own(selectors),
        };
        let identity = Envelope::default().admit(&namespace, &facts, answer);
        let leading = leading(&subject.naming.envelope, &facts).unwrap();
        assert_eq!(leading, ["production", "of-spire"]);
        let why = outside(&subject, &leading, &identity.unwrap());
        why.unwrap_or_else(|| "inside".to_owned())
    }

    #[test]
    fn what_lies_outside_is_seen_without_the_envelope() {
        let keep = |_: &mut Namespace| {};
        let good = &["production", "of-spire", "a"][..];
        assert_eq!(judged(keep, good, &["a:b", "c"]), "inside");
        for (path, why) in [
            (
                &["staging", "of-spire"][..],
                "it does not begin with production/of-spire",
            ),
            (
                &["production"],
                "it does not begin with production/of-spire",
            ),
            (
                &["production", "of-spire", "SERVER"],
                "`SERVER` is reserved",
            ),
            (
                &[
                    "production",
                    "of-spire",
                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                ],
                "it is longer than 80 bytes",
            ),
        ] {
            assert_eq!(judged(keep, path, &[]), why);
        }
        assert_eq!(
            judged(keep, good, &["a", "b", "c"]),
            "it has more than 2 selectors"
        );
        assert_eq!(judged(keep, good, &["abcde"]), "a selector is none");
    }

    #[test]
    fn another_namespace_is_outside() {
        let below = "it does not lie below spiffe://example.org/spire/agent/k8s_sat/";
        let good = &["production", "of-spire", "a"];
        let foreign = |namespace: &mut Namespace| {
            namespace.trust_domain = "example.com".parse().unwrap();
        };
        assert_eq!(judged(foreign, good, &[]), below);
        let other = |namespace: &mut Namespace| namespace.attestor = "k8s".parse().unwrap();
        assert_eq!(judged(other, good, &[]), below);
    }

    #[test]
    fn a_fact_that_is_not_proven_begins_no_path() {
        let targets = defaults::targets(SystemTime::now()).unwrap();
        let facts = targets.first().unwrap().facts().unwrap();
        let envelope = |pattern: &str| Envelope {
            leading: vec![pattern.parse().unwrap()],
            ..Envelope::default()
        };
        assert_eq!(
            leading(&envelope("n-{node_name}"), &facts),
            Some(vec!["n-worker-1".to_owned()])
        );
        assert_eq!(leading(&envelope("{cluster_thumbprint}"), &facts), None);
    }
}
