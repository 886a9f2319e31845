//! The keys of an `x509pop` attestor: whose signatures on certificates count,
//! in SPIRE's words. `nodes` has those of `k8s`.

mod nodes;
mod path_template;

pub(super) use nodes::{k8s, kubeconfig_key, signer};

use super::attestor::{builtin, default_naming};
use super::table::{Field, TableReader};
use crate::config::problem::{Problem, quoted};
use crate::config::{NamingConfig, PolicyPlace};
use crate::error::chain;
use crate::spiffe_id::TrustDomain;
use nameplate_evidence::certificates::{
    CertificateVerifier, ChainLimits, SvidRule, Trust, TrustedAuthorities,
};
use nameplate_evidence::{MAX_KEY_FILE_BYTES, Method};
use std::path::Path;

/// Where agents' SVIDs are, unless the configuration says otherwise.
const DEFAULT_PREFIX: &str = "/spire-exchange/";

/// What an attestor of certificates is told.
pub(super) struct Certificates {
    pub(super) verifier: Option<CertificateVerifier>,
    /// How peers are named, unless a policy is given.
    pub(super) naming: NamingConfig,
}

/// Reads what an `x509pop` attestor called `name` is told besides its policy.
pub(super) fn x509pop(
    table: &mut TableReader<'_, '_>,
    trust_domain: Option<&TrustDomain>,
    place: PolicyPlace,
    name: &str,
) -> Certificates {
    let spiffe = is_by_svid(table);
    let prefix = prefix(table);
    let bundle = match spiffe {
        Some(false) => bundle(table).map(Trust::Bundle),
        Some(true) => no_bundle(table)
            .then_some(trust_domain)
            .flatten()
            .map(|trust_domain| {
                Trust::Domain(SvidRule {
                    trust_domain: trust_domain.to_string(),
                    prefix: prefix.clone(),
                })
            }),
        None => {
            table.accept_rest();
            None
        }
    };
    let limits = limits(table);
    let verify_client_ip = verify_client_ip(table);
    let base = if spiffe == Some(true) {
        builtin(
            "subject",
            serde_json::json!({"from": "svid", "prefix": prefix}),
            place,
        )
    } else {
        default_naming(Method::X509Pop, place)
    };
    let naming = path_template::naming(table, &base, name).unwrap_or(base);
    Certificates {
        verifier: bundle.map(|trust| CertificateVerifier {
            trust,
            limits,
            cluster: None,
            verify_client_ip,
            node: None,
        }),
        naming,
    }
}

fn verify_client_ip(table: &mut TableReader<'_, '_>) -> bool {
    table
        .boolean("verify_client_ip")
        .is_some_and(|verify| verify.value)
}

/// None when that cannot be told.
fn is_by_svid(table: &mut TableReader<'_, '_>) -> Option<bool> {
    if !table.has("mode") {
        return Some(false);
    }
    let mode = table.string("mode")?;
    match mode.value {
        "external_pki" => Some(false),
        "spiffe" => Some(true),
        _ => {
            let text = "mode can only be either spiffe or external_pki";
            table.note(Problem::error(mode.span, text));
            None
        }
    }
}

/// SPIRE reads `spiffe_prefix`; its documentation says `svid_prefix`.
fn prefix(table: &mut TableReader<'_, '_>) -> String {
    let key = match (table.entry("spiffe_prefix"), table.entry("svid_prefix")) {
        (None, None) => return DEFAULT_PREFIX.to_owned(),
        (Some(_), None) => "spiffe_prefix",
        (None, Some(_)) => "svid_prefix",
        (Some(_), Some(second)) => {
            let text = "`svid_prefix` and `spiffe_prefix` are two names of one key";
            let problem = Problem::error(second.key_span.clone(), text);
            table.note(problem.with_help("SPIRE reads `spiffe_prefix` only"));
            return DEFAULT_PREFIX.to_owned();
        }
    };
    // SPIRE takes an empty one for any path.
    let empty = table
        .entry(key)
        .is_some_and(|entry| entry.node.value.as_str() == Some(""));
    if empty {
        return "/".to_owned();
    }
    let Some(written) = table.string(key) else {
        return DEFAULT_PREFIX.to_owned();
    };
    if !written.value.starts_with('/') {
        let text = format!("{} begins with no slash, as every path does", quoted(key));
        table.note(Problem::error(written.span, text));
    }
    let slash = if written.value.ends_with('/') {
        ""
    } else {
        "/"
    };
    format!("{}{slash}", written.value)
}

fn bundle(table: &mut TableReader<'_, '_>) -> Option<TrustedAuthorities> {
    let (one, several) = (table.has("ca_bundle_path"), table.has("ca_bundle_paths"));
    let paths = match (one, several) {
        (true, false) => vec![table.string("ca_bundle_path")?],
        (false, true) => {
            let list = table.strings("ca_bundle_paths", "/etc/pki/agents.pem")?;
            if list.value.is_empty() {
                let text = "one of ca_bundle_path or ca_bundle_paths must be configured";
                table.note(Problem::error(list.span, text));
                return None;
            }
            list.value
        }
        (given, _) => {
            let text = if given {
                "only one of ca_bundle_path or ca_bundle_paths can be configured, not both"
            } else {
                "one of ca_bundle_path or ca_bundle_paths must be configured"
            };
            let place = table.place();
            table.note(Problem::error(place, text));
            return None;
        }
    };
    let loaded: Vec<_> = paths
        .into_iter()
        .map(|path| (path.span.clone(), load(table, path)))
        .collect();
    let mut all: Option<TrustedAuthorities> = None;
    for (place, one) in loaded {
        let one = one?;
        let Some(before) = all else {
            all = Some(one);
            continue;
        };
        let both = before.and(&one).map_err(|error| {
            let text = format!("unable to load trust bundle: {}", chain(&error));
            table.note(Problem::error(place, text));
        });
        all = Some(both.ok()?);
    }
    all
}

fn load(table: &mut TableReader<'_, '_>, path: Field<&str>) -> Option<TrustedAuthorities> {
    let loaded = table
        .reading()
        .contents(Path::new(path.value), MAX_KEY_FILE_BYTES)
        .map_err(|error| chain(&error))
        .and_then(|bytes| TrustedAuthorities::from_pem(&bytes).map_err(|error| chain(&error)));
    loaded
        .map_err(|reason| {
            let text = format!(
                "unable to load trust bundle {}: {reason}",
                quoted(path.value)
            );
            table.note(Problem::error(path.span, text));
        })
        .ok()
}

/// Whether there is none, as it has to be where SVIDs are evidence.
fn no_bundle(table: &mut TableReader<'_, '_>) -> bool {
    for key in ["ca_bundle_path", "ca_bundle_paths"] {
        if let Some(entry) = table.entry(key) {
            let text = "you can not use ca_bundle_path or ca_bundle_paths in spiffe mode";
            table.note(Problem::error(entry.key_span.clone(), text));
            return false;
        }
    }
    true
}

/// SPIRE sets no upper bounds; beyond these the verifier would refuse anyway.
fn limits(table: &mut TableReader<'_, '_>) -> ChainLimits {
    let default = ChainLimits::default();
    let intermediates = table.count("max_intermediates", 1..=6);
    let bits = table.count("max_rsa_key_size", 2048..=8192);
    ChainLimits {
        max_intermediates: intermediates.map_or(default.max_intermediates, |most| most.value),
        max_rsa_bits: bits
            .and_then(|most| most.value.try_into().ok())
            .unwrap_or(default.max_rsa_bits),
    }
}
