//! One table under `clusters` of `k8s_sat` and `k8s_psat`: whose tokens are
//! trusted, and for what.

use super::policy::naming;
use super::reading::Reading;
use super::table::{self, Field, TableReader};
use crate::config::document::Entry;
use crate::config::problem::{Problem, quoted};
use crate::config::{ClusterConfig, MAX_LEEWAY, NamingConfig};
use crate::error::chain;
use crate::spiffe_id::PathSegment;
use nameplate_evidence::{
    AllowedServiceAccount, ClusterTrust, KeySet, MAX_KEY_FILE_BYTES, MalformedServiceAccount,
    Method, thumbprint_of_pem,
};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// SPIRE's leeway for the times of a token.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// Reads the cluster `entry` of an attestor that names peers as `attestor` says.
pub(super) fn cluster(
    reading: &mut Reading,
    entry: &Entry,
    method: Method,
    attestor: &NamingConfig,
    least_id_bytes: usize,
) -> Option<ClusterConfig> {
    let name = entry.key.as_str();
    let place = Some(entry.key_span.clone());
    // The name is a fact for policies, which make it a path segment.
    let segment: Option<PathSegment> = name
        .parse()
        .map_err(|error| {
            let text = format!("bad cluster name {}: {}", quoted(name), chain(&error));
            reading.note(Problem::error(place.clone(), text));
        })
        .ok();
    table::read(reading, name, place, &entry.node, |table| {
        let keys = keys(table, name);
        let allowed = allowed(table, name);
        let issuer = issuer(table, method, name);
        let audience = audience(table, method, name);
        let ca_thumbprint = ca_thumbprint(table, name);
        let leeway = table
            .duration("leeway", Duration::ZERO..=MAX_LEEWAY)
            .map_or(DEFAULT_LEEWAY, |leeway| leeway.value);
        let allow_unexpiring_tokens = match method {
            Method::K8sSat => allow_unexpiring_tokens(table, name),
            // A projected token ends.
            Method::K8sPsat => false,
        };
        let naming = naming(table, attestor, None, least_id_bytes);
        match method {
            Method::K8sSat => token_review(table, name),
            Method::K8sPsat => verification(table, name),
        }
        table.renamed("service_account_whitelist", "service_account_allow_list");
        Some(ClusterConfig {
            trust: ClusterTrust {
                name: segment?.as_str().to_owned(),
                keys: keys?,
                allowed: allowed?,
                issuer,
                audience,
                leeway,
                allow_unexpiring_tokens,
                ca_thumbprint,
            },
            naming,
        })
    })
    .flatten()
}

fn keys(table: &mut TableReader<'_, '_>, name: &str) -> Option<KeySet> {
    match (
        table.entry("service_account_key_file"),
        table.entry("jwks_file"),
    ) {
        (None, None) => {
            let place = table.place();
            let text = format!(
                "cluster {} configuration missing service account key file",
                quoted(name)
            );
            table.note(Problem::error(place, text).with_help(
                "give `service_account_key_file` (PEM) or `jwks_file` (the cluster's JWKS)",
            ));
            None
        }
        (Some(_), Some(second)) => {
            let text = format!(
                "cluster {} has both `service_account_key_file` and `jwks_file`",
                quoted(name)
            );
            let help = "its keys come from exactly one of them";
            table.note(Problem::error(second.key_span.clone(), text).with_help(help));
            None
        }
        (Some(_), None) => key_file(table, name, "service_account_key_file", KeySet::from_pem),
        (None, Some(_)) => key_file(table, name, "jwks_file", KeySet::from_jwks),
    }
}

fn key_file<T, E: Error>(
    table: &mut TableReader<'_, '_>,
    name: &str,
    key: &'static str,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Option<T> {
    let what = format!("cluster {} service account keys", quoted(name));
    let path = table.string(key)?;
    load(table, &what, path, parse)
}

fn ca_thumbprint(table: &mut TableReader<'_, '_>, name: &str) -> Option<String> {
    let what = format!("cluster {} CA certificate", quoted(name));
    let path = table.string("ca_file")?;
    load(table, &what, path, thumbprint_of_pem)
}

