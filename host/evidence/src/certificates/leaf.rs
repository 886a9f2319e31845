//! What is read out of a certificate: sizes and uses of keys, and the names of
//! its subject.

use super::{CertificateError, Position};
use crate::digest::hex;
use crate::public_key::{self, EC_PUBLIC_KEY, RSA_ENCRYPTION, modulus_bits};
use crate::subject::{AlternativeName, DistinguishedName, KeyKind};
use std::net::IpAddr;
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::{AnyRef, Ia5StringRef, ObjectIdentifier};
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::{Decode as _, ErrorKind, Tag, Tagged as _};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Validity;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// Reads a certificate of a payload.
pub(super) fn read(der: &[u8], position: Position) -> Result<Certificate, CertificateError> {
    Certificate::from_der(der).map_err(|source| CertificateError::Unreadable { position, source })
}

fn unreadable(source: x509_cert::der::Error) -> CertificateError {
    CertificateError::Unreadable {
        position: Position::Leaf,
        source,
    }
}

/// Bits of the modulus of an RSA key; none for other keys.
pub(super) fn rsa_bits(certificate: &Certificate) -> Result<Option<u32>, x509_cert::der::Error> {
    let key = certificate.tbs_certificate().subject_public_key_info();
    (key.algorithm.oid == RSA_ENCRYPTION)
        .then(|| modulus_bits(key.subject_public_key.raw_bytes()))
        .transpose()
}

/// The kind of a key that can prove itself; of another, what it is called.
pub(super) fn key_kind(key: &SubjectPublicKeyInfoOwned) -> Result<KeyKind, String> {
    match (key.algorithm.oid, curve(key)) {
        (RSA_ENCRYPTION, _) => Ok(KeyKind::Rsa),
        (EC_PUBLIC_KEY, Some(curve)) => {
            public_key::on_curve(curve).ok_or_else(|| public_key::name(curve))
        }
        (EC_PUBLIC_KEY, None) => Err("EC without a named curve".to_owned()),
        (other, _) => Err(public_key::name(other)),
    }
}

/// What the key is called, whether it is one that can prove itself or not.
pub(super) fn key_name(certificate: &Certificate) -> String {
    let key = certificate.tbs_certificate().subject_public_key_info();
    match (key_kind(key), rsa_bits(certificate)) {
        (Ok(KeyKind::Rsa), Ok(Some(bits))) => format!("RSA, {bits} bits"),
        (Ok(KeyKind::Rsa), Ok(None) | Err(_)) => "RSA".to_owned(),
        (Ok(KeyKind::P256), _) => "P-256".to_owned(),
        (Ok(KeyKind::P384), _) => "P-384".to_owned(),
        (Ok(KeyKind::P521), _) => "P-521".to_owned(),
        (Err(name), _) => name,
    }
}

/// The curve of an EC key, where it is named (RFC 5480 §2.1.1).
fn curve(key: &SubjectPublicKeyInfoOwned) -> Option<ObjectIdentifier> {
    key.algorithm.parameters.as_ref()?.decode_as().ok()
}

/// Whether the certificate is said to be for signatures. Silence is no.
pub(super) fn may_sign(certificate: &Certificate) -> Result<bool, CertificateError> {
    let usage = certificate
        .tbs_certificate()
        .get_extension::<KeyUsage>()
        .map_err(unreadable)?;
    Ok(usage.is_some_and(|(_, usage)| usage.digital_signature()))
}

/// Whether the certificate may sign others. Silence is yes, as it is for
/// path builders (RFC 5280 §6.1.4 (n)).
pub(super) fn may_sign_certificates(certificate: &Certificate) -> bool {
    match certificate.tbs_certificate().get_extension::<KeyUsage>() {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
        Err(_) => false,
    }
}

/// Whether the certificate is an authority, of `below` others on the way to a
/// leaf (RFC 5280 §4.2.1.9). Version 1 cannot say so.
pub(super) fn is_authority(certificate: &Certificate, below: usize) -> bool {
    let tbs = certificate.tbs_certificate();
    match tbs.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => {
            let most = constraints.path_len_constraint.map(usize::from);
            constraints.ca && most.is_none_or(|most| below <= most)
        }
        Ok(None) => tbs.version() == Version::V1,
        Err(_) => false,
    }
}

