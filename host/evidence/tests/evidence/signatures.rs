//! Every algorithm with every kind of key, and every way to mix them up.

use aws_lc_rs::hmac;
use jsonwebtoken::{Algorithm, EncodingKey};
use nameplate_evidence::{KeySet, ServiceAccount};
use serde_json::json;
use x509_cert::der::asn1::{AnyRef, OctetStringRef, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

use crate::support::{
    Key, P256, P256_OTHER, P384, P384_OTHER, P521, P521_OTHER, RSA, RSA_ALGORITHMS, RSA_LONG,
    RSA_OTHER, chain, claims, claims_with, encode, pem, refused, set, token, token_of, verify_with,
};

/// Every pair of algorithm and key that belong together.
fn pairs() -> Vec<(&'static str, &'static Key, &'static Key)> {
    let mut pairs: Vec<(&str, &Key, &Key)> = Vec::new();
    for algorithm in RSA_ALGORITHMS {
        pairs.push((algorithm, &RSA, &RSA_OTHER));
        pairs.push((algorithm, &RSA_LONG, &RSA_OTHER));
    }
    pairs.push(("ES256", &P256, &P256_OTHER));
    pairs.push(("ES384", &P384, &P384_OTHER));
    pairs.push(("ES512", &P521, &P521_OTHER));
    pairs
}

const NO_KEY_FITS: &str = "signature fits no key (of 1 tried)";

#[test]
fn every_algorithm_verifies_with_its_key_and_no_other() {
    for (algorithm, key, other) in pairs() {
        let good = token(key, algorithm, &claims());
        assert_eq!(
            verify_with(key.keys(), &good).unwrap().name,
            "spire-agent",
            "{algorithm}"
        );
        let jwks = KeySet::from_jwks(set(&[key.jwk("a")]).as_bytes()).unwrap();
        assert!(verify_with(jwks, &good).is_ok(), "{algorithm}");

        let result = verify_with(other.keys(), &good);
        assert_eq!(
            refused(result),
            ("signature_invalid", NO_KEY_FITS.to_owned()),
            "{algorithm}"
        );
    }
}

#[test]
fn every_algorithm_covers_header_and_claims() {
    for (algorithm, key, _) in pairs() {
        let good = token(key, algorithm, &claims());
        let changed = token(key, algorithm, &claims_with("jti", json!("f1a4")));
        let [header, _, signature] = *good.split('.').collect::<Vec<_>>() else {
            panic!()
        };
        let [_, claims, _] = *changed.split('.').collect::<Vec<_>>() else {
            panic!()
        };
        let forged = format!("{header}.{claims}.{signature}");
        assert_eq!(
            refused(verify_with(key.keys(), &forged)).0,
            "signature_invalid"
        );

        let header = encode(json!({"alg": algorithm, "typ": "JWT"}).to_string());
        let claims = good.split('.').nth(1).unwrap();
        let forged = format!("{header}.{claims}.{signature}");
        assert_eq!(
            refused(verify_with(key.keys(), &forged)).0,
            "signature_invalid"
        );
    }
}

#[test]
fn a_signature_has_its_exact_length() {
    for (algorithm, key, _) in pairs() {
        let good = token(key, algorithm, &claims());
        let (input, _) = good.rsplit_once('.').unwrap();
        let signature = key.sign(algorithm, input.as_bytes());
        for wrong in [&[][..], &signature[1..], &[&[0], &signature[..]].concat()] {
            let forged = format!("{input}.{}", encode(wrong));
            assert_eq!(
                refused(verify_with(key.keys(), &forged)).0,
                "signature_invalid"
            );
        }
        let zeros = format!("{input}.{}", encode(vec![0; signature.len()]));
        assert_eq!(
            refused(verify_with(key.keys(), &zeros)).0,
            "signature_invalid"
        );
    }
}

#[test]
fn the_algorithms_of_an_rsa_key_are_not_interchangeable() {
    for signed in RSA_ALGORITHMS {
        for named in RSA_ALGORITHMS {
            let header = json!({ "alg": named }).to_string();
            let token = token_of(&RSA, signed, &header, &claims().to_string());
            let result = verify_with(RSA.keys(), &token);
            if signed == named {
                assert!(result.is_ok());
            } else {
                assert_eq!(
                    refused(result).0,
                    "signature_invalid",
                    "{signed} as {named}"
                );
            }
        }
    }
}

#[test]
fn an_algorithm_of_another_key_is_not_tried() {
    let keys: [(&Key, &str); 4] = [
        (&RSA, "RS256"),
        (&P256, "ES256"),
        (&P384, "ES384"),
        (&P521, "ES512"),
    ];
    for (key, own) in keys {
        for (_, named) in keys.iter().filter(|(_, named)| *named != own) {
            let header = json!({ "alg": named }).to_string();
            let token = token_of(key, own, &header, &claims().to_string());
            assert_eq!(
                refused(verify_with(key.keys(), &token)),
                (
                    "algorithm_mismatch",
                    format!("no key is for algorithm `{named}` (of 1 considered)")
                )
            );
        }
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let files = [
        RSA.pem().into_bytes(),
        RSA.spki(),
        RSA.raw().to_vec(),
        Vec::new(),
    ];
    for secret in files {
        for (name, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let header = encode(json!({ "alg": name }).to_string());
            let input = format!("{header}.{}", encode(claims().to_string()));
            let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), input.as_bytes());
            assert_eq!(
                refused(verify_with(RSA.keys(), &format!("{input}.{}", encode(tag)))),
                (
                    "algorithm_refused",
                    format!("algorithm `{name}` is not accepted")
                )
            );
        }
    }
}

