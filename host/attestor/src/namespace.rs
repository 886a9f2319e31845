//! The part of the SPIFFE ID space that an attestor may give names in.

use crate::spiffe_id::{PathSegment, SpiffeIdError, TrustDomain};
use std::fmt;
use std::str::FromStr;

/// Names that mean something else to SPIRE.
///
/// `join_token` is SPIRE's own node attestor, whose IDs lie in its namespace;
/// `spiffe_id` is the selector type by which an agent is found by its ID.
const RESERVED: [&str; 2] = ["join_token", "spiffe_id"];

/// Name of a configured attestor: the segment after `/spire/agent/`, and the
/// type of every selector it gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct AttestorName(PathSegment);

impl AttestorName {
    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name as the path segment it is.
    pub fn as_segment(&self) -> &PathSegment {
        &self.0
    }
}

impl FromStr for AttestorName {
    type Err = AttestorNameError;

    fn from_str(name: &str) -> Result<Self, AttestorNameError> {
        if RESERVED.contains(&name) {
            return Err(AttestorNameError::Reserved {
                name: name.to_owned(),
            });
        }
        Ok(Self(name.parse()?))
    }
}

impl fmt::Display for AttestorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text cannot name an attestor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestorNameError {
    /// SPIRE uses the name for something else.
    #[error("`{name}` is reserved by SPIRE")]
    Reserved {
        /// The name.
        name: String,
    },
    /// It could not stand in a SPIFFE ID.
    #[error("the name of an attestor must be a SPIFFE path segment")]
    NotASegment(#[from] SpiffeIdError),
}

/// Where an attestor's identities lie:
/// `spiffe://<trust domain>/spire/agent/<attestor>/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Trust domain of every identity.
    pub trust_domain: TrustDomain,
    /// Attestor that gives them.
    pub attestor: AttestorName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_segment_that_spire_does_not_use() {
        assert_eq!(
            "k8s_sat".parse::<AttestorName>().unwrap().as_str(),
            "k8s_sat"
        );
        assert_eq!(
            "join_token"
                .parse::<AttestorName>()
                .unwrap_err()
                .to_string(),
            "`join_token` is reserved by SPIRE"
        );
        assert_eq!(
            "k8s/sat".parse::<AttestorName>(),
            Err(AttestorNameError::NotASegment(
                SpiffeIdError::SegmentCharacter
            ))
        );
    }
}
