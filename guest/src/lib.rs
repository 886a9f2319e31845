//! What a naming policy is written against.
//!
//! A Nameplate host proves what a machine is. A *policy* decides what it is
//! called: the path of its SPIFFE ID and its selectors. A policy is one
//! function from [`Facts`] to a [`Derivation`] or a [`Denial`], and one macro
//! line that makes a WebAssembly component of it:
//!
//! ```
//! use nameplate_guest::{Denial, Derivation, Facts, Settings, Subject, selectors};
//! use serde::Deserialize;
//!
//! /// What an operator may set.
//! #[derive(Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Naming {
//!     /// First segment under the cluster.
//!     kind: String,
//!     /// Which of the usual selectors to give out.
//!     selectors: selectors::Keep,
//! }
//!
//! impl Default for Naming {
//!     fn default() -> Self {
//!         Self { kind: "worker".into(), selectors: selectors::Keep::default() }
//!     }
//! }
//!
//! impl Settings for Naming {}
//!
//! fn derive(settings: &Naming, facts: &Facts) -> Result<Derivation, Denial> {
//!     let Subject::ServiceAccount(account) = &facts.subject else {
//!         return Err(Denial::new("needs-service-account", "only service accounts have a name here"));
//!     };
//!     let Some(node) = &account.node else {
//!         return Err(Denial::new("no-node", "the token is not bound to a node"));
//!     };
//!     Ok(Derivation {
//!         path: vec![account.cluster.clone(), settings.kind.clone(), node.name.clone()],
//!         selectors: selectors::kubernetes(facts, &settings.selectors),
//!     })
//! }
//!
//! nameplate_guest::export!(derive, settings = Naming);
//!
//! // On the host a policy is a plain function, and is tested as one.
//! let facts = nameplate_guest::testing::facts(nameplate_guest::testing::bound_token());
//! let name = derive(&Naming::default(), &facts).unwrap();
//! assert_eq!(name.path, ["production", "worker", "node-7"]);
//! assert_eq!(name.selectors[0], "cluster:production");
//! ```
//!
//! `nameplate policy new NAME` writes such a project, `nameplate policy build`
//! compiles it to a component and `nameplate policy test` runs its cases.
//!
//! # What a policy can rely on
//!
//! - Everything under [`Facts::subject`] was proven by the host. The one value
//!   that was not says so in its name: [`Facts::claimed_id`].
//! - What was not proven is `None`, never an empty string.
//! - Settings arrive once, before the first question. Each question is asked
//!   in a fresh instance that starts from there: nothing a policy stores while
//!   deriving reaches another machine's name.
//!
//! # What a host relies on a policy for
//!
//! Nothing. The answer is foreign input to the host, which admits it into the
//! operator's envelope or refuses it. Equal settings and facts must give equal
//! answers; there is neither a clock nor a random source to break that with,
//! and [`Facts::attested_at`] and [`Facts::attestation_id`] are there for the
//! policies that want either.
//!
//! # Cost
//!
//! A fresh instance per question is cheap while the component is small: one
//! page of memory (64 KiB) that does not grow while deriving. The allocator of
//! this crate (feature `allocator`, on by default) hands out the rest of the
//! first page before it asks for another; `nameplate policy build` sets the
//! stack to 16 KiB. Prefer concatenating strings to `format!`, which brings
//! its own machinery along.

// The generated bindings name this crate by its own name.
extern crate self as nameplate_guest;

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
#[doc(hidden)]
pub mod bindings;
mod export;
pub mod selectors;
mod settings;
pub mod testing;

pub use bindings::exports::nameplate::policy::naming::{
    AlternativeName, Authority, Certificate, Denial, Derivation, DistinguishedName, Facts, KeyKind,
    Label, Node, Pod, Problem, Requester, ServiceAccount, Subject,
};
pub use settings::Settings;
#[doc(hidden)]
pub use settings::{none, parse};

impl Denial {
    /// A denial with a stable `code` (`a`-`z`, `0`-`9`, `-`; at most 64
    /// characters) and one sentence for the operator's log.
    #[must_use]
    pub fn new(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            detail: detail.into(),
        }
    }
}

impl Problem {
    /// A problem with the setting at `pointer`, a JSON Pointer (RFC 6901) into
    /// the settings; empty for the settings as a whole.
    #[must_use]
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

impl From<ServiceAccount> for Subject {
    fn from(account: ServiceAccount) -> Self {
        Self::ServiceAccount(account)
    }
}

impl From<Certificate> for Subject {
    fn from(certificate: Certificate) -> Self {
        Self::Certificate(certificate)
    }
}
