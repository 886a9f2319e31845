//! Certificates of cases: what they say, who issued them, whom they are
//! presented to, and what is wrong with them on purpose.

use super::clock::Moment;
use super::evidence::MintError;
use super::keys::{self, LeafKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::certificates::{
    BundleError, BundleSource, CertificateError, CertificateVerifier, ChainLimits, ExaminedChain,
    NodeRule, Nonce, Prover, SvidRule, Trust, TrustedAuthorities, payload_of_pem,
};
use nameplate_evidence::{
    AlternativeName, DistinguishedName, EvidenceError, Method, Patience, RawEvidence,
    VerifiedEvidence,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A certificate to be minted, and whom it is presented to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateTemplate {
    /// The operator's name for the cluster whose authorities are trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Subject of the leaf; of organizations and units one each.
    pub subject: DistinguishedName,
    /// Subject alternative names of the leaf.
    pub alternative_names: Vec<AlternativeName>,
    /// Serial number of the leaf, hexadecimal.
    pub serial: String,
    /// Kind of the leaf's key.
    pub key: LeafKey,
    /// Common names of the authorities between the trusted one and the leaf,
    /// from above.
    pub intermediates: Vec<String>,
    /// Start of the leaf's validity; a day before the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// End of the leaf's validity; a day after the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
    /// What is wrong with the certificate or its proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaw: Option<CertificateFlaw>,
    /// The peer's address, as the server sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
    /// What the operator demands of certificates.
    pub trust: CertificateTrust,
}

impl Default for CertificateTemplate {
    fn default() -> Self {
        Self {
            cluster: None,
            subject: DistinguishedName::default(),
            alternative_names: Vec::new(),
            serial: "01a4f0".to_owned(),
            key: LeafKey::default(),
            intermediates: Vec::new(),
            not_before: None,
            not_after: None,
            flaw: None,
            client_address: None,
            trust: CertificateTrust::default(),
        }
    }
}

/// What the operator of a case demands of certificates, in the words of the
/// configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateTrust {
    /// Most certificates between the leaf and an authority.
    pub max_intermediates: usize,
    /// Most bits of an RSA key.
    pub max_rsa_key_size: u32,
    /// Whether the leaf has to name the peer's address.
    pub verify_client_ip: bool,
    /// Demand the certificate of a Kubernetes node, as `k8s` does; its API
    /// server is not asked.
    pub kubernetes_node: bool,
    /// Makes it SPIFFE mode: the leaf has to be an SVID of the trust domain
    /// whose path begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_prefix: Option<String>,
}

impl Default for CertificateTrust {
    fn default() -> Self {
        let limits = ChainLimits::default();
        Self {
            max_intermediates: limits.max_intermediates,
            max_rsa_key_size: limits.max_rsa_bits,
            verify_client_ip: false,
            kubernetes_node: false,
            spiffe_prefix: None,
        }
    }
}

/// What is wrong with a certificate or with the proof of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateFlaw {
    /// It ended an hour ago.
    Expired,
    /// It begins in an hour.
    NotYetValid,
    /// An authority issued it that is not trusted, under the name of one that is.
    ForeignAuthority,
    /// The intermediates are not sent.
    MissingIntermediates,
    /// It is an authority itself.
    Authority,
    /// It is not for digital signatures.
    NoDigitalSignature,
    /// The answer is to another challenge.
    ReplayedAnswer,
    /// The challenge is not answered.
    Unanswered,
}

/// Number of the trusted authority's key, and of one that nobody trusts.
const ROOT: u8 = 1;
const FOREIGN: u8 = 254;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// Authorities are valid for longer than any leaf is likely to be.
const CENTURY: u64 = 100 * 365 * DAY;

/// A minted chain, and who has to be trusted for it to lead somewhere.
pub(super) struct Chain {
    certificates: String,
    key: String,
    root: String,
}

impl CertificateTemplate {
    /// The method that it is evidence of.
    pub(super) fn method(&self) -> Method {
        if self.trust.kubernetes_node {
            Method::K8s
        } else {
            Method::X509Pop
        }
    }

