//! One fresh instance, one question, under every limit.

use crate::bindings::{Policy as Guest, PolicyIndices, naming};
use crate::contract::{one_line, printable};
use crate::derivation::{Denial, Derivation, SettingProblem, Verdict};
use crate::error::PolicyFault;
use crate::facts::Facts;
use crate::limits::Limits;
use crate::lower::{self, Lists};
use crate::snapshot::State;
use crate::structure::Bounded;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

/// Bytes of a page of linear memory.
const PAGE: usize = 64 << 10;

/// What one instance has used: the data of its store.
pub(crate) struct Ledger {
    memory_bytes: usize,
    table_elements: usize,
    limits: Bounds,
}

/// The limits that wasmtime asks about while an instance runs.
#[derive(Clone, Copy)]
struct Bounds {
    memory_bytes: usize,
    table_elements: usize,
    instances: usize,
    memories: usize,
    tables: usize,
}

impl Ledger {
    /// Starts with `taken` bytes in use, for what instances keep besides
    /// memories.
    fn new(limits: &Limits, taken: usize) -> Self {
        Self {
            // As everything is here, in pages: a few globals are none.
            memory_bytes: taken / PAGE * PAGE,
            table_elements: 0,
            limits: Bounds {
                memory_bytes: limits.memory_bytes,
                table_elements: limits.table_elements,
                instances: limits.instances,
                memories: limits.memories,
                tables: limits.tables,
            },
        }
    }
}

/// Sums over all memories and tables, and ends the call on the first excess:
/// a guest that could see `memory.grow` fail might answer differently for it.
impl ResourceLimiter for Ledger {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        if bytes > self.limits.memory_bytes {
            return Err(wasmtime::Error::new(PolicyFault::Memory {
                bytes,
                limit: self.limits.memory_bytes,
            }));
        }
        self.memory_bytes = bytes;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if elements > self.limits.table_elements {
            return Err(wasmtime::Error::new(PolicyFault::Table {
                elements,
                limit: self.limits.table_elements,
            }));
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

/// A compiled component, linked to nothing, its exports looked up.
pub(crate) struct Prepared {
    instances: InstancePre<Ledger>,
    exports: PolicyIndices,
    bounded: Bounded,
}

impl Prepared {
    /// Compiles a component. Cranelift runs here, and an import finds nothing.
    ///
    /// The compiler panics where it meets what it has no room for (256 core
    /// modules, for one); that is the component's end and not the host's.
    pub(crate) fn compile(
        engine: &Engine,
        bytes: &[u8],
        bounded: Bounded,
    ) -> wasmtime::Result<Self> {
        catch_unwind(AssertUnwindSafe(|| {
            let component = Component::new(engine, bytes)?;
            let nothing: Linker<Ledger> = Linker::new(engine);
            let instances = nothing.instantiate_pre(&component)?;
            let exports = PolicyIndices::new(&instances)?;
            Ok(Self {
                instances,
                exports,
                bounded,
            })
        }))
        .unwrap_or_else(|_| Err(wasmtime::Error::msg("the compiler failed on it")))
    }
}

/// A fresh instance, before its first question.
pub(crate) struct Instance<'a> {
    store: Store<Ledger>,
    instance: wasmtime::component::Instance,
    guest: Guest,
    limits: &'a Limits,
}

impl<'a> Instance<'a> {
    /// Makes an instance; start functions run here.
    pub(crate) fn new(prepared: &Prepared, limits: &'a Limits) -> Result<Self, PolicyFault> {
        let fuel = limits.configure_fuel;
        let ledger = Ledger::new(limits, prepared.bounded.instance_bytes);
        let mut store = bounded_store(prepared.instances.engine(), ledger, limits, fuel)?;
        let instance = prepared.instances.instantiate(&mut store);
        let loaded = instance.and_then(|instance| {
            let guest = prepared.exports.load(&mut store, &instance)?;
            Ok((instance, guest))
        });
        match loaded {
            Ok((instance, guest)) => Ok(Self {
                store,
                instance,
                guest,
                limits,
            }),
            Err(error) => {
                let fuel = Fuel::configure(limits);
                Err(fault(&error, limits, fuel, PolicyFault::Instantiation))
            }
        }
    }

    /// Hands over the settings.
    pub(crate) fn configure(
        &mut self,
        settings: &str,
    ) -> Result<Result<(), Vec<SettingProblem>>, PolicyFault> {
        let answer = self
            .guest
            .nameplate_policy_naming()
            .call_configure(&mut self.store, settings);
        match answer {
            Ok(answer) => Ok(answer.map_err(|list| list.into_iter().map(problem).collect())),
            Err(error) => Err(self.fault(&error, Fuel::configure(self.limits))),
        }
    }

    /// Asks for a name. Fuel starts anew, so that what `configure` used up
    /// in this instance does not count.
    pub(crate) fn derive(&mut self, facts: &Facts) -> Result<Verdict, PolicyFault> {
        self.store
            .set_fuel(self.limits.fuel)
            .map_err(|error| defect(&error))?;
        let lists = Lists::of(facts);
        let answer = self
            .guest
            .nameplate_policy_naming()
            .call_derive(&mut self.store, lower::facts(facts, &lists));
        match answer {
            Ok(answer) => {
                let left = self.store.get_fuel().map_err(|error| defect(&error))?;
                Ok(Verdict {
                    answer: answer.map(derivation).map_err(denial),
                    fuel: self.limits.fuel.saturating_sub(left),
                })
            }
            Err(error) => Err(self.fault(&error, Fuel::derive(self.limits))),
        }
    }

