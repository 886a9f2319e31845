//! `nameplate spire config`: what to write into SPIRE's configuration.

use super::Side;
use crate::failure::Failure;
use crate::report::{Exit, Output};
use nameplate_attestor::{AttestorName, TokenMethod};
use nameplate_evidence::{AllowedServiceAccount, Method};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The issuer of a cluster that was given no other.
const IN_CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

/// Print the stanzas that make SPIRE load this binary
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An option that the method has no use for is refused.

Examples:
  nameplate spire config --attestor k8s_psat --cluster production
  nameplate spire config --attestor k8s_psat --cluster production --side server \
      --keys /etc/spire/production.jwks --issuer https://oidc.example.org
  nameplate spire config --attestor k8s_psat --cluster production --output json")]
pub(crate) struct Arguments {
    /// The evidence to attest
    #[arg(long, value_name = "METHOD")]
    attestor: Method,

    /// The plugin's name in SPIRE's configuration [default: the method's]
    #[arg(long, value_name = "NAME")]
    name: Option<AttestorName>,

    /// The cluster that the agents are in, for all but `x509pop` [default:
    /// production]
    #[arg(long, value_name = "NAME")]
    cluster: Option<AttestorName>,

    /// Where the cluster's public keys are: its JWKS for `k8s_psat`, PEM for
    /// `k8s_sat`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    keys: Option<PathBuf>,

    /// What the cluster's tokens say that they are issued by; for `k8s_sat` not
    /// compared without it [default: `https://kubernetes.default.svc.cluster.local`
    /// for `k8s_psat`]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,

    /// An audience, of which a token has to have one; can be said several times;
    /// for `k8s_sat` not compared without it [default: spire-server for `k8s_psat`]
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,

    /// The account of the agents, for `k8s_sat` and `k8s_psat` [default:
    /// spire:spire-agent]
    #[arg(long, value_name = "NAMESPACE:NAME")]
    service_account: Option<AllowedServiceAccount>,

    /// Where an agent finds its token, where it is not SPIRE's own place; for
    /// `k8s_sat` and `k8s_psat`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    token_path: Option<PathBuf>,

    /// Where the certificates of the authorities are that signed the agents',
    /// for `x509pop` and `k8s`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ca_bundle: Option<PathBuf>,

    /// How the server reaches the cluster's API server, for `k8s`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    kubeconfig: Option<PathBuf>,

    /// Where an agent finds its certificate, for `x509pop`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    certificate: Option<PathBuf>,

    /// Where an agent finds the certificate's private key, for `x509pop`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    private_key: Option<PathBuf>,

    /// Print the stanza of one side and nothing else
    #[arg(long, value_enum)]
    side: Option<Side>,

    /// Print this binary for spire-agent too, where SPIRE's own agent side would
    /// do
    #[arg(long)]
    agent_plugin: bool,

    /// The binary to load, where it is not this one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Arguments {
    /// Refuses options that the method has no use for: what is typed and not
    /// written would be missed only when an agent is refused, or is not.
    ///
    /// # Errors
    /// [`Failure::Usage`], with the first.
    fn suit_the_method(&self) -> Result<(), Failure> {
        let method = self.attestor;
        let (token, node, proof) = match method {
            Method::K8sSat | Method::K8sPsat => (true, false, false),
            Method::K8s => (false, true, false),
            Method::X509Pop => (false, false, true),
        };
        let options = [
            ("--cluster", self.cluster.is_some(), token || node),
            ("--keys", self.keys.is_some(), token),
            ("--issuer", self.issuer.is_some(), token),
            ("--audience", !self.audience.is_empty(), token),
            ("--service-account", self.service_account.is_some(), token),
            ("--token-path", self.token_path.is_some(), token),
            ("--ca-bundle", self.ca_bundle.is_some(), node || proof),
            ("--kubeconfig", self.kubeconfig.is_some(), node),
            ("--certificate", self.certificate.is_some(), proof),
            ("--private-key", self.private_key.is_some(), proof),
        ];
        match options.into_iter().find(|(_, given, used)| *given && !used) {
            Some((option, _, _)) => Err(Failure::Usage(format!(
                "`{option}` says nothing about `{method}`: leave it out"
            ))),
            None => Ok(()),
        }
    }

