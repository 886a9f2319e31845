//! `nameplate inspect evidence`.

use crate::support::{NOW_TEXT, Place, claims, token};
use serde_json::{Value, json};

const POP: &str =
    "trust_domain = \"example.org\"\n[attestors.x509pop]\nca_bundle_path = \"ca.pem\"\n";

#[test]
fn a_token_is_shown_without_its_signature() {
    let place = Place::new();
    let text = token(&claims());
    let signature = text.rsplit('.').next().unwrap();
    place.write("token.jwt", &format!("{text}\n"));
    for form in ["text", "json"] {
        let run = place.run(&format!("inspect evidence token.jwt --output {form}"));
        let run = run.exits(0);
        assert!(run.stdout.contains("spire-agent"), "{}", run.stdout);
        assert!(!run.stdout.contains(signature));
        assert!(!run.stdout.contains(&text));
    }
    let run = place.run("inspect evidence token.jwt").exits(0);
    assert!(run.stdout.ends_with("nothing of this is verified\n"));

    // What a configuration says to it.
    let judged = format!(
        "inspect evidence token.jwt --config nameplate.toml --cluster production --now {NOW_TEXT}"
    );
    let run = place.run(&format!("{judged} --output json"));
    let verdict = run.exits(0).json()["verdict"].clone();
    assert_eq!(verdict["outcome"], "identity");
    let id = "spiffe://example.org/spire/agent/k8s_sat/production/node-uid";
    assert_eq!(verdict["spiffe_id"], id);
    let late = judged.replace(NOW_TEXT, "2036-01-01T00:00:00Z");
    let run = place.run(&late).exits(3);
    assert!(
        run.stdout.contains("rejected by token_expired"),
        "{}",
        run.stdout
    );
    let run = place.run("inspect evidence token.jwt --config nameplate.toml");
    assert!(run.exits(2).stderr.contains("--cluster"));
}

#[test]
fn a_payload_is_what_its_member_says() {
    let place = Place::new();
    let payload = json!({ "cluster": "elsewhere", "token": token(&claims()) });
    place.write("payload.json", &payload.to_string());
    let line = format!(
        "inspect evidence payload.json --config nameplate.toml --now {NOW_TEXT} --output json"
    );
    let run = place.run(&line).exits(3).json();
    assert_eq!(run["verdict"]["reason"], "unknown_cluster");
    assert_eq!(run["token"]["header"]["alg"], "ES256");
}

#[test]
fn a_chain_is_shown_and_put_through_the_checks_that_need_no_key() {
    let place = Place::new();
    place.issue();
    place.write("x509pop.toml", POP);
    let run = place
        .run("inspect evidence node.pem --output json")
        .exits(0)
        .json();
    let [leaf] = run["certificates"].as_array().unwrap().as_slice() else {
        panic!("{run}");
    };
    assert_eq!(leaf["subject"]["common_name"], "node-7");
    assert_eq!(leaf["key"], "P-256");
    assert_eq!(leaf["sha1"].as_str().unwrap().len(), 40);
    assert_eq!(run["verdict"], Value::Null);

    let judged = "inspect evidence node.pem --config x509pop.toml";
    let run = place.run(judged).exits(0);
    assert!(
        run.stdout.contains("it would be challenged"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("CN=node-7"), "{}", run.stdout);
    place.write("ca.pem", &{
        let other = Place::new();
        other.issue();
        other.read("ca.pem")
    });
    let run = place.run(judged).exits(3);
    assert!(
        run.stdout.contains("rejected by chain_untrusted"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_is_no_evidence_is_said_and_not_repeated() {
    let place = Place::new();
    for (text, why) in [
        (
            "canary",
            "this is neither a token nor PEM nor what agents send",
        ),
        (
            "canary.canary.x",
            "the token's header is not JSON in base64url",
        ),
        ("{canary", "this is no JSON"),
        ("{}", "payload holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\ncanary", "PEM"),
    ] {
        place.write("evidence", text);
        let run = place.run("inspect evidence evidence").exits(1);
        assert!(run.stderr.contains(why), "{text}: {}", run.stderr);
        assert_eq!(run.stdout, "");
        assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    }
}

#[test]
fn checks_that_wait_for_the_key_are_named() {
    let place = Place::new();
    place.issue_for("system:node:node-7", Some("system:nodes"));
    place.write(
        "kubeconfig",
        "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n\
         clusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\", \
         certificate-authority: ca.pem}}]\nusers: [{name: u, user: {token: canary}}]\n",
    );
    let k8s = |lookup: &str| {
        place.write(
            "k8s.toml",
            &format!(
                "trust_domain = \"example.org\"\n[attestors.k8s]\ncluster = \"production\"\n\
                 ca_bundle_path = \"ca.pem\"\n{lookup}\n"
            ),
        );
        place
            .run("inspect evidence node.pem --config k8s.toml --request r --output json")
            .exits(0)
            .json()["verdict"]
            .clone()
    };
    let key = "that the peer has the certificate's key";
    let policy = "what the policy says";
    let verdict = k8s("kube_config_file = \"kubeconfig\"");
    assert_eq!(verdict["outcome"], "challenged");
    assert_eq!(
        verdict["not_made"],
        json!([
            key,
            "the CertificateSigningRequest, which the API server has",
            "the node, which the API server knows",
            policy
        ])
    );
    let run = place.run("inspect evidence node.pem --config k8s.toml --request r");
    let said = "\nit would be challenged: every check before that holds\n  \
                not checked that the peer has the certificate's key\n  \
                not checked the CertificateSigningRequest, which the API server has\n";
    let run = run.exits(0);
    assert!(run.stdout.contains(said), "{}", run.stdout);

    // Where nobody is asked, nothing waits for it.
    let verdict = k8s("verify_request = false");
    assert_eq!(verdict["not_made"], json!([key, policy]));
}

#[test]
fn evidence_of_another_kind_is_a_slip() {
    let place = Place::new();
    place.issue();
    place.write("x509pop.toml", POP);
    let run = place
        .run("inspect evidence token --config x509pop.toml --cluster production")
        .exits(2);
    assert_eq!(
        run.stderr,
        "error: a token is no evidence for attestor `x509pop`, whose method `x509pop` takes certificates\n"
    );
    let run = place
        .run("inspect evidence node.pem --config nameplate.toml")
        .exits(2);
    assert_eq!(
        run.stderr,
        "error: a certificate is no evidence for attestor `k8s_sat`, whose method `k8s_sat` takes tokens\n"
    );
}
