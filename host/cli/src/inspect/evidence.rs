//! `nameplate inspect evidence`: a token or a chain as it reads, and what a
//! configuration says to it.
//!
//! What is shown is what the peer wrote. A token's signature is left out: the
//! rest is no credential without it.

use crate::attest::{Proof, chosen, warn};
use crate::failure::Failure;
use crate::input;
use crate::patience::Asking;
use crate::report::{BAD, Exit, GOOD, HEADING, NOTE, Output, printable, row};
use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nameplate_attestor::config::{Config, TrustConfig};
use nameplate_attestor::{AttestError, Attestor, Attestors, Failure as Part, Presented, Step};
use nameplate_evidence::certificates::{self, CertificateSight, Trust};
use nameplate_evidence::subject::DistinguishedName;
use nameplate_evidence::{EvidenceError, RawEvidence};
use nameplate_policy::Sandbox;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Show a token or a certificate chain, and which check would refuse it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing that is shown is proven, unless a configuration says so. Of a
certificate the checks before its challenge are made; which ones wait for the
key is said, and `nameplate attest` makes those too.

Examples:
  nameplate inspect evidence token.jwt
  nameplate inspect evidence node.pem --config nameplate.toml
  nameplate inspect evidence token.jwt --config nameplate.toml --cluster production
  nameplate inspect evidence payload.json --config nameplate.toml --now 2026-01-02T03:04:05Z")]
pub(crate) struct Arguments {
    /// A token, a PEM file of certificates, or what an agent sends; `-` is
    /// standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The configuration whose checks it is put through
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The attestor to ask; needed where several are configured
    #[arg(long, value_name = "NAME", requires = "config")]
    attestor: Option<String>,

    /// The cluster that a bare token is from
    #[arg(long, value_name = "NAME", requires = "config")]
    cluster: Option<String>,

    /// The CertificateSigningRequest that the certificates came from, for `k8s`
    #[arg(long, value_name = "NAME", requires = "config")]
    request: Option<String>,

    /// Longest wait for API servers and published keys; `0` asks nobody
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = input::duration,
        default_value = "30s",
        requires = "config"
    )]
    timeout: Duration,

    /// The time to verify at, instead of now
    #[arg(long, value_name = "RFC3339", value_parser = input::time)]
    now: Option<SystemTime>,
}

/// What a file holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Evidence {
    Token { header: Value, claims: Value },
    Certificates(Vec<CertificateSight>),
}

/// What a configuration says to it.
#[derive(Debug, Serialize)]
struct Verdict {
    /// `identity`, `challenged`, `rejected`, `denied` or `fault`.
    outcome: &'static str,
    spiffe_id: Option<String>,
    reason: Option<&'static str>,
    error: Option<String>,
    /// Checks that wait for the peer's answer to its challenge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_made: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Document {
    #[serde(flatten)]
    evidence: Evidence,
    verdict: Option<Verdict>,
}

/// Runs the subcommand.
///
/// # Errors
/// When there is nothing to look at, or no attestor to ask.
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let bytes = input::evidence(&arguments.file)?;
    let unreadable = |error| Failure::fault("evidence_unreadable", error);
    let (evidence, sent) = read(&bytes, arguments.request.as_deref()).map_err(unreadable)?;
    let (verdict, exit) = match &arguments.config {
        Some(config) => {
            let attestors =
                Attestors::open_unrecorded(config, Sandbox::new()?).map_err(Failure::Config)?;
            warn(&attestors);
            let (name, attestor) = chosen(&attestors, arguments.attestor.as_deref())?;
            let (mut verdict, exit) = judged(arguments, &name, &attestor, sent, output)?;
            if verdict.outcome == CHALLENGED {
                verdict.not_made = not_made(config, &name)?;
            }
            (Some(verdict), exit)
        }
        None => (None, Exit::Done),
    };
    let document = Document { evidence, verdict };
    let now = arguments.now.unwrap_or_else(SystemTime::now);
    output.answer(&document, |out| document.write(out, now))?;
    Ok(exit)
}

/// What a peer would send.
pub(crate) enum Sent {
    /// Its payload.
    Payload(Vec<u8>),
    /// A bare token.
    Token(String),
    /// The payload that certificates make.
    Certificates(Vec<u8>),
}

