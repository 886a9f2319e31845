//! Each limit by itself, the clock, and callers of every kind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::chain;
use nameplate_policy::{
    Limits, LoadError, Policy, PolicyFault, PolicyRequest, PolicySource, Sandbox, StructureError,
};
use nameplate_tests::guest::{self, Guest};
use nameplate_tests::{Watchdog, facts, patient};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Limits that no guest of these tests meets.
fn unlimited() -> Limits {
    Limits {
        component_bytes: usize::MAX,
        nesting: usize::MAX,
        functions: usize::MAX,
        function_bytes: usize::MAX,
        locals: usize::MAX,
        joins: usize::MAX,
        indirect_calls: usize::MAX,
        component_instances: usize::MAX,
        declarations: usize::MAX,
        segments: usize::MAX,
        settings_bytes: usize::MAX,
        fuel: u64::MAX / 2,
        configure_fuel: u64::MAX / 2,
        deadline: Duration::from_hours(1),
        memory_bytes: usize::MAX,
        table_elements: usize::MAX,
        instances: usize::MAX,
        memories: usize::MAX,
        tables: usize::MAX,
        stack_bytes: 1 << 20,
        lifted_bytes: usize::MAX,
    }
}

fn load(sandbox: &Sandbox, guest: &Guest, limits: &Limits) -> Result<Policy, LoadError> {
    let source = PolicySource::Bytes(guest.bytes.clone().into());
    let request = PolicyRequest {
        limits: limits.clone(),
        ..PolicyRequest::new(source)
    };
    Policy::load(sandbox, &request)
}

/// The fault of a guest, whether it shows in `configure` or in `derive`.
fn fault(guest: Guest, limits: Limits) -> PolicyFault {
    Watchdog::watch(&guest.name.clone(), move || {
        let sandbox = Sandbox::new().unwrap();
        match load(&sandbox, &guest, &limits) {
            Ok(policy) => policy.derive(&facts::bound()).unwrap_err(),
            Err(LoadError::Configure(fault)) => fault,
            Err(error) => panic!("{}: {}", guest.name, chain(&error)),
        }
    })
}

/// M3 of the prior art: a limit that only works while another one is set.
mod alone {
    use super::*;

    #[test]
    fn fuel() {
        for guest in [
            "loop_in_derive",
            "loop_through_calls",
            "loop_in_post_return",
        ] {
            let limits = Limits {
                fuel: 1_000_000,
                ..unlimited()
            };
            let expected = PolicyFault::Fuel {
                limit: 1_000_000,
                setting: "fuel",
            };
            assert_eq!(fault(guest::file(guest), limits), expected, "{guest}");
        }
    }

    #[test]
    fn configure_fuel() {
        for guest in ["loop_in_configure", "loop_in_start", "loop_in_realloc"] {
            let limits = Limits {
                configure_fuel: 1_000_000,
                ..unlimited()
            };
            let expected = PolicyFault::Fuel {
                limit: 1_000_000,
                setting: "configure_fuel",
            };
            assert_eq!(fault(guest::file(guest), limits), expected, "{guest}");
        }
    }

    #[test]
    fn deadline() {
        for guest in [
            "loop_in_derive",
            "loop_in_configure",
            "loop_in_start",
            "loop_in_realloc",
            "loop_in_post_return",
        ] {
            let limits = Limits {
                deadline: Duration::from_millis(20),
                ..unlimited()
            };
            let expected = PolicyFault::Deadline { millis: 20 };
            assert_eq!(fault(guest::file(guest), limits), expected, "{guest}");
        }
    }

    #[test]
    fn memory() {
        for (guest, bytes) in [
            ("memory_grown_at_once", 4 << 30),
            ("memory_grown_page_by_page", (1 << 20) + (64 << 10)),
            ("memory_over_many", 2 << 20),
            ("memory_grown_over_many", 2 << 20),
            ("memory_at_first", 64 << 20),
        ] {
            let limits = Limits {
                memory_bytes: 1 << 20,
                ..unlimited()
            };
            let fault = fault(guest::file(guest), limits);
            let PolicyFault::Memory {
                bytes: found,
                limit,
            } = fault
            else {
                panic!("{guest}: {fault:?}");
            };
            assert_eq!(limit, 1 << 20, "{guest}");
            // The guest's own memory of a page may have come first.
            let likely = bytes..=bytes + (256 << 10);
            assert!(likely.contains(&found), "{guest}: {found}");
        }
    }

    #[test]
    fn table_elements() {
        for (guest, elements) in [
            ("table_at_first", 1_000_000),
            ("table_over_many", 12_000),
            ("table_grown", 10_241),
        ] {
            let limits = Limits {
                table_elements: 10_000,
                ..unlimited()
            };
            let expected = PolicyFault::Table {
                elements,
                limit: 10_000,
            };
            assert_eq!(fault(guest::file(guest), limits), expected, "{guest}");
        }
    }

