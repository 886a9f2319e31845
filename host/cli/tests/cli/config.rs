//! `nameplate config check`.

use crate::support::Place;
use serde_json::json;

#[test]
fn a_good_configuration_says_what_it_configures() {
    let run = Place::new().run("config check nameplate.toml").exits(0);
    assert_eq!(run.stderr, "");
    for line in [
        "`nameplate.toml` is good",
        "  trust domain  example.org",
        "attestor `k8s_sat`",
        "  policy        `node` 0.1.0",
        "  cluster `production`",
        "  trusts        1 key: P-256",
        "  accounts      spire:spire-agent",
        "  audience      spire-server",
    ] {
        assert!(
            run.stdout.lines().any(|found| found == line),
            "{line}\n{}",
            run.stdout
        );
    }
}

#[test]
fn json_says_the_same() {
    let answer = Place::new()
        .run("config check nameplate.toml --output json")
        .exits(0)
        .json();
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["warnings"], json!([]));
    assert_eq!(answer["attestors"][0]["policy"]["name"], "node");
    assert_eq!(
        answer["attestors"][0]["clusters"][0]["keys"],
        json!(["P-256"])
    );
}

/// Keys of the attestor, with what lets its policy be somebody else's.
const TRUSTED: &str = "policy = { source = \"builtin:node\" }
decision_log = { directory = \"log\", flush = \"each\", checkpoint_file = \"kept.jsonl\" }
gate = { against = \"log\", allow = [\"/staging/**\"], no_collisions = false }
rollback = { faults = 0.1 }
shadow = { source = \"builtin:pod\" }
on_collision = \"warn\"";

fn trusted() -> Place {
    let place = Place::new();
    place.configure(TRUSTED);
    let text = place.read("nameplate.toml");
    place.write(
        "nameplate.toml",
        &format!("state_directory = \"state\"\n{text}"),
    );
    place
}

#[test]
fn what_is_recorded_and_what_a_swap_has_to_pass_is_shown() {
    let place = trusted();
    let run = place.run("config check nameplate.toml").exits(0);
    for line in [
        "  decisions     log",
        "                flush `each`, on an error `refuse`",
        "  checkpoints   kept.jsonl",
        "  state         state/k8s_sat",
        "  gate          judges over log",
        "                at most 0 named otherwise, besides /staging/**",
        "                no new denials",
        "                any new collisions",
        "                no answers that change by themselves",
        "  rollback      above a share of 0.1 faults, of at least 20 subjects within 10m",
        "  shadow        builtin:pod",
        "  collisions    warn",
    ] {
        let found = run.stdout.lines().any(|found| found == line);
        assert!(found, "{line}\n{}", run.stdout);
    }
    let answer = place
        .run("config check nameplate.toml --output json")
        .exits(0)
        .json();
    let attestor = &answer["attestors"][0];
    assert_eq!(attestor["decision_log"]["flush"], "each");
    assert_eq!(attestor["gate"]["allow"], json!(["/staging/**"]));
    assert_eq!(attestor["rollback"]["after"], 20);
    assert_eq!(attestor["shadow"], "builtin:pod");
    assert_eq!(attestor["on_collision"], "warn");
    // Looking is not serving: nothing was made.
    assert!(!place.path().join("log").exists() && !place.path().join("state").exists());
    // Its twin: where nothing of it is configured, nothing is said of it.
    let plain = Place::new();
    let answer = plain
        .run("config check nameplate.toml --output json")
        .exits(0)
        .json();
    for key in [
        "decision_log",
        "state",
        "gate",
        "rollback",
        "shadow",
        "on_collision",
    ] {
        assert_eq!(answer["attestors"][0].get(key), None, "{key}");
    }
}

/// What takes a guard away is said.
#[test]
fn what_a_swap_need_not_pass_is_a_warning() {
    let text = trusted().read("nameplate.toml");
    warns(
        &text.replace("no_collisions = false", "no_new_dependence = false"),
        "warning: a policy that changes its answers by itself, tomorrow or in a year, passes this gate",
    );
    warns(
        &text.replace("faults = 0.1", "count = \"attestations\""),
        "warning: one machine whose attestations fail takes a policy back for all others",
    );
}

#[test]
fn what_may_change_besides_is_shown() {
    let place = trusted();
    let text = place.read("nameplate.toml");
    let text = text.replace("no_collisions = false", "allow_selectors = [\"rack:*\"]");
    let text = text.replace("faults = 0.1", "despite_digest = true");
    place.write("nameplate.toml", &text);
    let run = place.run("config check nameplate.toml").exits(0);
    for line in [
        "                but for selectors rack:*",
        "                also where another digest is pinned",
    ] {
        let found = run.stdout.lines().any(|found| found == line);
        assert!(found, "{line}\n{}", run.stdout);
    }
}

/// A server starts without it, so that it is missing would be seen by nobody.
#[test]
fn a_shadow_that_cannot_be_loaded_is_a_warning() {
    let text = trusted().read("nameplate.toml");
    warns(
        &text.replace("builtin:pod", "absent.wasm"),
        "warning: no shadow will run: policy absent.wasm: ",
    );
}

/// A configuration can be used and is warned of; its twin [`TRUSTED`] is good.
#[track_caller]
fn warns(text: &str, warning: &str) {
    let place = trusted();
    place
        .run("config check nameplate.toml --deny-warnings")
        .exits(0);
    place.write("nameplate.toml", text);
    let run = place.run("config check nameplate.toml").exits(0);
    assert!(run.stdout.contains(warning), "{}", run.stdout);
    place
        .run("config check nameplate.toml --deny-warnings")
        .exits(1);
}

/// A gate that a restart goes round, or that nothing can pass.
#[test]
fn a_gate_that_does_less_or_more_than_it_seems_is_a_warning() {
    let good = trusted().read("nameplate.toml");
    warns(
        &good
            .replace("state_directory = \"state\"\n", "")
            .replace("on_collision = \"warn\"", ""),
        "without `state_directory` a restart is a way round the gate",
    );
    warns(
        &good.replace("against = \"log\"", "against = \"nowhere\""),
        "the gate has nothing to judge over, and lets nothing pass: there is no folder `nowhere`",
    );
}

#[test]
fn a_cluster_shows_its_own_policy() {
    let place = Place::new();
    let text = place.read("nameplate.toml") + "policy = { source = \"builtin:pod\" }\n";
    place.write("nameplate.toml", &text);
    let answer = place
        .run("config check nameplate.toml --output json")
        .exits(0)
        .json();
    assert_eq!(
        answer["attestors"][0]["clusters"][0]["policy"]["name"],
        "pod"
    );
}

#[test]
fn every_problem_is_shown_at_once() {
    let place = Place::new();
    place.configure("policy = { source = \"builtin:node\", settings = { by = \"colour\" } }");
    let run = place.run("config check nameplate.toml").exits(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("by = \"colour\""), "{}", run.stderr);
    assert!(
        run.stderr
            .ends_with("error: `nameplate.toml` cannot be used: 1 error\n"),
        "{}",
        run.stderr
    );

    place.configure("policy = { source = \"absent.wasm\" }\nfuel = 1");
    let text = place.read("nameplate.toml").replace("audience", "audiance");
    place.write("nameplate.toml", &text);
    let problems = &place
        .run("config check nameplate.toml --output json")
        .exits(1)
        .json()["error"]["problems"];
    assert!(problems.as_array().unwrap().len() >= 2, "{problems:#}");
}

#[test]
fn a_policy_that_cannot_be_loaded_is_a_problem_of_its_line() {
    let place = Place::new();
    place.configure("policy = { source = \"absent.wasm\" }");
    let problems = &place
        .run("config check nameplate.toml --output json")
        .exits(1)
        .json()["error"]["problems"];
    assert_eq!(problems[0]["line"], 4, "{problems:#}");
}

#[test]
fn warnings_fail_where_that_is_asked_for() {
    let place = Place::new();
    let text = place
        .read("nameplate.toml")
        .replace("audience = [\"spire-server\"]\n", "");
    place.write("nameplate.toml", &text);
    let run = place.run("config check nameplate.toml").exits(0);
    assert!(run.stdout.starts_with("warning: "), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("`nameplate.toml` can be used, with 1 warning\n")
    );
    let run = place
        .run("config check nameplate.toml --deny-warnings")
        .exits(1);
    assert!(run.stdout.contains("`nameplate.toml` has 1 warning\n"));
    let run = place
        .run("config check nameplate.toml --deny-warnings --output json")
        .exits(1);
    assert_eq!(run.json()["ok"], false);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let run = Place::new().run("config check absent.toml").exits(1);
    assert!(
        run.stderr.contains("cannot read `absent.toml`"),
        "{}",
        run.stderr
    );
}

const PLUGIN: &str = "config check plugin.hcl --plugin k8s_psat --trust-domain example.org";

fn plugin_data(place: &Place, verification: &str) {
    place.write(
        "plugin.hcl",
        &format!(
            "clusters = {{\n    \"production\" = {{\n        service_account_key_file = \"key.pem\"\n        \
             service_account_allow_list = [\"spire:spire-agent\"]\n        \
             issuer = \"https://kubernetes.default.svc.cluster.local\"\n        \
             verification = \"{verification}\"\n    }}\n}}\n"
        ),
    );
}

#[test]
fn the_data_of_a_spire_plugin_is_checked() {
    let place = Place::new();
    plugin_data(&place, "local");
    let run = place.run(PLUGIN).exits(0);
    assert!(
        run.stdout.contains("attestor `k8s_psat`\n"),
        "{}",
        run.stdout
    );
    let run = place.run(&format!("{PLUGIN} --name nodes")).exits(0);
    assert!(run.stdout.contains("attestor `nodes`\n"), "{}", run.stdout);

    plugin_data(&place, "remote");
    let run = place.run(PLUGIN).exits(1);
    assert!(
        run.stderr
            .contains("error: unknown verification `remote`\n --> plugin.hcl:6:24\n"),
        "{}",
        run.stderr
    );
    place.write("plugin.hcl", "clusters = {\n");
    let run = place.run(PLUGIN).exits(1);
    assert!(
        run.stderr
            .contains("error: expected `}`, found the end of the text\n"),
        "{}",
        run.stderr
    );
    plugin_data(&place, "local");
    let run = place
        .run("config check plugin.hcl --plugin k8s_psat --trust-domain Example.org")
        .exits(1);
    assert!(
        run.stderr.contains("error: `trust_domain` is malformed: "),
        "{}",
        run.stderr
    );
    let run = place
        .run("config check plugin.hcl --plugin k8s_psat")
        .exits(2);
    assert!(
        run.stderr.contains("--trust-domain <NAME>"),
        "{}",
        run.stderr
    );
}
