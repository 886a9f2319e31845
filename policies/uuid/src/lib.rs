//! `uuid`: names a machine by a UUID under its cluster.
//!
//! Decides which UUID. Trusts that the host draws `attestation-id` anew for
//! each attestation; trusts `claimed-id` with nothing, and hands it on only
//! where the operator asked for it.

use nameplate_guest::{Denial, Derivation, Facts, Settings, Subject, selectors};
use serde::Deserialize;

/// What an operator may set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Naming {
    /// Whose UUID it is.
    pub source: Source,
    /// Which of the Kubernetes selectors to give out.
    pub selectors: selectors::Keep,
}

/// Whose UUID becomes the name.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The one that the host drew for this attestation: a new name each time.
    #[default]
    Host,
    /// The one that the peer claims: the same name each time, and unverified.
    Claimed,
}

impl Settings for Naming {}

/// The path `<cluster>/<UUID>`; without a cluster, which a certificate may
/// lack, `<UUID>`.
///
/// # Errors
/// `no-claimed-id` where the peer was to claim a UUID and did not.
pub fn derive(naming: &Naming, facts: &Facts) -> Result<Derivation, Denial> {
    let uuid = match naming.source {
        Source::Host => &facts.attestation_id,
        Source::Claimed => facts.claimed_id.as_ref().ok_or_else(|| {
            Denial::new(
                "no-claimed-id",
                "the evidence carries no UUID of the peer's own",
            )
        })?,
    };
    let cluster = match &facts.subject {
        Subject::ServiceAccount(account) => Some(&account.cluster),
        Subject::Certificate(certificate) => certificate.cluster.as_ref(),
    };
    Ok(Derivation {
        path: cluster.into_iter().chain([uuid]).cloned().collect(),
        selectors: selectors::kubernetes(facts, &naming.selectors),
    })
}

nameplate_guest::export!(derive, settings = Naming);
