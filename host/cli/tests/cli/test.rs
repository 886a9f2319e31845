//! `nameplate policy test`.

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
    for name in ["node", "pod", "template", "thumbprint", "uuid"] {
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
    // The cases that a component carries cannot be rewritten.
    place.run("policy test builtin:node --bless").exits(2);
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