    #[test]
    fn instances() {
        let limits = Limits {
            instances: 3,
            ..unlimited()
        };
        let sandbox = Sandbox::new().unwrap();
        let refused = load(&sandbox, &guest::file("memory_over_many"), &limits);
        let Err(LoadError::Structure(StructureError::TooMuch { setting, found, .. })) = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!((setting, found), ("instances", 4));
    }

    #[test]
    fn memories() {
        let limits = Limits {
            memories: 4,
            ..unlimited()
        };
        let fault = fault(guest::file("memories_without_end"), limits);
        assert_eq!(fault.reason(), "policy_instantiation", "{fault}");
    }

    #[test]
    fn tables() {
        let limits = Limits {
            tables: 8,
            ..unlimited()
        };
        let fault = fault(guest::file("tables_without_end"), limits);
        assert_eq!(fault.reason(), "policy_instantiation", "{fault}");
    }

    #[test]
    fn stack() {
        for guest in [
            "recursion_in_derive",
            "recursion_in_start",
            "recursion_in_realloc",
        ] {
            for stack_bytes in [64 << 10, 1 << 20] {
                let limits = Limits {
                    stack_bytes,
                    ..unlimited()
                };
                let expected = PolicyFault::Stack { limit: stack_bytes };
                assert_eq!(fault(guest::file(guest), limits), expected, "{guest}");
            }
        }
    }

    #[test]
    fn lifted_bytes() {
        for guest in [
            "string_of_10_mib",
            "selectors_a_million_empty",
            "selectors_a_million_to_one_text",
            "selectors_1000_to_one_text",
            "problems_a_million",
        ] {
            let limits = Limits {
                lifted_bytes: 64 << 10,
                ..unlimited()
            };
            let fault = fault(guest::file(guest), limits);
            assert_eq!(fault.reason(), "policy_answer", "{guest}: {fault}");
        }
    }

