//! Public keys by what their `SubjectPublicKeyInfo` says (RFC 5280 §4.1.2.7),
//! in a key file or in a certificate.

use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

use crate::subject::KeyKind;

pub(crate) const RSA_ENCRYPTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Keys that turn up and cannot be used, by the name under which an operator
/// knows them.
const UNSUPPORTED: [(ObjectIdentifier, &str); 8] = [
    (ObjectIdentifier::new_unwrap("1.3.101.112"), "Ed25519"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "Ed448"),
    (ObjectIdentifier::new_unwrap("1.3.101.110"), "X25519"),
    (ObjectIdentifier::new_unwrap("1.3.101.111"), "X448"),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"),
        "RSASSA-PSS",
    ),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "DSA"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.33"), "P-224"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), "secp256k1"),
];

/// The kind of an EC key on `curve`, if it is one that is verified with.
pub(crate) fn on_curve(curve: ObjectIdentifier) -> Option<KeyKind> {
    match curve {
        P256 => Some(KeyKind::P256),
        P384 => Some(KeyKind::P384),
        P521 => Some(KeyKind::P521),
        _ => None,
    }
}

/// What an operator calls an algorithm or a curve that is not supported.
pub(crate) fn name(oid: ObjectIdentifier) -> String {
    let known = UNSUPPORTED.iter().find(|(candidate, _)| *candidate == oid);
    known.map_or_else(|| oid.to_string(), |(_, name)| (*name).to_owned())
}

/// Bits in the modulus of an `RSAPublicKey` (RFC 8017 §A.1.1). Read here,
/// before the cryptography, so that a modulus of a megabyte is refused for its
/// length.
pub(crate) fn modulus_bits(der: &[u8]) -> Result<u32, x509_cert::der::Error> {
    let mut reader = SliceReader::new(der)?;
    let modulus = reader.sequence(|key| -> Result<_, x509_cert::der::Error> {
        let modulus = UintRef::decode(key)?;
        let _exponent = UintRef::decode(key)?;
        Ok(modulus)
    })?;
    reader.finish()?;
    let modulus = modulus.as_bytes();
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros());
    let bits = u32::try_from(modulus.len())
        .unwrap_or(u32::MAX)
        .saturating_mul(8);
    Ok(bits.saturating_sub(leading))
}
