//! Pays for the settings once: a component whose memory already is what
//! `configure` left behind.
//!
//! The state of the configured instance is written back into the component
//! as its initial memory, so an instance for one decision starts configured.
//! Some components cannot be written back (engines with tables that change,
//! nested modules); they are configured in every instance instead, with the
//! same answers and the same fuel for `derive`.

use crate::contract::one_line;
use crate::derivation::SettingProblem;
use crate::error::PolicyFault;
use crate::instance::{Instance, Ledger, Prepared};
use crate::limits::Limits;
use crate::segments::lean;
use crate::structure::Bounded;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::component::{ComponentNamedList, Lift};
use wasmtime::{Engine, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

/// How the attempt ended.
pub(crate) enum Attempt {
    /// A component that starts configured.
    Taken(Prepared),
    /// The policy's own answer: there is nothing to fall back to.
    Refused(Vec<SettingProblem>),
    /// The policy failed in `configure`.
    Failed(PolicyFault),
    /// This component cannot be written back; why, for `policy inspect`.
    Unsuitable(String),
}

/// Configures an instance of a [`lean`] component and writes its state back.
/// The rewriting tool keeps some 600 bytes for each section, so unread sections
/// are left out first.
pub(crate) fn take(
    engine: &Engine,
    bytes: &[u8],
    bounded: Bounded,
    settings: &str,
    limits: &Limits,
) -> Attempt {
    // The rewriting tool panics where it meets what it does not support.
    catch_unwind(AssertUnwindSafe(|| {
        attempt(engine, bytes, bounded, settings, limits)
    }))
    .unwrap_or_else(|_| Attempt::Unsuitable("its state cannot be read back".to_owned()))
}

fn attempt(
    engine: &Engine,
    bytes: &[u8],
    bounded: Bounded,
    settings: &str,
    limits: &Limits,
) -> Attempt {
    let unsuitable = |error: wasmtime::Error| Attempt::Unsuitable(one_line(&error));
    let wizer = Wizer::new();
    let (context, instrumented) = match wizer.instrument_component(bytes) {
        Ok(instrumented) => instrumented,
        Err(error) => return unsuitable(error),
    };
    let pre = match Prepared::compile(engine, &instrumented, bounded) {
        Ok(pre) => pre,
        Err(error) => return unsuitable(error),
    };
    let mut instance = match Instance::new(&pre, limits) {
        Ok(instance) => instance,
        Err(fault) => return Attempt::Failed(fault),
    };
    match instance.configure(settings) {
        Ok(Ok(())) => {}
        Ok(Err(problems)) => return Attempt::Refused(problems),
        Err(fault) => return Attempt::Failed(fault),
    }
    let mut readings = match instance.into_state() {
        Ok(state) => Readings {
            state,
            memories: BTreeMap::new(),
        },
        Err(fault) => return Attempt::Failed(fault),
    };
    let snapshot = now(wizer.snapshot_component(&context, &mut readings));
    if let Some(why) = readings.state.failed {
        return Attempt::Unsuitable(why);
    }
    match snapshot {
        // A snapshot has a segment for each run of bytes that is not zero.
        Some(Ok(bytes)) => {
            let bytes = lean(&bytes, limits.memory_bytes);
            match Prepared::compile(engine, &bytes, bounded) {
                Ok(pre) => Attempt::Taken(pre),
                Err(error) => unsuitable(error),
            }
        }
        Some(Err(error)) => unsuitable(error),
        None => Attempt::Unsuitable("its state cannot be read at once".to_owned()),
    }
}

/// A future that is ready when it is first asked. Reading state back is: the
/// accessors are plain exports of the instrumented component.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Access to the state of a configured instance.
pub(crate) struct State {
    pub(crate) store: Store<Ledger>,
    pub(crate) instance: wasmtime::component::Instance,
    /// The first accessor that failed. The trait has no way to say so.
    pub(crate) failed: Option<String>,
}

impl State {
    fn read<T>(&mut self, interface: &str, function: &str) -> Option<T>
    where
        (T,): ComponentNamedList + Lift + 'static,
    {
        let read = |state: &mut Self| {
            let interface = state
                .instance
                .get_export_index(&mut state.store, None, interface);
            let function = state
                .instance
                .get_export_index(&mut state.store, interface.as_ref(), function)
                .ok_or_else(|| wasmtime::Error::msg("an accessor is missing"))?;
            let function = state
                .instance
                .get_typed_func::<(), (T,)>(&mut state.store, function)?;
            let (value,) = function.call(&mut state.store, ())?;
            Ok(value)
        };
        match read(self) {
            Ok(value) => Some(value),
            Err(error) => {
                let error: wasmtime::Error = error;
                self.failed.get_or_insert_with(|| one_line(&error));
                None
            }
        }
    }
}

/// What was read of that state.
struct Readings {
    state: State,
    /// Contents of memories, by their accessors.
    memories: BTreeMap<String, Vec<u8>>,
}

impl Readings {
    /// The contents of a memory, read once. Its accessor grows it by a page for
    /// the answer, so a second call may meet the limit where the first did not;
    /// the rewriting tool, which asks twice, would cut out of what is then
    /// nothing, and panic.
    fn memory(&mut self, interface: &str, function: &str) -> &[u8] {
        let accessor = format!("{interface}#{function}");
        let state = &mut self.state;
        self.memories
            .entry(accessor)
            .or_insert_with(|| state.read(interface, function).unwrap_or_default())
    }
}

impl ComponentInstanceState for Readings {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        function: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        contents(self.memory(instance, function));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, function: &str) -> i32 {
        self.state.read(instance, function).unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, function: &str) -> i64 {
        self.state.read(instance, function).unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, function: &str) -> u32 {
        let value: f32 = self.state.read(instance, function).unwrap_or_default();
        value.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, function: &str) -> u64 {
        let value: f64 = self.state.read(instance, function).unwrap_or_default();
        value.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Policy, PolicyRequest, PolicySource, Sandbox, Start};

    #[test]
    fn a_page_more_than_the_policy_needs_is_enough_to_read_its_memory() {
        let sandbox = Sandbox::new().unwrap();
        let start = |pages: usize| {
            let mut request = PolicyRequest::new(PolicySource::parse("builtin:uuid"));
            request.limits = Limits {
                memory_bytes: pages << 16,
                ..Limits::default()
            };
            let policy = Policy::load(&sandbox, &request).ok()?;
            Some(policy.start().clone())
        };
        let least = (1..64).find(|pages| start(*pages).is_some()).unwrap();
        // An accessor has no page for its answer, and says so; nothing panics.
        let Some(Start::Unconfigured { reason }) = start(least) else {
            panic!("{:?}", start(least));
        };
        assert_ne!(reason, "its state cannot be read back");
        assert_eq!(start(least + 1), Some(Start::Configured));
    }
}
