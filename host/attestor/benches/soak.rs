//! A million attestations, and what they leave behind.
//!
//! Memory after them must be what it was after the first thousand.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

#[expect(dead_code, reason = "shared with the other benchmarks")]
mod support;

use nameplate_attestor::Attempt;
use support::{Signer, attestor, now, request};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let signer = Signer::rs256();
    let attestor = attestor(&signer, &request("uuid", serde_json::json!({})));
    let evidence = signer.evidence();
    let mut early = 0;
    for done in 1..=1_000_000u32 {
        attestor.attest(&evidence, &Attempt::at(now())).unwrap();
        if done == 1_000 {
            early = resident_kib();
        }
        if done % 200_000 == 0 || done == 1_000 {
            println!(
                "after {done:>9} attestations: {} KiB resident",
                resident_kib()
            );
        }
    }
    let late = resident_kib();
    println!(
        "\n| what | MiB | goal |\n|---|---|---|\n| resident after 1,000 attestations | {:.1} | |\n| resident after 1,000,000 | {:.1} | ≤ 30 |",
        f64::from(early) / 1024.0,
        f64::from(late) / 1024.0,
    );
}

/// `VmRSS` of this process.
fn resident_kib() -> u32 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap()
        .parse()
        .unwrap()
}
