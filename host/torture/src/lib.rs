//! Hostile policies and hostile evidence, against an operator's own
//! configuration.
//!
//! [`Torture`] takes a configuration and attacks it: components at each of its
//! limits, at what a policy may be and at its envelope; tokens and
//! certificates at each thing that it asks of evidence; changes of policy at its
//! gate and its rollback. An attack is made for what it meets, so that exactly
//! one thing has to stop it; where that is not what stops it, the attack
//! [works](Verdict::Works).
//!
//! # What is the operator's, and what is not
//!
//! Policies, settings, limits, envelopes, issuers, audiences, allow lists,
//! leeways, bindings, sizes and rules are the operator's. Keys are not, since
//! nobody has the private ones here: a throw-away cluster signs the tokens, a
//! throw-away authority the certificates, and an API server that would be
//! asked is one in this process. Nothing is sent anywhere.
//!
//! # The bound of reason
//!
//! An attack at a limit asks for a little more than the limit, but never for
//! more than a bound that is fixed here. Where the limit lies above that bound
//! the attack works, and is reported: a limit of a billion is effectively none.
//!
//! # The neighbour
//!
//! While the attacks run, an attestor of the configuration attests in the same
//! process and the same sandbox. Its answers have to stay what they were, and
//! how long they take is held against how long they took in peace.

pub mod component;
pub mod guests;
mod hanging;

mod attack;
mod authority;
mod chains;
mod cluster;
mod components;
mod defaults;
mod error;
mod neighbour;
mod panics;
mod swaps;
mod target;
mod tokens;
mod torture;

pub use attack::{Group, Row, Verdict};
pub use error::TortureError;
pub use neighbour::Neighbour;
pub use torture::{Listed, Report, Torture, Unnamed};
