//! Keys from a JWK Set (RFC 7517), as `jwks_file` names one.
//!
//! Read with this crate's own strict JSON: the types of `jsonwebtoken` take a
//! repeated member and ignore `use`, `key_ops` and private parts.

use super::VerifyingKey;
use super::error::{KeyError, KeyPlace, KeyProblem, SkippedKey};
use super::material::KeyMaterial;
use crate::algorithm::SignatureAlgorithm;
use crate::base64url;
use crate::json::{Json, Object};
use crate::peer_text::PeerText;
use crate::subject::KeyKind;

/// Members that only private and symmetric keys have (RFC 7518 §6.2.2, §6.3.2
/// and §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The usable keys of a set, in its order.
pub(super) fn parse(file: &[u8]) -> Result<Vec<VerifyingKey>, KeyError> {
    let set = Object::parse(file)?;
    let Some(Json::Array(entries)) = set.get("keys") else {
        return Err(KeyError::NotAKeySet);
    };
    let mut keys = Vec::new();
    let mut skipped = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let position = index + 1;
        match key(entry) {
            Ok(Entry::Key(key)) => keys.push(key),
            Ok(Entry::ForSomethingElse { member, value }) => {
                skipped.push(SkippedKey {
                    position,
                    member,
                    value,
                });
            }
            Err(source) => {
                return Err(KeyError::Key {
                    place: KeyPlace::Position(position),
                    source,
                });
            }
        }
        if keys.len() > super::MAX_KEYS {
            return Err(KeyError::TooManyKeys {
                count: entries.len(),
            });
        }
    }
    if keys.is_empty() && !skipped.is_empty() {
        return Err(KeyError::NoUsableKey { skipped });
    }
    Ok(keys)
}

enum Entry {
    Key(VerifyingKey),
    ForSomethingElse {
        member: &'static str,
        value: PeerText,
    },
}

impl Entry {
    fn skipped(member: &'static str, value: &str) -> Self {
        Self::ForSomethingElse {
            member,
            value: PeerText::new(value),
        }
    }
}

/// Reads one entry of `keys`: first what no public set may hold, then what is
/// for something else, then the key.
fn key(entry: &Json<'_>) -> Result<Entry, KeyProblem> {
    let Json::Object(jwk) = entry else {
        return Err(KeyProblem::NotAnObject);
    };

    let kty = required(jwk, "kty")?;
    if kty == "oct" {
        return Err(KeyProblem::Symmetric);
    }
    if let Some(member) = PRIVATE.into_iter().find(|member| jwk.get(member).is_some()) {
        return Err(KeyProblem::PrivateMember { member });
    }

    // RFC 7517 §4.2 and §4.3.
    if let Some(purpose) = optional(jwk, "use")?.filter(|purpose| *purpose != "sig") {
        return Ok(Entry::skipped("use", purpose));
    }
    if let Some(operations) = operations(jwk)?
        && !operations.contains(&"verify")
    {
        return Ok(Entry::skipped("key_ops", &operations.join(" ")));
    }
    let material = match kty {
        "RSA" => rsa(jwk)?,
        "EC" => match required(jwk, "crv")? {
            "P-256" => point(jwk, KeyKind::P256, 32)?,
            "P-384" => point(jwk, KeyKind::P384, 48)?,
            "P-521" => point(jwk, KeyKind::P521, 66)?,
            other => return Ok(Entry::skipped("crv", other)),
        },
        other => return Ok(Entry::skipped("kty", other)),
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
    Ok(Entry::Key(VerifyingKey::new(&material, kid, only)?))
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

fn operations<'o>(jwk: &'o Object<'_>) -> Result<Option<Vec<&'o str>>, KeyProblem> {
    let malformed = || KeyProblem::MemberMalformed {
        member: "key_ops",
        expected: "an array of strings",
    };
    match jwk.get("key_ops") {
        None => Ok(None),
        Some(Json::Array(operations)) => operations
            .iter()
            .map(|operation| operation.as_str().ok_or_else(malformed))
            .collect::<Result<_, _>>()
            .map(Some),
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

fn optional<'o>(jwk: &'o Object<'_>, member: &'static str) -> Result<Option<&'o str>, KeyProblem> {
    jwk.get(member)
        .map(|value| {
            value.as_str().ok_or(KeyProblem::MemberMalformed {
                member,
                expected: "a string",
            })
        })
        .transpose()
}
