//! Chains that lead nowhere, or not as they have to.

use super::{Answer, ChainAttack, ChainGround, attack, payload};
use crate::attack::Expected;
use crate::authority::{self, Authority, Hollow};
use crate::error::TortureError;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, GeneralSubtree, IsCa, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ED25519,
};

/// The most intermediates that a chain can need, and the most bits of a key.
const INTERMEDIATES_IN_REASON: usize = 4;
const RSA_BITS_IN_REASON: u32 = 8192;

type Change = fn(&mut CertificateParams);

/// Chains with one thing wrong.
pub(super) fn attacks(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let mut attacks = Vec::new();
    let mut push = |name: &str, payload, answer, expected, incident| {
        attacks.push(attack(name, payload, answer, expected, incident));
    };
    let short = ground.verifier.limits.max_intermediates == 0;
    for (name, authority, leaf, reason, incident) in changes() {
        let mut params = authority::authority("below");
        authority(&mut params);
        let between = authority::below(params, &ground.root)?;
        let mut params = ground.leaf()?;
        leaf(&mut params);
        let key = KeyPair::generate()?;
        let own = params.signed_by(&key, &between)?;
        let prover = ground.prover(&own, &[&between], &key)?;
        let expected = match reason {
            // One intermediate is one too many there.
            _ if short => Expected::by("too_many_intermediates"),
            Some(reason) => Expected::by(reason),
            None => Expected::Twin,
        };
        push(
            name,
            prover.payload(),
            Answer::of(prover),
            expected,
            incident,
        );
    }

    // Signed by somebody else.
    let untrusted = || Expected::by("chain_untrusted");
    let key = KeyPair::generate()?;
    let other = authority::root("other")?;
    let impostor = authority::root("torture")?;
    for (name, issuer, come_along) in [
        ("by somebody else", &other, false),
        ("by somebody else, who comes along", &other, true),
        ("by somebody of the authority's name", &impostor, false),
        (
            "by somebody of the authority's name, who comes along",
            &impostor,
            true,
        ),
    ] {
        let own = ground.leaf()?.signed_by(&key, issuer)?;
        let between: &[&Authority] = if come_along { &[issuer] } else { &[] };
        let prover = ground.prover(&own, between, &key)?;
        let expected = match short && come_along {
            true => Expected::by("too_many_intermediates"),
            false => untrusted(),
        };
        let name = format!("a leaf signed {name}");
        push(
            &name,
            prover.payload(),
            Answer::of(prover),
            expected,
            Some("SPIRE#655"),
        );
    }
    let own = ground.leaf()?.self_signed(&key)?;
    let prover = ground.prover(&own, &[], &key)?;
    push(
        "a leaf signed by itself",
        prover.payload(),
        Answer::of(prover),
        untrusted(),
        Some("SPIRE#655"),
    );
    push(
        "the authority in the place of a leaf",
        payload(&[ground.root.der()]),
        Answer::None,
        untrusted(),
        Some("SPIRE#655"),
    );
    let edwards = KeyPair::generate_for(&PKCS_ED25519)?;
    let own = ground.leaf()?.signed_by(&edwards, &ground.root)?;
    push(
        "a key of Ed25519",
        payload(&[own.der()]),
        Answer::None,
        Expected::by("key_unsupported"),
        None,
    );
    attacks.extend(bounds(ground)?);
    Ok(attacks)
}

/// A name; what changes of the intermediate and of the leaf; what refuses it
/// (nothing: it has to pass), and an incident.
type Changed = (
    &'static str,
    Change,
    Change,
    Option<&'static str>,
    Option<&'static str>,
);