    /// Issues the certificate, and its authorities with it.
    pub(super) fn mint(&self, clock: Moment) -> Result<Chain, MintError> {
        let trusted = root(ROOT, clock)?;
        let mut issuer = match self.flaw {
            Some(CertificateFlaw::ForeignAuthority) => root(FOREIGN, clock)?,
            _ => root(ROOT, clock)?,
        };
        let mut between = Vec::new();
        for (number, name) in (ROOT + 1..FOREIGN).zip(&self.intermediates) {
            let params = authority(name, number, clock);
            issuer = CertifiedIssuer::signed_by(params, keys::authority(number)?, &issuer)
                .map_err(MintError::new)?;
            between.push(issuer.pem());
        }
        let key = self.key.pair()?;
        let leaf = self
            .leaf(clock)?
            .signed_by(&key, &issuer)
            .map_err(MintError::new)?;
        let mut certificates = leaf.pem();
        if self.flaw != Some(CertificateFlaw::MissingIntermediates) {
            certificates.extend(between.into_iter().rev());
        }
        Ok(Chain {
            certificates,
            key: key.serialize_pem(),
            root: trusted.pem(),
        })
    }

    /// The verifier that the operator's demands make, and who knows the
    /// authorities of the trust domain.
    pub(super) fn verifier(
        &self,
        chain: &Chain,
        trust_domain: &str,
    ) -> Result<(CertificateVerifier, Bundle), MintError> {
        let trust = &self.trust;
        let authorities =
            TrustedAuthorities::from_pem(chain.root.as_bytes()).map_err(MintError::new)?;
        let verifier = CertificateVerifier {
            trust: match &trust.spiffe_prefix {
                None => Trust::Bundle(authorities.clone()),
                Some(prefix) => Trust::Domain(SvidRule {
                    trust_domain: trust_domain.to_owned(),
                    prefix: prefix.clone(),
                }),
            },
            limits: ChainLimits {
                max_intermediates: trust.max_intermediates,
                max_rsa_bits: trust.max_rsa_key_size,
            },
            cluster: self.cluster.clone(),
            verify_client_ip: trust.verify_client_ip,
            node: trust.kubernetes_node.then_some(NodeRule { lookup: None }),
        };
        Ok((verifier, Bundle(authorities)))
    }

    /// Answers the challenge that `examined` leads to, or does not.
    pub(super) fn prove(
        &self,
        chain: &Chain,
        examined: ExaminedChain,
    ) -> Result<Result<VerifiedEvidence, EvidenceError>, MintError> {
        if self.flaw == Some(CertificateFlaw::Unanswered) {
            return Ok(Err(CertificateError::Unanswered.into()));
        }
        // Nothing hangs on whether anybody could have foreseen these.
        let challenge = examined.challenge(Nonce::new([1; 32]));
        let mut message = challenge.message();
        if self.flaw == Some(CertificateFlaw::ReplayedAnswer) {
            message = other_challenge(&message)?;
        }
        let prover = Prover::from_pem(chain.certificates.as_bytes(), chain.key.as_bytes())
            .map_err(MintError::new)?;
        let answer = prover
            .answer(&message, Nonce::new([2; 32]))
            .map_err(MintError::new)?;
        Ok(challenge.answered(&answer, &Patience::none()))
    }

