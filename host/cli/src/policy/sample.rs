//! The facts that a policy is asked about where nobody names others: a bound
//! token of an agent pod, with everything such a token proves.

use nameplate_evidence::{Node, Pod, ServiceAccount, Subject};
use nameplate_policy::Facts;

/// Facts of one attestation.
pub(super) fn facts() -> Facts {
    Facts {
        trust_domain: "example.org".to_owned(),
        attestor: "k8s_sat".to_owned(),
        attested_at: 1_767_225_600,
        attestation_id: "3f0c1a9e-5d2b-4c7a-9e41-7b6f0d2c8a15".to_owned(),
        claimed_id: Some("8c1d7f42-0b3e-4a56-b9d8-21e5c6f7a093".to_owned()),
        subject: Subject::ServiceAccount(ServiceAccount {
            cluster: "production".to_owned(),
            cluster_thumbprint: Some("4e".repeat(32)),
            namespace: "spire".to_owned(),
            name: "spire-agent".to_owned(),
            uid: Some("b0a4f3de-6c1f-4f0e-8a57-93d1c2e4b5f6".to_owned()),
            pod: Some(Pod {
                name: "spire-agent-x7k2p".to_owned(),
                uid: Some("d7e6c5b4-a392-4180-b7f6-e5d4c3b2a190".to_owned()),
                address: None,
                labels: Vec::new(),
            }),
            node: Some(Node {
                name: "worker-1".to_owned(),
                uid: Some("1f2e3d4c-5b6a-4798-8695-a4b3c2d1e0f9".to_owned()),
                address: None,
                labels: Vec::new(),
            }),
            issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
            audiences: vec!["spire-server".to_owned()],
            token_id: Some("0a1b2c3d-4e5f-4601-9273-8495a6b7c8d9".to_owned()),
            token_sha256: "9a".repeat(32),
            issued_at: Some(1_767_225_000),
            expires_at: Some(1_767_228_600),
        }),
    }
}
