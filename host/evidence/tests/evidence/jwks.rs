//! JWK Sets: what is read, skipped and refused.

use nameplate_evidence::{KeySet, MAX_KEYS};
use serde_json::{Value, json};

use crate::support::{P256, P384, P521, RSA, RSA_LONG, chain, encode, set};

fn load(keys: &[Value]) -> KeySet {
    KeySet::from_jwks(set(keys).as_bytes()).unwrap()
}

fn refused(file: &str) -> String {
    chain(&KeySet::from_jwks(file.as_bytes()).unwrap_err())
}

/// Why a set is refused whose second key is `jwk`.
fn refused_key(jwk: Value) -> String {
    let text = refused(&set(&[P256.jwk("good"), jwk]));
    text.strip_prefix("key 2 of the set cannot be used: ")
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

fn with(mut jwk: Value, member: &str, value: Value) -> Value {
    jwk[member] = value;
    jwk
}

fn without(mut jwk: Value, member: &str) -> Value {
    jwk.as_object_mut().unwrap().remove(member).unwrap();
    jwk
}

#[test]
fn a_set_may_hold_keys_of_every_kind() {
    let keys = load(&[
        RSA.jwk("a"),
        P256.jwk("b`\n"),
        P384.jwk("c"),
        without(P521.jwk("d"), "kid"),
        with(RSA_LONG.jwk("e"), "alg", json!("PS512")),
    ]);
    let seen: Vec<_> = keys.descriptions().map(|key| key.to_string()).collect();
    assert_eq!(
        seen,
        [
            "RSA 2048 bits, kid `a`",
            r"P-256, kid `b\`\n`",
            "P-384, kid `c`",
            "P-521",
            "RSA 3072 bits, kid `e`"
        ]
    );
    let algorithms: Vec<_> = keys
        .descriptions()
        .map(|key| {
            key.algorithms()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(
        algorithms,
        [
            "RS256 RS384 RS512 PS256 PS384 PS512",
            "ES256",
            "ES384",
            "ES512",
            "PS512"
        ]
    );
}

#[test]
fn a_set_is_an_object_with_an_array_of_keys() {
    assert_eq!(
        refused("[]"),
        "key file is not a JWK Set: not a JSON object"
    );
    assert_eq!(
        refused("{}"),
        "key file is not a JWK Set: it has no array `keys`"
    );
    assert_eq!(
        refused(r#"{"keys":{}}"#),
        "key file is not a JWK Set: it has no array `keys`"
    );
    assert_eq!(refused(r#"{"keys":[]}"#), "key file holds no key");
    assert_eq!(
        refused(r#"{"keys":[],"keys":[]}"#),
        "key file is not a JWK Set: member `keys` appears twice at line 1 column 21"
    );
    // A single key is not a set.
    assert_eq!(
        refused(&P256.jwk("a").to_string()),
        "key file is not a JWK Set: it has no array `keys`"
    );
    let doubled = set(&[P256.jwk("a")]).replace(r#""crv""#, r#""crv":"P-256","crv""#);
    assert!(refused(&doubled).starts_with("key file is not a JWK Set: member `crv` appears twice"));
    let extra = set(&[P256.jwk("a")]).replacen('{', r#"{"issued":"today","#, 1);
    assert_eq!(KeySet::from_jwks(extra.as_bytes()).unwrap().len(), 1);
}

#[test]
fn a_set_holds_32_keys_at_most() {
    assert_eq!(load(&vec![P256.jwk("a"); MAX_KEYS]).len(), 32);
    assert_eq!(
        refused(&set(&vec![P256.jwk("a"); MAX_KEYS + 1])),
        "key file holds 33 keys, more than 32"
    );
}

#[test]
fn secrets_make_the_whole_set_refused() {
    let leaked = "give public keys, and treat this file as a leaked secret";
    assert_eq!(
        refused_key(json!({"kty": "oct", "k": "AAAA"})),
        format!("it is a symmetric key (`oct`); {leaked}")
    );
    assert_eq!(
        refused_key(json!({"kty": "oct", "use": "enc"})),
        format!("it is a symmetric key (`oct`); {leaked}")
    );
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let text = format!("it has the private member `{member}`; {leaked}");
        for jwk in [
            RSA.jwk("a"),
            P256.jwk("a"),
            with(P256.jwk("a"), "use", json!("enc")),
            json!({"kty": "OKP", "crv": "Ed25519"}),
        ] {
            assert_eq!(refused_key(with(jwk, member, json!("AAAA"))), text);
        }
    }
}

#[test]
fn keys_for_something_else_are_skipped() {
    let others = [
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"}),
        with(RSA.jwk("a"), "use", json!("enc")),
        with(RSA.jwk("a"), "key_ops", json!(["encrypt", "wrapKey"])),
        with(
            with(RSA.jwk("a"), "use", json!("enc")),
            "alg",
            json!("RSA-OAEP"),
        ),
    ];
    let mut keys = others.to_vec();
    keys.push(P256.jwk("good"));
    assert_eq!(format!("{:?}", load(&keys)), "[P-256, kid `good`]");
    assert_eq!(
        refused(&set(&others)),
        "key file holds no key to verify with: key 1 has `kty` `OKP`, key 2 has `kty` `AKP`, \
         key 3 has `crv` `secp256k1`, key 4 has `use` `enc` and 2 more"
    );
    for kept in [
        with(RSA.jwk("a"), "use", json!("sig")),
        with(RSA.jwk("a"), "key_ops", json!(["verify"])),
        with(RSA.jwk("a"), "key_ops", json!(["sign", "verify"])),
        with(RSA.jwk("a"), "x5c", json!(1)),
    ] {
        assert_eq!(load(&[kept]).len(), 1);
    }
}

#[test]
fn an_algorithm_is_one_the_key_can_serve() {
    assert_eq!(load(&[with(P384.jwk("a"), "alg", json!("ES384"))]).len(), 1);
    assert_eq!(
        refused_key(with(P384.jwk("a"), "alg", json!("ES256"))),
        "its `alg` is `ES256`, which is not for P-384 keys"
    );
    assert_eq!(
        refused_key(with(RSA.jwk("a"), "alg", json!("ES256"))),
        "its `alg` is `ES256`, which is not for RSA keys"
    );
    for name in ["HS256", "none", "RSA-OAEP", "rs256"] {
        assert_eq!(
            refused_key(with(RSA.jwk("a"), "alg", json!(name))),
            format!("its `alg` is `{name}`, which is not accepted")
        );
    }
}

#[test]
fn members_are_there_and_of_their_type() {
    assert_eq!(refused_key(json!("x")), "it is not a JSON object");
    assert_eq!(refused_key(json!({})), "it has no `kty`");
    for (jwk, members) in [
        (RSA.jwk("a"), &["n", "e"][..]),
        (P256.jwk("a"), &["crv", "x", "y"]),
    ] {
        for member in members {
            assert_eq!(
                refused_key(without(jwk.clone(), member)),
                format!("it has no `{member}`")
            );
        }
    }
    for member in ["kty", "n", "e", "kid", "alg", "use"] {
        for bad in [json!(null), json!(1), json!(["RSA"])] {
            assert_eq!(
                refused_key(with(RSA.jwk("a"), member, bad)),
                format!("its `{member}` is not a string")
            );
        }
    }
    for bad in [json!(null), json!("verify"), json!([1])] {
        assert_eq!(
            refused_key(with(RSA.jwk("a"), "key_ops", bad)),
            "its `key_ops` is not an array of strings"
        );
    }
}

#[test]
fn numbers_and_coordinates_are_exact() {
    assert_eq!(
        refused_key(with(RSA.jwk("a"), "e", json!("AQAB="))),
        "its `e` is not base64url without padding: it is padded"
    );
    for bad in ["", "AAEAAQ"] {
        assert_eq!(
            refused_key(with(RSA.jwk("a"), "e", json!(bad))),
            "its `e` is empty or begins with a zero byte"
        );
    }
    assert_eq!(
        refused_key(with(RSA.jwk("a"), "n", json!(encode([0xff; 128])))),
        "the RSA key has 1024 bits, and only 2048 to 8192 bits are accepted"
    );
    assert!(KeySet::from_jwks(set(&[with(RSA.jwk("a"), "e", json!("AQ"))]).as_bytes()).is_err());
    for length in [31, 33] {
        assert_eq!(
            refused_key(with(P256.jwk("a"), "x", json!(encode(vec![1; length])))),
            format!("its `x` has {length} bytes where the curve has 32 bytes")
        );
    }
    assert_eq!(
        refused_key(with(P256.jwk("a"), "crv", json!("P-384"))),
        "its `x` has 32 bytes where the curve has 48 bytes"
    );
    assert!(
        refused_key(with(P256.jwk("a"), "x", json!(encode([1; 32]))))
            .starts_with("the key is refused by the cryptographic library: ")
    );
}
