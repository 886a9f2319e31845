//! `nameplate attest`: one piece of evidence in, one identity out.
//!
//! The whole way is the library's: this file finds the evidence and says what
//! came of it. It is asked beside a server, so nothing is recorded, unless
//! `--record` says that this is the process that decides.

use crate::changes::SaidChanges;
use crate::failure::Failure;
use crate::input;
use crate::patience::Asking;
use crate::report::{Exit, GOOD, NOTE, Output, printable};
use nameplate_attestor::config::{Config, SwapsConfig};
use nameplate_attestor::{
    AgentIdentity, Attempt, AttestError, Attestation, Attestor, Attestors, CertificateFiles,
    Challenged, PolicyLabel, Presented, Step,
};
use nameplate_evidence::certificates::{CertificateError, Nonce, Prover};
use nameplate_evidence::{Method, RawEvidence};
use nameplate_policy::Sandbox;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Verify evidence and print the identity it earns
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("evidence").required(true).args(["payload", "cluster", "certificate"])),
    after_help = "\
Prints the SPIFFE ID, then one selector per line.

What a configuration asks to be recorded or kept is left out, and a note says
so: a server may be writing there. With `--record` it counts as in a server:
`decision_log`, `state_directory`, `gate`, `rollback`, `shadow`, `on_collision`.

Examples:
  nameplate attest --config nameplate.toml --cluster production --token token.jwt
  nameplate attest --config nameplate.toml --payload payload.json --output json
  nameplate attest --config nameplate.toml --certificate node.pem --key node.key
  nameplate attest --config nameplate.toml --cluster production --token token.jwt --record
  nameplate attest --config nameplate.toml --cluster production --token token.jwt --timeout 5s
  kubectl create token spire-agent -n spire --audience spire-server |
    nameplate attest --config nameplate.toml --cluster production --token -"
)]
pub(crate) struct Arguments {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// The attestor to ask; needed where several are configured
    #[arg(long, value_name = "NAME")]
    attestor: Option<String>,

    /// What the peer sent, {"cluster": …, "token": …}; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cluster", "token", "uuid", "certificate", "key"])]
    payload: Option<PathBuf>,

    /// The cluster that the token is from
    #[arg(long, value_name = "NAME", requires = "token")]
    cluster: Option<String>,

    /// A service account token; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "cluster")]
    token: Option<PathBuf>,

    /// A UUID that the peer claims for itself
    #[arg(long, value_name = "UUID", requires = "cluster")]
    uuid: Option<String>,

    /// A certificate in PEM, intermediates behind it; the key answers the
    /// challenge
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["cluster", "token"])]
    certificate: Option<PathBuf>,

    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,

    /// More intermediates, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    intermediates: Option<PathBuf>,

    /// The CertificateSigningRequest that the certificate came from, for `k8s`
    #[arg(long, value_name = "NAME", requires = "certificate")]
    request: Option<String>,

    /// The peer's address, for `verify_client_ip`
    #[arg(long, value_name = "IP", requires = "certificate")]
    client_ip: Option<std::net::IpAddr>,

    /// Decide as a server does: with the gate, the state directory, the decision
    /// log and `on_collision` of the configuration
    #[arg(long)]
    record: bool,

    /// Longest wait for API servers and published keys; `0` asks nobody
    #[arg(long, value_name = "DURATION", value_parser = input::duration, default_value = "30s")]
    timeout: Duration,

    /// The time to verify at, instead of now
    #[arg(long, value_name = "RFC3339", value_parser = input::time)]
    now: Option<SystemTime>,
}

/// An identity, as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Given<'a> {
    /// The identity.
    #[serde(flatten)]
    pub(crate) identity: &'a AgentIdentity,
    /// The policy that named it.
    pub(crate) policy: &'a PolicyLabel,
    /// Fuel that the policy used.
    pub(crate) fuel: u64,
    /// Keys of the configuration that a server heeds, and that did not count.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) left_out: &'a [&'static str],
}

