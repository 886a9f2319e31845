//! `nameplate policy bench`: what a policy costs per attestation.
//!
//! Times of one machine say little about another, so the cost is also given
//! as a ratio to one RS256 verification, which every attestation pays for.
//! Both are measured in turns by the same threads, under the same load.

mod samples;

use self::samples::Samples;
use super::limits::LimitFlags;
use super::run::Loaded;
use super::sample;
use crate::failure::Failure;
use crate::input;
use crate::report::{self, BAD, Exit, GOOD, HEADING, NOTE, Output, grouped, millis, row, short};
use anyhow::anyhow;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use nameplate_policy::{Facts, Policy, PolicyFault};
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Derivations and verifications in one turn: about as long as each other.
const DERIVATIONS: usize = 32;
const VERIFICATIONS: usize = 8;

/// Measure what a policy costs per attestation
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The ratio is the one number to compare between machines: the median of a
derivation, in a fresh sandbox, over the median of an RS256 verification.

Examples:
  nameplate policy bench builtin:node
  nameplate policy bench my-policy.wasm --facts facts.json --seconds 5 --threads 2")]
pub(crate) struct Arguments {
    /// A component, or builtin:NAME
    policy: String,

    /// The facts to ask about; those of a bound token by default
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,

    /// Settings: a JSON object, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,

    /// How long to measure
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// How many threads ask at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,

    #[command(flatten)]
    limits: LimitFlags,
}

/// Runs the subcommand.
///
/// # Errors
/// When the policy cannot be loaded or gives no answer.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let settings = input::settings(arguments.settings.as_deref())?;
    let facts = match &arguments.facts {
        Some(path) => input::facts(path)?,
        None => sample::facts(),
    };
    let began = Instant::now();
    let Loaded { policy, label } = Loaded::load(&arguments.policy, settings, &arguments.limits)?;
    let loaded = began.elapsed();
    let faulty = |fault: PolicyFault| {
        let reason = fault.reason();
        Failure::fault(
            reason,
            anyhow::Error::new(fault).context("there is nothing to measure"),
        )
    };
    let verdict = policy.derive(&facts).map_err(faulty)?;
    let reference = Reference::new()?;

    if std::io::stderr().is_terminal() {
        let threads = arguments.threads;
        report::progress(&format!(
            "measuring for {} s on {threads} threads …",
            arguments.seconds
        ));
    }
    let until = Duration::from_secs(arguments.seconds);
    let measured = measure(&policy, &facts, &reference, arguments.threads, until)?;
    let ratio =
        measured.derivations.median().as_secs_f64() / measured.verifications.median().as_secs_f64();

    let answer = match &verdict.answer {
        Ok(_) => "an identity".to_owned(),
        Err(denial) => format!("denied ({})", denial.code),
    };
    let document = json!({
        "policy": label,
        "answer": match &verdict.answer { Ok(_) => "identity", Err(_) => "denied" },
        "load_ms": millis(loaded),
        "threads": arguments.threads,
        "seconds": measured.took.as_secs_f64(),
        "derive": measured.derivations.document(),
        "fuel": verdict.fuel,
        "rs256_verify": measured.verifications.document(),
        "ratio": ratio,
        "debug_build": cfg!(debug_assertions),
    });
    output.answer(&document, |out| {
        writeln!(out, "{HEADING}{label}{HEADING:#}, {answer}\n")?;
        row(out, "loads in", short(loaded))?;
        row(out, "derive", &measured.derivations)?;
        row(out, "fuel", grouped(verdict.fuel))?;
        row(out, "RS256 verify", &measured.verifications)?;
        let style = match ratio {
            r if r <= 0.25 => GOOD,
            r if r <= 1.0 => NOTE,
            _ => BAD,
        };
        row(
            out,
            "ratio",
            format_args!("{style}{ratio:.3}{style:#} of one RS256-2048 verification"),
        )?;
        if cfg!(debug_assertions) {
            row(
                out,
                "note",
                "a debug build: the host's own part is slower than it will be",
            )?;
        }
        let each = measured.took.as_secs_f64().max(f64::EPSILON);
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        let rate = measured.derivations.count() as f64 / each;
        row(
            out,
            "asked",
            format_args!(
                "{} times, {rate:.0} a second beside the verifications",
                grouped(measured.derivations.count())
            ),
        )
    })?;
    Ok(Exit::Done)
}

struct Measured {
    derivations: Samples,
    verifications: Samples,
    took: Duration,
}

fn measure(
    policy: &Policy,
    facts: &Facts,
    reference: &Reference,
    threads: u8,
    duration: Duration,
) -> Result<Measured, Failure> {
    let began = Instant::now();
    let until = began + duration;
    let turns = || -> Result<(Samples, Samples), Failure> {
        let mut derivations = Samples::default();
        let mut verifications = Samples::default();
        while Instant::now() < until {
            for _ in 0..DERIVATIONS {
                let began = Instant::now();
                let verdict = policy.derive(facts);
                derivations.push(began.elapsed());
                verdict.map_err(|fault| Failure::fault(fault.reason(), fault))?;
            }
            for _ in 0..VERIFICATIONS {
                let began = Instant::now();
                let verified = reference.verify();
                verifications.push(began.elapsed());
                verified?;
            }
        }
        Ok((derivations, verifications))
    };
    let results: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(turns)).collect();
        running
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    let mut measured = Measured {
        derivations: Samples::default(),
        verifications: Samples::default(),
        took: began.elapsed(),
    };
    for result in results {
        let (derivations, verifications) = result.map_err(|_panic| {
            Failure::fault("bench", anyhow!("a measuring thread ended early"))
        })??;
        measured.derivations.absorb(derivations);
        measured.verifications.absorb(verifications);
    }
    Ok(measured)
}

/// One RS256-2048 verification with a parsed key, of a message as long as a
/// usual bound token.
struct Reference {
    key: ParsedPublicKey,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Reference {
    fn new() -> Result<Self, Failure> {
        let no_key = |what: &'static str| {
            Failure::fault(
                "reference",
                anyhow!("the reference key could not be {what}"),
            )
        };
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_opaque| no_key("made"))?;
        let message = vec![b'x'; 1200];
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            &message,
            &mut signature,
        )
        .map_err(|_opaque| no_key("used"))?;
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .map_err(|_opaque| no_key("parsed"))?;
        Ok(Self {
            key,
            message,
            signature,
        })
    }

    fn verify(&self) -> Result<(), Failure> {
        self.key
            .verify_sig(&self.message, &self.signature)
            .map_err(|_opaque| {
                Failure::fault(
                    "reference",
                    anyhow!("the reference signature does not verify"),
                )
            })
    }
}
