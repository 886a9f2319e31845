//! From a payload to a chain that leads to an authority.

use super::node::NodeClaim;
use super::payload::Chain;
use super::{
    BundleError, CertificateError, Challenge, NodeRule, Nonce, Position, Surroundings, SvidRule,
    TrustedAuthorities, leaf, search,
};
use crate::api::ApiStatus;
use crate::digest::{sha1_hex, sha256_hex};
use crate::error::EvidenceError;
use crate::subject::{AlternativeName, Authority, Certificate};
use crate::verified::Statement;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
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
    pub trust: Trust,
    /// What they may be.
    pub limits: ChainLimits,
    /// The operator's name for the cluster whose authorities these are, where
    /// there is one.
    pub cluster: Option<String>,
    /// Whether the leaf has to name the peer's address.
    pub verify_client_ip: bool,
    /// Whether, and how, the leaf has to be a Kubernetes node's.
    pub node: Option<NodeRule>,
}

/// Whose signature on a certificate counts.
#[derive(Debug, Clone)]
pub enum Trust {
    /// That of the operator's authorities.
    Bundle(TrustedAuthorities),
    /// That of the trust domain's own, on X509-SVIDs of a kind.
    Domain(SvidRule),
}

/// A chain that leads to an authority, sent by somebody who has yet to prove
/// that it is theirs.
#[derive(Debug)]
#[must_use = "nothing is proven before the challenge is answered"]
pub struct ExaminedChain {
    subject: Certificate,
    key: Vec<u8>,
    statement: Statement,
    svid: Option<SvidRule>,
    node: Option<NodeClaim>,
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
    /// The cluster whose API server is asked once a key is shown; an empty name
    /// where it has none.
    pub(crate) fn waiting_cluster(&self) -> Option<&str> {
        self.node.as_ref()?.lookup.as_ref()?;
        Some(self.cluster.as_deref().unwrap_or_default())
    }

    /// The API server that is asked, by the cluster's name, and how that goes.
    pub(crate) fn asked_servers(&self) -> BTreeMap<String, ApiStatus> {
        let lookup = self.node.as_ref().and_then(|node| node.lookup.as_ref());
        let name = || self.cluster.clone().unwrap_or_default();
        lookup
            .map(|lookup| (name(), lookup.api.status()))
            .into_iter()
            .collect()
    }

    /// Examines what a peer sent, as of `now`, in seconds since 1970. The
    /// checks come in the order of SPIRE's `x509pop`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn examine(
        &self,
        payload: &[u8],
        now: u64,
        surroundings: &Surroundings<'_>,
    ) -> Result<ExaminedChain, EvidenceError> {
        // Bytes: counted, measured, and only then parsed.
        let chain = Chain::parse(payload, self.limits.max_intermediates)?;
        let certificate = leaf::read(&chain.leaf, Position::Leaf)?;
        self.bounded(&certificate, Position::Leaf)?;
        for (number, der) in chain.intermediates.iter().enumerate() {
            let position = Position::Intermediate(number);
            self.bounded(&leaf::read(der, position)?, position)?;
        }

        // Somebody who is trusted signed it, for somebody at this address.
        let (trusted, svid) = self.trusted(surroundings)?;
        let authorities = authorities_of(&chain, &trusted, now)?;
        let alternative_names = leaf::alternative_names(&certificate)?;
        if self.verify_client_ip {
            located(&alternative_names, surroundings.client_address)?;
        }

        // And its key can prove something.
        if !leaf::may_sign(&certificate)? {
            return Err(CertificateError::KeyUsage.into());
        }
        let tbs = certificate.tbs_certificate();
        let key = tbs.subject_public_key_info();
        let kind = leaf::key_kind(key).map_err(|kind| CertificateError::KeyUnsupported { kind })?;
        let subject = leaf::subject(&certificate);
        let node = self
            .node
            .as_ref()
            .map(|rule| rule.claim(&subject, chain.request, &chain.leaf))
            .transpose()?;
        let (not_before, not_after) = leaf::times(tbs.validity());
        Ok(ExaminedChain {
            subject: Certificate {
                cluster: self.cluster.clone(),
                subject,
                serial: leaf::serial(&certificate),
                sha1: sha1_hex(&chain.leaf),
                sha256: sha256_hex(&chain.leaf),
                alternative_names,
                authorities,
                not_before,
                not_after,
                key: kind,
                node: None,
                requester: None,
            },
            key: key.subject_public_key.raw_bytes().to_vec(),
            statement: Statement::of(&chain.leaf),
            svid,
            node,
        })
    }

    /// Who is trusted now, and what the leaf has to be for it.
    fn trusted(
        &self,
        surroundings: &Surroundings<'_>,
    ) -> Result<(Cow<'_, TrustedAuthorities>, Option<SvidRule>), EvidenceError> {
        match &self.trust {
            Trust::Bundle(authorities) => Ok((Cow::Borrowed(authorities), None)),
            Trust::Domain(rule) => {
                let nobody = || BundleError("nobody here knows it".to_owned());
                let authorities = surroundings
                    .bundle
                    .ok_or_else(nobody)
                    .and_then(|bundle| bundle.authorities(surroundings.patience))
                    .map_err(|source| EvidenceError::Bundle { source })?;
                Ok((Cow::Owned(authorities), Some(rule.clone())))
            }
        }
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
}

