//! Which authorities and intermediates a chain can lead through at all.
//!
//! The path builder tries every authority of an issuer's name, and has a
//! hundred signature checks for it: with more authorities of one name (many
//! clusters call theirs `kubernetes`) it would give up on every peer. Here each
//! certificate is checked once against each key of its issuer's name, and only
//! the authorities that did sign it are left for the builder, which decides.
//!
//! Trusts nothing of a certificate. Key identifiers (RFC 5280 §4.2.1.1,
//! §4.2.1.2) say only which keys are tried first.

use super::authorities::{Group, TrustedAuthorities};
use super::payload::Chain;
use super::{CertificateError, PathError};
use rustls_pki_types::CertificateDer;
use std::collections::HashSet;
use webpki::ALL_VERIFICATION_ALGS;
use x509_cert::der::asn1::{AnyRef, BitStringRef};
use x509_cert::der::{self, Decode as _, Reader as _, SliceReader, Tag, Tagged as _};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};

/// Most signature checks against keys of authorities for one peer. No bundle
/// has more than half as many keys of one name
/// ([`MAX_OF_ONE_NAME`](super::authorities::MAX_OF_ONE_NAME)), so a peer whose
/// chain meets that name twice always gets its answer.
const MAX_SIGNATURES: usize = 2_048;

/// What is left of a chain and of those who are trusted.
pub(super) struct Narrowed<'t> {
    /// Authorities that signed a certificate of the chain. Where there is none,
    /// one of an issuer's name, if there is one: it shows what is wrong.
    pub(super) groups: Vec<&'t Group>,
    /// Intermediates that the leaf leads to.
    pub(super) intermediates: Vec<CertificateDer<'static>>,
}

/// Keeps the authorities and intermediates that `chain` can lead through.
///
/// # Errors
/// When a certificate cannot be read, or checking the chain against the
/// authorities takes more signatures than a peer gets.
pub(super) fn narrow<'t>(
    chain: &Chain,
    trusted: &'t TrustedAuthorities,
) -> Result<Narrowed<'t>, CertificateError> {
    // Each has been read before, by another reader of the same rules.
    let unread = |_| CertificateError::Untrusted {
        source: PathError::from(webpki::Error::BadDer),
    };
    let leaf = Signed::read(&chain.leaf).map_err(unread)?;
    let others = chain.intermediates.iter().map(|der| Signed::read(der));
    let others = others.collect::<Result<Vec<_>, _>>().map_err(unread)?;
    let mut reached = vec![false; others.len()];
    let mut search = Search {
        trusted,
        found: Vec::new(),
        telling: None,
        signatures: 0,
    };
    let mut open = vec![(&leaf, &chain.leaf)];
    while let Some((signed, der)) = open.pop() {
        search.issuers_of(signed, der)?;
        for ((other, der), reached) in others.iter().zip(&chain.intermediates).zip(&mut reached) {
            if !*reached && other.subject == signed.issuer && signed.verifies_with(other.key) {
                *reached = true;
                open.push((other, der));
            }
        }
    }
    let kept = chain.intermediates.iter().zip(&reached);
    let mut found = search.found;
    if found.is_empty() {
        found.extend(search.telling);
    }
    Ok(Narrowed {
        groups: found,
        intermediates: kept
            .filter(|(_, reached)| **reached)
            .map(|(der, _)| der.clone())
            .collect(),
    })
}

struct Search<'t> {
    trusted: &'t TrustedAuthorities,
    found: Vec<&'t Group>,
    telling: Option<&'t Group>,
    signatures: usize,
}

