#![expect(clippy::string_slice, reason = "a test; these selectors are ASCII")]

use super::*;
use crate::study::samples;

/// Both kinds of subject, with everything that can be proven of them.
fn all() -> [Facts; 2] {
    let mut certificate = samples::certificate();
    let Subject::Certificate(subject) = &mut certificate.subject else {
        panic!("a certificate");
    };
    for uri in [
        "x509pop://example.org/rack/1",
        "x509pop://example.org/zone/a/b",
        "x509pop://example.org/rack/2",
        "x509pop://example.org/empty/",
        "x509pop://example.org//x",
        "x509pop://example.organ/rack/4",
        "x509pop://elsewhere.org/rack/3",
        "spiffe://example.org/rack/4",
    ] {
        let uri = AlternativeName::Uri(uri.to_owned());
        subject.alternative_names.push(uri);
    }
    [samples::service_account(), certificate]
}

fn is_true(selector: &str, facts: &Facts) -> bool {
    let (key, value) = FactKey::of(selector).unwrap();
    assert!(selector.starts_with(key.name()), "{selector}");
    key.proves(value, facts)
}

#[test]
fn what_is_proven_is_true_and_a_byte_more_or_less_is_not() {
    let [account, certificate] = all();
    for (facts, selectors) in [
        (
            &account,
            &[
                "cluster:production",
                "agent_ns:spire",
                "agent_sa:spire-agent",
                "agent_pod_name:spire-agent-x7k2p",
                "agent_pod_uid:d7e6c5b4-a392-4180-b7f6-e5d4c3b2a190",
                "agent_pod_label:app:spire-agent",
                "agent_node_ip:192.0.2.7",
                "agent_node_name:worker-1",
                "agent_node_uid:1f2e3d4c-5b6a-4798-8695-a4b3c2d1e0f9",
                "agent_node_label:topology.kubernetes.io/zone:eu-1a",
            ][..],
        ),
        (
            &certificate,
            &[
                "subject:cn:system:node:worker-1",
                "ca:fingerprint:7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d",
                "ca_thumbprint:8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e",
                "serialnumber:1f00",
                "san:rack:2",
                "san:zone:a/b",
                "cluster:production",
                "agent_node_ip:192.0.2.7",
                "agent_node_name:worker-1",
                "agent_node_uid:1f2e3d4c-5b6a-4798-8695-a4b3c2d1e0f9",
                "agent_node_label:topology.kubernetes.io/zone:eu-1a",
            ],
        ),
    ] {
        for selector in selectors {
            assert!(is_true(selector, facts), "{selector}");
            let behind = selector.find(':').unwrap() + 1;
            for at in behind..selector.len() {
                let cut = [&selector[..at], &selector[at + 1..]].concat();
                // Of two equal bytes side by side, either makes the same text.
                assert!(!is_true(&cut, facts), "{cut}");
                let doubled = [&selector[..at], "~", &selector[at..]].concat();
                assert!(!is_true(&doubled, facts), "{doubled}");
            }
            for longer in [format!("{selector}:"), format!("{selector} ")] {
                assert!(!is_true(&longer, facts), "{longer}");
            }
            let capitals = [&selector[..behind], &selector[behind..].to_uppercase()].concat();
            assert!(
                capitals == *selector || !is_true(&capitals, facts),
                "{capitals}"
            );
        }
    }
}

#[test]
fn what_is_not_proven_has_no_value() {
    let [account, certificate] = all();
    for (facts, selectors) in [
        // What the other kind of subject would prove, too.
        (
            &account,
            &[
                "cluster:staging",
                "cluster:",
                "agent_ns:kube-system",
                "subject:cn:system:node:worker-1",
                "ca:fingerprint:7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d7d",
                "ca_thumbprint:",
                "serialnumber:1f00",
                "san:rack:2",
            ][..],
        ),
        (
            &certificate,
            &[
                "agent_ns:spire",
                "agent_sa:spire-agent",
                // Its requester's.
                "agent_pod_name:spire-agent-x7k2p",
                "agent_pod_uid:d7e6c5b4-a392-4180-b7f6-e5d4c3b2a190",
                "agent_pod_label:app:spire-agent",
                "subject:cn:",
                "subject:system:node:worker-1",
                "ca:8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e",
                // The later one counts.
                "san:rack:1",
                // Of another trust domain, of no scheme, of no value.
                "san:rack:3",
                "san:rack:4",
                "san:empty:",
                "san::x",
            ],
        ),
    ] {
        for selector in selectors {
            assert!(!is_true(selector, facts), "{selector}");
        }
    }
}

#[test]
fn other_keys_are_a_policys_own() {
    for own in [
        "zone:eu-1a",
        "cluster",
        "cluster_thumbprint:c0ffee",
        "Cluster:staging",
        " cluster:staging",
        "cluster :staging",
        "\u{441}luster:staging",
        "my:cluster:staging",
        "agent_pod_address:10.0.0.1",
        "",
        ":",
    ] {
        assert_eq!(FactKey::of(own), None, "{own}");
    }
}

#[test]
fn what_is_proven_is_said_in_few_words() {
    let [account, mut certificate] = all();
    assert_eq!(
        FactKey::Cluster.proven(&account),
        "`cluster` is `production`"
    );
    assert_eq!(FactKey::San.proven(&account), "it proves no `san`");
    assert_eq!(
        FactKey::San.proven(&certificate),
        "`san` is `zone:a/b` or `rack:2`"
    );
    let Subject::Certificate(subject) = &mut certificate.subject else {
        panic!("a certificate");
    };
    for number in 3..6 {
        let uri = format!("x509pop://example.org/rack-{number}/\u{1b}");
        subject.alternative_names.push(AlternativeName::Uri(uri));
    }
    assert_eq!(
        FactKey::San.proven(&certificate),
        "`san` is `zone:a/b`, `rack:2`, `rack-3:\\u{1b}` or one of 2 more"
    );
}
