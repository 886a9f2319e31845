//! Hostile chains and hostile answers, each with the check that stops it.
//!
//! Each table begins with what passes: everything behind it is the same with
//! one thing wrong.

use super::*;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rcgen::{CustomExtension, GeneralSubtree, NameConstraints, PublicKeyData as _};
use sha2::Digest as _;

/// What a peer sends, the verifier that looks at it, and what comes of it.
type Sent = (&'static str, Vec<u8>, Result<(), &'static str>);

fn encoded(chain: &[&[u8]]) -> Vec<u8> {
    let chain: Vec<_> = chain.iter().map(|der| STANDARD.encode(der)).collect();
    json!({ "certificates": chain }).to_string().into_bytes()
}

fn outcomes(verifier: &CertificateVerifier, now: u64, sent: Vec<Sent>) -> usize {
    let count = sent.len();
    for (what, payload, expected) in sent {
        let outcome = verifier.examined(&payload, now).map(drop);
        assert_eq!(outcome.map_err(|error| error.reason()), expected, "{what}");
    }
    count
}

/// Text in the place of the whole payload, of its list, or of a certificate.
#[test]
fn payloads() {
    let key = KeyPair::generate().unwrap();
    let own = leaf().signed_by(&key, &*ROOT).unwrap();
    let good = STANDARD.encode(own.der());
    let list = |entry: &str| format!(r#"{{"certificates":["{entry}"]}}"#);
    let malformed = Err("chain_malformed");
    let unreadable = Err("certificate_unreadable");
    let text = |what, text: String, expected| (what, text.into_bytes(), expected);
    let mut unpadded = good.trim_end_matches('=').to_owned();
    if unpadded == good {
        let _last = unpadded.pop();
    }
    let der = own.der().as_ref();
    let mut indefinite = der.to_vec();
    indefinite[1] = 0x80;
    let request = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let cases = vec![
        text("as it should be", list(&good), Ok(())),
        text("nothing in it", "{}".to_owned(), Err("certificate_missing")),
        text(
            "null",
            r#"{"certificates":null}"#.to_owned(),
            Err("certificate_missing"),
        ),
        text(
            "an empty list",
            r#"{"certificates":[]}"#.to_owned(),
            Err("certificate_missing"),
        ),
        text("no JSON", "certificates".to_owned(), malformed),
        text(
            "cut short",
            list(&good).chars().take(40).collect(),
            malformed,
        ),
        text("more behind it", list(&good) + "{}", malformed),
        text("a list", format!(r#"["{good}"]"#), malformed),
        text(
            "the member twice",
            format!(r#"{{"certificates":["{good}"],"certificates":["{good}"]}}"#),
            malformed,
        ),
        text(
            "a certificate in the place of the list",
            format!(r#"{{"certificates":"{good}"}}"#),
            malformed,
        ),
        text("a number", r#"{"certificates":[1]}"#.to_owned(), malformed),
        text(
            "null in it",
            r#"{"certificates":[null]}"#.to_owned(),
            malformed,
        ),
        text(
            "deeper than anybody writes",
            format!(
                r#"{{"certificates":{}{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            ),
            malformed,
        ),
        text("base64 without its padding", list(&unpadded), malformed),
        text(
            "white space in it",
            list(&good.replacen('M', "M ", 1)),
            malformed,
        ),
        text(
            "the alphabet of URLs",
            list(&good.replacen('M', "-", 1)),
            malformed,
        ),
        text("PEM", list(&own.pem().replace('\n', "\\n")), malformed),
        text("an empty text", list(""), unreadable),
        (
            "one byte too few",
            encoded(&[der.split_last().unwrap().1]),
            unreadable,
        ),
        (
            "one byte too many",
            encoded(&[&[der, &[0]].concat()]),
            unreadable,
        ),
        ("BER's open length", encoded(&[&indefinite]), unreadable),
        ("two in one", encoded(&[&[der, der].concat()]), unreadable),
        ("a request for one", encoded(&[request.der()]), unreadable),
        (
            "a key alone",
            encoded(&[&key.subject_public_key_info()]),
            unreadable,
        ),
        (
            "an intermediate that is none",
            encoded(&[der, b"no"]),
            unreadable,
        ),
        (
            "more than are parsed, though none could be",
            encoded(&[der, b"1", b"2", b"3", b"4", b"5"]),
            Err("too_many_intermediates"),
        ),
    ];
    assert_eq!(outcomes(&trusting(&[ROOT.der()]), NOW, cases), 26);
}

/// A leaf below an intermediate, both as they should be but for `change`.
fn below(
    authority: impl FnOnce(&mut CertificateParams),
    change: impl FnOnce(&mut CertificateParams),
) -> Vec<u8> {
    let mut params = super::authority("below");
    authority(&mut params);
    let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &*ROOT).unwrap();
    let mut params = leaf();
    change(&mut params);
    let own = params
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    encoded(&[own.der(), issuer.der()])
}

fn unchanged(_: &mut CertificateParams) {}

fn constrained(permitted: &[&str], excluded: &[&str]) -> impl FnOnce(&mut CertificateParams) {
    let trees = |names: &[&str]| {
        let tree = |name: &&str| GeneralSubtree::DnsName((*name).to_owned());
        names.iter().map(tree).collect()
    };
    let constraints = NameConstraints {
        permitted_subtrees: trees(permitted),
        excluded_subtrees: trees(excluded),
    };
    move |params| params.name_constraints = Some(constraints)
}

#[test]
fn chains() {
    let untrusted = Err("chain_untrusted");
    let ended = rcgen::date_time_ymd(2025, 6, 1);
    let later = rcgen::date_time_ymd(2027, 1, 1);
    let other = root("other");
    // Of the same name, by another key.
    let impostor = root("root");
    let key = KeyPair::generate().unwrap();
    let by = |issuer: &Issuer| leaf().signed_by(&key, issuer).unwrap();
    let (own, foreign, forged) = (by(&ROOT), by(&other), by(&impostor));
    let unknown = |critical| {
        move |params: &mut CertificateParams| {
            let mut extension =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
            extension.set_criticality(critical);
            params.custom_extensions = vec![extension];
        }
    };
    let flipped = |at: usize| {
        let mut der = own.der().to_vec();
        let at = der.len() - at;
        der[at] ^= 1;
        encoded(&[&der])
    };
    let usages = |usages: Vec<KeyUsagePurpose>| {
        move |params: &mut CertificateParams| params.key_usages = usages
    };
    let mut cases = vec![
        ("below an intermediate", below(unchanged, unchanged), Ok(())),
        (
            "a leaf whose time is over",
            below(unchanged, |leaf| leaf.not_after = ended),
            untrusted,
        ),
        (
            "a leaf whose time is to come",
            below(unchanged, |leaf| leaf.not_before = later),
            untrusted,
        ),
        (
            "an intermediate whose time is over",
            below(|below| below.not_after = ended, unchanged),
            untrusted,
        ),
        (
            "an intermediate whose time is to come",
            below(|below| below.not_before = later, unchanged),
            untrusted,
        ),
        (
            "an intermediate that is no authority",
            below(|below| below.is_ca = IsCa::ExplicitNoCa, unchanged),
            untrusted,
        ),
        (
            "an intermediate that says nothing of it",
            below(|below| below.is_ca = IsCa::NoCa, unchanged),
            untrusted,
        ),
        (
            "an intermediate that may not sign certificates",
            below(usages(vec![KeyUsagePurpose::DigitalSignature]), unchanged),
            untrusted,
        ),
        (
            "a leaf that is an authority",
            below(unchanged, |leaf| {
                leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            untrusted,
        ),
        (
            "names that the authority may sign",
            below(constrained(&["example.org"], &[]), unchanged),
            Ok(()),
        ),
        (
            "names that it may not",
            below(constrained(&["example.com"], &[]), unchanged),
            untrusted,
        ),
        (
            "names that are taken out",
            below(constrained(&[], &["example.org"]), unchanged),
            untrusted,
        ),
        (
            "an extension that nobody has to know",
            below(unchanged, unknown(false)),
            Ok(()),
        ),
        (
            "one that everybody has to",
            below(unchanged, unknown(true)),
            untrusted,
        ),
        (
            "one in the intermediate",
            below(unknown(true), unchanged),
            untrusted,
        ),
        (
            "a key for nothing in particular",
            below(unchanged, usages(Vec::new())),
            Err("key_usage"),
        ),
        (
            "a key for encryption",
            below(unchanged, usages(vec![KeyUsagePurpose::KeyEncipherment])),
            Err("key_usage"),
        ),
        ("by the root itself", encoded(&[own.der()]), Ok(())),
        ("by somebody else", encoded(&[foreign.der()]), untrusted),
        (
            "by somebody else, who comes along",
            encoded(&[foreign.der(), other.der()]),
            untrusted,
        ),
        (
            "by somebody of the root's name",
            encoded(&[forged.der()]),
            untrusted,
        ),
        (
            "by somebody of the root's name, who comes along",
            encoded(&[forged.der(), impostor.der()]),
            untrusted,
        ),
        (
            "by itself",
            encoded(&[leaf().self_signed(&key).unwrap().der()]),
            untrusted,
        ),
        (
            "the root, in the place of a leaf",
            encoded(&[ROOT.der()]),
            untrusted,
        ),
        ("the signature changed", flipped(1), untrusted),
    ];
    let edwards = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let edwards = leaf().signed_by(&edwards, &*ROOT).unwrap();
    cases.push((
        "a key of Ed25519",
        encoded(&[edwards.der()]),
        Err("key_unsupported"),
    ));
    assert_eq!(outcomes(&trusting(&[ROOT.der()]), NOW, cases), 26);

    // A root's own bounds.
    let path = encoded(&[own.der()]);
    let late = 1_900_000_000;
    let ends = vec![("an authority whose time is over", path, untrusted)];
    assert_eq!(outcomes(&trusting(&[ROOT.der()]), late, ends), 1);
    let mut params = authority("short");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let below = authority("below");
    let below = CertifiedIssuer::signed_by(below, KeyPair::generate().unwrap(), &short).unwrap();
    let (near, far) = (by(&short), by(&below));
    let lengths = vec![
        ("as far as it goes", encoded(&[near.der()]), Ok(())),
        ("one further", encoded(&[far.der(), below.der()]), untrusted),
    ];
    assert_eq!(outcomes(&trusting(&[short.der()]), NOW, lengths), 2);
}

/// Authorities that sign each other lead nowhere, and back to the root where
/// one of them is the root's.
#[test]
fn loops() {
    let (one, two) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let own = |name, key: &KeyPair| {
        CertifiedIssuer::self_signed(
            authority(name),
            KeyPair::from_pem(&key.serialize_pem()).unwrap(),
        )
        .unwrap()
    };
    let (first, second) = (own("one", &one), own("two", &two));
    let first_by_second = authority("one").signed_by(&one, &second).unwrap();
    let second_by_first = authority("two").signed_by(&two, &first).unwrap();
    let first_by_root = authority("one").signed_by(&one, &*ROOT).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = leaf().signed_by(&key, &first).unwrap();
    let cases = vec![
        (
            "a loop with a way out",
            encoded(&[
                own.der(),
                first_by_second.der(),
                second_by_first.der(),
                first_by_root.der(),
            ]),
            Ok(()),
        ),
        (
            "a loop",
            encoded(&[own.der(), first_by_second.der(), second_by_first.der()]),
            Err("chain_untrusted"),
        ),
        (
            "a loop with its own roots",
            encoded(&[
                own.der(),
                first_by_second.der(),
                second_by_first.der(),
                first.der(),
                second.der(),
            ]),
            Err("chain_untrusted"),
        ),
    ];
    assert_eq!(outcomes(&trusting(&[ROOT.der()]), NOW, cases), 3);
}

/// A member of the arm of an answer replaced.
fn with(answer: &Value, arm: &str, member: &str, value: Value) -> Value {
    let mut answer = answer.clone();
    answer[arm][member] = value;
    answer
}

#[test]
fn answers_by_ecdsa() {
    const ARM: &str = "ecdsa_signature";
    let key = KeyPair::generate().unwrap();
    let sign = |key: &KeyPair, message: &[u8]| {
        signed_by_ecdsa(key, &ECDSA_P256_SHA256_ASN1_SIGNING, message)
    };
    let good = sign(&key, &both(&NONCE, &OWN));
    let replaced = |member, value: Value| with(&good, ARM, member, value);
    let base64 = |bytes: &[u8]| json!(STANDARD.encode(bytes));
    let order = "/////wAAAAD//////////7zm+q2nF56E87nKwvxjJVE=";
    let digest = Sha256::digest(both(&NONCE, &OWN));
    let unproven = Err("possession_unproven");
    let malformed = Err("response_malformed");
    let nonce = Err("nonce_malformed");
    let kind = Err("response_kind");
    let swapped = json!({ARM: {
        "nonce": good[ARM]["nonce"], "r": good[ARM]["s"], "s": good[ARM]["r"],
    }});
    let cases: Vec<(&str, Value, Result<(), &str>)> = vec![
        ("as it should be", good.clone(), Ok(())),
        (
            "another key's",
            sign(&KeyPair::generate().unwrap(), &both(&NONCE, &OWN)),
            unproven,
        ),
        ("over the challenge alone", sign(&key, &NONCE), unproven),
        ("over its own nonce alone", sign(&key, &OWN), unproven),
        (
            "the other way round",
            sign(&key, &both(&OWN, &NONCE)),
            unproven,
        ),
        ("hashed twice", sign(&key, &digest), unproven),
        (
            "of another challenge",
            sign(&key, &both(&[8; 32], &OWN)),
            unproven,
        ),
        (
            "its own nonce changed",
            replaced("nonce", base64(&[1; 32])),
            unproven,
        ),
        ("its numbers swapped", swapped, unproven),
        ("r is nothing", replaced("r", json!("")), unproven),
        ("s is nothing", replaced("s", json!("")), unproven),
        ("r is zero", replaced("r", base64(&[0])), unproven),
        ("s is zero", replaced("s", base64(&[0; 32])), unproven),
        ("r is the order", replaced("r", json!(order)), unproven),
        ("s is the order", replaced("s", json!(order)), unproven),
        (
            "r is longer than any",
            replaced("r", base64(&[1; 67])),
            unproven,
        ),
        (
            "s is longer than any",
            replaced("s", base64(&[1; 4096])),
            unproven,
        ),
        ("r is null", replaced("r", Value::Null), unproven),
        ("r is a number", replaced("r", json!(1)), malformed),
        ("r is no base64", replaced("r", json!("?")), malformed),
        (
            "a nonce of 31 bytes",
            replaced("nonce", base64(&[9; 31])),
            nonce,
        ),
        (
            "a nonce of 33 bytes",
            replaced("nonce", base64(&[9; 33])),
            nonce,
        ),
        ("no nonce", replaced("nonce", Value::Null), nonce),
        (
            "a nonce that is no base64",
            replaced("nonce", json!("????")),
            malformed,
        ),
        (
            "RSA's arm",
            json!({"rsa_signature": good[ARM], ARM: null}),
            kind,
        ),
        ("no arm", json!({"rsa_signature": null, ARM: null}), kind),
        ("nothing", json!({}), kind),
        ("an arm of text", json!({ARM: "x"}), malformed),
        ("a list", json!([good]), malformed),
        ("null", Value::Null, malformed),
    ];
    assert_eq!(cases.len(), 30);
    for (what, answer, expected) in cases {
        let outcome = answered(challenge(&key), &answer).map(drop);
        assert_eq!(outcome.map_err(|error| error.reason()), expected, "{what}");
    }
    for (what, answer) in [
        ("empty", String::new()),
        ("cut short", good.to_string().chars().take(60).collect()),
        (
            "an arm twice",
            good.to_string()
                .replacen("{", r#"{"ecdsa_signature":null,"#, 1),
        ),
    ] {
        let error = challenge(&key)
            .answered(answer.as_bytes(), &Patience::none())
            .unwrap_err();
        assert_eq!(error.reason(), "response_malformed", "{what}");
    }
}

#[test]
fn answers_by_rsa() {
    const ARM: &str = "rsa_signature";
    let message = both(&NONCE, &OWN);
    let good = signed_by_rsa(&RSA, 222, &message);
    let signature = STANDARD
        .decode(good[ARM]["signature"].as_str().unwrap())
        .unwrap();
    let signed = |bytes: &[u8]| with(&good, ARM, "signature", json!(STANDARD.encode(bytes)));
    let key = rsa::PrivateKey::from_pkcs8_der(&RSA.serialize_der()).unwrap();
    let mut pkcs1 = vec![0; 256];
    RsaKeyPair::from_pkcs8(&RSA.serialize_der())
        .unwrap()
        .sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            &message,
            &mut pkcs1,
        )
        .unwrap();
    let longer_hash = pss::SigningKey::<sha2::Sha512>::new_with_salt_len(key, 32).sign(&message);
    let mut changed = signature.clone();
    changed[0] ^= 1;
    let other = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let unproven = Err("possession_unproven");
    let cases: Vec<(&str, Value, Result<(), &str>)> = vec![
        ("as it should be", good.clone(), Ok(())),
        (
            "another key's",
            signed_by_rsa(&other, 222, &message),
            unproven,
        ),
        (
            "over the challenge alone",
            signed_by_rsa(&RSA, 222, &NONCE),
            unproven,
        ),
        (
            "the other way round",
            signed_by_rsa(&RSA, 222, &both(&OWN, &NONCE)),
            unproven,
        ),
        (
            "hashed twice",
            signed_by_rsa(&RSA, 222, &Sha256::digest(&message)),
            unproven,
        ),
        ("PKCS#1 v1.5", signed(&pkcs1), unproven),
        (
            "PSS with SHA-512",
            signed(&longer_hash.to_bytes()),
            unproven,
        ),
        ("a bit changed", signed(&changed), unproven),
        ("a byte too few", signed(&signature[1..]), unproven),
        (
            "a byte too many",
            signed(&[&signature[..], &[0]].concat()),
            unproven,
        ),
        (
            "a zero before it",
            signed(&[&[0], &signature[..]].concat()),
            unproven,
        ),
        ("empty", signed(&[]), unproven),
        ("all ones", signed(&[0xff; 256]), unproven),
        ("zero", signed(&[0; 256]), unproven),
        ("one", signed(&[&[0; 255][..], &[1]].concat()), unproven),
        ("a megabyte", signed(&vec![7; 1 << 20]), unproven),
        (
            "ECDSA's arm",
            json!({"ecdsa_signature": good[ARM], ARM: null}),
            Err("response_kind"),
        ),
    ];
    assert_eq!(cases.len(), 17);
    for (what, answer, expected) in cases {
        let outcome = answered(challenge(&RSA), &answer).map(drop);
        assert_eq!(outcome.map_err(|error| error.reason()), expected, "{what}");
    }
}
