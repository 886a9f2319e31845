use super::*;
use crate::study::samples;
use nameplate_evidence::{ServiceAccount, Subject};
use nameplate_policy::{Builtin, Limits, Sandbox};
use serde_json::json;

fn explain(policy: &str, settings: &Value, facts: &Facts) -> Explanation {
    let component = Builtin::find(policy).unwrap().component;
    let trial = Trial::new(&Sandbox::new().unwrap(), component, &Limits::default()).unwrap();
    let manifest = nameplate_policy::Manifest::read(component);
    let schema = serde_json::from_str(&manifest.settings_schema.unwrap()).unwrap();
    let explained = Explained {
        trial: &trial,
        settings,
        schema: Some(&schema),
        envelope: &Envelope::default(),
        facts,
    };
    Explanation::of(explained, 50, |_| {}).unwrap()
}

/// `text <- origin, …` for each.
fn origins(parts: &[Part]) -> Vec<String> {
    parts
        .iter()
        .map(|part| {
            let origins = part.origins.iter().map(|origin| {
                let how = match origin.how {
                    How::Is => "is",
                    How::Holds => "holds",
                    How::IsPartOf => "part of",
                    How::DependsOn => "by",
                    How::DependsOnAbsence => "without",
                };
                format!("{how} {}", origin.name)
            });
            format!(
                "{} <- {}",
                part.text,
                origins.collect::<Vec<_>>().join(", ")
            )
        })
        .collect()
}

fn influence<'a>(list: &'a [Influence], name: &str) -> &'a Influence {
    list.iter()
        .find(|influence| influence.name == name)
        .unwrap()
}

#[test]
fn each_segment_has_its_origin() {
    let facts = samples::service_account();
    let explanation = explain("node", &json!({ "by": "name", "selectors": [] }), &facts);
    let derivation = explanation.derivation.unwrap();
    assert_eq!(derivation.prefix, "spiffe://example.org/spire/agent/k8s/");
    assert_eq!(
        origins(&derivation.path),
        [
            "production <- is cluster",
            "worker-1 <- is node.name, by /by"
        ]
    );
    // The twin: by UID, the name decides nothing.
    let by_uid = explain("node", &json!({ "selectors": [] }), &facts);
    assert_eq!(
        origins(&by_uid.derivation.unwrap().path)[1],
        "1f2e3d4c-5b6a-4798-8695-a4b3c2d1e0f9 <- is node.uid, without /by"
    );
    assert!(influence(&by_uid.facts, "node.name").effects.none());
    assert!(influence(&explanation.facts, "node.name").effects.path);
}

#[test]
fn what_flips_to_a_denial_is_said() {
    let explanation = explain("node", &json!({}), &samples::service_account());
    let node = influence(&explanation.facts, "node");
    assert_eq!(node.effects.denied, ["no-node"]);
    let subject = influence(&explanation.facts, "subject");
    assert_eq!(subject.effects.denied, ["needs-service-account"]);
    assert_eq!(
        influence(&explanation.facts, "node.uid").effects.denied,
        ["no-node"]
    );
    assert!(influence(&explanation.facts, "issuer").effects.none());
    let fault = influence(&explanation.facts, "cluster")
        .tried
        .iter()
        .find(|tried| tried.change == "another");
    assert!(matches!(fault.unwrap().outcome, Outcome::Identity { .. }));
}

#[test]
fn selectors_have_origins_too() {
    let explanation = explain(
        "node",
        &json!({ "selectors": ["agent_ns", "agent_node_label"] }),
        &samples::service_account(),
    );
    let derivation = explanation.derivation.unwrap();
    let selectors = origins(&derivation.selectors);
    assert_eq!(
        selectors[0],
        "agent_ns:spire <- holds namespace, by /selectors"
    );
    assert_eq!(
        selectors[1],
        "agent_node_label:topology.kubernetes.io/zone:eu-1a <- \
         holds node.labels[topology.kubernetes.io/zone], by /selectors"
    );
}

#[test]
fn a_denial_is_explained_by_what_would_end_it() {
    let mut facts = samples::service_account();
    if let Subject::ServiceAccount(account) = &mut facts.subject {
        account.node = None;
    }
    let explanation = explain("node", &json!({}), &facts);
    assert_eq!(explanation.derivation, None);
    let node = influence(&explanation.facts, "node");
    assert!(node.effects.named);
    assert_eq!(node.tried[0].change, "proven");
    assert!(influence(&explanation.facts, "pod.uid").effects.none());
}

#[test]
fn pairs_are_bounded_and_counted() {
    let explanation = explain(
        "uuid",
        &json!({ "selectors": [] }),
        &samples::service_account(),
    );
    assert_eq!(explanation.pairs_tried, 50);
    assert!(explanation.pairs > 50);
    assert_eq!(explanation.together, []);
    assert!(explanation.questions > 100);
}

#[test]
fn settings_that_the_policy_refuses_explain_nothing() {
    let component = Builtin::find("node").unwrap().component;
    let trial = Trial::new(&Sandbox::new().unwrap(), component, &Limits::default()).unwrap();
    let explained = Explained {
        trial: &trial,
        settings: &json!({ "bye": 1 }),
        schema: None,
        envelope: &Envelope::default(),
        facts: &samples::service_account(),
    };
    assert_eq!(
        Explanation::of(explained, 0, |_| {})
            .unwrap_err()
            .to_string(),
        "the policy refuses its settings at `/bye`"
    );
}

