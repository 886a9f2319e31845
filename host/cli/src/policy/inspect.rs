//! `nameplate policy inspect`: what a component says, asks for and costs,
//! before anyone trusts it.
//!
//! A component that is refused is still read as far as that goes, so that its
//! author sees the import that is in the way.

use super::limits::LimitFlags;
use crate::failure::Failure;
use crate::input;
use crate::report::{
    BAD, Exit, GOOD, HEADING, NOTE, Output, grouped, millis, printable, row, short,
};
use nameplate_attestor::{SubjectKeys, SubjectKeysError, cases, chain};
use nameplate_policy::{
    CONTRACT_VERSION, Digest, Interface, LoadError, Manifest, Policy, PolicyRequest, PolicySource,
    Sandbox, Start, Trial,
};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Show what a component is, asks for and costs to load
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nameplate policy inspect builtin:uuid
  nameplate policy inspect my-policy.wasm --output json
  nameplate policy inspect large.wasm --limit 'component_bytes=16 MiB'")]
pub(crate) struct Arguments {
    /// A component, or builtin:NAME
    policy: String,

    /// Settings to load it with: a JSON object, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,

    #[command(flatten)]
    limits: LimitFlags,
}

/// Runs the subcommand.
///
/// # Errors
/// When there are no bytes to look at.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let settings = input::settings(arguments.settings.as_deref())?;
    let source = super::source(&arguments.policy)?;
    let (component, digest) = source
        .read(None, &arguments.limits.limits())
        .map_err(|error| Failure::load(format!("`{}`", arguments.policy), error))?;
    let findings = Findings::of(component, digest, settings, arguments)?;
    output.answer(&findings.document(), |out| {
        findings.write(out, &arguments.policy)
    })?;
    Ok(match findings.loading {
        Loading::Refused(_) => Exit::Fault,
        Loading::Loaded { .. } | Loading::NeedsSettings(_) => Exit::Done,
    })
}

/// All there is to say of a component.
struct Findings {
    bytes: usize,
    digest: Digest,
    manifest: Manifest,
    /// None where the bytes are not even a component.
    interface: Option<Interface>,
    /// Cases that it carries; none where they cannot be read.
    cases: Option<usize>,
    /// The facts that keep its subjects apart under the settings.
    subject_keys: Result<SubjectKeys, SubjectKeysError>,
    /// How long compiling took, where it came to that.
    compiled: Option<Duration>,
    loading: Loading,
}

/// What came of loading it.
enum Loading {
    Loaded {
        took: Duration,
        start: Start,
    },
    /// It is a policy, and has settings that must be made.
    NeedsSettings(LoadError),
    Refused(LoadError),
}

impl Findings {
    fn of(
        component: Cow<'static, [u8]>,
        digest: Digest,
        settings: Value,
        arguments: &Arguments,
    ) -> Result<Self, Failure> {
        let sandbox = Sandbox::new()?;
        let limits = arguments.limits.limits();
        let manifest = Manifest::read(&component);
        let began = Instant::now();
        let compiled = Trial::new(&sandbox, &component, &limits)
            .is_ok()
            .then(|| began.elapsed());
        let unset = arguments.settings.is_none();
        let subject_keys = SubjectKeys::of_policy(&manifest, &settings);
        let request = PolicyRequest {
            settings,
            limits,
            ..PolicyRequest::new(PolicySource::Bytes(component.clone()))
        };
        let began = Instant::now();
        let loading = match Policy::load(&sandbox, &request) {
            Ok(policy) => Loading::Loaded {
                took: began.elapsed(),
                start: policy.start().clone(),
            },
            Err(error @ LoadError::Settings(_)) if unset => Loading::NeedsSettings(error),
            Err(error) => Loading::Refused(error),
        };
        Ok(Self {
            bytes: component.len(),
            digest,
            interface: Interface::read(&component).ok(),
            cases: cases::embedded(&manifest).ok().map(|cases| cases.len()),
            subject_keys,
            manifest,
            compiled,
            loading,
        })
    }

    /// Version of the contract that the component implements, by its exports.
    fn contract(&self) -> Option<&str> {
        let exports = &self.interface.as_ref()?.exports;
        exports
            .iter()
            .find_map(|export| export.strip_prefix("nameplate:policy/naming@"))
    }

    fn schema(&self) -> Option<Value> {
        let text = self.manifest.settings_schema.as_deref()?;
        serde_json::from_str(text).ok()
    }

    /// The denials that it declares: each code, and when it is said.
    fn denials(&self) -> Option<BTreeMap<String, String>> {
        serde_json::from_str(self.manifest.denials.as_deref()?).ok()
    }

    fn document(&self) -> Value {
        let (start, load, refusal) = match &self.loading {
            Loading::Loaded { took, start } => {
                let start = match start {
                    Start::Configured => json!({ "state": "configured" }),
                    Start::Unconfigured { reason } => {
                        json!({ "state": "unconfigured", "reason": reason })
                    }
                };
                (start, json!(millis(*took)), Value::Null)
            }
            Loading::NeedsSettings(error) => (
                json!({ "state": "needs_settings", "reason": chain(error) }),
                Value::Null,
                Value::Null,
            ),
            Loading::Refused(error) => (Value::Null, Value::Null, json!(chain(error))),
        };
        json!({
            "name": self.manifest.name,
            "version": self.manifest.version,
            "description": self.manifest.description,
            "contract": self.contract(),
            "imports": self.interface.as_ref().map(|interface| &interface.imports),
            "exports": self.interface.as_ref().map(|interface| &interface.exports),
            "bytes": self.bytes,
            "digest": self.digest,
            "settings_schema": self.schema(),
            "denials": self.denials(),
            "cases": self.cases,
            "subject_keys": self.subject_keys.as_ref().ok().map(SubjectKeys::groups),
            "start": start,
            "compile_ms": self.compiled.map(millis),
            "load_ms": load,
            "refused": refusal,
        })
    }

