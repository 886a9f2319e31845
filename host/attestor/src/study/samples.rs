//! Facts with everything in them that evidence can prove: where a subject
//! lacks an optional fact, what it could be.

use nameplate_evidence::subject::{
    AlternativeName, Authority, Certificate, DistinguishedName, KeyKind, Label, Requester,
};
use nameplate_evidence::{Node, Pod, ServiceAccount, Subject};
use nameplate_policy::Facts;

const ATTESTED_AT: u64 = 1_767_225_600;

/// Everything that a token and an API server can prove of a pod.
pub(crate) fn service_account() -> Facts {
    facts(Subject::ServiceAccount(ServiceAccount {
        cluster: "production".to_owned(),
        cluster_thumbprint: Some("4e".repeat(32)),
        namespace: "spire".to_owned(),
        name: "spire-agent".to_owned(),
        uid: Some("b0a4f3de-6c1f-4f0e-8a57-93d1c2e4b5f6".to_owned()),
        pod: Some(pod()),
        node: Some(node()),
        issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
        audiences: vec!["spire-server".to_owned()],
        token_id: Some("0a1b2c3d-4e5f-4601-9273-8495a6b7c8d9".to_owned()),
        token_sha256: "9a".repeat(32),
        issued_at: Some(ATTESTED_AT - 600),
        expires_at: Some(ATTESTED_AT + 3000),
    }))
}

/// Everything that a certificate and an API server can prove of a node.
pub(crate) fn certificate() -> Facts {
    facts(Subject::Certificate(Certificate {
        cluster: Some("production".to_owned()),
        subject: DistinguishedName {
            common_name: Some("system:node:worker-1".to_owned()),
            organizations: vec!["system:nodes".to_owned()],
            organizational_units: vec!["machines".to_owned()],
        },
        serial: "1f00".to_owned(),
        sha1: "5b".repeat(20),
        sha256: "6c".repeat(32),
        alternative_names: vec![AlternativeName::Dns("worker-1.example.org".to_owned())],
        authorities: vec![Authority {
            sha1: "7d".repeat(20),
            sha256: "8e".repeat(32),
        }],
        not_before: ATTESTED_AT - 600,
        not_after: ATTESTED_AT + 86_400,
        key: KeyKind::P256,
        node: Some(node()),
        requester: Some(Requester {
            username: "system:serviceaccount:spire:spire-agent".to_owned(),
            uid: Some("b0a4f3de-6c1f-4f0e-8a57-93d1c2e4b5f6".to_owned()),
            groups: vec!["system:serviceaccounts".to_owned()],
            pod: Some(pod()),
            node: Some(node()),
        }),
    }))
}

fn facts(subject: Subject) -> Facts {
    Facts {
        trust_domain: "example.org".to_owned(),
        attestor: "k8s".to_owned(),
        attested_at: ATTESTED_AT,
        attestation_id: "3f0c1a9e-5d2b-4c7a-9e41-7b6f0d2c8a15".to_owned(),
        claimed_id: Some("8c1d7f42-0b3e-4a56-b9d8-21e5c6f7a093".to_owned()),
        subject,
    }
}

fn pod() -> Pod {
    Pod {
        name: "spire-agent-x7k2p".to_owned(),
        uid: Some("d7e6c5b4-a392-4180-b7f6-e5d4c3b2a190".to_owned()),
        address: Some("10.20.0.17".to_owned()),
        labels: vec![Label {
            key: "app".to_owned(),
            value: "spire-agent".to_owned(),
        }],
    }
}

fn node() -> Node {
    Node {
        name: "worker-1".to_owned(),
        uid: Some("1f2e3d4c-5b6a-4798-8695-a4b3c2d1e0f9".to_owned()),
        address: Some("192.0.2.7".to_owned()),
        labels: vec![Label {
            key: "topology.kubernetes.io/zone".to_owned(),
            value: "eu-1a".to_owned(),
        }],
    }
}
