//! What a decision log costs those who attest, and what it costs to make its
//! decisions again: ratios, measured in the same run.
//!
//! `cargo bench --bench decision_log -- 100000` replays fewer decisions than
//! the million that is the default.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on should stop"
)]

#[expect(dead_code, reason = "shared with the other benchmarks")]
mod support;

use nameplate_attestor::decisions::{DecisionLog, Entry, Flush, Options, Reader, Verification};
use nameplate_attestor::study::{Replay, Replayer};
use nameplate_attestor::{Attempt, Attestor, Envelope, Generation, Naming};
use nameplate_evidence::RawEvidence;
use nameplate_policy::Sandbox;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Signer, now, request};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 41;
const ROUND: Duration = Duration::from_millis(25);
const DECISIONS: u64 = 1_000_000;
const THREADS: usize = 2;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if !arguments.any(|argument| argument == "--bench") {
        // `cargo test --benches` only wants to know that it builds.
        return;
    }
    let decisions = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(DECISIONS);
    let signer = Signer::rs256();
    println!("| what | ratio | goal |\n|---|---|---|");
    logging(&signer);
    replaying(&signer, decisions);
}

fn generation(signer: &Signer) -> Generation {
    let request = request("uuid", serde_json::json!({}));
    let naming = Naming::load(&Sandbox::new().unwrap(), &request, Envelope::default()).unwrap();
    let namespace = nameplate_attestor::Namespace {
        trust_domain: "example.org".parse().unwrap(),
        attestor: "k8s_sat".parse().unwrap(),
    };
    Generation::new(namespace, signer.verifier(), naming)
}

/// One attestation with a log over one without, in turns.
fn logging(signer: &Signer) {
    let evidence = signer.evidence();
    let without = Attestor::new(generation(signer));
    for flush in [
        Flush::Interval(Duration::from_secs(1)),
        Flush::Os,
        Flush::Each,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            flush,
            ..Options::new(dir.path().to_owned())
        };
        let log = DecisionLog::open(options).unwrap();
        let with = Attestor::new(generation(signer).recorded_in(log));
        let ratios = (0..ROUNDS)
            .map(|_| {
                let off = time(&without, &evidence);
                time(&with, &evidence) / off
            })
            .collect();
        let (policy, goal) = match flush {
            Flush::Interval(_) => ("`interval`, the default", "≤ 1.10"),
            Flush::Os => ("`os`", ""),
            Flush::Each => ("`each`, one thread", ""),
        };
        let ratio = median(ratios);
        println!(
            "| an attestation that is logged, flush {policy} ÷ one that is not | {ratio:.2} | {goal} |"
        );
        assert_eq!(with.decision_log().unwrap().lost, 0);
    }
}

/// Nanoseconds an attestation, over about a round.
fn time(attestor: &Attestor, evidence: &RawEvidence) -> f64 {
    let start = Instant::now();
    let mut calls = 0u32;
    while start.elapsed() < ROUND {
        black_box(attestor.attest(evidence, &Attempt::at(now())).unwrap());
        calls += 1;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// Replaying a long log over deriving as many names, on as many threads.
fn replaying(signer: &Signer, decisions: u64) {
    let dir = tempfile::tempdir().unwrap();
    write(signer, dir.path(), decisions);
    let one = Reader::open(dir.path()).unwrap().decisions().next();
    let facts = one.unwrap().unwrap().decision.facts.unwrap();
    let policy = nameplate_policy::Policy::load(
        &Sandbox::new().unwrap(),
        &request("uuid", serde_json::json!({})),
    )
    .unwrap();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..decisions / THREADS as u64 {
                    black_box(policy.derive(black_box(&facts)).unwrap());
                }
            });
        }
    });
    let derived = start.elapsed();

    // The log was written in this process: its own peak must not hide this one.
    reset_peak();
    let before = peak();
    let start = Instant::now();
    let replay = Replay::of(
        &Replayer::new(Sandbox::new().unwrap()),
        Reader::open(dir.path()).unwrap(),
        NonZeroUsize::new(THREADS).unwrap(),
        |_| {},
        |_| {},
    );
    let replayed = start.elapsed();
    assert_eq!((replay.same, replay.holds()), (decisions, true));
    let grown = peak().saturating_sub(before);
    let start = Instant::now();
    let verification = Verification::of(dir.path(), Vec::new(), None, |_, _| {}).unwrap();
    let verified = start.elapsed();
    assert!(verification.holds());

    let over = |time: Duration| time.as_secs_f64() / derived.as_secs_f64();
    println!(
        "| replaying {decisions} decisions ÷ deriving them, {THREADS} threads each | {:.2} | |",
        over(replayed)
    );
    println!(
        "| verifying their chain on one thread ÷ deriving them on {THREADS} | {:.2} | |",
        over(verified)
    );
    println!(
        "\n(memory grew by {grown} KiB while {decisions} decisions were replayed; replaying took {:.1} s here)",
        replayed.as_secs_f64()
    );
}

/// A log of so many decisions that were made.
fn write(signer: &Signer, directory: &Path, decisions: u64) {
    let log = DecisionLog::open(Options::new(directory.to_owned())).unwrap();
    let attestor = Attestor::new(generation(signer).recorded_in(log.clone()));
    let evidence = signer.evidence();
    attestor.attest(&evidence, &Attempt::at(now())).unwrap();
    // Written out, so that it can be read here.
    while log.status().recorded < 1 {
        std::thread::yield_now();
    }
    let one = Reader::open(directory).unwrap().decisions().next();
    let one = one.unwrap().unwrap();
    let naming = one.naming.unwrap();
    let mut recorded = 1;
    while recorded < decisions {
        let entry = Entry {
            time: one.time,
            decision: (*one.decision).clone(),
            naming: Some(naming.clone()),
            unproven: None,
        };
        // A full queue is the writer's to empty.
        match log.record(entry) {
            Ok(()) => recorded += 1,
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// The peak is from now on what there is now.
fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// The most memory that the process has had since, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    words[1].parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
