//! `nameplate status` and `nameplate release`.

use crate::support::Place;
use nameplate_attestor::policy::Sandbox;
use nameplate_attestor::{Attestors, Status};
use serde_json::json;
use std::fs;

/// A place whose attestor keeps state, and what keeps it.
fn kept() -> (Place, Attestors) {
    let place = Place::new();
    let text = place.read("nameplate.toml").replacen(
        "trust_domain",
        "state_directory = \"state\"\ntrust_domain",
        1,
    );
    place.write("nameplate.toml", &text);
    let attestors = Attestors::open(
        &place.path().join("nameplate.toml"),
        Sandbox::new().unwrap(),
    );
    let attestors = attestors.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    (place, attestors)
}

#[test]
fn the_status_is_what_serves_since_when_and_why() {
    let (place, attestors) = kept();
    let answer = place
        .run("status --state state --output json")
        .exits(0)
        .json();
    let attestor = &answer["attestors"][0];
    assert_eq!(attestor["attestor"], "k8s_sat");
    assert_eq!(attestor["running"], true);
    assert_eq!(attestor["serving"]["generation"], 1);
    assert_eq!(attestor["serving"]["why"], "configured");
    assert_eq!(attestor["serving"]["policies"][0]["name"], "node");
    assert_eq!(attestor["refused"], json!(null));

    let run = place.run("status --config nameplate.toml").exits(0);
    assert!(
        run.stdout
            .starts_with("attestor `k8s_sat`  attests\n  generation    1, configured ")
    );
    assert!(run.stdout.contains("`node` 0.1.0 builtin:node sha256:"));
    drop(attestors);
    let run = place.run("status --config nameplate.toml").exits(0);
    assert!(
        run.stdout.contains("no process attests; as of "),
        "{}",
        run.stdout
    );
}

#[test]
fn what_was_refused_is_shown_and_is_a_fault() {
    let (place, attestors) = kept();
    let text = place
        .read("nameplate.toml")
        .replacen("builtin:node", "absent.wasm", 1);
    place.write("nameplate.toml", &text);
    attestors.reload().unwrap_err();
    let run = place.run("status --state state").exits(1);
    assert!(
        run.stdout
            .contains("  refused       what is configured, by loading, ")
    );
    assert!(run.stdout.contains("absent.wasm"), "{}", run.stdout);
    let answer = place
        .run("status --state state --output json")
        .exits(1)
        .json();
    assert_eq!(answer["attestors"][0]["refused"]["by"], "loading");
    assert_eq!(answer["attestors"][0]["serving"]["generation"], 1);
}

#[test]
fn a_status_that_is_not_there_is_said() {
    let place = Place::new();
    let run = place.run("status --config nameplate.toml").exits(2);
    assert_eq!(
        run.stderr,
        "error: `nameplate.toml` has no `state_directory`\n"
    );
    fs::create_dir(place.path().join("state")).unwrap();
    let run = place.run("status --state state").exits(1);
    assert_eq!(
        run.stderr,
        "error: no attestor has kept its state in `state`\n"
    );
    fs::create_dir(place.path().join("state/k8s_sat")).unwrap();
    place.write("state/k8s_sat/status.json", "{}");
    let run = place.run("status --state state").exits(1);
    assert!(
        run.stderr.contains("is not what this version writes"),
        "{}",
        run.stderr
    );
    place.run("status").exits(2);
    assert!(Status::read_all(&place.path().join("absent")).is_err());
}

#[test]
fn an_id_is_released_where_its_attestor_keeps_its_state() {
    let (place, _attestors) = kept();
    let id = "spiffe://example.org/spire/agent/k8s_sat/production/worker-1";
    let run = place.run(&format!("release {id} --state state")).exits(0);
    assert_eq!(
        run.stdout,
        format!("released: who attests as `{id}` next, within 7 days, holds it\n")
    );
    let released: Vec<serde_json::Value> =
        fs::read_dir(place.path().join("state/k8s_sat/released"))
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .map(|text| serde_json::from_slice(&text).unwrap())
            .collect();
    assert_eq!(released.len(), 1);
    assert_eq!(released[0]["id"], id);
    let answer = place
        .run(&format!(
            "release {id} --config nameplate.toml --output json"
        ))
        .exits(0)
        .json();
    assert_eq!(answer, json!({ "released": id }));

    for (id, code, words) in [
        (
            "spiffe://example.org/spire/server",
            2,
            "is no ID of an agent",
        ),
        (
            "spiffe://example.org/spire/agent/k8s_sat",
            2,
            "is no ID of an agent",
        ),
        (
            "spiffe://example.org/spire/agent/x509pop/a",
            1,
            "no attestor `x509pop` has kept its state there",
        ),
    ] {
        let run = place
            .run(&format!("release {id} --state state"))
            .exits(code);
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}
