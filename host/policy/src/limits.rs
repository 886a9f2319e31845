//! What a policy may cost: one type for every place that runs one.
//!
//! The command line, the tests, the library and the SPIRE plugin all run a
//! policy under [`Limits`] with the same defaults, so a policy that passes
//! `nameplate policy test` passes in production.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Bounds on one policy, from the bytes of its component to the answer it gives.
///
/// Every bound is total, not per memory or per table: a component cannot get
/// more by declaring more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Size of the component, in bytes. Checked before anything is parsed.
    pub component_bytes: usize,
    /// Nesting of blocks inside one function, and with the same meaning of
    /// "too deep", of components inside components (an eighth of this).
    ///
    /// Cranelift takes time and memory quadratic in it.
    pub nesting: usize,
    /// Functions in all core modules together.
    pub functions: usize,
    /// Body of one function, in bytes.
    pub function_bytes: usize,
    /// Local variables declared in all functions together. A declaration of
    /// 50,000 of them takes four bytes, and the compiler pays for each.
    pub locals: usize,
    /// Variables times the places where control flow joins or branches,
    /// summed over all functions: the compiler may have to bring each
    /// variable together at each of them. And a sixteenth of those places
    /// times themselves and the values that blocks pass on, function by
    /// function: it merges what meets at one into what met before.
    pub joins: usize,
    /// Calls through a table in one function. The compiler takes time
    /// quadratic in them.
    pub indirect_calls: usize,
    /// Component instances in total: each component that this one instantiates,
    /// and those that each of them instantiates in turn.
    #[serde(default = "defaults::component_instances")]
    pub component_instances: usize,
    /// What the component declares besides functions: types, imports, exports,
    /// aliases, arguments, globals. Each counts with all that it is made of,
    /// and in each instance of the component that declares it.
    #[serde(default = "defaults::declarations")]
    pub declarations: usize,
    /// Data segments, merged as far as they can be, and element segments in
    /// all core modules together. Start-up code is compiled for each.
    #[serde(default = "defaults::segments")]
    pub segments: usize,
    /// Settings, as JSON text, in bytes.
    pub settings_bytes: usize,
    /// WebAssembly fuel for one `derive`: about one unit an instruction.
    ///
    /// Fuel decides when a policy has run too long, because it is the same
    /// on every machine and under every load.
    pub fuel: u64,
    /// WebAssembly fuel for instantiation (start functions included) and
    /// `configure`, which are paid when the policy is loaded.
    pub configure_fuel: u64,
    /// Wall-clock net behind the fuel. It exists for what fuel cannot see,
    /// and is generous, since a machine under load is not the policy's fault.
    /// Rounded up to the next [`Limits::EPOCH_TICK`].
    #[serde(rename = "deadline_ns", with = "nanoseconds")]
    pub deadline: Duration,
    /// Linear memory, in bytes, over all memories of the component; and what
    /// its core instances take for globals and references, in whole pages.
    pub memory_bytes: usize,
    /// Table elements over all tables of the component, and elements in all
    /// of its element segments.
    pub table_elements: usize,
    /// Core instances that the component may make of its modules, and core
    /// modules that it may have.
    pub instances: usize,
    /// Linear memories of the component.
    pub memories: usize,
    /// Tables of the component.
    pub tables: usize,
    /// WebAssembly call stack, in bytes.
    pub stack_bytes: usize,
    /// Bytes that the host copies out of the guest to take one answer.
    pub lifted_bytes: usize,
}

impl Limits {
    /// Granularity of [`Limits::deadline`].
    pub const EPOCH_TICK: Duration = Duration::from_millis(10);

    /// Smallest and largest WebAssembly stack that can be asked for, in bytes.
    ///
    /// The policy runs on the stack of the thread that attests; Rust gives a
    /// thread 2 MiB, and the host needs its part.
    pub const STACK_BYTES: std::ops::RangeInclusive<usize> = 16 << 10..=1 << 20;

    /// Whether nothing may cost more than under `other`.
    pub fn are_within(&self, other: &Self) -> bool {
        let Self {
            component_bytes,
            nesting,
            functions,
            function_bytes,
            locals,
            joins,
            indirect_calls,
            component_instances,
            declarations,
            segments,
            settings_bytes,
            fuel,
            configure_fuel,
            deadline,
            memory_bytes,
            table_elements,
            instances,
            memories,
            tables,
            stack_bytes,
            lifted_bytes,
        } = self;
        let sizes = [
            (component_bytes, &other.component_bytes),
            (nesting, &other.nesting),
            (functions, &other.functions),
            (function_bytes, &other.function_bytes),
            (locals, &other.locals),
            (joins, &other.joins),
            (indirect_calls, &other.indirect_calls),
            (component_instances, &other.component_instances),
            (declarations, &other.declarations),
            (segments, &other.segments),
            (settings_bytes, &other.settings_bytes),
            (memory_bytes, &other.memory_bytes),
            (table_elements, &other.table_elements),
            (instances, &other.instances),
            (memories, &other.memories),
            (tables, &other.tables),
            (stack_bytes, &other.stack_bytes),
            (lifted_bytes, &other.lifted_bytes),
        ];
        sizes.iter().all(|(own, most)| own <= most)
            && *fuel <= other.fuel
            && *configure_fuel <= other.configure_fuel
            && *deadline <= other.deadline
    }

