use super::*;
use crate::namespace::AttestorName;
use nameplate_evidence::{Node, ServiceAccount, Subject};

fn namespace() -> Namespace {
    Namespace {
        trust_domain: "example.org".parse().unwrap(),
        attestor: "k8s_sat".parse::<AttestorName>().unwrap(),
    }
}

fn facts() -> Facts {
    Facts {
        trust_domain: "example.org".to_owned(),
        attestor: "k8s_sat".to_owned(),
        attested_at: 1_767_225_600,
        attestation_id: "6f1c1f1e-6f0a-4d8e-9d3a-0d9b8c7a6f5e".to_owned(),
        claimed_id: None,
        subject: Subject::ServiceAccount(ServiceAccount {
            cluster: "production".to_owned(),
            cluster_thumbprint: None,
            namespace: "spire".to_owned(),
            name: "spire-agent".to_owned(),
            uid: None,
            pod: None,
            node: Some(Node {
                name: "node-7".to_owned(),
                uid: None,
                address: None,
                labels: Vec::new(),
            }),
            issuer: None,
            audiences: Vec::new(),
            token_id: None,
            token_sha256: "ab".repeat(32),
            issued_at: None,
            expires_at: None,
        }),
    }
}

fn derivation(path: &[&str], selectors: &[&str]) -> Derivation {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Derivation {
        path: owned(path),
        selectors: owned(selectors),
    }
}

fn admit(envelope: &Envelope, path: &[&str], selectors: &[&str]) -> Result<String, String> {
    envelope
        .admit(&namespace(), &facts(), derivation(path, selectors))
        .map(|identity| identity.spiffe_id().to_string())
        .map_err(|error| format!("{}: {}", error.reason(), crate::error::chain(&error)))
}

fn refusal(envelope: &Envelope, path: &[&str], selectors: &[&str]) -> String {
    admit(envelope, path, selectors).unwrap_err()
}

#[test]
fn the_host_writes_all_but_the_path() {
    let identity = Envelope::default()
        .admit(
            &namespace(),
            &facts(),
            derivation(&["a", "b"], &["x:y", "z"]),
        )
        .unwrap();
    assert_eq!(
        serde_json::to_value(&identity).unwrap(),
        serde_json::json!({
            "spiffe_id": "spiffe://example.org/spire/agent/k8s_sat/a/b",
            "selectors": [
                {"type": "k8s_sat", "value": "x:y"},
                {"type": "k8s_sat", "value": "z"},
            ],
        })
    );
    let shown: Vec<_> = identity.selectors().map(|it| it.to_string()).collect();
    assert_eq!(shown, ["k8s_sat:x:y", "k8s_sat:z"]);
}

#[test]
fn a_path_is_made_of_spiffe_segments() {
    let envelope = Envelope::default();
    assert_eq!(
        refusal(&envelope, &[], &[]),
        "path_empty: the path has no segments"
    );
    for (segment, rule) in [
        ("", "a path segment may not be empty"),
        (
            ".",
            "a path segment may not be `.` or `..`, which stand for another path",
        ),
        (
            "..",
            "a path segment may not be `.` or `..`, which stand for another path",
        ),
        (
            "a/b",
            "a path segment is made of letters, digits, `.`, `-` and `_`",
        ),
        (
            "%2e%2e",
            "a path segment is made of letters, digits, `.`, `-` and `_`",
        ),
        (
            "a:b",
            "a path segment is made of letters, digits, `.`, `-` and `_`",
        ),
    ] {
        assert_eq!(
            refusal(&envelope, &["good", segment], &[]),
            format!(
                "path_segment: path segment 1, `{segment}`, cannot stand in a SPIFFE ID: {rule}"
            )
        );
    }
    // What a log or terminal would act on is escaped and cut.
    let error = refusal(&envelope, &[&format!("\u{1b}[2J{}", "x".repeat(100))], &[]);
    assert!(
        error.contains("`\\u{1b}[2Jxxx") && error.contains("…`"),
        "{error}"
    );
    assert!(admit(&envelope, &["...", ".a", "A-b_c.9"], &[]).is_ok());
}

