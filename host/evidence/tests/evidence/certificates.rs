//! Chains of certificates and the proof of their keys.
//!
//! Authorities, leaves and signatures are made here; those of Go's own making
//! come with the stock agents of the end-to-end suite.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P521_SHA256_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::certificates::{
    CertificateError, CertificateVerifier, ChainLimits, Challenge, NONCE_BYTES, Nonce,
    TrustedAuthorities, TrustedAuthoritiesError,
};
use nameplate_evidence::subject::{AlternativeName, Certificate, KeyKind, Subject};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, SanType, SerialNumber, SignatureAlgorithm,
};
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::pss;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use sha2::Sha256;
use std::error::Error as _;
use std::sync::LazyLock;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// 2026-01-01T00:00:00Z; certificates hold from 2025 to 2030.
const NOW: u64 = 1_767_225_600;
const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];
const OWN: [u8; NONCE_BYTES] = [9; NONCE_BYTES];

static RSA: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());
static ROOT: LazyLock<Issuer> = LazyLock::new(|| root("root"));

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn root(name: &str) -> Issuer {
    CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap()
}

fn leaf() -> CertificateParams {
    let mut params = params("node-7");
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:nodes");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xbc]));
    params.subject_alt_names = vec![
        SanType::DnsName("node-7.example.org".try_into().unwrap()),
        SanType::URI("spiffe://example.org/node-7".try_into().unwrap()),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
    ];
    params
}

