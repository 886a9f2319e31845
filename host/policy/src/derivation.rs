//! What a policy answered. It is a stranger's text until it is admitted.

use serde::{Deserialize, Serialize};

/// The name a policy derived: untrusted, bounded in size and nothing else.
///
/// It becomes an identity only in the attestor's envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    /// Path segments, as the policy returned them.
    pub path: Vec<String>,
    /// Selector values, as the policy returned them.
    pub selectors: Vec<String>,
}

/// A policy's decision to give a subject no name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// The policy's own code: `a`-`z`, `0`-`9` and `-`, at most 64
    /// characters; `unspecified` where the policy gave anything else.
    pub code: String,
    /// The policy's sentence for the operator's log, control characters and
    /// those that nobody sees escaped, at most 512 characters.
    pub detail: String,
}

/// A policy's answer to one question, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The name, or the decision to give none.
    pub answer: Result<Derivation, Denial>,
    /// WebAssembly fuel that `derive` used. The same for equal components,
    /// settings and facts under one version of this host.
    pub fuel: u64,
}

/// What is wrong with one setting, in the policy's words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SettingProblem {
    /// Where, as a JSON Pointer (RFC 6901) into the settings.
    pub pointer: String,
    /// What, control characters and those that nobody sees escaped.
    pub message: String,
}

impl std::fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "`{pointer}`: {}", self.message),
        }
    }
}
