//! The `plugin_data` of the agent's side: where a node's proof comes from.

use super::cluster::cluster_name;
use super::reading::Reading;
use super::table::{self, TableReader};
use crate::agent::AgentConfig;
use crate::config::document::Node;
use crate::config::problem::Problem;
use crate::config::{PluginData, Problems, Source};
use nameplate_evidence::Method;
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
        |table| {
            let cluster = cluster(table, data.method);
            let token_path = table
                .string("token_path")
                .map_or(AgentConfig::default_token_path(data.method), |path| {
                    Path::new(path.value)
                });
            let send_uuid = match data.method {
                Method::K8sSat => table.boolean("send_uuid").is_some_and(|send| send.value),
                // It never had one.
                Method::K8sPsat => false,
            };
            if let Some(entry) = table.entry("clusters") {
                let problem = Problem::error(
                    entry.key_span.clone(),
                    "`clusters` is of the server's side, and this is the agent's",
                );
                table.note(problem.with_help("write `cluster = \"production\"`"));
            }
            Some(AgentConfig {
                cluster: cluster?,
                token_path: base.join(token_path),
                send_uuid,
            })
        },
    );
    let (list, _) = reading.finish();
    let problems = source.problems(list);
    match (trusted, decoded.flatten()) {
        (Some(_), Some(agent)) if !problems.has_errors() => Ok((agent, problems)),
        (_, _) => Err(problems),
    }
}

/// In SPIRE's words, which differ by method.
fn cluster(table: &mut TableReader<'_, '_>, method: Method) -> Option<String> {
    if !table.has("cluster") {
        let text = match method {
            Method::K8sSat => "configuration missing cluster",
            Method::K8sPsat => "missing required cluster block",
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
