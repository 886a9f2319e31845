//! The messages and services of SPIRE's plugin protocol, and of the Workload API.
//!
//! Generated from the definitions in this crate's `proto/`; the test `proto`
//! compares. Public for whoever plays the other side of the protocol.
#![expect(
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

/// go-plugin's own services.
pub mod plugin {
    include!("proto/plugin.rs");
}

/// `spire.service.private.init.v1`.
pub mod init {
    include!("proto/spire.service.private.init.v1.rs");
}

/// `spire.service.common.config.v1`.
pub mod config {
    include!("proto/spire.service.common.config.v1.rs");
}

/// `spire.plugin.server.nodeattestor.v1`.
pub mod nodeattestor {
    include!("proto/spire.plugin.server.nodeattestor.v1.rs");
}

/// `spire.plugin.agent.nodeattestor.v1`.
pub mod agent_nodeattestor {
    include!("proto/spire.plugin.agent.nodeattestor.v1.rs");
}

/// `spire.hostservice.server.agentstore.v1`.
pub mod agentstore {
    include!("proto/spire.hostservice.server.agentstore.v1.rs");
}

/// `spire.hostservice.server.identityprovider.v1`, without the private key that
/// SPIRE sends along.
pub mod identityprovider {
    include!("proto/spire.hostservice.server.identityprovider.v1.rs");
}

/// `spire.hostservice.common.metrics.v1`.
pub mod metrics {
    include!("proto/spire.hostservice.common.metrics.v1.rs");
}

/// The SPIFFE Workload API, as far as it is asked.
pub mod workload {
    use std::fmt;

    include!("proto/workload.rs");

    /// Shows whose it is, and neither certificate nor key.
    impl fmt::Debug for X509svid {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("X509svid")
                .field("spiffe_id", &self.spiffe_id)
                .finish_non_exhaustive()
        }
    }
}
