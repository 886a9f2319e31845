//! Chains of certificates and the proof of their keys.
//!
//! Authorities, leaves and signatures are made here; those of Go's own making
//! come with the stock agents of the end-to-end suite.

mod crowded;
mod hostile;
mod nodes;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P521_SHA256_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::certificates::{
    BundleError, BundleSource, CertificateError, CertificateVerifier, ChainLimits, Challenge,
    ExaminedChain, NONCE_BYTES, Nonce, Prover, Surroundings, SvidRule, Trust, TrustedAuthorities,
    TrustedAuthoritiesError,
};
use nameplate_evidence::subject::{AlternativeName, Certificate, KeyKind, Subject};
use nameplate_evidence::{EvidenceError, Patience};
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
use std::time::{Duration, UNIX_EPOCH};

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
        trust: Trust::Bundle(TrustedAuthorities::from_der(roots).unwrap()),
        limits: ChainLimits::default(),
        cluster: None,
        verify_client_ip: false,
        node: None,
    }
}

/// Of a peer of which nothing else is known.
trait Examine {
    fn examined(&self, payload: &[u8], now: u64) -> Result<ExaminedChain, CertificateError>;
}

impl Examine for CertificateVerifier {
    fn examined(&self, payload: &[u8], now: u64) -> Result<ExaminedChain, CertificateError> {
        let patience = Patience::none();
        self.examine(payload, now, &Surroundings::within(&patience))
            .map_err(refused)
    }
}

fn refused(error: EvidenceError) -> CertificateError {
    let EvidenceError::Certificate { source } = error else {
        panic!("{error:?}");
    };
    source
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
        .examined(&payload(&[leaf.der()]), NOW)
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
    let verified = challenge
        .answered(response.to_string().as_bytes(), &Patience::none())
        .map_err(refused)?;
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
        let error = challenge(&key)
            .answered(text.as_bytes(), &Patience::none())
            .unwrap_err();
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
    assert_eq!(
        error.source().unwrap().to_string(),
        "a certificate of the path expired 86,400 s ago"
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
        verifier.examined(&payload(&[signed.der()]), NOW)
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
            .examined(&payload(&chain), NOW)
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
        let chain = trusting(roots).examined(&chain, NOW).unwrap();
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
            .examined(&payload(&[leaf.der()]), NOW)
            .map(|_| ())
    };
    assert!(examine(|_| {}).is_ok());
    // Whoever has such a key could sign for anybody.
    let none = examine(|params| params.is_ca = IsCa::NoCa);
    assert_eq!(reason(none), "chain_untrusted");
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
        reason(trusting(&[ROOT.der()]).examined(&chain, NOW)),
        "chain_untrusted"
    );
    assert!(trusting(&[stranger.der()]).examined(&chain, NOW).is_ok());
    // Of the same name, with another key.
    let impostor = root("root");
    assert_eq!(
        reason(trusting(&[impostor.der()]).examined(&payload(&[leaf.der()]), NOW)),
        "chain_untrusted"
    );
}

#[test]
fn names_of_every_form_may_stand_beside_a_machines() {
    let key = KeyPair::generate().unwrap();
    let named = |names: &[&[u8]]| {
        let names = names.concat();
        let mut content = vec![0x30, u8::try_from(names.len()).unwrap()];
        content.extend(names);
        examined(&key, |params| {
            params.subject_alt_names = Vec::new();
            params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(
                &[2, 5, 29, 17],
                content,
            )];
        })
    };
    let dns: &[u8] = b"\x82\x05a.org";
    // otherName, x400Address, ediPartyName, registeredID; what is in them is
    // nobody's matter here.
    let others: [&[u8]; 4] = [
        b"\xa0\x04\x06\x02\x2a\x03",
        b"\xa3\x02\x30\x00",
        b"\xa5\x04\xa1\x02\x0c\x00",
        b"\x88\x02\x2a\x03",
    ];
    for other in others {
        let shown = format!("{:?}", named(&[other, dns]).unwrap());
        assert!(
            shown.contains("alternative_names: [Dns(\"a.org\")]"),
            "{shown}"
        );
    }
    for malformed in [&b"\x82\x02\xc3\xa9"[..], b"\x0c\x01a", b"\x82\x05a"] {
        assert_eq!(reason(named(&[malformed])), "certificate_unreadable");
    }
}

