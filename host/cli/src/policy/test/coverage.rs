//! Says what the cases show of a policy, and what they do not.

use super::round::Tried;
use crate::failure::Failure;
use crate::report::{BAD, FAINT, GOOD, HEADING, NOTE, printable};
use nameplate_attestor::cases::{Coverage, Covered};
use nameplate_policy::Manifest;
use serde_json::{Value, json};
use std::io::{self, Write};

/// What the cases show.
///
/// # Errors
/// A fault `manifest_malformed` where the component does not say readably what
/// there is to show.
pub(super) fn of(manifest: &Manifest, tried: &[Tried]) -> Result<Coverage, Failure> {
    Coverage::of(
        manifest,
        tried.iter().map(|tried| (&tried.case, &tried.run)),
    )
    .map_err(|error| Failure::fault("manifest_malformed", error))
}

/// For JSON.
pub(super) fn document(coverage: &Coverage) -> Value {
    let covered = |covered: &Covered| {
        json!({
            "total": covered.total(),
            "percent": covered.percent(),
            "shown": covered.shown,
            "missing": covered.missing,
        })
    };
    json!({
        "complete": coverage.is_complete(),
        "denials": coverage.denials.as_ref().map(covered),
        "undeclared": coverage.undeclared,
        "settings": covered(&coverage.settings),
    })
}

/// For people.
pub(super) fn write(coverage: &Coverage, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{HEADING}coverage{HEADING:#}")?;
    match &coverage.denials {
        Some(denials) => line(out, "denials", denials)?,
        None => writeln!(
            out,
            "  {FAINT}denials {FAINT:#}  {NOTE}the component declares none: a project says them in `denials.json`{NOTE:#}"
        )?,
    }
    for code in &coverage.undeclared {
        let code = printable(code);
        writeln!(out, "    {BAD}undeclared{BAD:#} {code}")?;
    }
    line(out, "settings", &coverage.settings)
}

fn line(out: &mut dyn Write, label: &str, covered: &Covered) -> io::Result<()> {
    let style = if covered.missing.is_empty() {
        GOOD
    } else {
        NOTE
    };
    writeln!(
        out,
        "  {FAINT}{label:<8}{FAINT:#}  {style}{} %{style:#}, {} of {}",
        covered.percent(),
        covered.shown.len(),
        covered.total()
    )?;
    covered
        .missing
        .iter()
        .try_for_each(|missing| writeln!(out, "    {NOTE}missing{NOTE:#} {}", printable(missing)))
}
