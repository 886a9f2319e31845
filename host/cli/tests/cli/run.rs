//! `nameplate policy run`.

use crate::support::Place;
use serde_json::{Value, json};

fn facts() -> Value {
    json!({
        "trust_domain": "example.org",
        "attestor": "k8s_sat",
        "attested_at": 1_767_225_600,
        "attestation_id": "3f0c1a9e-5d2b-4c7a-9e41-7b6f0d2c8a15",
        "subject": { "service_account": {
            "cluster": "production",
            "namespace": "spire",
            "name": "spire-agent",
            "node": { "name": "worker-1", "uid": "node-uid" },
            "token_sha256": "9a".repeat(32),
        }},
    })
}

fn place() -> Place {
    let place = Place::new();
    place.write("facts.json", &facts().to_string());
    place
}

#[test]
fn facts_in_identity_out() {
    let place = place();
    let identity = "spiffe://example.org/spire/agent/k8s_sat/production/node-uid\nk8s_sat:cluster:production\nk8s_sat:agent_ns:spire\nk8s_sat:agent_sa:spire-agent\nk8s_sat:agent_node_name:worker-1\nk8s_sat:agent_node_uid:node-uid\n";
    let run = place
        .run("policy run builtin:node --facts facts.json")
        .exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (identity, ""));
    let run = place.run_with("policy run builtin:node --facts -", &facts().to_string());
    assert_eq!(run.exits(0).stdout, identity);
    let answer = place
        .run("policy run builtin:node --facts facts.json --output json")
        .exits(0)
        .json();
    let mut members: Vec<_> = answer.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["fuel", "policy", "selectors", "spiffe_id"]);
}

#[test]
fn settings_come_from_the_line_or_a_file() {
    let place = place();
    let named = "spiffe://example.org/spire/agent/k8s_sat/production/worker-1\n";
    let run = place.run(r#"policy run builtin:node --facts facts.json --settings {"by":"name"}"#);
    assert!(run.exits(0).stdout.starts_with(named));
    place.write("settings.json", r#"{"by": "name"}"#);
    let run = place.run("policy run builtin:node --facts facts.json --settings @settings.json");
    assert!(run.exits(0).stdout.starts_with(named));
    place
        .run("policy run builtin:node --facts facts.json --settings {")
        .exits(2);
    let run = place.run(
        r#"policy run builtin:node --facts facts.json --output json --settings {"by":"colour"}"#,
    );
    let error = &run.exits(1).json()["error"];
    assert_eq!(error["reason"], "policy_refused");
    assert_eq!(error["settings"][0]["pointer"], "/by");
}

#[test]
fn a_denial_and_a_fault_are_told_apart() {
    let place = place();
    let run = place
        .run("policy run builtin:pod --facts facts.json --output json")
        .exits(4);
    assert_eq!(run.json()["error"]["failure"], "denied");
    let run = place
        .run("policy run builtin:node --facts facts.json --output json --limit fuel=1")
        .exits(1);
    assert_eq!(run.json()["error"]["failure"], "fault");
    assert_eq!(run.json()["error"]["reason"], "policy_fuel");
    let template =
        r#"policy run builtin:node --facts facts.json --output json --settings {"by":"name"}"#;
    let mut facts = facts();
    facts["subject"]["service_account"]["node"]["name"] = json!("..");
    place.write("facts.json", &facts.to_string());
    assert_eq!(
        place.run(template).exits(1).json()["error"]["reason"],
        "path_segment"
    );
}

#[test]
fn facts_that_are_none_are_a_fault() {
    let place = place();
    place.write("facts.json", "{}");
    let run = place
        .run("policy run builtin:node --facts facts.json --output json")
        .exits(1);
    assert_eq!(run.json()["error"]["reason"], "facts_malformed");
    let mut facts = facts();
    facts["trust_domain"] = json!("Example.org");
    place.write("facts.json", &facts.to_string());
    let run = place
        .run("policy run builtin:node --facts facts.json")
        .exits(1);
    assert!(
        run.stderr
            .starts_with("error: `trust_domain` of the facts: "),
        "{}",
        run.stderr
    );
}
