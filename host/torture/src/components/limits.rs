//! An attack at each field of [`Limits`], which only that field stops.

use super::{ComponentAttack, EndedBy, Made};
use crate::attack::{Expected, Group};
use crate::component::{AssemblyError, answering, assembled, padded};
use nameplate_policy::Limits;
use serde_json::json;
use std::time::Duration;

/// The most that a limit can allow before the attack at it works, whatever the
/// operator thinks: some times the default, and little enough to be tried.
pub(crate) const REASON: Limits = Limits {
    component_bytes: 32 << 20,
    nesting: 2_000,
    functions: 20_000,
    function_bytes: 256 << 10,
    locals: 120_000,
    joins: 600_000,
    indirect_calls: 1_000,
    component_instances: 100,
    declarations: 200_000,
    segments: 2_500,
    settings_bytes: 256 << 10,
    fuel: 10_000_000,
    configure_fuel: 40_000_000,
    deadline: Duration::from_secs(2),
    memory_bytes: 256 << 20,
    table_elements: 1_000_000,
    instances: 200,
    memories: 12,
    tables: 20,
    stack_bytes: 512 << 10,
    lifted_bytes: 1 << 20,
};

/// The same for elements of tables that stand in the file.
const REASON_LISTED: usize = 200_000;

/// The answer of a good policy, at 16.
const ANSWER: &str = r#"
(data (i32.const 16) "\00\00\00\00\28\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
(data (i32.const 40) "\30\00\00\00\04\00\00\00good")"#;

/// What a row at a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limited {
    /// The limit of this name.
    By(&'static str),
    /// None of [`Limits`].
    Other,
}

/// A limit by its name: what it is, by default and within reason, as numbers
/// that can be compared; and what it says when it is met.
type Known = (&'static str, u128, u128, u128, &'static [&'static str]);

fn known(limits: &Limits) -> [Known; 21] {
    let usual = Limits::default();
    let bytes = |limit: usize| limit as u128;
    macro_rules! limit {
        ($field:ident, $number:expr, $reasons:expr) => {
            (
                stringify!($field),
                $number(limits.$field),
                $number(usual.$field),
                $number(REASON.$field),
                $reasons,
            )
        };
    }
    [
        limit!(component_bytes, bytes, &["component_bytes"]),
        limit!(nesting, bytes, &["nesting"]),
        limit!(functions, bytes, &["functions"]),
        limit!(function_bytes, bytes, &["function_bytes"]),
        limit!(locals, bytes, &["locals"]),
        limit!(joins, bytes, &["joins"]),
        limit!(indirect_calls, bytes, &["indirect_calls"]),
        limit!(component_instances, bytes, &["component_instances"]),
        limit!(declarations, bytes, &["declarations"]),
        limit!(segments, bytes, &["segments"]),
        limit!(settings_bytes, bytes, &["settings_bytes"]),
        limit!(fuel, u128::from, &["policy_fuel"]),
        limit!(configure_fuel, u128::from, &["policy_fuel"]),
        limit!(
            deadline,
            |time: Duration| time.as_nanos(),
            &["policy_deadline"]
        ),
        limit!(memory_bytes, bytes, &["policy_memory"]),
        limit!(table_elements, bytes, &["policy_table", "table_elements"]),
        limit!(instances, bytes, &["policy_instantiation", "instances"]),
        limit!(memories, bytes, &["policy_instantiation"]),
        limit!(tables, bytes, &["policy_instantiation"]),
        limit!(stack_bytes, bytes, &["policy_stack"]),
        limit!(lifted_bytes, bytes, &["policy_answer"]),
    ]
}

/// What may stop an attack besides what it is about: a limit that is tighter
/// than usual may be met before. An attack at a limit that is raised may meet
/// any other one, and one at a limit beyond reason has to be stopped by that
/// alone.
pub(super) fn tighter(limits: &Limits, about: Limited) -> Vec<&'static str> {
    let known = known(limits);
    let own = known.iter().find(|(name, ..)| about == Limited::By(name));
    let raised = match own {
        Some((_, limit, _, reason, _)) if limit > reason => return Vec::new(),
        Some((_, limit, usual, ..)) => limit > usual,
        None => false,
    };
    known
        .iter()
        .filter(|(name, limit, usual, ..)| about != Limited::By(name) && (raised || limit < usual))
        .flat_map(|(.., reasons)| reasons.iter().copied())
        .collect()
}

/// Bytes of a page of memory.
const PAGE: usize = 64 << 10;

/// Fuel of one turn of the loop of [`burning`], at least.
const FUEL_A_TURN: u64 = 6;

/// Variables that each call of the recursion keeps.
const KEPT: usize = 64;

pub(super) fn attacks(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    // Written out without `..`, so that a new limit cannot lack an attack.
    let Limits {
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
    } = *made.limits;
    let stopped = |limit: &'static str, stops: &[&'static str]| {
        let others = tighter(made.limits, Limited::By(limit));
        Expected::Stopped([stops, &others].concat())
    };
    let attack = |name: String, text: String, limit: &'static str, stops: &[&'static str]| {
        let expected = stopped(limit, stops);
        ComponentAttack::new(Group::Limit, name, assembled(&text), expected)
    };
    let structure = |name: String, fields: String, limit: &'static str| {
        attack(
            name,
            format!("(memory (export \"memory\") 1) {fields}"),
            limit,
            &[limit],
        )
    };
    let over = |limit: usize, reason: usize| limit.min(reason).saturating_add(1);

    let whole = answering(&["good"], &[])?;
    let missing = over(component_bytes, REASON.component_bytes).saturating_sub(whole.len());
    let bytes = padded(whole, &[vec![0; missing]]);
    let large = format!("is {} bytes long", bytes.len());
    let large = ComponentAttack::new(
        Group::Limit,
        large,
        Ok(bytes),
        stopped("component_bytes", &["component_bytes"]),
    )?;

    let depth = over(nesting, REASON.nesting);
    let count = over(functions, REASON.functions);
    let body = over(function_bytes, REASON.function_bytes);
    let variables = over(locals, REASON.locals);
    let crossings = over(joins, REASON.joins).div_ceil(1_000);
    let calls = over(indirect_calls, REASON.indirect_calls);
    let doublings = over(component_instances, REASON.component_instances).ilog2() + 1;
    let parts = over(declarations, REASON.declarations);
    let pieces = over(segments, REASON.segments);
    let elements = over(table_elements, REASON.table_elements);
    // Listed in the file, where each takes a byte, and time of the compiler.
    let listed = over(table_elements, REASON_LISTED);
    let beyond = over(memory_bytes, REASON.memory_bytes).div_ceil(PAGE);
    let copies = over(lifted_bytes, REASON.lifted_bytes).div_ceil(1 << 10);
    let made_of = instances.min(REASON.instances);
    let others = memories.min(REASON.memories);
    let more_tables = over(tables, REASON.tables);
    let frames = over(stack_bytes, REASON.stack_bytes).div_ceil(KEPT * 8);

    let mut settings = attack(
        format!(
            "is given settings of {} bytes",
            over(settings_bytes, REASON.settings_bytes)
        ),
        "(memory (export \"memory\") 8)".to_owned(),
        "settings_bytes",
        &["settings_bytes"],
    )?;
    // `{"a":""}` has eight bytes.
    let filler = over(settings_bytes, REASON.settings_bytes).saturating_sub(8);
    settings.settings = json!({ "a": "x".repeat(filler) });

    let turns_of = |fuel: u64, reason: u64| fuel.min(reason) / FUEL_A_TURN + 1_000;
    // The clock has ticks, and an attack has to last for some of them.
    let seconds = deadline
        .clamp(Limits::EPOCH_TICK * 2, REASON.deadline)
        .as_secs_f64();
    let mut slow = attack(
        format!("computes for {:.1} s, with fuel enough", seconds * 3.0),
        burning("derive", at_speed(made.turns_per_second, seconds * 3.0)),
        "deadline",
        &["policy_deadline"],
    )?
    .repeating("kubewarden/policy-server#254");
    slow.ended_by = EndedBy::Clock;

    Ok(vec![
        large,
        structure(
            format!("nests {depth} blocks"),
            format!("(func {} {})", "block ".repeat(depth), "end ".repeat(depth)),
            "nesting",
        )?,
        structure(
            format!("has {count} functions"),
            "(func)".repeat(count),
            "functions",
        )?,
        structure(
            format!("has a function of {body} bytes"),
            format!("(func {})", "nop ".repeat(body)),
            "function_bytes",
        )?,
        structure(
            format!("has {variables} local variables"),
            many_locals(variables),
            "locals",
        )?,
        structure(
            format!("brings 1000 variables together in {crossings} places"),
            format!(
                "(func (local {}) {})",
                "i32 ".repeat(1_000),
                "block end ".repeat(crossings)
            ),
            "joins",
        )?,
        structure(
            format!("calls through a table {calls} times"),
            format!(
                "(type $f (func)) (table 1 funcref) (func {})",
                "(call_indirect (type $f) (i32.const 0))".repeat(calls)
            ),
            "indirect_calls",
        )?,
        attack(
            format!("has {doublings} components that each instantiate the one before twice"),
            doubled(doublings),
            "component_instances",
            &["component_instances"],
        )?,
        attack(
            format!("declares a type of {parts} parts in a few bytes"),
            format!("(core module $unused) {}", tuples(parts)),
            "declarations",
            &["declarations"],
        )?,
        structure(
            format!("has {pieces} empty data segments that cannot be merged"),
            format!(
                "{} (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
                "(data (i32.const 0) \"\")".repeat(pieces)
            ),
            "segments",
        )?,
        structure(
            format!("has a segment of {listed} table elements"),
            format!("(func $f) (elem declare func {})", "$f ".repeat(listed)),
            "table_elements",
        )?,
        settings,
        // A slow machine may meet the deadline first.
        attack(
            format!("burns {} of fuel to derive", fuel.min(REASON.fuel)),
            burning("derive", turns_of(fuel, REASON.fuel)),
            "fuel",
            &["policy_fuel", "policy_deadline"],
        )?,
        attack(
            format!("burns {} of fuel to configure", configure_fuel.min(REASON.configure_fuel)),
            burning("configure", turns_of(configure_fuel, REASON.configure_fuel)),
            "configure_fuel",
            &["policy_fuel", "policy_deadline"],
        )?,
        slow,
        attack(
            format!("grows its memory to {beyond} pages"),
            format!(
                "{ANSWER} (func (export \"derive\") (param i32) (result i32)
                   (if (i32.eq (memory.grow (i32.const {beyond})) (i32.const -1)) (then unreachable))
                   (i32.const 16))"
            ),
            "memory_bytes",
            &["policy_memory"],
        )?
        .repeating("wapc/wapc-rs#230"),
        attack(
            format!("grows a table to {elements} elements"),
            format!(
                "{ANSWER} (table $t 0 funcref)
                 (func (export \"derive\") (param i32) (result i32)
                   (if (i32.eq (table.grow $t (ref.null func) (i32.const {elements})) (i32.const -1))
                     (then unreachable))
                   (i32.const 16))"
            ),
            "table_elements",
            &["policy_table"],
        )?
        .repeating("CVE-2026-44216"),
        attack(
            format!("makes {made_of} instances besides its own"),
            format!(
                "(core module $empty) {}",
                "(core instance (instantiate $empty))".repeat(made_of)
            ),
            "instances",
            &["policy_instantiation", "instances"],
        )?,
        attack(
            format!("has {others} memories besides its own"),
            format!(
                "(core module $m (memory 0)) {}",
                "(core instance (instantiate $m))".repeat(others)
            ),
            "memories",
            &["policy_instantiation"],
        )?,
        attack(
            format!("has {more_tables} tables"),
            "(table 0 funcref)".repeat(more_tables),
            "tables",
            &["policy_instantiation"],
        )?,
        attack(
            format!("calls itself {frames} times deep"),
            recursion(frames.saturating_add(KEPT)),
            "stack_bytes",
            &["policy_stack"],
        )?,
        attack(
            format!("answers {copies} KiB"),
            format!(
                "(data (i32.const 16) \"\\00\\00\\00\\00\\28\\00\\00\\00\\01\\00\\00\\00\\00\\80\\00\\00\")
                 (data (i32.const 40) \"\\30\\00\\00\\00\\04\\00\\00\\00good\")
                 (func (export \"derive\") (param i32) (result i32) (local $n i32)
                   (memory.fill (i32.const 16384) (i32.const 97) (i32.const 1024))
                   (loop $again
                     (i32.store (i32.add (i32.const 32768) (i32.mul (local.get $n) (i32.const 8))) (i32.const 16384))
                     (i32.store (i32.add (i32.const 32772) (i32.mul (local.get $n) (i32.const 8))) (i32.const 1024))
                     (local.set $n (i32.add (local.get $n) (i32.const 1)))
                     (br_if $again (i32.lt_u (local.get $n) (i32.const {copies}))))
                   (i32.store (i32.const 32) (i32.const {copies}))
                   (i32.const 16))"
            ),
            "lifted_bytes",
            &["policy_answer"],
        )?
        .repeating("CVE-2026-27204"),
    ])
}

/// Components of which each instantiates the one before twice.
fn doubled(count: u32) -> String {
    let mut text = "(core module $unused) (component $c0)".to_owned();
    for number in 1..count {
        let before = format!("(instance (instantiate $c{}))", number - 1);
        text.push_str(&format!("(component $c{number} {before} {before})"));
    }
    let last = format!("(instance (instantiate $c{}))", count.saturating_sub(1));
    format!("{text} {last} {last}")
}

/// Types that are made of two of the one before, until they have so many parts.
fn tuples(parts: usize) -> String {
    let mut text = "(type $t0 (tuple u8 u8))".to_owned();
    for number in 1..=parts.ilog2() {
        let before = number - 1;
        text.push_str(&format!("(type $t{number} (tuple $t{before} $t{before}))"));
    }
    text
}

/// Functions that declare `count` variables together; one may declare 50,000.
fn many_locals(count: usize) -> String {
    let mut left = count;
    let mut text = String::new();
    while left > 0 {
        let here = left.min(40_000);
        text.push_str(&format!("(func (local {}))", "i32 ".repeat(here)));
        left -= here;
    }
    text
}

/// Turns that take `seconds` at this speed.
fn at_speed(turns_per_second: u64, seconds: f64) -> u64 {
    let micros = Duration::from_secs_f64(seconds).as_micros();
    let turns = u128::from(turns_per_second).saturating_mul(micros) / 1_000_000;
    u64::try_from(turns).unwrap_or(u64::MAX)
}

/// A policy whose `function` makes so many turns of a loop, and then answers.
pub(crate) fn burning(function: &str, turns: u64) -> String {
    let body = format!(
        "(local $n i64)
         (local.set $n (i64.const {turns}))
         (loop $again
           (local.set $n (i64.sub (local.get $n) (i64.const 1)))
           (br_if $again (i64.ne (local.get $n) (i64.const 0))))"
    );
    match function {
        "configure" => format!(
            "(func (export \"configure\") (param i32 i32) (result i32) {body} (i32.const 0))"
        ),
        _ => format!(
            "{ANSWER} (func (export \"derive\") (param i32) (result i32) {body} (i32.const 16))"
        ),
    }
}

/// A policy that calls itself so many times deep, with [`KEPT`] variables
/// that it needs again after each call.
fn recursion(frames: usize) -> String {
    let each = |one: &dyn Fn(usize) -> String| (0..KEPT).map(one).collect::<String>();
    // Loaded before the call and needed after it: a compiler must keep them.
    let kept = each(&|n| format!("(local.set $k{n} (i64.load (i32.const {})))", n * 8));
    let used = each(&|n| format!("(local.set $sum (i64.xor (local.get $sum) (local.get $k{n})))"));
    let declared = each(&|n| format!("(local $k{n} i64)"));
    format!(
        "{ANSWER} (func $deeper (param $left i64) (result i64) {declared} (local $sum i64)
           {kept}
           (if (i64.ne (local.get $left) (i64.const 0))
             (then (local.set $sum (call $deeper (i64.sub (local.get $left) (i64.const 1))))))
           {used} (local.get $sum))
         (func (export \"derive\") (param i32) (result i32)
           (drop (call $deeper (i64.const {frames}))) (i32.const 16))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tighter_limit_may_be_met_before() {
        let of = |limits: &Limits, name| tighter(limits, Limited::By(name));
        let usual = Limits::default();
        assert!(of(&usual, "stack_bytes").is_empty());
        let tight = Limits {
            fuel: 20_000,
            ..usual.clone()
        };
        assert_eq!(of(&tight, "stack_bytes"), ["policy_fuel"]);
        assert_eq!(tighter(&tight, Limited::Other), ["policy_fuel"]);
        assert!(of(&tight, "fuel").is_empty());
        // A limit that is raised, within reason: whatever comes first.
        let raised = Limits {
            functions: 20_000,
            ..usual.clone()
        };
        assert!(of(&raised, "functions").contains(&"component_bytes"));
        // Beyond reason it is not there, and nothing else stands in for it.
        let removed = Limits {
            functions: 20_001,
            component_bytes: 80 << 10,
            ..usual
        };
        assert!(of(&removed, "functions").is_empty());
    }
}