    fn cluster(&self) -> String {
        self.cluster
            .as_ref()
            .map_or_else(|| "production".to_owned(), ToString::to_string)
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When an option does not suit the method, or the binary cannot be read.
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    arguments.suit_the_method()?;
    let unreadable = |error: io::Error| Failure::fault("binary_unreadable", error);
    let binary = match &arguments.binary {
        Some(binary) => std::path::absolute(binary).map_err(unreadable)?,
        None => std::env::current_exe().map_err(unreadable)?,
    };
    let checksum = checksum(&binary).map_err(unreadable)?;
    let method = arguments.attestor;
    let configured = arguments.name.as_ref().map(ToString::to_string);
    let name = super::named(method, configured.clone());
    let words = |side| {
        let mut words = vec!["spire", side, "--attestor", method.as_str()];
        if let Some(name) = &configured {
            words.extend(["--name", name]);
        }
        words
    };
    let load = |side| Load {
        binary: &binary,
        words: words(side),
        checksum: &checksum,
    };
    // SPIRE routes by name: its built-in is called like its method, and there
    // is none for `k8s_sat` any more.
    let built_in = match method {
        Method::K8sSat | Method::K8s => false,
        Method::K8sPsat | Method::X509Pop => name == method.as_str(),
    };
    let own = arguments.agent_plugin || !built_in;
    let server = stanza(&name, Some(&load("server")), &server_data(arguments)?);
    let load = own.then(|| load("agent"));
    let agent = stanza(&name, load.as_ref(), &agent_data(arguments)?);
    let document = json!({
        "plugin_cmd": binary,
        "plugin_args": words("server"),
        "plugin_checksum": checksum,
        "server": server,
        "agent": agent,
    });
    output.answer(&document, |out| match arguments.side {
        Some(Side::Server) => write!(out, "{server}"),
        Some(Side::Agent) => write!(out, "{agent}"),
        None => {
            writeln!(out, "# spire-server: into `plugins {{ }}` of server.conf")?;
            writeln!(out, "{server}")?;
            writeln!(out, "# spire-agent: into `plugins {{ }}` of agent.conf")?;
            write!(out, "{agent}")
        }
    })?;
    Ok(Exit::Done)
}

fn checksum(binary: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(binary)?;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = io::Read::read(&mut file, &mut chunk)?;
        let Some(read) = chunk.get(..read).filter(|read| !read.is_empty()) else {
            break;
        };
        hash.update(read);
    }
    let mut hex = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _written = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

/// HCL has JSON's strings.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// How SPIRE starts this binary.
struct Load<'a> {
    binary: &'a Path,
    words: Vec<&'a str>,
    checksum: &'a str,
}

impl Load<'_> {
    fn stanza(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| quoted(word)).collect();
        format!(
            r#"    plugin_cmd = {binary}
    plugin_args = [{words}]
    plugin_checksum = "{checksum}"
"#,
            binary = quoted(&self.binary.to_string_lossy()),
            words = words.join(", "),
            checksum = self.checksum,
        )
    }
}

/// SPIRE's plugins start where SPIRE was started: a path that is written down
/// has to be whole.
fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    path.map(std::path::absolute)
        .transpose()
        .map_err(|error| Failure::fault("path_unusable", error))
}

