//! From a payload to a chain that leads to an authority.

use super::payload::Chain;
use super::{CertificateError, Challenge, Nonce, Position, TrustedAuthorities, leaf};
use crate::digest::{sha1_hex, sha256_hex};
use crate::subject::{Authority, Certificate};
use crate::verified::Statement;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::cell::RefCell;
use std::time::Duration;
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    VerifiedPath,
};
use x509_cert::der::Decode as _;

/// Fewest bits of an RSA key.
const MIN_RSA_BITS: u32 = 2048;

/// What a chain may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainLimits {
    /// Most intermediates.
    pub max_intermediates: usize,
    /// Most bits of an RSA key; fewer than 2,048 are never accepted.
    pub max_rsa_bits: u32,
}

impl Default for ChainLimits {
    /// SPIRE's: 4 intermediates, 8,192 bits.
    fn default() -> Self {
        Self {
            max_intermediates: 4,
            max_rsa_bits: 8192,
        }
    }
}

/// Verifies the chains of peers.
#[derive(Debug, Clone)]
pub struct CertificateVerifier {
    /// Who may have signed them.
    pub authorities: TrustedAuthorities,
    /// What they may be.
    pub limits: ChainLimits,
    /// The operator's name for the cluster whose authorities these are, where
    /// there is one.
    pub cluster: Option<String>,
}

/// A chain that leads to an authority, sent by somebody who has yet to prove
/// that it is theirs.
#[derive(Debug)]
#[must_use = "nothing is proven before the challenge is answered"]
pub struct ExaminedChain {
    subject: Certificate,
    key: Vec<u8>,
    statement: Statement,
}

/// A certificate serves whatever it was issued for: SPIRE asks for no
/// particular purpose.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

impl CertificateVerifier {
    /// Examines what a peer sent, as of `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn examine(&self, payload: &[u8], now: u64) -> Result<ExaminedChain, CertificateError> {
        let chain = Chain::parse(payload, self.limits.max_intermediates)?;
        let certificate = leaf::read(&chain.leaf, Position::Leaf)?;
        self.bounded(&certificate, Position::Leaf)?;
        for (number, der) in chain.intermediates.iter().enumerate() {
            let position = Position::Intermediate(number);
            self.bounded(&leaf::read(der, position)?, position)?;
        }
        let authorities = self.authorities_of(&chain, now)?;
        if !leaf::may_sign(&certificate)? {
            return Err(CertificateError::KeyUsage);
        }
        let tbs = certificate.tbs_certificate();
        let key = tbs.subject_public_key_info();
        let kind = leaf::key_kind(key)?;
        let (not_before, not_after) = leaf::times(tbs.validity());
        Ok(ExaminedChain {
            subject: Certificate {
                cluster: self.cluster.clone(),
                subject: leaf::subject(&certificate),
                serial: leaf::serial(&certificate),
                sha1: sha1_hex(&chain.leaf),
                sha256: sha256_hex(&chain.leaf),
                alternative_names: leaf::alternative_names(&certificate)?,
                authorities,
                not_before,
                not_after,
                key: kind,
                node: None,
                requester: None,
            },
            key: key.subject_public_key.raw_bytes().to_vec(),
            statement: Statement::of(&chain.leaf),
        })
    }

    fn bounded(
        &self,
        certificate: &x509_cert::Certificate,
        position: Position,
    ) -> Result<(), CertificateError> {
        let bits = leaf::rsa_bits(certificate)
            .map_err(|source| CertificateError::Unreadable { position, source })?;
        let most = self.limits.max_rsa_bits;
        match bits {
            Some(bits) if !(MIN_RSA_BITS..=most).contains(&bits) => {
                Err(CertificateError::KeySize {
                    position,
                    bits,
                    least: MIN_RSA_BITS,
                    most,
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Every authority on every path, nearest the leaf first.
    fn authorities_of(&self, chain: &Chain, now: u64) -> Result<Vec<Authority>, CertificateError> {
        let leaf = EndEntityCert::try_from(&chain.leaf)
            .map_err(|source| CertificateError::Untrusted { source })?;
        let found: RefCell<Vec<CertificateDer<'static>>> = RefCell::default();
        let unfit = RefCell::new(false);
        // Refusing each path makes the builder look for the next.
        let take = |path: &VerifiedPath<'_>| {
            let certificates = self.authorities_on(path);
            if certificates.iter().all(|der| fit(der, now)) {
                let mut found = found.borrow_mut();
                for der in certificates {
                    if !found.contains(&der) {
                        found.push(der);
                    }
                }
            } else {
                unfit.replace(true);
            }
            Err(Error::UnknownIssuer)
        };
        let outcome = leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &self.authorities.anchors,
            &chain.intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            AnyPurpose,
            None,
            Some(&take),
        );
        match outcome.err() {
            // Also where a path was found: how far a search comes must not
            // decide which selectors a machine has.
            Some(source) if is_budget(&source) => Err(CertificateError::TooCostly { source }),
            source => match (found.into_inner(), source) {
                (found, _) if !found.is_empty() => Ok(found.iter().map(authority).collect()),
                (_, _) if unfit.into_inner() => Err(CertificateError::AuthorityUnfit),
                (_, source) => Err(CertificateError::Untrusted {
                    source: source.unwrap_or(Error::UnknownIssuer),
                }),
            },
        }
    }

    fn authorities_on(&self, path: &VerifiedPath<'_>) -> Vec<CertificateDer<'static>> {
        let anchors = self.authorities.anchors.iter();
        let anchor = anchors
            .zip(&self.authorities.certificates)
            .find(|(anchor, _)| std::ptr::eq(*anchor, path.anchor()))
            .map(|(_, der)| der.clone());
        path.intermediate_certificates()
            .map(|intermediate| intermediate.der().into_owned())
            .chain(anchor)
            .collect()
    }
}

/// What the path builder does not look at: whether an authority's key may sign
/// certificates, and an anchor's own time.
fn fit(der: &CertificateDer<'_>, now: u64) -> bool {
    let Ok(certificate) = x509_cert::Certificate::from_der(der) else {
        return false;
    };
    let (not_before, not_after) = leaf::times(certificate.tbs_certificate().validity());
    leaf::may_sign_certificates(&certificate) && (not_before..=not_after).contains(&now)
}

fn is_budget(error: &Error) -> bool {
    matches!(
        error,
        Error::MaximumSignatureChecksExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumPathDepthExceeded
            | Error::MaximumNameConstraintComparisonsExceeded
    )
}

fn authority(der: &CertificateDer<'static>) -> Authority {
    Authority {
        sha1: sha1_hex(der),
        sha256: sha256_hex(der),
    }
}

impl ExaminedChain {
    /// The peer is asked to sign `nonce`.
    pub fn challenge(self, nonce: Nonce) -> Challenge {
        Challenge {
            subject: self.subject,
            key: self.key,
            statement: self.statement,
            nonce,
        }
    }
}