/// Groups of authorities that the path builder gets at once. With so few, its
/// signature checks are spent on what the peer sent.
const AT_ONCE: usize = 8;

/// Every authority on every path, nearest the leaf first.
fn authorities_of(
    chain: &Chain,
    trusted: &TrustedAuthorities,
    now: u64,
) -> Result<Vec<Authority>, CertificateError> {
    let untrusted = |source: Error| CertificateError::Untrusted {
        source: source.into(),
    };
    let leaf = EndEntityCert::try_from(&chain.leaf).map_err(untrusted)?;
    let narrowed = search::narrow(chain, trusted)?;
    let found: RefCell<Vec<CertificateDer<'static>>> = RefCell::default();
    let unfit = RefCell::new(false);
    let mut reason = None;
    let mut rest = narrowed.groups.as_slice();
    loop {
        let (groups, after) = rest.split_at(rest.len().min(AT_ONCE));
        rest = after;
        let anchors: Vec<_> = groups.iter().map(|group| group.anchor.clone()).collect();
        // Refusing each path makes the builder look for the next.
        let take = |path: &VerifiedPath<'_>| {
            let ends = anchors.iter().zip(groups);
            let end = ends.filter(|(anchor, _)| std::ptr::eq(*anchor, path.anchor()));
            for certificate in end.flat_map(|(_, group)| trusted.certificates_of(group)) {
                let certificates: Vec<_> = path
                    .intermediate_certificates()
                    .map(|intermediate| intermediate.der().into_owned())
                    .chain([certificate.clone()])
                    .collect();
                let fits = |(below, der)| fit(der, below, now);
                if !certificates.iter().enumerate().all(fits) {
                    unfit.replace(true);
                    continue;
                }
                let mut found = found.borrow_mut();
                for der in certificates {
                    if !found.contains(&der) {
                        found.push(der);
                    }
                }
            }
            Err(Error::UnknownIssuer)
        };
        let outcome = leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &narrowed.intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            AnyPurpose,
            None,
            Some(&take),
        );
        match outcome.err() {
            // Also where a path was found: how far a search comes must not
            // decide which selectors a machine has.
            Some(source) if is_budget(&source) => {
                return Err(CertificateError::TooCostly {
                    source: source.into(),
                });
            }
            source => reason = reason.or(source),
        }
        if rest.is_empty() {
            break;
        }
    }
    match found.into_inner() {
        found if !found.is_empty() => Ok(found.iter().map(authority).collect()),
        _ if unfit.into_inner() => Err(CertificateError::AuthorityUnfit),
        _ => Err(untrusted(reason.unwrap_or(Error::UnknownIssuer))),
    }
}

/// The peer is where the certificate says. Go compares the same way: an IPv4
/// address in IPv6's form is that address.
fn located(
    names: &[AlternativeName],
    client_address: Option<&str>,
) -> Result<(), CertificateError> {
    let address = |text: &str| text.parse().ok().map(|ip: IpAddr| ip.to_canonical());
    let client = client_address
        .and_then(address)
        .ok_or(CertificateError::ClientAddressUnknown)?;
    let named = names.iter().any(|name| match name {
        AlternativeName::Ip(ip) => address(ip) == Some(client),
        AlternativeName::Dns(_) | AlternativeName::Uri(_) | AlternativeName::Email(_) => false,
    });
    if named {
        Ok(())
    } else {
        Err(CertificateError::ClientAddressMismatch)
    }
}

/// What the path builder does not look at: whether an authority's key may sign
/// certificates, and an anchor's own time, and whether it is an authority at
/// all, and one of so many intermediates `below` it.
fn fit(der: &CertificateDer<'_>, below: usize, now: u64) -> bool {
    let Ok(certificate) = x509_cert::Certificate::from_der(der) else {
        return false;
    };
    let (not_before, not_after) = leaf::times(certificate.tbs_certificate().validity());
    leaf::is_authority(&certificate, below)
        && leaf::may_sign_certificates(&certificate)
        && (not_before..=not_after).contains(&now)
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
            svid: self.svid,
            node: self.node,
            nonce,
        }
    }
}
