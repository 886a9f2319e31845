//! Policies with selectors that were not proven, or that the operator's
//! patterns do not allow: the envelope has to refuse each.

use super::answers::{attack, open};
use super::{ComponentAttack, Made};
use crate::attack::Expected;
use crate::component::AssemblyError;
use nameplate_attestor::FalseFacts;

/// A selector under each key that says a fact, true of nobody.
const FALSE: [(&str, &str); 15] = [
    ("cluster", "cluster:of-another"),
    ("agent_ns", "agent_ns:of-another"),
    ("agent_sa", "agent_sa:of-another"),
    ("agent_pod_name", "agent_pod_name:of-another"),
    ("agent_pod_uid", "agent_pod_uid:of-another"),
    ("agent_pod_label", "agent_pod_label:app:of-another"),
    ("agent_node_ip", "agent_node_ip:of-another"),
    ("agent_node_name", "agent_node_name:of-another"),
    ("agent_node_uid", "agent_node_uid:of-another"),
    ("agent_node_label", "agent_node_label:zone:of-another"),
    ("subject", "subject:cn:of-another"),
    ("ca", "ca:fingerprint:of-another"),
    ("ca_thumbprint", "ca_thumbprint:of-another"),
    ("serialnumber", "serialnumber:of-another"),
    ("san", "san:role:of-another"),
];

/// Selectors to try patterns with, each of another beginning.
const ELSEWHERE: [&str; 4] = ["torture:1", "Zz:1", "9-torture:1", "~torture:1"];

pub(super) fn attacks(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let mut attacks = Vec::new();
    for (key, selector) in FALSE {
        let name = format!("answers another's `{key}`");
        attacks.push(match made.envelope.false_facts {
            FalseFacts::Refuse => made.selecting(name, &[selector], "selector_false_fact")?,
            FalseFacts::Admit => {
                let selectors = [selector.to_owned()];
                let unasked = Expected::Unasked("`envelope.false_facts = \"refuse\"`");
                attack(name, made.path, &selectors, unasked)?
            }
        });
    }
    if let Some(cluster) = made.cluster {
        let own = format!("cluster:{cluster}");
        let fits = made.envelope.max_selectors > 0
            && own.len() <= made.envelope.max_selector_bytes
            && open(made.envelope);
        let name = "answers its own `cluster`".to_owned();
        if fits {
            attacks.push(attack(name, made.path, &[own], Expected::Twin)?);
        }
    }
    attacks.extend(beside_patterns(made)?);
    Ok(attacks)
}

/// A selector that matches no pattern, where there are patterns.
fn beside_patterns(made: Made<'_>) -> Result<Option<ComponentAttack>, AssemblyError> {
    if made.envelope.selectors.is_empty() {
        return Ok(None);
    }
    let name = "answers a selector beside the patterns".to_owned();
    let patterns: Vec<String> = made
        .envelope
        .selectors
        .iter()
        .map(ToString::to_string)
        .collect();
    // Certainly unlike it: it begins with another letter than any pattern does.
    let unlike = |selector: &&&str| {
        let first = selector.chars().next();
        let mut patterns = patterns.iter();
        patterns.all(|pattern| {
            let begins = pattern.chars().next();
            begins != first && !matches!(begins, Some('*' | '{'))
        })
    };
    match ELSEWHERE.iter().find(unlike) {
        Some(selector) => made
            .selecting(name, &[selector], "selector_pattern")
            .map(Some),
        None => {
            let selectors = [ELSEWHERE[0].to_owned()];
            let unasked = Expected::Unasked("`envelope.selectors` without a `*` in front");
            attack(name, made.path, &selectors, unasked).map(Some)
        }
    }
}