#[test]
fn a_path_begins_as_the_envelope_says() {
    let envelope = |leading: &[&str]| Envelope {
        leading: leading.iter().map(|text| text.parse().unwrap()).collect(),
        ..Envelope::default()
    };
    let cluster = envelope(&["{cluster}"]);
    assert_eq!(
        admit(&cluster, &["production", "x"], &[]).unwrap(),
        "spiffe://example.org/spire/agent/k8s_sat/production/x"
    );
    assert_eq!(
        refusal(&cluster, &["staging", "x"], &[]),
        "path_leading: path segment 0 is `staging`, the envelope requires `production`"
    );
    let deep = envelope(&["{cluster}", "ns-{namespace}.{node_name}"]);
    assert!(admit(&deep, &["production", "ns-spire.node-7"], &[]).is_ok());
    assert_eq!(
        refusal(&deep, &["production"], &[]),
        "path_leading: path segment 1 is ``, the envelope requires `ns-spire.node-7`"
    );
    assert_eq!(
        refusal(&envelope(&["{pod_uid}"]), &["x"], &[]),
        "path_leading_fact: the envelope requires `{pod_uid}`, which the evidence does not prove"
    );
}

#[test]
fn a_leading_segment_is_checked_when_it_is_written() {
    let refusal = |text: &str| text.parse::<Leading>().unwrap_err().to_string();
    for good in ["{cluster}", "prod", "a-{namespace}_{pod_name}"] {
        assert_eq!(good.parse::<Leading>().unwrap().to_string(), good);
    }
    assert_eq!(refusal(""), "a leading segment cannot be empty");
    assert_eq!(refusal("{cluster"), "a `{` is not closed");
    assert_eq!(refusal("a/b"), "`/` cannot stand in a SPIFFE path segment");
    assert_eq!(refusal(".."), "`.` cannot stand in a SPIFFE path segment");
    assert!(
        refusal("{clutser}")
            .starts_with("there is no placeholder `{clutser}` here; there are cluster, ")
    );
    // Found by the fuzzer: a name reached the terminal as it was written.
    assert!(refusal("{a\u{1b}[2J}").starts_with("there is no placeholder `{a\\u{1b}[2J}` here"));
}

#[test]
fn reserved_segments_are_nobodys() {
    let envelope = Envelope {
        reserved: vec!["admin".to_owned()],
        ..Envelope::default()
    };
    assert!(admit(&envelope, &["a", "administrator"], &[]).is_ok());
    assert_eq!(
        refusal(&envelope, &["a", "Admin"], &[]),
        "path_reserved: the envelope reserves the path segment `Admin`"
    );
}

