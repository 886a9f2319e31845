//! JWK Sets: what is read, left out and refused.

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

/// Why `jwk`, the second of three keys, is left out, whose neighbours stay. A
/// set of nothing else has no usable key, for the same reason.
fn ignored(jwk: Value) -> String {
    let keys = load(&[P256.jwk("good"), jwk.clone(), RSA.jwk("other")]);
    assert_eq!(
        format!("{keys:?}"),
        "[P-256, kid `good`, RSA 2048 bits, kid `other`]"
    );
    let [one] = keys.ignored() else {
        panic!("{:?}", keys.ignored());
    };
    let text = one.to_string();
    let alone = text.replacen("key 2", "key 1", 1);
    assert_eq!(
        refused(&set(&[jwk])),
        format!("key file holds no key to verify with: {alone}")
    );
    let begin = one
        .kid
        .as_ref()
        .map_or("key 2: ".to_owned(), |kid| format!("key 2, kid `{kid}`: "));
    text.strip_prefix(&begin)
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
    let extra = set(&[P256.jwk("a")]).replacen('{', r#"{"issued":"today","#, 1);
    assert_eq!(KeySet::from_jwks(extra.as_bytes()).unwrap().len(), 1);
}

#[test]
fn a_set_may_repeat_a_member_only_where_that_is_one_keys_matter() {
    let doubled = |set: String| set.replace(r#""crv""#, r#""crv":"P-256","crv""#);
    let good = RSA.jwk("good");
    let file = doubled(set(&[good.clone(), P256.jwk("a")]));
    let keys = KeySet::from_jwks(file.as_bytes()).unwrap();
    assert_eq!(format!("{keys:?}"), "[RSA 2048 bits, kid `good`]");
    assert_eq!(
        keys.ignored()[0].to_string(),
        "key 2, kid `a`: its member `crv` appears twice"
    );
    let beside = set(&[good]).replacen('{', r#"{"x":{"a":1,"a":2},"#, 1);
    assert_eq!(
        refused(&beside),
        "key file is not a JWK Set: member `a` appears twice at line 1 column 18"
    );
    // A secret does not hide behind a second value.
    let hidden = set(&[P256.jwk("a")]).replace(r#""crv""#, r#""d":null,"d":"AAAA","crv""#);
    assert_eq!(
        refused(&hidden),
        "key 1 of the set cannot be used: it has the private member `d`; give public keys, \
         and treat this file as a leaked secret"
    );
}

#[test]
fn a_set_begins_with_a_byte_order_mark_or_not() {
    let file = set(&[P256.jwk("a")]);
    assert_eq!(
        KeySet::from_jwks(format!("\u{feff}{file}").as_bytes())
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        refused(&format!("\u{feff}\u{feff}{file}")),
        "key file is not a JWK Set: it begins with a byte order mark (U+FEFF), which JSON has \
         none of"
    );
}

#[test]
fn of_a_set_100_keys_are_kept() {
    let keys = load(&vec![P256.jwk("a"); MAX_KEYS]);
    assert_eq!((keys.len(), keys.ignored().len()), (100, 0));

    // What cannot be used takes no place.
    let mut many = vec![json!({"kty": "OKP"}); 50];
    many.extend(vec![P256.jwk("a"); MAX_KEYS]);
    assert_eq!(load(&many).len(), 100);
    many.push(P256.jwk("late"));
    let keys = load(&many);
    assert_eq!((keys.len(), keys.ignored().len()), (100, 51));
    assert_eq!(
        keys.ignored()[50].to_string(),
        "key 151, kid `late`: 100 keys came before it, and no more are kept"
    );
}

#[test]
fn secrets_make_the_whole_set_refused() {
    let leaked = "give public keys, and treat this file as a leaked secret";
    for jwk in [
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "oct", "k": "AAAA", "use": "enc"}),
    ] {
        assert_eq!(
            refused_key(jwk),
            format!("it is a symmetric key (`oct`); {leaked}")
        );
    }
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        let text = format!("it has the private member `{member}`; {leaked}");
        for jwk in [
            RSA.jwk("a"),
            P256.jwk("a"),
            with(P256.jwk("a"), "use", json!("enc")),
            json!({"kty": "OKP", "crv": "Ed25519"}),
            json!({"kty": 1}),
            json!({}),
        ] {
            assert_eq!(refused_key(with(jwk.clone(), member, json!("AAAA"))), text);
            let others = json!([{"r": "AAAA", "d": null}]);
            assert_eq!(refused_key(with(jwk, member, others)), text);
        }
    }
}

#[test]
fn a_private_member_without_a_value_is_none() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for empty in [
            json!(null),
            json!(""),
            json!([]),
            json!({}),
            json!([{"r": null, "d": ""}]),
        ] {
            let keys = load(&[with(RSA.jwk("a"), member, empty)]);
            assert_eq!((keys.len(), keys.ignored().len()), (1, 0), "{member}");
        }
    }
    assert_eq!(
        ignored(json!({"kty": "oct", "k": null})),
        "it is for something else, as its `kty` says: `oct`"
    );
}

