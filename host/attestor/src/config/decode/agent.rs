//! The `plugin_data` of the agent's side: where a node's proof comes from.

mod node_certificate;

use super::cluster::cluster_name;
use super::reading::Reading;
use super::table::{self, Field, TableReader};
use crate::agent::{
    AgentConfig, CertificateFiles, CertificateFilesError, SvidEndpointError, TokenSource,
};
use crate::config::document::Node;
use crate::config::problem::Problem;
use crate::config::{PluginData, Problems, Source};
use crate::error::chain;
use crate::token_method::TokenMethod;
use nameplate_evidence::Method;
use node_certificate::node_certificate;
use std::path::Path;

/// Gives the table its meaning; warnings come with it.
///
/// # Errors
/// Every problem, warnings included, when one of them is an error.
pub(in crate::config) fn agent(
    document: &Node,
    data: &PluginData,
    source: &Source,
    base: &Path,
) -> Result<(AgentConfig, Problems), Problems> {
    let mut reading = Reading::new(base);
    let trusted = super::plugin_trust_domain(&mut reading, data);
    let decoded = table::read(
        &mut reading,
        &data.attestor,
        Some(0..0),
        document,
        |table| match data.method {
            Method::K8sSat => token(table, TokenMethod::K8sSat, base).map(AgentConfig::Token),
            Method::K8sPsat => token(table, TokenMethod::K8sPsat, base).map(AgentConfig::Token),
            Method::X509Pop => certificate(table, base),
            Method::K8s => {
                let certificate = node_certificate(table, &data.attestor, base);
                certificate.map(AgentConfig::Requested)
            }
        },
    );
    let (list, _) = reading.finish();
    let problems = source.problems(list);
    match (trusted, decoded.flatten()) {
        (Some(_), Some(agent)) if !problems.has_errors() => Ok((agent, problems)),
        (_, _) => Err(problems),
    }
}

fn token(table: &mut TableReader<'_, '_>, method: TokenMethod, base: &Path) -> Option<TokenSource> {
    let cluster = cluster(table, method);
    let token_path = table
        .string("token_path")
        .map_or(TokenSource::default_token_path(method), |path| {
            Path::new(path.value)
        });
    let send_uuid = match method {
        TokenMethod::K8sSat => table.boolean("send_uuid").is_some_and(|send| send.value),
        // It never had one.
        TokenMethod::K8sPsat => false,
    };
    if let Some(entry) = table.entry("clusters") {
        let problem = Problem::error(
            entry.key_span.clone(),
            "`clusters` is of the server's side, and this is the agent's",
        );
        table.note(problem.with_help("write `cluster = \"production\"`"));
    }
    Some(TokenSource {
        cluster: cluster?,
        token_path: base.join(token_path),
        send_uuid,
    })
}

/// From files, or from the Workload API: SPIRE takes both and then reads no
/// file.
fn certificate(table: &mut TableReader<'_, '_>, base: &Path) -> Option<AgentConfig> {
    const FILES: [&str; 3] = ["private_key_path", "certificate_path", "intermediates_path"];
    if !table.has("spiffe_endpoint_socket") {
        return files(table, base).map(AgentConfig::Certificate);
    }
    for key in FILES {
        if let Some(entry) = table.entry(key) {
            let text = format!("`{key}` and `spiffe_endpoint_socket` exclude each other");
            let problem = Problem::error(entry.key_span.clone(), text);
            table.note(problem.with_help("an SVID comes with its key and its intermediates"));
        }
    }
    let address = table.string("spiffe_endpoint_socket")?;
    address
        .value
        .parse()
        .map_err(|error: SvidEndpointError| {
            let problem = Problem::error(address.span, error.to_string());
            table.note(problem.with_help("write `unix:///run/spire/agent/public/api.sock`"));
        })
        .ok()
        .map(AgentConfig::Svid)
}

/// The files are read here too, as SPIRE does: what will not attest is better
/// known now.
fn files(table: &mut TableReader<'_, '_>, base: &Path) -> Option<CertificateFiles> {
    let mut required = |key: &'static str| {
        if !table.has(key) {
            let place = table.place();
            table.note(Problem::error(place, format!("{key} is required")));
        }
        table.string(key)
    };
    let private_key = required("private_key_path");
    let certificate = required("certificate_path");
    let intermediates = table.string("intermediates_path");
    let (private_key, certificate) = (private_key?, certificate?);
    let in_base = |path: &Field<&str>| base.join(path.value);
    let files = CertificateFiles {
        private_key: in_base(&private_key),
        certificate: in_base(&certificate),
        intermediates: intermediates.as_ref().map(in_base),
    };
    if let Err(error) = files.load() {
        let place = match &error {
            CertificateFilesError::Unreadable { path, .. } if *path == files.certificate => {
                Some(certificate.span)
            }
            CertificateFilesError::Unreadable { .. } => Some(private_key.span),
            CertificateFilesError::IntermediatesUnreadable { .. }
            | CertificateFilesError::Intermediates(_) => intermediates.map(|path| path.span),
            // Either may be the wrong one of the two.
            CertificateFilesError::KeyPair(_) => table.place(),
        };
        table.note(Problem::error(place, chain(&error)));
        return None;
    }
    Some(files)
}

/// In SPIRE's words, which differ by method.
fn cluster(table: &mut TableReader<'_, '_>, method: TokenMethod) -> Option<String> {
    if !table.has("cluster") {
        let text = match method {
            TokenMethod::K8sSat => "configuration missing cluster",
            TokenMethod::K8sPsat => "missing required cluster block",
        };
        let place = table.place();
        let help = "write `cluster = \"production\"`, as the server's `clusters` names it";
        table.note(Problem::error(place, text).with_help(help));
        return None;
    }
    let name = table.string("cluster")?;
    let segment = cluster_name(table.reading(), name.value, name.span)?;
    Some(segment.as_str().to_owned())
}
