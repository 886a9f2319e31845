//! `nameplate demo`: the main job, with nothing to set up.
//!
//! A throw-away cluster signs real tokens; everything after that is what a
//! server does: verify, derive, admit, swap. Nothing is written to disk and
//! nothing is left behind.

mod cluster;
mod hostile;
mod load;
mod tour;

use self::cluster::{Cluster, Tokens};
use self::hostile::Hostile;
use self::load::{Expected, ExpectedId, Load};
use self::tour::{Line, Tour};
use crate::failure::Failure;
use crate::report::{BAD, Exit, FAINT, GOOD, Output, grouped, millis, short};
use anyhow::{Context as _, anyhow, ensure};
use nameplate_attestor::{
    Attempt, AttestError, Attestation, Attestor, Envelope, Generation, Namespace, Naming,
};
use nameplate_evidence::{RawEvidence, TokenVerifier};
use nameplate_policy::{PolicyRequest, PolicySource, Sandbox};
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Take the tour: real tokens, three policies swapped under load, no setup
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nameplate demo
  nameplate demo --output json")]
pub(crate) struct Arguments {}

/// Runs the subcommand.
///
/// # Errors
/// When anything did not go as it must.
pub(crate) fn run(_: &Arguments, output: Output) -> Result<Exit, Failure> {
    let mut tour = Tour::new(output);
    let world = World::new(&mut tour).map_err(went_wrong)?;
    world.attests(&mut tour).map_err(went_wrong)?;
    world.swaps(&mut tour).map_err(went_wrong)?;
    world.refuses(&mut tour).map_err(went_wrong)?;
    world.contains(&mut tour).map_err(went_wrong)?;
    tour.finish()?;
    Ok(Exit::Done)
}

fn went_wrong(error: anyhow::Error) -> Failure {
    // A closed pipe is the reader's choice and no defect.
    match error.downcast::<std::io::Error>() {
        Ok(error) => Failure::Output(error),
        Err(error) => Failure::fault("demo", error),
    }
}

/// Two clusters and an attestor that trusts them.
struct World {
    sandbox: Sandbox,
    verifier: TokenVerifier,
    attestor: Attestor,
    bound: Cluster,
    legacy: Cluster,
}

impl World {
    fn new(tour: &mut Tour) -> anyhow::Result<Self> {
        let began = Instant::now();
        let bound = Cluster::new("production", Tokens::Bound)?;
        let legacy = Cluster::new("old-lab", Tokens::Legacy)?;
        let verifier = TokenVerifier::new([bound.trust()?, legacy.trust()?]);
        let took = began.elapsed();
        tour.step(
            "clusters",
            "Two throw-away clusters",
            took,
            &[
                Line::new(
                    "production",
                    "a new RSA-2048 key; its tokens are bound to pod and node, for an hour",
                ),
                Line::new(
                    "old-lab",
                    "another; its legacy tokens prove a service account and never expire",
                ),
            ],
            json!({ "clusters": ["production", "old-lab"] }),
        )?;

        let sandbox = Sandbox::new()?;
        let began = Instant::now();
        let generation = Generation::new(namespace()?, verifier.clone(), naming(&sandbox, "uuid")?);
        let took = began.elapsed();
        let label = generation.naming(None).label().to_string();
        tour.step(
            "load",
            "The policy `uuid`, loaded into its sandbox",
            took,
            &[
                Line::new(
                    "compiled",
                    format!("{label}, a WebAssembly component that imports nothing"),
                ),
                Line::new(
                    "limits",
                    "1,000,000 fuel, 4 MiB, 100 ms; a fresh instance for every attestation",
                ),
            ],
            json!({ "policy": generation.naming(None).label() }),
        )?;
        Ok(Self {
            sandbox,
            verifier,
            attestor: Attestor::new(generation),
            bound,
            legacy,
        })
    }

