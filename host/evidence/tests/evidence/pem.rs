//! Key files in PEM: what is read, skipped and refused.

use nameplate_evidence::{KeyKind, KeySet, MAX_KEY_FILE_BYTES, MAX_KEYS};
use x509_cert::der::Encode as _;
use x509_cert::der::asn1::UintRef;

use crate::support::{P256, P384, P521, RSA, RSA_LONG, chain, pem};

fn refused(file: &str) -> String {
    chain(&KeySet::from_pem(file.as_bytes()).unwrap_err())
}

fn refused_key(file: &str) -> String {
    let text = refused(file);
    let begin = "the PEM block that begins in line 1 cannot be used: ";
    text.strip_prefix(begin)
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

#[test]
fn a_file_may_hold_keys_of_every_kind() {
    let file = format!(
        "# two API servers\n{}{}{}{}-----BEGIN EC PARAMETERS-----\nnot read\n-----END EC PARAMETERS-----\n{}",
        RSA.pem(),
        P256.pem(),
        P384.pem(),
        P521.pem(),
        pem("RSA PUBLIC KEY", RSA_LONG.raw()),
    );
    let keys = KeySet::from_pem(file.as_bytes()).unwrap();
    assert_eq!(keys.len(), 5);
    let seen: Vec<_> = keys
        .descriptions()
        .map(|key| (key.kind(), key.bits(), key.to_string()))
        .collect();
    let expected = [
        (KeyKind::Rsa, 2048, "RSA 2048 bits"),
        (KeyKind::P256, 256, "P-256"),
        (KeyKind::P384, 384, "P-384"),
        (KeyKind::P521, 521, "P-521"),
        (KeyKind::Rsa, 3072, "RSA 3072 bits"),
    ];
    assert_eq!(
        seen,
        expected.map(|(kind, bits, text)| (kind, bits, text.to_owned()))
    );
    assert!(keys.descriptions().all(|key| key.kid().is_none()));
    assert_eq!(
        format!("{keys:?}"),
        "[RSA 2048 bits, P-256, P-384, P-521, RSA 3072 bits]"
    );
}

#[test]
fn a_file_holds_a_key() {
    assert_eq!(refused(""), "key file holds no key");
    assert_eq!(refused("nothing here\n"), "key file holds no key");
    assert_eq!(refused(&pem("X509 CRL", &[0])), "key file holds no key");
}

#[test]
fn a_file_holds_100_keys_at_most() {
    assert_eq!(
        KeySet::from_pem(P256.pem().repeat(MAX_KEYS).as_bytes())
            .unwrap()
            .len(),
        100
    );
    assert_eq!(
        refused(&P256.pem().repeat(MAX_KEYS + 1)),
        "key file holds 101 keys, more than 100"
    );
}

#[test]
fn a_file_has_a_mebibyte_at_most() {
    let file = |length: usize| {
        let mut file = RSA.pem();
        file.extend(std::iter::repeat_n(' ', length - file.len()));
        file
    };
    assert!(KeySet::from_pem(file(MAX_KEY_FILE_BYTES).as_bytes()).is_ok());
    assert_eq!(
        refused(&file(MAX_KEY_FILE_BYTES + 1)),
        "key file is 1,048,577 bytes long, more than 1,048,576 bytes"
    );
}

#[test]
fn a_private_key_is_refused() {
    let text = "it is a private key; give the public key, and treat this file as a leaked secret";
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    ] {
        assert_eq!(refused_key(&pem(label, &P256.private())), text);
        let file = format!("{}{}", P256.pem(), pem(label, &P256.private()));
        assert!(refused(&file).ends_with(text), "{label}");
    }
}

