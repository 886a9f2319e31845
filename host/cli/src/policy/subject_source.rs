//! What a policy is asked about, as the command line names it: one subject,
//! or many.

use super::limits::LimitFlags;
use super::test::files;
use crate::attest::{Challenge, challenge, chosen, warn};
use crate::failure::Failure;
use crate::input;
use crate::inspect::evidence::Sent;
use crate::report;
use anyhow::anyhow;
use nameplate_attestor::study::{Described, Source};
use nameplate_attestor::{
    Attempt, Attestors, CertificateFiles, Envelope, Naming, NamingError, Presented,
};
use nameplate_decisions::{NamingRecord, ReadError, Reader};
use nameplate_policy::{Facts, PolicyRequest, PolicySource, Sandbox};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// One subject.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("subject").required(true).args(["facts", "evidence", "log"])))]
pub(super) struct OneSubject {
    /// The facts, as the `facts` member of a case; `-` is standard input
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,

    /// A decision log, with --record
    #[arg(long, value_name = "PATH", requires = "record")]
    log: Option<PathBuf>,

    /// Sequence number of the decision in the log
    #[arg(long, value_name = "N", requires = "log")]
    record: Option<u64>,

    /// A token, a PEM file of certificates, or what an agent sends, to be
    /// verified first; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "config")]
    evidence: Option<PathBuf>,

    /// The configuration that verifies the evidence
    #[arg(long, value_name = "FILE", requires = "evidence")]
    config: Option<PathBuf>,

    /// The attestor to ask; needed where several are configured
    #[arg(long, value_name = "NAME", requires = "evidence")]
    attestor: Option<String>,

    /// The cluster that a bare token is from
    #[arg(long, value_name = "NAME", requires = "evidence")]
    cluster: Option<String>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "evidence")]
    key: Option<PathBuf>,

    /// The CertificateSigningRequest that the certificate came from
    #[arg(long, value_name = "NAME", requires = "key")]
    request: Option<String>,

    /// The time to verify at, instead of now
    #[arg(long, value_name = "RFC3339", value_parser = input::time, requires = "evidence")]
    now: Option<SystemTime>,
}

/// A subject that was found.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its facts.
    pub(super) facts: Facts,
    /// How it was named then, where that is recorded.
    pub(super) naming: Option<Arc<NamingRecord>>,
}

impl OneSubject {
    /// The subject.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn find(&self) -> Result<Subject, Failure> {
        let unrecorded = |facts| Subject {
            facts,
            naming: None,
        };
        match (&self.facts, &self.log, self.record) {
            (Some(path), ..) => Ok(unrecorded(input::facts(path)?)),
            (None, Some(log), Some(record)) => recorded(log, record),
            (None, ..) => match (&self.evidence, &self.config) {
                (Some(evidence), Some(config)) => Ok(unrecorded(self.proven(evidence, config)?)),
                (_, _) => Err(Failure::Usage(
                    "name a subject: `--facts`, `--log` and `--record`, or `--evidence`".to_owned(),
                )),
            },
        }
    }

    /// The subject that evidence proves, played through to the end where the
    /// attestor challenges it.
    fn proven(&self, path: &Path, config: &Path) -> Result<Facts, Failure> {
        let unproven = |error| Failure::Attest {
            error,
            cluster: self.cluster.clone(),
        };
        let attestors = Attestors::open(config, Sandbox::new()?).map_err(Failure::Config)?;
        warn(&attestors);
        let attestor = chosen(&attestors, self.attestor.as_deref())?;
        let attempt = Attempt::at(self.now.unwrap_or_else(SystemTime::now));
        let Some(key) = &self.key else {
            let evidence = Sent::read(path)?.evidence(&attestor, self.cluster.as_deref())??;
            let presented = Presented::Evidence(&evidence);
            return attestor.facts(presented, &attempt).map_err(unproven);
        };
        let files = CertificateFiles {
            certificate: path.to_owned(),
            private_key: key.clone(),
            intermediates: None,
        };
        let prover = files
            .load()
            .map_err(|error| Failure::fault("credential_unusable", error))?;
        let prover = match &self.request {
            Some(request) => prover.requested_as(request),
            None => prover,
        };
        let Challenge::Answered(challenged, answer) = challenge(&attestor, &prover, &attempt)?
        else {
            return Err(Failure::Usage(
                "this attestor asks for no key: leave out `--key`".to_owned(),
            ));
        };
        let presented = Presented::Answer(challenged, &answer);
        attestor.facts(presented, &attempt).map_err(unproven)
    }
}

