//! What the tests of this package share: tokens, facts and guests to attack with.
//!
//! Nothing here is product code, and nothing here is trusted to be correct by
//! the product. Keys are made by each run, time is a number, and no test
//! sleeps: what must end is given to a [`Watchdog`].

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code; clippy's own exemption covers `#[test]` functions only"
)]

pub mod facts;
pub mod golden;
pub mod guest;
mod issuer;
mod watchdog;

pub use issuer::{Clusters, Form, Issuer, NOW, Token, at, pem};
pub use watchdog::Watchdog;

use nameplate_policy::Limits;
use std::path::PathBuf;
use std::time::Duration;

/// A path of this package.
pub fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The default limits with a deadline that no busy machine misses.
///
/// Fuel decides in the tests as it does in production; the clock behind it is
/// tested where it is the subject.
pub fn patient() -> Limits {
    Limits {
        deadline: Duration::from_secs(60),
        ..Limits::default()
    }
}
