//! One table under `attestors`: an evidence method under a name.

use super::certificates;
use super::cluster;
use super::decision_log;
use super::policy::naming;
use super::reading::Reading;
use super::swaps::{state_directory, swaps};
use super::table::{self, TableReader};
use crate::config::document::Entry;
use crate::config::problem::{Problem, quoted};
use crate::config::{
    AttestorConfig, ClusterConfig, MAX_CLUSTERS, NamingConfig, PolicyPlace, TrustConfig,
};
use crate::envelope::Envelope;
use crate::error::chain;
use crate::namespace::AttestorName;
use crate::spiffe_id::TrustDomain;
use crate::token_method::TokenMethod;
use nameplate_evidence::Method;
use nameplate_evidence::certificates::CertificateVerifier;
use nameplate_files::DirectoryCheck;
use nameplate_policy::{Limits, PolicySource};
use std::path::Path;

/// Every method there is, for messages.
const METHODS: &str = "`k8s_sat`, `k8s_psat`, `x509pop` and `k8s`";

/// What peers prove themselves with, as far as it is read before the policy.
enum Proof {
    Token(TokenMethod),
    Certificate(Option<CertificateVerifier>),
}

/// Reads the attestor `entry`. Its method is `declared` somewhere else, or
/// said by its `type` or its name. `state` is the state directory; where the
/// table is the whole configuration, it says that itself.
pub(super) fn attestor(
    reading: &mut Reading,
    entry: &Entry,
    declared: Option<Method>,
    trust_domain: Option<&TrustDomain>,
    state: Option<&Path>,
) -> Option<AttestorConfig> {
    let place = Some(entry.key_span.clone());
    let name: Option<AttestorName> = entry
        .key
        .parse()
        .map_err(|error| {
            let text = format!(
                "bad attestor name {}: {}",
                quoted(&entry.key),
                chain(&error)
            );
            reading.note(Problem::error(place.clone(), text));
        })
        .ok();
    table::read(reading, &entry.key, place.clone(), &entry.node, |table| {
        let Some(method) = declared.or_else(|| method(table, &entry.key)) else {
            // Which keys an attestor has depends on its method.
            table.accept_rest();
            return None;
        };
        let place = PolicyPlace {
            policy: place,
            ..PolicyPlace::default()
        };
        let (default, proof) = match method {
            Method::K8sSat => (
                default_naming(method, place),
                Proof::Token(TokenMethod::K8sSat),
            ),
            Method::K8sPsat => (
                default_naming(method, place),
                Proof::Token(TokenMethod::K8sPsat),
            ),
            Method::X509Pop => {
                let read = certificates::x509pop(table, trust_domain, place, &entry.key);
                (read.naming, Proof::Certificate(read.verifier))
            }
            Method::K8s => {
                let read = certificates::k8s(table, place);
                (read.naming, Proof::Certificate(read.verifier))
            }
        };
        let least_id_bytes = trust_domain.map_or(1, |trust_domain| {
            // The shortest ID has one segment of one character.
            format!("spiffe://{trust_domain}/spire/agent/{}/x", entry.key).len()
        });
        let naming =
            naming(table, &default, Some(&default.source), least_id_bytes).unwrap_or(default);
        let most = naming.envelope.max_id_bytes;
        if most < least_id_bytes {
            // A written `max_id_bytes` has been judged where it stands.
            let text = format!(
                "attestor {} can give no ID: the shortest has {least_id_bytes} bytes, \
                 and {most} bytes are allowed",
                quoted(&entry.key)
            );
            let place = table.place();
            table.note(Problem::error(place, text).with_help("raise `envelope.max_id_bytes`"));
        }
        let own_state = declared.and_then(|_| state_directory(table));
        let state = own_state.as_deref().or(state);
        let state = state.map(|directory| directory.join(&entry.key));
        let mut swaps = swaps(table, state, &naming);
        let (one_time_tokens, trust) = match proof {
            Proof::Certificate(verifier) => (false, verifier.map(TrustConfig::Certificates)),
            Proof::Token(method) => (
                one_time_tokens(table, method),
                clusters(table, method, &naming, least_id_bytes).map(TrustConfig::Clusters),
            ),
        };
        let mut decision_log = decision_log::decision_log(table);
        let kept = swaps.state.is_some() || decision_log.is_some();
        let check = directory_check(table, kept, "`state_directory` or `decision_log`");
        swaps.directory_check = check;
        if let Some(log) = &mut decision_log {
            log.options.directory_check = check;
        }
        let cluster_share = cluster_share(table, trust.as_ref());
        Some(AttestorConfig {
            name: name?,
            method,
            naming,
            one_time_tokens,
            cluster_share,
            swaps,
            trust: trust?,
            decision_log,
        })
    })
    .flatten()
}

