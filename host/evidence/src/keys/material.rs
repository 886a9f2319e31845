//! Key bytes in the two forms that are verified with, whatever file they came
//! from: an RSA public key in PKCS #1 and an uncompressed curve point.
//!
//! Trusts nothing of the encoding; every bound on a key is checked here.

use std::borrow::Cow;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaParameters};
use x509_cert::der::asn1::{BitStringRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::error::KeyProblem;
use crate::public_key::{self, EC_PUBLIC_KEY, RSA_ENCRYPTION, modulus_bits};
use crate::subject::KeyKind;

/// A public key before it is bound to algorithms.
pub(super) struct KeyMaterial<'a> {
    kind: KeyKind,
    bytes: Cow<'a, [u8]>,
}

impl<'a> KeyMaterial<'a> {
    /// A key in PKCS #1, the form in which RSA keys are verified with.
    pub(super) fn from_pkcs1(der: impl Into<Cow<'a, [u8]>>) -> Self {
        Self {
            kind: KeyKind::Rsa,
            bytes: der.into(),
        }
    }

    /// A `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), whose bit string is the
    /// PKCS #1 key (RFC 3279 §2.3.1) or the point (RFC 5480 §2.2).
    pub(super) fn from_spki(der: &'a [u8]) -> Result<Self, KeyProblem> {
        let spki = SubjectPublicKeyInfoRef::from_der(der)
            .map_err(|source| KeyProblem::PublicKey { source })?;
        Self::from_parts(spki)
    }

    fn from_parts(spki: SubjectPublicKeyInfoRef<'a>) -> Result<Self, KeyProblem> {
        let key: BitStringRef<'a> = spki.subject_public_key;
        let bytes = key.as_bytes().ok_or(KeyProblem::Point)?;
        let algorithm = spki.algorithm.oid;
        if algorithm == RSA_ENCRYPTION {
            return Ok(Self::from_pkcs1(bytes));
        }
        if algorithm != EC_PUBLIC_KEY {
            return Err(unsupported(algorithm));
        }
        let curve = spki
            .algorithm
            .parameters_oid()
            .map_err(|source| KeyProblem::Curve { source })?;
        let kind = public_key::on_curve(curve).ok_or_else(|| unsupported(curve))?;
        Self::from_point(kind, bytes)
    }

    /// An uncompressed point (SEC 1 §2.3.3). Compressed ones are optional in
    /// RFC 5480 §2.2 and not read by Kubernetes either.
    pub(super) fn from_point(
        kind: KeyKind,
        point: impl Into<Cow<'a, [u8]>>,
    ) -> Result<Self, KeyProblem> {
        let bytes = point.into();
        if bytes.first() == Some(&4) {
            Ok(Self { kind, bytes })
        } else {
            Err(KeyProblem::Point)
        }
    }

    /// An RSA key from its two numbers, big-endian without leading zeros.
    pub(super) fn from_modulus_and_exponent(
        modulus: &[u8],
        exponent: &[u8],
    ) -> Result<KeyMaterial<'static>, KeyProblem> {
        let key = UintRef::new(modulus)
            .and_then(|modulus| [modulus, UintRef::new(exponent)?].to_der())
            .map_err(|source| KeyProblem::PublicKey { source })?;
        Ok(KeyMaterial::from_pkcs1(key))
    }

    pub(super) fn kind(&self) -> KeyKind {
        self.kind
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of the modulus or size of the field in bits.
    ///
    /// RFC 7518 §3.3 and §3.5 ask for RSA keys of 2048 bits at least; above
    /// 8192 bits verifying gets too slow to be safe to offer.
    pub(super) fn bits(&self) -> Result<u32, KeyProblem> {
        match self.kind {
            KeyKind::P256 => Ok(256),
            KeyKind::P384 => Ok(384),
            KeyKind::P521 => Ok(521),
            KeyKind::Rsa => {
                let bits =
                    modulus_bits(&self.bytes).map_err(|source| KeyProblem::PublicKey { source })?;
                let least = RSA_PKCS1_2048_8192_SHA256.min_modulus_len();
                let most = RSA_PKCS1_2048_8192_SHA256.max_modulus_len();
                if (least..=most).contains(&bits) {
                    RsaParameters::public_modulus_len(&self.bytes)
                        .map_err(|source| KeyProblem::RsaKey { source })
                } else {
                    Err(KeyProblem::RsaLength { bits, least, most })
                }
            }
        }
    }
}

fn unsupported(oid: ObjectIdentifier) -> KeyProblem {
    KeyProblem::Unsupported {
        kind: public_key::name(oid),
    }
}
