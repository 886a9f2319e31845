//! Real peers on one machine: an API server and a SPIRE, started and ended by
//! a test. Nothing here is a fake but the kubelet, which there is none of: pods
//! are objects, and their tokens are asked for by the test.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking"
)]

mod certificate_requests;
mod kubernetes;
mod process;
mod spire;

pub use certificate_requests::Signed;
pub use kubernetes::Cluster;
pub use process::{Running, eventually, kill, processes};
pub use spire::{AGENT_TTL, Agent, Spire, SpireAgent};

use std::path::PathBuf;

/// Where `tests/peers/build` put the peers, by `NAMEPLATE_PEERS`; none where
/// the suite is to be left out.
#[must_use]
pub fn peers() -> Option<PathBuf> {
    let directory = std::env::var_os("NAMEPLATE_PEERS").map(PathBuf::from);
    assert!(
        directory.is_some() || std::env::var_os("NAMEPLATE_REQUIRE_PEERS").is_none(),
        "NAMEPLATE_REQUIRE_PEERS is set and NAMEPLATE_PEERS is not"
    );
    directory
}

/// The binary that SPIRE loads: the one of this build, or what
/// `NAMEPLATE_BINARY` names, such as one for SPIRE's images.
#[must_use]
pub fn nameplate() -> PathBuf {
    let named = std::env::var_os("NAMEPLATE_BINARY").map(PathBuf::from);
    let binary = named.unwrap_or_else(|| {
        let test = std::env::current_exe().unwrap();
        test.parent().unwrap().parent().unwrap().join("nameplate")
    });
    assert!(
        binary.is_file(),
        "{} is not built: cargo build --workspace",
        binary.display()
    );
    binary
}