#[test]
fn a_secret_is_found_wherever_it_stands() {
    let leaked = "it has the private member `d`; give public keys, and treat this file as a \
                  leaked secret";
    let private = with(P256.jwk("a"), "d", json!("AAAA"));
    // Further in than a key's own members.
    assert_eq!(
        refused_key(with(RSA.jwk("a"), "x", private.clone())),
        leaked
    );
    assert_eq!(refused_key(json!([[private]])), leaked);
    // Beside the keys, and in the place of a set.
    let beside = |value: &Value| json!({"keys": [P256.jwk("good")], "x": value}).to_string();
    for file in [
        beside(&json!([private])),
        beside(&json!({"keys": {"1": private}})),
        private.to_string(),
    ] {
        assert_eq!(
            refused(&file),
            format!("what stands beside `keys` cannot be used: {leaked}")
        );
    }
    // The same without `kty` is no key, and says nothing of secrets.
    let other = without(private, "kty");
    assert_eq!(
        KeySet::from_jwks(beside(&other).as_bytes()).unwrap().len(),
        1
    );
    let pem = json!(crate::support::pem("PRIVATE KEY", &P256.private()));
    let key = "it is a private key; give the public key, and treat this file as a leaked secret";
    assert_eq!(refused_key(with(RSA.jwk("a"), "pem", pem.clone())), key);
    assert_eq!(
        refused(&beside(&pem)),
        format!("what stands beside `keys` cannot be used: {key}")
    );
    let public = json!(P256.pem());
    assert_eq!(load(&[with(RSA.jwk("a"), "pem", public)]).len(), 1);
}

#[test]
fn keys_for_something_else_are_ignored() {
    for (jwk, member, value) in [
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
            "kty",
            "OKP",
        ),
        (json!({"kty": "AKP", "alg": "ML-DSA-44"}), "kty", "AKP"),
        (
            json!({"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"}),
            "crv",
            "secp256k1",
        ),
        (with(RSA.jwk("a"), "use", json!("enc")), "use", "enc"),
        (
            with(RSA.jwk("a"), "key_ops", json!(["encrypt", "wrapKey"])),
            "key_ops",
            "encrypt wrapKey",
        ),
        (
            with(
                with(RSA.jwk("a"), "use", json!("enc")),
                "alg",
                json!("RSA-OAEP"),
            ),
            "use",
            "enc",
        ),
    ] {
        assert_eq!(
            ignored(jwk),
            format!("it is for something else, as its `{member}` says: `{value}`")
        );
    }
    let others = vec![json!({"kty": "OKP", "kid": "a"}); 10];
    let one = "kid `a`: it is for something else, as its `kty` says: `OKP`";
    let listed: Vec<_> = (1..=8).map(|key| format!("key {key}, {one}")).collect();
    assert_eq!(
        refused(&set(&others)),
        format!(
            "key file holds no key to verify with: {}; and 2 more",
            listed.join("; ")
        )
    );
    for kept in [
        with(RSA.jwk("a"), "use", json!("sig")),
        with(RSA.jwk("a"), "key_ops", json!(["verify"])),
        with(RSA.jwk("a"), "key_ops", json!(["sign", "verify"])),
        with(RSA.jwk("a"), "key_ops", json!([])),
        with(RSA.jwk("a"), "oth", json!([])),
        with(RSA.jwk("a"), "x5c", json!([])),
        with(RSA.jwk("a"), "x5c", json!(1)),
    ] {
        let keys = load(&[kept]);
        assert_eq!((keys.len(), keys.ignored().len()), (1, 0));
    }
}