    #[test]
    fn what_is_checked_before_compiling() {
        let sandbox = Sandbox::new().unwrap();
        let of = |name: &str| {
            let guests = guest::generated();
            guests.into_iter().find(|guest| guest.name == name).unwrap()
        };
        let cases: [(&str, &str, Limits); 13] = [
            (
                "nests 513 blocks",
                "nesting",
                Limits {
                    nesting: 512,
                    ..unlimited()
                },
            ),
            (
                "nests 65 components",
                "nesting",
                Limits {
                    nesting: 512,
                    ..unlimited()
                },
            ),
            (
                "has 10001 functions",
                "functions",
                Limits {
                    functions: 10_000,
                    ..unlimited()
                },
            ),
            (
                "has a function of 70000 bytes",
                "function_bytes",
                Limits {
                    function_bytes: 64 << 10,
                    ..unlimited()
                },
            ),
            (
                "has 150000 locals in three functions",
                "locals",
                Limits {
                    locals: 100_000,
                    ..unlimited()
                },
            ),
            (
                "joins 6000 variables in 500 loops",
                "joins",
                Limits {
                    joins: 500_000,
                    ..unlimited()
                },
            ),
            (
                "runs 5000 loops one after another",
                "joins",
                Limits {
                    joins: 500_000,
                    ..unlimited()
                },
            ),
            (
                "calls through a table 8000 times",
                "indirect_calls",
                Limits {
                    indirect_calls: 256,
                    ..unlimited()
                },
            ),
            (
                "doubles its instances 24 times",
                "component_instances",
                Limits {
                    component_instances: 16,
                    ..unlimited()
                },
            ),
            (
                "doubles a bag of instances 24 times",
                "declarations",
                Limits {
                    declarations: 50_000,
                    ..unlimited()
                },
            ),
            (
                "closes over two components 40 times",
                "declarations",
                Limits {
                    declarations: 50_000,
                    ..unlimited()
                },
            ),
            (
                "has 2000 data segments that it names",
                "segments",
                Limits {
                    segments: 1_000,
                    ..unlimited()
                },
            ),
            (
                "sets 100000 elements of a table",
                "table_elements",
                Limits {
                    table_elements: 10_000,
                    ..unlimited()
                },
            ),
        ];
        for (name, expected, limits) in cases {
            match load(&sandbox, &of(name), &limits) {
                Err(LoadError::Structure(StructureError::TooMuch { setting, .. })) => {
                    assert_eq!(setting, expected, "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        let limits = Limits {
            component_bytes: 512 << 10,
            ..unlimited()
        };
        assert!(matches!(
            load(&sandbox, &of("has 600 KiB of custom sections"), &limits),
            Err(LoadError::TooLarge { .. })
        ));
    }

    #[test]
    fn settings_bytes() {
        let sandbox = Sandbox::new().unwrap();
        let source = PolicySource::Bytes(guest::file("good").bytes.into());
        let mut request = PolicyRequest {
            settings: serde_json::json!({"a": "0123456789"}),
            limits: Limits {
                settings_bytes: 18,
                ..unlimited()
            },
            ..PolicyRequest::new(source)
        };
        Policy::load(&sandbox, &request).unwrap();
        request.limits.settings_bytes = 17;
        let error = Policy::load(&sandbox, &request).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the settings have 18 bytes, at most 17 allowed (limit `settings_bytes`)"
        );
    }

    /// And their twin: with every limit out of the way nothing is in the way.
    #[test]
    fn none() {
        let sandbox = Sandbox::new().unwrap();
        let policy = load(&sandbox, &guest::file("good"), &unlimited()).unwrap();
        let verdict = policy.derive(&facts::bound()).unwrap();
        assert_eq!(verdict.answer.unwrap().path, ["good"]);
    }
}

/// M5 of the prior art: the clock of one policy ends the calls of another.
#[test]
fn one_policy_runs_out_of_time_and_the_other_answers() {
    let slow = Limits {
        deadline: Duration::from_millis(30),
        ..unlimited()
    };
    let starved = Limits {
        fuel: 1_000_000,
        ..patient()
    };
    for (limits, reason) in [(slow, "policy_deadline"), (starved, "policy_fuel")] {
        Watchdog::watch(reason, move || {
            let sandbox = Sandbox::new().unwrap();
            let looping = load(&sandbox, &guest::file("loop_in_derive"), &limits).unwrap();
            let good = load(&sandbox, &guest::file("good"), &patient()).unwrap();
            let expected = good.derive(&facts::bound());
            let over = AtomicBool::new(false);
            let answered = thread::scope(|scope| {
                let answers = scope.spawn(|| {
                    let mut answered = 0;
                    while !over.load(Ordering::Relaxed) || answered == 0 {
                        assert_eq!(good.derive(&facts::bound()), expected);
                        answered += 1;
                    }
                    answered
                });
                for _ in 0..5 {
                    let fault = looping.derive(&facts::bound()).unwrap_err();
                    assert_eq!(fault.reason(), reason);
                }
                over.store(true, Ordering::Relaxed);
                answers.join().unwrap()
            });
            assert!(answered > 0);
        });
    }
}

/// M13 of the prior art: a library that works everywhere but inside a runtime.
#[test]
fn a_policy_answers_inside_an_asynchronous_runtime() {
    let sandbox = Sandbox::new().unwrap();
    let good = Arc::new(load(&sandbox, &guest::file("good"), &patient()).unwrap());
    let expected = good.derive(&facts::bound());
    let hostile = guest::file("loop_in_configure");

    let current = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    current.block_on(async {
        let loaded = load(&sandbox, &hostile, &patient());
        assert!(matches!(
            loaded,
            Err(LoadError::Configure(PolicyFault::Fuel { .. }))
        ));
        assert_eq!(good.derive(&facts::bound()), expected);
    });

    let several = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    several.block_on(async {
        let asked: Vec<_> = (0..16)
            .map(|_| {
                let (good, sandbox, hostile) = (good.clone(), sandbox.clone(), hostile.clone());
                tokio::spawn(async move {
                    assert!(load(&sandbox, &hostile, &patient()).is_err());
                    good.derive(&facts::bound())
                })
            })
            .collect();
        for answer in asked {
            assert_eq!(answer.await.unwrap(), expected);
        }
    });
}

/// M8 of the prior art: a tool with other limits than the server's.
#[test]
fn a_configuration_without_limits_has_the_defaults() {
    use nameplate_attestor::config::Config;

    let folder = tempfile::tempdir().unwrap();
    nameplate_tests::Clusters::new().write_keys(folder.path());
    let text = "
        trust_domain = \"example.org\"
        [attestors.k8s_sat.clusters.production]
        service_account_key_file = \"keys/production.pem\"
        service_account_allow_list = [\"spire:spire-agent\"]
    ";
    let config = Config::from_toml(text, "config.toml", folder.path()).unwrap();
    assert_eq!(config.attestors[0].naming.limits, Limits::default());
    let request = PolicyRequest::new(PolicySource::Builtin("uuid".to_owned()));
    assert_eq!(request.limits, Limits::default());
}

/// What an instance did is gone with it, however the policy starts.
#[test]
fn no_state_outlives_a_question() {
    let sandbox = Sandbox::new().unwrap();
    for guest in [
        "counts_in_a_global",
        "counts_in_memory",
        "remembers_its_settings",
    ] {
        let policy = load(&sandbox, &guest::file(guest), &patient()).unwrap();
        let first = policy.derive(&facts::bound()).unwrap();
        assert_eq!(first.answer.as_ref().unwrap().path.len(), 1, "{guest}");
        for _ in 0..100 {
            assert_eq!(
                policy.derive(&facts::bound()).as_ref(),
                Ok(&first),
                "{guest}"
            );
        }
    }
}