#[test]
fn lengths_and_counts_are_exact() {
    let envelope = Envelope::default();
    let prefix = "spiffe://example.org/spire/agent/k8s_sat/".len();
    let fits = "a".repeat(255 - prefix);
    assert_eq!(admit(&envelope, &[&fits], &[]).unwrap().len(), 255);
    assert_eq!(
        refusal(&envelope, &[&format!("{fits}a")], &[]),
        "id_length: the SPIFFE ID has 256 bytes, at most 255 allowed"
    );
    // No setting goes beyond the standard.
    let wide = Envelope {
        max_id_bytes: 10_000,
        ..Envelope::default()
    };
    assert_eq!(
        refusal(&wide, &[&"a".repeat(2048)], &[]),
        format!(
            "id_length: the SPIFFE ID has {} bytes, at most 2,048 allowed",
            nameplate_words::grouped(2048 + prefix)
        )
    );

    assert!(admit(&envelope, &["a"], &[&"v".repeat(255)]).is_ok());
    assert_eq!(
        refusal(&envelope, &["a"], &["x", &"v".repeat(256)]),
        "selector_length: selector 1 has 256 bytes, at most 255 allowed"
    );
    let many: Vec<_> = (0..65).map(|n| format!("n:{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(admit(&envelope, &["a"], &many[..64]).is_ok());
    assert_eq!(
        refusal(&envelope, &["a"], &many),
        "selector_count: 65 selectors, at most 64 allowed"
    );
}

#[test]
fn selectors_can_be_matched_and_logged() {
    let envelope = Envelope::default();
    assert!(admit(&envelope, &["a"], &["k:v w", "ü"]).is_ok());
    assert_eq!(
        refusal(&envelope, &["a"], &["x", ""]),
        "selector_empty: selector 1 is empty"
    );
    for control in ["a\nb", "a\u{0}", "\u{7f}", "\u{85}", "a\u{2028}b"] {
        assert_eq!(
            refusal(&envelope, &["a"], &[control]),
            "selector_control: selector 0 contains a control character"
        );
    }
    assert!(admit(&envelope, &["a"], &["k:v", "k:שלום", "k:漢字😀"]).is_ok());
    for (unseen, code) in [
        ("k:\u{202e}v", "202E"),
        ("k:v\u{200b}", "200B"),
        ("\u{2066}k:v", "2066"),
        ("k:v\u{e0041}", "E0041"),
        ("k\u{feff}:v", "FEFF"),
    ] {
        assert_eq!(
            refusal(&envelope, &["a"], &["k:v", unseen]),
            format!("selector_unseen: selector 1 contains a character that nobody sees (U+{code})")
        );
    }
    assert_eq!(
        refusal(&envelope, &["a"], &["k:v", "x", "k:v"]),
        "selector_duplicate: selector `k:v` stands there twice"
    );
}

/// Each field by itself makes an envelope narrower, and never wider.
#[test]
fn an_envelope_is_within_one_that_admits_no_less() {
    let plain = Envelope::of_the_standard;
    let narrower = [
        Envelope {
            leading: vec!["{cluster}".parse().unwrap()],
            ..plain()
        },
        Envelope {
            max_id_bytes: 254,
            ..plain()
        },
        Envelope {
            max_selector_bytes: 254,
            ..plain()
        },
        Envelope {
            max_selectors: 63,
            ..plain()
        },
        Envelope {
            reserved: vec!["admin".to_owned()],
            ..plain()
        },
        Envelope {
            selectors: vec!["a:*".parse().unwrap()],
            ..plain()
        },
        Envelope {
            false_facts: FalseFacts::Refuse,
            ..plain()
        },
    ];
    assert!(plain().is_within(&plain()));
    for (number, narrow) in narrower.iter().enumerate() {
        assert!(narrow.is_within(narrow) && narrow.is_within(&plain()));
        assert!(!plain().is_within(narrow), "{number}");
        for (other, _) in narrower.iter().enumerate().filter(|(at, _)| *at != number) {
            assert!(!narrow.is_within(&narrower[other]), "{number} in {other}");
        }
    }
    // Names are reserved without regard to case, and leading segments in order.
    let reserving = |name: &str| Envelope {
        reserved: vec![name.to_owned()],
        ..plain()
    };
    assert!(reserving("ADMIN").is_within(&reserving("admin")));
    let leading = |segments: &[&str]| Envelope {
        leading: segments.iter().map(|one| one.parse().unwrap()).collect(),
        ..plain()
    };
    assert!(leading(&["a", "b"]).is_within(&leading(&["a"])));
    assert!(!leading(&["b", "a"]).is_within(&leading(&["a"])));
}

/// A policy of one cluster that says it is another's, and its like.
#[test]
fn a_false_fact_cannot_be_said() {
    let envelope = Envelope::default();
    for good in [
        &["cluster:production", "agent_ns:spire"][..],
        &["agent_sa:spire-agent", "agent_node_name:node-7"],
        &["zone:eu-1a", "Cluster:staging", "cluster"],
    ] {
        assert!(admit(&envelope, &["a"], good).is_ok(), "{good:?}");
    }
    for (bad, why) in [
        ("cluster:staging", "`cluster` is `production`"),
        ("cluster:production ", "`cluster` is `production`"),
        ("agent_ns:kube-system", "`agent_ns` is `spire`"),
        ("agent_node_uid:1f2e", "it proves no `agent_node_uid`"),
        ("san:role:admin", "it proves no `san`"),
    ] {
        assert_eq!(
            refusal(&envelope, &["a"], &["zone:eu-1a", bad]),
            format!(
                "selector_false_fact: selector 1, `{bad}`, is not what the evidence proves: {why}"
            )
        );
        // The operator's word brings the old rule back.
        assert!(admit(&Envelope::of_the_standard(), &["a"], &[bad]).is_ok());
    }
}

/// The message is about a difference, which may be the last character.
#[test]
fn a_false_fact_is_shown_to_its_end() {
    let facts = crate::study::samples::certificate();
    let Subject::Certificate(certificate) = &facts.subject else {
        panic!("a certificate");
    };
    let own = certificate.authorities[0].sha256.clone();
    let (most, last) = own.split_at(own.len() - 1);
    let other = format!("{most}{}", if last == "0" { "1" } else { "0" });
    assert!(own.len() == 64 && own != other);
    let refused = Envelope::default().admit(
        &namespace(),
        &facts,
        derivation(&["a"], &[&format!("ca_thumbprint:{other}")]),
    );
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!(
            "selector 0, `ca_thumbprint:{other}`, is not what the evidence proves: \
             `ca_thumbprint` is `{own}`"
        )
    );
}

#[test]
fn a_selector_matches_one_of_the_patterns() {
    let envelope = |patterns: &[&str]| Envelope {
        selectors: patterns.iter().map(|text| text.parse().unwrap()).collect(),
        ..Envelope::of_the_standard()
    };
    let bounded = envelope(&["cluster:{cluster}", "zone:*", "pod:{pod_uid}"]);
    assert!(admit(&bounded, &["a"], &["cluster:production", "zone:eu-1a"]).is_ok());
    assert!(admit(&bounded, &["a"], &[]).is_ok());
    for bad in ["cluster:staging", "rack:1", "pod:", "zone"] {
        assert_eq!(
            refusal(&bounded, &["a"], &["zone:x", bad]),
            format!(
                "selector_pattern: selector 1, `{bad}`, matches none of the envelope's `selectors`"
            )
        );
        assert!(admit(&envelope(&["*"]), &["a"], &[bad]).is_ok());
    }
    // A pattern does not make a false fact true.
    let wide = Envelope {
        selectors: envelope(&["cluster:*"]).selectors,
        ..Envelope::default()
    };
    assert!(admit(&wide, &["a"], &["cluster:production"]).is_ok());
    assert!(refusal(&wide, &["a"], &["cluster:staging"]).starts_with("selector_false_fact: "));
}

#[test]
fn patterns_are_within_those_that_they_are_some_of() {
    let envelope = |patterns: &[&str]| Envelope {
        selectors: patterns.iter().map(|text| text.parse().unwrap()).collect(),
        ..Envelope::default()
    };
    for (narrow, wide) in [
        (&["a:*"][..], &[][..]),
        (&[], &["*"]),
        (&["a:*"], &["b", "*"]),
        (&["b", "a:*"], &["a:*", "b", "c"]),
    ] {
        assert!(envelope(narrow).is_within(&envelope(wide)), "{narrow:?}");
    }
    for (wide, narrow) in [
        (&[][..], &["a:*"][..]),
        (&["*"], &["a:*"]),
        (&["a:*", "b"], &["a:*"]),
        // It is, but nothing here says so.
        (&["a:b"], &["a:*"]),
    ] {
        assert!(!envelope(wide).is_within(&envelope(narrow)), "{wide:?}");
    }
}

/// What a host decided that could not refuse false facts is decided so again;
/// a kept naming of its serves under the rule of today.
#[test]
fn a_record_without_the_rule_is_an_older_hosts() {
    let plain = Envelope::default();
    let old = serde_json::json!({
        "leading": [],
        "max_id_bytes": 255,
        "max_selector_bytes": 255,
        "max_selectors": 64,
        "reserved": [],
    });
    // So an envelope at its defaults is the same text as before: the digest of
    // a naming is made of it.
    assert_eq!(serde_json::to_value(&plain).unwrap(), old);
    assert_eq!(
        serde_json::from_value::<Envelope>(old.clone()).unwrap(),
        plain
    );
    assert_eq!(
        Envelope::of_record(&old).unwrap(),
        Envelope::of_the_standard()
    );
    for said in [
        plain,
        Envelope::of_the_standard(),
        Envelope {
            selectors: vec!["cluster:{cluster}".parse().unwrap()],
            ..Envelope::default()
        },
    ] {
        let record = said.to_record();
        assert!(record.get("false_facts").is_some());
        assert_eq!(Envelope::of_record(&record).unwrap(), said);
        let kept = serde_json::to_value(&said).unwrap();
        assert_eq!(serde_json::from_value::<Envelope>(kept).unwrap(), said);
    }
}
