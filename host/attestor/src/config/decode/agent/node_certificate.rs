//! The agent's keys of `k8s`: whom a node asks for its certificate, as whom,
//! and for how long.

use super::super::attestor::directory_check;
use super::super::certificates::{kubeconfig_key, signer};
use super::super::table::TableReader;
use crate::agent::{KeyDirectory, NodeCertificate};
use crate::config::problem::{Problem, quoted};
use crate::error::chain;
use nameplate_evidence::is_object_name;
use nameplate_kubernetes::{Access, ApiServer, Environment};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Kubernetes makes none shorter; a longer one is not worth calling temporary.
const LIFETIMES: RangeInclusive<Duration> =
    Duration::from_secs(600)..=Duration::from_secs(366 * 86_400);
const LIFETIME: Duration = Duration::from_secs(3600);

/// Kubernetes removes a request that nobody decided on after a day.
const APPROVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
const APPROVAL: Duration = Duration::from_secs(300);

/// The variable that SPIRE's documentation has pods set.
const NODE_VARIABLE: &str = "MY_NODE_NAME";

/// Keys of the attestor's first form, and what became of them.
const FIRST_FORM: [(&str, &str); 3] = [
    (
        "k8s_private_key_path",
        "the key is made here, and kept in `key_directory` where that is set",
    ),
    (
        "k8s_certificate_path",
        "the certificate is kept in `key_directory` where that is set",
    ),
    (
        "k8s_ca_certificate_path",
        "a kubeconfig names the authorities of its API server; with `token_path`, `ca_file` does",
    ),
];

pub(super) fn node_certificate(
    table: &mut TableReader<'_, '_>,
    attestor: &str,
    base: &Path,
) -> Option<NodeCertificate> {
    for (key, help) in FIRST_FORM {
        if let Some(entry) = table.entry(key) {
            let text = format!("`{key}` was of the attestor's first form");
            table.note(Problem::error(entry.key_span.clone(), text).with_help(help));
        }
    }
    let access = access(table, base, &Environment::of_this_process());
    let node = node_name(table);
    let verify_request = table
        .boolean("verify_request")
        .is_none_or(|verify| verify.value);
    let signer = signer(table);
    let lifetime = table.duration("certificate_ttl", LIFETIMES);
    let approval_timeout = table.duration("approval_timeout", APPROVALS);
    let directory = directory(table, attestor, base);
    Some(NodeCertificate {
        access: access?,
        node: node?,
        signer,
        lifetime: lifetime.map_or(LIFETIME, |lifetime| lifetime.value),
        approval_timeout: approval_timeout.map_or(APPROVAL, |timeout| timeout.value),
        verify_request,
        directory: directory?,
    })
}

/// Whom to ask. That it can be asked is found out now, without asking.
fn access(
    table: &mut TableReader<'_, '_>,
    base: &Path,
    environment: &Environment,
) -> Option<Access> {
    let key = kubeconfig_key(table)?;
    let path =
        |table: &mut TableReader<'_, '_>, key| table.string(key).map(|path| base.join(path.value));
    let place = table
        .entry(key)
        .or_else(|| table.entry("token_path"))
        .map(|entry| entry.node.span.clone())
        .or_else(|| table.place());
    let server = table.string("api_server");
    let ca = path(table, "ca_file");
    let (by_kubeconfig, by_token) = (table.has(key), table.has("token_path"));
    if !by_token {
        for of_token in ["api_server", "ca_file"] {
            if let Some(entry) = table.entry(of_token) {
                let text = format!("`{of_token}` goes with `token_path`");
                let problem = Problem::error(entry.key_span.clone(), text);
                table.note(problem.with_help("a kubeconfig names its API server itself"));
            }
        }
    }
    let access = match (by_kubeconfig, by_token) {
        (true, true) => {
            let text = format!("`token_path` and `{key}` exclude each other");
            table.note(Problem::error(place, text));
            return None;
        }
        // As SPIRE's Kubernetes attestors have it.
        (true, false) if is_empty(table, key) => Ok(Access::InCluster),
        (true, false) => Ok(Access::Kubeconfig(path(table, key)?)),
        (false, true) => {
            let server = server.map(|server| server.value.to_owned());
            Access::by_token(path(table, "token_path")?, server, ca, environment)
        }
        (false, false) => Access::found(environment),
    };
    let usable = access.and_then(|access| Ok((ApiServer::new(access.clone())?, access)));
    match usable {
        Ok((server, access)) => {
            for doubt in server.doubts() {
                table.note(Problem::warning(place.clone(), doubt));
            }
            Some(access)
        }
        Err(error) => {
            table.note(Problem::error(place, chain(&error)));
            None
        }
    }
}

fn is_empty(table: &mut TableReader<'_, '_>, key: &'static str) -> bool {
    table
        .entry(key)
        .is_some_and(|entry| entry.node.value.as_str() == Some(""))
}

/// As the kubelet calls its node: by what it is told, or by the host's name.
fn node_name(table: &mut TableReader<'_, '_>) -> Option<String> {
    let written = table.string("node_name");
    let variable = table
        .string("node_name_env")
        .map_or(NODE_VARIABLE, |name| name.value);
    let (name, span) = match written {
        Some(name) => (name.value.to_owned(), Some(name.span)),
        None if table.has("node_name") => return None,
        None => {
            let name = std::env::var(variable)
                .ok()
                .filter(|name| !name.is_empty())
                .unwrap_or_else(host_name);
            (name, table.place())
        }
    };
    if is_object_name(&name) {
        return Some(name);
    }
    let text = format!("{} is not the name of a node", quoted(&name));
    let problem = Problem::error(span, text);
    table.note(problem.with_help("write `node_name = \"…\"`, as `kubectl get nodes` has it"));
    None
}

/// In lower case and without blanks, as the kubelet takes it. Empty where the
/// kernel does not say.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.unwrap_or_default().trim().to_lowercase()
}

/// The outer `None` when a problem was noted.
fn directory(
    table: &mut TableReader<'_, '_>,
    attestor: &str,
    base: &Path,
) -> Option<Option<KeyDirectory>> {
    let kept = table.has("key_directory");
    let check = directory_check(table, kept, "`key_directory`");
    if !kept {
        return Some(None);
    }
    let path = table.string("key_directory")?;
    let at: PathBuf = base.join(path.value);
    match KeyDirectory::new(at, attestor, check) {
        Ok(directory) => Some(Some(directory)),
        Err(error) => {
            table.note(Problem::error(path.span, chain(&error)));
            None
        }
    }
}
