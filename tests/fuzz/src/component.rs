//! Components: the checks before a compiler sees one, the compiler, and what
//! an instance may do.

use crate::fit_to_show;
use nameplate_policy::{
    Interface, Limits, LoadError, Manifest, Policy, PolicyRequest, PolicySource, Sandbox,
};
use nameplate_tests::{facts, guest, patient};
use std::sync::LazyLock;

/// Policies that bytes are changed in.
static BASES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    ["good", "counts_in_memory", "table_grown", "utf16_good"]
        .iter()
        .map(|name| guest::file(name).bytes)
        .collect()
});

/// A component, or changes of one that is known: its number, and then where
/// (two bytes) and what (one byte).
pub(crate) fn component(bytes: &[u8]) {
    static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new().unwrap());
    let component = match bytes.split_first() {
        Some((number, changes)) if usize::from(*number) < BASES.len() => {
            let mut component = BASES[usize::from(*number)].clone();
            for change in changes.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
                let length = component.len();
                component[at % length] = change[2];
            }
            component
        }
        _ => bytes.to_vec(),
    };
    if let Err(error) = Interface::read(&component) {
        fit_to_show(&error);
    }
    let manifest = Manifest::read(&component);
    for text in [manifest.name, manifest.version, manifest.description] {
        assert!(text.is_none_or(|text| !text.chars().any(char::is_control)));
    }
    let source = PolicySource::Bytes(component.into());
    let request = PolicyRequest {
        limits: Limits {
            fuel: 100_000,
            configure_fuel: 100_000,
            ..patient()
        },
        ..PolicyRequest::new(source)
    };
    match Policy::load(&SANDBOX, &request) {
        Ok(policy) => {
            assert_eq!(policy.interface().imports, Vec::<String>::new());
            let facts = facts::bound();
            let answer = policy.derive(&facts);
            // Nothing that it did outlives the question.
            assert_eq!(policy.derive(&facts), answer);
            if let Err(fault) = answer {
                fit_to_show(&fault);
                assert_ne!(fault.reason(), "host_panic");
            }
        }
        Err(LoadError::Configure(fault)) => assert_ne!(fault.reason(), "host_panic"),
        Err(error) => fit_to_show(&error),
    }
}