impl Sent {
    /// What `path` holds of what a peer sends; `-` is standard input.
    ///
    /// # Errors
    /// A fault `evidence_unreadable`, or as [`input::evidence`].
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = input::evidence(path)?;
        let (_, sent) =
            read(&bytes, None).map_err(|error| Failure::fault("evidence_unreadable", error))?;
        Ok(sent)
    }

    /// The evidence for `attestor`, and whether it is any.
    ///
    /// # Errors
    /// [`Failure::Usage`] where nobody says which cluster a token is from, or
    /// the attestor, called `name`, takes no such evidence.
    pub(crate) fn evidence(
        self,
        name: &str,
        attestor: &Attestor,
        cluster: Option<&str>,
    ) -> Result<Result<RawEvidence, EvidenceError>, Failure> {
        let method = attestor.method();
        Ok(match self {
            Self::Payload(payload) => RawEvidence::new(method, payload),
            Self::Certificates(payload) => {
                Proof::Certificate.suits(name, method)?;
                RawEvidence::new(method, payload)
            }
            Self::Token(token) => {
                Proof::Token.suits(name, method)?;
                let cluster = cluster.ok_or_else(|| {
                    Failure::Usage("say which cluster the token is from: `--cluster`".to_owned())
                })?;
                RawEvidence::service_account_token(method, cluster, &token, None)
            }
        })
    }
}

fn read(bytes: &[u8], request: Option<&str>) -> anyhow::Result<(Evidence, Sent)> {
    let text = std::str::from_utf8(bytes)
        .context("this is no text")?
        .trim();
    if text.starts_with("-----BEGIN") {
        let payload = certificates::payload_of_pem(bytes, request)?;
        return Ok((chain(&payload)?, Sent::Certificates(payload)));
    }
    if text.starts_with('{') {
        // Only to tell which it is; the verifier reads for itself.
        let payload: Value = serde_json::from_str(text).context("this is no JSON")?;
        let evidence = match payload.get("token").and_then(Value::as_str) {
            Some(token) => self::token(token.trim())?,
            None => chain(text.as_bytes())?,
        };
        return Ok((evidence, Sent::Payload(text.as_bytes().to_vec())));
    }
    Ok((token(text)?, Sent::Token(text.to_owned())))
}

fn chain(payload: &[u8]) -> anyhow::Result<Evidence> {
    Ok(Evidence::Certificates(certificates::sight(payload)?))
}

fn token(text: &str) -> anyhow::Result<Evidence> {
    let parts: Vec<_> = text.split('.').collect();
    let [header, claims, _signature] = parts.as_slice() else {
        return Err(anyhow!(
            "this is neither a token nor PEM nor what agents send"
        ));
    };
    let part = |name: &'static str, part: &str| -> anyhow::Result<Value> {
        // An error of these could repeat what it could not read.
        let decoded = URL_SAFE_NO_PAD.decode(part).ok();
        decoded
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| anyhow!("the token's {name} is not JSON in base64url"))
    };
    Ok(Evidence::Token {
        header: part("header", header)?,
        claims: part("claims part", claims)?,
    })
}

/// The outcome of evidence that has to be shown a key for.
const CHALLENGED: &str = "challenged";

/// The checks that attestor `name` makes once a challenge is answered: nobody
/// is asked about a certificate before its key is shown.
fn not_made(config: &Path, name: &str) -> Result<Vec<String>, Failure> {
    let config = Config::read(config).map_err(Failure::Config)?;
    let attestor = config
        .attestors
        .iter()
        .find(|attestor| attestor.name.as_str() == name);
    let trust = attestor.map(|attestor| &attestor.trust);
    let mut waiting = vec!["that the peer has the certificate's key".to_owned()];
    if let Some(TrustConfig::Certificates(verifier)) = trust {
        if matches!(verifier.trust, Trust::Domain(_)) {
            waiting.push("the path of the SVID".to_owned());
        }
        let lookup = verifier.node.as_ref().and_then(|rule| rule.lookup.as_ref());
        if let Some(lookup) = lookup {
            if lookup.request.is_some() {
                waiting.push("the CertificateSigningRequest, which the API server has".to_owned());
            }
            waiting.push("the node, which the API server knows".to_owned());
        }
    }
    waiting.push("what the policy says".to_owned());
    Ok(waiting)
}

