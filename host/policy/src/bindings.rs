//! The Rust face of `wit/`, generated. Nothing else lives here.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "policy",
    ownership: Borrowing { duplicate_if_necessary: false },
});

pub(crate) use exports::nameplate::policy::naming;