    /// Real tokens become identities.
    fn attests(&self, tour: &mut Tour) -> anyhow::Result<()> {
        for (title, cluster) in [
            ("A bound token, named by `uuid`", &self.bound),
            ("A legacy token, named by `uuid`", &self.legacy),
        ] {
            let evidence = cluster.token(now()?)?.evidence()?;
            let (attestation, took) = timed(|| self.attest(&evidence));
            let attestation = attestation?;
            tour.step(
                "attest",
                title,
                took,
                &identity(&attestation),
                json!({ "identity": attestation }),
            )?;
        }
        Ok(())
    }

    /// Two other policies take over while attestations keep coming.
    fn swaps(&self, tour: &mut Tour) -> anyhow::Result<()> {
        let evidence = self.bound.token(now()?)?.evidence()?;
        let below = "spiffe://example.org/spire/agent/k8s_sat/production/";
        let load = Load::default();
        load.expect(Expected {
            digest: self.attestor.policy(Some("production")).digest,
            id: ExpectedId::UuidBelow(below.to_owned()),
        });
        thread::scope(|scope| {
            scope.spawn(|| load.run(&self.attestor, &evidence));
            let swapped = self.swap_both(tour, &load, &evidence, below);
            // On every way out, or the scope would wait for ever.
            load.stop();
            swapped
        })?;
        let tally = load.tally();
        ensure!(
            tally.failed == 0 && tally.mixed == 0,
            "{} attestations failed and {} answers were mixed while policies were swapped",
            tally.failed,
            tally.mixed
        );
        Ok(())
    }

    fn swap_both(
        &self,
        tour: &mut Tour,
        load: &Load,
        evidence: &RawEvidence,
        below: &str,
    ) -> anyhow::Result<()> {
        load.wait_for(1);
        let ids = [
            ("thumbprint", self.bound.thumbprint()?),
            ("node", self.bound.node_uid().to_string()),
        ];
        for (policy, last) in ids {
            let before = load.tally();
            let (naming, loading) = timed(|| naming(&self.sandbox, policy));
            let generation = Generation::new(namespace()?, self.verifier.clone(), naming?);
            load.expect(Expected {
                digest: generation.naming(None).label().digest,
                id: ExpectedId::Exactly(format!("{below}{last}")),
            });
            let (number, swapping) = timed(|| self.attestor.swap(generation));
            load.wait_for(number);
            let during = load.tally().since(before);
            let attestation = self.attest(evidence)?;
            let mut lines = vec![name_of(&attestation), namer_of(&attestation)];
            lines.push(Line::new("loaded in", short(loading)));
            lines.push(Line::new("swapped in", short(swapping)));
            lines.push(Line::new(
                "meanwhile",
                format!(
                    "{} attestations; {GOOD}{} failed, {} answers mixed{GOOD:#}",
                    grouped(during.answered),
                    during.failed,
                    during.mixed
                ),
            ));
            tour.step(
                "swap",
                &format!("Swapped to `{policy}`, while attestations keep coming"),
                loading.saturating_add(swapping),
                &lines,
                json!({
                    "identity": attestation,
                    "load_ms": millis(loading),
                    "swap_ms": millis(swapping),
                    "meanwhile": during,
                }),
            )?;
        }
        Ok(())
    }

    /// Evidence that does not hold, and a subject that the policy won't name.
    fn refuses(&self, tour: &mut Tour) -> anyhow::Result<()> {
        let token = self.bound.token(now()?)?;
        let expired = self.bound.token(now()?.saturating_sub(7200))?;
        for (title, evidence) in [
            (
                "A token with another node written into it",
                token.tampered()?.evidence()?,
            ),
            ("A token of two hours ago", expired.evidence()?),
            (
                "A legacy token, where `node` decides",
                self.legacy.token(now()?)?.evidence()?,
            ),
        ] {
            let (answer, took) = timed(|| self.attest_at_once(&evidence));
            refusal(tour, title, answer, took)?;
        }
        Ok(())
    }