#[test]
fn a_member_that_is_null_is_absent() {
    for member in [
        "use", "key_ops", "alg", "kid", "x5c", "x5u", "x5t", "x5t#S256",
    ] {
        let keys = load(&[with(RSA.jwk("a"), member, json!(null))]);
        assert_eq!((keys.len(), keys.ignored().len()), (1, 0), "{member}");
    }
    for member in ["kty", "n", "e"] {
        assert_eq!(
            ignored(with(RSA.jwk("a"), member, json!(null))),
            format!("it has no `{member}`")
        );
    }
}

#[test]
fn an_algorithm_is_one_the_key_can_serve() {
    assert_eq!(load(&[with(P384.jwk("a"), "alg", json!("ES384"))]).len(), 1);
    assert_eq!(
        ignored(with(P384.jwk("a"), "alg", json!("ES256"))),
        "its `alg` is `ES256`, which is not for P-384 keys"
    );
    assert_eq!(
        ignored(with(RSA.jwk("a"), "alg", json!("ES256"))),
        "its `alg` is `ES256`, which is not for RSA keys"
    );
    for name in ["HS256", "none", "RSA-OAEP", "rs256"] {
        assert_eq!(
            ignored(with(RSA.jwk("a"), "alg", json!(name))),
            format!("its `alg` is `{name}`, which is not accepted")
        );
    }
}

#[test]
fn members_are_there_and_of_their_type() {
    assert_eq!(ignored(json!("x")), "it is not a JSON object");
    assert_eq!(ignored(json!({})), "it has no `kty`");
    for (jwk, members) in [
        (RSA.jwk("a"), &["n", "e"][..]),
        (P256.jwk("a"), &["crv", "x", "y"]),
    ] {
        for member in members {
            assert_eq!(
                ignored(without(jwk.clone(), member)),
                format!("it has no `{member}`")
            );
        }
    }
    for member in ["kty", "n", "e", "kid", "alg", "use"] {
        for bad in [json!(1), json!(["RSA"])] {
            assert_eq!(
                ignored(with(RSA.jwk("a"), member, bad)),
                format!("its `{member}` is not a string")
            );
        }
    }
    for bad in [json!("verify"), json!([1])] {
        assert_eq!(
            ignored(with(RSA.jwk("a"), "key_ops", bad)),
            "its `key_ops` is not an array of strings"
        );
    }
}

#[test]
fn numbers_and_coordinates_are_exact() {
    assert_eq!(
        ignored(with(RSA.jwk("a"), "e", json!("AQAB="))),
        "its `e` is not base64url without padding: it is padded"
    );
    for bad in ["", "AAEAAQ"] {
        assert_eq!(
            ignored(with(RSA.jwk("a"), "e", json!(bad))),
            "its `e` is empty or begins with a zero byte"
        );
    }
    assert_eq!(
        ignored(with(RSA.jwk("a"), "n", json!(encode([0xff; 128])))),
        "the RSA key has 1024 bits, and only 2048 to 8192 bits are accepted"
    );
    assert!(KeySet::from_jwks(set(&[with(RSA.jwk("a"), "e", json!("AQ"))]).as_bytes()).is_err());
    for length in [31, 33] {
        assert_eq!(
            ignored(with(P256.jwk("a"), "x", json!(encode(vec![1; length])))),
            format!("its `x` has {length} bytes where the curve has 32 bytes")
        );
    }
    assert_eq!(
        ignored(with(P256.jwk("a"), "crv", json!("P-384"))),
        "its `x` has 32 bytes where the curve has 48 bytes"
    );
    assert!(
        ignored(with(P256.jwk("a"), "x", json!(encode([1; 32]))))
            .starts_with("the key is refused by the cryptographic library: ")
    );
}
