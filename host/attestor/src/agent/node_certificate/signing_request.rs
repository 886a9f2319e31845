//! A new key, and the request (PKCS #10) for a certificate to it.

use super::NodeCertificateError;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use uuid::Uuid;

/// Longest part of a node's name in the name of an object, which has 253
/// characters at most.
const MAX_NODE: usize = 200;

/// Without `Debug`, as it holds the key.
pub(super) struct SigningRequest {
    key: String,
    request: String,
}

impl SigningRequest {
    /// For the subject that a kubelet has (Kubernetes, "Using Node
    /// Authorization"): the group `system:nodes`, the name `system:node:<name>`.
    pub(super) fn for_node(node: &str) -> Result<Self, NodeCertificateError> {
        // P-256.
        let key = KeyPair::generate()?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, "system:nodes");
        subject.push(DnType::CommonName, format!("system:node:{node}"));
        let mut params = CertificateParams::default();
        params.distinguished_name = subject;
        let request = params.serialize_request(&key)?.pem()?;
        Ok(Self {
            key: key.serialize_pem(),
            request,
        })
    }

    /// The request in PEM.
    pub(super) fn pem(&self) -> &str {
        &self.request
    }

    /// The key in PEM, as PKCS#8.
    pub(super) fn private_key_pem(&self) -> &str {
        &self.key
    }
}

/// The name of a new object: whose it is, and what nobody else can foresee.
pub(super) fn object_name(node: &str) -> String {
    let node: String = node.chars().take(MAX_NODE).collect();
    let node = node.trim_end_matches(['.', '-']);
    let (random, _) = Uuid::new_v4().as_u64_pair();
    format!("nameplate-{node}-{random:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nameplate_evidence::is_object_name;

    #[test]
    fn names_are_objects_names_and_never_the_same() {
        for node in [
            "n",
            "ip-10-0-0-1.eu-1.internal",
            &"a-.".repeat(84),
            &"x".repeat(253),
        ] {
            let name = object_name(node);
            let first: String = node.chars().take(3).collect();
            let first = first.trim_end_matches(['.', '-']);
            assert!(name.starts_with(&format!("nameplate-{first}")), "{name}");
            assert!(name.len() <= 253);
            assert_ne!(name, object_name(node));
        }
        assert!(is_object_name(&object_name("node-1")));
    }
}
