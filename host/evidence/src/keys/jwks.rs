//! Keys from a JWK Set (RFC 7517), as `jwks_file` names one.
//!
//! Several parties may publish in one set, so an entry that cannot be used is
//! left out: it must not take the other keys away. Only a secret refuses the
//! whole set.
//!
//! Read with this crate's own strict JSON: the types of `jsonwebtoken` take a
//! repeated member and ignore `use`, `key_ops` and private parts.

use super::VerifyingKey;
use super::error::{IgnoredKey, KeyError, KeyPlace, KeyProblem};
use super::material::KeyMaterial;
use crate::algorithm::SignatureAlgorithm;
use crate::base64url;
use crate::json::{BYTE_ORDER_MARK, Json, Object};
use crate::peer_text::PeerText;
use crate::subject::KeyKind;

/// Members that only private and symmetric keys have (RFC 7518 §6.2.2, §6.3.2
/// and §6.4.1; `priv`: the `AKP` keys of ML-DSA).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The usable keys of a set, in its order, and the entries that were left out
/// as RFC 7517 §5 asks.
pub(super) fn parse(file: &[u8]) -> Result<(Vec<VerifyingKey>, Vec<IgnoredKey>), KeyError> {
    // RFC 8259 §8.1: who reads may overlook the mark.
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let set = Object::parse_with_repeats(file)?;
    secrets(&set)?;
    let beside = |(name, value): (&str, &Json<'_>)| name != "keys" && value.repeated().is_some();
    if set.repeated().is_some() || set.members().any(beside) {
        // Only in an entry of `keys` is a repeated member that entry's matter.
        // This reader says where it stands.
        Object::parse(file)?;
    }
    let Some(Json::Array(entries)) = set.get("keys") else {
        return Err(KeyError::NotAKeySet);
    };
    let mut keys = Vec::new();
    let mut ignored = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match key(entry) {
            Ok(key) if keys.len() < super::MAX_KEYS => keys.push(key),
            outcome => ignored.push(IgnoredKey {
                position: index + 1,
                kid: kid(entry),
                why: outcome.err().unwrap_or(KeyProblem::OneTooMany),
            }),
        }
    }
    if keys.is_empty() && !ignored.is_empty() {
        return Err(KeyError::NoUsableKey { ignored });
    }
    Ok((keys, ignored))
}

/// Refuses a file with a secret anywhere in it: whoever can read the file has
/// the secret, whether or not its entry would be used.
fn secrets(set: &Object<'_>) -> Result<(), KeyError> {
    // One key in the place of a set.
    if let Some(source) = set.get("kty").and_then(|_| private_member(set)) {
        let place = KeyPlace::Elsewhere;
        return Err(KeyError::Key { place, source });
    }
    for (name, value) in set.members() {
        if let ("keys", Json::Array(entries)) = (name, value) {
            for (index, entry) in entries.iter().enumerate() {
                let place = KeyPlace::Position(index + 1);
                entry_secret(entry)
                    .map_or(Ok(()), |source| Err(KeyError::Key { place, source }))?;
            }
        } else if let Some(source) = secret(value) {
            let place = KeyPlace::Elsewhere;
            return Err(KeyError::Key { place, source });
        }
    }
    Ok(())
}

/// The secret of an entry of `keys`, which counts as a key even without `kty`.
fn entry_secret(entry: &Json<'_>) -> Option<KeyProblem> {
    match entry {
        Json::Object(jwk) => private_member(jwk).or_else(|| secret(entry)),
        Json::Null
        | Json::Bool(_)
        | Json::Integer(_)
        | Json::OtherNumber
        | Json::String(_)
        | Json::Array(_) => secret(entry),
    }
}

/// A secret in a value of any form: the private part of a key (an object with
/// `kty`), or a private key in PEM.
// Recursion is bounded: the parser bounds how deep values nest.
fn secret(value: &Json<'_>) -> Option<KeyProblem> {
    match value {
        Json::Object(object) => object
            .get("kty")
            .and_then(|_| private_member(object))
            .or_else(|| object.members().find_map(|(_, value)| secret(value))),
        Json::Array(items) => items.iter().find_map(secret),
        Json::String(text) => text
            .contains("PRIVATE KEY-----")
            .then_some(KeyProblem::PrivateKey),
        Json::Null | Json::Bool(_) | Json::Integer(_) | Json::OtherNumber => None,
    }
}

/// A private member with a value. The name alone is no secret: generators write
/// `null`, and empty lists, for members that a key does not have.
fn private_member(jwk: &Object<'_>) -> Option<KeyProblem> {
    let member = PRIVATE.into_iter().find(|private| {
        jwk.members()
            .any(|(name, value)| name == *private && says_something(value))
    })?;
    if member == "k" && jwk.get("kty").and_then(Json::as_str) == Some("oct") {
        return Some(KeyProblem::Symmetric);
    }
    Some(KeyProblem::PrivateMember { member })
}