/// Reads and parses the file at `path`; a problem with it is one of this place.
fn load<T, E: Error>(
    table: &mut TableReader<'_, '_>,
    what: &str,
    path: Field<&str>,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Option<T> {
    let loaded = table
        .reading()
        .contents(Path::new(path.value), MAX_KEY_FILE_BYTES)
        .map_err(|error| chain(&error))
        .and_then(|bytes| parse(&bytes).map_err(|error| chain(&error)));
    loaded
        .map_err(|reason| {
            let text = format!(
                "failed to load {what} from {}: {reason}",
                quoted(path.value)
            );
            table.note(Problem::error(path.span, text));
        })
        .ok()
}

fn allowed(table: &mut TableReader<'_, '_>, name: &str) -> Option<Vec<AllowedServiceAccount>> {
    let key = "service_account_allow_list";
    let example = "spire:spire-agent";
    let none = || {
        let text = format!(
            "cluster {} configuration must have at least one service account allowed",
            quoted(name)
        );
        Problem::error(None, text).with_help(format!("write `{key} = [{example:?}]`"))
    };
    if !table.has(key) {
        let span = table.place();
        table.note(Problem { span, ..none() });
        return None;
    }
    let list = table.strings(key, example)?;
    if list.value.is_empty() {
        table.note(Problem {
            span: Some(list.span),
            ..none()
        });
        return None;
    }
    table.each(list.value, |account| {
        account
            .parse()
            .map_err(|error: MalformedServiceAccount| chain(&error))
    })
}

fn issuer(table: &mut TableReader<'_, '_>, method: Method, name: &str) -> Option<String> {
    let help = "write the API server's `--service-account-issuer`, such as \
                `issuer = \"https://kubernetes.default.svc.cluster.local\"`";
    if !table.has("issuer") && method == Method::K8sPsat {
        let place = table.place();
        let text = format!("cluster {} has no `issuer`", quoted(name));
        table.note(Problem::error(place, text).with_help(help));
    } else if !table.has("issuer") {
        let place = table.place();
        let text = format!(
            "cluster {} has no `issuer`: the issuer that a token names is not checked",
            quoted(name)
        );
        table.note(Problem::warning(place, text).with_help(help));
    }
    Some(table.string("issuer")?.value.to_owned())
}

fn audience(table: &mut TableReader<'_, '_>, method: Method, name: &str) -> Vec<String> {
    let example = "spire-server";
    let help = format!("write `audience = [{example:?}]`");
    if !table.has("audience") && method == Method::K8sPsat {
        // SPIRE's default.
        return vec![example.to_owned()];
    }
    if !table.has("audience") {
        let place = table.place();
        let text = format!(
            "cluster {} has no `audience`: a token made for another service is accepted",
            quoted(name)
        );
        table.note(Problem::warning(place, text).with_help(help));
        return Vec::new();
    }
    let Some(list) = table.strings("audience", example) else {
        return Vec::new();
    };
    if list.value.is_empty() {
        // It could be taken for "no audience is checked" or for "no token is accepted".
        table.note(Problem::error(list.span, "`audience` has no entry").with_help(help));
    }
    list.value
        .into_iter()
        .map(|audience| audience.value.to_owned())
        .collect()
}

fn allow_unexpiring_tokens(table: &mut TableReader<'_, '_>, name: &str) -> bool {
    let Some(allow) = table.boolean("allow_unexpiring_tokens") else {
        return false;
    };
    if allow.value {
        let text = format!(
            "cluster {} accepts tokens that never expire: one that leaks is good for ever",
            quoted(name)
        );
        table.note(Problem::warning(allow.span, text));
    }
    allow.value
}

/// SPIRE's keys for asking the cluster's API server.
fn token_review(table: &mut TableReader<'_, '_>, name: &str) {
    let unavailable = |span| {
        let text = format!(
            "cluster {} asks for TokenReview, which is not available yet",
            quoted(name)
        );
        Problem::error(span, text)
            .with_help("give the cluster's keys in `service_account_key_file` or `jwks_file`")
    };
    // What SPIRE's users have written out asks for nothing.
    if let Some(review) = table
        .boolean("use_token_review_api_validation")
        .filter(|review| review.value)
    {
        table.note(unavailable(review.span));
    }
    if let Some(entry) = table.entry("kube_config_file") {
        table.note(unavailable(entry.key_span.clone()));
    }
}

/// How the tokens of `k8s_psat` are verified. SPIRE's way, asking the API
/// server, is the default and is not available yet, so the other must be
/// chosen in writing: one day a file without the key will mean what it means
/// in SPIRE.
fn verification(table: &mut TableReader<'_, '_>, name: &str) {
    let help = "write `verification = \"local\"`: the token is verified with the cluster's \
                keys, and the cluster is not asked";
    let review = |span| {
        let text = format!(
            "cluster {} is verified by TokenReview (`verification = \"review\"`, the default), \
             which is not available yet",
            quoted(name)
        );
        Problem::error(span, text).with_help(help)
    };
    if table.has("verification") {
        match table.string("verification") {
            Some(written) if written.value == "review" => table.note(review(Some(written.span))),
            Some(written) if written.value != "local" => {
                let text = format!("unknown verification {}", quoted(written.value));
                let known = "known are `review` and `local`";
                table.note(Problem::error(written.span, text).with_help(known));
            }
            Some(_) | None => {}
        }
    } else {
        let place = table.place();
        table.note(review(place));
    }
    for key in [
        "kube_config_file",
        "allowed_node_label_keys",
        "allowed_pod_label_keys",
    ] {
        if let Some(entry) = table.entry(key) {
            let text = format!(
                "cluster {} has `{key}`, and reading from the API server is not available yet",
                quoted(name)
            );
            table.note(Problem::error(entry.key_span.clone(), text));
        }
    }
    if let Some(by_pod) = table
        .boolean("use_pod_uid_for_agent_id")
        .filter(|by_pod| by_pod.value)
    {
        let text = "`use_pod_uid_for_agent_id` is said by a policy here";
        table.note(Problem::error(by_pod.span, text).with_help(
            "write `policy = { source = \"builtin:template\", settings = { path = \
             [\"{cluster}\", \"pod\", \"{pod_uid}\"] } }`",
        ));
    }
}
