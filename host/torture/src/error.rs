//! Why there is no report.

use crate::component::AssemblyError;
use nameplate_attestor::NamingError;
use nameplate_policy::SandboxError;

/// Why attacks could not be made, or not be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TortureError {
    /// A hostile component cannot be assembled: a defect of ours.
    #[error("an attack cannot be made")]
    Assembly(#[from] AssemblyError),
    /// A throw-away certificate cannot be made.
    #[error("a throw-away certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// A throw-away key cannot be made or used.
    #[error("a throw-away {0} cannot be made")]
    Key(&'static str),
    /// The policy of the configuration cannot be loaded.
    #[error("the policy of `{target}` cannot be loaded")]
    Policy {
        /// The attestor, and the cluster.
        target: String,
        /// Why.
        #[source]
        source: NamingError,
    },
    /// There is no sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// What has to be accepted is not: nothing that follows would mean anything.
    #[error("good evidence for `{target}` is not accepted: {why}")]
    Twin {
        /// The attestor, and the cluster.
        target: String,
        /// What refused it.
        why: String,
    },
}