fn judged(
    arguments: &Arguments,
    name: &str,
    attestor: &Attestor,
    sent: Sent,
    output: Output,
) -> Result<(Verdict, Exit), Failure> {
    let evidence = sent.evidence(name, attestor, arguments.cluster.as_deref())?;
    let asking = Asking::begin(arguments.timeout, output);
    let attempt = asking.attempt(arguments.now);
    let step = evidence
        .map_err(AttestError::Rejected)
        .and_then(|evidence| attestor.step(Presented::Evidence(&evidence), &attempt));
    drop(asking);
    let verdict = |outcome| Verdict {
        outcome,
        spiffe_id: None,
        reason: None,
        error: None,
        not_made: Vec::new(),
    };
    Ok(match step {
        Ok(Step::Attested(attestation)) => (
            Verdict {
                spiffe_id: Some(attestation.identity.spiffe_id().to_string()),
                ..verdict("identity")
            },
            Exit::Done,
        ),
        Ok(Step::Challenged(_)) => (verdict(CHALLENGED), Exit::Done),
        Err(error) => {
            let (outcome, exit) = match error.failure() {
                Part::Rejected => ("rejected", Exit::Rejected),
                Part::Denied => ("denied", Exit::Denied),
                Part::Fault => ("fault", Exit::Fault),
            };
            let verdict = Verdict {
                reason: Some(error.reason()),
                error: Some(error.chain()),
                ..verdict(outcome)
            };
            (verdict, exit)
        }
    })
}

impl Document {
    fn write(&self, out: &mut dyn Write, now: SystemTime) -> io::Result<()> {
        match &self.evidence {
            Evidence::Token { header, claims } => {
                members(out, "header", header)?;
                members(out, "claims", claims)?;
            }
            Evidence::Certificates(chain) => {
                for (number, certificate) in chain.iter().enumerate() {
                    show(out, number, certificate, now)?;
                }
            }
        }
        let Some(verdict) = &self.verdict else {
            return writeln!(out, "\n{NOTE}nothing of this is verified{NOTE:#}");
        };
        match (verdict.outcome, &verdict.spiffe_id) {
            (_, Some(id)) => writeln!(out, "\n{GOOD}it earns{GOOD:#} {id}"),
            (CHALLENGED, None) => {
                writeln!(
                    out,
                    "\n{GOOD}it would be challenged{GOOD:#}: every check before that holds"
                )?;
                verdict
                    .not_made
                    .iter()
                    .try_for_each(|check| writeln!(out, "  {NOTE}not checked{NOTE:#} {check}"))
            }
            (outcome, None) => writeln!(
                out,
                "\n{BAD}{outcome}{BAD:#} by {}: {}",
                verdict.reason.unwrap_or_default(),
                printable(verdict.error.as_deref().unwrap_or_default())
            ),
        }
    }
}

fn members(out: &mut dyn Write, what: &str, value: &Value) -> io::Result<()> {
    writeln!(out, "{HEADING}{what}{HEADING:#}")?;
    match value.as_object() {
        Some(members) => members.iter().try_for_each(|(name, value)| {
            row(out, &printable(name), printable(&value.to_string()))
        }),
        None => row(out, "", printable(&value.to_string())),
    }
}

fn show(
    out: &mut dyn Write,
    number: usize,
    certificate: &CertificateSight,
    now: SystemTime,
) -> io::Result<()> {
    let what = match number {
        0 => "certificate".to_owned(),
        number => format!("intermediate {number}"),
    };
    writeln!(out, "{HEADING}{what}{HEADING:#}")?;
    row(out, "subject", name(&certificate.subject))?;
    row(out, "signed by", name(&certificate.issuer))?;
    row(out, "serial", &certificate.serial)?;
    row(out, "key", printable(&certificate.key))?;
    for alternative in &certificate.alternative_names {
        // Its JSON says which kind it is.
        let text = serde_json::to_string(alternative).unwrap_or_default();
        row(out, "name", printable(&text))?;
    }
    let (from, to) = (certificate.not_before, certificate.not_after);
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let holds = if seconds < from {
        " (not yet)"
    } else if seconds > to {
        " (over)"
    } else {
        ""
    };
    row(out, "holds from", time(from))?;
    row(out, "to", format_args!("{}{holds}", time(to)))?;
    row(out, "SHA-256", &certificate.sha256)?;
    row(out, "SHA-1", &certificate.sha1)
}

fn time(seconds: u64) -> String {
    // What is later than any calendar is shown as it is.
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .filter(|_| seconds < 253_402_300_800)
        .map_or_else(
            || seconds.to_string(),
            |time| humantime::format_rfc3339_seconds(time).to_string(),
        )
}

fn name(name: &DistinguishedName) -> String {
    let attributes = |kind: &'static str, values: &[String]| -> Vec<String> {
        values
            .iter()
            .map(|value| format!("{kind}={}", printable(value)))
            .collect()
    };
    let common = name.common_name.as_slice();
    let all = [
        attributes("CN", common),
        attributes("O", &name.organizations),
        attributes("OU", &name.organizational_units),
    ];
    let all = all.concat();
    if all.is_empty() {
        "(none)".to_owned()
    } else {
        all.join(", ")
    }
}
