//! What a name may be and may cost, where a study is about an attestor that
//! there is, or was: an explanation in another envelope would draw an identity
//! that nobody was given.

use crate::attestor::Attestor;
use crate::envelope::Envelope;
use nameplate_decisions::NamingRecord;
use nameplate_policy::Limits;

/// The envelope and the limits of a naming. By default those of a server, and
/// an envelope that asks nothing beyond the SPIFFE-ID standard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What the policy may answer.
    pub envelope: Envelope,
    /// What the answer may cost.
    pub limits: Limits,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            envelope: Envelope::of_the_standard(),
            limits: Limits::default(),
        }
    }
}

/// A recorded envelope is broken, or of a version that this host does not know.
#[derive(Debug, thiserror::Error)]
#[error("the recorded envelope of attestor `{}` cannot be read", attestor.escape_debug())]
pub struct EnvelopeUnreadable {
    /// Name of the attestor.
    pub attestor: String,
    /// Why.
    #[source]
    pub source: serde_json::Error,
}

impl Bounds {
    /// Those that the attestor sets its subjects of `cluster` now.
    pub fn of(attestor: &Attestor, cluster: Option<&str>) -> Self {
        let current = attestor.current();
        let naming = current.generation.namings.of(cluster);
        Self {
            envelope: naming.envelope.clone(),
            limits: naming.policy.limits().clone(),
        }
    }

    /// Those that a decision was made in.
    ///
    /// # Errors
    /// [`EnvelopeUnreadable`].
    pub fn recorded(naming: &NamingRecord) -> Result<Self, EnvelopeUnreadable> {
        let envelope =
            Envelope::of_record(&naming.envelope).map_err(|source| EnvelopeUnreadable {
                attestor: naming.attestor.to_string(),
                source,
            })?;
        Ok(Self {
            envelope,
            limits: naming.limits.clone(),
        })
    }
}
