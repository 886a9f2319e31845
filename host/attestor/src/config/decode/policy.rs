//! The `policy`, `envelope` and `limits` keys of an attestor or a cluster.

use super::envelope::envelope;
use super::limits::limits;
use super::table::TableReader;
use crate::config::document::{Value, wrong_type};
use crate::config::nearest::nearest;
use crate::config::problem::{Problem, quoted};
use crate::config::{NamingConfig, PolicyPlace};
use crate::error::chain;
use nameplate_policy::{BUILTINS, Builtin, Digest, PolicySource};
use std::ops::Range;
use std::sync::Arc;

/// The naming that a table asks for, starting from `base`: a policy takes the
/// place of the whole policy there, an envelope and limits change it key by
/// key. None when the table has none of the three keys.
///
/// `default_source` is what a policy without `source` is; there is none in a
/// cluster, where it would not be clear whether that is the attestor's.
pub(super) fn naming(
    table: &mut TableReader<'_, '_>,
    base: &NamingConfig,
    default_source: Option<&PolicySource>,
    least_id_bytes: usize,
) -> Option<NamingConfig> {
    let written = [
        table.has("policy"),
        table.has("envelope"),
        table.has("limits"),
    ];
    if written == [false; 3] {
        return None;
    }
    let mut naming = base.clone();
    let default_source = default_source
        .ok_or("the policy of a cluster takes the place of the attestor's whole policy");
    policy(table, "policy", &mut naming, default_source);
    if let Some(envelope) = table.table("envelope", |table| {
        envelope(table, &base.envelope, least_id_bytes)
    }) {
        naming.envelope = envelope;
    }
    if let Some(limits) = table.table("limits", |table| limits(table, &base.limits)) {
        naming.limits = limits;
    }
    Some(naming)
}

/// Reads the policy under `key` into `naming`. Without a
/// `source` it is the default, or else a problem with this help.
pub(super) fn policy(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    naming: &mut NamingConfig,
    default_source: Result<&PolicySource, &'static str>,
) {
    let Some(entry) = table.entry(key) else {
        return;
    };
    if let Value::String(text) = &entry.node.value {
        let problem = wrong_type(key, "a table", &entry.node);
        table.note(problem.with_help(format!("write `{key} = {{ source = {text:?} }}`")));
        return;
    }
    table.table(key, |table| {
        naming.place = PolicyPlace {
            policy: table.place(),
            ..PolicyPlace::default()
        };
        source(table, naming, default_source);
        digest(table, naming);
        settings(table, naming);
    });
}

fn source(
    table: &mut TableReader<'_, '_>,
    naming: &mut NamingConfig,
    default_source: Result<&PolicySource, &'static str>,
) {
    if let Some(written) = table.string("source") {
        naming.place.source = Some(written.span.clone());
        match PolicySource::parse(written.value) {
            PolicySource::Builtin(name) if Builtin::find(&name).is_none() => {
                table.note(no_builtin(&name, written.span));
            }
            PolicySource::File(path) => {
                naming.source = PolicySource::File(table.reading().file(&path));
            }
            source @ (PolicySource::Builtin(_)
            | PolicySource::Entry(..)
            | PolicySource::Bytes(_)) => {
                naming.source = source;
            }
        }
        return;
    }
    match default_source {
        Ok(default) => naming.source = default.clone(),
        Err(help) if !table.has("source") => {
            let place = table.place();
            table.note(Problem::error(place, "missing key `source`").with_help(help));
        }
        Err(_) => {}
    }
}

fn no_builtin(name: &str, span: Range<usize>) -> Problem {
    let known = BUILTINS.map(|builtin| builtin.name);
    let help = match nearest(name, &known) {
        Some(name) => format!("did you mean `builtin:{name}`?"),
        None => format!("the built-in policies are `{}`", known.join("`, `")),
    };
    Problem::error(
        span,
        format!("there is no built-in policy {}", quoted(name)),
    )
    .with_help(help)
}

fn digest(table: &mut TableReader<'_, '_>, naming: &mut NamingConfig) {
    naming.digest = table.string("digest").and_then(|written| {
        naming.place.digest = Some(written.span.clone());
        let parsed: Result<Digest, _> = written.value.parse();
        parsed
            .map_err(|error| {
                let text = format!("{} is no digest: {}", quoted(written.value), chain(&error));
                table.note(Problem::error(written.span, text));
            })
            .ok()
    });
}

fn settings(table: &mut TableReader<'_, '_>, naming: &mut NamingConfig) {
    naming.settings = serde_json::Value::Object(serde_json::Map::new());
    let Some(entry) = table.entry("settings") else {
        return;
    };
    if !matches!(entry.node.value, Value::Table(_)) {
        table.note(wrong_type("settings", "a table", &entry.node));
        return;
    }
    naming.place.settings = Some(Arc::new(entry.node.clone()));
    match entry.node.to_json() {
        Ok(json) => naming.settings = json,
        Err(problems) => problems.into_iter().for_each(|problem| table.note(problem)),
    }
}
