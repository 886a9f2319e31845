//! `nameplate release`: lets another subject hold an ID.
//!
//! Only the operator knows that a machine was installed anew, or that a name
//! goes on to another. The process that attests takes the release when the
//! next subject is named so, and the order may be given while it runs, by its
//! user or by root.

use crate::failure::Failure;
use crate::report::{Exit, GOOD, Output};
use crate::status::Place;
use nameplate_attestor::{AttestorName, RELEASE_HOLDS, SpiffeId, release};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// Let another subject hold a SPIFFE ID, once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A machine that is installed anew is another subject under the same name. Where
`on_collision` refuses it, release its ID; who is next given it, within 7 days,
holds it.

Examples:
  nameplate release spiffe://example.org/spire/agent/k8s_psat/production/node-7 --state /var/lib/nameplate
  nameplate release spiffe://example.org/spire/agent/x509pop/web-3 --config nameplate.toml")]
pub(crate) struct Arguments {
    /// The SPIFFE ID
    id: SpiffeId,

    #[command(flatten)]
    place: Place,
}

/// Runs the subcommand.
///
/// # Errors
/// Why the ID could not be released.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let id = &arguments.id;
    // An agent's ID has its attestor's name third, as every one we give.
    let name: Option<AttestorName> = match id.segments().collect::<Vec<_>>().as_slice() {
        ["spire", "agent", name, _, ..] => name.parse().ok(),
        _ => None,
    };
    let Some(name) = name else {
        return Err(Failure::Usage(format!("`{id}` is no ID of an agent")));
    };
    let folder = arguments.place.directory()?.join(name.as_str());
    if !folder.is_dir() {
        let text = format!("no attestor `{name}` has kept its state there");
        return Err(Failure::fault("state_absent", anyhow::Error::msg(text)));
    }
    // A clock before 1970 releases nothing: that was long ago.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    release(&folder, id, now).map_err(|error| Failure::fault("state_unwritable", error))?;
    let days = RELEASE_HOLDS.as_secs() / (24 * 60 * 60);
    output.answer(&json!({ "released": id }), |out| {
        writeln!(
            out,
            "{GOOD}released{GOOD:#}: who attests as `{id}` next, within {days} days, holds it"
        )
    })?;
    Ok(Exit::Done)
}