impl Given<'_> {
    /// The SPIFFE ID, then a selector a line.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{GOOD}{}{GOOD:#}", self.identity.spiffe_id())?;
        for selector in self.identity.selectors() {
            writeln!(out, "{selector}")?;
        }
        Ok(())
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Why there is no identity.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let sandbox = Sandbox::new()?;
    let attestors = if arguments.record {
        let now = SystemTime::now();
        Attestors::open_observed(&arguments.config, sandbox, Arc::new(SaidChanges), now)
    } else {
        Attestors::open_unrecorded(&arguments.config, sandbox)
    };
    let attestors = attestors.map_err(Failure::Config)?;
    warn(&attestors);
    let (name, attestor) = chosen(&attestors, arguments.attestor.as_deref())?;
    let left_out = if arguments.record {
        Vec::new()
    } else {
        kept_by_a_server(&arguments.config, &name)?
    };
    if output == Output::Text && !left_out.is_empty() {
        say_left_out(&left_out);
    }
    let asking = Asking::begin(arguments.timeout, output);
    let attempt = asking.attempt(arguments.now);
    let attestation = match certificate(arguments) {
        Some(files) => {
            Proof::Certificate.suits(&name, attestor.method())?;
            by_certificate(arguments, &files, &attestor, attempt)?
        }
        None => {
            let (evidence, cluster) = evidence(arguments, &name, attestor.method())?;
            attestor
                .attest(&evidence, &attempt)
                .map_err(|error| Failure::Attest { error, cluster })?
        }
    };
    drop(asking);
    let given = Given {
        identity: &attestation.identity,
        policy: &attestation.policy,
        fuel: attestation.fuel,
        left_out: &left_out,
    };
    output.answer(&given, |out| given.write(out))?;
    Ok(Exit::Done)
}

/// The keys of attestor `name` by which a server records, keeps or holds
/// against what it kept, as the configuration calls them.
fn kept_by_a_server(config: &Path, name: &str) -> Result<Vec<&'static str>, Failure> {
    let config = Config::read(config).map_err(Failure::Config)?;
    let attestor = config
        .attestors
        .iter()
        .find(|attestor| attestor.name.as_str() == name);
    let Some(attestor) = attestor else {
        return Ok(Vec::new());
    };
    // Written out without `..`, so that a new key cannot be left out in silence.
    let SwapsConfig {
        state,
        gate,
        rollback,
        shadow,
        collisions,
        // These say how, and ask for nothing.
        subjects: _,
        directory_check: _,
    } = &attestor.swaps;
    let asked_for = [
        ("decision_log", attestor.decision_log.is_some()),
        ("state_directory", state.is_some()),
        ("gate", gate.is_some()),
        ("rollback", rollback.is_some()),
        ("shadow", shadow.is_some()),
        ("on_collision", collisions.is_some()),
    ];
    let asked_for = asked_for.into_iter().filter(|(_, is)| *is);
    Ok(asked_for.map(|(key, _)| key).collect())
}

/// Standard output is for the identity alone.
fn say_left_out(keys: &[&'static str]) {
    let quoted: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    let mut err = anstream::stderr().lock();
    // What cannot be told is not worth failing for.
    let _told = writeln!(
        err,
        "{NOTE}note:{NOTE:#} nothing is recorded or kept without `--record`; left out: {}",
        quoted.join(", ")
    );
}

/// The two kinds of evidence that a command line can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A service account token.
    Token,
    /// A certificate.
    Certificate,
}

impl Proof {
    /// Refuses what attestor `name`, of `method`, takes no such evidence for: that is a
    /// slip of whoever typed it, and no peer's.
    ///
    /// # Errors
    /// [`Failure::Usage`], which says what it does take.
    pub(crate) fn suits(self, name: &str, method: Method) -> Result<(), Failure> {
        let taken = match method {
            Method::K8sSat | Method::K8sPsat => Self::Token,
            Method::X509Pop | Method::K8s => Self::Certificate,
        };
        if taken == self {
            return Ok(());
        }
        let (given, wanted) = match self {
            Self::Token => ("a token", "certificates"),
            Self::Certificate => ("a certificate", "tokens"),
        };
        Err(Failure::Usage(format!(
            "{given} is no evidence for attestor `{}`, whose method `{method}` takes {wanted}",
            printable(name)
        )))
    }
}

fn certificate(arguments: &Arguments) -> Option<CertificateFiles> {
    Some(CertificateFiles {
        certificate: arguments.certificate.clone()?,
        private_key: arguments.key.clone()?,
        intermediates: arguments.intermediates.clone(),
    })
}