fn payload(chain: &[&CertificateDer<'_>]) -> Vec<u8> {
    let chain: Vec<_> = chain.iter().map(|der| STANDARD.encode(der)).collect();
    json!({ "certificates": chain }).to_string().into_bytes()
}

fn trusting(roots: &[&CertificateDer<'_>]) -> CertificateVerifier {
    let roots = roots
        .iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    CertificateVerifier {
        authorities: TrustedAuthorities::from_der(roots).unwrap(),
        limits: ChainLimits::default(),
        cluster: None,
    }
}

/// What a leaf of the root, changed by `change`, is refused for.
fn examined(
    key: &KeyPair,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<Challenge, CertificateError> {
    let mut params = leaf();
    change(&mut params);
    let leaf = params.signed_by(key, &*ROOT).unwrap();
    trusting(&[ROOT.der()])
        .examine(&payload(&[leaf.der()]), NOW)
        .map(|chain| chain.challenge(Nonce::new(NONCE)))
}

fn challenge(key: &KeyPair) -> Challenge {
    examined(key, |_| {}).unwrap()
}

fn signed_by_ecdsa(
    key: &KeyPair,
    algorithm: &'static EcdsaSigningAlgorithm,
    message: &[u8],
) -> Value {
    let key = EcdsaKeyPair::from_pkcs8(algorithm, &key.serialize_der()).unwrap();
    let signature = key.sign(&SystemRandom::new(), message).unwrap();
    let numbers: Vec<Vec<u8>> = numbers(signature.as_ref());
    json!({"rsa_signature": null, "ecdsa_signature": {
        "nonce": STANDARD.encode(OWN),
        "r": STANDARD.encode(&numbers[0]),
        "s": STANDARD.encode(&numbers[1]),
    }})
}

/// The two numbers of a DER signature, without leading zeros as Go writes them.
fn numbers(der: &[u8]) -> Vec<Vec<u8>> {
    use x509_cert::der::Decode as _;
    let numbers = Vec::<x509_cert::der::asn1::Uint>::from_der(der).unwrap();
    numbers
        .iter()
        .map(|number| number.as_bytes().to_vec())
        .collect()
}

fn signed_by_rsa(key: &KeyPair, salt: usize, message: &[u8]) -> Value {
    let key = rsa::PrivateKey::from_pkcs8_der(&key.serialize_der()).unwrap();
    let signer = pss::SigningKey::<Sha256>::new_with_salt_len(key, salt);
    let signature = signer.sign(message);
    json!({"ecdsa_signature": null, "rsa_signature": {
        "nonce": STANDARD.encode(OWN),
        "signature": STANDARD.encode(signature.to_bytes()),
    }})
}

fn both(challenge: &[u8], own: &[u8]) -> Vec<u8> {
    [challenge, own].concat()
}

fn answered(challenge: Challenge, response: &Value) -> Result<Certificate, CertificateError> {
    let verified = challenge.answered(response.to_string().as_bytes())?;
    match verified.into_parts() {
        (None, Subject::Certificate(certificate)) => Ok(certificate),
        other => panic!("not a certificate: {other:?}"),
    }
}

fn reason<T>(result: Result<T, CertificateError>) -> &'static str {
    result.err().unwrap().reason()
}

#[test]
fn a_chain_and_a_signature_prove_a_subject() {
    let key = KeyPair::generate().unwrap();
    let challenge = challenge(&key);
    let sent: Value = serde_json::from_slice(&challenge.message()).unwrap();
    assert_eq!(
        sent,
        json!({"rsa_signature": null, "ecdsa_signature": {"nonce": STANDARD.encode(NONCE)}})
    );
    let response = signed_by_ecdsa(&key, &ECDSA_P256_SHA256_ASN1_SIGNING, &both(&NONCE, &OWN));
    let proven = answered(challenge, &response).unwrap();
    assert_eq!(proven.subject.common_name.as_deref(), Some("node-7"));
    assert_eq!(proven.subject.organizations, ["system:nodes"]);
    assert_eq!(proven.serial, "0abc");
    assert_eq!(proven.key, KeyKind::P256);
    assert_eq!((proven.sha1.len(), proven.sha256.len()), (40, 64));
    assert_eq!(
        (proven.not_before, proven.not_after),
        (1_735_689_600, 1_893_456_000)
    );
    assert_eq!(
        proven.alternative_names,
        [
            AlternativeName::Dns("node-7.example.org".to_owned()),
            AlternativeName::Uri("spiffe://example.org/node-7".to_owned()),
            AlternativeName::Ip("192.0.2.7".to_owned()),
        ]
    );
    assert_eq!(proven.authorities.len(), 1);
}

#[test]
fn rsa_proves_itself_with_a_salt_of_any_length() {
    let message = both(&NONCE, &OWN);
    // The longest there is, as Go's agents take; that of the digest; none.
    for salt in [222, 32, 0] {
        let challenge = challenge(&RSA);
        let sent: Value = serde_json::from_slice(&challenge.message()).unwrap();
        assert_eq!(sent["ecdsa_signature"], Value::Null);
        let proven = answered(challenge, &signed_by_rsa(&RSA, salt, &message)).unwrap();
        assert_eq!(proven.key, KeyKind::Rsa, "{salt}");
    }
}

#[test]
fn p521_proves_itself_by_the_same_digest() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let response = signed_by_ecdsa(&key, &ECDSA_P521_SHA256_ASN1_SIGNING, &both(&NONCE, &OWN));
    assert_eq!(
        answered(challenge(&key), &response).unwrap().key,
        KeyKind::P521
    );
}

#[test]
fn a_key_that_cannot_prove_itself_is_refused_by_name() {
    let known: [(&'static SignatureAlgorithm, _); 2] = [
        (&PKCS_ECDSA_P256_SHA256, KeyKind::P256),
        (&PKCS_ECDSA_P384_SHA384, KeyKind::P384),
    ];
    for (algorithm, _) in known {
        let key = KeyPair::generate_for(algorithm).unwrap();
        assert!(examined(&key, |_| {}).is_ok());
    }
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    assert_eq!(
        examined(&key, |_| {}).unwrap_err().to_string(),
        "certificate has a key of an unsupported kind: Ed25519"
    );
}

#[test]
fn what_is_not_the_keys_signature_over_both_nonces_proves_nothing() {
    let key = KeyPair::generate().unwrap();
    let other = KeyPair::generate().unwrap();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let good = signed_by_ecdsa(&key, algorithm, &both(&NONCE, &OWN));
    assert!(answered(challenge(&key), &good).is_ok());

    let unproven = [
        signed_by_ecdsa(&other, algorithm, &both(&NONCE, &OWN)),
        // The order of the nonces, one of them alone, another challenge's.
        signed_by_ecdsa(&key, algorithm, &both(&OWN, &NONCE)),
        signed_by_ecdsa(&key, algorithm, &NONCE),
        signed_by_ecdsa(&key, algorithm, &OWN),
        signed_by_ecdsa(&key, algorithm, &both(&[8; NONCE_BYTES], &OWN)),
    ];
    for response in unproven {
        assert_eq!(
            reason(answered(challenge(&key), &response)),
            "possession_unproven"
        );
    }
    let with = |member: &str, value: Value| {
        let mut response = good.clone();
        response["ecdsa_signature"][member] = value;
        reason(answered(challenge(&key), &response))
    };
    let base64 = |bytes: &[u8]| Value::from(STANDARD.encode(bytes));
    assert_eq!(with("nonce", base64(&[9; 31])), "nonce_malformed");
    assert_eq!(with("nonce", base64(&[9; 33])), "nonce_malformed");
    assert_eq!(with("nonce", Value::Null), "nonce_malformed");
    assert_eq!(with("nonce", json!(9)), "response_malformed");
    assert_eq!(with("nonce", json!("*")), "response_malformed");
    assert_eq!(with("nonce", base64(&[8; 32])), "possession_unproven");
    assert_eq!(with("r", base64(&[])), "possession_unproven");
    assert_eq!(with("r", base64(&[1; 67])), "possession_unproven");
    assert_eq!(with("s", base64(&[0; 32])), "possession_unproven");
    assert_eq!(with("s", base64(&[0xff; 32])), "possession_unproven");
}

#[test]
fn an_answer_is_for_the_certificates_kind_of_key() {
    let key = KeyPair::generate().unwrap();
    let message = both(&NONCE, &OWN);
    let ecdsa = signed_by_ecdsa(&key, &ECDSA_P256_SHA256_ASN1_SIGNING, &message);
    let rsa = signed_by_rsa(&RSA, 32, &message);
    assert_eq!(reason(answered(challenge(&RSA), &ecdsa)), "response_kind");
    assert_eq!(reason(answered(challenge(&key), &rsa)), "response_kind");
    // Both arms: the certificate says which one counts.
    let both = json!({
        "rsa_signature": rsa["rsa_signature"],
        "ecdsa_signature": ecdsa["ecdsa_signature"],
    });
    assert!(answered(challenge(&key), &both).is_ok());
    assert!(answered(challenge(&RSA), &both).is_ok());
    for text in ["", "null", "[]", "{", r#"{"ecdsa_signature":[]}"#] {
        let error = challenge(&key).answered(text.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), "response_malformed", "{text}");
    }
}

#[test]
fn a_certificate_has_to_be_for_signatures_and_to_hold_now() {
    let key = KeyPair::generate().unwrap();
    let usages =
        |usages: Vec<KeyUsagePurpose>| reason(examined(&key, |params| params.key_usages = usages));
    assert_eq!(usages(vec![KeyUsagePurpose::KeyEncipherment]), "key_usage");
    assert_eq!(usages(Vec::new()), "key_usage");
    let ended = examined(&key, |params| {
        params.not_after = rcgen::date_time_ymd(2025, 12, 31)
    });
    let error = ended.unwrap_err();
    assert_eq!(error.reason(), "chain_untrusted");
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .starts_with("CertExpired")
    );
    let early = examined(&key, |params| {
        params.not_before = rcgen::date_time_ymd(2026, 1, 2)
    });
    assert_eq!(reason(early), "chain_untrusted");
}

