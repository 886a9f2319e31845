//! Configurations and what is said about them.
//!
//! Each file of `config/bad` is refused and each of `config/warned` is read;
//! the file of the same name ending in `.expected` holds the problems as they
//! are shown. `BLESS=1` writes them anew.

use nameplate_attestor::config::{Config, PluginData, Problem, Problems};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn folder() -> PathBuf {
    // A relative path, so that messages that repeat it are the same everywhere.
    PathBuf::from("tests/config")
}

/// Goes through the cases of a folder; `said` gives what is said of one.
#[expect(clippy::unwrap_used, reason = "a test")]
fn golden(kind: &str, said: impl Fn(&Path) -> Problems) {
    let bless = env::var_os("BLESS").is_some();
    let mut names: BTreeSet<PathBuf> = BTreeSet::new();
    for entry in fs::read_dir(folder().join(kind)).unwrap() {
        names.insert(entry.unwrap().path().with_extension(""));
    }
    assert!(!names.is_empty(), "no cases");
    let mut different = Vec::new();
    for name in names {
        let mut shown = said(&name.with_extension("toml")).render(false);
        if !shown.is_empty() {
            shown.push('\n');
        }
        let expected = name.with_extension("expected");
        if bless {
            fs::write(expected, shown).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != shown {
            different.push(format!("{}\n{shown}", expected.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[expect(clippy::unwrap_used, reason = "a test")]
fn read(path: &Path) -> Result<Config, Problems> {
    let name = path.file_name().unwrap().to_str().unwrap();
    Config::from_toml(&fs::read_to_string(path).unwrap(), name, &folder())
}

#[test]
fn bad_configurations_are_refused() {
    golden("bad", |path| {
        let Err(problems) = read(path) else {
            panic!("{} is not refused", path.display());
        };
        assert!(problems.has_errors());
        problems
    });
}

#[test]
fn doubtful_configurations_are_read_with_warnings() {
    golden("warned", |path| {
        let config = read(path).expect("only warnings");
        assert!(!config.warnings.has_errors());
        config.warnings
    });
}

const GOOD: &str = r#"
trust_domain = "example.org"

[attestors.k8s_sat]
policy   = { source = "builtin:template", settings = { path = ["{pod.uid}"], depth = 2 } }
envelope = { leading = ["{cluster}"], max_selectors = 8, reserved = ["admin"], selectors = ["cluster:{cluster}", "zone:*"] }
limits   = { fuel = 2_000_000, deadline = "250ms", memory_bytes = "8 MiB" }

[attestors.k8s_sat.clusters.production]
service_account_key_file   = "keys/production.pem"
service_account_allow_list = ["spire:spire-agent", "edge:agent"]
issuer   = "https://kubernetes.default.svc.cluster.local"
audience = ["spire-server", "other"]
ca_file  = "keys/production-ca.pem"
leeway   = "30s"

[attestors.k8s_sat.clusters.staging]
jwks_file                  = "keys/jwks.json"
service_account_allow_list = ["spire:spire-agent"]
issuer   = "https://staging.example.org"
audience = ["spire-server"]
policy   = { source = "policies/mine.wasm", digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }
envelope = { max_id_bytes = 200, leading = [], selectors = ["*"], false_facts = "refuse" }
limits   = { fuel = 3_000_000 }

[attestors.k8s_sat.clusters.bounded]
service_account_key_file   = "keys/staging.pem"
service_account_allow_list = ["spire:spire-agent"]
issuer   = "https://bounded.example.org"
audience = ["spire-server"]
limits   = { stack_bytes = 65_536 }

[attestors.factory]
type = "k8s_sat"

[attestors.factory.clusters.plant]
service_account_key_file        = "keys/staging.pem"
service_account_allow_list      = ["spire:spire-agent"]
issuer                          = "https://plant.example.org"
audience                        = ["spire-server"]
use_token_review_api_validation = false
"#;

#[expect(clippy::panic, reason = "a test")]
fn good() -> Config {
    match Config::from_toml(GOOD, "good.toml", &folder()) {
        Ok(config) => config,
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

mod model {
    use super::{folder, good};
    use nameplate_attestor::Envelope;
    use nameplate_policy::{Limits, PolicySource};
    use std::path::PathBuf;
    use std::time::Duration;

    #[test]
    fn attestors_and_clusters_keep_their_order() {
        let config = good();
        assert_eq!(config.trust_domain.as_str(), "example.org");
        assert!(config.warnings.list.is_empty());
        let names: Vec<_> = config
            .attestors
            .iter()
            .map(|attestor| {
                let clusters = attestor.clusters().iter();
                let clusters: Vec<_> = clusters.map(|c| c.trust.name.as_str()).collect();
                (attestor.name.as_str(), attestor.method.as_str(), clusters)
            })
            .collect();
        assert_eq!(
            names,
            [
                (
                    "k8s_sat",
                    "k8s_sat",
                    vec!["production", "staging", "bounded"]
                ),
                ("factory", "k8s_sat", vec!["plant"]),
            ]
        );
        let files = [
            "keys/production.pem",
            "keys/production-ca.pem",
            "keys/jwks.json",
            "policies/mine.wasm",
            "keys/staging.pem",
        ];
        assert_eq!(config.files, files.map(|file| folder().join(file)));
    }

    #[expect(clippy::unwrap_used, clippy::panic, reason = "a test")]
    fn keys(cluster: &nameplate_evidence::Cluster) -> &nameplate_evidence::KeySet {
        match &cluster.proof.local().unwrap().keys {
            nameplate_evidence::TrustedKeys::Fixed(keys) => keys,
            nameplate_evidence::TrustedKeys::Followed(_) => panic!("the keys are in a file"),
        }
    }

    #[test]
    fn a_decision_log_is_what_was_written() {
        use nameplate_attestor::DirectoryCheck;
        use nameplate_decisions::{CheckpointOptions, Flush, OnError, Options, Rejections};

        let read = |table: &str| {
            let text = super::GOOD.replace(
                "type = \"k8s_sat\"\n",
                &format!("type = \"k8s_sat\"\n{table}\n"),
            );
            let config = super::Config::from_toml(&text, "good.toml", &folder()).unwrap();
            config.attestors[1].decision_log.clone()
        };
        assert!(read("").is_none());
        let least = read("decision_log = { directory = \"log\" }").unwrap();
        assert_eq!(least.options, Options::new(folder().join("log")));
        let all = read(
            r#"decision_log = { directory = "log", flush = "interval", flush_interval = "5s", on_error = "drop", rejections = "each", queue = 100, segment_bytes = "1 MiB", segment_age = "1h", keep_segments = 9, redact = ["/claimed_id"], checkpoint_lines = 7, checkpoint_interval = "2m", checkpoint_file = "/else/where", checkpoint_key = "key.pem" }"#,
        );
        assert_eq!(
            all.unwrap().options,
            Options {
                directory: folder().join("log"),
                flush: Flush::Interval(Duration::from_secs(5)),
                directory_check: DirectoryCheck::On,
                on_error: OnError::Drop,
                rejections: Rejections::Each,
                queue: 100,
                segment_bytes: 1 << 20,
                segment_age: Duration::from_secs(3600),
                keep_segments: Some(9),
                redact: vec!["/claimed_id".parse().unwrap()],
                checkpoints: CheckpointOptions {
                    lines: 7,
                    interval: Duration::from_secs(120),
                    file: Some(PathBuf::from("/else/where")),
                    key: Some(folder().join("key.pem")),
                },
            }
        );
        let each = read("decision_log = { directory = \"log\", flush = \"each\" }").unwrap();
        assert_eq!(each.options.flush, Flush::Each);
        let count = read("decision_log = { directory = \"log\", rejections = \"count\" }").unwrap();
        assert_eq!(count.options, least.options);
        let unchecked =
            read("decision_log = { directory = \"log\" }\ncheck_directories = false").unwrap();
        assert_eq!(unchecked.options.directory_check, DirectoryCheck::Off);
    }

    #[test]
    fn directories_are_looked_at_unless_it_is_written_that_they_are_not() {
        use nameplate_attestor::DirectoryCheck;

        for (written, check) in [
            ("", DirectoryCheck::On),
            ("check_directories = true", DirectoryCheck::On),
            ("check_directories = false", DirectoryCheck::Off),
        ] {
            let text = super::GOOD.replace(
                "type = \"k8s_sat\"\n",
                &format!("type = \"k8s_sat\"\n{written}\n"),
            );
            let text = format!("state_directory = \"state\"\n{text}");
            let config = super::Config::from_toml(&text, "good.toml", &folder()).unwrap();
            assert_eq!(
                config.attestors[1].swaps.directory_check, check,
                "{written}"
            );
        }
    }

    #[test]
    fn trust_is_what_was_written() {
        let config = good();
        let production = &config.attestors[0].clusters()[0].trust;
        assert_eq!(keys(production).len(), 1);
        assert_eq!(
            production.allowed,
            ["spire:spire-agent", "edge:agent"].map(|a| a.parse().unwrap())
        );
        assert_eq!(
            production.proof.local().unwrap().issuer.as_deref(),
            Some("https://kubernetes.default.svc.cluster.local")
        );
        assert_eq!(
            production.proof.local().unwrap().audience,
            ["spire-server", "other"]
        );
        assert_eq!(
            production.proof.local().unwrap().leeway,
            Duration::from_secs(30)
        );
        assert!(!production.proof.local().unwrap().allow_unexpiring_tokens);
        assert_eq!(production.ca_thumbprint.as_ref().map(String::len), Some(64));
        let staging = &config.attestors[0].clusters()[1].trust;
        assert_eq!(keys(staging).len(), 1);
        assert_eq!(
            staging.proof.local().unwrap().leeway,
            Duration::from_secs(300)
        );
        assert_eq!(staging.ca_thumbprint, None);
    }

    #[test]
    fn an_attestors_naming_starts_from_the_defaults() {
        let config = good();
        let naming = &config.attestors[0].naming;
        assert!(matches!(&naming.source, PolicySource::Builtin(name) if name == "template"));
        assert_eq!(
            naming.settings,
            serde_json::json!({"path": ["{pod.uid}"], "depth": 2})
        );
        assert_eq!(naming.digest, None);
        assert_eq!(
            naming.envelope,
            Envelope {
                leading: vec!["{cluster}".parse().unwrap()],
                max_selectors: 8,
                reserved: vec!["admin".to_owned()],
                selectors: ["cluster:{cluster}", "zone:*"]
                    .map(|pattern| pattern.parse().unwrap())
                    .to_vec(),
                ..Envelope::default()
            }
        );
        assert_eq!(
            naming.limits,
            Limits {
                fuel: 2_000_000,
                deadline: Duration::from_millis(250),
                memory_bytes: 8 << 20,
                ..Limits::default()
            }
        );
        let plain = &config.attestors[1].naming;
        assert!(matches!(&plain.source, PolicySource::Builtin(name) if name == "uuid"));
        // SPIRE's selectors, whatever else a bound token proves.
        assert_eq!(
            plain.settings,
            serde_json::json!({ "selectors": ["cluster", "agent_ns", "agent_sa"] })
        );
        assert_eq!(plain.envelope, Envelope::default());
        assert_eq!(plain.limits, Limits::default());
    }

    #[test]
    fn spires_other_shape_of_an_id_is_a_template() {
        let text = r#"
            trust_domain = "example.org"
            [attestors.k8s_psat.clusters.production]
            service_account_allow_list = ["spire:spire-agent"]
            use_pod_uid_for_agent_id = true
        "#;
        let config = super::Config::from_toml(text, "inline", &folder()).unwrap();
        let cluster = &config.attestors[0].clusters()[0];
        let naming = cluster.naming.as_ref().unwrap();
        assert!(matches!(&naming.source, PolicySource::Builtin(name) if name == "template"));
        assert_eq!(
            naming.settings,
            serde_json::json!({ "path": ["{cluster}", "pod", "{pod_uid}"] })
        );
        // And what SPIRE does when nothing is said: review, lookup, its audience.
        assert!(cluster.trust.proof.local().is_none());
        assert!(matches!(
            &cluster.trust.proof,
            nameplate_evidence::Proof::Review(review) if review.audience == ["spire-server"]
        ));
        assert!(matches!(
            cluster.trust.binding,
            nameplate_evidence::Binding::LookedUp(_)
        ));
    }

    #[test]
    fn a_clusters_naming_starts_from_the_attestors() {
        let config = good();
        let attestor = &config.attestors[0];
        assert!(attestor.clusters()[0].naming.is_none());
        let staging = attestor.clusters()[1].naming.as_ref().unwrap();
        let path = folder().join("policies/mine.wasm");
        assert!(matches!(&staging.source, PolicySource::File(file) if *file == path));
        // The policy is another one, so it does not get the settings of the first.
        assert_eq!(staging.settings, serde_json::json!({}));
        assert_eq!(
            staging.digest,
            Some(format!("sha256:{}", "0".repeat(64)).parse().unwrap())
        );
        assert_eq!(
            staging.envelope,
            Envelope {
                leading: Vec::new(),
                max_id_bytes: 200,
                selectors: vec!["*".parse().unwrap()],
                ..attestor.naming.envelope.clone()
            }
        );
        assert_eq!(
            staging.limits,
            Limits {
                fuel: 3_000_000,
                ..attestor.naming.limits.clone()
            }
        );
        let bounded = attestor.clusters()[2].naming.as_ref().unwrap();
        assert!(matches!(&bounded.source, PolicySource::Builtin(name) if name == "template"));
        assert_eq!(bounded.settings, attestor.naming.settings);
        assert_eq!(bounded.envelope, attestor.naming.envelope);
        assert_eq!(
            bounded.limits,
            Limits {
                stack_bytes: 65_536,
                ..attestor.naming.limits.clone()
            }
        );
    }

    #[test]
    fn every_limit_has_its_key() {
        let text = super::GOOD.replace(
            "limits   = { fuel = 2_000_000, deadline = \"250ms\", memory_bytes = \"8 MiB\" }",
            "limits = { component_bytes = 2001, nesting = 2, functions = 3, function_bytes = 104, locals = 5, joins = 17, indirect_calls = 18, \
             component_instances = 19, declarations = 20, segments = 21, settings_bytes = 6, fuel = 7, configure_fuel = 8, deadline = \"9ms\", memory_bytes = 100_010, \
             table_elements = 11, instances = 12, memories = 13, tables = 14, stack_bytes = 100_015, lifted_bytes = 2016 }",
        );
        let config = super::Config::from_toml(&text, "", &PathBuf::from("tests/config")).unwrap();
        assert_eq!(
            config.attestors[0].naming.limits,
            Limits {
                component_bytes: 2001,
                nesting: 2,
                functions: 3,
                function_bytes: 104,
                locals: 5,
                joins: 17,
                indirect_calls: 18,
                component_instances: 19,
                declarations: 20,
                segments: 21,
                settings_bytes: 6,
                fuel: 7,
                configure_fuel: 8,
                deadline: Duration::from_millis(9),
                memory_bytes: 100_010,
                table_elements: 11,
                instances: 12,
                memories: 13,
                tables: 14,
                stack_bytes: 100_015,
                lifted_bytes: 2016,
            }
        );
    }
}

#[test]
fn every_limit_accepts_both_ends_of_its_range() {
    // The ranges as the messages state them.
    let zero = fs::read_to_string(folder().join("bad/limits_zero.expected")).unwrap();
    let ranges: Vec<(&str, &str, &str)> = zero
        .lines()
        .filter_map(|line| line.strip_prefix("error: `"))
        .map(|line| {
            let (key, line) = line.split_once("` must be between ").unwrap();
            let (least, line) = line.split_once(" and ").unwrap();
            (key, least, line.split_once(", found").unwrap().0)
        })
        .collect();
    assert_eq!(ranges.len(), 21);
    for (key, least, most) in ranges {
        for value in [least, most] {
            let quoted = value.contains(char::is_alphabetic);
            let value = if quoted {
                format!("{value:?}")
            } else {
                value.to_owned()
            };
            let text = GOOD.replace(
                "fuel = 2_000_000, deadline = \"250ms\", memory_bytes = \"8 MiB\"",
                &format!("{key} = {value}"),
            );
            assert!(text.contains(&value));
            if let Err(problems) = Config::from_toml(&text, "", &folder()) {
                panic!("{}", problems.render(false));
            }
        }
    }
}

#[test]
fn a_later_problem_gets_its_place() {
    let config = good();
    let place = &config.attestors[0].naming.place;
    let problems = config.source.problems(vec![
        Problem::error(place.setting("/path/0"), "there is no such fact"),
        Problem::error(place.setting("/nothing"), "missing setting"),
        Problem::error(config.attestors[1].naming.place.source(), "not loaded"),
    ]);
    assert_eq!(
        problems.to_string(),
        "good.toml:5:64: error: there is no such fact\n\
         good.toml:5:54: error: missing setting\n\
         good.toml:33:12: error: not loaded"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_without_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nameplate.toml");
    let said = || {
        let problems = Config::read(&path).unwrap_err();
        assert_eq!(problems.files, std::slice::from_ref(&path));
        problems
            .to_string()
            .replace(&dir.path().display().to_string(), "DIR")
    };
    assert_eq!(
        said(),
        "DIR/nameplate.toml: error: cannot read `DIR/nameplate.toml`: No such file or directory (os error 2)"
    );
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert_eq!(
        said(),
        "DIR/nameplate.toml: error: cannot read `DIR/nameplate.toml`: larger than 1,048,576 bytes"
    );
    fs::write(&path, b"a = 1\nb = \"\xff\"").unwrap();
    assert_eq!(
        said(),
        "DIR/nameplate.toml:2:6: error: the file is not UTF-8 text"
    );
}

#[test]
fn paths_start_at_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nameplate.toml");
    fs::write(&path, GOOD).unwrap();
    let missing = Config::read(&path).unwrap_err();
    let key = dir.path().join("keys/production.pem");
    assert_eq!(missing.files[..2], [path.clone(), key]);
    fs::create_dir(dir.path().join("keys")).unwrap();
    for file in fs::read_dir(folder().join("keys")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join("keys").join(file.file_name())).unwrap();
    }
    let config = Config::read(&path).unwrap();
    assert_eq!(config.files[0], path);
    assert_eq!(config.files, missing.files);
}

#[test]
fn a_text_beyond_the_limit_is_not_parsed() {
    let text = format!("{GOOD}\n{}", "#".repeat(1 << 20));
    let problems = Config::from_toml(&text, "n", &folder()).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "n: error: larger than 1,048,576 bytes"
    );
}

/// What an operator writes, and what a plugin is handed: SPIRE prints
/// `plugin_data` anew. The `.printed` files are what HCL's own printer makes of
/// the others (hashicorp/hcl 1.0.1-vault-7, `printer.DefaultConfig`, by SPIRE's
/// `ast.Node` in a NodeAttestor's stanza).
#[test]
fn what_spire_prints_says_what_was_written() {
    let read = |path: &Path| {
        let data = PluginData {
            text: fs::read_to_string(path).unwrap(),
            trust_domain: "example.org".to_owned(),
            attestor: "k8s_psat".to_owned(),
            method: nameplate_evidence::Method::K8sPsat,
        };
        let config = Config::from_plugin(&data, "plugin_data", &folder())
            .unwrap_or_else(|problems| panic!("{}: {}", path.display(), problems.render(false)));
        let clusters = config.attestors[0].clusters().len();
        // What was said is the same, where it stands is not.
        let said = format!("{:#?}", config.attestors);
        let said: Vec<_> = said
            .lines()
            .filter(|line| !line.contains(".."))
            .map(str::to_owned)
            .collect();
        (said, clusters, data.text)
    };
    for (name, clusters) in [
        ("forms.hcl", 3),
        ("json.json", 2),
        ("naming.hcl", 1),
        ("text.hcl", 1),
    ] {
        let written = folder().join("printed").join(name);
        let printed = written.with_file_name(format!("{name}.printed"));
        let (written, printed) = (read(&written), read(&printed));
        assert_ne!(written.2, printed.2, "{name}");
        assert_eq!(written.0, printed.0, "{name}");
        assert_eq!((written.1, printed.1), (clusters, clusters), "{name}");
    }
}

/// As Helm charts and other generators of JSON write blocks.
#[test]
fn lists_of_maps_are_maps_in_json_and_refused_in_hcl() {
    let read = |text: &str| {
        let data = PluginData {
            text: text.to_owned(),
            trust_domain: "example.org".to_owned(),
            attestor: "k8s_psat".to_owned(),
            method: nameplate_evidence::Method::K8sPsat,
        };
        let config = Config::from_plugin(&data, "plugin_data", &folder())
            .map_err(|problems| problems.render(false))?;
        let said = format!("{:#?}", config.attestors);
        let said: Vec<_> = said.lines().filter(|line| !line.contains("..")).collect();
        Ok::<_, String>(said.join("\n"))
    };
    let plain = fs::read_to_string(folder().join("printed/json.json")).unwrap();
    let lists = plain
        .replace("\"clusters\": {", "\"clusters\": [{")
        .replace("    \"edge\": {", "    \"lost\": {")
        .replace("    },\n    \"lost\"", "    }}, {\n    \"edge\"")
        .replace("{ \"fuel\": 2000000 }", "[{ \"fuel\": 2000000 }]")
        .replace(
            "{ \"source\": \"builtin:pod\" }",
            "[{ \"source\": \"builtin:pod\" }]",
        );
    let lists = lists.trim_end().trim_end_matches("  }\n}").to_owned() + "  }]\n}\n";
    assert_eq!(lists.matches('[').count(), plain.matches('[').count() + 3);
    assert_eq!(read(&lists).unwrap(), read(&plain).unwrap());

    let wrong = lists.replace("2000000", "0");
    let told = read(&wrong).unwrap_err();
    assert!(told.contains("`fuel` must be between 1 and"), "{told}");
    assert!(told.contains("limits\": [{ \"fuel\": 0 }]"), "{told}");
    let twice = lists.replace("\"edge\"", "\"production\"");
    let told = read(&twice).unwrap_err();
    assert!(
        told.contains("`service_account_allow_list` is given twice"),
        "{told}"
    );

    let native = "clusters = [{ \"production\" = { jwks_file = \"keys/jwks.json\" } }]";
    let told = read(native).unwrap_err();
    assert!(
        told.contains("expected a table for `clusters`, found an array"),
        "{told}"
    );
}