fn says_something(value: &Json<'_>) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(_) | Json::Integer(_) | Json::OtherNumber => true,
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => items.iter().any(says_something),
        Json::Object(object) => object.members().any(|(_, value)| says_something(value)),
    }
}

/// The name of an entry, so that an operator finds it.
fn kid(entry: &Json<'_>) -> Option<PeerText> {
    let Json::Object(jwk) = entry else {
        return None;
    };
    jwk.get("kid").and_then(Json::as_str).map(PeerText::new)
}

/// Reads one entry of `keys`: first whether it is for something else, then the
/// key.
fn key(entry: &Json<'_>) -> Result<VerifyingKey, KeyProblem> {
    let Json::Object(jwk) = entry else {
        return Err(KeyProblem::NotAnObject);
    };
    // RFC 7517 §4: which of two values counts is nobody's to choose.
    if let Some(member) = entry.repeated() {
        let member = PeerText::new(member);
        return Err(KeyProblem::Repeated { member });
    }

    let kty = required(jwk, "kty")?;
    // RFC 7517 §4.2 and §4.3.
    if let Some(purpose) = optional(jwk, "use")?.filter(|purpose| *purpose != "sig") {
        return Err(for_something_else("use", purpose));
    }
    let operations = operations(jwk)?;
    if !operations.is_empty() && !operations.contains(&"verify") {
        return Err(for_something_else("key_ops", &operations.join(" ")));
    }
    let material = match kty {
        "RSA" => rsa(jwk)?,
        "EC" => match required(jwk, "crv")? {
            "P-256" => point(jwk, KeyKind::P256, 32)?,
            "P-384" => point(jwk, KeyKind::P384, 48)?,
            "P-521" => point(jwk, KeyKind::P521, 66)?,
            other => return Err(for_something_else("crv", other)),
        },
        other => return Err(for_something_else("kty", other)),
    };

    // RFC 7517 §4.4: the algorithm intended for use with the key.
    let only = optional(jwk, "alg")?
        .map(|name| {
            SignatureAlgorithm::from_name(name).ok_or_else(|| KeyProblem::AlgorithmRefused {
                algorithm: PeerText::new(name),
            })
        })
        .transpose()?;
    let kid = optional(jwk, "kid")?.map(str::to_owned);
    VerifyingKey::new(&material, kid, only)
}

fn for_something_else(member: &'static str, value: &str) -> KeyProblem {
    KeyProblem::ForSomethingElse {
        member,
        value: PeerText::new(value),
    }
}

/// RFC 7518 §6.3.1.
fn rsa(jwk: &Object<'_>) -> Result<KeyMaterial<'static>, KeyProblem> {
    let number = |member| {
        let number = bytes(jwk, member)?;
        match number.first() {
            None | Some(0) => Err(KeyProblem::NumberNotMinimal { member }),
            Some(_) => Ok(number),
        }
    };
    KeyMaterial::from_modulus_and_exponent(&number("n")?, &number("e")?)
}

/// RFC 7518 §6.2.1: coordinates at the full width of the curve.
fn point(
    jwk: &Object<'_>,
    kind: KeyKind,
    expected: usize,
) -> Result<KeyMaterial<'static>, KeyProblem> {
    let mut point = vec![4];
    for member in ["x", "y"] {
        let coordinate = bytes(jwk, member)?;
        if coordinate.len() != expected {
            return Err(KeyProblem::CoordinateLength {
                member,
                bytes: coordinate.len(),
                expected,
            });
        }
        point.extend(coordinate);
    }
    KeyMaterial::from_point(kind, point)
}

/// `key_ops`; none where it is absent, `null` or empty, which says nothing.
fn operations<'o>(jwk: &'o Object<'_>) -> Result<Vec<&'o str>, KeyProblem> {
    let malformed = || KeyProblem::MemberMalformed {
        member: "key_ops",
        expected: "an array of strings",
    };
    match jwk.get("key_ops") {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Array(operations)) => operations
            .iter()
            .map(|operation| operation.as_str().ok_or_else(malformed))
            .collect(),
        Some(_) => Err(malformed()),
    }
}

fn bytes(jwk: &Object<'_>, member: &'static str) -> Result<Vec<u8>, KeyProblem> {
    base64url::decode(required(jwk, member)?)
        .map_err(|source| KeyProblem::MemberEncoding { member, source })
}

fn required<'o>(jwk: &'o Object<'_>, member: &'static str) -> Result<&'o str, KeyProblem> {
    optional(jwk, member)?.ok_or(KeyProblem::MemberMissing { member })
}

/// A member that is text. `null` is how many libraries write "absent".
fn optional<'o>(jwk: &'o Object<'_>, member: &'static str) -> Result<Option<&'o str>, KeyProblem> {
    jwk.get(member)
        .filter(|value| **value != Json::Null)
        .map(|value| {
            value.as_str().ok_or(KeyProblem::MemberMalformed {
                member,
                expected: "a string",
            })
        })
        .transpose()
}
