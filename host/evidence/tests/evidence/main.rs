//! Real tokens, minted here, against real key files.
//!
//! Every check has a twin: evidence that passes, and the same with one thing
//! wrong and the exact refusal. Keys are made by the test run, time is a
//! number.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code; clippy's own exemption covers `#[test]` functions only"
)]

mod asked;
mod certificates;
mod hostile;
mod jwks;
mod mutation;
mod pem;
mod refusals;
mod reviewed;
mod signatures;
mod support;
