//! `nameplate demo`: the tour goes as told.

use crate::support::nameplate;

#[test]
fn the_tour_goes_through() {
    let answer = nameplate(&["demo", "--output", "json"]).exits(0).json();
    let steps = answer["steps"].as_array().unwrap();
    let kinds: Vec<_> = steps
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "clusters", "load", "attest", "attest", "swap", "swap", "rejected", "rejected",
            "denied", "fault", "fault", "fault", "unharmed"
        ]
    );
    for step in steps {
        assert!(step["took_ms"].as_f64().unwrap() > 0.0);
    }
    let named_by = |index: usize| steps[index]["identity"]["policy"]["name"].as_str().unwrap();
    assert_eq!(
        [named_by(2), named_by(4), named_by(5)],
        ["uuid", "thumbprint", "node"]
    );
    for swap in &steps[4..6] {
        assert!(swap["meanwhile"]["answered"].as_u64().unwrap() > 0);
        assert_eq!(swap["meanwhile"]["failed"], 0);
        assert_eq!(swap["meanwhile"]["mixed"], 0);
    }
    let reasons: Vec<_> = steps[6..12]
        .iter()
        .map(|step| step["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "signature_invalid",
            "token_expired",
            "policy_denied",
            "policy_fuel",
            "policy_memory",
            "path_segment"
        ]
    );
}

#[test]
fn people_read_the_same() {
    let run = nameplate(&["demo"]).exits(0);
    assert_eq!(run.stderr, "");
    for text in [
        "0 failed, 0 answers mixed",
        "spiffe://example.org/spire/agent/k8s_sat/production/",
        "k8s_sat:agent_node_name:worker-1",
        "contained",
        "What next?",
    ] {
        assert!(run.stdout.contains(text), "{text}\n{}", run.stdout);
    }
    // A JSON object in base64url: the beginning of every token.
    assert!(!run.stdout.contains("eyJ"), "{}", run.stdout);
}
