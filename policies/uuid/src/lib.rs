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
        selectors: selectors::spire(facts, &naming.selectors),
    })
}

nameplate_guest::export!(derive, settings = Naming);

#[cfg(test)]
mod tests {
    use nameplate_guest::{Certificate, testing};

    use super::*;

    const CLAIMED: Naming = Naming {
        source: Source::Claimed,
        selectors: selectors::Keep::NONE,
    };

    #[test]
    fn the_hosts_uuid_is_the_name() {
        let facts = testing::facts(testing::legacy_token());
        let name = derive(&Naming::default(), &facts).unwrap();
        assert_eq!(name.path, ["production", facts.attestation_id.as_str()]);
        assert_eq!(
            name.selectors,
            [
                "cluster:production",
                "agent_ns:spire",
                "agent_sa:spire-agent"
            ]
        );
    }

    #[test]
    fn a_claim_is_the_name_only_where_it_is_asked_for() {
        let facts = Facts {
            claimed_id: Some("0c9d8e7f-1a2b-4c3d-8e4f-5a6b7c8d9e0f".into()),
            ..testing::facts(testing::bound_token())
        };
        let path = derive(&CLAIMED, &facts).unwrap().path;
        assert_eq!(path, ["production", "0c9d8e7f-1a2b-4c3d-8e4f-5a6b7c8d9e0f"]);
        let path = derive(&Naming::default(), &facts).unwrap().path;
        assert_eq!(path, ["production", facts.attestation_id.as_str()]);
    }

    #[test]
    fn without_a_claim_there_is_no_claimed_name() {
        let facts = testing::facts(testing::bound_token());
        assert_eq!(derive(&CLAIMED, &facts).unwrap_err().code, "no-claimed-id");
    }

    #[test]
    fn a_certificate_may_have_no_cluster() {
        let facts = testing::facts(testing::certificate());
        let name = derive(&Naming::default(), &facts).unwrap();
        assert_eq!(name.path, [facts.attestation_id.as_str()]);
        assert_eq!(name.selectors.len(), 4, "SPIRE's for certificates");

        let facts = testing::facts(Certificate {
            cluster: Some("production".into()),
            ..testing::certificate()
        });
        let path = derive(&Naming::default(), &facts).unwrap().path;
        assert_eq!(path, ["production", facts.attestation_id.as_str()]);
    }
}