#[test]
fn a_payload_is_a_list_of_base64() {
    let examine = |text: &str| {
        let error = trusting(&[ROOT.der()])
            .examined(text.as_bytes(), NOW)
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
    let error = trusting(&[ROOT.der()]).examined(&payload(&[&CertificateDer::from(longer)]), NOW);
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
        let chain = trusting(&[own.der()]).examined(&payload(&[own.der()]), NOW);
        chain.map(|chain| format!("{chain:?}").matches("Authority {").count())
    };
    let pinned = |change: fn(&mut CertificateParams)| {
        let mut params = leaf();
        change(&mut params);
        authorities(params)
    };
    // In the bundle itself, whatever it may sign.
    let both = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
    ];
    assert_eq!(reason(pinned(|_| {})), "chain_untrusted");
    let mut params = leaf();
    params.key_usages.clone_from(&both);
    assert_eq!(reason(authorities(params)), "chain_untrusted");
    let by_another = leaf().signed_by(&key, &*ROOT).unwrap();
    let refused = trusting(&[by_another.der()]).examined(&payload(&[by_another.der()]), NOW);
    assert_eq!(reason(refused), "chain_untrusted");

    let authority = examined(&key, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let error = authority.unwrap_err();
    assert_eq!(
        error.source().unwrap().to_string(),
        "the leaf is the certificate of an authority (`CA:TRUE`), and a peer needs one of its own"
    );

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
    assert!(verifier.examined(&payload(&[leaf.der()]), NOW).is_ok());
    for at in 0..leaf.der().len() {
        for bit in [0x01, 0x80] {
            let mut changed = leaf.der().to_vec();
            changed[at] ^= bit;
            let changed = CertificateDer::from(changed);
            let refused = verifier.examined(&payload(&[&changed]), NOW);
            assert!(refused.is_err(), "byte {at}, bit {bit:#x}");
        }
    }
    for length in 0..leaf.der().len() {
        let cut = CertificateDer::from(leaf.der()[..length].to_vec());
        let refused = verifier.examined(&payload(&[&cut]), NOW);
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
    assert_eq!(reasons.len(), 38);
    for reason in reasons {
        assert!(table.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn an_answer_of_ours_proves_possession_with_every_kind_of_key() {
    let kinds: [(&'static SignatureAlgorithm, KeyKind); 4] = [
        (&PKCS_RSA_SHA256, KeyKind::Rsa),
        (&PKCS_ECDSA_P256_SHA256, KeyKind::P256),
        (&PKCS_ECDSA_P384_SHA384, KeyKind::P384),
        (&PKCS_ECDSA_P521_SHA512, KeyKind::P521),
    ];
    for (algorithm, kind) in kinds {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = leaf().signed_by(&key, &*ROOT).unwrap();
        let prover = || Prover::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes());
        let prover = prover().unwrap();
        let verifier = trusting(&[ROOT.der()]);
        let asked = || {
            let chain = verifier.examined(&prover.payload(), NOW).unwrap();
            chain.challenge(Nonce::new(NONCE))
        };
        let answer = |challenge: &Challenge| {
            prover
                .answer(&challenge.message(), Nonce::new(OWN))
                .unwrap()
        };
        let challenge = asked();
        let good = answer(&challenge);
        let proven = challenge.answered(&good, &Patience::none()).unwrap();
        let Subject::Certificate(certificate) = proven.subject() else {
            panic!("{proven:?}");
        };
        assert_eq!(certificate.key, kind);

        // The same answer to another nonce is nothing.
        let chain = verifier.examined(&prover.payload(), NOW).unwrap();
        let error = chain
            .challenge(Nonce::new([8; NONCE_BYTES]))
            .answered(&good, &Patience::none())
            .unwrap_err();
        assert_eq!(error.reason(), "possession_unproven");
        assert!(!format!("{prover:?}").contains(&key.serialize_pem()));
    }
}

#[test]
fn keys_are_read_in_each_form_that_openssl_writes() {
    use p384::pkcs8::{EncodePrivateKey as _, LineEnding};
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let leaf = leaf().signed_by(&key, &*ROOT).unwrap();
    let secret = p384::SecretKey::from_pkcs8_der(&key.serialize_der()).unwrap();
    let sec1 = pem_of("EC PRIVATE KEY", secret.to_sec1_der().unwrap().as_slice());
    let pkcs8 = secret.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    for text in [sec1, pkcs8] {
        assert!(Prover::from_pem(leaf.pem().as_bytes(), text.as_bytes()).is_ok());
    }
    let leaf = super_leaf(&RSA);
    let pkcs1 = rsa::PrivateKey::from_pkcs8_der(&RSA.serialize_der()).unwrap();
    let pkcs1 = rsa::pkcs1::EncodeRsaPrivateKey::to_pkcs1_der(&pkcs1).unwrap();
    let text = pem_of("RSA PRIVATE KEY", pkcs1.as_bytes());
    assert!(Prover::from_pem(leaf.as_bytes(), text.as_bytes()).is_ok());
}

fn super_leaf(key: &KeyPair) -> String {
    leaf().signed_by(key, &*ROOT).unwrap().pem()
}

fn pem_of(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

#[test]
fn certificates_one_behind_the_other_are_read_as_the_workload_api_gives_them() {
    let key = KeyPair::generate().unwrap();
    let leaf = leaf().signed_by(&key, &*ROOT).unwrap();
    let of = |der: &[u8], key: &KeyPair| Prover::from_der(der, &key.serialize_der());
    let both = [leaf.der().as_ref(), ROOT.der().as_ref()].concat();
    let prover = of(&both, &key).unwrap();
    let in_pem = leaf.pem() + &ROOT.pem();
    let same = Prover::from_pem(in_pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    assert_eq!(prover.payload(), same.payload());
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let (from, until) = prover.validity().unwrap();
    assert!(from < now && now < until);

    let told = |der: &[u8], key: &KeyPair| of(der, key).unwrap_err().to_string();
    assert_eq!(told(&[], &key), "no certificates found in the file");
    for wrong in [&both[..both.len() - 1], &[&both[..], &[0x30]].concat()] {
        assert_eq!(told(wrong, &key), "certificate cannot be read");
    }
    assert_eq!(
        told(&both, &KeyPair::generate().unwrap()),
        "private key does not match the certificate's public key"
    );
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_before_anything_is_sent() {
    let key = KeyPair::generate().unwrap();
    let leaf = super_leaf(&key);
    let told = |certificate: &str, key: &str| {
        let prover = Prover::from_pem(certificate.as_bytes(), key.as_bytes());
        prover.unwrap_err().to_string()
    };
    let own = key.serialize_pem();
    assert!(Prover::from_pem(leaf.as_bytes(), own.as_bytes()).is_ok());
    let other = KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(
        told(&leaf, &other),
        "private key does not match the certificate's public key"
    );
    assert_eq!(
        told(&leaf, &RSA.serialize_pem()),
        "private key cannot be read as one of the certificate's kind"
    );
    assert_eq!(told(&leaf, &leaf), "no private key found in the file");
    assert_eq!(told(&own, &own), "no certificates found in the file");
    let edwards = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    assert_eq!(
        told(&super_leaf(&edwards), &edwards.serialize_pem()),
        "certificate has a key of an unsupported kind: Ed25519"
    );

    let prover = Prover::from_pem(leaf.as_bytes(), own.as_bytes()).unwrap();
    let answer = |challenge: Value| {
        let challenge = challenge.to_string();
        prover
            .answer(challenge.as_bytes(), Nonce::new(OWN))
            .map(drop)
    };
    let nonce = STANDARD.encode(NONCE);
    let arm = |nonce: &str| json!({"ecdsa_signature": {"nonce": nonce}, "rsa_signature": null});
    assert!(answer(arm(&nonce)).is_ok());
    for (wrong, kind) in [
        (
            json!({"rsa_signature": {"nonce": nonce}, "ecdsa_signature": null}),
            true,
        ),
        (json!({}), true),
        (arm("AAAA"), false),
        (arm("?"), false),
        (json!({"ecdsa_signature": {}}), false),
        (json!({"ecdsa_signature": 1}), false),
        (json!([]), false),
    ] {
        let error = answer(wrong.clone()).unwrap_err();
        let expected = if kind {
            "challenge is not for the certificate's kind of key"
        } else {
            "challenge is malformed"
        };
        assert_eq!(error.to_string(), expected, "{wrong}");
    }
}

#[test]
fn the_peer_is_where_its_certificate_says() {
    let key = KeyPair::generate().unwrap();
    let leaf = leaf().signed_by(&key, &*ROOT).unwrap();
    let verifier = CertificateVerifier {
        verify_client_ip: true,
        ..trusting(&[ROOT.der()])
    };
    let patience = Patience::none();
    let from = |client_address| {
        let surroundings = Surroundings {
            client_address,
            ..Surroundings::within(&patience)
        };
        verifier
            .examine(&payload(&[leaf.der()]), NOW, &surroundings)
            .map(drop)
            .map_err(|error| error.reason())
    };
    assert_eq!(from(Some("192.0.2.7")), Ok(()));
    assert_eq!(from(Some("::ffff:192.0.2.7")), Ok(()));
    assert_eq!(from(Some("192.0.2.8")), Err("client_address_mismatch"));
    assert_eq!(from(Some("node-7")), Err("client_address_unknown"));
    assert_eq!(from(None), Err("client_address_unknown"));
}

#[derive(Debug)]
struct Bundle(Vec<CertificateDer<'static>>);

impl BundleSource for Bundle {
    fn authorities(&self, _: &Patience) -> Result<TrustedAuthorities, BundleError> {
        TrustedAuthorities::from_der(self.0.clone()).map_err(|error| BundleError(error.to_string()))
    }
}

#[test]
fn in_spiffe_mode_an_svid_of_the_trust_domain_below_the_prefix_is_evidence() {
    let key = KeyPair::generate().unwrap();
    let verifier = CertificateVerifier {
        trust: Trust::Domain(SvidRule {
            trust_domain: "example.org".to_owned(),
            prefix: "/spire-exchange/".to_owned(),
        }),
        ..trusting(&[ROOT.der()])
    };
    let patience = Patience::none();
    let proven = |uris: &[&str], bundle: Option<&dyn BundleSource>| {
        let mut params = leaf();
        params.subject_alt_names = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()))
            .collect();
        let leaf = params.signed_by(&key, &*ROOT).unwrap();
        let surroundings = Surroundings {
            bundle,
            ..Surroundings::within(&patience)
        };
        let prover = Prover::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes());
        let prover = prover.unwrap();
        let chain = verifier
            .examine(&prover.payload(), NOW, &surroundings)
            .map_err(|error| error.reason())?;
        let challenge = chain.challenge(Nonce::new(NONCE));
        let answer = prover
            .answer(&challenge.message(), Nonce::new(OWN))
            .unwrap();
        challenge
            .answered(&answer, &Patience::none())
            .map(drop)
            .map_err(|error| error.reason())
    };
    let bundle = Bundle(vec![ROOT.der().clone()]);
    let svid = "spiffe://example.org/spire-exchange/rack/7";
    let by = |uris: &[&str]| proven(uris, Some(&bundle));
    assert_eq!(by(&[svid]), Ok(()));
    assert_eq!(by(&[]), Err("svid_missing"));
    assert_eq!(by(&[svid, svid]), Err("svid_missing"));
    assert_eq!(
        by(&["https://example.org/spire-exchange/a"]),
        Err("svid_missing")
    );
    let foreign = "spiffe://example.org.evil/spire-exchange/rack/7";
    assert_eq!(by(&[foreign]), Err("svid_foreign"));
    assert_eq!(by(&["spiffe://example.org/rack/7"]), Err("svid_prefix"));
    assert_eq!(
        by(&["spiffe://example.org/spire-exchange/"]),
        Err("svid_prefix")
    );
    assert_eq!(by(&["spiffe://example.org"]), Err("svid_prefix"));

    // An empty bundle trusts nobody, and never the system's authorities.
    let empty = Bundle(Vec::new());
    assert_eq!(
        proven(&[svid], Some(&empty)),
        Err("trust_bundle_unavailable")
    );
    assert_eq!(proven(&[svid], None), Err("trust_bundle_unavailable"));
    let other = Bundle(vec![root("other").der().clone()]);
    assert_eq!(proven(&[svid], Some(&other)), Err("chain_untrusted"));
}
