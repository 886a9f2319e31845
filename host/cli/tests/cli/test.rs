//! `nameplate policy test`.

mod evidence;
mod formats;
mod mutation;
mod watch;

use crate::support::{Place, nameplate, repository};
use serde_json::{Value, json};

fn case(node: &str, expect: Option<Value>) -> String {
    let mut case = json!({
        "facts": {
            "trust_domain": "example.org",
            "attestor": "k8s_sat",
            "attested_at": 1_767_225_600,
            "attestation_id": "3f0c1a9e-5d2b-4c7a-9e41-7b6f0d2c8a15",
            "subject": { "service_account": {
                "cluster": "production",
                "cluster_thumbprint": "4e".repeat(32),
                "namespace": "spire",
                "name": "spire-agent",
                "node": { "name": node, "uid": node },
                "token_sha256": "9a".repeat(32),
            }},
        },
        "settings": { "selectors": [] },
    });
    if let Some(expect) = expect {
        case["expect"] = expect;
    }
    serde_json::to_string_pretty(&case).unwrap()
}

fn identity(last: &str) -> Value {
    json!({ "identity": {
        "spiffe_id": format!("spiffe://example.org/spire/agent/k8s_sat/production/{last}"),
        "selectors": [],
    }})
}

/// A place with two cases that `builtin:node` passes.
fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path().join("cases")).unwrap();
    place.write("cases/one.json", &case("n1", Some(identity("n1"))));
    place.write("cases/two.json", &case("n2", Some(identity("n2"))));
    place.write("cases/README.md", "not a case");
    place
}

#[test]
fn every_policy_that_ships_passes_the_cases_it_carries() {
    for name in ["node", "pod", "subject", "template", "thumbprint", "uuid"] {
        let policy = format!("builtin:{name}");
        let answer = nameplate(&["policy", "test", &policy, "--output", "json"])
            .exits(0)
            .json();
        assert_eq!(answer["failed"], 0);
        assert!(answer["passed"].as_u64().unwrap() > 0);
        let cases = repository().join("policies").join(name).join("cases");
        let beside = nameplate(&[
            "policy",
            "test",
            &policy,
            "--cases",
            cases.to_str().unwrap(),
            "--output",
            "json",
        ]);
        assert_eq!(beside.exits(0).json()["passed"], answer["passed"], "{name}");
    }
}

#[test]
fn cases_of_a_directory_are_run() {
    let run = place()
        .run("policy test builtin:node --cases cases")
        .exits(0);
    assert!(
        run.stdout.starts_with("ok       one  fuel "),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("\npassed: 2 passed, 0 failed; at most "),
        "{}",
        run.stdout
    );
}

/// What no server with the default envelope admits is no answer here either.
#[test]
fn a_false_fact_is_a_fault_unless_it_is_admitted() {
    let place = place();
    let said = |selector: &str, expect: Value| {
        let mut case: Value = serde_json::from_str(&case("n1", Some(expect))).unwrap();
        case["settings"] = json!({ "path": ["{cluster}", "n1"], "selectors": [selector] });
        case.to_string()
    };
    let named = |selector: &str| {
        let mut expect = identity("n1");
        expect["identity"]["selectors"] = json!([selector]);
        said(selector, expect)
    };
    place.write("cases/one.json", &named("cluster:production"));
    place.write("cases/two.json", &named("cluster:staging"));
    let run = place.run("policy test builtin:template --cases cases");
    let run = run.exits(1);
    assert!(run.stdout.contains("ok       one"), "{}", run.stdout);
    assert!(run.stdout.contains("FAILED   two"), "{}", run.stdout);
    assert!(run.stdout.contains("selector_false_fact"), "{}", run.stdout);
    let admitting = "policy test builtin:template --cases cases --admit-false-facts";
    place.run(admitting).exits(0);
    let fault = json!({ "fault": "selector_false_fact" });
    place.write("cases/two.json", &said("cluster:staging", fault));
    place
        .run("policy test builtin:template --cases cases")
        .exits(0);
    place.run(admitting).exits(1);
}

