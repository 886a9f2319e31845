//! Bundles with many authorities of one name, and what a chain may cost there.

use super::*;
use rcgen::{CustomExtension, KeyIdMethod};

const NAME: &str = "kubernetes";

/// `basicConstraints`, `CA:TRUE`.
fn authority_alone() -> CustomExtension {
    let mut constraints =
        CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 3, 1, 1, 0xff]);
    constraints.set_criticality(true);
    constraints
}

/// An authority that says what its key is called, or not.
fn named(identifier: bool) -> CertificateParams {
    let mut params = authority(NAME);
    if !identifier {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions = vec![authority_alone()];
    }
    params
}

fn crowd(count: usize, identifiers: bool) -> Vec<Issuer> {
    let make = |_| CertifiedIssuer::self_signed(named(identifiers), KeyPair::generate().unwrap());
    (0..count).map(|number| make(number).unwrap()).collect()
}

fn ders(issuers: &[Issuer]) -> Vec<&CertificateDer<'_>> {
    issuers.iter().map(CertifiedIssuer::der).collect()
}

/// A leaf by `issuer` that says which key signed it, or not.
fn below(issuer: &Issuer, identifier: bool) -> CertificateDer<'static> {
    let mut params = leaf();
    params.use_authority_key_identifier_extension = identifier;
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, issuer).unwrap().der().clone()
}

fn authorities(chain: ExaminedChain) -> usize {
    format!("{chain:?}").matches("Authority {").count()
}

fn told(result: Result<ExaminedChain, CertificateError>) -> (&'static str, String) {
    let error = result.err().unwrap();
    (error.reason(), error.source().unwrap().to_string())
}

#[test]
fn a_peer_is_known_below_each_of_many_authorities_of_one_name() {
    for count in [101, 150, 1_000] {
        for identifiers in [true, false] {
            let roots = crowd(count, identifiers);
            let verifier = trusting(&ders(&roots));
            for root in [roots.first().unwrap(), roots.last().unwrap()] {
                for identifier in [true, false] {
                    let leaf = below(root, identifier);
                    // Some send the authority along.
                    for sent in [&[&leaf][..], &[&leaf, root.der()]] {
                        let chain = verifier.examined(&payload(sent), NOW).unwrap();
                        assert_eq!(authorities(chain), 1, "{count} {identifiers} {identifier}");
                    }
                }
            }
            // Of the same name, and by nobody's key.
            let stranger = crowd(1, identifiers);
            let leaf = below(&stranger[0], true);
            assert_eq!(
                told(verifier.examined(&payload(&[&leaf, stranger[0].der()]), NOW)),
                (
                    "chain_untrusted",
                    "an authority has the name of its issuer, and another key than the one that \
                     signed it"
                        .to_owned()
                )
            );
        }
    }
}

#[test]
fn a_peer_is_known_below_an_intermediate_of_the_last() {
    let roots = crowd(150, true);
    let verifier = trusting(&ders(&roots));
    // Also one that is called as the roots are.
    for name in ["intermediate", NAME] {
        let key = KeyPair::generate().unwrap();
        let middle = CertifiedIssuer::signed_by(authority(name), key, &roots[149]).unwrap();
        let leaf = below(&middle, false);
        let chain = verifier.examined(&payload(&[&leaf, middle.der()]), NOW);
        assert_eq!(authorities(chain.unwrap()), 2, "{name}");
        assert_eq!(
            reason(verifier.examined(&payload(&[&leaf]), NOW)),
            "chain_untrusted"
        );
    }
}

#[test]
fn a_key_identifier_is_a_hint_and_no_more() {
    let roots = crowd(3, true);
    let verifier = trusting(&ders(&roots));
    let key = |root: &Issuer| KeyPair::from_pem(&root.key().serialize_pem()).unwrap();
    for wrong in [
        named(true).key_identifier(roots[0].key()),
        b"nobody's".to_vec(),
        Vec::new(),
    ] {
        // The last one's key, and the name of another's.
        let mut params = named(true);
        params.key_identifier_method = KeyIdMethod::PreSpecified(wrong);
        let issuer = rcgen::Issuer::new(params, key(&roots[2]));
        let mut params = leaf();
        params.use_authority_key_identifier_extension = true;
        let leaf = params
            .signed_by(&KeyPair::generate().unwrap(), &issuer)
            .unwrap();
        let chain = verifier.examined(&payload(&[leaf.der()]), NOW).unwrap();
        assert_eq!(authorities(chain), 1);
    }
}

