//! Each step of an attestation on its own, with criterion's statistics.
//!
//! For comparing two versions of the code. The ratios in the README come
//! from `ratios`.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use nameplate_attestor::Attempt;
use nameplate_policy::{Circumstances, Facts, Policy, Sandbox};
use std::hint::black_box;
use support::{Signer, attestor, now, policies, request};
use uuid::Uuid;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn verify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify");
    for (name, signer) in [("RS256", Signer::rs256()), ("ES256", Signer::es256())] {
        let (evidence, verifier) = (signer.evidence(), signer.verifier());
        group.bench_function(name, |bencher| {
            bencher.iter(|| verifier.verify(black_box(&evidence), now()).unwrap());
        });
    }
}

fn derive(criterion: &mut Criterion) {
    let signer = Signer::rs256();
    let verified = signer.verifier().verify(&signer.evidence(), now()).unwrap();
    let circumstances = Circumstances {
        trust_domain: "example.org".to_owned(),
        attestor: "k8s_sat".to_owned(),
        attested_at: support::NOW,
        attestation_id: Uuid::new_v4().to_string(),
    };
    let facts = Facts::new(circumstances, verified);
    let sandbox = Sandbox::new().unwrap();
    let mut group = criterion.benchmark_group("derive");
    for (name, settings) in policies() {
        let policy = Policy::load(&sandbox, &request(name, settings)).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| policy.derive(black_box(&facts)).unwrap());
        });
    }
}

fn attest(criterion: &mut Criterion) {
    let signer = Signer::rs256();
    let mut group = criterion.benchmark_group("attest");
    for (name, settings) in policies() {
        let attestor = attestor(&signer, &request(name, settings));
        let evidence = signer.evidence();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                attestor
                    .attest(black_box(&evidence), &Attempt::at(now()))
                    .unwrap()
            });
        });
    }
}

criterion_group!(benches, verify, derive, attest);
criterion_main!(benches);
