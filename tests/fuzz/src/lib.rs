//! What is asserted of every parser of foreign bytes.
//!
//! Each [`Target`] takes any bytes and panics where a property does not hold:
//! not only that there is no panic, but that what is accepted is what the
//! bytes say, and that what is refused is refused in words fit for a log.
//!
//! `tests/fuzz/run` has libFuzzer look for bytes that break one;
//! `tests/corpus.rs` puts the seeds, and some thousand changes of them, through
//! each target in every `cargo test`.
//!
//! Seeds are in `corpus/<target>/`, written by `BLESS=1` from tokens and
//! certificates of issuers whose keys are thrown away; `keys/` has what
//! verifies them. The verifiers here trust those files, and nothing else does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code; clippy's own exemption covers `#[test]` functions only"
)]

mod bomb;
mod certificates;
mod component;
mod configuration;
mod decision_log;
mod keys;
mod names;
mod tokens;

use std::error::Error;
use std::path::PathBuf;

pub use bomb::{composed, outcome};
pub use certificates::{NONCE, certificate_verifier};
pub use tokens::{CLUSTER, claims_of, token_verifier};

/// A parser, and what is asserted of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name; that of its folder in `corpus/`.
    pub name: &'static str,
    /// Puts bytes through it.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 17] = [
    target("evidence", tokens::evidence),
    target("claims", tokens::claims),
    target("jwks", keys::jwks),
    target("pem", keys::pem),
    target("chain", certificates::chain),
    target("challenge", certificates::challenge),
    target("response", certificates::response),
    target("toml", configuration::toml),
    target("hcl", configuration::hcl),
    target("agent_hcl", configuration::agent_hcl),
    target("settings", configuration::settings),
    target("spiffe_id", names::spiffe_id),
    target("words", names::words),
    target("admit", names::admit),
    target("component", component::component),
    target("bomb", bomb::bomb),
    target("decision_log", decision_log::decision_log),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// A path of this package.
pub fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// What a log may show of a refusal: no line that a peer began, nothing that a
/// terminal acts on.
fn fit_to_show(error: &dyn Error) {
    let shown = nameplate_attestor::chain(error);
    assert!(!shown.is_empty());
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    assert!(shown.len() < 4096, "{} bytes of error", shown.len());
}
