use super::*;
use crate::study::samples;
use nameplate_evidence::{ServiceAccount, Subject};
use serde_json::json;

fn manifest(section: &str) -> Manifest {
    Manifest {
        subject_keys: Some(section.to_owned()),
        ..Manifest::default()
    }
}

fn keys(section: &Value, settings: &Value) -> SubjectKeys {
    SubjectKeys::of_policy(&manifest(&section.to_string()), settings).unwrap()
}

fn changed(change: impl FnOnce(&mut ServiceAccount)) -> Facts {
    let mut facts = samples::service_account();
    match &mut facts.subject {
        Subject::ServiceAccount(account) => change(account),
        Subject::Certificate(_) => panic!("a certificate"),
    }
    facts
}

#[test]
fn a_machine_that_comes_back_is_the_same_by_default() {
    let keys = SubjectKeys::default();
    let one = keys.key(&samples::service_account());
    let renewed = changed(|account| {
        account.token_sha256 = "00".repeat(32);
        account.token_id = None;
        account.issued_at = Some(1);
        if let Some(pod) = &mut account.pod {
            pod.uid = Some("another".to_owned());
        }
    });
    assert_eq!(keys.key(&renewed), one);
    for other in [
        changed(|account| account.cluster = "staging".to_owned()),
        changed(|account| {
            if let Some(node) = &mut account.node {
                node.uid = Some("another".to_owned());
            }
        }),
        changed(|account| account.node = None),
    ] {
        assert_ne!(keys.key(&other), one);
    }
}

#[test]
fn the_strongest_fact_tells_subjects_apart() {
    let keys = SubjectKeys::default();
    let legacy = |uid: Option<&str>, namespace: &str| {
        changed(|account| {
            account.node = None;
            account.pod = None;
            account.uid = uid.map(str::to_owned);
            account.namespace = namespace.to_owned();
        })
    };
    assert_eq!(
        keys.key(&legacy(Some("u"), "a")),
        keys.key(&legacy(Some("u"), "b"))
    );
    assert_ne!(keys.key(&legacy(None, "a")), keys.key(&legacy(None, "b")));

    let certificate = |change: fn(&mut nameplate_evidence::Certificate)| {
        let mut facts = samples::certificate();
        if let Subject::Certificate(certificate) = &mut facts.subject {
            certificate.node = None;
            change(certificate);
        }
        keys.key(&facts)
    };
    let one = certificate(|_| {});
    let renewed = certificate(|certificate| {
        certificate.sha256 = "00".repeat(32);
        certificate.serial = "02".to_owned();
    });
    assert_eq!(renewed, one);
    assert_ne!(
        certificate(|certificate| certificate.subject.common_name = None),
        one
    );
    let nameless = |digest: &str| {
        let mut facts = samples::certificate();
        if let Subject::Certificate(certificate) = &mut facts.subject {
            certificate.node = None;
            certificate.subject = nameplate_evidence::subject::DistinguishedName::default();
            certificate.alternative_names.clear();
            certificate.sha256 = digest.to_owned();
        }
        keys.key(&facts)
    };
    assert_ne!(nameless("00"), nameless("01"));
}

#[test]
fn rules_hold_under_their_settings() {
    let section = json!([
        { "when": { "/by": "name" }, "facts": ["/subject/service_account/node/name"] },
        { "when": { "/by": null }, "facts": ["/subject/service_account/pod/uid"] },
        { "facts": ["/subject/service_account/node/uid"] },
    ]);
    let shown = |settings: Value| {
        let keys = keys(&section, &settings);
        assert_eq!(keys.said_by(), SaidBy::Policy);
        let groups: Vec<_> = keys.groups().iter().flatten().collect();
        groups.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(shown(json!({ "by": "name" })), ["node.name", "node.uid"]);
    assert_eq!(shown(json!({})), ["pod.uid", "node.uid"]);
    assert_eq!(shown(json!({ "by": "uid" })), ["node.uid"]);
    let none = keys(
        &json!([{ "when": { "/by": "x" }, "facts": ["/attestor"] }]),
        &json!({}),
    );
    assert_eq!(none, SubjectKeys::default());
}

#[test]
fn the_first_group_that_is_proven_whole_tells_subjects_apart() {
    let keys = keys(
        &json!([
            { "facts": ["/subject/service_account/cluster", "/subject/service_account/pod/uid"] },
            { "facts": ["/subject/service_account/namespace"] },
        ]),
        &json!({}),
    );
    let one = keys.key(&samples::service_account());
    assert_eq!(keys.key(&changed(|account| account.node = None)), one);
    let other_pod = changed(|account| {
        if let Some(pod) = &mut account.pod {
            pod.uid = Some("another".to_owned());
        }
    });
    assert_ne!(keys.key(&other_pod), one);
    // A cluster without a pod is no proof of which subject it is.
    let no_pod = |cluster: &str| {
        keys.key(&changed(|account| {
            account.pod = None;
            account.cluster = cluster.to_owned();
        }))
    };
    assert_eq!(no_pod("a"), no_pod("b"));
    assert_ne!(no_pod("a"), one);
    // Proves none of them: the default decides.
    let certificate = samples::certificate();
    assert_eq!(
        keys.key(&certificate),
        SubjectKeys::default().key(&certificate)
    );
}

#[test]
fn values_do_not_run_into_each_other() {
    let keys = SubjectKeys::of_facts(vec![
        "/subject/service_account/namespace".parse().unwrap(),
        "/subject/service_account/name".parse().unwrap(),
    ]);
    let named = |namespace: &str, name: &str| {
        keys.key(&changed(|account| {
            account.namespace = namespace.to_owned();
            account.name = name.to_owned();
        }))
    };
    assert_ne!(named("a", "bc"), named("ab", "c"));
    assert_eq!(keys.said_by(), SaidBy::Operator);
    assert_eq!(SubjectKeys::of_facts(Vec::new()), SubjectKeys::default());
}

#[test]
fn a_section_that_cannot_be_read_is_an_error() {
    let error = |section: &str| {
        let error = SubjectKeys::of_policy(&manifest(section), &json!({})).unwrap_err();
        crate::chain(&error)
    };
    assert!(error("{}").starts_with("not a list of rules with `facts`"));
    assert!(error(r#"[{"facts": ["/attestor"], "if": {}}]"#).contains("unknown field `if`"));
    assert_eq!(error(r#"[{"facts": []}]"#), "a rule names no facts");
    // Also in a rule whose settings are not these.
    assert_eq!(
        error(r#"[{"when": {"/a": 1}, "facts": ["/subject/service_account/node/uuid"]}]"#),
        "a rule cannot be read: there is no fact `/subject/service_account/node/uuid`; \
         facts are named as in `/subject/service_account/node/uid`"
    );
}

#[test]
fn a_key_is_kept_as_bytes() {
    let key = SubjectKeys::default().key(&samples::service_account());
    assert_eq!(SubjectKey::from(*key.as_bytes()), key);
    assert_eq!(key.to_string().len(), 32);
}
