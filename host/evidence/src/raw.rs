//! What a peer sent, before anything is believed.
//!
//! Trusts nothing: bytes are counted here and tagged with the method under
//! which the peer sent them. Parsing and verifying is a verifier's work.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::EvidenceError;
use crate::peer_text::PeerText;

/// Longest payload that is looked at, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 32 * 1024;

/// A way to prove what a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A Kubernetes service account token.
    K8sSat,
    /// A projected Kubernetes service account token, bound to a pod.
    K8sPsat,
    /// A certificate, and possession of its private key.
    X509Pop,
    /// The same, where a Kubernetes cluster signed the certificate for a node
    /// (`certificates.k8s.io`).
    K8s,
}

impl Method {
    /// The name by which peers and configuration files call the method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::K8sSat => "k8s_sat",
            Self::K8sPsat => "k8s_psat",
            Self::X509Pop => "x509pop",
            Self::K8s => "k8s",
        }
    }
}

impl Method {
    /// Refuses evidence that was declared under another method.
    ///
    /// # Errors
    /// [`MethodMismatch`](EvidenceError::MethodMismatch).
    pub fn accept(self, evidence: &RawEvidence) -> Result<(), EvidenceError> {
        if evidence.method == self {
            Ok(())
        } else {
            Err(EvidenceError::MethodMismatch {
                declared: evidence.method,
                expected: self,
            })
        }
    }

    /// Whether a peer may attest again as the agent that it is. A token of
    /// `k8s_sat` proves nothing anew when it comes a second time; a projected
    /// token is short-lived, bound and renewed; a key signs a new nonce each
    /// time.
    #[must_use]
    pub const fn can_reattest(self) -> bool {
        match self {
            Self::K8sSat => false,
            Self::K8sPsat | Self::X509Pop | Self::K8s => true,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no method's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an evidence method; known are `k8s_sat`, `k8s_psat`, `x509pop` and `k8s`")]
pub struct UnknownMethod(PeerText);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        match name {
            "k8s_sat" => Ok(Self::K8sSat),
            "k8s_psat" => Ok(Self::K8sPsat),
            "x509pop" => Ok(Self::X509Pop),
            "k8s" => Ok(Self::K8s),
            other => Err(UnknownMethod(PeerText::new(other))),
        }
    }
}

/// Unread evidence: at least one and at most [`MAX_PAYLOAD_BYTES`] bytes, and
/// the method that the peer declared.
///
/// `Debug` shows the method and the length; the payload holds a credential.
#[derive(Clone)]
pub struct RawEvidence {
    method: Method,
    payload: Vec<u8>,
}

impl RawEvidence {
    /// Takes a payload as it came from the peer.
    ///
    /// # Errors
    /// [`PayloadMissing`](EvidenceError::PayloadMissing) when it is empty,
    /// [`PayloadTooLarge`](EvidenceError::PayloadTooLarge) when it is longer
    /// than [`MAX_PAYLOAD_BYTES`].
    pub fn new(method: Method, payload: impl Into<Vec<u8>>) -> Result<Self, EvidenceError> {
        let payload = payload.into();
        if payload.is_empty() {
            return Err(EvidenceError::PayloadMissing);
        }
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(EvidenceError::PayloadTooLarge {
                bytes: payload.len(),
            });
        }
        Ok(Self { method, payload })
    }

    /// Builds the payload that an agent sends for a token: the JSON object of
    /// `k8s_sat`, with white space round the token removed. `uuid` is the
    /// agent's claim of an identifier for itself, as its first versions made.
    ///
    /// # Errors
    /// As [`RawEvidence::new`].
    pub fn service_account_token(
        method: Method,
        cluster: &str,
        token: &str,
        uuid: Option<&str>,
    ) -> Result<Self, EvidenceError> {
        #[derive(Serialize)]
        struct Payload<'a> {
            cluster: &'a str,
            token: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            uuid: Option<&'a str>,
        }

        let payload = Payload {
            cluster,
            token: token.trim_ascii(),
            uuid,
        };
        let payload =
            serde_json::to_vec(&payload).map_err(|source| EvidenceError::PayloadMalformed {
                source: source.into(),
            })?;
        Self::new(method, payload)
    }

    /// The method that the peer declared.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl fmt::Debug for RawEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEvidence")
            .field("method", &self.method)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PAYLOAD_BYTES, Method, RawEvidence};

    #[test]
    fn a_method_is_read_by_its_exact_name() {
        assert_eq!("k8s_sat".parse(), Ok(Method::K8sSat));
        assert_eq!(
            "K8S_SAT".parse::<Method>().unwrap_err().to_string(),
            "`K8S_SAT` is not an evidence method; known are `k8s_sat`, `k8s_psat`, `x509pop` and `k8s`"
        );
    }

    #[test]
    fn a_payload_has_one_byte_at_least() {
        assert!(RawEvidence::new(Method::K8sSat, "x").is_ok());
        let error = RawEvidence::new(Method::K8sSat, "").unwrap_err();
        assert_eq!(error.to_string(), "attestation payload is missing");
        assert_eq!(error.reason(), "payload_missing");
    }

    #[test]
    fn a_payload_has_32768_bytes_at_most() {
        assert!(RawEvidence::new(Method::K8sSat, vec![b' '; MAX_PAYLOAD_BYTES]).is_ok());
        let error =
            RawEvidence::new(Method::K8sSat, vec![b' '; MAX_PAYLOAD_BYTES + 1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "attestation payload is 32,769 bytes long, more than 32,768 bytes"
        );
        assert_eq!(error.reason(), "payload_too_large");
    }

    #[test]
    fn the_payload_is_what_an_agent_sends() {
        let raw = |token, uuid| {
            RawEvidence::service_account_token(Method::K8sSat, "produc\"tion", token, uuid).unwrap()
        };
        assert_eq!(
            raw(" a.b.c\r\n", None).payload(),
            br#"{"cluster":"produc\"tion","token":"a.b.c"}"#
        );
        assert_eq!(
            raw("a.b.c", Some("u")).payload(),
            br#"{"cluster":"produc\"tion","token":"a.b.c","uuid":"u"}"#
        );
    }

    #[test]
    fn debug_shows_no_payload() {
        let raw = RawEvidence::new(Method::K8sSat, "secret").unwrap();
        assert_eq!(
            format!("{raw:?}"),
            "RawEvidence { method: K8sSat, payload_bytes: 6, .. }"
        );
    }
}
