//! An API server to try things with: `cluster DIRECTORY`.
//!
//! It has the pod of an agent. Into the directory go the pod's token
//! (`agent.token`, fresh every five minutes), the cluster's keys (`jwks.json`),
//! what it calls itself (`issuer`) and a kubeconfig that may review tokens
//! (`reviewer.kubeconfig`). Ends with SIGINT or SIGTERM.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example fails by panicking, and says what it does"
)]

use nameplate_peers::{Cluster, peers};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Half of what a token is good for.
const FRESH: Duration = Duration::from_secs(300);

fn main() {
    let (Some(directory), Some(bin)) = (std::env::args_os().nth(1), peers()) else {
        eprintln!(
            "usage: NAMEPLATE_PEERS=target/peers/bin cluster DIRECTORY\n\
             `tests/peers/build` makes the peers"
        );
        std::process::exit(2);
    };
    let directory = fs::canonicalize(directory).unwrap();
    println!("starting an API server in {}", directory.display());
    let cluster = Cluster::start(&fs::canonicalize(bin).unwrap(), &directory);
    let uid = cluster.pod("agent-1");
    replace(&directory.join("issuer"), &cluster.issuer());
    let token = || {
        let token = cluster.pod_token("agent-1", &uid, "spire-server");
        replace(&directory.join("agent.token"), &token);
    };
    token();
    println!("it listens at {}; end it with Ctrl-C", cluster.issuer());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked_to_end = || {
        runtime.block_on(async {
            let mut interrupted = signal(SignalKind::interrupt()).unwrap();
            let mut terminated = signal(SignalKind::terminate()).unwrap();
            tokio::select! {
                _ = interrupted.recv() => true,
                _ = terminated.recv() => true,
                () = tokio::time::sleep(FRESH) => false,
            }
        })
    };
    while !asked_to_end() {
        token();
    }
}

/// Puts `text` in place of what the file holds, whole.
fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(next, path).unwrap();
}
