//! `nameplate policy explain`, `collisions` and `diff`.

use crate::support::{NOW_TEXT, Place};
use nameplate_attestor::Envelope;
use nameplate_decisions::{
    Decision, DecisionLog, Entry, Flush, NamingRecord, Options, Outcome, PolicyRecord,
};
use nameplate_policy::{Digest, Facts, Limits, PolicySource, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Facts of the `number`-th machine, `node-1` and on.
fn facts(number: u64) -> Value {
    json!({
        "trust_domain": "example.org",
        "attestor": "k8s_sat",
        "attested_at": 1_767_225_600 + number,
        "attestation_id": format!("3f0c1a9e-5d2b-4c7a-9e41-{number:012x}"),
        "subject": { "service_account": {
            "cluster": "production",
            "namespace": "spire",
            "name": "spire-agent",
            "node": {
                "name": format!("node-{}", number % 3),
                "uid": format!("1f2e3d4c-5b6a-4798-8695-{number:012x}"),
            },
            "token_sha256": "9a".repeat(32),
        }},
    })
}

/// A place with `facts.json`, two cases and a log of six decisions by
/// `builtin:node`, of which the first is a rejection.
fn place() -> Place {
    place_with(&naming())
}

/// The same, with decisions that were made so.
fn place_with(naming: &Arc<NamingRecord>) -> Place {
    let place = Place::new();
    place.write("facts.json", &facts(1).to_string());
    std::fs::create_dir(place.path().join("cases")).unwrap();
    for number in [1, 2] {
        let case = json!({ "facts": facts(number) });
        place.write(&format!("cases/case-{number}.json"), &case.to_string());
    }
    let log = DecisionLog::open(Options {
        flush: Flush::Each,
        ..Options::new(place.path().join("log"))
    })
    .unwrap();
    for number in 0..6 {
        log.record(entry(number, naming)).unwrap();
    }
    place
}

fn naming() -> Arc<NamingRecord> {
    let (_, digest) = PolicySource::parse("builtin:node")
        .read(None, &Limits::default())
        .unwrap();
    let settings = json!({ "by": "name" });
    Arc::new(NamingRecord {
        attestor: "k8s_sat".into(),
        trust_domain: "example.org".to_owned(),
        policy: PolicyRecord {
            name: "node".to_owned(),
            version: None,
            digest,
        },
        settings_digest: Digest::of(settings.to_string().as_bytes()),
        settings,
        envelope: serde_json::to_value(Envelope::default()).unwrap(),
        limits: Limits::default(),
        engine: Sandbox::new().unwrap().identity(),
    })
}

fn entry(number: u64, naming: &Arc<NamingRecord>) -> Entry {
    let facts: Facts = serde_json::from_value(facts(number)).unwrap();
    let rejected = number == 0;
    Entry {
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + number),
        decision: Decision {
            attestor: "k8s_sat".into(),
            generation: 1,
            cluster: Some("production".to_owned()),
            naming: None,
            facts: (!rejected).then_some(facts),
            redacted: Vec::new(),
            answer: None,
            fuel: None,
            outcome: if rejected {
                Outcome::Rejected
            } else {
                Outcome::Identity
            },
            reason: None,
            detail: None,
            spiffe_id: None,
        },
        naming: (!rejected).then(|| Arc::clone(naming)),
        unproven: None,
    }
}

fn influence<'a>(answer: &'a Value, list: &str, name: &str) -> &'a Value {
    let list = answer[list].as_array().unwrap();
    list.iter().find(|entry| entry["name"] == name).unwrap()
}

