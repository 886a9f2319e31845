//! An admitted identity: what a peer may be told that it is.

use crate::namespace::AttestorName;
use crate::spiffe_id::SpiffeId;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::fmt;

/// The identity of an agent: its SPIFFE ID and its selectors.
///
/// # Guarantees
/// - the ID is valid by the SPIFFE-ID standard and lies below
///   `/spire/agent/<attestor>/` of the attestor's trust domain;
/// - the operator's [`Envelope`](crate::Envelope) allows it.
///
/// Only [`Envelope::admit`](crate::Envelope::admit) makes one:
/// ```compile_fail
/// let forged = nameplate_attestor::AgentIdentity {
///     spiffe_id: "spiffe://example.org/spire/server".parse().unwrap(),
///     selectors: Vec::new(),
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentIdentity {
    spiffe_id: SpiffeId,
    selector_type: AttestorName,
    selector_values: Vec<String>,
}

impl AgentIdentity {
    /// For [`Envelope::admit`](crate::Envelope::admit) alone.
    pub(crate) fn admitted(
        spiffe_id: SpiffeId,
        selector_type: AttestorName,
        selector_values: Vec<String>,
    ) -> Self {
        Self {
            spiffe_id,
            selector_type,
            selector_values,
        }
    }

    /// The agent's SPIFFE ID.
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The agent's selectors, in the policy's order.
    pub fn selectors(&self) -> impl ExactSizeIterator<Item = Selector<'_>> {
        self.selector_values.iter().map(|value| Selector {
            kind: self.selector_type.as_str(),
            value,
        })
    }
}

/// As the command line prints it: `{spiffe_id, selectors: [{type, value}]}`.
impl Serialize for AgentIdentity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("AgentIdentity", 2)?;
        fields.serialize_field("spiffe_id", &self.spiffe_id)?;
        fields.serialize_field("selectors", &self.selectors().collect::<Vec<_>>())?;
        fields.end()
    }
}

/// A selector, as registration entries match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Selector<'a> {
    /// Type: the attestor's name.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Value, such as `cluster:production`.
    pub value: &'a str,
}

/// `type:value`, split at the first colon.
impl fmt::Display for Selector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}
