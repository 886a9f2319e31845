//! What evidence proves about a peer, as plain data.
//!
//! Field for field the records of `wit/naming.wit`, with `_` for `-`. These
//! types are also the shape of the `facts` files that policies are tested
//! with, so anyone can make one: that a subject was *proven* is said by
//! [`VerifiedEvidence`](crate::VerifiedEvidence), never by the types here.
//!
//! Units hold throughout: times are whole seconds since
//! 1970-01-01T00:00:00Z, digests are lower-case hexadecimal. What was not
//! proven is `None` and never an empty string.

use serde::{Deserialize, Serialize};

/// What the evidence proved about the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Proven by a Kubernetes service account token.
    ServiceAccount(ServiceAccount),
    /// Proven by an X.509 certificate and possession of its key.
    Certificate(Certificate),
}

/// A subject proven by a Kubernetes service account token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// The operator's name for the cluster.
    pub cluster: String,
    /// SHA-256 of the cluster's CA certificate (DER), where one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_thumbprint: Option<String>,
    /// Namespace of the service account.
    pub namespace: String,
    /// Name of the service account.
    pub name: String,
    /// UID of the service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The pod the token is bound to (Kubernetes bound tokens only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// The node the token is bound to (Kubernetes 1.30 and later).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
    /// `iss` of the token (RFC 7519 §4.1.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `aud` of the token, in the token's order (RFC 7519 §4.1.3).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// `jti` of the token (RFC 7519 §4.1.7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// SHA-256 of the token as presented, without surrounding white space.
    pub token_sha256: String,
    /// `iat` of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<u64>,
    /// `exp` of the token; `None` only where the operator accepts tokens that
    /// do not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// The pod that a credential is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pod {
    /// `metadata.name`. Reused by Kubernetes: a later pod may bear it.
    pub name: String,
    /// `metadata.uid`, unique over the life of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// `status.podIP`, when the host read the pod from the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Labels that the operator allowed, sorted by key. Empty unless the host
    /// read the pod from the API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
}

/// The node that a credential is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// `metadata.name`. Reused when a machine is replaced under its name.
    pub name: String,
    /// `metadata.uid`, unique over the life of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The address the API server reports for the node, when the host read it
    /// from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Labels that the operator allowed, sorted by key. Empty unless the host
    /// read the node from the API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
}

/// A label of a Kubernetes object that the operator allowed as a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Label key, with its prefix where it has one.
    pub key: String,
    /// Label value. Kubernetes allows it to be empty.
    pub value: String,
}

/// A subject proven by a certificate and possession of its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The operator's name for the cluster whose CA signed, where the attestor
    /// is configured per cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Subject of the leaf certificate.
    pub subject: DistinguishedName,
    /// Serial number, hexadecimal with an even number of digits.
    pub serial: String,
    /// SHA-1 of the leaf (DER). For compatibility with identities that SPIRE
    /// already gave out, not for security.
    pub sha1: String,
    /// SHA-256 of the leaf (DER).
    pub sha256: String,
    /// Subject alternative names, in certificate order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternative_names: Vec<AlternativeName>,
    /// Every distinct authority on any verified path, nearest the leaf first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Authority>,
    /// Start of the validity period.
    pub not_before: u64,
    /// End of the validity period.
    pub not_after: u64,
    /// Kind of the proven key.
    pub key: KeyKind,
    /// The Kubernetes node that the certificate was proven to belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
    /// Who asked for the certificate, if the host read that from the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Requester>,
}

/// A distinguished name, reduced to the attributes identities are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistinguishedName {
    /// Common name (`CN`), when there is exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Organizations (`O`), in certificate order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// Organizational units (`OU`), in certificate order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizational_units: Vec<String>,
}

/// A subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlternativeName {
    /// `dNSName`
    Dns(String),
    /// `uniformResourceIdentifier`
    Uri(String),
    /// `iPAddress`, in its textual form
    Ip(String),
    /// `rfc822Name`
    Email(String),
}

/// A certificate authority on a verified path, up to the trust anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// SHA-1 of the DER certificate. For compatibility with selectors that
    /// SPIRE already gave out, not for security.
    pub sha1: String,
    /// SHA-256 of the DER certificate.
    pub sha256: String,
}

/// Kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// RSA, 2048 bits or more
    Rsa,
    /// ECDSA over NIST P-256
    P256,
    /// ECDSA over NIST P-384
    P384,
    /// ECDSA over NIST P-521
    P521,
}

/// Who asked an API server for a certificate, as the API server recorded it in
/// the CertificateSigningRequest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requester {
    /// User name, such as `system:serviceaccount:spire:spire-agent`.
    pub username: String,
    /// UID of the user, where the API server knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Groups, in the order the API server recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The pod whose token made the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// The node of that pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
}

#[cfg(test)]
mod tests {
    use super::{AlternativeName, KeyKind, Subject};

    const SMALLEST: &str = r#"{"service_account":{"cluster":"production","namespace":"spire","name":"spire-agent","token_sha256":"00"}}"#;

    #[test]
    fn what_is_absent_is_left_out_and_read_back_as_absent() {
        let subject: Subject = serde_json::from_str(SMALLEST).unwrap();
        assert_eq!(serde_json::to_string(&subject).unwrap(), SMALLEST);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = SMALLEST.replace("\"name\"", "\"nmae\":\"x\",\"name\"");
        let error = serde_json::from_str::<Subject>(&text).unwrap_err();
        assert!(
            error.to_string().starts_with("unknown field `nmae`"),
            "{error}"
        );
    }

    #[test]
    fn variants_bear_the_names_of_the_contract() {
        let kinds = [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::P521];
        assert_eq!(
            serde_json::to_string(&kinds).unwrap(),
            r#"["rsa","p256","p384","p521"]"#
        );
        let name = AlternativeName::Uri("spiffe://example.org".to_owned());
        assert_eq!(
            serde_json::to_string(&name).unwrap(),
            r#"{"uri":"spiffe://example.org"}"#
        );
    }
}