    /// Policies that mean harm get an attestor of their own, in the same sandbox.
    fn contains(&self, tour: &mut Tour) -> anyhow::Result<()> {
        let evidence = self.bound.token(now()?)?.evidence()?;
        for hostile in Hostile::ALL {
            let request = PolicyRequest::new(PolicySource::Bytes(hostile.component()?.into()));
            let naming = Naming::load(&self.sandbox, &request, Envelope::default())?;
            let attestor =
                Attestor::new(Generation::new(namespace()?, self.verifier.clone(), naming));
            let (answer, took) =
                timed(|| attestor.attest(&evidence, &Attempt::at(SystemTime::now())));
            refusal(
                tour,
                &format!("A hostile policy that {}", hostile.deed()),
                answer,
                took,
            )?;
        }
        let (attestation, took) = timed(|| self.attest(&evidence));
        let attestation = attestation.context("a hostile policy harmed its neighbour")?;
        tour.step(
            "unharmed",
            "And `node` beside them, in the same process",
            took,
            &[name_of(&attestation)],
            json!({ "identity": attestation }),
        )
    }

    fn attest(&self, evidence: &RawEvidence) -> anyhow::Result<Attestation> {
        self.attest_at_once(evidence)
            .map_err(|error| anyhow!(error.chain()))
    }

    fn attest_at_once(&self, evidence: &RawEvidence) -> Result<Attestation, AttestError> {
        self.attestor
            .attest(evidence, &Attempt::at(SystemTime::now()))
    }
}

fn refusal(
    tour: &mut Tour,
    title: &str,
    answer: Result<Attestation, AttestError>,
    took: Duration,
) -> anyhow::Result<()> {
    let Err(error) = answer else {
        return Err(anyhow!("`{title}` was given an identity"));
    };
    let (step, label) = match error.failure() {
        nameplate_attestor::Failure::Rejected => ("rejected", "rejected"),
        nameplate_attestor::Failure::Denied => ("denied", "denied"),
        nameplate_attestor::Failure::Fault => ("fault", "contained"),
    };
    tour.step(
        step,
        title,
        took,
        &[
            Line::new(label, format!("{BAD}{}{BAD:#}", error.reason())),
            Line::new("log", error.chain()),
            Line::new("peer is told", error.peer_message()),
        ],
        json!({
            "failure": error.failure(),
            "reason": error.reason(),
            "message": error.chain(),
            "peer_message": error.peer_message().to_string(),
        }),
    )
}

/// The whole identity, and who gave it.
fn identity(attestation: &Attestation) -> Vec<Line> {
    let mut lines = vec![name_of(attestation)];
    let mut label = "selectors";
    for selector in attestation.identity.selectors() {
        lines.push(Line::new(label, selector));
        label = "";
    }
    lines.push(namer_of(attestation));
    lines
}

fn name_of(attestation: &Attestation) -> Line {
    let id = attestation.identity.spiffe_id();
    Line::new("identity", format!("{GOOD}{id}{GOOD:#}"))
}

fn namer_of(attestation: &Attestation) -> Line {
    let policy = &attestation.policy;
    let fuel = grouped(attestation.fuel);
    Line::new(
        "named by",
        format!("{policy} {FAINT}with {fuel} fuel{FAINT:#}"),
    )
}

fn naming(sandbox: &Sandbox, builtin: &str) -> anyhow::Result<Naming> {
    let mut request = PolicyRequest::new(PolicySource::Builtin(builtin.to_owned()));
    // The tour counts every attestation that fails, and a machine that is busy
    // with something else is no failure of a swap.
    request.limits.deadline = Duration::from_secs(5);
    let envelope = Envelope {
        leading: vec!["{cluster}".parse()?],
        ..Envelope::default()
    };
    Ok(Naming::load(sandbox, &request, envelope)?)
}

fn namespace() -> anyhow::Result<Namespace> {
    Ok(Namespace {
        trust_domain: "example.org".parse()?,
        attestor: "k8s_sat".parse()?,
    })
}

fn now() -> anyhow::Result<u64> {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .context("this machine's clock lies before 1970")?;
    Ok(since.as_secs())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}