#[test]
fn rsa_keys_have_2048_bits_to_what_the_limit_says() {
    let signed = leaf().signed_by(&*RSA, &*ROOT).unwrap();
    let examine = |most| {
        let mut verifier = trusting(&[ROOT.der()]);
        verifier.limits.max_rsa_bits = most;
        verifier.examine(&payload(&[signed.der()]), NOW)
    };
    assert!(examine(2048).is_ok());
    assert_eq!(
        examine(2047).unwrap_err().to_string(),
        "leaf certificate has an RSA key of 2048 bits, and 2048 to 2047 are accepted"
    );
}

#[test]
fn intermediates_are_counted_before_they_are_parsed() {
    let key = KeyPair::generate().unwrap();
    let leaf = leaf().signed_by(&key, &*ROOT).unwrap();
    let junk = CertificateDer::from(vec![0]);
    let examine = |count: usize| {
        let chain: Vec<_> = std::iter::once(leaf.der())
            .chain(std::iter::repeat_n(&junk, count))
            .collect();
        trusting(&[ROOT.der()])
            .examine(&payload(&chain), NOW)
            .map(|_| ())
    };
    assert!(examine(0).is_ok());
    assert_eq!(
        examine(4).unwrap_err().to_string(),
        "intermediate certificate 0 cannot be read"
    );
    assert_eq!(
        examine(5).unwrap_err().to_string(),
        "payload holds 5 intermediate certificates, more than 4"
    );
}