/// Seconds since 1970 that a certificate holds from and to.
pub(super) fn times(validity: &Validity) -> (u64, u64) {
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
    (seconds(validity.not_before), seconds(validity.not_after))
}

/// The serial number as SPIRE writes it: without leading zeros, an even number
/// of digits.
pub(super) fn serial(certificate: &Certificate) -> String {
    let serial = certificate.tbs_certificate().serial_number().as_bytes();
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    match serial.get(zeros..) {
        None | Some([]) => "00".to_owned(),
        Some(digits) => hex(digits),
    }
}

/// The subject's attributes, those that are text; empty ones are left out.
pub(super) fn subject(certificate: &Certificate) -> DistinguishedName {
    name(certificate.tbs_certificate().subject())
}

/// The same of whoever signed it.
pub(super) fn issuer(certificate: &Certificate) -> DistinguishedName {
    name(certificate.tbs_certificate().issuer())
}

fn name(written: &Name) -> DistinguishedName {
    let mut common_names = Vec::new();
    let mut name = DistinguishedName::default();
    let attributes = written
        .as_ref()
        .iter()
        .flat_map(|relative| relative.as_ref().iter());
    for attribute in attributes {
        // The encodings that certificates of machines are written in (RFC 5280
        // §4.1.2.4); the older ones have no agreed reading.
        let text = [Tag::Utf8String, Tag::PrintableString, Tag::Ia5String];
        let value = text
            .contains(&attribute.value.tag())
            .then(|| std::str::from_utf8(attribute.value.value()).ok())
            .flatten();
        let Some(value) = value.filter(|value| !value.is_empty()).map(str::to_owned) else {
            continue;
        };
        match attribute.oid {
            COMMON_NAME => common_names.push(value),
            ORGANIZATION => name.organizations.push(value),
            ORGANIZATIONAL_UNIT => name.organizational_units.push(value),
            _ => {}
        }
    }
    name.common_name = match common_names.as_mut_slice() {
        [only] => Some(std::mem::take(only)),
        _ => None,
    };
    name
}

/// The subject alternative names that are names of a machine. Names of other
/// forms (`otherName`, `x400Address`, `ediPartyName` …) are passed over as Go
/// does, whatever is in them.
pub(super) fn alternative_names(
    certificate: &Certificate,
) -> Result<Vec<AlternativeName>, CertificateError> {
    let mut extensions = certificate
        .tbs_certificate()
        .extensions()
        .into_iter()
        .flatten()
        .filter(|extension| extension.extn_id == SubjectAltName::OID);
    let Some(extension) = extensions.next() else {
        return Ok(Vec::new());
    };
    if extensions.next().is_some() {
        // RFC 5280 §4.2: no extension appears twice.
        return Err(unreadable(ErrorKind::Failed.into()));
    }
    let names = Vec::<AnyRef<'_>>::from_der(extension.extn_value.as_bytes()).map_err(unreadable)?;
    let names = names.into_iter().map(alternative_name);
    names
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()
        .map_err(unreadable)
}

/// A name by its number in `GeneralName` (RFC 5280 §4.2.1.6).
fn alternative_name(name: AnyRef<'_>) -> Result<Option<AlternativeName>, x509_cert::der::Error> {
    let Tag::ContextSpecific { number, .. } = name.tag() else {
        return Err(ErrorKind::TagUnexpected {
            expected: None,
            actual: name.tag(),
        }
        .into());
    };
    let text = || {
        let text = Ia5StringRef::new(name.value())?;
        Ok(Some(text.as_str().to_owned()).filter(|text| !text.is_empty()))
    };
    match number.value() {
        1 => text().map(|text| text.map(AlternativeName::Email)),
        2 => text().map(|text| text.map(AlternativeName::Dns)),
        6 => text().map(|text| text.map(AlternativeName::Uri)),
        7 => {
            let octets = name.value();
            let address = <[u8; 4]>::try_from(octets)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
            Ok(address
                .ok()
                .map(|address| AlternativeName::Ip(address.to_string())))
        }
        _ => Ok(None),
    }
}
