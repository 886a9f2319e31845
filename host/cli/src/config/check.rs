//! `nameplate config check`: every problem of a configuration at once, and
//! what it configures where there is none.
//!
//! Goes as far as a server would: key files are read, policies are loaded
//! with their settings and prove their own cases.

use crate::failure::{Failure, plural};
use crate::report::{BAD, Exit, FAINT, GOOD, HEADING, NOTE, Output, printable, row};
use crate::spire::Side;
use nameplate_attestor::config::{
    AttestorConfig, ClusterConfig, Config, PluginData, Problems, TrustConfig,
};
use nameplate_attestor::{AgentConfig, Generation, KeyDirectory, Naming, PolicyLabel};
use nameplate_evidence::certificates::{CertificateVerifier, Trust};
use nameplate_evidence::{Binding, Method, Proof, TrustedKeys};
use nameplate_policy::Sandbox;
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Read a configuration, load all it names, and show every problem
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nameplate config check nameplate.toml
  nameplate config check nameplate.toml --deny-warnings --output json
  nameplate config check plugin.hcl --plugin k8s_psat --trust-domain example.org
  nameplate config check agent.hcl --plugin k8s_sat --side agent --trust-domain example.org")]
pub(crate) struct Arguments {
    /// The configuration
    file: PathBuf,

    /// Fail where there are warnings, too
    #[arg(long)]
    deny_warnings: bool,

    /// The file is the `plugin_data` (HCL 1 or JSON) of a SPIRE plugin of this
    /// evidence method
    #[arg(long, value_name = "METHOD", requires = "trust_domain")]
    plugin: Option<Method>,

    /// Which of SPIRE's two loads the plugin
    #[arg(long, value_enum, requires = "plugin", default_value_t)]
    side: Side,

    /// The trust domain of the SPIRE server that loads the plugin
    #[arg(long, value_name = "NAME", requires = "plugin")]
    trust_domain: Option<String>,

    /// The name that the plugin is loaded under, where it is not the method's
    #[arg(long, value_name = "NAME", requires = "plugin")]
    name: Option<String>,
}

impl Arguments {
    /// What SPIRE hands to the plugin besides the file; none where the file is
    /// not for SPIRE.
    fn plugin_data(&self) -> Option<PluginData> {
        let method = self.plugin?;
        Some(PluginData {
            text: String::new(),
            trust_domain: self.trust_domain.clone()?,
            attestor: self.name.clone().unwrap_or_else(|| method.to_string()),
            method,
        })
    }

