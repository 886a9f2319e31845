//! The one subject that a policy is asked about, as the command line names it:
//! facts, evidence that is verified first, or a decision of a log.

use super::many_subjects::unreadable;
use crate::attest::{Challenge, Proof, challenge, chosen, warn};
use crate::failure::Failure;
use crate::input;
use crate::inspect::evidence::Sent;
use crate::patience::Asking;
use crate::report::{self, Output};
use anyhow::anyhow;
use nameplate_attestor::study::Bounds;
use nameplate_attestor::{Attestors, CertificateFiles, Presented};
use nameplate_decisions::{NamingRecord, Reader};
use nameplate_policy::{Facts, Sandbox};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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

    /// Longest wait for API servers and published keys; `0` asks nobody
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = input::duration,
        default_value = "30s",
        requires = "evidence"
    )]
    timeout: Duration,

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
    /// What its name may be and may cost: as recorded, or as the configuration
    /// has it that verified the evidence.
    pub(super) bounds: Bounds,
}

impl OneSubject {
    /// The subject.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn find(&self, output: Output) -> Result<Subject, Failure> {
        let unrecorded = |(facts, bounds)| Subject {
            facts,
            naming: None,
            bounds,
        };
        match (&self.facts, &self.log, self.record) {
            (Some(path), ..) => Ok(unrecorded((input::facts(path)?, Bounds::default()))),
            (None, Some(log), Some(record)) => recorded(log, record),
            (None, ..) => match (&self.evidence, &self.config) {
                (Some(evidence), Some(config)) => {
                    Ok(unrecorded(self.proven(evidence, config, output)?))
                }
                (_, _) => Err(Failure::Usage(
                    "name a subject: `--facts`, `--log` and `--record`, or `--evidence`".to_owned(),
                )),
            },
        }
    }

    /// The subject that evidence proves, played through to the end where the
    /// attestor challenges it, and what that attestor allows.
    fn proven(
        &self,
        path: &Path,
        config: &Path,
        output: Output,
    ) -> Result<(Facts, Bounds), Failure> {
        let unproven = |error| Failure::Attest {
            error,
            cluster: self.cluster.clone(),
        };
        let attestors =
            Attestors::open_unrecorded(config, Sandbox::new()?).map_err(Failure::Config)?;
        warn(&attestors);
        let (name, attestor) = chosen(&attestors, self.attestor.as_deref())?;
        let asking = Asking::begin(self.timeout, output);
        let attempt = asking.attempt(self.now);
        let bounded = |facts: Facts| {
            let bounds = Bounds::of(&attestor, facts.cluster());
            (facts, bounds)
        };
        let Some(key) = &self.key else {
            let cluster = self.cluster.as_deref();
            let evidence = Sent::read(path)?.evidence(&name, &attestor, cluster)??;
            let presented = Presented::Evidence(&evidence);
            let facts = attestor.facts(presented, &attempt);
            return facts.map(bounded).map_err(unproven);
        };
        Proof::Certificate.suits(&name, attestor.method())?;
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
        let facts = attestor.facts(presented, &attempt);
        facts.map(bounded).map_err(unproven)
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
        let bounds = match &decision.naming {
            Some(naming) => Bounds::recorded(naming)
                .map_err(|error| Failure::fault("envelope_unreadable", error))?,
            None => {
                report::progress(
                    "no policy was asked then: neither envelope nor limits are recorded",
                );
                Bounds::default()
            }
        };
        return Ok(Subject {
            facts,
            naming: decision.naming,
            bounds,
        });
    }
    Err(none(anyhow!("record {record} of the log is no decision")))
}