/// The keys of the cluster in the server's stanza.
fn keys(arguments: &Arguments, method: TokenMethod) -> Result<Vec<String>, Failure> {
    let keys = absolute(arguments.keys.as_deref())?;
    let file = |otherwise: &str| match &keys {
        Some(keys) => quoted(&keys.to_string_lossy()),
        None => quoted(otherwise),
    };
    let account = match &arguments.service_account {
        Some(account) => quoted(&account.to_string()),
        None => quoted("spire:spire-agent"),
    };
    let audience: Vec<_> = arguments.audience.iter().map(|name| quoted(name)).collect();
    let audience = (!audience.is_empty()).then(|| audience.join(", "));
    let mut lines = vec![format!("service_account_allow_list = [{account}]")];
    let (issuer, audience) = match method {
        TokenMethod::K8sSat => {
            lines.push(format!(
                "service_account_key_file = {}",
                file("/path/to/service-account.pub")
            ));
            // Old tokens have neither, and a default would refuse them all.
            (arguments.issuer.as_deref(), audience)
        }
        TokenMethod::K8sPsat => {
            lines.extend([
                r#"verification = "local""#.to_owned(),
                format!("jwks_file = {}", file("/path/to/jwks.json")),
            ]);
            let issuer = arguments.issuer.as_deref();
            let audience = audience.unwrap_or_else(|| quoted("spire-server"));
            (Some(issuer.unwrap_or(IN_CLUSTER)), Some(audience))
        }
    };
    lines.extend(issuer.map(|issuer| format!("issuer = {}", quoted(issuer))));
    lines.extend(audience.map(|audience| format!("audience = [{audience}]")));
    Ok(lines)
}

/// What the server's side is told, a line each.
fn server_data(arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let method = match arguments.attestor {
        Method::K8sSat => TokenMethod::K8sSat,
        Method::K8sPsat => TokenMethod::K8sPsat,
        Method::X509Pop => {
            let bundle = path(arguments.ca_bundle.as_deref(), "/path/to/agents-ca.pem")?;
            return Ok(vec![format!("ca_bundle_path = {bundle}")]);
        }
        Method::K8s => {
            let bundle = path(arguments.ca_bundle.as_deref(), "/path/to/cluster-ca.pem")?;
            let kubeconfig = path(arguments.kubeconfig.as_deref(), "/path/to/kubeconfig")?;
            return Ok(vec![
                format!("cluster = {}", quoted(&arguments.cluster())),
                format!("ca_bundle_path = {bundle}"),
                format!("kube_config_file = {kubeconfig}"),
            ]);
        }
    };
    let keys = keys(arguments, method)?.into_iter();
    let cluster = quoted(&arguments.cluster());
    let mut lines = vec!["clusters = {".to_owned(), format!("    {cluster} = {{")];
    lines.extend(keys.map(|line| format!("        {line}")));
    lines.extend(["    }".to_owned(), "}".to_owned()]);
    Ok(lines)
}

/// What the agent's side is told, SPIRE's own or this one.
fn agent_data(arguments: &Arguments) -> Result<Vec<String>, Failure> {
    if arguments.attestor == Method::X509Pop {
        let key = path(arguments.private_key.as_deref(), "/path/to/agent.key")?;
        let certificate = path(arguments.certificate.as_deref(), "/path/to/agent.pem")?;
        return Ok(vec![
            format!("private_key_path = {key}"),
            format!("certificate_path = {certificate}"),
        ]);
    }
    let token_path = absolute(arguments.token_path.as_deref())?;
    let token_path = token_path.map(|path| {
        let path = quoted(&path.to_string_lossy());
        format!("token_path = {path}")
    });
    let cluster = quoted(&arguments.cluster());
    // `k8s` has it from its API server, which is found as kubectl finds it.
    let cluster = (arguments.attestor != Method::K8s).then(|| format!("cluster = {cluster}"));
    Ok(cluster.into_iter().chain(token_path).collect())
}

/// `given`, or what the operator has to replace.
fn path(given: Option<&Path>, otherwise: &str) -> Result<String, Failure> {
    let given = absolute(given)?;
    Ok(given.map_or_else(|| quoted(otherwise), |path| quoted(&path.to_string_lossy())))
}

/// Without `load`, for SPIRE's own.
fn stanza(name: &str, load: Option<&Load<'_>>, data: &[String]) -> String {
    let data: Vec<_> = data
        .iter()
        .map(|line| format!("{:8}{line}\n", ""))
        .collect();
    format!(
        r#"NodeAttestor {name} {{
{load}    plugin_data {{
{data}    }}
}}
"#,
        name = quoted(name),
        load = load.map(Load::stanza).unwrap_or_default(),
        data = data.concat(),
    )
}