fn changes() -> [Changed; 15] {
    let keep: Change = |_| {};
    let past: Change = |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let future: Change = |params| params.not_before = rcgen::date_time_ymd(2098, 1, 1);
    let no_authority: Change = |params| params.is_ca = IsCa::NoCa;
    let never_authority: Change = |params| params.is_ca = IsCa::ExplicitNoCa;
    let any_authority: Change = |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signs_data: Change = |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let encrypts: Change = |params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    let permits_ours: Change = |params| params.name_constraints = Some(permitting("example.org"));
    let permits_others: Change = |params| params.name_constraints = Some(permitting("example.com"));
    let excludes_ours: Change = |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: Vec::new(),
            excluded_subtrees: vec![GeneralSubtree::DnsName("example.org".to_owned())],
        });
    };
    let wildcard: Change = |params| {
        params.name_constraints = Some(permitting("node-7.example.org"));
    };
    let asks_wildcard: Change = |params| {
        if let Ok(name) = "*.example.org".try_into() {
            params.subject_alt_names.push(rcgen::SanType::DnsName(name));
        }
    };
    let untrusted = Some("chain_untrusted");
    let spire = Some("SPIRE#655");
    [
        (
            "a leaf below an intermediate, as it should be",
            keep,
            keep,
            None,
            None,
        ),
        ("a leaf whose time is over", keep, past, untrusted, spire),
        (
            "a leaf whose time is to come",
            keep,
            future,
            untrusted,
            spire,
        ),
        (
            "an intermediate whose time is over",
            past,
            keep,
            untrusted,
            spire,
        ),
        (
            "an intermediate whose time is to come",
            future,
            keep,
            untrusted,
            spire,
        ),
        (
            "an intermediate that is no authority",
            never_authority,
            keep,
            untrusted,
            spire,
        ),
        (
            "an intermediate that says nothing of it",
            no_authority,
            keep,
            untrusted,
            spire,
        ),
        (
            "an intermediate that may not sign certificates",
            signs_data,
            keep,
            untrusted,
            spire,
        ),
        (
            "a leaf that is an authority",
            keep,
            any_authority,
            untrusted,
            spire,
        ),
        (
            "a leaf whose key is for encryption",
            keep,
            encrypts,
            Some("key_usage"),
            None,
        ),
        (
            "names that the authority may sign, as they should be",
            permits_ours,
            keep,
            None,
            None,
        ),
        (
            "names that the authority may not sign",
            permits_others,
            keep,
            untrusted,
            Some("RUSTSEC-2026-0098"),
        ),
        (
            "names that are excluded",
            excludes_ours,
            keep,
            untrusted,
            Some("CVE-2026-33810"),
        ),
        (
            "a wildcard beyond what the authority may sign",
            wildcard,
            asks_wildcard,
            untrusted,
            Some("RUSTSEC-2026-0099"),
        ),
        (
            "a leaf that may sign only certificates",
            keep,
            |params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign],
            Some("key_usage"),
            None,
        ),
    ]
}

fn permitting(name: &str) -> NameConstraints {
    NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(name.to_owned())],
        excluded_subtrees: Vec::new(),
    }
}

/// At the operator's limits.
fn bounds(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let limits = ground.verifier.limits;
    let count = limits
        .max_intermediates
        .min(INTERMEDIATES_IN_REASON)
        .saturating_add(1);
    let key = KeyPair::generate()?;
    let own = ground.leaf()?.signed_by(&key, &ground.root)?;
    let other = authority::root("other")?;
    let long: Vec<&Authority> = (0..count).map(|_| &other).collect();
    let prover = ground.prover(&own, &long, &key)?;
    let mut attacks = vec![attack(
        format!("{count} intermediates"),
        prover.payload(),
        Answer::of(prover),
        Expected::by("too_many_intermediates"),
        Some("SPIRE 1.14.2"),
    )];
    let most = limits.max_rsa_bits.min(RSA_BITS_IN_REASON);
    for (bits, incident) in [(most.saturating_add(8), Some("SPIRE 1.14.2")), (1024, None)] {
        let hollow = Hollow::of(usize::try_from(bits).unwrap_or(usize::MAX));
        let own = ground.leaf()?.signed_by(&hollow, &ground.root)?;
        attacks.push(attack(
            format!("an RSA key of {bits} bits"),
            payload(&[own.der()]),
            Answer::None,
            Expected::by("key_size"),
            incident,
        ));
    }
    attacks.push(looping(ground)?);
    Ok(attacks)
}

/// Authorities that sign each other and lead nowhere.
fn looping(ground: &ChainGround) -> Result<ChainAttack, TortureError> {
    let copy = |key: &KeyPair| KeyPair::from_pem(&key.serialize_pem());
    let (one, two) = (KeyPair::generate()?, KeyPair::generate()?);
    let first = CertifiedIssuer::self_signed(authority::authority("one"), copy(&one)?)?;
    let second = CertifiedIssuer::self_signed(authority::authority("two"), copy(&two)?)?;
    let first_by_second = authority::authority("one").signed_by(&one, &second)?;
    let second_by_first = authority::authority("two").signed_by(&two, &first)?;
    let own = ground.leaf()?.signed_by(&KeyPair::generate()?, &first)?;
    Ok(attack(
        "authorities that sign each other",
        payload(&[own.der(), first_by_second.der(), second_by_first.der()]),
        Answer::None,
        Expected::Stopped(vec![
            "chain_untrusted",
            "chain_too_costly",
            "too_many_intermediates",
        ]),
        Some("RUSTSEC-2023-0053"),
    ))
}