#[test]
fn every_renewal_of_an_authority_is_reported() {
    let key = KeyPair::generate().unwrap();
    let renewed: Vec<_> = (0..150)
        .map(|_| authority(NAME).self_signed(&key).unwrap())
        .collect();
    let ders: Vec<_> = renewed.iter().map(|own| own.der()).collect();
    let issuer = rcgen::Issuer::new(authority(NAME), key);
    let leaf = leaf()
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    let chain = trusting(&ders).examined(&payload(&[leaf.der()]), NOW);
    assert_eq!(authorities(chain.unwrap()), 150);
}

#[test]
fn a_bundle_with_more_of_one_name_than_are_looked_through_is_refused() {
    let roots = crowd(1_001, true);
    let certificates: Vec<_> = roots.iter().map(|root| root.der().clone()).collect();
    let told = |error: TrustedAuthoritiesError| error.to_string();
    let text = "the bundle holds 1,001 authorities called `CN=kubernetes`, each with a key of its \
                own, and 1,000 of one name are looked through";
    let bundle = |some: &[CertificateDer<'static>]| TrustedAuthorities::from_der(some.to_vec());
    assert_eq!(told(bundle(&certificates).unwrap_err()), text);
    let (most, last) = certificates.split_at(1_000);
    let most = bundle(most).unwrap();
    assert_eq!(
        told(most.clone().and(&bundle(last).unwrap()).unwrap_err()),
        text
    );
    // One of them once more is no more of them.
    let both = most.and(&bundle(&certificates[..1]).unwrap()).unwrap();
    assert_eq!(both.count(), 1_001);
}

#[test]
fn a_chain_that_meets_the_name_again_and_again_costs_no_more_than_others() {
    let roots = crowd(600, true);
    let verifier = trusting(&ders(&roots));
    let mut chain: Vec<Issuer> = crowd(1, false);
    for _ in 1..4 {
        let above = chain.last().unwrap();
        let next =
            CertifiedIssuer::signed_by(named(false), KeyPair::generate().unwrap(), above).unwrap();
        chain.push(next);
    }
    let leaf = below(chain.last().unwrap(), false);
    let sent = |length: usize| {
        let mut sent = vec![&leaf];
        sent.extend(chain.iter().rev().take(length).map(CertifiedIssuer::der));
        verifier.examined(&payload(&sent), NOW)
    };
    for length in 0..=2 {
        assert_eq!(told(sent(length)).0, "chain_untrusted");
    }
    for length in 3..=4 {
        assert_eq!(
            told(sent(length)),
            (
                "chain_too_costly",
                "the bundle has 600 authorities called `CN=kubernetes`, and the chain meets that \
                 name too often to try them all"
                    .to_owned()
            )
        );
    }
}

#[test]
fn a_chain_that_can_be_put_together_in_too_many_ways_ends_within_its_budget() {
    let root = crowd(1, true).pop().unwrap();
    let mut verifier = trusting(&[root.der()]);
    verifier.limits.max_intermediates = 6;
    let mut chain = vec![root];
    for _ in 0..6 {
        let key = KeyPair::generate().unwrap();
        let next = CertifiedIssuer::signed_by(named(true), key, chain.last().unwrap()).unwrap();
        chain.push(next);
    }
    let outcome = |length: usize| {
        let leaf = below(&chain[length], true);
        let mut sent = vec![&leaf];
        sent.extend(chain[1..=length].iter().map(CertifiedIssuer::der));
        verifier.examined(&payload(&sent), NOW)
    };
    assert_eq!(authorities(outcome(2).unwrap()), 3);
    assert_eq!(
        told(outcome(6)),
        (
            "chain_too_costly",
            "its intermediates can be put together in too many ways: 100 signatures were checked"
                .to_owned()
        )
    );
}