#[test]
fn every_authority_on_every_path_is_reported() {
    let first = root("first");
    let second = root("second");
    // One intermediate with two certificates, by each of the roots.
    let key = KeyPair::generate().unwrap();
    let by_first = authority("intermediate").signed_by(&key, &first).unwrap();
    let by_second = authority("intermediate").signed_by(&key, &second).unwrap();
    let issuer = rcgen::Issuer::new(authority("intermediate"), key);
    let leaf = leaf()
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    let chain = payload(&[leaf.der(), by_first.der(), by_second.der()]);
    let count = |roots: &[&CertificateDer<'_>]| {
        let chain = trusting(roots).examine(&chain, NOW).unwrap();
        format!("{:?}", chain.challenge(Nonce::new(NONCE)))
            .matches("Authority {")
            .count()
    };
    assert_eq!(count(&[first.der(), second.der()]), 4);
    assert_eq!(count(&[first.der()]), 2);
    // An intermediate that is itself trusted.
    assert_eq!(count(&[by_first.der()]), 1);
}

#[test]
fn an_authority_has_to_be_one() {
    let key = KeyPair::generate().unwrap();
    let examine = |change: fn(&mut CertificateParams)| {
        let mut params = authority("authority");
        change(&mut params);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = leaf().signed_by(&key, &issuer).unwrap();
        trusting(&[issuer.der()])
            .examine(&payload(&[leaf.der()]), NOW)
            .map(|_| ())
    };
    assert!(examine(|_| {}).is_ok());
    let cannot_sign = examine(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert_eq!(
        cannot_sign.unwrap_err().to_string(),
        "certificate is signed by an authority that may not sign, or whose time is over"
    );
    let ended = examine(|params| params.not_after = rcgen::date_time_ymd(2025, 6, 1));
    assert_eq!(reason(ended), "chain_untrusted");

    let stranger = root("stranger");
    let leaf = leaf().signed_by(&key, &stranger).unwrap();
    let chain = payload(&[leaf.der(), stranger.der()]);
    assert_eq!(
        reason(trusting(&[ROOT.der()]).examine(&chain, NOW)),
        "chain_untrusted"
    );
    assert!(trusting(&[stranger.der()]).examine(&chain, NOW).is_ok());
    // Of the same name, with another key.
    let impostor = root("root");
    assert_eq!(
        reason(trusting(&[impostor.der()]).examine(&payload(&[leaf.der()]), NOW)),
        "chain_untrusted"
    );
}

#[test]
fn hostile_chains_end_within_their_budget() {
    // Authorities of one name and many keys: each may have signed each.
    let issuers: Vec<_> = (0..4).map(|_| root("loop")).collect();
    let last = root("loop");
    let leaf = leaf()
        .signed_by(&KeyPair::generate().unwrap(), &last)
        .unwrap();
    let mut chain = vec![leaf.der()];
    chain.extend(issuers.iter().map(|issuer| issuer.der()));
    let roots: Vec<_> = (0..120).map(|_| root("loop")).collect();
    let roots: Vec<_> = roots.iter().map(|root| root.der()).collect();
    assert_eq!(
        reason(trusting(&roots).examine(&payload(&chain), NOW)),
        "chain_too_costly"
    );
}

#[test]
fn a_payload_is_a_list_of_base64() {
    let examine = |text: &str| {
        let error = trusting(&[ROOT.der()])
            .examine(text.as_bytes(), NOW)
            .unwrap_err();
        (error.reason(), error.to_string())
    };
    let malformed = |text: &str| assert_eq!(examine(text).0, "chain_malformed", "{text}");
    for text in [
        "",
        "[]",
        "{",
        r#"{"certificates":{}}"#,
        r#"{"certificates":"AA=="}"#,
        r#"{"certificates":[1]}"#,
        r#"{"certificates":["*"]}"#,
        r#"{"certificates":["AA"]}"#,
        r#"{"certificates":["AA==",null]}"#,
        r#"{"certificates":[],"certificates":[]}"#,
    ] {
        malformed(text);
    }
    for text in ["{}", r#"{"certificates":[]}"#, r#"{"certificates":null}"#] {
        assert_eq!(examine(text).0, "certificate_missing", "{text}");
    }
    assert_eq!(
        examine(r#"{"certificates":["AAAA"]}"#).1,
        "leaf certificate cannot be read"
    );
    // What follows the certificate is part of it, or it is none.
    let leaf = leaf()
        .signed_by(&KeyPair::generate().unwrap(), &*ROOT)
        .unwrap();
    let mut longer = leaf.der().to_vec();
    longer.push(0);
    let error = trusting(&[ROOT.der()]).examine(&payload(&[&CertificateDer::from(longer)]), NOW);
    assert_eq!(reason(error), "certificate_unreadable");
}

#[test]
fn a_bundle_is_never_nobody_and_never_the_systems() {
    let pem = ROOT.pem();
    assert!(TrustedAuthorities::from_pem(pem.as_bytes()).is_ok());
    let refused = |text: &str| {
        let error: TrustedAuthoritiesError =
            TrustedAuthorities::from_pem(text.as_bytes()).unwrap_err();
        error.to_string()
    };
    assert_eq!(refused(""), "no certificates found in the bundle");
    assert_eq!(
        refused(&(pem.clone() + &RSA.serialize_pem())),
        "the bundle holds a private key; leave only certificates in it"
    );
    assert_eq!(
        refused(&(pem + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        "certificate 2 of the bundle cannot be read"
    );
}

#[test]
fn nothing_shows_a_nonce() {
    let challenge = challenge(&KeyPair::generate().unwrap());
    let shown = format!("{challenge:?}");
    assert!(shown.contains("Nonce(..)"), "{shown}");
    // Two of its bytes may stand in the public key by chance; all of them do not.
    let bytes = format!("{NONCE:?}");
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
}

/// The table of `certificates`, where Go's verifier says otherwise.
#[test]
fn what_go_decides_otherwise_is_decided_here() {
    let key = KeyPair::generate().unwrap();
    let authorities = |params: CertificateParams| {
        let own = params.self_signed(&key).unwrap();
        let chain = trusting(&[own.der()]).examine(&payload(&[own.der()]), NOW);
        chain.map(|chain| format!("{chain:?}").matches("Authority {").count())
    };
    let pinned = |change: fn(&mut CertificateParams)| {
        let mut params = leaf();
        change(&mut params);
        authorities(params)
    };
    // In the bundle itself; one that may only sign certificates is no peer.
    let both = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
    ];
    assert_eq!(reason(pinned(|_| {})), "chain_untrusted");
    let mut params = leaf();
    params.key_usages.clone_from(&both);
    assert_eq!(authorities(params).unwrap(), 1);
    let by_another = leaf().signed_by(&key, &*ROOT).unwrap();
    let refused = trusting(&[by_another.der()]).examine(&payload(&[by_another.der()]), NOW);
    assert_eq!(reason(refused), "chain_untrusted");

    let authority = examined(&key, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let error = authority.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "CaUsedAsEndEntity");

    let early = examined(&key, |params| {
        params.not_before = rcgen::date_time_ymd(1969, 1, 1)
    });
    assert_eq!(reason(early), "certificate_unreadable");
    let nameless = examined(&key, |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
    });
    let shown = format!("{:?}", nameless.unwrap());
    assert!(shown.contains("common_name: None"), "{shown}");
}

/// The signature covers what it signs, and what is round it is strict DER.
#[test]
fn no_changed_byte_of_a_certificate_goes_through() {
    let leaf = leaf()
        .signed_by(&KeyPair::generate().unwrap(), &*ROOT)
        .unwrap();
    let verifier = trusting(&[ROOT.der()]);
    assert!(verifier.examine(&payload(&[leaf.der()]), NOW).is_ok());
    for at in 0..leaf.der().len() {
        for bit in [0x01, 0x80] {
            let mut changed = leaf.der().to_vec();
            changed[at] ^= bit;
            let changed = CertificateDer::from(changed);
            let refused = verifier.examine(&payload(&[&changed]), NOW);
            assert!(refused.is_err(), "byte {at}, bit {bit:#x}");
        }
    }
    for length in 0..leaf.der().len() {
        let cut = CertificateDer::from(leaf.der()[..length].to_vec());
        let refused = verifier.examine(&payload(&[&cut]), NOW);
        assert_eq!(reason(refused), "certificate_unreadable", "{length} bytes");
    }
}

#[test]
fn every_reason_stands_in_the_table_of_checks() {
    let table = include_str!("../../src/certificates.rs");
    let code = include_str!("../../src/certificates/error.rs");
    let reasons: Vec<_> = code
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"').map(|(reason, _)| reason))
        .collect();
    assert_eq!(reasons.len(), 13);
    for reason in reasons {
        assert!(table.contains(&format!("`{reason}`")), "{reason}");
    }
}