#[test]
fn a_damaged_file_is_refused() {
    let good = RSA.pem();
    assert!(KeySet::from_pem(format!("{good}trailing text").as_bytes()).is_ok());
    assert_eq!(
        refused(&format!("{good}{}", good.replace("-----END", "-----FIN"))),
        "key file is not PEM: line 18 is a broken or misplaced PEM boundary"
    );
    assert_eq!(
        refused(&format!("{good}-----BEGIN PUBLIC KEY-----\nAAAA")),
        "key file is not PEM: the PEM block that begins in line 10 does not end"
    );
    assert_eq!(
        refused(&good.replacen("MII", "M:I", 1)),
        "key file is not PEM: the PEM block that begins in line 1 is not base64"
    );
    let mut der = RSA.spki();
    der.push(0);
    assert!(refused_key(&pem("PUBLIC KEY", &der)).starts_with("the public key cannot be read: "));
    assert!(
        refused_key(&pem("RSA PUBLIC KEY", &RSA.spki()))
            .starts_with("the public key cannot be read: ")
    );
    assert!(
        refused_key(&pem("CERTIFICATE", &RSA.spki()))
            .starts_with("the certificate cannot be read: ")
    );
}

/// `RSAPublicKey` with a modulus of that many bits, all of them set.
fn rsa(bits: usize, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] = 0xff >> (modulus.len() * 8 - bits);
    [
        UintRef::new(&modulus).unwrap(),
        UintRef::new(exponent).unwrap(),
    ]
    .to_der()
    .unwrap()
}

#[test]
fn an_rsa_key_has_2048_to_8192_bits() {
    let file = |bits| pem("RSA PUBLIC KEY", &rsa(bits, &[1, 0, 1]));
    for bits in [2048, 2049, 4096, 8192] {
        let keys = KeySet::from_pem(file(bits).as_bytes()).unwrap();
        let seen = keys.descriptions().next().unwrap().bits();
        assert_eq!(usize::try_from(seen).unwrap(), bits);
    }
    for bits in [1024, 2047, 8193, 65_000] {
        assert_eq!(
            refused_key(&file(bits)),
            format!("the RSA key has {bits} bits, and only 2048 to 8192 bits are accepted")
        );
    }
}

#[test]
fn an_rsa_exponent_is_odd_and_neither_one_nor_huge() {
    let file = |exponent: &[u8]| pem("RSA PUBLIC KEY", &rsa(2048, exponent));
    assert!(KeySet::from_pem(file(&[3]).as_bytes()).is_ok());
    for exponent in [&[0][..], &[1], &[2], &[1, 0, 0], &[0x7f; 16]] {
        assert!(
            KeySet::from_pem(file(exponent).as_bytes()).is_err(),
            "{exponent:?}"
        );
    }
}

#[test]
fn keys_of_other_kinds_are_named() {
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert_eq!(
        refused_key(&ed25519.public_key_pem()),
        "Ed25519 keys are not supported; give an RSA, P-256, P-384 or P-521 key"
    );
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&ed25519)
        .unwrap();
    assert_eq!(
        refused_key(&certificate.pem()),
        "Ed25519 keys are not supported; give an RSA, P-256, P-384 or P-521 key"
    );
    // The same point under the name of another curve.
    let p256 = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let spki = P256.spki();
    let at = spki.windows(10).position(|window| window == p256).unwrap();
    let mut other = spki.clone();
    other[at + 9] = 1;
    assert_eq!(
        refused_key(&pem("PUBLIC KEY", &other)),
        "1.2.840.10045.3.1.1 keys are not supported; give an RSA, P-256, P-384 or P-521 key"
    );
}

#[test]
fn a_point_is_on_its_curve_and_written_in_full() {
    let mut spki = P256.spki();
    let last = spki.len() - 1;
    spki[last] ^= 1;
    assert!(
        refused_key(&pem("PUBLIC KEY", &spki))
            .starts_with("the key is refused by the cryptographic library: ")
    );
    let begin = spki.len() - 65;
    spki[begin] = 2;
    assert_eq!(
        refused_key(&pem("PUBLIC KEY", &spki)),
        "it is not an uncompressed curve point"
    );
}