    fn read(&self) -> Result<Config, Problems> {
        match self.plugin_data() {
            Some(data) => Config::read_plugin(&self.file, &data),
            None => Config::read(&self.file),
        }
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Every problem of the configuration.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    if let (Side::Agent, Some(data)) = (arguments.side, arguments.plugin_data()) {
        return agent(&arguments.file, &data, output);
    }
    let config = arguments.read().map_err(Failure::Config)?;
    let generations = load(&config)?;
    let attestors: Vec<_> = config
        .attestors
        .iter()
        .zip(&generations)
        .map(|(attestor, generation)| AttestorSummary::new(attestor, generation))
        .collect();
    let warnings = &config.warnings;
    let good = warnings.list.is_empty() || !arguments.deny_warnings;
    let document = json!({
        "ok": good,
        "trust_domain": config.trust_domain,
        "attestors": attestors,
        "warnings": warnings.summaries(),
    });
    output.answer(&document, |out| {
        if !warnings.list.is_empty() {
            writeln!(out, "{}\n", warnings.render(true))?;
        }
        let name = arguments.file.display();
        let count = warnings.list.len();
        let warned = plural(count, "warning");
        match (good, count) {
            (true, 0) => writeln!(out, "{GOOD}`{name}` is good{GOOD:#}")?,
            (true, _) => writeln!(
                out,
                "{NOTE}`{name}` can be used, with {count} {warned}{NOTE:#}"
            )?,
            (false, _) => writeln!(out, "{BAD}`{name}` has {count} {warned}{BAD:#}")?,
        }
        row(out, "trust domain", &config.trust_domain)?;
        attestors
            .iter()
            .try_for_each(|attestor| attestor.write(out))
    })?;
    Ok(if good { Exit::Done } else { Exit::Fault })
}

/// The agent's side; whether there is a token yet is the machine's business.
fn agent(file: &Path, data: &PluginData, output: Output) -> Result<Exit, Failure> {
    let (config, _) = AgentConfig::read_plugin(file, data).map_err(Failure::Config)?;
    let name = file.display();
    let document = match &config {
        AgentConfig::Token(token) => json!({
            "ok": true,
            "cluster": token.cluster,
            "token_path": token.token_path,
            "send_uuid": token.send_uuid,
        }),
        AgentConfig::Certificate(files) => json!({
            "ok": true,
            "certificate_path": files.certificate,
            "private_key_path": files.private_key,
            "intermediates_path": files.intermediates,
        }),
        AgentConfig::Svid(endpoint) => json!({
            "ok": true,
            "spiffe_endpoint_socket": endpoint.path(),
        }),
        AgentConfig::Requested(certificate) => json!({
            "ok": true,
            "node_name": certificate.node,
            "signer": certificate.signer,
            "certificate_ttl_s": certificate.lifetime.as_secs(),
            "approval_timeout_s": certificate.approval_timeout.as_secs(),
            "verify_request": certificate.verify_request,
            "key_directory": certificate.directory.as_ref().map(KeyDirectory::path),
        }),
    };
    output.answer(&document, |out| {
        writeln!(out, "{GOOD}`{name}` is good{GOOD:#}")?;
        match &config {
            AgentConfig::Token(token) => {
                row(out, "cluster", &token.cluster)?;
                row(out, "token", token.token_path.display())
            }
            AgentConfig::Certificate(files) => {
                row(out, "certificate", files.certificate.display())?;
                row(out, "private key", files.private_key.display())
            }
            AgentConfig::Svid(endpoint) => row(out, "workload API", endpoint.path().display()),
            AgentConfig::Requested(certificate) => {
                row(out, "node", &certificate.node)?;
                row(out, "signer", &certificate.signer)?;
                match &certificate.directory {
                    Some(directory) => row(out, "keys", directory.path().display()),
                    None => row(out, "keys", "new for each attestation"),
                }
            }
        }
    })?;
    Ok(Exit::Done)
}

/// Loads every attestor, and finds the problems of all of them.
fn load(config: &Config) -> Result<Vec<Generation>, Failure> {
    let sandbox = Sandbox::new()?;
    let mut generations = Vec::new();
    let mut problems: Option<Problems> = None;
    for attestor in &config.attestors {
        match Generation::load(config, attestor, &sandbox) {
            Ok(generation) => generations.push(generation),
            Err(more) => match &mut problems {
                Some(problems) => problems.list.extend(more.list),
                None => problems = Some(more),
            },
        }
    }
    match problems {
        None => Ok(generations),
        Some(mut problems) => {
            problems.list.extend(config.warnings.list.iter().cloned());
            Err(Failure::Config(problems))
        }
    }
}

/// One attestor, as it will serve.
#[derive(Debug, Serialize)]
struct AttestorSummary<'a> {
    name: &'a str,
    method: &'static str,
    policy: PolicySummary<'a>,
    clusters: Vec<ClusterSummary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<CertificateSummary<'a>>,
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
}

#[derive(Debug, Serialize)]
struct PolicySummary<'a> {
    #[serde(flatten)]
    label: &'a PolicyLabel,
    leading: Vec<String>,
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
    fn new(config: &'a AttestorConfig, generation: &'a Generation) -> Self {
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
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{HEADING}attestor `{}`{HEADING:#}", self.name)?;
        row(out, "evidence", self.method)?;
        self.policy.write(out)?;
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
            nodes: verifier.node.as_ref().map(|rule| NodeSummary {
                cluster: verifier.cluster.as_deref(),
                looked_up: rule.lookup.is_some(),
                signer: rule
                    .lookup
                    .as_ref()
                    .and_then(|lookup| lookup.signer.as_deref()),
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
                )
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
        Self {
            label: naming.label(),
            leading: naming
                .envelope()
                .leading
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        row(out, "policy", self.label)?;
        row(out, "digest", self.label.digest)?;
        match self.leading.as_slice() {
            [] => Ok(()),
            leading => row(out, "IDs begin", leading.join("/")),
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