#[test]
fn a_failed_case_shows_the_difference() {
    let place = place();
    place.write("cases/two.json", &case("n2", Some(identity("n3"))));
    let run = place.run("policy test builtin:node --cases cases").exits(1);
    assert!(run.stdout.contains("FAILED   two"), "{}", run.stdout);
    assert!(run.stdout.contains("    - spiffe://example.org/spire/agent/k8s_sat/production/n3\n    + spiffe://example.org/spire/agent/k8s_sat/production/n2\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("\nFAILED: 1 passed, 1 failed; "),
        "{}",
        run.stdout
    );
    let answer = place
        .run("policy test builtin:node --cases cases --output json")
        .exits(1)
        .json();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["cases"][1]["passed"], false);
    assert_eq!(answer["cases"][1]["expected"], identity("n3"));
    assert_eq!(answer["cases"][1]["found"], identity("n2"));
}

#[test]
fn no_cases_is_no_success() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let run = place
        .run("policy test builtin:node --cases empty --output json")
        .exits(1);
    assert_eq!(run.json()["error"]["reason"], "no_cases");
    let run = place
        .run("policy test builtin:node --cases absent --output json")
        .exits(1);
    assert_eq!(run.json()["error"]["reason"], "cases_malformed");
}

#[test]
fn a_file_that_is_no_case_is_named() {
    let place = place();
    place.write("cases/three.json", r#"{"fcts": {}}"#);
    let run = place.run("policy test builtin:node --cases cases").exits(1);
    assert!(
        run.stderr
            .starts_with("error: `cases/three.json` is no case: unknown field `fcts`"),
        "{}",
        run.stderr
    );
}

#[test]
fn blessing_writes_what_was_found() {
    let place = place();
    let good = place.read("cases/one.json");
    place.write("cases/two.json", &case("n2", Some(identity("n3"))));
    place.write("cases/three.json", &case("n4", None));
    let run = place
        .run("policy test builtin:node --cases cases --bless")
        .exits(0);
    assert!(run.stdout.contains("blessed  two"), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("3 passed, 0 failed, 2 of them blessed now; "),
        "{}",
        run.stdout
    );
    assert_eq!(place.read("cases/one.json"), good);
    place.run("policy test builtin:node --cases cases").exits(0);
    // The flag has another name, which says what it does.
    place.write("cases/two.json", &case("n2", Some(identity("n3"))));
    let run = place
        .run("policy test builtin:node --cases cases --update")
        .exits(0);
    assert!(run.stdout.contains("blessed  two"), "{}", run.stdout);
    place.run("policy test builtin:node --cases cases").exits(0);
    // The cases that a component carries cannot be rewritten.
    let run = place.run("policy test builtin:node --update").exits(2);
    assert!(
        run.stderr.contains("name their directory with `--cases`"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_fault_can_be_what_is_expected() {
    let place = place();
    let fault = "policy test builtin:node --cases cases --limit fuel=1 --update";
    place.run(fault).exits(0);
    assert!(place.read("cases/one.json").contains("policy_fuel"));
    place.run("policy test builtin:node --cases cases").exits(1);
}

#[test]
fn a_filter_chooses_cases_by_name() {
    let place = place();
    let run = |filter: &str| {
        place.run(&format!(
            "policy test builtin:node --cases cases --output json {filter}"
        ))
    };
    let names = |filter: &str| {
        let cases = run(filter).exits(0).json()["cases"].clone();
        let cases = cases.as_array().unwrap().clone();
        cases
            .into_iter()
            .map(|case| case["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("--filter on"), ["one"]);
    assert_eq!(names("--filter *wo"), ["two"]);
    assert_eq!(names("--filter o"), ["one", "two"]);
    assert_eq!(names("--filter one --filter two"), ["one", "two"]);
    let none = run("--filter three").exits(1);
    assert_eq!(none.json()["error"]["reason"], "no_cases");
}

#[test]
fn a_case_bounds_its_fuel() {
    let place = place();
    let bounded = |fuel: u64| {
        let mut case: Value = serde_json::from_str(&case("n1", Some(identity("n1")))).unwrap();
        case["max_fuel"] = fuel.into();
        place.write("cases/one.json", &case.to_string());
        place.run("policy test builtin:node --cases cases --filter one --output json")
    };
    let used = bounded(u64::MAX).exits(0).json()["cases"][0]["fuel"]
        .as_u64()
        .unwrap();
    bounded(used).exits(0);
    let over = bounded(used - 1).exits(1).json();
    assert_eq!(over["cases"][0]["passed"], false);
    assert_eq!(over["cases"][0]["found"], identity("n1"));
    // Blessing writes an outcome; a bound is the author's.
    let update = "policy test builtin:node --cases cases --filter one --update";
    let run = place.run(update).exits(1);
    assert!(run.stdout.contains(" fuel stated"), "{}", run.stdout);
}

#[test]
fn every_policy_that_ships_is_shown_whole_by_its_cases() {
    for name in ["node", "pod", "subject", "template", "thumbprint", "uuid"] {
        let policy = format!("builtin:{name}");
        let run = nameplate(&[
            "policy",
            "test",
            &policy,
            "--require-coverage",
            "--output",
            "json",
        ]);
        assert_eq!(run.json()["coverage"]["complete"], true, "{}", run.stdout);
        run.exits(0);
    }
}

#[test]
fn what_no_case_shows_is_listed() {
    let place = place();
    let run = place
        .run("policy test builtin:node --cases cases --coverage")
        .exits(0);
    for line in [
        "  denials   0 %, 0 of 2\n    missing needs-service-account\n    missing no-node\n",
        "    missing /by = \"name\"\n",
    ] {
        assert!(run.stdout.contains(line), "{}", run.stdout);
    }
    let required = "policy test builtin:node --cases cases --require-coverage";
    let run = place.run(&format!("{required} --output json")).exits(1);
    let coverage = &run.json()["coverage"];
    assert_eq!(run.json()["failed"], 0);
    assert_eq!(coverage["complete"], false);
    assert_eq!(
        coverage["denials"]["missing"],
        json!(["needs-service-account", "no-node"])
    );
    // A program that reads TAP must not take that for success.
    let run = place.run(&format!("{required} --format tap")).exits(1);
    let check = "\nnot ok 3 - --require-coverage\n  ---\n  message: \"the cases do not show every \
                 denial and setting\"\n";
    assert!(run.stdout.contains(check), "{}", run.stdout);
    assert!(!run.stdout.contains("not ok 4"), "{}", run.stdout);
    let run = place.run(required).exits(1);
    let said = "FAILED: the cases do not show every denial and setting, and `--require-coverage` \
                is asked for\n";
    assert!(run.stdout.ends_with(said), "{}", run.stdout);
}

/// Two demands that are not met are two checks that fail.
#[test]
fn each_demand_that_is_not_met_is_named() {
    let place = place();
    let id = identity(&"4e".repeat(32));
    place.write("cases/one.json", &case("n1", Some(id.clone())));
    place.write("cases/two.json", &case("n2", Some(id)));
    let test = "policy test builtin:thumbprint --cases cases --output json";
    let unmet = |flags: &str, code: i32| {
        let run = place.run(&format!("{test} {flags}")).exits(code);
        run.json()["unmet"].clone()
    };
    assert_eq!(unmet("", 0), json!([]));
    assert_eq!(unmet("--deny-collisions", 1), json!(["--deny-collisions"]));
    assert_eq!(
        unmet("--deny-collisions --require-coverage", 1),
        json!(["--deny-collisions", "--require-coverage"])
    );
}

#[test]
fn two_machines_under_one_name_are_reported() {
    let place = place();
    let id = identity(&"4e".repeat(32));
    place.write("cases/one.json", &case("n1", Some(id.clone())));
    place.write("cases/two.json", &case("n2", Some(id)));
    let run = place
        .run("policy test builtin:thumbprint --cases cases")
        .exits(0);
    assert!(
        run.stdout
            .contains("one name one and two both get spiffe://"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("and differ in node.name, node.uid\n"),
        "{}",
        run.stdout
    );
    let run = place
        .run("policy test builtin:thumbprint --cases cases --deny-collisions --output json")
        .exits(1);
    let answer = run.json();
    assert_eq!(answer["failed"], 0);
    assert_eq!(answer["collisions"][0]["cases"], json!(["one", "two"]));
    // Names of the attestation differ in every attestation.
    let uuid = identity("3f0c1a9e-5d2b-4c7a-9e41-7b6f0d2c8a15");
    place.write("cases/one.json", &case("n1", Some(uuid.clone())));
    place.write("cases/two.json", &case("n2", Some(uuid)));
    place
        .run("policy test builtin:uuid --cases cases --deny-collisions")
        .exits(0);
}

#[test]
fn a_limit_decides() {
    let run = place()
        .run("policy test builtin:node --cases cases --limit fuel=1 --output json")
        .exits(1);
    assert_eq!(
        run.json()["cases"][0]["found"],
        json!({ "fault": "policy_fuel" })
    );
}
