//! Facts for tests that need no evidence.

use crate::NOW;
use nameplate_attestor::Namespace;
use nameplate_evidence::{
    Authority, Certificate, DistinguishedName, KeyKind, Node, Pod, ServiceAccount, Subject,
};
use nameplate_policy::Facts;

/// The UUID that every attestation of the tests has.
pub const ATTESTATION_ID: &str = "3d9c2f0e-6a41-4b7c-9f25-1c8e7a5b4d30";

/// The namespace that [`bound`] and [`certificate`] belong to.
pub fn namespace() -> Namespace {
    Namespace {
        trust_domain: "example.org".parse().unwrap(),
        attestor: "k8s_sat".parse().unwrap(),
    }
}

/// Facts of a token that is bound to a pod and a node.
pub fn bound() -> Facts {
    of(Subject::ServiceAccount(ServiceAccount {
        cluster: "production".to_owned(),
        cluster_thumbprint: Some("c0ffee".repeat(10) + "c0ff"),
        namespace: "spire".to_owned(),
        name: "spire-agent".to_owned(),
        uid: Some("0b1c2d3e-0000-4000-8000-00000000005a".to_owned()),
        pod: Some(Pod {
            name: "spire-agent-x7k2p".to_owned(),
            uid: Some("0b1c2d3e-0000-4000-8000-000000000b0d".to_owned()),
            address: None,
            labels: Vec::new(),
        }),
        node: Some(Node {
            name: "worker-1".to_owned(),
            uid: Some("0b1c2d3e-0000-4000-8000-0000000010de".to_owned()),
            address: None,
            labels: Vec::new(),
        }),
        issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
        audiences: vec!["spire-server".to_owned()],
        token_id: Some("f1a3".to_owned()),
        token_sha256: "ab".repeat(32),
        issued_at: Some(NOW - 60),
        expires_at: Some(NOW + 600),
    }))
}

/// Facts of a token that proves its service account and nothing more.
pub fn bare() -> Facts {
    let mut facts = bound();
    if let Subject::ServiceAccount(account) = &mut facts.subject {
        account.cluster_thumbprint = None;
        account.uid = None;
        account.pod = None;
        account.node = None;
    }
    facts
}

/// Facts of a certificate.
pub fn certificate() -> Facts {
    of(Subject::Certificate(Certificate {
        cluster: Some("production".to_owned()),
        subject: DistinguishedName {
            common_name: Some("system:node:worker-1".to_owned()),
            organizations: vec!["system:nodes".to_owned()],
            organizational_units: Vec::new(),
        },
        serial: "01".to_owned(),
        sha1: "ab".repeat(20),
        sha256: "cd".repeat(32),
        alternative_names: Vec::new(),
        authorities: vec![Authority {
            sha1: "12".repeat(20),
            sha256: "34".repeat(32),
        }],
        not_before: NOW - 60,
        not_after: NOW + 600,
        key: KeyKind::P256,
        node: None,
        requester: None,
    }))
}

fn of(subject: Subject) -> Facts {
    Facts {
        trust_domain: "example.org".to_owned(),
        attestor: "k8s_sat".to_owned(),
        attested_at: NOW,
        attestation_id: ATTESTATION_ID.to_owned(),
        claimed_id: None,
        subject,
    }
}
