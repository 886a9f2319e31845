//! The Rust face of `wit/`, generated. Nothing else lives here.
#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::use_self,
    clippy::map_err_ignore,
    reason = "generated code; the contract is documented in wit/"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "policy",
    ownership: Borrowing { duplicate_if_necessary: false },
});

pub(crate) use exports::nameplate::policy::naming;
