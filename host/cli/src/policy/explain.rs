//! `nameplate policy explain`: which facts decide a name.
//!
//! Every fact and every setting is changed, and the policy asked again. The
//! study is the library's; here it is drawn.

mod drawing;
mod page;
mod words;

use super::limits::LimitFlags;
use super::one_subject::OneSubject;
use crate::failure::Failure;
use crate::input;
use crate::report::{self, Exit, GOOD, Output};
use anyhow::Context as _;
use nameplate_attestor::PolicyLabel;
use nameplate_attestor::study::{Explained, Explanation};
use nameplate_policy::{Manifest, Sandbox, Trial};
use serde::Serialize;
use std::path::PathBuf;

/// Show which facts decide a name, by changing each of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A recorded decision is explained in its envelope and under its limits, evidence
in those of the configuration that verifies it; facts in the envelope of the
SPIFFE-ID standard.

Facts are changed one at a time and in pairs. What three facts hide together
is not found, and neither is what only a value shows that was not tried: the
report says what was.

Examples:
  nameplate policy explain builtin:node --facts facts.json
  nameplate policy explain builtin:node --facts facts.json --settings '{\"by\": \"name\"}' --html why.html
  nameplate policy explain builtin:node --evidence token.jwt --config nameplate.toml --cluster production
  nameplate policy explain builtin:node --log /var/lib/nameplate/log --record 1042
  nameplate policy explain my-policy.wasm --facts - --pairs 0 --output json")]
pub(crate) struct Arguments {
    /// A component, or builtin:NAME
    policy: String,

    #[command(flatten)]
    subject: OneSubject,

    /// Settings: a JSON object, or @FILE; by default those of the record, if
    /// it is of the same policy
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,

    /// Most pairs of facts to change together
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pairs: usize,

    /// Write the explanation as a page of its own, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[command(flatten)]
    limits: LimitFlags,
}

/// An explanation, and of what.
#[derive(Debug, Serialize)]
struct Document {
    policy: PolicyLabel,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Runs the subcommand.
///
/// # Errors
/// Where there is nothing to explain, or the page cannot be written.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let subject = arguments.subject.find(output)?;
    let limits = arguments.limits.change(subject.bounds.limits);
    let refused = |error| Failure::load(format!("`{}`", arguments.policy), error);
    let (component, digest) = super::source(&arguments.policy)?
        .read(None, &limits)
        .map_err(refused)?;
    let settings = match (&arguments.settings, &subject.naming) {
        // What the policy was asked under then is what is explained.
        (None, Some(naming)) if naming.policy.digest == digest => naming.settings.clone(),
        (settings, _) => input::settings(settings.as_deref())?,
    };
    let sandbox = Sandbox::new()?;
    let trial = Trial::new(&sandbox, &component, &limits).map_err(refused)?;
    let manifest = Manifest::read(&component);
    // A schema that cannot be read says nothing of what to try.
    let schema = manifest
        .settings_schema
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    let explained = Explained {
        trial: &trial,
        settings: &settings,
        schema: schema.as_ref(),
        envelope: &subject.bounds.envelope,
        facts: &subject.facts,
    };
    let explanation = Explanation::of(explained, arguments.pairs, report::progress)
        .map_err(|error| Failure::fault("settings_refused", error))?;
    let document = Document {
        policy: PolicyLabel {
            name: manifest.name.unwrap_or_else(|| arguments.policy.clone()),
            version: manifest.version,
            digest,
        },
        explanation,
    };
    if let Some(path) = &arguments.html {
        std::fs::write(path, page::page(&document))
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(|error| Failure::fault("page_unwritable", error))?;
    }
    output.answer(&document, |out| {
        drawing::write(out, &document)?;
        match &arguments.html {
            Some(path) => writeln!(out, "\n{GOOD}wrote `{}`{GOOD:#}", path.display()),
            None => Ok(()),
        }
    })?;
    Ok(Exit::Done)
}