#[test]
fn an_explanation_is_drawn() {
    let run = place()
        .run("policy explain builtin:node --facts facts.json --settings {\"selectors\":[]}")
        .exits(0);
    let lines: Vec<_> = run.stdout.lines().take(4).collect();
    assert_eq!(
        lines,
        [
            "spiffe://example.org/spire/agent/k8s_sat/production/1f2e3d4c-5b6a-4798-8695-000000000001",
            "──────────────────────────────────────── ────┬───── ─────────────────┬──────────────────",
            "the host's                                   │                       └ node.uid, default of setting /by",
            "                                             └ cluster",
        ]
    );
    assert!(run.stdout.contains("denied (no-node)"), "{}", run.stdout);
    assert!(run.stdout.contains(" questions: "), "{}", run.stdout);
    assert!(run.stderr.contains("pairs of facts"), "{}", run.stderr);
}

#[test]
fn an_explanation_is_json_too() {
    let answer = place()
        .run("policy explain builtin:node --facts facts.json --pairs 0 --output json")
        .exits(0)
        .json();
    assert_eq!(answer["policy"]["name"], "node");
    assert_eq!(answer["pairs_tried"], 0);
    assert_eq!(influence(&answer, "facts", "node.uid")["path"], true);
    assert_eq!(influence(&answer, "facts", "node.name")["path"], false);
    assert_eq!(influence(&answer, "facts", "node.name")["selectors"], true);
    assert_eq!(
        influence(&answer, "facts", "node")["denied"],
        json!(["no-node"])
    );
    assert_eq!(influence(&answer, "settings", "/by")["path"], true);
    assert_eq!(
        answer["derivation"]["path"][0],
        json!({ "text": "production", "origins": [{ "name": "cluster", "setting": false, "how": "is" }] })
    );
}