#[test]
fn an_unsigned_token_is_none() {
    for name in ["none", "None", "NONE", "nOnE"] {
        let header = encode(json!({ "alg": name }).to_string());
        let input = format!("{header}.{}", encode(claims().to_string()));
        for token in [
            format!("{input}."),
            token_of(&RSA, "RS256", &json!({"alg": name}).to_string(), "{}"),
        ] {
            assert_eq!(
                refused(verify_with(RSA.keys(), &token)),
                (
                    "algorithm_refused",
                    format!("algorithm `{name}` is not accepted")
                )
            );
        }
    }
}

#[test]
fn a_key_in_the_header_changes_nothing() {
    let mut header = json!({
        "alg": "RS256", "jwk": RSA_OTHER.jwk("a"), "jku": "jwks.json",
        "x5u": "chain.pem", "x5c": ["AAAA"], "x5t": "AAAA",
    });
    let good = token_of(&RSA, "RS256", &header.to_string(), &claims().to_string());
    assert!(verify_with(RSA.keys(), &good).is_ok());
    let forged = token_of(
        &RSA_OTHER,
        "RS256",
        &header.to_string(),
        &claims().to_string(),
    );
    assert_eq!(
        refused(verify_with(RSA.keys(), &forged)).0,
        "signature_invalid"
    );

    header["crit"] = json!(["exp"]);
    let critical = token_of(&RSA, "RS256", &header.to_string(), &claims().to_string());
    assert_eq!(
        refused(verify_with(RSA.keys(), &critical)),
        (
            "header_critical",
            "token header demands extensions (`crit`), and none is supported".to_owned()
        )
    );
}

#[test]
fn without_kid_keys_are_tried_in_order() {
    let file = format!("{}{}{}", P256.pem(), RSA_OTHER.pem(), RSA.pem());
    let keys = KeySet::from_pem(file.as_bytes()).unwrap();
    assert!(verify_with(keys.clone(), &token(&RSA, "RS256", &claims())).is_ok());
    assert!(verify_with(keys.clone(), &token(&P256, "ES256", &claims())).is_ok());
    assert_eq!(
        refused(verify_with(
            keys.clone(),
            &token(&RSA_LONG, "PS512", &claims())
        ))
        .1,
        "signature fits no key (of 2 tried)"
    );
    assert_eq!(
        refused(verify_with(keys, &token(&P384, "ES384", &claims()))).1,
        "no key is for algorithm `ES384` (of 3 considered)"
    );
}

fn with_kid(key: &Key, algorithm: &str, kid: &str) -> String {
    let header = json!({"alg": algorithm, "kid": kid}).to_string();
    token_of(key, algorithm, &header, &claims().to_string())
}

#[test]
fn a_kid_that_matches_chooses_and_another_does_not() {
    let jwks = set(&[RSA.jwk("a"), RSA_OTHER.jwk("b"), P256.jwk("c")]);
    let keys = || KeySet::from_jwks(jwks.as_bytes()).unwrap();

    assert!(verify_with(keys(), &with_kid(&RSA_OTHER, "RS256", "b")).is_ok());
    assert_eq!(
        refused(verify_with(keys(), &with_kid(&RSA_OTHER, "RS256", "a"))).1,
        "signature fits no key (of 1 tried)"
    );
    // The key chosen by `kid` is held to its own algorithms.
    assert_eq!(
        refused(verify_with(keys(), &with_kid(&RSA, "RS256", "c"))).1,
        "no key is for algorithm `RS256` (of 1 considered)"
    );
    // A `kid` that no key has is a hint that does not help.
    assert!(verify_with(keys(), &with_kid(&RSA_OTHER, "RS256", "B")).is_ok());
    assert_eq!(
        refused(verify_with(keys(), &with_kid(&RSA_LONG, "RS256", "B"))).1,
        "signature fits no key (of 2 tried)"
    );
    // Keys from PEM have none.
    assert!(verify_with(RSA.keys(), &with_kid(&RSA, "RS256", "a")).is_ok());
}

