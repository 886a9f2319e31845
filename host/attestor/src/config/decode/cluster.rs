//! One table under `clusters` of `k8s_sat` and `k8s_psat`: whose tokens are
//! trusted, and for what.

mod published;
pub(super) mod verification;

use super::compared;
use super::policy::naming;
use super::reading::Reading;
use super::table::{self, Field, TableReader};
use crate::config::document::Entry;
use crate::config::problem::{Problem, quoted};
use crate::config::{ClusterConfig, MAX_LEEWAY, NamingConfig};
use crate::error::chain;
use crate::spiffe_id::PathSegment;
use crate::token_method::TokenMethod;
use nameplate_evidence::{
    AllowedServiceAccount, Binding, Cluster, IgnoredKeys, KeySet, LocalProof, MAX_KEY_FILE_BYTES,
    MalformedServiceAccount, Proof, ReviewProof, TrustedKeys, thumbprint_of_pem,
};
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// SPIRE's leeway for the times of a token.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// Reads the cluster `entry` of an attestor that names peers as `attestor` says.
pub(super) fn cluster(
    reading: &mut Reading,
    entry: &Entry,
    method: TokenMethod,
    attestor: &NamingConfig,
    least_id_bytes: usize,
) -> Option<ClusterConfig> {
    let name = entry.key.as_str();
    let place = Some(entry.key_span.clone());
    // The name is a fact for policies, which make it a path segment.
    let segment = cluster_name(reading, name, entry.key_span.clone());
    table::read(reading, name, place, &entry.node, |table| {
        let Some(review) = verification::is_by_review(table, method) else {
            // What else there is to say depends on it.
            table.accept_rest();
            return None;
        };
        let api = verification::api(table, method, name, review);
        let keys = if review {
            verification::no_keys(table, method, name);
            None
        } else {
            keys(table, name, method)
        };
        let allowed = allowed(table, name);
        let issuer = if review {
            None
        } else {
            issuer(table, method, name)
        };
        let audience = audience(table, method, name, review);
        let ca_thumbprint = ca_thumbprint(table, name);
        let leeway = table
            .duration("leeway", Duration::ZERO..=MAX_LEEWAY)
            .map_or(DEFAULT_LEEWAY, |leeway| leeway.value);
        let allow_unexpiring_tokens = match method {
            TokenMethod::K8sSat => allow_unexpiring_tokens(table, name),
            // A projected token ends.
            TokenMethod::K8sPsat => false,
        };
        let by_pod = (method == TokenMethod::K8sPsat)
            .then(|| verification::naming_by_pod(table, attestor))
            .flatten();
        let base = by_pod.as_ref().unwrap_or(attestor);
        let naming = naming(table, base, None, least_id_bytes).or(by_pod);
        let binding = match method {
            TokenMethod::K8sSat => Binding::Any,
            TokenMethod::K8sPsat => verification::binding(table, name, api.clone()),
        };
        table.renamed("service_account_whitelist", "service_account_allow_list");
        // Every key has been asked for by now: only then may one be unknown.
        let proof = if review {
            Proof::Review(ReviewProof {
                api: api.ok().flatten()?,
                audience,
            })
        } else {
            Proof::Local(LocalProof {
                keys: keys?,
                issuer,
                audience,
                leeway,
                allow_unexpiring_tokens,
            })
        };
        Some(ClusterConfig {
            trust: Cluster {
                name: segment?.as_str().to_owned(),
                allowed: allowed?,
                ca_thumbprint,
                proof,
                binding,
            },
            naming,
        })
    })
    .flatten()
}

/// The name of a cluster, which is a fact for policies and so a path segment.
pub(super) fn cluster_name(
    reading: &mut Reading,
    name: &str,
    place: Range<usize>,
) -> Option<PathSegment> {
    name.parse()
        .map_err(|error| {
            let text = format!("bad cluster name {}: {}", quoted(name), chain(&error));
            reading.note(Problem::error(place, text));
        })
        .ok()
}

/// The keys that a cluster's tokens are verified with, from exactly one place.
fn keys(table: &mut TableReader<'_, '_>, name: &str, method: TokenMethod) -> Option<TrustedKeys> {
    let discovery = table
        .boolean("oidc_discovery")
        .is_some_and(|discovery| discovery.value);
    let given: Vec<&'static str> = ["service_account_key_file", "jwks_file", "jwks_url"]
        .into_iter()
        .filter(|key| table.entry(key).is_some())
        .chain(discovery.then_some("oidc_discovery"))
        .collect();
    match given.as_slice() {
        [] => {
            let place = table.place();
            let text = format!(
                "cluster {} configuration missing service account key file",
                quoted(name)
            );
            table.note(Problem::error(place, text).with_help(
                "give `service_account_key_file` (PEM), `jwks_file` (the cluster's JWKS), \
                 `jwks_url` or `oidc_discovery = true`",
            ));
            None
        }
        ["service_account_key_file"] => {
            key_file(table, name, "service_account_key_file", KeySet::from_pem)
                .map(TrustedKeys::Fixed)
        }
        ["jwks_file"] => {
            let keys = key_file(table, name, "jwks_file", KeySet::from_jwks)?;
            note_ignored(table, name, &keys);
            Some(TrustedKeys::Fixed(keys))
        }
        ["jwks_url" | "oidc_discovery"] => published::keys(table, name, method, discovery),
        [first, second, ..] => {
            let place = table.entry(second).map(|entry| entry.key_span.clone());
            let text = format!("cluster {} has both `{first}` and `{second}`", quoted(name));
            let help = "its keys come from exactly one of them";
            table.note(Problem::error(place, text).with_help(help));
            None
        }
        [_] => None,
    }
}

/// Notes the keys of the set at `jwks_file` that are left out.
fn note_ignored(table: &mut TableReader<'_, '_>, name: &str, keys: &KeySet) {
    let ignored = keys.ignored();
    if ignored.is_empty() {
        return;
    }
    let place = table
        .entry("jwks_file")
        .map(|entry| entry.node.span.clone());
    let text = format!(
        "cluster {} ignores {} of the {} keys in its `jwks_file`: {}",
        quoted(name),
        ignored.len(),
        ignored.len() + keys.len(),
        IgnoredKeys(ignored)
    );
    let help = "tokens that name one of them are refused; the other keys verify";
    table.note(Problem::warning(place, text).with_help(help));
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
pub(super) fn load<T, E: Error>(
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

fn issuer(table: &mut TableReader<'_, '_>, method: TokenMethod, name: &str) -> Option<String> {
    let help = "write the API server's `--service-account-issuer`, such as \
                `issuer = \"https://kubernetes.default.svc.cluster.local\"`";
    if !table.has("issuer") && method == TokenMethod::K8sPsat {
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
    let issuer = table.string("issuer")?;
    compared::check(table, "issuer", &issuer);
    Some(issuer.value.to_owned())
}

fn audience(
    table: &mut TableReader<'_, '_>,
    method: TokenMethod,
    name: &str,
    review: bool,
) -> Vec<String> {
    let example = "spire-server";
    let help = format!("write `audience = [{example:?}]`");
    if !table.has("audience") && method == TokenMethod::K8sPsat {
        // SPIRE's default.
        return vec![example.to_owned()];
    }
    if !table.has("audience") && review {
        // The API server's own.
        return Vec::new();
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
    if list.value.is_empty() && !review {
        // It could be taken for "no audience is checked" or for "no token is accepted".
        table.note(Problem::error(list.span, "`audience` has no entry").with_help(help));
    }
    for audience in &list.value {
        compared::check(table, "audience", audience);
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
