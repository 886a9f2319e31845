//! The sandbox: loads a naming policy and asks it for a name.
//!
//! A policy is a WebAssembly component written by somebody the host has no
//! reason to trust. This crate is the only one that knows wasmtime, and what
//! it gives out is bounded but still a stranger's word: a [`Derivation`]
//! becomes an identity only in the attestor's envelope.
//!
//! | step | what is bounded | where |
//! |---|---|---|
//! | read | bytes, digest | [`PolicySource::read`] |
//! | before compiling | functions, their size, nesting, locals; imports and exports | `structure`, [`Interface`] |
//! | instantiate, start functions | fuel, epoch, memory, tables, instances, stack | `instance` |
//! | `configure`, `derive`, `realloc` | the same | `instance` |
//! | taking the answer | bytes lifted | [`Limits::lifted_bytes`] |
//!
//! All of it is [`Limits`]. Whatever a policy does ends in a [`Verdict`] or a
//! [`PolicyFault`]; it never ends the process.

mod bindings;
mod builtin;
mod contract;
mod derivation;
mod digest;
mod error;
mod facts;
mod instance;
mod limits;
mod lower;
mod manifest;
mod policy;
mod sandbox;
mod segments;
mod snapshot;
mod source;
mod structure;
mod trial;

pub use builtin::{BUILTINS, Builtin};
pub use contract::{CONTRACT_VERSION, ContractError, Interface};
pub use derivation::{Denial, Derivation, SettingProblem, Verdict};
pub use digest::{Digest, DigestError};
pub use error::{LoadError, PolicyFault};
pub use facts::{Circumstances, Facts};
pub use limits::Limits;
pub use manifest::{
    CASES_SECTION, DENIALS_SECTION, Manifest, SETTINGS_SCHEMA_SECTION, SUBJECT_KEYS_SECTION,
};
pub use policy::{Policy, PolicyRequest, Start};
pub use sandbox::{Backend, EngineIdentity, Sandbox, SandboxError};
pub use source::PolicySource;
pub use structure::StructureError;
pub use trial::{Trial, TrialAnswer};