#[test]
fn keys_may_share_a_kid_and_each_is_tried() {
    let jwks = set(&[
        RSA.jwk("a"),
        P256.jwk("a"),
        RSA_OTHER.jwk("a"),
        RSA_LONG.jwk("b"),
    ]);
    let keys = || KeySet::from_jwks(jwks.as_bytes()).unwrap();
    for (key, algorithm) in [(&*RSA, "RS256"), (&P256, "ES256"), (&RSA_OTHER, "PS256")] {
        assert!(verify_with(keys(), &with_kid(key, algorithm, "a")).is_ok());
    }
    assert_eq!(
        refused(verify_with(keys(), &with_kid(&RSA_LONG, "RS256", "a"))).1,
        "signature fits no key (of 2 tried)"
    );
}

#[test]
fn a_jwk_with_an_algorithm_serves_no_other() {
    let mut jwk = RSA.jwk("a");
    jwk["alg"] = json!("RS384");
    let keys = || KeySet::from_jwks(set(std::slice::from_ref(&jwk)).as_bytes()).unwrap();
    assert!(verify_with(keys(), &token(&RSA, "RS384", &claims())).is_ok());
    assert_eq!(
        refused(verify_with(keys(), &token(&RSA, "RS256", &claims()))).1,
        "no key is for algorithm `RS256` (of 1 considered)"
    );
}

/// The PKCS #1 key inside PKCS #8, which is what `jsonwebtoken` takes.
fn pkcs1(key: &Key) -> Vec<u8> {
    let pkcs8 = key.private();
    let mut reader = SliceReader::new(&pkcs8).unwrap();
    reader
        .sequence(|info| -> Result<_, x509_cert::der::Error> {
            let _version = UintRef::decode(info)?;
            let _algorithm = AnyRef::decode(info)?;
            Ok(<&OctetStringRef>::decode(info)?.as_bytes().to_vec())
        })
        .unwrap()
}

#[test]
fn tokens_of_jsonwebtoken_are_accepted() {
    let rsa = EncodingKey::from_rsa_der(&pkcs1(&RSA));
    let p256 = EncodingKey::from_ec_der(&P256.private());
    let p384 = EncodingKey::from_ec_der(&P384.private());
    let mint = |algorithm, key| {
        let mut header = jsonwebtoken::Header::new(algorithm);
        header.kid = Some("any".to_owned());
        jsonwebtoken::encode(&header, &claims(), key).unwrap()
    };
    for algorithm in [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ] {
        assert!(
            verify_with(RSA.keys(), &mint(algorithm, &rsa)).is_ok(),
            "{algorithm:?}"
        );
    }
    assert!(verify_with(P256.keys(), &mint(Algorithm::ES256, &p256)).is_ok());
    assert!(verify_with(P384.keys(), &mint(Algorithm::ES384, &p384)).is_ok());
}

#[test]
fn a_token_is_hashed_as_it_was_presented() {
    let text = token(&RSA, "RS256", &claims());
    let account = |text: &str| -> ServiceAccount { verify_with(RSA.keys(), text).unwrap() };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let hex: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(account(&text).token_sha256, hex);
    assert_eq!(account(&format!(" \t{text}\r\n")).token_sha256, hex);
}

#[test]
fn a_certificate_serves_as_its_key() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&pair)
        .unwrap();
    let keys = || KeySet::from_pem(certificate.pem().as_bytes()).unwrap();
    let signer = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &pair.serialize_der(),
    )
    .unwrap();
    let input = format!(
        "{}.{}",
        encode(r#"{"alg":"ES256"}"#),
        encode(claims().to_string())
    );
    let random = aws_lc_rs::rand::SystemRandom::new();
    let signature = signer.sign(&random, input.as_bytes()).unwrap();
    assert!(verify_with(keys(), &format!("{input}.{}", encode(signature))).is_ok());
    assert_eq!(
        refused(verify_with(keys(), &token(&P256, "ES256", &claims()))).0,
        "signature_invalid"
    );
}

#[test]
fn an_ecdsa_signature_in_der_is_refused() {
    let Key::Ec(_, _, pkcs8) = &*P256 else {
        panic!()
    };
    let signer = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        pkcs8,
    )
    .unwrap();
    let input = format!(
        "{}.{}",
        encode(r#"{"alg":"ES256"}"#),
        encode(claims().to_string())
    );
    let signature = signer
        .sign(&aws_lc_rs::rand::SystemRandom::new(), input.as_bytes())
        .unwrap();
    let error = verify_with(P256.keys(), &format!("{input}.{}", encode(signature))).unwrap_err();
    assert_eq!(
        chain(&error),
        "token for cluster `production` is refused: signature fits no key (of 1 tried)"
    );
}

#[test]
fn the_three_forms_of_an_rsa_key_are_one_key() {
    let good = token(&RSA, "RS256", &claims());
    for file in [
        pem("PUBLIC KEY", &RSA.spki()),
        pem("RSA PUBLIC KEY", RSA.raw()),
    ] {
        let keys = KeySet::from_pem(file.as_bytes()).unwrap();
        assert!(verify_with(keys, &good).is_ok());
    }
}
