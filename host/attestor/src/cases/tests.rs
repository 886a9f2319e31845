use super::{Case, CaseRun, Known, LeafKey, MAX_CASES, MAX_EVIDENCE_CASES, Outcome, Shortfall};
use crate::envelope::Envelope;
use crate::naming::{Naming, NamingError};
use nameplate_evidence::Subject;
use nameplate_policy::{
    BUILTINS, CASES_SECTION, Limits, PolicyRequest, PolicySource, Sandbox, Trial,
};
use serde_json::{Value, json};

fn case(value: Value) -> Case {
    serde_json::from_value(value).unwrap()
}

fn refused(value: Value) -> String {
    serde_json::from_value::<Case>(value)
        .unwrap_err()
        .to_string()
}

/// What the verifier makes of the evidence: a subject, or what came of it.
fn verified(evidence: Value) -> Result<Subject, Outcome> {
    let case = case(json!({ "evidence": evidence }));
    case.facts()
        .map(|facts| facts.into_owned().subject)
        .map_err(|ended| ended.outcome)
}

fn rejected(reason: &str) -> Outcome {
    Outcome::Rejected(reason.to_owned())
}

#[test]
fn a_case_states_facts_or_evidence() {
    let evidence = json!({ "token": {} });
    case(json!({ "evidence": evidence }));
    assert_eq!(refused(json!({})), "a case states `facts` or `evidence`");
    let facts = serde_json::to_value(
        case(json!({ "evidence": evidence }))
            .facts()
            .unwrap()
            .into_owned(),
    )
    .unwrap();
    case(json!({ "facts": facts }));
    assert_eq!(
        refused(json!({ "facts": facts, "evidence": evidence })),
        "a case states `facts` or `evidence`, not both"
    );
    assert_eq!(
        refused(json!({ "facts": facts, "surrounding": {} })),
        "`surrounding` goes with `evidence`; facts state theirs"
    );
    let error = refused(json!({ "evidence": { "token": { "flow": "expired" } } }));
    assert!(error.starts_with("unknown field `flow`"), "{error}");
}

#[test]
fn a_case_is_written_as_it_is_read() {
    let text = json!({
        "name": "n",
        "settings": { "by": "name" },
        "evidence": { "certificate": { "key": "p384", "flaw": "expired" } },
        "surrounding": { "clock": "2026-02-01T00:00:00Z" },
        "max_fuel": 9,
    });
    let once = case(text);
    let again = case(serde_json::to_value(&once).unwrap());
    assert_eq!(again, once);
    let Known::Evidence(_, surrounding) = &once.known else {
        panic!("{once:?}");
    };
    assert_eq!(surrounding.clock.to_string(), "2026-02-01T00:00:00Z");
}

#[test]
fn the_usual_token_proves_the_sample_facts() {
    let case = case(json!({
        "evidence": { "token": {
            "claimed_id": "8c1d7f42-0b3e-4a56-b9d8-21e5c6f7a093",
            "trust": { "cluster_thumbprint": "aa" },
        } },
    }));
    let facts = case.facts().unwrap();
    assert_eq!(facts.attested_at, 1_767_225_600);
    assert_eq!(facts.attestor, "k8s_sat");
    assert_eq!(
        facts.claimed_id.as_deref(),
        Some("8c1d7f42-0b3e-4a56-b9d8-21e5c6f7a093")
    );
    let Subject::ServiceAccount(account) = &facts.subject else {
        panic!("{facts:?}");
    };
    assert_eq!(account.node.as_ref().unwrap().name, "node-7");
    assert_eq!(account.cluster_thumbprint.as_deref(), Some("aa"));
    // A name with the digest of the token holds on every machine and every day.
    assert_eq!(
        account.token_sha256,
        "07eb8f0210e584183106ddcf0b59540802d4a409c407ac19b35589770992ad33"
    );
}

#[test]
fn each_flaw_of_a_token_has_its_reason() {
    assert!(verified(json!({ "token": {} })).is_ok());
    for (flaw, reason) in [
        ("expired", "token_expired"),
        ("not_yet_valid", "token_not_yet_valid"),
        ("wrong_issuer", "issuer_mismatch"),
        ("wrong_audience", "audience_mismatch"),
        ("foreign_key", "signature_invalid"),
        ("tampered", "signature_invalid"),
        ("unsigned", "algorithm_refused"),
    ] {
        assert_eq!(
            verified(json!({ "token": { "flaw": flaw } })),
            Err(rejected(reason)),
            "{flaw}"
        );
    }
}