    /// Gives up the instance for its state to be read. What follows is no
    /// longer the guest's doing: one memory may be copied whole.
    pub(crate) fn into_state(mut self) -> Result<State, PolicyFault> {
        self.store
            .set_hostcall_fuel(self.limits.memory_bytes.saturating_add(64 << 10));
        self.store
            .set_fuel(self.limits.configure_fuel)
            .map_err(|error| defect(&error))?;
        Ok(State {
            store: self.store,
            instance: self.instance,
            failed: None,
        })
    }

    fn fault(&self, error: &wasmtime::Error, fuel: Fuel) -> PolicyFault {
        let limit = self.limits.lifted_bytes;
        fault(error, self.limits, fuel, |detail| PolicyFault::Answer {
            detail,
            limit,
        })
    }
}

/// A store under every limit that a store can have.
fn bounded_store(
    engine: &Engine,
    ledger: Ledger,
    limits: &Limits,
    fuel: u64,
) -> Result<Store<Ledger>, PolicyFault> {
    let mut store = Store::new(engine, ledger);
    store.limiter(|ledger| ledger);
    // Before instantiation: a start function is guest code too.
    store.set_epoch_deadline(limits.deadline_in_epochs());
    store.set_hostcall_fuel(limits.lifted_bytes);
    store.set_fuel(fuel).map_err(|error| defect(&error))?;
    Ok(store)
}

/// Runs `work`, and turns a panic of the host into a fault.
pub(crate) fn contained<T>(
    work: impl FnOnce() -> Result<T, PolicyFault>,
) -> Result<T, PolicyFault> {
    // Nothing outlives a panic: the store is dropped on the way out, and a
    // policy's own state is never written after it is loaded.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(PolicyFault::HostPanic))
}

/// The fuel that a call had, and which limit that was.
#[derive(Clone, Copy)]
struct Fuel {
    units: u64,
    setting: &'static str,
}

impl Fuel {
    fn configure(limits: &Limits) -> Self {
        Self {
            units: limits.configure_fuel,
            setting: "configure_fuel",
        }
    }

    fn derive(limits: &Limits) -> Self {
        Self {
            units: limits.fuel,
            setting: "fuel",
        }
    }
}

/// A trap in words for whoever wrote the policy, in whatever language: which
/// instruction it was says little about what to look for.
fn what_it_did(trap: Trap) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others say what they are"
    )]
    let words = match trap {
        Trap::UnreachableCodeReached => {
            "it gave up (`unreachable`), as a panic, an uncaught exception or a failed allocation does"
        }
        Trap::MemoryOutOfBounds => {
            "it read or wrote outside of its memory, as it does when the stack that its linker gave it is used up"
        }
        Trap::TableOutOfBounds => {
            "it reached outside of a table, as a call through a pointer to no function does"
        }
        Trap::IndirectCallToNull => "it called a function that its table does not have",
        Trap::BadSignature => "it called a function of its table as one of another type",
        Trap::IntegerDivisionByZero => "it divided by zero",
        Trap::IntegerOverflow => "a division of it overflowed",
        Trap::BadConversionToInteger => "it made an integer of a number that does not fit one",
        other => {
            let text = other.to_string();
            return text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned();
        }
    };
    words.to_owned()
}

/// Names the limit that ended a call; `otherwise` names the rest.
fn fault(
    error: &wasmtime::Error,
    limits: &Limits,
    fuel: Fuel,
    otherwise: impl FnOnce(String) -> PolicyFault,
) -> PolicyFault {
    if let Some(fault) = error.downcast_ref::<PolicyFault>() {
        return fault.clone();
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return otherwise(one_line(error));
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other traps are the guest's own"
    )]
    match trap {
        Trap::OutOfFuel => PolicyFault::Fuel {
            limit: fuel.units,
            setting: fuel.setting,
        },
        Trap::Interrupt => PolicyFault::Deadline {
            millis: limits.deadline.as_millis(),
        },
        Trap::StackOverflow => PolicyFault::Stack {
            limit: limits.stack_bytes,
        },
        other => PolicyFault::Trap(what_it_did(*other)),
    }
}

fn defect(error: &wasmtime::Error) -> PolicyFault {
    PolicyFault::Instantiation(one_line(error))
}

fn derivation(answer: naming::Derivation) -> Derivation {
    Derivation {
        path: answer.path,
        selectors: answer.selectors,
    }
}

fn denial(answer: naming::Denial) -> Denial {
    let valid = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let known = (1..=64).contains(&answer.code.len()) && answer.code.bytes().all(valid);
    Denial {
        code: if known {
            answer.code
        } else {
            "unspecified".to_owned()
        },
        detail: printable(&answer.detail, 512),
    }
}

fn problem(problem: naming::Problem) -> SettingProblem {
    SettingProblem {
        pointer: printable(&problem.pointer, 256),
        message: printable(&problem.message, 512),
    }
}
