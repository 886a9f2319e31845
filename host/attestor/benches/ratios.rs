//! What an attestation costs, as ratios to one RS256-2048 verification with a
//! parsed key, measured in the same run. These are the numbers in the README.
//!
//! Machines are shared and noisy, so the contenders take turns in short
//! rounds, and a ratio is the median of the ratios of neighbouring rounds.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on should stop"
)]

mod support;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use nameplate_attestor::Attempt;
use nameplate_policy::{
    Circumstances, Facts, Limits, Policy, PolicyRequest, PolicySource, Sandbox,
};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use support::{Signer, attestor, now, policies, request};
use uuid::Uuid;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 41;
const ROUND: Duration = Duration::from_millis(8);

struct Contender<'a> {
    name: String,
    goal: Option<&'static str>,
    work: Box<dyn FnMut() + 'a>,
    nanos: Vec<f64>,
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches` only wants to know that it builds.
        return;
    }
    let rsa = Signer::rs256();
    let ecdsa = Signer::es256();
    let message = b"a message of no consequence";
    let signature = rsa.sign(message);
    let key = parsed(&rsa);
    let facts = facts(&rsa);
    let sandbox = Sandbox::new().unwrap();

    let mut contenders = vec![contender("one RS256-2048 verification", None, || {
        key.verify_sig(black_box(message), black_box(&signature))
            .unwrap();
    })];
    let (rsa_evidence, rsa_verifier) = (rsa.evidence(), rsa.verifier());
    contenders.push(contender("evidence, RS256", None, move || {
        black_box(rsa_verifier.verify(&rsa_evidence, now()).unwrap());
    }));
    let (ecdsa_evidence, ecdsa_verifier) = (ecdsa.evidence(), ecdsa.verifier());
    contenders.push(contender("evidence, ES256", None, move || {
        black_box(ecdsa_verifier.verify(&ecdsa_evidence, now()).unwrap());
    }));
    for (name, settings) in policies() {
        let policy = Policy::load(&sandbox, &request(name, settings)).unwrap();
        let facts = &facts;
        contenders.push(contender(
            &format!("policy `{name}`, fresh sandbox"),
            Some("≤ 0.25"),
            move || {
                black_box(policy.derive(black_box(facts)).unwrap().answer.unwrap());
            },
        ));
    }
    let native = native_facts();
    let settings = nameplate_policy_uuid::Naming::default();
    contenders.push(contender("policy `uuid` as native Rust", None, move || {
        black_box(nameplate_policy_uuid::derive(&settings, black_box(&native)).unwrap());
    }));
    for (name, settings) in policies() {
        let attestor = attestor(&rsa, &request(name, settings));
        let evidence = rsa.evidence();
        contenders.push(contender(
            &format!("attestation through `{name}`"),
            Some("≤ 1.40"),
            move || {
                black_box(attestor.attest(&evidence, &Attempt::at(now())).unwrap());
            },
        ));
    }
    measure(&mut contenders);
    report(&contenders);
    threads(&rsa);
    endless_loop(&sandbox, &facts);
}

fn contender<'a>(name: &str, goal: Option<&'static str>, work: impl FnMut() + 'a) -> Contender<'a> {
    Contender {
        name: name.to_owned(),
        goal,
        work: Box::new(work),
        nanos: Vec::new(),
    }
}

fn parsed(signer: &Signer) -> ParsedPublicKey {
    let der: Vec<u8> = {
        use base64::Engine as _;
        let pem = signer.pem();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        base64::engine::general_purpose::STANDARD
            .decode(body)
            .unwrap()
    };
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).unwrap()
}

fn facts(signer: &Signer) -> Facts {
    let verified = signer.verifier().verify(&signer.evidence(), now()).unwrap();
    let circumstances = Circumstances {
        trust_domain: "example.org".to_owned(),
        attestor: "k8s_sat".to_owned(),
        attested_at: support::NOW,
        attestation_id: Uuid::new_v4().to_string(),
    };
    Facts::new(circumstances, verified)
}

fn native_facts() -> nameplate_guest::Facts {
    nameplate_guest::testing::facts(nameplate_guest::testing::bound_token())
}

fn measure(contenders: &mut [Contender<'_>]) {
    for contender in contenders.iter_mut() {
        time(&mut contender.work, 2 * ROUND);
    }
    for _ in 0..ROUNDS {
        for contender in contenders.iter_mut() {
            let nanos = time(&mut contender.work, ROUND);
            contender.nanos.push(nanos);
        }
    }
}

/// Nanoseconds a call, over about `round`.
fn time(work: &mut dyn FnMut(), round: Duration) -> f64 {
    let start = Instant::now();
    let mut calls = 0u32;
    while start.elapsed() < round {
        for _ in 0..16 {
            work();
        }
        calls += 16;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn report(contenders: &[Contender<'_>]) {
    let base = &contenders[0].nanos;
    println!("| what | ÷ one RS256-2048 verification | goal |\n|---|---|---|");
    for contender in contenders {
        let ratios = contender
            .nanos
            .iter()
            .zip(base)
            .map(|(own, base)| own / base);
        let goal = contender.goal.unwrap_or("");
        println!(
            "| {} | {:.2} | {goal} |",
            contender.name,
            median(ratios.collect())
        );
    }
    let own = median(base.clone()) / 1000.0;
    println!("\n(one RS256-2048 verification took {own:.1} µs here)");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Attestations per second on two threads, over those on one, in turns.
fn threads(signer: &Signer) {
    let attestor = attestor(signer, &request("uuid", serde_json::json!({})));
    let rate = |threads: usize| {
        let barrier = Barrier::new(threads);
        let run = || {
            let evidence = signer.evidence();
            barrier.wait();
            let start = Instant::now();
            let mut count = 0u32;
            while start.elapsed() < Duration::from_millis(300) {
                black_box(attestor.attest(&evidence, &Attempt::at(now())).unwrap());
                count += 1;
            }
            f64::from(count) / start.elapsed().as_secs_f64()
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            running
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<f64>()
        })
    };
    let ratios: Vec<_> = (0..7)
        .map(|_| {
            let one = rate(1);
            rate(2) / one
        })
        .collect();
    println!("\n| what | ratio | goal |\n|---|---|---|");
    println!(
        "| attestations on two threads ÷ on one | {:.2} | ≥ 1.90 |",
        median(ratios)
    );
}

/// How long a policy that never returns keeps the thread.
fn endless_loop(sandbox: &Sandbox, facts: &Facts) {
    let request = PolicyRequest::new(PolicySource::Bytes(looping_component().into()));
    let policy = Policy::load(sandbox, &request).unwrap();
    let millis: Vec<_> = (0..51)
        .map(|_| {
            let start = Instant::now();
            policy.derive(facts).unwrap_err();
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    let longest = millis.iter().copied().fold(0.0, f64::max);
    let fuel = Limits::default().fuel;
    println!(
        "| an endless loop, {fuel} fuel | {:.2} ms (longest of 51: {longest:.2} ms) | ≤ 2.5 ms |",
        median(millis)
    );
}

/// A policy whose `derive` never returns.
fn looping_component() -> Vec<u8> {
    let mut core = wat::parse_str(
        r#"(module
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "nameplate:policy/naming@0.1.0#configure") (param i32 i32) (result i32)
                (i32.const 0))
            (func (export "nameplate:policy/naming@0.1.0#derive") (param i32) (result i32)
                (loop $forever (br $forever))
                unreachable))"#,
    )
    .unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    wit_component::embed_component_metadata(
        &mut core,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )
    .unwrap();
    wit_component::ComponentEncoder::default()
        .module(&core)
        .unwrap()
        .encode()
        .unwrap()
}
