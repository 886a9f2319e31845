//! What a configuration comes to, attestor by attestor.

mod trust;

use crate::failure::plural;
use crate::report::{FAINT, HEADING, NOTE, printable, row};
use nameplate_attestor::config::{AttestorConfig, ClusterConfig, TrustConfig};
use nameplate_attestor::{FalseFacts, Generation, Naming, PolicyLabel};
use nameplate_evidence::certificates::{CertificateVerifier, Trust};
use nameplate_evidence::{Binding, Proof, TrustedKeys};
use serde::Serialize;
use std::io::{self, Write};
use trust::TrustSummary;

/// One attestor, as it will serve.
#[derive(Debug, Serialize)]
pub(super) struct AttestorSummary<'a> {
    name: &'a str,
    method: &'static str,
    policy: PolicySummary<'a>,
    clusters: Vec<ClusterSummary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<CertificateSummary<'a>>,
    #[serde(flatten)]
    trust: TrustSummary<'a>,
}

/// Which certificates are evidence.
#[derive(Debug, Serialize)]
struct CertificateSummary<'a> {
    /// Authorities of the bundle; none where the trust domain's own count.
    authorities: Option<usize>,
    /// How the path of an SVID begins, where SVIDs are evidence.
    svid_prefix: Option<&'a str>,
    max_intermediates: usize,
    max_rsa_key_size: u32,
    verify_client_ip: bool,
    /// What is asked of a cluster about its nodes, where they are evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<NodeSummary<'a>>,
}

#[derive(Debug, Serialize)]
struct NodeSummary<'a> {
    cluster: Option<&'a str>,
    looked_up: bool,
    /// The signer of the CertificateSigningRequests that are looked at.
    signer: Option<&'a str>,
    /// Whether those count whose requester is on no known node.
    allow_requester_without_node: bool,
}

#[derive(Debug, Serialize)]
struct PolicySummary<'a> {
    #[serde(flatten)]
    label: &'a PolicyLabel,
    leading: Vec<String>,
    /// Patterns for selectors, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    selectors: Vec<String>,
    false_facts: FalseFacts,
}

/// Who says that a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Verification {
    /// We, with keys from a file.
    #[serde(rename = "local")]
    Keys,
    /// We, with the keys that the cluster publishes.
    #[serde(rename = "local, keys followed")]
    PublishedKeys,
    /// Its API server.
    #[serde(rename = "review")]
    Review,
}

#[derive(Debug, Serialize)]
struct ClusterSummary<'a> {
    name: &'a str,
    verification: Verification,
    keys: Vec<String>,
    looked_up: bool,
    service_accounts: Vec<String>,
    issuer: Option<&'a str>,
    audience: &'a [String],
    allow_unexpiring_tokens: bool,
    ca_thumbprint: Option<&'a str>,
    /// Where it differs from the attestor's.
    policy: Option<PolicySummary<'a>>,
}