impl Search<'_> {
    /// Finds the authorities that signed `signed`, whose bytes are `der`.
    fn issuers_of(
        &mut self,
        signed: &Signed<'_>,
        der: &CertificateDer<'_>,
    ) -> Result<(), CertificateError> {
        let named = self.trusted.called(signed.issuer);
        let mut candidates: Vec<_> = named.iter().collect();
        if candidates.len() > 1 {
            let hint = hint(der);
            // An authority that a peer sends along signed itself, too.
            let known = |key| self.found.iter().any(|found| found.key() == key);
            candidates.sort_by_key(|group| (!known(group.key()), rank(group, hint.as_deref())));
        }
        self.telling = self.telling.or(candidates.first().copied());
        let mut tried = HashSet::new();
        for group in &candidates {
            let key = group.key();
            if !tried.insert(key) {
                continue;
            }
            if self.signatures == MAX_SIGNATURES {
                return Err(CertificateError::TooCostly {
                    source: PathError::crowded(self.trusted.name_of(group), named.len()),
                });
            }
            self.signatures += 1;
            if signed.verifies_with(key) {
                // A signature is one key's; the key may be several authorities'.
                for group in candidates.iter().filter(|group| group.key() == key) {
                    if !self.found.iter().any(|found| std::ptr::eq(*found, *group)) {
                        self.found.push(group);
                    }
                }
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The identifier of the key that signed a certificate, as it says.
fn hint(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let identifier = certificate
        .tbs_certificate()
        .get_extension::<AuthorityKeyIdentifier>();
    let (_, identifier) = identifier.ok()??;
    Some(identifier.key_identifier?.as_bytes().to_vec())
}

/// The identifier of a certificate's own key, as it says.
pub(super) fn own_identifier(certificate: &x509_cert::Certificate) -> Option<Vec<u8>> {
    let identifier = certificate
        .tbs_certificate()
        .get_extension::<SubjectKeyIdentifier>();
    let (_, identifier) = identifier.ok()??;
    Some(identifier.0.as_bytes().to_vec())
}

/// As Go orders them: matching identifiers, absent ones, the rest.
fn rank(group: &Group, hint: Option<&[u8]>) -> u8 {
    let Some(hint) = hint else {
        return 0;
    };
    match group.identifiers.as_slice() {
        [] => 1,
        some if some.iter().any(|own| own == hint) => 0,
        _ => 2,
    }
}

/// A certificate as far as signatures go, each part as its bytes.
struct Signed<'c> {
    /// What is signed, in DER.
    content: &'c [u8],
    /// The content of the algorithm's identifier.
    algorithm: &'c [u8],
    signature: &'c [u8],
    issuer: &'c [u8],
    subject: &'c [u8],
    key: &'c [u8],
}

impl<'c> Signed<'c> {
    fn read(der: &'c [u8]) -> Result<Self, der::Error> {
        let mut reader = SliceReader::new(der)?;
        let (content, algorithm, signature) = reader.sequence(|reader| {
            Ok::<_, der::Error>((
                reader.tlv_bytes()?,
                AnyRef::decode(reader)?.value(),
                BitStringRef::decode(reader)?.raw_bytes(),
            ))
        })?;
        let (issuer, subject, key) = SliceReader::new(content)?.sequence(|reader| {
            let first = AnyRef::decode(reader)?;
            if first.tag() != Tag::Integer {
                // Version, which is the first of the two.
                let _serial = AnyRef::decode(reader)?;
            }
            let _algorithm = AnyRef::decode(reader)?;
            let issuer = AnyRef::decode(reader)?.value();
            let _validity = AnyRef::decode(reader)?;
            let subject = AnyRef::decode(reader)?.value();
            let key = AnyRef::decode(reader)?.value();
            while !reader.is_finished() {
                reader.tlv_bytes()?;
            }
            Ok::<_, der::Error>((issuer, subject, key))
        })?;
        Ok(Self {
            content,
            algorithm,
            signature,
            issuer,
            subject,
            key,
        })
    }

    /// Whether `key`, the content of a SubjectPublicKeyInfo, signed it. By the
    /// path builder's algorithms, chosen as it chooses.
    fn verifies_with(&self, key: &[u8]) -> bool {
        let Ok((of_key, point)) = parts(key) else {
            return false;
        };
        ALL_VERIFICATION_ALGS
            .iter()
            .filter(|known| known.signature_alg_id().as_ref() == self.algorithm)
            .filter(|known| known.public_key_alg_id().as_ref() == of_key)
            .any(|known| {
                known
                    .verify_signature(point, self.content, self.signature)
                    .is_ok()
            })
    }
}

/// The content of a key's algorithm, and its bits.
fn parts(key: &[u8]) -> Result<(&[u8], &[u8]), der::Error> {
    let mut reader = SliceReader::new(key)?;
    let algorithm = AnyRef::decode(&mut reader)?.value();
    let bits = BitStringRef::decode(&mut reader)?.raw_bytes();
    Ok((algorithm, bits))
}
