//! `export!`: makes a component of a function.
//!
//! Responsible for the glue between the contract's two functions and the
//! author's one. Trusts the host to call `configure` before `derive`, and
//! traps where it does not: a name must never come from settings that nobody
//! chose.

/// Exports a policy.
///
/// `export!(derive)` takes a `fn(&Facts) -> Result<Derivation, Denial>`; the
/// component then accepts no settings. `export!(derive, settings = S)` takes a
/// `fn(&S, &Facts) -> Result<Derivation, Denial>` for an `S` that implements
/// [`Settings`](crate::Settings).
///
/// Once per crate, whose type has to be `cdylib`. Symbols are exported for
/// WebAssembly only, so the same crate's tests build as usual.
///
/// ```
/// use nameplate_guest::{Denial, Derivation, Facts};
///
/// fn derive(facts: &Facts) -> Result<Derivation, Denial> {
///     Ok(Derivation { path: vec![facts.attestation_id.clone()], selectors: vec![] })
/// }
///
/// nameplate_guest::export!(derive);
/// ```
#[macro_export]
macro_rules! export {
    ($derive:path $(,)?) => {
        const _: () = {
            struct Policy;

            impl $crate::bindings::exports::nameplate::policy::naming::Guest for Policy {
                fn configure(
                    settings: ::std::string::String,
                ) -> ::core::result::Result<(), ::std::vec::Vec<$crate::Problem>> {
                    $crate::none(&settings)
                }

                fn derive(
                    facts: $crate::Facts,
                ) -> ::core::result::Result<$crate::Derivation, $crate::Denial> {
                    $derive(&facts)
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::__export_naming!(Policy with_types_in $crate::bindings);
        };
    };
    ($derive:path, settings = $settings:ty $(,)?) => {
        const _: () = {
            struct Policy;

            // A component has one thread: this is one place in its memory,
            // which the host snapshots after `configure`.
            ::std::thread_local! {
                static SETTINGS: ::core::cell::RefCell<::core::option::Option<$settings>> =
                    const { ::core::cell::RefCell::new(::core::option::Option::None) };
            }

            impl $crate::bindings::exports::nameplate::policy::naming::Guest for Policy {
                fn configure(
                    settings: ::std::string::String,
                ) -> ::core::result::Result<(), ::std::vec::Vec<$crate::Problem>> {
                    let settings = $crate::parse::<$settings>(&settings)?;
                    SETTINGS.set(::core::option::Option::Some(settings));
                    ::core::result::Result::Ok(())
                }

                fn derive(
                    facts: $crate::Facts,
                ) -> ::core::result::Result<$crate::Derivation, $crate::Denial> {
                    SETTINGS.with_borrow(|settings| match settings {
                        ::core::option::Option::Some(settings) => $derive(settings, &facts),
                        ::core::option::Option::None => {
                            ::core::panic!("`derive` was called before `configure`")
                        }
                    })
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::__export_naming!(Policy with_types_in $crate::bindings);
        };
    };
}
