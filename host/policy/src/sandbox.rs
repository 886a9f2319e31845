//! The engines that policies run on, and the clock that bounds them.

use crate::digest::Digest;
use crate::limits::Limits;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;
use wasmtime::{Config, Engine, EngineWeak};

/// Where policies are compiled and run; cheap to clone.
///
/// A process needs one. It holds the compiled-code engine and one thread that
/// moves the epoch forward, which is the net under [`Limits::deadline`]. The
/// thread ends with the last clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

/// What runs a policy: answers and fuel are the same by either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Machine code that Cranelift made. What serves.
    #[default]
    Native,
    /// Pulley, wasmtime's interpreter: some ten times slower, and another
    /// program's word for what a policy answers.
    Interpreter,
}

struct Inner {
    backend: Backend,
    /// The stack bound is a property of an engine, so each distinct
    /// [`Limits::stack_bytes`] has its own. Policies never cross engines.
    engines: Arc<Mutex<BTreeMap<usize, Engine>>>,
    ticker: Option<(JoinHandle<()>, Arc<()>)>,
}

impl Sandbox {
    /// Starts a sandbox.
    ///
    /// # Errors
    /// [`SandboxError`] when the system gives no thread for the epoch clock.
    pub fn new() -> Result<Self, SandboxError> {
        Self::on(Backend::Native)
    }

    /// Starts a sandbox whose policies run on `backend`.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub fn on(backend: Backend) -> Result<Self, SandboxError> {
        let engines = Arc::new(Mutex::new(BTreeMap::new()));
        // The ticker runs for as long as somebody else holds `alive`.
        let alive = Arc::new(());
        let ticker = {
            let engines = Arc::clone(&engines);
            let alive = Arc::downgrade(&alive);
            thread::Builder::new()
                .name("nameplate-epoch".to_owned())
                .spawn(move || {
                    while alive.strong_count() > 0 {
                        wait_one_tick();
                        for engine in weak_engines(&engines) {
                            if let Some(engine) = engine.upgrade() {
                                engine.increment_epoch();
                            }
                        }
                    }
                })
                .map_err(SandboxError)?
        };
        Ok(Self(Arc::new(Inner {
            backend,
            engines,
            ticker: Some((ticker, alive)),
        })))
    }

    /// Which engine decides here. Fuel can be compared where it is equal, by
    /// whichever [`Backend`].
    pub fn identity(&self) -> EngineIdentity {
        EngineIdentity::of(&configuration(*Limits::STACK_BYTES.end()))
    }

    /// The engine for policies under `limits`.
    pub(crate) fn engine(&self, limits: &Limits) -> wasmtime::Result<Engine> {
        let stack = limits
            .stack_bytes
            .clamp(*Limits::STACK_BYTES.start(), *Limits::STACK_BYTES.end());
        let mut engines = self
            .0
            .engines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = engines.get(&stack) {
            return Ok(engine.clone());
        }
        let mut configuration = configuration(stack);
        if self.0.backend == Backend::Interpreter {
            configuration.target("pulley64")?;
        }
        let engine = Engine::new(&configuration)?;
        engines.insert(stack, engine.clone());
        Ok(engine)
    }
}

/// Version of the engine; a test compares it with what is built.
const ENGINE_VERSION: &str = "wasmtime 48.0.8";

/// Which engine ran a policy, and with which settings.
///
/// What an instruction costs in fuel changes between versions, so two amounts
/// of fuel can be compared where both are equal here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineIdentity {
    /// Name and version.
    pub version: String,
    /// Digest of its settings: features, costs, memory layout.
    pub configuration: Digest,
}

impl EngineIdentity {
    fn of(config: &Config) -> Self {
        let text = format!("{config:?}");
        // Some of the settings stand in maps without an order.
        let mut settings: Vec<_> = text.split(['{', '}', ',']).map(str::trim).collect();
        settings.sort_unstable();
        Self {
            version: ENGINE_VERSION.to_owned(),
            configuration: Digest::of(settings.join("\n").as_bytes()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((ticker, alive)) = self.ticker.take() {
            drop(alive);
            ticker.thread().unpark();
            // It holds nothing and ends within a tick; a panic there has no one to tell.
            drop(ticker);
        }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

/// A sandbox that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no thread for the epoch clock")]
pub struct SandboxError(#[source] std::io::Error);

fn wait_one_tick() {
    let end = Instant::now() + Limits::EPOCH_TICK;
    // `park_timeout` may return early; an early epoch would shorten deadlines.
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if left.is_zero() {
            break;
        }
        thread::park_timeout(left);
    }
}

fn weak_engines(engines: &Mutex<BTreeMap<usize, Engine>>) -> Vec<EngineWeak> {
    let engines = engines.lock().unwrap_or_else(PoisonError::into_inner);
    engines.values().map(Engine::weak).collect()
}

/// What a policy may use, and how its memory is laid out.
///
/// Two aims. *Determinism*: equal components, settings and facts give equal
/// answers and equal fuel, so every feature whose result may differ between
/// machines is off. *A cheap fresh instance*: memory comes from the allocator
/// with explicit bounds checks, so that an instance costs no system call, and
/// threads do not queue for the address space. The four memory settings only
/// work together; with one of them missing wasmtime goes back to `mmap`.
fn configuration(stack_bytes: usize) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(stack_bytes)
        .cranelift_nan_canonicalization(true)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_extended_const(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .signals_based_traps(false)
        .memory_reservation(0)
        .memory_guard_size(0)
        .memory_reservation_for_growth(64 << 10)
        .memory_init_cow(false)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None)
        .concurrency_support(false);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_says_which_it_is() {
        let lock = include_str!("../../../Cargo.lock");
        let (name, version) = ENGINE_VERSION.split_once(' ').unwrap();
        let built = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(
            lock.contains(&built),
            "{ENGINE_VERSION} is not what is built"
        );

        let identity = Sandbox::new().unwrap().identity();
        assert_eq!(identity, Sandbox::new().unwrap().identity());
        let mut other = configuration(*Limits::STACK_BYTES.end());
        other.cranelift_nan_canonicalization(false);
        assert_ne!(EngineIdentity::of(&other), identity);
    }

    #[test]
    fn equal_stacks_share_an_engine_and_others_do_not() {
        let sandbox = Sandbox::new().unwrap();
        let limits = Limits::default();
        let larger = Limits {
            stack_bytes: limits.stack_bytes * 2,
            ..limits.clone()
        };
        let engine = sandbox.engine(&limits).unwrap();
        assert!(Engine::same(&engine, &sandbox.engine(&limits).unwrap()));
        assert!(!Engine::same(&engine, &sandbox.engine(&larger).unwrap()));
    }
}
