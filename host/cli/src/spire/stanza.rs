//! `nameplate spire config`: what to write into SPIRE's configuration.

use crate::failure::Failure;
use crate::report::{Exit, Output};
use nameplate_attestor::AttestorName;
use nameplate_evidence::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Print the stanzas that make SPIRE load this binary
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nameplate spire config --attestor k8s_psat --cluster production
  nameplate spire config --attestor k8s_psat --cluster production --output json")]
pub(crate) struct Arguments {
    /// The evidence to attest
    #[arg(long, value_name = "METHOD")]
    attestor: Method,

    /// The plugin's name in SPIRE's configuration [default: the method's]
    #[arg(long, value_name = "NAME")]
    name: Option<AttestorName>,

    /// The cluster that the agents are in
    #[arg(long, value_name = "NAME", default_value = "production")]
    cluster: AttestorName,

    /// Print this binary for spire-agent too, where SPIRE's own agent side would
    /// do
    #[arg(long)]
    agent_plugin: bool,

    /// The binary to load, where it is not this one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
/// When the binary cannot be read.
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
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
    let cluster = arguments.cluster.as_str();
    // SPIRE routes by name: its built-in is called like its method, and there
    // is none for `k8s_sat` any more.
    let built_in = method == Method::K8sPsat && name == method.as_str();
    let own = arguments.agent_plugin || !built_in;
    let server = server(&name, &load("server"), method, cluster);
    let agent = agent(&name, own.then(|| load("agent")).as_ref(), cluster);
    let document = json!({
        "plugin_cmd": binary,
        "plugin_args": words("server"),
        "plugin_checksum": checksum,
        "server": server,
        "agent": agent,
    });
    output.answer(&document, |out| {
        writeln!(out, "# spire-server: into `plugins {{ }}` of server.conf")?;
        writeln!(out, "{server}")?;
        write!(out, "{agent}")
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

fn server(name: &str, load: &Load<'_>, method: Method, cluster: &str) -> String {
    let keys = match method {
        Method::K8sSat => {
            r#"                service_account_key_file = "/path/to/service-account.pub""#
                .to_owned()
        }
        Method::K8sPsat => r#"                verification = "local"
                jwks_file = "/path/to/jwks.json"
                issuer = "https://kubernetes.default.svc.cluster.local"
                audience = ["spire-server"]"#
            .to_owned(),
    };
    format!(
        r#"NodeAttestor {name} {{
{load}    plugin_data {{
        clusters = {{
            {cluster} = {{
                service_account_allow_list = ["spire:spire-agent"]
{keys}
            }}
        }}
    }}
}}
"#,
        name = quoted(name),
        load = load.stanza(),
        cluster = quoted(cluster),
    )
}

/// SPIRE's own agent side, unless another is to be loaded.
fn agent(name: &str, load: Option<&Load<'_>>, cluster: &str) -> String {
    format!(
        r#"NodeAttestor {name} {{
{load}    plugin_data {{
        cluster = {cluster}
    }}
}}
"#,
        name = quoted(name),
        load = load.map(Load::stanza).unwrap_or_default(),
        cluster = quoted(cluster),
    )
}