#[test]
fn a_page_loads_nothing_and_escapes_everything() {
    let place = place();
    let mut hostile = facts(1);
    hostile["subject"]["service_account"]["issuer"] = json!("<script>alert(1)</script>&\"'");
    place.write("facts.json", &hostile.to_string());
    place
        .run("policy explain builtin:node --facts facts.json --pairs 0 --html page.html")
        .exits(0);
    let page = place.read("page.html");
    assert!(page.starts_with("<!doctype html>"));
    assert!(page.contains("&lt;script&gt;alert(1)"));
    for absent in ["<script", "http://", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(page.ends_with("</html>\n"));
    let run = place.run(
        "policy explain builtin:node --facts facts.json --html absent/page.html --output json",
    );
    assert_eq!(run.exits(1).json()["error"]["reason"], "page_unwritable");
}

#[test]
fn a_decision_of_a_log_is_explained_under_its_settings() {
    let place = place();
    let explain = |record: &str| {
        place.run(&format!(
            "policy explain builtin:node --log log --record {record} --pairs 0 --output json"
        ))
    };
    // The lines before are the segment's header, the rejection and the naming.
    let records: Vec<u64> = (1..=12)
        .filter(|record| explain(&record.to_string()).code == 0)
        .collect();
    assert_eq!(records.len(), 5, "{records:?}");
    let answer = explain(&records[0].to_string()).exits(0).json();
    assert_eq!(
        answer["outcome"]["identity"]["spiffe_id"],
        "spiffe://example.org/spire/agent/k8s_sat/production/node-1"
    );
    let first = records[0];
    let not_one = explain("1").exits(1).json();
    assert_eq!(
        not_one["error"]["message"],
        "record 1 of the log is no decision"
    );
    let rejected = (1..first)
        .map(|record| explain(&record.to_string()).json()["error"]["message"].to_string())
        .any(|message| message.contains("has no facts: the evidence was rejected"));
    assert!(rejected);
    // Other settings are those that are asked for.
    let by_uid = place.run(&format!(
        "policy explain builtin:node --log log --record {first} --pairs 0 --settings {{}} --output json"
    ));
    let id = by_uid.exits(0).json()["outcome"]["identity"]["spiffe_id"].to_string();
    assert!(id.contains("1f2e3d4c"), "{id}");
}

/// Decisions in an envelope whose paths begin with `leading`, and under `fuel`.
fn bounded(leading: &str, fuel: u64) -> Arc<NamingRecord> {
    let envelope = Envelope {
        leading: vec![leading.parse().unwrap()],
        ..Envelope::default()
    };
    let limits = Limits {
        fuel,
        ..Limits::default()
    };
    Arc::new(NamingRecord {
        envelope: serde_json::to_value(envelope).unwrap(),
        limits,
        ..NamingRecord::clone(&naming())
    })
}

/// The explanation of the first decision that has facts.
fn explained(place: &Place, flags: &str) -> Value {
    let runs = (1..=12).map(|record| {
        place.run(&format!(
            "policy explain builtin:node --log log --record {record} --pairs 0 --output json {flags}"
        ))
    });
    let (mut runs, none) = (runs.filter(|run| run.code == 0), "nothing is explained");
    runs.next().expect(none).json()
}

#[test]
fn a_decision_of_a_log_is_explained_in_its_envelope_and_under_its_limits() {
    let plenty = Limits::default().fuel;
    let answer = explained(&place_with(&bounded("{cluster}", plenty)), "");
    assert_eq!(
        answer["outcome"]["identity"]["spiffe_id"],
        "spiffe://example.org/spire/agent/k8s_sat/production/node-1"
    );
    // The twin in an envelope that refused the name: nobody was given it.
    let answer = explained(&place_with(&bounded("machines", plenty)), "");
    assert_eq!(answer["outcome"], json!({ "fault": "path_leading" }));
    assert_eq!(answer["derivation"], json!(null));
    assert_eq!(influence(&answer, "facts", "cluster")["named"], false);

    let scarce = place_with(&bounded("{cluster}", 1_000));
    let answer = explained(&scarce, "");
    assert_eq!(answer["outcome"], json!({ "fault": "policy_fuel" }));
    // What the command line says comes on top.
    let answer = explained(&scarce, &format!("--limit fuel={plenty}"));
    assert!(answer["outcome"]["identity"].is_object(), "{answer}");
}

#[test]
fn an_envelope_that_cannot_be_read_explains_nothing() {
    let place = place_with(&Arc::new(NamingRecord {
        envelope: json!({ "lead": [] }),
        ..NamingRecord::clone(&naming())
    }));
    let said = (1..=12)
        .map(|record| {
            place.run(&format!(
                "policy explain builtin:node --log log --record {record} --output json"
            ))
        })
        .map(|run| run.exits(1).json()["error"].clone())
        .find(|error| error["reason"] == "envelope_unreadable")
        .unwrap();
    let message = said["message"].as_str().unwrap();
    assert!(
        message.starts_with("the recorded envelope of attestor `k8s_sat` cannot be read"),
        "{message}"
    );
    // Of a whole log it is said, and the rest holds.
    let run = place
        .run("policy diff builtin:node builtin:node --against log")
        .exits(0);
    assert!(
        run.stderr.contains(
            "of 5 records the envelope cannot be read: their names are judged by the SPIFFE-ID standard alone"
        ),
        "{}",
        run.stderr
    );
}

#[test]
fn a_subject_has_to_be_named() {
    place().run("policy explain builtin:node").exits(2);
    place()
        .run("policy explain builtin:node --log log")
        .exits(2);
    place()
        .run("policy explain builtin:node --facts facts.json --log log --record 1")
        .exits(2);
    let run = place().run("policy explain builtin:node --log cases --record 1 --output json");
    assert_eq!(run.exits(1).json()["error"]["reason"], "log_unreadable");
}

#[test]
fn a_shared_name_is_found_in_a_log() {
    let place = place();
    let settings = r#"{"by":"name"}"#;
    let run = place.run(&format!(
        "policy collisions builtin:node --log log --settings {settings}"
    ));
    let run = run.exits(1);
    assert!(
        run.stdout
            .starts_with("spiffe://example.org/spire/agent/k8s_sat/production/node-1\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("2 IDs are given to several subjects: 5 subjects asked about, 5 named\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("kept apart by cluster + node.uid, as the policy says")
    );
    // By UID none is, and neither is any where the name is what a machine is.
    place
        .run("policy collisions builtin:node --log log")
        .exits(0);
    let answer = place
        .run(&format!(
            "policy collisions builtin:node --log log --settings {settings} \
             --subject-key /subject/service_account/node/name --output json"
        ))
        .exits(0)
        .json();
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["asked"], 5);
    assert_eq!(answer["subjects_said_by"], "operator");
}

#[test]
fn both_who_share_a_name_are_shown() {
    let place = place();
    let template = r#"{"path":["{namespace}-{service_account}"]}"#;
    let answer = place
        .run(&format!(
            "policy collisions builtin:template --generate facts.json --count 3000 --seed 3 --show 2 --settings {template} --output json"
        ))
        .exits(1)
        .json();
    assert!(answer["collided"].as_u64().unwrap() > 2);
    let shared = answer["collisions"].as_array().unwrap();
    assert_eq!(shared.len(), 2);
    assert_ne!(
        shared[0]["subjects"][0]["facts"],
        shared[0]["subjects"][1]["facts"]
    );
    assert!(!shared[0]["differ_in"].as_array().unwrap().is_empty());
    let again = place.run(&format!(
        "policy collisions builtin:template --generate facts.json --count 3000 --seed 3 --show 2 --settings {template} --output json"
    ));
    assert_eq!(again.json(), answer);
}

#[test]
fn what_is_not_remembered_is_said() {
    let run = place()
        .run("policy collisions builtin:node --log log --remember 2")
        .exits(0);
    assert!(
        run.stdout
            .contains("3 sightings of further IDs were held against the remembered ones only"),
        "{}",
        run.stdout
    );
}

#[test]
fn cases_are_asked_about_as_well() {
    let place = place();
    place
        .run("policy collisions builtin:node --cases cases")
        .exits(0);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let run = place.run("policy collisions builtin:node --cases empty --output json");
    assert_eq!(run.exits(1).json()["error"]["reason"], "no_cases");
    place.run("policy collisions builtin:node").exits(2);
    let unknown = place.run("policy collisions builtin:node --cases cases --subject-key /node/uid");
    assert!(
        unknown
            .exits(2)
            .stderr
            .contains("there is no fact `/node/uid`")
    );
}

#[test]
fn a_difference_is_told_by_its_pattern() {
    let place = place();
    let run = place
        .run("policy diff builtin:uuid builtin:node --against log")
        .exits(0);
    assert!(
        run.stdout.starts_with(
            "5 changed\n  - /production/<attestation_id>\n  + /production/<node.uid>\n  such as record "
        ),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .ends_with("\n5 changed; 0 stay as they are, of 5\n"),
        "{}",
        run.stdout
    );
    let same = place
        .run("policy diff builtin:node builtin:node --against log")
        .exits(0);
    assert_eq!(same.stdout, "nothing changes: 5 asked about\n");
}

#[test]
fn a_difference_is_judged_in_the_recorded_envelope() {
    let template = r#"{"path":["{node_name}"]}"#;
    let diff = |leading: &str| {
        let place = place_with(&bounded(leading, Limits::default().fuel));
        place
            .run(&format!(
                "policy diff builtin:node builtin:template --new-settings {template} --against log --output json"
            ))
            .exits(0)
            .json()
    };
    let answer = diff("{cluster}");
    assert_eq!(
        (&answer["changed"], &answer["vanished"]),
        (&json!(0), &json!(5))
    );
    assert_eq!(answer["groups"][0]["to"], "fault (path_leading)");
    // The twin: in this one it is the old policy whose names are not allowed.
    let answer = diff("node-1");
    assert_eq!(answer["appeared"], 2);
    assert_eq!(answer["refused_otherwise"], 0);
    assert_eq!(answer["same"], 3);
}

#[test]
fn a_difference_that_is_not_wanted_fails() {
    let place = place();
    let by_name = r#"{"by":"name"}"#;
    let diff = |flags: &str| {
        place.run(&format!(
            "policy diff builtin:node builtin:node --new-settings {by_name} --against log {flags}"
        ))
    };
    diff("").exits(0);
    diff("--fail-on vanished,appeared,selectors").exits(0);
    let run = diff("--fail-on changed,collided").exits(1);
    assert!(
        run.stdout.contains("one ID for two spiffe://"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.ends_with("FAILED: changed, collided\n"),
        "{}",
        run.stdout
    );
    let answer = diff("--fail-on collided --output json").exits(1).json();
    assert_eq!(answer["failed_on"], json!(["collided"]));
    assert_eq!(answer["collided"], 2);
    assert_eq!(answer["groups"][0]["count"], 5);
    assert_eq!(answer["groups"][0]["sample"]["facts"], facts(1));
    assert_eq!(answer["shared_ids"].as_array().unwrap().len(), 2);
    diff("--fail-on everything").exits(2);
}

#[test]
fn cases_show_a_difference_too() {
    let place = place();
    let answer = place
        .run(
            "policy diff builtin:node builtin:pod --against cases --fail-on vanished --output json",
        )
        .exits(1)
        .json();
    assert_eq!(answer["vanished"], 2);
    assert_eq!(answer["groups"][0]["to"], "denied (no-pod)");
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let run = place.run("policy diff builtin:node builtin:pod --against empty --output json");
    assert_eq!(run.exits(1).json()["error"]["reason"], "no_facts");
}

#[test]
fn a_log_that_was_changed_ends_a_study() {
    let place = place();
    let segment = std::fs::read_dir(place.path().join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("node-2")))
        .unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("node-2", "node-7", 1)).unwrap();
    let run = place.run("policy diff builtin:uuid builtin:node --against log --output json");
    assert_eq!(run.exits(1).json()["error"]["reason"], "log_unreadable");
}

