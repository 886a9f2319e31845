//! `nameplate attest`: every way in, every way out.

use crate::support::{CLUSTER, NOW, Place, claims, claims_without_node, token};
use serde_json::json;

const IDENTITY: &str = "\
spiffe://example.org/spire/agent/k8s_sat/production/node-uid
k8s_sat:cluster:production
k8s_sat:agent_ns:spire
k8s_sat:agent_sa:spire-agent
k8s_sat:agent_pod_name:agent-x7k2p
k8s_sat:agent_pod_uid:pod-uid
k8s_sat:agent_node_name:worker-1
k8s_sat:agent_node_uid:node-uid
";

#[test]
fn a_token_file_earns_an_identity() {
    let run = Place::new()
        .attest("--cluster production --token token")
        .exits(0);
    assert_eq!(run.stdout, IDENTITY);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_token_on_standard_input_earns_it_too() {
    let run = Place::new().attest_with("--cluster production --token -", &token(&claims()));
    assert_eq!(run.exits(0).stdout, IDENTITY);
}

#[test]
fn a_payload_is_what_an_agent_sends() {
    let place = Place::new();
    let payload = json!({ "cluster": "production", "token": token(&claims()) }).to_string();
    place.write("payload.json", &payload);
    assert_eq!(
        place.attest("--payload payload.json").exits(0).stdout,
        IDENTITY
    );
    assert_eq!(
        place.attest_with("--payload -", &payload).exits(0).stdout,
        IDENTITY
    );
}

#[test]
fn a_claimed_uuid_is_handed_on() {
    let place = Place::new();
    place.configure("policy = { source = \"builtin:uuid\", settings = { source = \"claimed\" } }");
    let uuid = "8c1d7f42-0b3e-4a56-b9d8-21e5c6f7a093";
    let run = place.attest(&format!("--cluster production --token token --uuid {uuid}"));
    let id = run.exits(0).stdout.lines().next().unwrap().to_owned();
    assert_eq!(
        id,
        format!("spiffe://example.org/spire/agent/k8s_sat/production/{uuid}")
    );
    let run = place.attest("--cluster production --token token").exits(4);
    assert!(run.stderr.contains("no-claimed-id"), "{}", run.stderr);
}

#[test]
fn json_has_the_shape_that_programs_rely_on() {
    let run = Place::new()
        .attest("--cluster production --token token --output json")
        .exits(0);
    let mut answer = run.json();
    assert!(answer["fuel"].as_u64().unwrap() > 0);
    assert!(
        answer["policy"]["digest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    answer["fuel"] = json!(1);
    answer["policy"]["digest"] = json!("sha256:…");
    let selector = |value| json!({ "type": "k8s_sat", "value": value });
    assert_eq!(
        answer,
        json!({
            "spiffe_id": "spiffe://example.org/spire/agent/k8s_sat/production/node-uid",
            "selectors": [
                selector("cluster:production"),
                selector("agent_ns:spire"),
                selector("agent_sa:spire-agent"),
                selector("agent_pod_name:agent-x7k2p"),
                selector("agent_pod_uid:pod-uid"),
                selector("agent_node_name:worker-1"),
                selector("agent_node_uid:node-uid"),
            ],
            "policy": { "name": "node", "version": "0.1.0", "digest": "sha256:…" },
            "fuel": 1,
        })
    );
}

#[test]
fn rejected_evidence_ends_with_3_and_says_which_check() {
    let place = Place::new();
    let mut claims = claims();
    claims["exp"] = json!(NOW - 660);
    place.write("token", &token(&claims));
    let run = place.attest("--cluster production --token token").exits(3);
    assert_eq!(run.stdout, "");
    assert_eq!(
        run.stderr,
        "\
evidence rejected: token for cluster `production` is refused: token expired 660 s ago (leeway 300 s)
  check    token_expired
  cluster  production
  whose    the peer's: what it sent does not prove what it claims
"
    );
    let run = place
        .attest("--cluster production --token token --output json")
        .exits(3);
    assert_eq!(run.stderr, "");
    assert_eq!(
        run.json(),
        json!({ "error": {
            "failure": "rejected",
            "reason": "token_expired",
            "message": "evidence rejected: token for cluster `production` is refused: token expired 660 s ago (leeway 300 s)",
            "cluster": "production",
            "whose": "the peer's: what it sent does not prove what it claims",
        }})
    );
}

#[test]
fn an_unknown_cluster_is_rejected() {
    let run = Place::new()
        .attest("--cluster nowhere --token token --output json")
        .exits(3);
    assert_eq!(run.json()["error"]["reason"], "unknown_cluster");
    assert_eq!(run.json()["error"]["cluster"], "nowhere");
}

#[test]
fn an_empty_payload_is_rejected() {
    let run = Place::new()
        .attest_with("--payload - --output json", "")
        .exits(3);
    assert_eq!(run.json()["error"]["reason"], "payload_missing");
}

#[test]
fn a_denial_ends_with_4_and_says_which_policy() {
    let place = Place::new();
    place.write("token", &token(&claims_without_node()));
    let run = place.attest("--cluster production --token token").exits(4);
    assert_eq!(run.stdout, "");
    assert!(
        run.stderr
            .starts_with("policy `node` 0.1.0 denied this subject (no-node): ")
    );
    assert!(run.stderr.contains(
        "\n  check    policy_denied\n  cluster  production\n  policy   `node` 0.1.0, sha256:"
    ));
    assert!(
        run.stderr
            .ends_with("\n  whose    nobody's: the policy decided to give this subject no name\n")
    );
    let error = &place
        .attest("--cluster production --token token --output json")
        .exits(4)
        .json()["error"];
    assert_eq!(error["failure"], "denied");
    assert_eq!(error["policy"]["name"], "node");
    assert_eq!(error["cluster"], "production");
}

#[test]
fn an_answer_outside_the_envelope_is_a_fault() {
    let place = Place::new();
    place.configure("policy = { source = \"builtin:node\" }\nenvelope = { leading = [\"other\"] }");
    let run = place.attest("--cluster production --token token").exits(1);
    assert!(run.stderr.starts_with(
        "policy `node` 0.1.0 derived an unusable identity: path segment 0 is `production`, the envelope requires `other`\n  check    path_leading\n"
    ), "{}", run.stderr);
    let error = &place
        .attest("--cluster production --token token --output json")
        .exits(1)
        .json()["error"];
    assert_eq!(error["failure"], "fault");
    assert_eq!(error["reason"], "path_leading");
}

#[test]
fn a_policy_out_of_fuel_is_a_fault() {
    let place = Place::new();
    place.configure("policy = { source = \"builtin:node\" }\nlimits = { fuel = 10 }");
    let run = place
        .attest("--cluster production --token token --output json")
        .exits(1);
    assert_eq!(run.json()["error"]["reason"], "policy_fuel");
}

#[test]
fn the_clock_can_be_set() {
    let place = Place::new();
    let late = "attest --config nameplate.toml --cluster production --token token --output json";
    let run = place
        .run(&format!("{late} --now 2027-01-15T09:00:00Z"))
        .exits(3);
    assert_eq!(run.json()["error"]["reason"], "token_expired");
    let run = place.run(&format!("{late} --now yesterday")).exits(2);
    assert_eq!(run.json()["error"]["failure"], "usage");
}

#[test]
fn the_evidence_is_named_in_one_way() {
    let place = Place::new();
    for flags in [
        "",
        "--cluster production",
        "--token token",
        "--uuid x --payload payload.json",
        "--payload payload.json --cluster production --token token",
    ] {
        place.attest(flags).exits(2);
        let run = place.attest(&format!("{flags} --output json")).exits(2);
        assert_eq!(run.stderr, "");
        assert_eq!(run.json()["error"]["failure"], "usage");
    }
}

#[test]
fn of_several_attestors_one_is_chosen() {
    let place = Place::new();
    let attestor = |name: &str, policy: &str| {
        let cluster = CLUSTER.replace("attestors.k8s_sat", &format!("attestors.{name}"));
        format!(
            "[attestors.{name}]\ntype = \"k8s_sat\"\npolicy = {{ source = \"builtin:{policy}\" }}\n{cluster}"
        )
    };
    let text = format!(
        "trust_domain = \"example.org\"\n{}{}",
        attestor("east", "node"),
        attestor("west", "pod")
    );
    place.write("nameplate.toml", &text);
    let flags = "--cluster production --token token";
    let run = place.attest(flags).exits(2);
    assert_eq!(
        run.stderr,
        "error: several attestors are configured, choose one with `--attestor`: `east`, `west`\n"
    );
    let run = place.attest(&format!("{flags} --attestor north")).exits(2);
    assert_eq!(
        run.stderr,
        "error: no attestor is called `north`; configured: `east`, `west`\n"
    );
    let run = place.attest(&format!("{flags} --attestor east")).exits(0);
    assert!(run.stdout.starts_with(
        "spiffe://example.org/spire/agent/east/production/node-uid\neast:cluster:production\n"
    ));
}

#[test]
fn a_configuration_that_cannot_be_used_is_shown() {
    let place = Place::new();
    place.configure("polcy = { source = \"builtin:node\" }");
    let run = place.attest("--cluster production --token token").exits(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("4 | polcy = "), "{}", run.stderr);
    assert!(run.stderr.contains("^"), "{}", run.stderr);
    let run = place
        .attest("--cluster production --token token --output json")
        .exits(1);
    assert_eq!(run.json()["error"]["reason"], "config_invalid");
    assert_eq!(run.json()["error"]["problems"][0]["line"], 4);
}

#[test]
fn warnings_leave_standard_output_alone() {
    let place = Place::new();
    let text = place
        .read("nameplate.toml")
        .replace("audience = [\"spire-server\"]\n", "");
    place.write("nameplate.toml", &text);
    let run = place.attest("--cluster production --token token").exits(0);
    assert_eq!(run.stdout, IDENTITY);
    assert!(run.stderr.starts_with("warning: "), "{}", run.stderr);
}

#[test]
fn an_input_that_cannot_be_read_is_a_fault_and_one_that_is_too_long_rejected() {
    let place = Place::new();
    let run = place
        .attest("--cluster production --token absent --output json")
        .exits(1);
    assert_eq!(run.json()["error"]["reason"], "input_unreadable");
    place.write("token", &"x".repeat((64 << 10) + 1));
    for (flags, input) in [
        ("--cluster production --token token", String::new()),
        ("--payload token", String::new()),
        ("--payload -", "x".repeat((64 << 10) + 1)),
    ] {
        let run = place
            .attest_with(&format!("{flags} --output json"), &input)
            .exits(3);
        let error = &run.json()["error"];
        assert_eq!(error["reason"], "payload_too_large", "{flags}");
        assert_eq!(
            error["message"],
            "evidence rejected: attestation payload is 65,537 bytes long, more than 32,768 bytes"
        );
    }
}

#[test]
fn no_part_of_a_token_is_ever_printed() {
    let place = Place::new();
    let good = token(&claims());
    let parts: Vec<_> = good.split('.').skip(1).collect();
    let broken = format!("{}x", good.trim_end_matches('A'));
    for token in [&good, &broken] {
        place.write("token", token);
        for output in ["text", "json"] {
            let run = place.attest(&format!(
                "--cluster production --token token --output {output}"
            ));
            for part in &parts {
                let piece = part.get(..24).unwrap();
                assert!(
                    !run.stdout.contains(piece) && !run.stderr.contains(piece),
                    "{run:#?}"
                );
            }
        }
    }
}

/// A place that has a certificate, and an attestor for it.
fn by_certificate() -> Place {
    let place = Place::new();
    place.issue();
    place.write(
        "x509pop.toml",
        "trust_domain = \"example.org\"\n[attestors.x509pop]\nca_bundle_path = \"ca.pem\"\n\
         policy = { source = \"builtin:subject\", settings = { selectors = [\"subject\"] } }\n\
         limits = { deadline = \"30s\" }\n",
    );
    place
}

#[test]
fn a_certificate_and_its_key_answer_the_challenge() {
    let place = by_certificate();
    let key = place.read("node.key");
    let attest = "attest --config x509pop.toml --certificate node.pem --key";
    let run = place.run(&format!("{attest} node.key")).exits(0);
    assert_eq!(
        run.stdout,
        "spiffe://example.org/spire/agent/x509pop/node-7\nx509pop:subject:cn:node-7\n"
    );
    assert_eq!(run.stderr, "");

    let run = place.run(&format!("{attest} other.key"));
    assert_ne!(run.code, 0);
    let why = "private key does not match the certificate's public key";
    assert!(run.stderr.contains(why), "{}", run.stderr);

    // The certificate alone proves nothing, and says so.
    let prover = place.read("node.pem");
    let der: String = prover
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    place.write(
        "payload.json",
        &json!({ "certificates": [der] }).to_string(),
    );
    let run = place.run("attest --config x509pop.toml --payload payload.json");
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(
        run.stderr.contains("challenge_unanswered"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains(key.lines().nth(1).unwrap()));
}

#[test]
fn a_certificate_has_a_key_and_no_cluster() {
    let place = by_certificate();
    let run = place.run("attest --config x509pop.toml --certificate node.pem");
    assert_eq!(run.code, 2);
    let both = "attest --config x509pop.toml --certificate node.pem --key node.key \
                --cluster production --token token";
    assert_eq!(place.run(both).code, 2);
    let check = place.run("config check x509pop.toml").exits(0);
    assert!(check.stdout.contains("1 authority"), "{}", check.stdout);
}

#[test]
fn evidence_that_the_method_does_not_take_is_a_slip_of_who_typed_it() {
    let place = by_certificate();
    let by_token = "attest --config x509pop.toml --cluster production --token token";
    let run = place.run(by_token).exits(2);
    assert_eq!(
        run.stderr,
        "error: a token is no evidence for attestor `x509pop`, whose method `x509pop` takes certificates\n"
    );
    let run = place
        .attest("--certificate node.pem --key node.key")
        .exits(2);
    assert_eq!(
        run.stderr,
        "error: a certificate is no evidence for attestor `k8s_sat`, whose method `k8s_sat` takes tokens\n"
    );
}

#[test]
fn what_a_server_would_record_or_keep_is_said_to_be_left_out() {
    let place = Place::new();
    place.configure(
        "policy = { source = \"builtin:node\" }\n\
         decision_log = { directory = \"log\" }\n\
         on_collision = \"refuse\"",
    );
    let text = place.read("nameplate.toml");
    place.write(
        "nameplate.toml",
        &format!("state_directory = \"state\"\n{text}"),
    );
    let flags = "--cluster production --token token";
    let run = place.attest(flags).exits(0);
    assert_eq!(run.stdout, IDENTITY);
    assert_eq!(
        run.stderr,
        "note: nothing is recorded or kept without `--record`; left out: `decision_log`, \
         `state_directory`, `on_collision`\n"
    );
    let run = place.attest(&format!("{flags} --output json")).exits(0);
    assert_eq!(run.stderr, "");
    assert_eq!(
        run.json()["left_out"],
        json!(["decision_log", "state_directory", "on_collision"])
    );
    for nothing in ["log", "state"] {
        assert!(!place.path().join(nothing).exists(), "{nothing}");
    }

    let run = place.attest(&format!("{flags} --record")).exits(0);
    assert_eq!(run.stdout, IDENTITY);
    assert_eq!(run.stderr, "");
    let shown = place.run("log show log").exits(0).stdout;
    assert_eq!(shown.lines().count(), 1, "{shown}");
    let status = place.run("status --state state").exits(0).stdout;
    assert!(status.contains("k8s_sat"), "{status}");
    place.run("log verify log").exits(0);
}

#[test]
fn a_naming_that_the_gate_refuses_does_not_serve_in_silence() {
    let place = Place::new();
    let configure = |policy: &str| {
        place.configure(&format!(
            "policy = {policy}\n\
             decision_log = {{ directory = \"log\" }}\n\
             gate = {{ against = \"log\", max_changed = 0 }}"
        ));
        let text = place.read("nameplate.toml");
        place.write(
            "nameplate.toml",
            &format!("state_directory = \"state\"\n{text}"),
        );
    };
    let attest = || {
        place
            .attest("--cluster production --token token --record")
            .exits(0)
    };
    configure("{ source = \"builtin:node\" }");
    let run = attest();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (IDENTITY, ""));

    let other = "{ source = \"builtin:template\", settings = { path = [\"{cluster}\", \"one\"] } }";
    configure(other);
    let run = attest();
    assert_eq!(run.stdout, IDENTITY);
    let selectors = "[cluster:production, agent_ns:spire, agent_sa:spire-agent, \
         agent_pod_name:agent-x7k2p, agent_pod_uid:pod-uid, agent_node_name:worker-1, \
         agent_node_uid:node-uid]";
    let id = "spiffe://example.org/spire/agent/k8s_sat/production";
    assert_eq!(
        run.stderr,
        format!(
            "warning: attestor `k8s_sat`: the last good naming serves, not what is configured: \
             nameplate.toml:5:21: error: the gate: 1 subject is named otherwise or for the first \
             time, at most 0 may (`max_changed`); the first: `{id}/node-uid` {selectors} becomes \
             `{id}/one` {selectors}\n"
        )
    );
}

#[test]
fn a_second_subject_of_one_name_is_refused_where_it_is_recorded() {
    let place = Place::new();
    place.configure(
        "policy = { source = \"builtin:template\", settings = { path = [\"{cluster}\", \"one\"] } }\n\
         on_collision = \"refuse\"",
    );
    let text = place.read("nameplate.toml");
    place.write(
        "nameplate.toml",
        &format!("state_directory = \"state\"\n{text}"),
    );
    let mut other = claims();
    other["kubernetes.io"]["node"] = json!({ "name": "worker-2", "uid": "node-uid-2" });
    place.write("other", &token(&other));
    let attest = |token: &str, more: &str| {
        place.attest(&format!("--cluster production --token {token} {more}"))
    };
    attest("token", "--record").exits(0);
    attest("other", "").exits(0);
    let run = attest("other", "--record --output json").exits(1);
    assert_eq!(run.json()["error"]["reason"], "identity_collision");
    attest("token", "--record").exits(0);
}