fn method(table: &mut TableReader<'_, '_>, name: &str) -> Option<Method> {
    if !table.has("type") {
        let method = name.parse().ok();
        if method.is_none() {
            let place = table.place();
            let text = format!(
                "attestor {} needs a `type`, since its name is not one",
                quoted(name)
            );
            table.note(Problem::error(place, text).with_help(format!("known types: {METHODS}")));
        }
        return method;
    }
    let written = table.string("type")?;
    let method = written.value.parse().ok();
    if method.is_none() {
        let text = format!("unknown attestor type {}", quoted(written.value));
        table.note(Problem::error(written.span, text).with_help(format!("known types: {METHODS}")));
    }
    method
}

/// How a method names peers when the configuration does not say: as SPIRE does.
pub(super) fn default_naming(method: Method, place: PolicyPlace) -> NamingConfig {
    let (policy, settings) = match method {
        // SPIRE's selectors, whatever else a bound token proves.
        Method::K8sSat => (
            "uuid",
            serde_json::json!({"selectors": ["cluster", "agent_ns", "agent_sa"]}),
        ),
        Method::K8sPsat => ("node", serde_json::json!({})),
        Method::X509Pop => ("thumbprint", serde_json::json!({"source": "fingerprint"})),
        // As SPIRE's first Kubernetes attestor did.
        Method::K8s => (
            "subject",
            serde_json::json!({"selectors": ["subject", "ca"]}),
        ),
    };
    builtin(policy, settings, place)
}

/// The naming by a built-in policy, within the default bounds.
pub(super) fn builtin(
    policy: &str,
    settings: serde_json::Value,
    place: PolicyPlace,
) -> NamingConfig {
    NamingConfig {
        source: PolicySource::Builtin(policy.to_owned()),
        digest: None,
        settings,
        envelope: Envelope::default(),
        limits: Limits::default(),
        place,
    }
}

fn one_time_tokens(table: &mut TableReader<'_, '_>, method: TokenMethod) -> bool {
    let Some(once) = table.boolean("one_time_tokens") else {
        return false;
    };
    if once.value && Method::from(method).can_reattest() {
        let text = format!(
            "`one_time_tokens` keeps agents of `{method}` from attesting again, which they do \
             with the token that they have"
        );
        table.note(Problem::error(once.span, text).with_help("it is for `k8s_sat`"));
        return false;
    }
    once.value
}

/// Whether directories in which something is `kept`, by one of these `keys`, are
/// checked for other writers.
pub(super) fn directory_check(
    table: &mut TableReader<'_, '_>,
    kept: bool,
    keys: &str,
) -> DirectoryCheck {
    let Some(check) = table.boolean("check_directories") else {
        return DirectoryCheck::On;
    };
    if !kept {
        let text = format!("`check_directories` without {keys} says nothing");
        table.note(Problem::error(check.span, text));
    }
    if check.value {
        DirectoryCheck::On
    } else {
        DirectoryCheck::Off
    }
}

/// The share of the places for waiting that one cluster may have.
fn cluster_share(table: &mut TableReader<'_, '_>, trust: Option<&TrustConfig>) -> Option<f64> {
    let place = table.entry("attest_limits")?.key_span.clone();
    let share = table.table("attest_limits", |table| {
        table.share("cluster_share").map(|share| share.value)
    });
    if trust.is_some_and(|trust| !trust.waits_for_others()) {
        let text = "`attest_limits` says nothing here: no cluster waits for an API server or for \
                    keys that are published";
        table.note(Problem::warning(place, text));
    }
    share.flatten()
}

fn clusters(
    table: &mut TableReader<'_, '_>,
    method: TokenMethod,
    naming: &NamingConfig,
    least_id_bytes: usize,
) -> Option<Vec<ClusterConfig>> {
    let written = table.map("clusters");
    let entries = written.unwrap_or_default();
    let place = table.place();
    if method == TokenMethod::K8sPsat && entries.is_empty() && !table.has("clusters") {
        // SPIRE takes it, so an operator may have it.
        let text = "no cluster is configured: no agent will attest";
        table.note(Problem::warning(place, text));
        return Some(Vec::new());
    }
    if entries.is_empty() && (written.is_some() || !table.has("clusters")) {
        table.note(
            Problem::error(place, "configuration must have at least one cluster").with_help(
                format!("add a table such as `[attestors.{method}.clusters.production]`"),
            ),
        );
        return None;
    }
    if entries.len() > MAX_CLUSTERS {
        let text = format!(
            "{} clusters, at most {MAX_CLUSTERS} are allowed",
            entries.len()
        );
        table.note(Problem::error(place, text));
        return None;
    }
    let clusters: Vec<_> = entries
        .iter()
        .map(|entry| cluster::cluster(table.reading(), entry, method, naming, least_id_bytes))
        .collect();
    // Empty here only when `clusters` is no table, which has been noted.
    if clusters.is_empty() {
        None
    } else {
        clusters.into_iter().collect()
    }
}
