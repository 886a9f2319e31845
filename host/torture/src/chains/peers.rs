//! Good chains of peers that are not who, or where, they have to be.

use super::{Answer, ChainAttack, ChainGround, attack};
use crate::attack::Expected;
use crate::authority;
use crate::error::TortureError;
use nameplate_evidence::certificates::Trust;
use rcgen::KeyPair;

/// At what the operator asks of the peer besides a chain.
pub(super) fn attacks(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let mut attacks = Vec::new();
    let (payload, answer) = ground.twin();
    let asked = |reason| match ground.verifier.verify_client_ip {
        true => Expected::by(reason),
        false => Expected::Unasked("`verify_client_ip`"),
    };
    let mut elsewhere = attack(
        "a peer at another address",
        payload.clone(),
        answer.clone(),
        asked("client_address_mismatch"),
        None,
    );
    elsewhere.address = Some("198.51.100.1".to_owned());
    let mut nowhere = attack(
        "a peer at no address",
        payload,
        answer,
        asked("client_address_unknown"),
        None,
    );
    nowhere.address = None;
    attacks.extend([elsewhere, nowhere]);
    if let Trust::Domain(rule) = &ground.verifier.trust {
        let domain = &rule.trust_domain;
        // Below `/` lies every SVID of the trust domain.
        let everybody = rule.prefix == "/";
        let elsewhere = match rule.prefix.starts_with("/elsewhere/") {
            true => "/nowhere/node-7",
            false => "/elsewhere/node-7",
        };
        for (name, uri, reason) in [
            (
                "an SVID of another trust domain",
                format!("spiffe://not.{domain}{}node-7", rule.prefix),
                "svid_foreign",
            ),
            (
                "an SVID of a trust domain with more behind it",
                format!("spiffe://{domain}.attacker.example{}node-7", rule.prefix),
                "svid_foreign",
            ),
            (
                "an SVID elsewhere",
                format!("spiffe://{domain}{elsewhere}"),
                "svid_prefix",
            ),
            (
                "an SVID that is only the prefix",
                format!("spiffe://{domain}{}", rule.prefix),
                "svid_prefix",
            ),
            (
                "a URI that is no SVID",
                format!("https://{domain}{}node-7", rule.prefix),
                "svid_missing",
            ),
        ] {
            let key = KeyPair::generate()?;
            let own = authority::leaf(&uri)?.signed_by(&key, &ground.root)?;
            let prover = ground.prover(&own, &[], &key)?;
            let incident = Some("maxlambrecht/rust-spiffe#325");
            let expected = match name == "an SVID elsewhere" && everybody {
                true => Expected::Unasked("a longer `spiffe_prefix`"),
                false => Expected::by(reason),
            };
            attacks.push(attack(
                name,
                prover.payload(),
                Answer::of(prover),
                expected,
                incident,
            ));
        }
    }
    Ok(attacks)
}