impl<'a> AttestorSummary<'a> {
    pub(super) fn new(config: &'a AttestorConfig, generation: &'a Generation) -> Self {
        Self {
            name: config.name.as_str(),
            method: config.method.as_str(),
            policy: PolicySummary::new(generation.naming(None)),
            clusters: config
                .clusters()
                .iter()
                .map(|cluster| ClusterSummary::new(cluster, generation))
                .collect(),
            certificates: match &config.trust {
                TrustConfig::Clusters(_) => None,
                TrustConfig::Certificates(verifier) => Some(CertificateSummary::new(verifier)),
            },
            trust: TrustSummary::new(config),
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{HEADING}attestor `{}`{HEADING:#}", self.name)?;
        row(out, "evidence", self.method)?;
        self.policy.write(out)?;
        self.trust.write(out)?;
        if let Some(certificates) = &self.certificates {
            certificates.write(out)?;
        }
        self.clusters
            .iter()
            .try_for_each(|cluster| cluster.write(out))
    }
}

impl<'a> CertificateSummary<'a> {
    fn new(verifier: &'a CertificateVerifier) -> Self {
        let (authorities, svid_prefix) = match &verifier.trust {
            Trust::Bundle(authorities) => (Some(authorities.count()), None),
            Trust::Domain(rule) => (None, Some(rule.prefix.as_str())),
        };
        Self {
            authorities,
            svid_prefix,
            max_intermediates: verifier.limits.max_intermediates,
            max_rsa_key_size: verifier.limits.max_rsa_bits,
            verify_client_ip: verifier.verify_client_ip,
            nodes: verifier.node.as_ref().map(|rule| {
                let request = rule
                    .lookup
                    .as_ref()
                    .and_then(|lookup| lookup.request.as_ref());
                NodeSummary {
                    cluster: verifier.cluster.as_deref(),
                    looked_up: rule.lookup.is_some(),
                    signer: request.map(|request| request.signer.as_str()),
                    allow_requester_without_node: request
                        .is_some_and(|request| request.allow_requester_without_node),
                }
            }),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.authorities {
            Some(1) => row(out, "trusts", "1 authority")?,
            Some(count) => row(out, "trusts", format_args!("{count} authorities"))?,
            None => row(out, "trusts", "the trust domain's own authorities")?,
        }
        if let Some(prefix) = self.svid_prefix {
            row(out, "SVIDs", format_args!("below {}", printable(prefix)))?;
        }
        let (most, bits) = (self.max_intermediates, self.max_rsa_key_size);
        row(
            out,
            "chains",
            format_args!("at most {most} intermediates, RSA to {bits} bits"),
        )?;
        if self.verify_client_ip {
            row(out, "address", "one of the certificate's")?;
        }
        match &self.nodes {
            Some(nodes) => nodes.write(out),
            None => Ok(()),
        }
    }
}

impl NodeSummary<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(cluster) = self.cluster {
            row(out, "cluster", printable(cluster))?;
        }
        match (self.looked_up, self.signer) {
            (true, Some(signer)) => {
                row(out, "nodes", "read from the API server")?;
                row(
                    out,
                    "requests",
                    format_args!("looked at, to {}", printable(signer)),
                )?;
                match self.allow_requester_without_node {
                    true => row(
                        out,
                        "requesters",
                        format_args!("{NOTE}also those that are on no known node{NOTE:#}"),
                    ),
                    false => row(out, "requesters", "on the certificate's node"),
                }
            }
            (true, None) => {
                row(out, "nodes", "read from the API server")?;
                row(out, "requests", "not looked at")
            }
            (false, _) => row(out, "nodes", "by their certificates' names alone"),
        }
    }
}

impl<'a> PolicySummary<'a> {
    fn new(naming: &'a Naming) -> Self {
        let envelope = naming.envelope();
        let leading = envelope.leading.iter();
        let selectors = envelope.selectors.iter();
        Self {
            label: naming.label(),
            leading: leading.map(ToString::to_string).collect(),
            selectors: selectors.map(ToString::to_string).collect(),
            false_facts: envelope.false_facts,
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        row(out, "policy", self.label)?;
        row(out, "digest", self.label.digest)?;
        if !self.leading.is_empty() {
            row(out, "IDs begin", self.leading.join("/"))?;
        }
        if !self.selectors.is_empty() {
            row(out, "selectors", printable(&self.selectors.join(", ")))?;
        }
        match self.false_facts {
            FalseFacts::Refuse => Ok(()),
            FalseFacts::Admit => row(
                out,
                "selectors",
                format_args!("{NOTE}may say facts that were not proven{NOTE:#}"),
            ),
        }
    }
}

impl<'a> ClusterSummary<'a> {
    fn new(config: &'a ClusterConfig, generation: &'a Generation) -> Self {
        let trust = &config.trust;
        let local = trust.proof.local();
        let audience = match &trust.proof {
            Proof::Local(local) => &local.audience,
            Proof::Review(review) => &review.audience,
        };
        let keys = match local.map(|local| &local.keys) {
            Some(TrustedKeys::Fixed(keys)) => {
                keys.descriptions().map(|key| key.to_string()).collect()
            }
            Some(TrustedKeys::Followed(_)) | None => Vec::new(),
        };
        Self {
            name: &trust.name,
            verification: match local.map(|local| &local.keys) {
                Some(TrustedKeys::Fixed(_)) => Verification::Keys,
                Some(TrustedKeys::Followed(_)) => Verification::PublishedKeys,
                None => Verification::Review,
            },
            keys,
            looked_up: matches!(trust.binding, Binding::LookedUp(_)),
            service_accounts: trust.allowed.iter().map(ToString::to_string).collect(),
            issuer: local.and_then(|local| local.issuer.as_deref()),
            audience,
            allow_unexpiring_tokens: local.is_some_and(|local| local.allow_unexpiring_tokens),
            ca_thumbprint: trust.ca_thumbprint.as_deref(),
            policy: config
                .naming
                .as_ref()
                .map(|_| PolicySummary::new(generation.naming(Some(&trust.name)))),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n  {HEADING}cluster `{}`{HEADING:#}", self.name)?;
        let reviewed = self.verification == Verification::Review;
        match self.verification {
            Verification::Keys => {
                let count = self.keys.len();
                let keys = self.keys.join("; ");
                row(
                    out,
                    "trusts",
                    format_args!("{count} {}: {keys}", plural(count, "key")),
                )?;
            }
            Verification::PublishedKeys => row(out, "trusts", "the keys that it publishes")?,
            Verification::Review => row(out, "trusts", "its API server's TokenReview")?,
        }
        if self.looked_up {
            row(out, "looked up", "pod and node, at its API server")?;
        }
        row(
            out,
            "accounts",
            printable(&self.service_accounts.join(", ")),
        )?;
        match self.issuer {
            Some(issuer) => row(out, "issuer", printable(issuer))?,
            None if reviewed => {}
            None => row(out, "issuer", format_args!("{NOTE}not compared{NOTE:#}"))?,
        }
        match self.audience {
            [] if reviewed => row(out, "audience", "the API server's own")?,
            [] => row(out, "audience", format_args!("{NOTE}not compared{NOTE:#}"))?,
            audience => row(out, "audience", printable(&audience.join(", ")))?,
        }
        if self.allow_unexpiring_tokens {
            row(
                out,
                "expiry",
                format_args!("{NOTE}tokens that never expire are accepted{NOTE:#}"),
            )?;
        }
        if let Some(thumbprint) = self.ca_thumbprint {
            row(
                out,
                "CA",
                format_args!("{FAINT}sha256:{FAINT:#}{thumbprint}"),
            )?;
        }
        match &self.policy {
            Some(policy) => policy.write(out),
            None => Ok(()),
        }
    }
}