#[test]
fn evidence_is_verified_before_it_is_explained() {
    let place = place();
    let explain = |flags: &str| {
        place.run(&format!(
            "policy explain builtin:node --evidence token --config nameplate.toml --pairs 0 --output json {flags}"
        ))
    };
    let answer = explain(&format!("--cluster production --now {NOW_TEXT}"))
        .exits(0)
        .json();
    assert_eq!(
        answer["outcome"]["identity"]["spiffe_id"],
        "spiffe://example.org/spire/agent/k8s_sat/production/node-uid"
    );
    assert_eq!(influence(&answer, "facts", "node.uid")["path"], true);
    // The twin: when the token has expired, there are no facts to explain.
    let run = explain("--cluster production --now 2027-01-15T09:00:00Z").exits(3);
    assert_eq!(run.json()["error"]["reason"], "token_expired");
    explain(&format!("--now {NOW_TEXT}")).exits(2);
    // What the configuration does not allow would be given to nobody.
    place.configure("envelope = { leading = [\"machines\"] }");
    let answer = explain(&format!("--cluster production --now {NOW_TEXT}"))
        .exits(0)
        .json();
    assert_eq!(answer["outcome"], json!({ "fault": "path_leading" }));
    place.configure("limits = { fuel = 1000 }");
    let answer = explain(&format!("--cluster production --now {NOW_TEXT}"))
        .exits(0)
        .json();
    assert_eq!(answer["outcome"], json!({ "fault": "policy_fuel" }));
}

#[test]
fn a_certificate_is_explained_once_its_key_has_answered() {
    let place = place();
    place.issue();
    place.write(
        "x509.toml",
        "trust_domain = \"example.org\"\n\n[attestors.x509pop]\nca_bundle_path = \"ca.pem\"\n",
    );
    let explain = |flags: &str| {
        place.run(&format!(
            "policy explain builtin:subject --evidence node.pem --config x509.toml --pairs 0 --output json {flags}"
        ))
    };
    let answer = explain("--key node.key").exits(0).json();
    assert_eq!(
        answer["outcome"]["identity"]["spiffe_id"],
        "spiffe://example.org/spire/agent/x509pop/node-7"
    );
    assert_eq!(
        influence(&answer, "facts", "subject.common_name")["path"],
        true
    );
    explain("--key other.key").exits(1);
    explain("").exits(3);
}
