//! Gives machines their SPIFFE IDs: evidence in, identity out, named by a
//! policy that an operator can swap.
//!
//! A native host proves what a machine is; a sandboxed WebAssembly component
//! decides what it is called. This is the crate to embed, and this page is
//! the architecture.
//!
//! # The four trust steps
//!
//! ```text
//! RawEvidence ──verify──▶ VerifiedEvidence ──facts──▶ policy ──derive──▶ Derivation ──admit──▶ AgentIdentity
//!   untrusted               proven by us              sandbox            untrusted again       ours
//! ```
//!
//! 1. [`RawEvidence`](evidence::RawEvidence): bounded bytes, tagged with the
//!    method that the peer declared. Parsing never trusts.
//! 2. [`VerifiedEvidence`](evidence::VerifiedEvidence): only a verifier makes
//!    one. Time is an argument. There is one parse, so a policy sees nothing
//!    but what was verified.
//! 3. [`Policy`](policy::Policy): gets [`Facts`](policy::Facts) and settings.
//!    It never gets the token, a key, a clock, a random source, a file or a
//!    socket: it imports nothing, and what imports is refused before it is
//!    compiled.
//! 4. [`Derivation`](policy::Derivation): a guest's answer, so foreign input
//!    again. [`Envelope::admit`] turns it into an [`AgentIdentity`] or
//!    refuses. There is no way round it.
//!
//! [`Attestor::step`] is those steps under each other, in one function. A
//! certificate is proven in two: the first time it returns a challenge, the
//! second time it takes the answer.
//!
//! # Six types
//!
//! | type | what it is |
//! |---|---|
//! | [`Attestor`] | an evidence method under a name; share it between threads |
//! | [`Generation`] | everything a decision depends on: trust, policies, envelopes; replaced whole |
//! | [`Naming`] | a loaded policy in its envelope |
//! | [`Envelope`] | what the operator allows any policy to answer |
//! | [`AgentIdentity`] | an admitted SPIFFE ID and its selectors |
//! | [`AttestError`] | why there is none: *rejected*, *denied* or *fault* |
//!
//! [`Succession`] is how the generations of an attestor follow each other: what
//! a new one has to pass, and what serves when it fails. [`Attestors`] reads
//! all of it from a configuration file and keeps it up to
//! date; [`config`] is that file's meaning, [`watch`] notices its changes,
//! [`cases`] are a policy's tests of itself, and [`study`] finds out by asking
//! what a policy does.
//!
//! # From bytes to identity
//!
//! ```no_run
#![doc = include_str!("../examples/embed.rs")]
//! ```
//!
//! # Why it is built like this
//!
//! **A fresh instance for each decision.** Nothing that one machine's evidence
//! wrote can touch the next one's identity. What it costs is met by making
//! instances cheap: settings are taken once and the memory they leave is kept
//! as the starting point.
//!
//! **Fuel decides, the clock only guards.** Equal component, settings and
//! facts give equal answers and equal fuel on every machine and under any
//! load; a decision can be made again later and compared. The clock and the
//! one-time identifier are facts ([`Attempt`]), not imports.
//!
//! **The unit of change is whole.** Digest, settings, envelope, limits and
//! trust change together. A candidate is loaded, configured and put through
//! its own cases before it serves; if anything fails, what served goes on,
//! and the [`Problems`](config::Problems) say why and where.
//!
//! **The host writes all but the path.** A policy returns path segments and
//! selector values. A wrong trust domain, another attestor's namespace or the
//! server's own ID cannot be expressed, and under a fact's key only the proven
//! value is admitted.
//!
//! **Two audiences.** A peer is told a reason code and a fixed sentence
//! ([`AttestError::peer_message`]), the operator reads the chain
//! ([`AttestError::chain`]).

pub mod cases;
pub mod config;
pub mod study;
pub mod watch;

mod agent;
mod attempt;
mod attestor;
mod attestors;
mod collisions;
mod envelope;
mod error;
mod fact;
mod fact_selectors;
mod first_use;
mod generation;
mod holders;
mod identity;
mod namespace;
mod naming;
mod namings;
mod placeholder;
mod places;
mod probation;
mod record;
mod selector_pattern;
mod shadow;
mod spiffe_id;
mod step;
mod subject_key;
mod succession;
mod token_method;

pub use nameplate_decisions as decisions;
pub use nameplate_evidence as evidence;
pub use nameplate_files::DirectoryCheck;
pub use nameplate_kubernetes as kubernetes;
pub use nameplate_policy as policy;

pub use agent::{
    AgentConfig, CertificateFiles, CertificateFilesError, Credential, CredentialError,
    KeyDirectory, KeyDirectoryError, MAX_SOCKET_BYTES, MAX_TOKEN_FILE_BYTES, NodeCertificate,
    NodeCertificateError, NodeLog, NodeProgress, NodeSurroundings, OpenRequest, SvidEndpoint,
    SvidEndpointError, SvidError, SvidSource, TokenFileError, TokenSource,
};
pub use attempt::Attempt;
pub use attestor::{Attestation, Attestor};
pub use attestors::{Attestors, Reload, WatchEvent};
pub use collisions::{Collisions, HolderNotice, IdentityCollision};
pub use envelope::{AdmitError, Envelope, FalseFacts, Leading};
pub use error::{AttestError, Failure, PeerMessage, chain};
pub use fact::{FactPointer, NoSuchFact};
pub use first_use::{KnownAgents, KnownAgentsError, MAX_USED_TOKENS, UsedTokenError};
pub use generation::Generation;
pub use holders::{
    CACHE_BYTES, Claim, Holder, Holders, HoldersError, HoldersLimits, HoldersStatus, Inheritance,
    OnCollision, RELEASE_HOLDS, ReleaseError, release,
};
pub use identity::{AgentIdentity, Selector};
pub use namespace::{AttestorName, AttestorNameError, Namespace};
pub use naming::{Naming, NamingError, PolicyLabel};
pub use placeholder::{PatternError, UnknownPlaceholder};
pub use places::{Place, PlaceLimits, Places, Queue, QueueFull};
pub use probation::FaultRate;
pub use selector_pattern::{SelectorPattern, SelectorPatternError};
pub use shadow::{Difference, QUEUE as SHADOW_QUEUE, Shadow, ShadowStatus};
pub use spiffe_id::{
    MAX_ID_BYTES, MAX_TRUST_DOMAIN_BYTES, PathSegment, SpiffeId, SpiffeIdError, TrustDomain,
};
pub use step::{Challenged, Presented, Step};
pub use subject_key::{SaidBy, SubjectKey, SubjectKeys, SubjectKeysError};
pub use succession::{
    Candidate, Change, Observer, PolicyStatus, Prepared, ProbationStatus, Refused, RefusedBy,
    Rejection, Serving, StateError, Status, Succession, SuspendedServer, Unobserved, Why,
    judge_over,
};
pub use token_method::TokenMethod;