/// Plays both sides: the attestor challenges, and the key answers.
fn by_certificate(
    arguments: &Arguments,
    files: &CertificateFiles,
    attestor: &Attestor,
    attempt: Attempt,
) -> Result<Attestation, Failure> {
    let unattested = |error| Failure::Attest {
        error,
        cluster: None,
    };
    let prover = files
        .load()
        .map_err(|error| Failure::fault("credential_unusable", error))?;
    let prover = match &arguments.request {
        Some(request) => prover.requested_as(request),
        None => prover,
    };
    let attempt = attempt.from_address(arguments.client_ip.map(|ip| ip.to_string()));
    let (challenged, answer) = match challenge(attestor, &prover, &attempt)? {
        Challenge::Unneeded(attestation) => return Ok(*attestation),
        Challenge::Answered(challenged, answer) => (challenged, answer),
    };
    match attestor
        .step(Presented::Answer(challenged, &answer), &attempt)
        .map_err(unattested)?
    {
        Step::Attested(attestation) => Ok(attestation),
        Step::Challenged(_) => Err(unattested(AttestError::Rejected(
            CertificateError::Unanswered.into(),
        ))),
    }
}

/// A challenge, once evidence was presented.
pub(crate) enum Challenge {
    /// There was none.
    Unneeded(Box<Attestation>),
    /// It was posed, and this is the key's answer.
    Answered(Challenged, Vec<u8>),
}

/// Presents the certificate of `prover` to the attestor, and answers its challenge.
///
/// # Errors
/// Why there is none, or no answer to it.
pub(crate) fn challenge(
    attestor: &Attestor,
    prover: &Prover,
    attempt: &Attempt,
) -> Result<Challenge, Failure> {
    let unattested = |error| Failure::Attest {
        error,
        cluster: None,
    };
    let evidence = RawEvidence::new(attestor.method(), prover.payload())?;
    let challenged = match attestor
        .step(Presented::Evidence(&evidence), attempt)
        .map_err(unattested)?
    {
        Step::Attested(attestation) => return Ok(Challenge::Unneeded(Box::new(attestation))),
        Step::Challenged(challenged) => challenged,
    };
    let nonce = Nonce::random().ok_or_else(|| unattested(AttestError::NoRandomness))?;
    let answer = prover
        .answer(&challenged.message(), nonce)
        .map_err(|error| Failure::fault("challenge_unanswered", error))?;
    Ok(Challenge::Answered(challenged, answer))
}

/// Standard output is for the identity alone.
pub(crate) fn warn(attestors: &Attestors) {
    let warnings = attestors.warnings();
    if !warnings.list.is_empty() {
        // What cannot be told is not worth failing for.
        let _told = writeln!(anstream::stderr().lock(), "{}\n", warnings.render(true));
    }
}

/// The attestor called `name`, or the only one, with its name.
///
/// # Errors
/// When there is none, or several and no name.
pub(crate) fn chosen(
    attestors: &Attestors,
    name: Option<&str>,
) -> Result<(String, Arc<Attestor>), Failure> {
    let names = attestors.names();
    let listed = || {
        let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    };
    let name = match (name, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => {
            return Err(Failure::Usage(format!(
                "several attestors are configured, choose one with `--attestor`: {}",
                listed()
            )));
        }
    };
    let attestor = attestors.named(name).ok_or_else(|| {
        Failure::Usage(format!(
            "no attestor is called `{}`; configured: {}",
            printable(name),
            listed()
        ))
    })?;
    Ok((name.to_owned(), attestor))
}

/// The evidence, and the cluster it names, for messages.
fn evidence(
    arguments: &Arguments,
    name: &str,
    method: Method,
) -> Result<(RawEvidence, Option<String>), Failure> {
    if let Some(path) = &arguments.payload {
        let payload = input::evidence(path)?;
        let cluster = cluster_of(&payload);
        return Ok((RawEvidence::new(method, payload)?, cluster));
    }
    let (Some(cluster), Some(token)) = (&arguments.cluster, &arguments.token) else {
        return Err(Failure::Usage(
            "name the evidence: `--payload`, `--cluster` with `--token`, or `--certificate` with `--key`".to_owned(),
        ));
    };
    Proof::Token.suits(name, method)?;
    let token = input::evidence(token)?;
    // What is not text is no token either; the verifier says so.
    let token = String::from_utf8_lossy(&token);
    let uuid = arguments.uuid.as_deref();
    let evidence = RawEvidence::service_account_token(method, cluster, &token, uuid)?;
    Ok((evidence, Some(cluster.clone())))
}

/// The cluster that a payload names. Used in messages about evidence that was
/// verified, and nowhere else.
fn cluster_of(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        cluster: String,
    }
    let named: Named = serde_json::from_slice(payload).ok()?;
    Some(named.cluster)
}

/// For `policy run`, which has facts instead of evidence.
pub(crate) fn unnamed(error: AttestError, cluster: Option<&str>) -> Failure {
    Failure::Attest {
        error,
        cluster: cluster.map(str::to_owned),
    }
}
