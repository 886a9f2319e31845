//! Why a policy could not be loaded, or gave no usable answer.

use crate::contract::ContractError;
use crate::derivation::SettingProblem;
use crate::digest::Digest;
use crate::structure::StructureError;
use nameplate_files::FileError;
use nameplate_words::grouped;

/// Why a policy could not be loaded. Nothing of it runs afterwards.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("the policy could not be read")]
    Unreadable(#[from] FileError),
    /// No policy of that name ships with this host.
    #[error("there is no built-in policy `{name}`; there are {known}")]
    UnknownBuiltin {
        /// Name asked for.
        name: String,
        /// Names there are.
        known: String,
    },
    /// The component is not the one that was pinned.
    #[error("the component's digest is {found}, and {pinned} is pinned")]
    DigestMismatch {
        /// Digest the operator pinned.
        pinned: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
    /// More bytes than the limits allow.
    #[error(
        "the component has {} bytes, at most {} allowed (limit `component_bytes`)",
        grouped(*bytes), grouped(*limit)
    )]
    TooLarge {
        /// Size of the component.
        bytes: usize,
        /// Most bytes there may be.
        limit: usize,
    },
    /// Not a component of the contract.
    #[error("not a policy")]
    Contract(#[from] ContractError),
    /// The shape is refused before compiling.
    #[error("the component's structure is refused")]
    Structure(#[from] StructureError),
    /// Cranelift or the linker refused it.
    #[error("the component could not be compiled: {0}")]
    Compile(String),
    /// The settings are no JSON object or too large.
    #[error("the settings {0}")]
    SettingsShape(String),
    /// The policy refused the settings.
    #[error("the policy refuses its settings: {}", problems(.0))]
    Settings(Vec<SettingProblem>),
    /// The policy failed while taking its settings.
    #[error("the policy failed while it was configured")]
    Configure(#[source] PolicyFault),
}

fn problems(list: &[SettingProblem]) -> String {
    let list: Vec<_> = list.iter().map(ToString::to_string).collect();
    list.join("; ")
}

/// Why a policy gave no usable answer. The policy is at fault, or the host;
/// never the machine that was to be named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// Out of fuel: an endless loop, or more work than allowed.
    #[error("the policy used up its fuel of {} (limit `{setting}`)", grouped(*limit))]
    Fuel {
        /// Fuel it had.
        limit: u64,
        /// Field of [`Limits`](crate::Limits) that says so: `configure_fuel` for
        /// start functions and `configure`, `fuel` for `derive`.
        setting: &'static str,
    },
    /// Out of time, by the clock.
    #[error("the policy ran longer than {} ms (limit `deadline`)", grouped(*millis))]
    Deadline {
        /// Time it had, in milliseconds.
        millis: u128,
    },
    /// More linear memory than allowed.
    #[error(
        "the policy asked for {} bytes of memory, at most {} allowed (limit `memory_bytes`)",
        grouped(*bytes), grouped(*limit)
    )]
    Memory {
        /// Bytes it would have had in all.
        bytes: usize,
        /// Most bytes there may be.
        limit: usize,
    },
    /// More table elements than allowed.
    #[error(
        "the policy asked for {} table elements, at most {} allowed (limit `table_elements`)",
        grouped(*elements), grouped(*limit)
    )]
    Table {
        /// Elements it would have had in all.
        elements: usize,
        /// Most elements there may be.
        limit: usize,
    },
    /// Call stack used up.
    #[error("the policy used up its call stack of {} bytes (limit `stack_bytes`)", grouped(*limit))]
    Stack {
        /// Stack it had, in bytes.
        limit: usize,
    },
    /// Any other WebAssembly trap.
    #[error("the policy trapped: {0}")]
    Trap(String),
    /// An instance could not be made: too many instances, memories or tables.
    #[error("the policy could not be instantiated: {0}")]
    Instantiation(String),
    /// The host could not take the answer over: too large, or not of the
    /// shape that the contract states.
    #[error(
        "the policy's answer could not be read: {detail} (limit `lifted_bytes` is {})",
        grouped(*limit)
    )]
    Answer {
        /// What was wrong with it.
        detail: String,
        /// Most bytes the host copies.
        limit: usize,
    },
    /// The policy refused, in a fresh instance, settings it took when it was loaded.
    #[error("the policy refused the settings that it was loaded with")]
    Inconstant,
    /// A panic of the host, caught. A defect of ours: please report it.
    #[error("the host failed while it ran the policy; this is a defect of nameplate")]
    HostPanic,
}

impl PolicyFault {
    /// Stable code for logs, metrics and cases.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Fuel { .. } => "policy_fuel",
            Self::Deadline { .. } => "policy_deadline",
            Self::Memory { .. } => "policy_memory",
            Self::Table { .. } => "policy_table",
            Self::Stack { .. } => "policy_stack",
            Self::Trap(_) => "policy_trap",
            Self::Instantiation(_) => "policy_instantiation",
            Self::Answer { .. } => "policy_answer",
            Self::Inconstant => "policy_inconstant",
            Self::HostPanic => "host_panic",
        }
    }
}
