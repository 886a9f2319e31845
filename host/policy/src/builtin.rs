//! The policies that ship with the host.
//!
//! Built reproducibly from `policies/*/` and checked in beside the sources;
//! `.ci/run` builds them again and compares.

/// A policy that ships with the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// The NAME of `builtin:NAME`.
    pub name: &'static str,
    /// Its component.
    pub component: &'static [u8],
}

/// Every policy that ships, by name.
pub const BUILTINS: [Builtin; 6] = [
    Builtin {
        name: "node",
        component: include_bytes!("../../../policies/node.wasm"),
    },
    Builtin {
        name: "pod",
        component: include_bytes!("../../../policies/pod.wasm"),
    },
    Builtin {
        name: "subject",
        component: include_bytes!("../../../policies/subject.wasm"),
    },
    Builtin {
        name: "template",
        component: include_bytes!("../../../policies/template.wasm"),
    },
    Builtin {
        name: "thumbprint",
        component: include_bytes!("../../../policies/thumbprint.wasm"),
    },
    Builtin {
        name: "uuid",
        component: include_bytes!("../../../policies/uuid.wasm"),
    },
];

impl Builtin {
    /// The policy called `name`, if there is one.
    pub fn find(name: &str) -> Option<Self> {
        BUILTINS.into_iter().find(|builtin| builtin.name == name)
    }
}
