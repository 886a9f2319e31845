//! The tree of any format to a [`Config`]: what each key means, and every
//! problem with it.
//!
//! A function here reads one table of the file, by the keys in the order
//! of the documentation, and goes on after a problem. A value is `None` when
//! a problem was noted for it, so nothing is made of a value that is wrong.

mod agent;
mod attestor;
mod certificates;
mod cluster;
mod compared;
mod decision_log;
mod envelope;
mod limits;
mod policy;
mod reading;
mod swaps;
mod table;

use super::document::{Entry, Node};
use super::problem::{Problem, quoted};
use super::{AttestorConfig, Config, PluginData, Problems, Source};
use crate::error::chain;
use crate::spiffe_id::TrustDomain;
pub(super) use agent::agent;
use reading::Reading;
use std::path::Path;
use table::TableReader;

/// Gives a whole document its meaning.
///
/// # Errors
/// Every problem, warnings included, when one of them is an error.
pub(super) fn config(document: &Node, source: Source, base: &Path) -> Result<Config, Problems> {
    let mut reading = Reading::new(base);
    let decoded = table::read(&mut reading, "the configuration", None, document, |table| {
        let trust_domain = trust_domain(table);
        let state = swaps::state_directory(table);
        let attestors = attestors(table, trust_domain.as_ref(), state.as_deref());
        Some((trust_domain?, attestors?))
    });
    let (list, files) = reading.finish();
    let problems = Problems {
        files,
        ..source.problems(list)
    };
    match decoded.flatten() {
        Some((trust_domain, attestors)) if !problems.has_errors() => Ok(Config {
            trust_domain,
            attestors,
            files: problems.files.clone(),
            warnings: problems,
            source,
        }),
        Some(_) | None => Err(problems),
    }
}

/// Gives the `plugin_data` of a SPIRE plugin, which is the table of one
/// attestor, its meaning.
///
/// # Errors
/// As [`config`].
pub(super) fn plugin(
    document: Node,
    data: &PluginData,
    source: Source,
    base: &Path,
) -> Result<Config, Problems> {
    let mut reading = Reading::new(base);
    let trust_domain = plugin_trust_domain(&mut reading, data);
    let entry = Entry {
        key: data.attestor.clone(),
        key_span: 0..0,
        node: document,
    };
    let method = Some(data.method);
    let attestor = attestor::attestor(&mut reading, &entry, method, trust_domain.as_ref(), None);
    let (list, files) = reading.finish();
    let problems = Problems {
        files,
        ..source.problems(list)
    };
    match (trust_domain, attestor) {
        (Some(trust_domain), Some(attestor)) if !problems.has_errors() => Ok(Config {
            trust_domain,
            attestors: vec![attestor],
            files: problems.files.clone(),
            warnings: problems,
            source,
        }),
        (_, _) => Err(problems),
    }
}

/// The trust domain that SPIRE says a plugin works in.
fn plugin_trust_domain(reading: &mut Reading, data: &PluginData) -> Option<TrustDomain> {
    data.trust_domain
        .parse()
        .map_err(|error| {
            let text = format!("`trust_domain` is malformed: {}", chain(&error));
            reading.note(Problem::error(None, text));
        })
        .ok()
}

fn trust_domain(table: &mut TableReader<'_, '_>) -> Option<TrustDomain> {
    if !table.require("trust_domain") {
        return None;
    }
    let name = table.string("trust_domain")?;
    let bare = name.value.strip_prefix("spiffe://");
    name.value
        .parse()
        .map_err(|error| {
            let text = format!("`trust_domain` is malformed: {}", chain(&error));
            let mut problem = Problem::error(name.span, text);
            if let Some(bare) = bare {
                problem = problem.with_help(format!("write the bare name: {}", quoted(bare)));
            }
            table.note(problem);
        })
        .ok()
}

fn attestors(
    table: &mut TableReader<'_, '_>,
    trust_domain: Option<&TrustDomain>,
    state: Option<&Path>,
) -> Option<Vec<AttestorConfig>> {
    let none = || {
        Problem::error(None, "configuration must have at least one attestor")
            .with_help("add a table such as `[attestors.k8s_sat]`")
    };
    let Some(entries) = table.map("attestors") else {
        if !table.has("attestors") {
            table.note(none());
        }
        return None;
    };
    if entries.is_empty() {
        table.note(none());
    }
    let attestors: Vec<_> = entries
        .iter()
        .map(|entry| attestor::attestor(table.reading(), entry, None, trust_domain, state))
        .collect();
    let attestors: Vec<_> = attestors.into_iter().collect::<Option<_>>()?;
    decision_log::agree(table.reading(), &attestors);
    Some(attestors)
}
