//! At what a token is bound to, and at the names of it.

use super::Claimed;
use crate::attack::Expected;
use crate::cluster::PODS;
use crate::tokens::{TokenGround, set};
use nameplate_evidence::Binding;
use serde_json::{Value, json};

/// Tokens that are not bound as they have to be.
pub(super) fn unbound(ground: &TokenGround) -> Vec<Claimed> {
    let by = |name: &str, claims: Value, reason, incident| {
        (name.to_owned(), claims, Expected::by(reason), incident)
    };
    let mut claimed = Vec::new();
    if matches!(ground.cluster.binding, Binding::Any) {
        return claimed;
    }
    for (name, other) in [
        (
            "a subject that is another account",
            json!("system:serviceaccount:kube-system:default"),
        ),
        ("a subject that is a node", json!("system:node:worker-1")),
        (
            "a subject in upper case",
            json!("SYSTEM:SERVICEACCOUNT:a:b"),
        ),
    ] {
        claimed.push(by(
            name,
            ground.claims_with(&[("/sub", other)]),
            "subject_mismatch",
            None,
        ));
    }
    claimed.push(by(
        "no subject",
        ground.claims_without("/sub"),
        "subject_mismatch",
        None,
    ));
    claimed.push(by(
        "no pod",
        ground.claims_without("/kubernetes.io/pod"),
        "pod_missing",
        None,
    ));
    claimed.push(by(
        "a pod without a UID",
        ground.claims_without("/kubernetes.io/pod/uid"),
        "pod_uid_missing",
        Some("SPIRE#7117"),
    ));
    let looked_up = matches!(ground.cluster.binding, Binding::LookedUp(_));
    for (pod, reason) in PODS {
        let mut claims = ground.claims_with(&[("/kubernetes.io/pod/name", json!(pod))]);
        // A token that names its node is held against the pod's before the
        // node is looked for.
        if reason == "node_gone" || reason == "node_uid_missing" {
            set(&mut claims, "/kubernetes.io/node", None);
        }
        let expected = match looked_up {
            true => Expected::by(reason),
            false => Expected::Unasked("`lookup`"),
        };
        let name = format!("a pod that is {}", pod.replace('-', " "));
        claimed.push((name, claims, expected, Some("SPIRE#7117")));
    }
    claimed
}

/// Genuine tokens that name nodes and pods as no API server lets them be
/// called. Whatever the policy makes of them lies in the envelope.
pub(super) fn hostile(ground: &TokenGround) -> Vec<Claimed> {
    let mut claimed = Vec::new();
    for hostile in [
        "..",
        "../../server",
        "a/b",
        "%2e%2e%2fserver",
        "spiffe://example.org/spire/server",
        "{{ .Cluster }}",
        "{cluster}",
        "a\nb:admin",
        "\u{1b}[2J",
        "\u{202e}nimda",
        "a\0b",
    ] {
        for object in ["node", "pod"] {
            let claims = ground.claims_with(&[
                (&format!("/kubernetes.io/{object}/name"), json!(hostile)),
                (&format!("/kubernetes.io/{object}/uid"), json!(hostile)),
            ]);
            let name = format!("a {object} called {}", json!(hostile));
            claimed.push((name, claims, Expected::Harmless, Some("CVE-2021-27099")));
        }
    }
    claimed
}