    /// Deadline as a number of epochs, so that at least the whole duration passes.
    pub(crate) fn deadline_in_epochs(&self) -> u64 {
        let ticks = self
            .deadline
            .as_nanos()
            .div_ceil(Self::EPOCH_TICK.as_nanos());
        // The running epoch is already partly over.
        u64::try_from(ticks)
            .unwrap_or(u64::MAX / 4)
            .saturating_add(1)
    }

    /// How deep components may nest in components.
    pub(crate) fn component_nesting(&self) -> usize {
        (self.nesting / 8).max(1)
    }
}

/// Defaults of limits that older decision logs do not record.
mod defaults {
    pub(super) fn component_instances() -> usize {
        16
    }

    pub(super) fn declarations() -> usize {
        50_000
    }

    pub(super) fn segments() -> usize {
        1_000
    }
}

/// A duration as a whole number, so that it reads back as it was.
mod nanoseconds {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 512 << 10,
            nesting: 512,
            functions: 10_000,
            function_bytes: 64 << 10,
            locals: 100_000,
            joins: 500_000,
            indirect_calls: 256,
            component_instances: defaults::component_instances(),
            declarations: defaults::declarations(),
            segments: defaults::segments(),
            settings_bytes: 64 << 10,
            fuel: 1_000_000,
            configure_fuel: 10_000_000,
            deadline: Duration::from_millis(100),
            memory_bytes: 4 << 20,
            table_elements: 10_000,
            instances: 16,
            memories: 4,
            tables: 8,
            stack_bytes: 256 << 10,
            lifted_bytes: 64 << 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_back_as_they_were_written() {
        let limits = Limits {
            deadline: Duration::from_micros(1_500),
            ..Limits::default()
        };
        let text = serde_json::to_string(&limits).unwrap();
        assert!(text.contains(r#""deadline_ns":1500000"#), "{text}");
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
        let unknown = text.replace("nesting", "nestling");
        assert!(serde_json::from_str::<Limits>(&unknown).is_err());
    }

    #[test]
    fn limits_that_were_written_before_one_was_added_are_read() {
        let older = r#"{"component_bytes":524288,"nesting":512,"functions":10000,
            "function_bytes":65536,"locals":100000,"joins":500000,"indirect_calls":256,
            "settings_bytes":65536,"fuel":1000000,"configure_fuel":10000000,
            "deadline_ns":100000000,"memory_bytes":4194304,"table_elements":10000,
            "instances":16,"memories":4,"tables":8,"stack_bytes":262144,"lifted_bytes":65536}"#;
        assert_eq!(
            serde_json::from_str::<Limits>(older).unwrap(),
            Limits::default()
        );
        let torn = older.replace("\"nesting\":512,", "");
        assert!(serde_json::from_str::<Limits>(&torn).is_err());
    }

    /// Each limit by itself counts.
    #[test]
    fn limits_are_within_those_that_are_not_lower_anywhere() {
        let limits = Limits::default();
        let serde_json::Value::Object(members) = serde_json::to_value(&limits).unwrap() else {
            panic!("limits are an object");
        };
        assert_eq!(members.len(), 21);
        assert!(limits.are_within(&limits));
        for (name, value) in &members {
            let mut raised = members.clone();
            raised.insert(name.clone(), (value.as_u64().unwrap() + 1).into());
            let raised: Limits = serde_json::from_value(raised.into()).unwrap();
            assert!(limits.are_within(&raised), "{name}");
            assert!(!raised.are_within(&limits), "{name}");
        }
    }

    #[test]
    fn a_deadline_is_never_shorter_than_asked() {
        let epochs = |millis| {
            Limits {
                deadline: Duration::from_millis(millis),
                ..Limits::default()
            }
            .deadline_in_epochs()
        };
        assert_eq!(epochs(0), 1);
        assert_eq!(epochs(1), 2);
        assert_eq!(epochs(10), 2);
        assert_eq!(epochs(11), 3);
        assert_eq!(epochs(100), 11);
    }
}
