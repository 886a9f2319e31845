//! Asks Kubernetes API servers, and whoever publishes a cluster's keys.
//!
//! The evidence room decides and has no network; this room has the network and
//! decides nothing. It implements the two traits the evidence room asks
//! through:
//!
//! | type | is a | talks to |
//! |---|---|---|
//! | [`ApiServer`] | [`ClusterApi`](nameplate_evidence::ClusterApi) | an API server, found by [`Access`] |
//! | [`PublishedKeys`] | [`KeySource`](nameplate_evidence::KeySource) | a JWK Set, named or found by OIDC discovery |
//!
//! For the side of a node, an [`ApiServer`] takes [`CertificateRequests`] too.
//!
//! ```no_run
//! # use std::{error::Error, time::{Duration, Instant}};
//! use nameplate_evidence::{ClusterApi, Patience};
//! use nameplate_kubernetes::{Access, ApiServer};
//!
//! # fn example(token: &str) -> Result<(), Box<dyn Error>> {
//! let server = ApiServer::new(Access::Kubeconfig("reviewer.kubeconfig".into()))?;
//! let patience = Patience::until(Instant::now() + Duration::from_secs(5));
//! let review = server.review(token, &["spire-server".to_owned()], &patience)?;
//! println!("{}", review.authenticated);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds for every request
//!
//! - **https only, to the host that was configured.** No redirect is followed,
//!   and neither `HTTPS_PROXY` nor its relatives are looked at: a token goes to
//!   no one but the one the operator named. A kubeconfig whose current cluster
//!   asks for a proxy, for plain http or for `insecure-skip-tls-verify` is
//!   refused; what its other entries say does not count.
//! - **Bounded.** Of an answer at most [`MAX_ANSWER_BYTES`] are read. A request
//!   ends with the caller's patience. One for a cluster also ends after
//!   [`API_TIMEOUT`], or what [`ApiServer::with_timeout`] says. A fetch of keys
//!   ends after 10 s; a verification with keys that are due waits 5 s for it.
//! - **Suspended.** An API server that is asked for a cluster and gives no
//!   answer five times in a row is suspended, for 5 s at first and for 30 s at
//!   most, until a call that tries it is answered
//!   ([`ClusterApi::status`](nameplate_evidence::ClusterApi::status)).
//! - **Asked once.** Nothing is tried again, but for one second try with
//!   credentials read anew after an API server answered 401.
//! - **Quiet.** A token stands in no error, no log and no `Debug`. From an
//!   answer that is an error, only the `message` of a Kubernetes `Status` is
//!   repeated: at most 256 characters of printable ASCII, with whatever is
//!   part of the token in question, or looks like any token, cut out.
//!
//! # Threads
//!
//! Callers block. The requests, and the fetches of keys ahead of demand, run on
//! two threads of this room's own, which the first of them starts. So a caller
//! may be any thread: a plain one, or one that belongs to another async runtime
//! (which it then holds up).

mod access;
mod answer;
mod api_server;
mod breaker;
mod certificate_requests;
mod credential;
mod exec;
mod file;
mod kubeconfig;
mod location;
mod name;
mod objects;
mod origin;
mod published;
mod shared;
#[cfg(test)]
mod tests;
mod waiting;
mod words;
mod yaml;

pub use access::{Access, Environment};
pub use answer::MAX_ANSWER_BYTES;
pub use api_server::{API_TIMEOUT, ApiServer};
pub use certificate_requests::{
    CertificateRequests, NewRequest, NotIssued, RequestState, Requested, StillWaiting, Verdict,
};
pub use location::{KeyLocation, Published};
pub use published::PublishedKeys;
