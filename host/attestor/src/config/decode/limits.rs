//! The keys of a `limits` table: the fields of [`Limits`].
//!
//! The ranges are wide. They stop slips (a zero, a unit too many) and what
//! would take the host's memory or time beyond repair; within them the
//! operator decides.

use super::table::{Field, TableReader};
use nameplate_policy::Limits;
use std::time::Duration;

/// Some minutes of computing; the deadline ends it long before.
const MAX_FUEL: u64 = 100_000_000_000;

/// Limits that start from `base`, changed key by key.
pub(super) fn limits(table: &mut TableReader<'_, '_>, base: &Limits) -> Limits {
    fn or<T>(field: Option<Field<T>>, base: T) -> T {
        field.map_or(base, |field| field.value)
    }
    // Written out without `..`, so that a new limit cannot lack a key.
    Limits {
        component_bytes: or(
            table.bytes("component_bytes", 1 << 10..=64 << 20),
            base.component_bytes,
        ),
        nesting: or(table.count("nesting", 1..=10_000), base.nesting),
        functions: or(table.count("functions", 1..=1_000_000), base.functions),
        function_bytes: or(
            table.bytes("function_bytes", 64..=16 << 20),
            base.function_bytes,
        ),
        locals: or(table.count("locals", 1..=10_000_000), base.locals),
        joins: or(table.count("joins", 1..=100_000_000), base.joins),
        indirect_calls: or(
            table.count("indirect_calls", 1..=100_000),
            base.indirect_calls,
        ),
        component_instances: or(
            table.count("component_instances", 1..=1_000),
            base.component_instances,
        ),
        declarations: or(
            table.count("declarations", 1..=10_000_000),
            base.declarations,
        ),
        segments: or(table.count("segments", 1..=100_000), base.segments),
        // `{}` has two bytes.
        settings_bytes: or(
            table.bytes("settings_bytes", 2..=1 << 20),
            base.settings_bytes,
        ),
        fuel: or(table.number("fuel", 1..=MAX_FUEL), base.fuel),
        configure_fuel: or(
            table.number("configure_fuel", 1..=MAX_FUEL),
            base.configure_fuel,
        ),
        deadline: or(
            table.duration(
                "deadline",
                Duration::from_millis(1)..=Duration::from_secs(60),
            ),
            base.deadline,
        ),
        // A memory grows by pages of 64 KiB.
        memory_bytes: or(
            table.bytes("memory_bytes", 64 << 10..=1 << 30),
            base.memory_bytes,
        ),
        table_elements: or(
            table.count("table_elements", 1..=10_000_000),
            base.table_elements,
        ),
        instances: or(table.count("instances", 1..=1_000), base.instances),
        memories: or(table.count("memories", 1..=100), base.memories),
        tables: or(table.count("tables", 1..=100), base.tables),
        stack_bytes: or(
            table.bytes("stack_bytes", Limits::STACK_BYTES),
            base.stack_bytes,
        ),
        lifted_bytes: or(
            table.bytes("lifted_bytes", 1 << 10..=16 << 20),
            base.lifted_bytes,
        ),
    }
}