    fn write(&self, out: &mut dyn Write, source: &str) -> io::Result<()> {
        let name = self.manifest.name.as_deref().unwrap_or(source);
        let version = self.manifest.version.as_deref();
        let version = version
            .map(|version| format!(" {}", printable(version)))
            .unwrap_or_default();
        writeln!(out, "{HEADING}{}{version}{HEADING:#}", printable(name))?;
        if let Some(description) = &self.manifest.description {
            writeln!(out, "{}", printable(description))?;
        }
        writeln!(out)?;
        row(out, "digest", self.digest)?;
        row(
            out,
            "size",
            format_args!(
                "{} bytes",
                grouped(u64::try_from(self.bytes).unwrap_or(u64::MAX))
            ),
        )?;
        match self.contract() {
            Some(contract) => row(out, "contract", printable(contract))?,
            None => row(
                out,
                "contract",
                format_args!("{BAD}none{BAD:#}, this host speaks {CONTRACT_VERSION}"),
            )?,
        }
        if let Some(interface) = &self.interface {
            names(out, "imports", &interface.imports, "nothing")?;
            names(out, "exports", &interface.exports, "nothing")?;
        }
        self.write_settings(out)?;
        self.write_denials(out)?;
        match self.cases {
            Some(0) => row(out, "cases", format_args!("{NOTE}none{NOTE:#}"))?,
            Some(count) => row(out, "cases", count)?,
            None => row(out, "cases", format_args!("{BAD}cannot be read{BAD:#}"))?,
        }
        self.write_subjects(out)?;
        if let Some(compiled) = self.compiled {
            row(out, "compiles in", short(compiled))?;
        }
        match &self.loading {
            Loading::Loaded { took, start } => {
                row(out, "loads in", short(*took))?;
                match start {
                    Start::Configured => row(out, "starts", "from its configured state"),
                    Start::Unconfigured { reason } => row(
                        out,
                        "starts",
                        format_args!(
                            "{NOTE}unconfigured{NOTE:#}, `configure` runs every time: {}",
                            printable(reason)
                        ),
                    ),
                }?;
                writeln!(out, "\n{GOOD}This is a policy that can be loaded.{GOOD:#}")
            }
            Loading::NeedsSettings(error) => {
                writeln!(
                    out,
                    "\n{NOTE}This is a policy that needs settings:{NOTE:#} {}",
                    printable(&chain(error))
                )
            }
            Loading::Refused(error) => {
                writeln!(
                    out,
                    "\n{BAD}This is refused:{BAD:#} {}",
                    printable(&chain(error))
                )
            }
        }
    }

    /// The facts that keep subjects apart, a line for each group.
    fn write_subjects(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut label = "subjects by";
        match &self.subject_keys {
            Ok(keys) => {
                for group in keys.groups() {
                    let names: Vec<_> = group.iter().map(ToString::to_string).collect();
                    row(out, label, printable(&names.join(" + ")))?;
                    label = "or else by";
                }
                row(out, label, "the strongest UID proven")
            }
            Err(error) => row(
                out,
                label,
                format_args!("{BAD}cannot be read{BAD:#}: {}", printable(&chain(error))),
            ),
        }
    }

    /// The codes that it denies with, a line each.
    fn write_denials(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(denials) = self.denials() else {
            return row(out, "denials", format_args!("{NOTE}not declared{NOTE:#}"));
        };
        if denials.is_empty() {
            return row(out, "denials", "none");
        }
        let mut label = "denials";
        for (code, when) in &denials {
            let line = format!("{}: {}", printable(code), printable(when));
            row(out, label, line)?;
            label = "";
        }
        Ok(())
    }

    /// The settings there are, a line each.
    fn write_settings(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(schema) = self.schema() else {
            return row(out, "settings", "no schema");
        };
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return row(out, "settings", "none");
        };
        if properties.is_empty() {
            return row(out, "settings", "none");
        }
        let mut label = "settings";
        for (name, property) in properties {
            let mut line = format!("{}: {}", printable(name), kind(property));
            if let Some(default) = property.get("default") {
                line.push_str(&format!(", default {}", printable(&default.to_string())));
            }
            row(out, label, line)?;
            label = "";
        }
        Ok(())
    }
}

/// What a setting may be, in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> = values
            .iter()
            .map(|value| printable(&value.to_string()))
            .collect();
        return values.join(" | ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => {
            let items = schema
                .get("items")
                .map_or_else(|| "anything".to_owned(), kind);
            format!("list of {items}")
        }
        Some(name) => printable(name),
        None => "any".to_owned(),
    }
}

fn names(out: &mut dyn Write, label: &str, names: &[String], none: &str) -> io::Result<()> {
    if names.is_empty() {
        return row(out, label, none);
    }
    let mut label = label;
    for name in names {
        row(out, label, printable(name))?;
        label = "";
    }
    Ok(())
}
