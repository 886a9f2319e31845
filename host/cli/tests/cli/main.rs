//! The binary as people and programs meet it: standard output, standard
//! error, exit code.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod attest;
mod bench;
mod completions;
mod config;
mod demo;
mod evidence;
mod help;
mod inspect;
mod log;
mod network;
mod project;
mod run;
#[expect(dead_code, reason = "as much of it as is needed here")]
#[path = "../../../kubernetes/src/tests/server.rs"]
mod server;
mod spire;
mod status;
mod study;
mod support;
mod test;
mod torture;
