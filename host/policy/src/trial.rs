//! Asks a component under many settings, compiling it once.
//!
//! For a policy's own cases: each has settings of its own, and none of them
//! is worth a configured component of its own.

use crate::contract;
use crate::derivation::{SettingProblem, Verdict};
use crate::error::{LoadError, PolicyFault};
use crate::facts::Facts;
use crate::instance::{Instance, Prepared, contained};
use crate::limits::Limits;
use crate::sandbox::Sandbox;
use crate::segments;
use crate::structure;
use std::fmt;

/// A compiled component that takes new settings with every question.
///
/// Gives the answers, fuel and faults that a [`Policy`](crate::Policy) of the
/// same component, settings and limits gives.
pub struct Trial {
    prepared: Prepared,
    limits: Limits,
}

/// How a component answered in a [`Trial`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialAnswer {
    /// It took the settings and answered.
    Verdict(Verdict),
    /// It refused the settings.
    SettingsRefused(Vec<SettingProblem>),
    /// It gave no usable answer.
    Fault(PolicyFault),
}

impl Trial {
    /// Checks and compiles a component, as loading a policy does.
    ///
    /// # Errors
    /// [`LoadError`], as [`Policy::load`](crate::Policy::load) without settings.
    pub fn new(sandbox: &Sandbox, component: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        contract::check_kind(component)?;
        let bounded = structure::check(component, limits)?;
        contract::check(component)?;
        let compile = |error: wasmtime::Error| LoadError::Compile(contract::one_line(&error));
        let engine = sandbox.engine(limits).map_err(compile)?;
        let lean = segments::lean(component, limits.memory_bytes);
        Ok(Self {
            prepared: Prepared::compile(&engine, &lean, bounded).map_err(compile)?,
            limits: limits.clone(),
        })
    }

    /// Asks a fresh instance, configured with `settings`.
    pub fn ask(&self, settings: &serde_json::Value, facts: &Facts) -> TrialAnswer {
        let answer = contained(|| {
            let mut instance = Instance::new(&self.prepared, &self.limits)?;
            match instance.configure(&settings.to_string())? {
                Ok(()) => instance.derive(facts).map(TrialAnswer::Verdict),
                Err(problems) => Ok(TrialAnswer::SettingsRefused(problems)),
            }
        });
        answer.unwrap_or_else(TrialAnswer::Fault)
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").finish_non_exhaustive()
    }
}