/// An explanation of what `ask` says, without settings.
fn explain_asking(ask: &Ask<'_>, facts: &Facts, pairs: usize) -> Explanation {
    let mut asking = Asking {
        ask,
        settings: &json!({}),
        schema: None,
        facts,
        questions: 0,
    };
    asking.explain(pairs, &mut |_| {}).unwrap()
}

/// An explanation of a policy that is a function.
fn explain_function(ask: &dyn Fn(&ServiceAccount) -> Vec<String>, pairs: usize) -> Explanation {
    let facts = samples::service_account();
    let ask = |_: &Value, facts: &Facts| {
        let outcome = match &facts.subject {
            Subject::ServiceAccount(account) => Outcome::Identity {
                spiffe_id: format!(
                    "{}{}",
                    crate::study::names::prefix(facts),
                    ask(account).join("/")
                ),
                selectors: Vec::new(),
            },
            Subject::Certificate(_) => Outcome::Fault("path_empty".to_owned()),
        };
        (outcome, Some(1))
    };
    explain_asking(&ask, &facts, pairs)
}

#[test]
fn what_hides_behind_another_fact_is_found_in_pairs() {
    // One of the two is enough, so neither matters alone.
    let either = |account: &ServiceAccount| {
        let kept = account.namespace == "spire" || account.name == "spire-agent";
        vec![if kept { "ours" } else { "theirs" }.to_owned()]
    };
    let alone = explain_function(&either, 0);
    assert!(influence(&alone.facts, "namespace").effects.none());
    assert!(influence(&alone.facts, "name").effects.none());
    assert_eq!(alone.together, []);

    let paired = explain_function(&either, usize::MAX);
    assert_eq!(paired.pairs_tried, paired.pairs);
    let [together] = paired.together.as_slice() else {
        panic!("{:#?}", paired.together);
    };
    assert_eq!(
        (
            together.fact.as_str(),
            together.with.as_str(),
            together.decides
        ),
        ("name", "namespace", Aspect::Path)
    );
}

#[test]
fn a_value_inside_a_segment_is_told_from_one_that_is_computed() {
    let path = |account: &ServiceAccount| {
        vec![
            "fixed".to_owned(),
            format!("ns-{}", account.namespace),
            format!("{:04}", account.name.len()),
            account
                .node
                .iter()
                .flat_map(|node| node.name.chars().take(1))
                .collect(),
            format!("aud-{}", account.audiences.join("+")),
        ]
    };
    let derivation = explain_function(&path, 0).derivation.unwrap();
    assert_eq!(
        origins(&derivation.path),
        [
            "fixed <- ",
            "ns-spire <- holds namespace",
            "0011 <- by name",
            "w <- part of node.name",
            "aud-spire-server <- by audiences",
        ]
    );
}

#[test]
fn a_fact_that_was_only_looked_at_is_told_by_its_fuel() {
    let facts = samples::service_account();
    let ask = |_: &Value, facts: &Facts| {
        let id = format!("{}x", crate::study::names::prefix(facts));
        let fuel = if facts.attestor == "k8s" { 1 } else { 2 };
        let outcome = Outcome::Identity {
            spiffe_id: id,
            selectors: Vec::new(),
        };
        (outcome, Some(fuel))
    };
    let explanation = explain_asking(&ask, &facts, 0);
    let attestor = influence(&explanation.facts, "attestor");
    assert!(attestor.effects.none() && attestor.effects.looked_at);
    assert!(
        !influence(&explanation.facts, "trust_domain")
            .effects
            .looked_at
    );
}

/// A policy that will answer otherwise one day depends on the time today.
#[test]
fn a_policy_that_waits_for_its_time_is_told() {
    let facts = samples::service_account();
    let at = facts.attested_at;
    let turning = |turns: u64| {
        let ask = move |_: &Value, facts: &Facts| {
            let name = if facts.attested_at < turns { "a" } else { "b" };
            let outcome = Outcome::Identity {
                spiffe_id: format!("{}{name}", crate::study::names::prefix(facts)),
                selectors: Vec::new(),
            };
            (outcome, Some(1))
        };
        let explanation = explain_asking(&ask, &samples::service_account(), 0);
        influence(&explanation.facts, "attested_at").clone()
    };
    const HOUR: u64 = 3_600;
    const YEAR: u64 = 365 * 24 * HOUR;
    for (turns, first) in [
        (at + 2 * HOUR, "ten years later"),
        (at + 9 * YEAR, "ten years later"),
        (at - 2 * HOUR, "a day earlier"),
        (at - 364 * 24 * HOUR, "a year earlier"),
    ] {
        let found = turning(turns);
        assert!(found.effects.path, "{turns}");
        let usual = if turns > at { "/a" } else { "/b" };
        let changed = found.tried.iter().find(|tried| {
            !matches!(&tried.outcome, Outcome::Identity { spiffe_id, .. } if spiffe_id.ends_with(usual))
        });
        assert_eq!(changed.unwrap().change, first, "{turns}");
    }
    // Its twin: one whose time is long past.
    assert!(turning(at - 2 * YEAR).effects.none());
}
