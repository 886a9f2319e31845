//! `--mutate`.

use super::{case, identity, place};
use serde_json::Value;

/// What came of a dozen mutants of `builtin:node`.
fn mutation(flags: &str) -> Value {
    let place = place();
    let run = place.run(&format!(
        "policy test builtin:node --cases cases --mutate --mutate-seconds 600 --mutants 12 \
         --output json {flags}"
    ));
    assert!(
        run.stderr.contains(" mutants, at most 600 s\n"),
        "{}",
        run.stderr
    );
    run.exits(0).json()["mutation"].clone()
}

fn count(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

#[test]
fn mutants_are_chosen_by_the_seed_and_accounted_for() {
    let one = mutation("");
    assert_eq!(one["seed"], 1);
    let skipped: u64 = one["unreached"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code["mutants"].as_u64().unwrap())
        .sum();
    let noticed = one["noticed"].as_u64().unwrap();
    let unnoticed = u64::try_from(count(&one["unnoticed"])).unwrap();
    assert_eq!(noticed + unnoticed + skipped, 12);
    assert_eq!(one["refused"], 0);
    assert_eq!(
        one["untried"].as_u64().unwrap() + 12,
        one["mutants"].as_u64().unwrap()
    );
    // Two cases reach little of a policy.
    assert!(skipped > 0);
    assert_eq!(mutation("--mutate-seed 1"), one);
    let other = mutation("--mutate-seed 2");
    assert_eq!(other["seed"], 2);
    assert_ne!(other["unreached"], one["unreached"]);
}

#[test]
fn what_goes_unnoticed_can_be_too_much() {
    let place = place();
    let none = "policy test builtin:node --cases cases --mutate --mutate-seconds 0";
    let run = place.run(none).exits(0);
    assert!(run.stdout.contains("\nmutation\n"), "{}", run.stdout);
    assert!(run.stdout.contains("  not tried    "), "{}", run.stdout);
    // Where nothing was tried, no bound holds.
    let run = place.run(&format!("{none} --max-unnoticed 0")).exits(1);
    let noticed = "  noticed      - %, 0 of 0 mutants that cases reach";
    assert!(run.stdout.contains(noticed), "{}", run.stdout);
    // One case that ends at the settings cannot notice all of what it reaches.
    place.write(
        "cases/one.json",
        r#"{"settings": {"by": 1}, "evidence": {"token": {}}, "expect": {"settings_refused": ["/by"]}}"#,
    );
    std::fs::remove_file(place.path().join("cases/two.json")).unwrap();
    let flags = "--mutate --mutate-seconds 600 --mutants 12 --mutate-seed 3 --max-unnoticed 0";
    let run = place
        .run(&format!(
            "policy test builtin:node --cases cases {flags} --output json"
        ))
        .exits(1);
    assert_eq!(run.json()["failed"], 0);
    let unnoticed = &run.json()["mutation"]["unnoticed"][0];
    for member in ["module", "offset", "was", "becomes"] {
        assert!(!unnoticed[member].is_null(), "{unnoticed}");
    }
}

#[test]
fn cases_that_fail_notice_nothing() {
    let place = place();
    place.write("cases/two.json", &case("n2", Some(identity("n3"))));
    let run = place
        .run("policy test builtin:node --cases cases --mutate --output json")
        .exits(1);
    assert_eq!(run.json()["mutation"], Value::Null);
    assert_eq!(run.stderr, "no mutants are tried while cases fail\n");
    // The flags belong to `--mutate`.
    for flag in [
        "--mutate-seconds 1",
        "--mutants 1",
        "--mutate-seed 1",
        "--max-unnoticed 1",
    ] {
        place
            .run(&format!("policy test builtin:node --cases cases {flag}"))
            .exits(2);
    }
}
