//! Who says that a token is good, the API server or its keys, and what else
//! the API server is asked.

use super::super::compared::label_keys;
use super::super::table::TableReader;
use crate::config::NamingConfig;
use crate::config::problem::{Problem, quoted};
use crate::error::chain;
use crate::token_method::TokenMethod;
use nameplate_evidence::{Binding, ClusterApi, Lookup};
use nameplate_kubernetes::{API_TIMEOUT, Access, ApiServer};
use nameplate_policy::PolicySource;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Whether tokens are reviewed by the API server: SPIRE's way with `k8s_psat`,
/// and with `k8s_sat` where it is asked for. None when that cannot be told.
pub(super) fn is_by_review(table: &mut TableReader<'_, '_>, method: TokenMethod) -> Option<bool> {
    let key = match method {
        TokenMethod::K8sSat => {
            let review = table.boolean("use_token_review_api_validation");
            return Some(review.is_some_and(|review| review.value));
        }
        TokenMethod::K8sPsat => "verification",
    };
    if !table.has(key) {
        return Some(true);
    }
    let written = table.string(key)?;
    match written.value {
        "local" => Some(false),
        "review" => Some(true),
        unknown => {
            let text = format!("unknown verification {}", quoted(unknown));
            let known = "known are `review` and `local`";
            table.note(Problem::error(written.span, text).with_help(known));
            None
        }
    }
}

/// An API server that is to be asked and cannot be, which was noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unusable;

/// The API server, where it is asked anything.
///
/// # Errors
/// [`Unusable`], so that nothing more is said about what it would be asked.
pub(super) fn api(
    table: &mut TableReader<'_, '_>,
    method: TokenMethod,
    name: &str,
    review: bool,
) -> Result<Option<Arc<dyn ClusterApi>>, Unusable> {
    let lookup = method == TokenMethod::K8sPsat
        && !review
        && table.boolean("lookup").is_some_and(|lookup| lookup.value);
    if review && method == TokenMethod::K8sPsat && table.has("lookup") {
        let looked_up = table.boolean("lookup");
        if let Some(no) = looked_up.filter(|lookup| !lookup.value) {
            let text = "`lookup = false` needs `verification = \"local\"`: a review always looks \
                        the pod up, as SPIRE does";
            table.note(Problem::error(no.span, text));
        }
    }
    let entry = table.entry("kube_config_file");
    if !review && !lookup {
        if let Some(entry) = entry.filter(|entry| entry.node.value.as_str() != Some("")) {
            let text = format!(
                "cluster {} has `kube_config_file`, and nothing is asked of its API server",
                quoted(name)
            );
            table.note(Problem::warning(entry.key_span.clone(), text));
        }
        unused_timeout(table, &format!("cluster {}", quoted(name)));
        return Ok(None);
    }
    api_server(
        table,
        "kube_config_file",
        &format!("cluster {}", quoted(name)),
    )
    .map(Some)
    .ok_or(Unusable)
}

/// How long an API server may take for each answer.
fn api_timeout(table: &mut TableReader<'_, '_>) -> Duration {
    let range = Duration::from_millis(100)..=Duration::from_secs(10 * 60);
    let timeout = table.duration("api_timeout", range);
    timeout.map_or(API_TIMEOUT, |timeout| timeout.value)
}

/// Notes a timeout that is written although the API server of `whom` is never
/// asked.
pub(in crate::config::decode) fn unused_timeout(table: &mut TableReader<'_, '_>, whom: &str) {
    if let Some(entry) = table.entry("api_timeout") {
        let text = format!("{whom} has `api_timeout`, and nothing is asked of its API server");
        table.note(Problem::warning(entry.key_span.clone(), text));
    }
}

/// The API server of the kubeconfig that `key` names; with none, or an empty
/// path, as SPIRE has it, that of the cluster that this runs in. For messages it
/// is that of `whom`.
pub(in crate::config::decode) fn api_server(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    whom: &str,
) -> Option<Arc<dyn ClusterApi>> {
    let entry = table.entry(key);
    let written = entry.filter(|entry| entry.node.value.as_str() != Some(""));
    let access = match written {
        Some(_) => {
            let path = table.string(key)?;
            Access::Kubeconfig(table.reading().file(Path::new(path.value)))
        }
        None => Access::InCluster,
    };
    let timeout = api_timeout(table);
    let place = written.map_or_else(|| table.place(), |entry| Some(entry.node.span.clone()));
    let server = match ApiServer::new(access) {
        Ok(server) => server.with_timeout(timeout),
        Err(error) => {
            let text = format!("{whom} cannot be asked: {}", chain(&error));
            table.note(Problem::error(place, text));
            return None;
        }
    };
    for doubt in server.doubts() {
        let text = format!("the kubeconfig of {whom}, {doubt}");
        table.note(Problem::warning(place.clone(), text));
    }
    Some(Arc::new(server))
}

/// A review needs no keys, and an operator who gives some may think that they
/// are looked at.
pub(super) fn no_keys(table: &mut TableReader<'_, '_>, method: TokenMethod, name: &str) {
    let help = match method {
        TokenMethod::K8sSat => "it is used without `use_token_review_api_validation`",
        TokenMethod::K8sPsat => "`verification = \"local\"` uses it",
    };
    for key in [
        "service_account_key_file",
        "jwks_file",
        "jwks_url",
        "oidc_discovery",
        "issuer",
    ] {
        if let Some(entry) = table.entry(key) {
            let text = format!(
                "cluster {} has `{key}`, and its tokens are reviewed by its API server",
                quoted(name)
            );
            let problem = Problem::warning(entry.key_span.clone(), text);
            table.note(problem.with_help(help));
        }
    }
}

/// What a projected token must be bound to.
pub(super) fn binding(
    table: &mut TableReader<'_, '_>,
    name: &str,
    api: Result<Option<Arc<dyn ClusterApi>>, Unusable>,
) -> Binding {
    let asks_nobody = matches!(api, Ok(None));
    let mut labels = |key: &'static str| -> Vec<String> {
        let Some(list) = label_keys(table, key) else {
            return Vec::new();
        };
        if asks_nobody && !list.value.is_empty() {
            let text = format!(
                "cluster {} has `{key}`, and no label is read from its API server",
                quoted(name)
            );
            table.note(Problem::error(list.span, text).with_help("write `lookup = true`"));
        }
        list.value
    };
    let node_labels = labels("allowed_node_label_keys");
    let pod_labels = labels("allowed_pod_label_keys");
    match api {
        Ok(Some(api)) => Binding::LookedUp(Lookup {
            api,
            node_labels,
            pod_labels,
        }),
        // Of the second nothing serves: it is an error of the configuration.
        Ok(None) | Err(Unusable) => Binding::Pod,
    }
}

/// SPIRE's other ID shape, `<cluster>/pod/<pod UID>`, where it is asked for.
pub(super) fn naming_by_pod(
    table: &mut TableReader<'_, '_>,
    attestor: &NamingConfig,
) -> Option<NamingConfig> {
    let asked = table
        .boolean("use_pod_uid_for_agent_id")
        .filter(|asked| asked.value)?;
    if table.has("policy") || attestor.place.is_written() {
        let text = "`use_pod_uid_for_agent_id` and `policy` both say how agents are named";
        table.note(Problem::error(asked.span, text).with_help("leave one of them out"));
        return None;
    }
    Some(NamingConfig {
        source: PolicySource::Builtin("template".to_owned()),
        settings: serde_json::json!({ "path": ["{cluster}", "pod", "{pod_uid}"] }),
        ..attestor.clone()
    })
}