    fn leaf(&self, clock: Moment) -> Result<CertificateParams, MintError> {
        let (not_before, not_after) = match self.flaw {
            Some(CertificateFlaw::Expired) => (clock.before(DAY), clock.before(HOUR)),
            Some(CertificateFlaw::NotYetValid) => (clock.after(HOUR), clock.after(DAY)),
            _ => (
                self.not_before.unwrap_or_else(|| clock.before(DAY)),
                self.not_after.unwrap_or_else(|| clock.after(DAY)),
            ),
        };
        let mut params = valid(not_before, not_after);
        params.serial_number = Some(SerialNumber::from_slice(&hex(&self.serial)?));
        params.key_usages = vec![match self.flaw {
            Some(CertificateFlaw::NoDigitalSignature) => KeyUsagePurpose::KeyEncipherment,
            _ => KeyUsagePurpose::DigitalSignature,
        }];
        if self.flaw == Some(CertificateFlaw::Authority) {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let subject = &self.subject;
        let mut name = |kind: DnType, value: &String| {
            params.distinguished_name.push(kind, value.as_str());
        };
        for organization in only("organizations", &subject.organizations)? {
            name(DnType::OrganizationName, organization);
        }
        for unit in only("organizational_units", &subject.organizational_units)? {
            name(DnType::OrganizationalUnitName, unit);
        }
        if let Some(common_name) = &subject.common_name {
            name(DnType::CommonName, common_name);
        }
        params.subject_alt_names = self
            .alternative_names
            .iter()
            .map(alternative_name)
            .collect::<Result<_, _>>()?;
        Ok(params)
    }
}

impl Chain {
    /// What a peer sends first.
    pub(super) fn evidence(&self, method: Method) -> Result<RawEvidence, MintError> {
        let payload = payload_of_pem(self.certificates.as_bytes(), None).map_err(MintError::new)?;
        RawEvidence::new(method, payload).map_err(MintError::new)
    }
}

/// The trust domain's authorities, for SPIFFE mode.
#[derive(Debug)]
pub(super) struct Bundle(TrustedAuthorities);

impl BundleSource for Bundle {
    fn authorities(&self, _: &Patience) -> Result<TrustedAuthorities, BundleError> {
        Ok(self.0.clone())
    }
}

fn root(number: u8, clock: Moment) -> Result<CertifiedIssuer<'static, KeyPair>, MintError> {
    // Of one name, so that only the signature says which of them it was.
    let params = authority("Authority of cases", number, clock);
    CertifiedIssuer::self_signed(params, keys::authority(number)?).map_err(MintError::new)
}

fn authority(name: &str, serial: u8, clock: Moment) -> CertificateParams {
    let mut params = valid(clock.before(DAY), clock.after(CENTURY));
    params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// The parameters of a certificate that says nothing but its times.
fn valid(not_before: Moment, not_after: Moment) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + Duration::from_secs(not_before.seconds());
    params.not_after = epoch + Duration::from_secs(not_after.seconds());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

fn alternative_name(name: &AlternativeName) -> Result<SanType, MintError> {
    Ok(match name {
        AlternativeName::Dns(name) => {
            SanType::DnsName(name.as_str().try_into().map_err(MintError::new)?)
        }
        AlternativeName::Uri(uri) => SanType::URI(uri.as_str().try_into().map_err(MintError::new)?),
        AlternativeName::Email(address) => {
            SanType::Rfc822Name(address.as_str().try_into().map_err(MintError::new)?)
        }
        AlternativeName::Ip(address) => {
            SanType::IpAddress(address.parse().map_err(MintError::new)?)
        }
    })
}

fn only<'a>(member: &str, values: &'a [String]) -> Result<&'a [String], MintError> {
    if values.len() > 1 {
        return Err(MintError::text(format!(
            "`{member}` of a minted certificate's subject holds one at most"
        )));
    }
    Ok(values)
}

fn hex(text: &str) -> Result<Vec<u8>, MintError> {
    let digits = text.as_bytes();
    let bytes: Option<Vec<u8>> = (!digits.is_empty() && digits.len().is_multiple_of(2))
        .then(|| {
            digits
                .chunks(2)
                .map(|pair| {
                    let pair = std::str::from_utf8(pair).ok()?;
                    u8::from_str_radix(pair, 16).ok()
                })
                .collect()
        })
        .flatten();
    bytes
        .ok_or_else(|| MintError::text("`serial` is not hexadecimal with an even number of digits"))
}

/// A challenge of the same form, with another nonce.
fn other_challenge(message: &[u8]) -> Result<Vec<u8>, MintError> {
    let mut message: serde_json::Value = serde_json::from_slice(message).map_err(MintError::new)?;
    for arm in ["rsa_signature", "ecdsa_signature"] {
        if let Some(nonce) = message.pointer_mut(&format!("/{arm}/nonce")) {
            *nonce = STANDARD.encode([3; 32]).into();
        }
    }
    serde_json::to_vec(&message).map_err(MintError::new)
}