/// The subject of one decision of a log.
fn recorded(log: &Path, record: u64) -> Result<Subject, Failure> {
    let none = |error| Failure::fault("no_record", error);
    let decisions = Reader::open(log).map_err(unreadable)?.decisions();
    for decision in decisions {
        let decision = decision.map_err(unreadable)?;
        if decision.sequence < record {
            continue;
        }
        if decision.sequence > record {
            break;
        }
        if !decision.decision.redacted.is_empty() {
            report::progress(&format!(
                "the log keeps facts back: {}",
                decision.decision.redacted.join(", ")
            ));
        }
        let Some(facts) = decision.decision.facts else {
            return Err(none(anyhow!(
                "record {record} has no facts: the evidence was rejected"
            )));
        };
        return Ok(Subject {
            facts,
            naming: decision.naming,
        });
    }
    Err(none(anyhow!("record {record} of the log is no decision")))
}

/// A log that cannot be read, or is not as it was written.
pub(super) fn unreadable(error: ReadError) -> Failure {
    Failure::fault("log_unreadable", error)
}

/// The facts of a directory of cases, or those of a log.
///
/// # Errors
/// Where it is neither.
pub(super) fn cases_or_log(path: &Path) -> Result<Source, Failure> {
    if path.is_dir() {
        let cases = files::read(path)?;
        if !cases.is_empty() {
            return Ok(of_cases(cases));
        }
    }
    let source = Source::Log(path.to_owned());
    match source.facts() {
        Ok(_) => Ok(source),
        Err(ReadError::Empty { .. }) => Err(Failure::fault(
            "no_facts",
            anyhow!(
                "`{}` holds neither cases nor a decision log",
                path.display()
            ),
        )),
        Err(error) => Err(unreadable(error)),
    }
}

/// The facts of the cases in a directory.
///
/// # Errors
/// Where there are none.
pub(super) fn cases(directory: &Path) -> Result<Source, Failure> {
    let cases = files::read(directory)?;
    if cases.is_empty() {
        let error = anyhow!("there are no cases in `{}`", directory.display());
        return Err(Failure::fault("no_cases", error));
    }
    Ok(of_cases(cases))
}

fn of_cases(cases: Vec<files::CaseFile>) -> Source {
    Source::of_cases(cases.into_iter().map(|file| Described {
        name: file.case.name,
        facts: file.case.facts,
    }))
}

/// Goes through the facts of a source with `ask`, which takes an iterator,
/// and says how far it has come.
///
/// # Errors
/// Where a line of a log cannot be read: what came of the lines before it is
/// not given, since nobody knows what the rest would have changed.
pub(super) fn through<T>(
    source: &Source,
    ask: impl FnOnce(&mut dyn Iterator<Item = Described>) -> T,
) -> Result<T, Failure> {
    let mut facts = source.facts().map_err(unreadable)?;
    let mut failed = None;
    let answer = ask(&mut facts.by_ref().map_while(|next| match next {
        Ok(described) => Some(described),
        Err(error) => {
            failed = Some(error);
            None
        }
    }));
    if let Some(error) = failed {
        return Err(unreadable(error));
    }
    if facts.redacted() > 0 {
        report::progress(&format!(
            "of {} records the log keeps facts back: names that depend on those are not as they were",
            facts.redacted()
        ));
    }
    Ok(answer)
}

/// Says now and then how far a study has come.
pub(super) fn progress() -> impl FnMut(u64) {
    const EVERY: u64 = 100_000;
    let mut next = EVERY;
    move |asked| {
        if asked >= next {
            report::progress(&format!("{} so far", report::grouped(asked)));
            next = asked.saturating_add(EVERY);
        }
    }
}

/// A policy to ask, loaded as a server loads it, in an envelope that asks
/// nothing beyond the SPIFFE-ID standard.
///
/// # Errors
/// Why it cannot serve.
pub(super) fn naming(
    sandbox: &Sandbox,
    source: &str,
    settings: Value,
    limits: &LimitFlags,
) -> Result<Naming, Failure> {
    let request = PolicyRequest {
        settings,
        limits: limits.limits(),
        ..PolicyRequest::new(PolicySource::parse(source))
    };
    Naming::load(sandbox, &request, Envelope::default()).map_err(|error| {
        if let NamingError::Load(error) = error {
            Failure::load(format!("`{source}`"), error)
        } else {
            Failure::fault("policy_refused", error)
        }
    })
}