#[test]
fn claims_and_trust_decide_as_an_attestor_would() {
    let endless = json!({ "exp": null });
    let token = |claims: &Value, trust: Value| {
        verified(json!({ "token": { "claims": claims, "trust": trust } }))
    };
    assert_eq!(
        token(&endless, json!({})),
        Err(rejected("token_never_expires"))
    );
    assert!(token(&endless, json!({ "allow_unexpiring_tokens": true })).is_ok());
    let late = json!({ "exp": 1_767_225_600 - 30 });
    assert!(token(&late, json!({})).is_ok());
    assert_eq!(
        token(&late, json!({ "leeway_seconds": 0 })),
        Err(rejected("token_expired"))
    );
    let other = json!({ "service_account_allow_list": ["spire:other"] });
    assert_eq!(
        token(&json!({}), other),
        Err(rejected("service_account_not_allowed"))
    );
    let unbound = json!({ "kubernetes.io": { "pod": null } });
    assert!(token(&unbound, json!({})).is_ok());
    assert_eq!(
        token(&unbound, json!({ "bound_to_pod": true, "issuer": null })),
        Err(rejected("pod_missing"))
    );
    let CaseRun {
        outcome, detail, ..
    } = case(
        json!({ "evidence": { "token": { "trust": { "service_account_allow_list": ["x"] } } } }),
    )
    .facts()
    .unwrap_err();
    assert_eq!(outcome, Outcome::Fault("case_evidence".to_owned()));
    assert_eq!(
        detail.unwrap(),
        "the case's evidence cannot be made: `x` is not a service account in the form `namespace:name`"
    );
}

#[test]
fn every_kind_of_key_proves_a_certificate() {
    for key in [LeafKey::Rsa, LeafKey::P256, LeafKey::P384, LeafKey::P521] {
        let subject = verified(json!({ "certificate": {
            "key": key,
            "subject": { "common_name": "db-3", "organizations": ["Example"] },
            "alternative_names": [
                { "dns": "db-3.example.org" }, { "ip": "192.0.2.33" },
                { "uri": "x509pop://example.org/rack/7" }, { "email": "a@example.org" },
            ],
            "intermediates": ["Upper", "Lower"],
            "cluster": "production",
        } }))
        .unwrap();
        let Subject::Certificate(certificate) = subject else {
            panic!("{subject:?}");
        };
        assert_eq!(certificate.subject.common_name.as_deref(), Some("db-3"));
        assert_eq!(certificate.subject.organizations, ["Example"]);
        assert_eq!(certificate.alternative_names.len(), 4);
        assert_eq!(certificate.authorities.len(), 3);
        assert_eq!(certificate.serial, "01a4f0");
        assert_eq!(certificate.not_after - certificate.not_before, 2 * 86_400);
        if key == LeafKey::P256 {
            // Issued by a key whose signatures do not change.
            assert_eq!(certificate.sha1, "8537b26cba676d73259cce6be9fdd2f8e4268254");
        }
    }
    assert_eq!(
        verified(json!({ "certificate": { "key": "ed25519" } })),
        Err(rejected("key_unsupported"))
    );
}

#[test]
fn each_flaw_of_a_certificate_has_its_reason() {
    let flawed = |flaw: Value| {
        verified(json!({ "certificate": { "intermediates": ["Between"], "flaw": flaw } }))
    };
    assert!(flawed(Value::Null).is_ok());
    for (flaw, reason) in [
        ("expired", "chain_untrusted"),
        ("not_yet_valid", "chain_untrusted"),
        ("foreign_authority", "chain_untrusted"),
        ("missing_intermediates", "chain_untrusted"),
        ("authority", "chain_untrusted"),
        ("no_digital_signature", "key_usage"),
        ("replayed_answer", "possession_unproven"),
        ("unanswered", "challenge_unanswered"),
    ] {
        assert_eq!(flawed(json!(flaw)), Err(rejected(reason)), "{flaw}");
    }
}

#[test]
fn what_the_operator_demands_of_certificates_decides() {
    let demanded = |more: Value| {
        let mut certificate = json!({
            "intermediates": ["a", "b"],
            "key": "rsa",
            "alternative_names": [{ "ip": "192.0.2.7" }, { "uri": "spiffe://example.org/agents/7" }],
        });
        let members = certificate.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        verified(json!({ "certificate": certificate }))
    };
    assert!(demanded(json!({})).is_ok());
    let trust = |trust: Value| json!({ "trust": trust });
    assert_eq!(
        demanded(trust(json!({ "max_intermediates": 1 }))),
        Err(rejected("too_many_intermediates"))
    );
    assert!(demanded(trust(json!({ "max_rsa_key_size": 2048 }))).is_ok());
    assert_eq!(
        demanded(trust(json!({ "max_rsa_key_size": 2040 }))),
        Err(rejected("key_size"))
    );
    let address =
        |address: &str| json!({ "trust": { "verify_client_ip": true }, "client_address": address });
    assert!(demanded(address("192.0.2.7")).is_ok());
    assert_eq!(
        demanded(address("192.0.2.8")),
        Err(rejected("client_address_mismatch"))
    );
    let node = |subject: Value| {
        verified(json!({ "certificate": {
            "subject": subject, "trust": { "kubernetes_node": true },
        } }))
    };
    let name = json!({ "common_name": "system:node:n7", "organizations": ["system:nodes"] });
    let Ok(Subject::Certificate(certificate)) = node(name) else {
        panic!("no node");
    };
    assert_eq!(certificate.node.unwrap().name, "n7");
    assert_eq!(
        node(json!({ "common_name": "n7" })),
        Err(rejected("node_name_missing"))
    );
    assert!(demanded(trust(json!({ "spiffe_prefix": "/agents/" }))).is_ok());
    assert_eq!(
        demanded(trust(json!({ "spiffe_prefix": "/others/" }))),
        Err(rejected("svid_prefix"))
    );
}

