//! The authorities that an operator trusts to have signed certificates.

use super::search::own_identifier;
use crate::peer_text::PeerText;
use crate::pem::{self, PemError};
use nameplate_words::grouped;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use x509_cert::der::Decode as _;

/// Most keys of authorities with one name. A certificate that identifies its
/// issuer by name alone is checked against each.
pub(super) const MAX_OF_ONE_NAME: usize = 1_000;

/// Authorities, at least one. Cheap to clone.
#[derive(Clone)]
pub struct TrustedAuthorities {
    certificates: Arc<[CertificateDer<'static>]>,
    /// By the name of their subject, as a path builder compares it.
    named: Arc<HashMap<Vec<u8>, Vec<Group>>>,
}

/// Authorities that the path builder cannot tell apart: certificates of one
/// name, one key and the same name constraints, as a renewal makes them.
pub(super) struct Group {
    pub(super) anchor: TrustAnchor<'static>,
    /// Which certificates of the bundle, at least one.
    members: Vec<usize>,
    /// What their key is called (RFC 5280 §4.2.1.2).
    pub(super) identifiers: Vec<Vec<u8>>,
}

impl Group {
    /// The content of the SubjectPublicKeyInfo.
    pub(super) fn key(&self) -> &[u8] {
        &self.anchor.subject_public_key_info
    }
}

impl std::fmt::Debug for TrustedAuthorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedAuthorities")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedAuthoritiesError {
    /// The file is not PEM.
    #[error("the bundle is not PEM")]
    Pem {
        /// What is wrong with it.
        #[from]
        source: PemError,
    },
    /// The file holds a private key.
    #[error("the bundle holds a private key; leave only certificates in it")]
    PrivateKey,
    /// There is no certificate. An empty bundle trusts nobody, and is never
    /// taken for the system's.
    #[error("no certificates found in the bundle")]
    Empty,
    /// A certificate cannot be read.
    #[error("certificate {number} of the bundle cannot be read")]
    Certificate {
        /// Which, counted from 1.
        number: usize,
    },
    /// Too many authorities have one name to check a peer against each.
    #[error(
        "the bundle holds {} authorities called `{name}`, each with a key of its own, and {} of \
         one name are looked through",
        grouped(*.count),
        grouped(MAX_OF_ONE_NAME)
    )]
    Crowded {
        /// The name.
        name: PeerText,
        /// How many keys have it.
        count: usize,
    },
}

impl TrustedAuthorities {
    /// The certificates of a PEM file; blocks of other kinds are skipped.
    ///
    /// # Errors
    /// When the file is not PEM, holds a private key, or has no certificate, or
    /// one that cannot be read.
    pub fn from_pem(file: &[u8]) -> Result<Self, TrustedAuthoritiesError> {
        let blocks = pem::blocks(file)?;
        if blocks.iter().any(pem::Block::is_private_key) {
            return Err(TrustedAuthoritiesError::PrivateKey);
        }
        let certificates = blocks
            .iter()
            .filter(|block| block.label == "CERTIFICATE")
            .map(|block| block.der().map(CertificateDer::from))
            .collect::<Result<Vec<_>, _>>()?;
        Self::from_der(certificates)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.certificates.len()
    }

    /// These authorities and `others`.
    ///
    /// # Errors
    /// When together they are too many of one name.
    pub fn and(self, others: &Self) -> Result<Self, TrustedAuthoritiesError> {
        let both = self.certificates.iter().chain(others.certificates.iter());
        Self::from_der(both.cloned().collect())
    }

    /// These certificates.
    ///
    /// # Errors
    /// When there is none, one cannot be read, or too many have one name.
    pub fn from_der(
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TrustedAuthoritiesError> {
        if certificates.is_empty() {
            return Err(TrustedAuthoritiesError::Empty);
        }
        let mut named: HashMap<Vec<u8>, Vec<Group>> = HashMap::new();
        // Of a key and its constraints: which group of its name it is.
        let mut known = HashMap::new();
        for (index, der) in certificates.iter().enumerate() {
            // Both readers have to: one builds paths, the other reads what the
            // first does not look at.
            let unread = || TrustedAuthoritiesError::Certificate { number: index + 1 };
            let anchor = webpki::anchor_from_trusted_cert(der)
                .map_err(|_unread| unread())?
                .to_owned();
            let certificate = x509_cert::Certificate::from_der(der).map_err(|_unread| unread())?;
            let groups = named.entry(anchor.subject.to_vec()).or_default();
            let place = *known.entry(anchor.clone()).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Group {
                    anchor,
                    members: Vec::new(),
                    identifiers: Vec::new(),
                });
            }
            if let Some(group) = groups.get_mut(place) {
                group.members.push(index);
                group.identifiers.extend(own_identifier(&certificate));
            }
        }
        let authorities = Self {
            certificates: certificates.into(),
            named: Arc::new(named),
        };
        authorities.uncrowded()
    }

    fn uncrowded(self) -> Result<Self, TrustedAuthoritiesError> {
        for groups in self.named.values() {
            let keys: HashSet<_> = groups.iter().map(Group::key).collect();
            if let Some(group) = groups.first().filter(|_| keys.len() > MAX_OF_ONE_NAME) {
                return Err(TrustedAuthoritiesError::Crowded {
                    name: self.name_of(group),
                    count: keys.len(),
                });
            }
        }
        Ok(self)
    }

    /// The authorities whose subject is `name`.
    pub(super) fn called(&self, name: &[u8]) -> &[Group] {
        self.named.get(name).map_or(&[], Vec::as_slice)
    }

    /// The certificates of a group.
    pub(super) fn certificates_of(
        &self,
        group: &Group,
    ) -> impl Iterator<Item = &CertificateDer<'static>> {
        group
            .members
            .iter()
            .filter_map(|index| self.certificates.get(*index))
    }

    /// What a group is called, as RFC 4514 writes it.
    pub(super) fn name_of(&self, group: &Group) -> PeerText {
        let name = self
            .certificates_of(group)
            .next()
            .and_then(|der| x509_cert::Certificate::from_der(der).ok())
            .map(|certificate| certificate.tbs_certificate().subject().to_string());
        PeerText::new(&name.unwrap_or_default())
    }
}
