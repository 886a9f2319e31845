//! Gives machines their SPIFFE IDs.
//!
//! stub, the architecture page follows

pub mod cases;
pub mod config;
pub mod watch;

mod attempt;
mod attestor;
mod attestors;
mod envelope;
mod error;
mod generation;
mod identity;
mod namespace;
mod naming;
mod placeholder;
mod spiffe_id;

pub use attempt::Attempt;
pub use attestor::{Attestation, Attestor};
pub use attestors::{Attestors, Reload, WatchEvent};
pub use envelope::{AdmitError, Envelope, Leading};
pub use error::{AttestError, Failure, PeerMessage, chain};
pub use generation::Generation;
pub use identity::{AgentIdentity, Selector};
pub use namespace::{AttestorName, AttestorNameError, Namespace};
pub use naming::{Naming, NamingError, PolicyLabel};
pub use placeholder::PatternError;
pub use spiffe_id::{
    MAX_ID_BYTES, MAX_TRUST_DOMAIN_BYTES, PathSegment, SpiffeId, SpiffeIdError, TrustDomain,
};