#[test]
fn a_certificate_that_cannot_be_made_is_the_cases_fault() {
    let unmade = |certificate: Value| {
        let case = case(json!({ "evidence": { "certificate": certificate } }));
        let ended = case.facts().unwrap_err();
        assert_eq!(ended.outcome, Outcome::Fault("case_evidence".to_owned()));
        ended.detail.unwrap()
    };
    assert_eq!(
        unmade(json!({ "serial": "1" })),
        "the case's evidence cannot be made: `serial` is not hexadecimal with an even number of digits"
    );
    assert_eq!(
        unmade(json!({ "subject": { "organizations": ["a", "b"] } })),
        "the case's evidence cannot be made: `organizations` of a minted certificate's subject holds one at most"
    );
}

#[test]
fn more_fuel_than_stated_is_a_shortfall() {
    let outcome = Outcome::Denied {
        code: "no-node".to_owned(),
    };
    let mut case = case(json!({ "evidence": { "token": {} }, "max_fuel": 100 }));
    case.expect = Some(outcome.clone());
    let run = |fuel| CaseRun {
        outcome: outcome.clone(),
        fuel: Some(fuel),
        detail: None,
    };
    assert_eq!(case.shortfall(&run(100)), None);
    assert_eq!(
        case.shortfall(&run(101)),
        Some(Shortfall::Fuel {
            most: 100,
            used: 101
        })
    );
}

/// A built-in policy with other cases: of two sections the later counts.
fn carrying(cases: &Value) -> Vec<u8> {
    let mut section = vec![u8::try_from(CASES_SECTION.len()).unwrap()];
    section.extend_from_slice(CASES_SECTION.as_bytes());
    section.extend_from_slice(cases.to_string().as_bytes());
    let mut bytes = BUILTINS[0].component.to_vec();
    // A custom section, its length as LEB128.
    bytes.push(0);
    let mut length = section.len();
    while length > 0x7f {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(section);
    bytes
}

fn loaded(cases: &Value) -> Result<Naming, NamingError> {
    let source = PolicySource::Bytes(carrying(cases).into());
    Naming::load(
        &Sandbox::new().unwrap(),
        &PolicyRequest::new(source),
        Envelope::default(),
    )
}

#[test]
fn a_component_carries_so_many_cases_with_evidence_and_no_more() {
    let expired = json!({
        "evidence": { "token": { "flaw": "expired" } },
        "expect": { "rejected": "token_expired" },
    });
    let mut cases = vec![expired.clone(); MAX_EVIDENCE_CASES];
    // What states facts costs what the sandbox counts, and does not count here.
    let facts = case(json!({ "evidence": { "token": {} } }))
        .facts()
        .unwrap()
        .into_owned();
    let mut known = json!({ "facts": facts });
    let run = case(known.clone()).run(&trial());
    known["expect"] = serde_json::to_value(run.outcome).unwrap();
    cases.push(known);
    loaded(&Value::from(cases.clone())).unwrap();
    cases.push(expired);
    assert_eq!(
        loaded(&Value::from(cases)).unwrap_err().to_string(),
        "the component carries 257 cases with evidence, at most 256 are run"
    );
}

#[test]
fn a_component_carries_so_many_cases_and_no_more() {
    let denied = json!({
        "evidence": { "token": { "flaw": "expired" } },
        "expect": { "rejected": "token_expired" },
    });
    // Nothing is run where there are too many: what is said is how many there are.
    let many = |count: usize| {
        loaded(&Value::from(vec![denied.clone(); count]))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        many(MAX_CASES + 1),
        "the component carries 1025 cases, at most 1024 are run"
    );
    assert_eq!(
        many(MAX_CASES),
        "the component carries 1024 cases with evidence, at most 256 are run"
    );
}

fn trial() -> Trial {
    Trial::new(
        &Sandbox::new().unwrap(),
        BUILTINS[0].component,
        &Limits::default(),
    )
    .unwrap()
}
