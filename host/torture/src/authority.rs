//! A throw-away authority, and the certificates that it signs.

use crate::error::TortureError;
use nameplate_evidence::Patience;
use nameplate_evidence::certificates::{
    BundleError, BundleSource, Prover, TrustedAuthorities, TrustedAuthoritiesError,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType, SignatureAlgorithm,
};
use rustls_pki_types::CertificateDer;

/// An authority with its key.
pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// Where every peer that plays by the rules is.
pub(crate) const ADDRESS: &str = "192.0.2.7";

/// A certificate for `name` that has been valid for years and will be.
pub(crate) fn certificate(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    params
}

/// One that may sign others.
pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut params = certificate(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// One of a node, called as Kubernetes calls it, with this URI among its names.
pub(crate) fn leaf(uri: &str) -> Result<CertificateParams, TortureError> {
    let mut params = certificate("system:node:node-7");
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, "system:nodes");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = vec![
        SanType::DnsName("node-7.example.org".try_into()?),
        SanType::URI(uri.try_into()?),
        SanType::IpAddress(
            ADDRESS
                .parse()
                .map_err(|_ours| TortureError::Key("address"))?,
        ),
    ];
    Ok(params)
}

/// An authority that signs itself.
pub(crate) fn root(name: &str) -> Result<Authority, TortureError> {
    Ok(CertifiedIssuer::self_signed(
        authority(name),
        KeyPair::generate()?,
    )?)
}

/// An authority that another signs.
pub(crate) fn below(params: CertificateParams, by: &Authority) -> Result<Authority, TortureError> {
    Ok(CertifiedIssuer::signed_by(
        params,
        KeyPair::generate()?,
        by,
    )?)
}

/// The bundle with `authority` in it.
pub(crate) fn bundle(authority: &Authority) -> Result<TrustedAuthorities, TortureError> {
    trusted(authority.der()).map_err(|_ours| TortureError::Key("bundle"))
}

fn trusted(der: &CertificateDer<'_>) -> Result<TrustedAuthorities, TrustedAuthoritiesError> {
    TrustedAuthorities::from_der(vec![CertificateDer::from(der.to_vec())])
}

/// Whoever has `key`, with the certificates of `chain`, the leaf first.
pub(crate) fn prover(
    leaf: &rcgen::Certificate,
    between: &[&Authority],
    key: &KeyPair,
) -> Result<Prover, TortureError> {
    let chain: String = [leaf.pem()]
        .into_iter()
        .chain(between.iter().map(|authority| authority.pem()))
        .collect();
    Prover::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes())
        .map_err(|_ours| TortureError::Key("prover"))
}

/// The trust domain's authorities, as a server would say them.
#[derive(Debug)]
pub(crate) struct Bundle(pub(crate) TrustedAuthorities);

impl BundleSource for Bundle {
    fn authorities(&self, _: &Patience) -> Result<TrustedAuthorities, BundleError> {
        Ok(self.0.clone())
    }
}

/// An RSA key of so many bits that nobody has, or could have: its modulus is
/// a power of two.
#[derive(Debug)]
pub(crate) struct Hollow(Vec<u8>);

impl Hollow {
    pub(crate) fn of(bits: usize) -> Self {
        // A zero keeps the number positive; its first bit is set.
        let mut modulus = vec![0, 0x80];
        modulus.resize(bits.div_ceil(8).max(1).saturating_add(1), 0);
        let numbers = [der(0x02, &modulus), der(0x02, &[1, 0, 1])].concat();
        Self(der(0x30, &numbers))
    }
}

impl PublicKeyData for Hollow {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let [.., last] = length;
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(last);
    } else {
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
        out.extend(significant);
    }
    out.extend(content);
    out
}
