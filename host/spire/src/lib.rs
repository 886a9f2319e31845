//! Nameplate as an external plugin of SPIRE.
//!
//! An unmodified spire-server or spire-agent starts this process and speaks go-plugin's
//! protocol, version 1, with it: a line on standard output that says where
//! the plugin listens, then gRPC over a Unix socket. This room is that
//! protocol and nothing else. What a piece of evidence proves, and what its
//! subject is called, [`nameplate_attestor`] decides.
//!
//! | who | asks | answered by |
//! |---|---|---|
//! | go-plugin | `GRPCBroker`, `GRPCController`, `GRPCStdio`, health | `launch` |
//! | SPIRE's catalog | `Init`, `Deinit`, `Configure`, `Validate` | `catalog` |
//! | spire-server, for an agent | `NodeAttestor/Attest` | `attest` |
//! | spire-agent, for its node | `NodeAttestor/AidAttestation` | `aid` |
//! | this plugin, of SPIRE | `AgentStore`, `IdentityProvider`, `Metrics` | SPIRE (`host_services`) |
//! | this plugin, for its node | the SPIFFE Workload API | another SPIRE's agent (`workload_api`) |
//!
//! # What holds
//!
//! - **The peer is told a code and one fixed sentence.** The chain of causes
//!   goes to SPIRE's log, and no token is part of either.
//! - **Nothing waits for ever.** A stream has deadlines for its first message,
//!   for the answer to a challenge and for the whole ([`AttestLimits`]); of those at work at once there
//!   is a limit, and what exceeds the queue before it is refused at once.
//! - **Nobody waits for another cluster's API server.** Attestations that ask
//!   nobody, and those of each cluster that waits for others, queue apart; a
//!   server that does not answer is suspended for a while.
//! - **A panic is one line in SPIRE's log.** SPIRE never starts a plugin anew,
//!   so the process goes on.
//! - **A new configuration serves whole or not at all**, and so does a policy
//!   file that changed.

mod aid;
mod api_servers;
mod attest;
mod catalog;
mod decision_log;
mod dial;
mod followed_keys;
mod generations;
mod host_services;
mod launch;
mod log;
mod metrics;
mod node_log;
pub mod proto;
mod serving;
mod workload_api;

pub use attest::AttestLimits;
pub use launch::{AgentPlugin, LaunchError, Plugin, ServerPlugin, serve};
