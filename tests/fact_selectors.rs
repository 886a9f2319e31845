//! What the policies that ship say of a machine, and what the envelope takes
//! for true, are one table on either side of the contract: whatever they write
//! is admitted, and with any byte of it changed it is not.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::{AdmitError, Envelope};
use nameplate_evidence::{AlternativeName, Authority, Label, Node, Subject};
use nameplate_policy::{Derivation, Facts, Policy, PolicyRequest, PolicySource, Sandbox};
use nameplate_tests::{facts, patient};
use std::collections::BTreeSet;

/// Every key under which a selector says a fact.
const KEYS: [&str; 15] = [
    "agent_node_ip",
    "agent_node_label",
    "agent_node_name",
    "agent_node_uid",
    "agent_ns",
    "agent_pod_label",
    "agent_pod_name",
    "agent_pod_uid",
    "agent_sa",
    "ca",
    "ca_thumbprint",
    "cluster",
    "san",
    "serialnumber",
    "subject",
];

fn label(key: &str, value: &str) -> Label {
    Label {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn looked_up(node: &mut Node) {
    node.address = Some("192.0.2.7".to_owned());
    node.labels = vec![
        label("topology.kubernetes.io/zone", "eu-1a"),
        label("old", ""),
    ];
}

/// A token and a certificate with everything that can be proven of them.
fn machines() -> [Facts; 2] {
    let mut account = facts::bound();
    if let Subject::ServiceAccount(account) = &mut account.subject {
        account.pod.as_mut().unwrap().labels = vec![label("app", "spire-agent")];
        looked_up(account.node.as_mut().unwrap());
    }
    let mut certificate = facts::certificate();
    if let Subject::Certificate(subject) = &mut certificate.subject {
        let mut node = Node {
            name: "worker-1".to_owned(),
            uid: Some("0b1c2d3e-0000-4000-8000-0000000010de".to_owned()),
            address: None,
            labels: Vec::new(),
        };
        looked_up(&mut node);
        subject.node = Some(node);
        subject.authorities.push(Authority {
            sha1: "56".repeat(20),
            sha256: "78".repeat(32),
        });
        let uris = ["rack/1", "zone/a/b", "rack/2", "a:b/c"];
        subject.alternative_names = uris
            .map(|pair| AlternativeName::Uri(format!("x509pop://example.org/{pair}")))
            .to_vec();
    }
    [account, certificate]
}

/// All selectors that shipped policies give these facts: one that names both
/// kinds, and the one that has `ca_thumbprint` besides. (The others write the
/// same by the same code, and their cases run in the default envelope.)
fn said(sandbox: &Sandbox, facts: &Facts) -> BTreeSet<String> {
    let mut said = BTreeSet::new();
    for name in ["uuid", "thumbprint"] {
        let request = PolicyRequest {
            limits: patient(),
            ..PolicyRequest::new(PolicySource::Builtin(name.to_owned()))
        };
        let policy = Policy::load(sandbox, &request).unwrap();
        said.extend(policy.derive(facts).unwrap().answer.unwrap().selectors);
    }
    said
}

fn admit(facts: &Facts, selector: &str) -> Result<(), AdmitError> {
    let derivation = Derivation {
        path: vec!["a".to_owned()],
        selectors: vec![selector.to_owned()],
    };
    let admitted = Envelope::default().admit(&facts::namespace(), facts, derivation);
    admitted.map(|_| ())
}

#[test]
fn what_shipped_policies_say_is_true_and_nothing_beside_it_is() {
    let sandbox = Sandbox::new().unwrap();
    let mut bare = facts::bare();
    if let Subject::ServiceAccount(account) = &mut bare.subject {
        account.cluster = "staging".to_owned();
        account.namespace = "edge".to_owned();
        account.name = "agent".to_owned();
    }
    let mut keys = BTreeSet::new();
    for facts in machines() {
        let said = said(&sandbox, &facts);
        for selector in &said {
            let (key, value) = selector.split_once(':').unwrap();
            keys.insert(key.to_owned());
            assert_eq!(admit(&facts, selector), Ok(()), "{selector}");
            // Of another machine it is false.
            let refused = admit(&bare, selector).unwrap_err();
            assert_eq!(refused.reason(), "selector_false_fact", "{selector}");
            for at in 0..value.len() {
                let other = match value.as_bytes()[at] {
                    b'x' => "y",
                    _ => "x",
                };
                let changed = [key, ":", &value[..at], other, &value[at + 1..]].concat();
                if said.contains(&changed) {
                    continue;
                }
                let refused = admit(&facts, &changed).unwrap_err();
                assert_eq!(refused.reason(), "selector_false_fact", "{changed}");
            }
        }
    }
    // `agent_node_ip` and the labels of pods are a token's, `san` and the like a
    // certificate's: together they are all that there are.
    assert_eq!(keys.iter().collect::<Vec<_>>(), KEYS);
}
