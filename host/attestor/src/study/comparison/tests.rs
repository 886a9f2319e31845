use super::*;
use crate::study::samples;
use nameplate_evidence::Subject;

/// Facts of the `number`-th machine.
fn machine(number: usize) -> Described {
    let mut facts = samples::service_account();
    facts.attestation_id = format!("00000000-0000-4000-8000-{number:012x}");
    if let Subject::ServiceAccount(account) = &mut facts.subject
        && let Some(node) = &mut account.node
    {
        node.name = format!("worker-{number}");
        node.uid = Some(format!("10000000-0000-4000-8000-{number:012x}"));
    }
    Described {
        name: format!("record {number}"),
        facts,
        envelope: None,
    }
}

fn node(facts: &Facts) -> (String, String) {
    let Subject::ServiceAccount(account) = &facts.subject else {
        panic!("{facts:?}")
    };
    let node = account.node.clone().unwrap();
    (node.name, node.uid.unwrap())
}

fn named(path: &str, selectors: &[&str]) -> Outcome {
    Outcome::Identity {
        spiffe_id: format!("spiffe://example.org/spire/agent/k8s/{path}"),
        selectors: selectors.iter().map(ToString::to_string).collect(),
    }
}

fn by_uid(facts: &Facts) -> Outcome {
    named(&format!("production/{}", node(facts).1), &["a:1"])
}

fn by_name(facts: &Facts) -> Outcome {
    named(&format!("production/machines/{}", node(facts).0), &["a:1"])
}

fn compare(
    old: impl Fn(&Facts) -> Outcome + Sync,
    new: impl Fn(&Facts) -> Outcome + Sync,
    options: &ComparisonOptions,
) -> Comparison {
    Comparison::of(&old, &new, (0..5_000).map(machine), options, |_| {})
}

#[test]
fn the_same_naming_changes_nothing() {
    let comparison = compare(by_uid, by_uid, &ComparisonOptions::default());
    let expected = Comparison {
        asked: 5_000,
        same: 5_000,
        ..Comparison::default()
    };
    assert_eq!(comparison, expected);
    assert!(!comparison.changes_names());
}

#[test]
fn names_of_one_making_are_one_group() {
    let comparison = compare(by_uid, by_name, &ComparisonOptions::default());
    assert_eq!((comparison.asked, comparison.changed), (5_000, 5_000));
    assert!(comparison.changes_names());
    let [group] = comparison.groups.as_slice() else {
        panic!("{:#?}", comparison.groups);
    };
    assert_eq!(group.change, Change::Changed);
    assert_eq!(group.from, "/production/<node.uid>");
    assert_eq!(group.to, "/production/machines/<node.name>");
    assert_eq!(group.count, 5_000);
    assert_eq!(group.sample.at, 0);
    assert_eq!(group.sample.described.name, "record 0");
    assert_eq!(group.sample.new, by_name(&machine(0).facts));
}

#[test]
fn every_kind_of_change_is_told_apart() {
    let third = |facts: &Facts| {
        let (name, _) = node(facts);
        name.trim_start_matches("worker-").parse::<usize>().unwrap() % 5
    };
    let denied = |code: &str| Outcome::Denied {
        code: code.to_owned(),
    };
    let old = |facts: &Facts| match third(facts) {
        0 | 1 => denied("no-node"),
        _ => by_uid(facts),
    };
    let new = |facts: &Facts| match third(facts) {
        1 => denied("not-here"),
        2 => Outcome::Fault("policy_trap".to_owned()),
        3 => named(&format!("production/{}", node(facts).1), &["a:1", "b:2"]),
        _ => by_uid(facts),
    };
    let comparison = compare(old, new, &ComparisonOptions::default());
    let shown: Vec<_> = comparison
        .groups
        .iter()
        .map(|group| {
            let Group {
                change, from, to, ..
            } = group;
            format!("{change}: {from} -> {to}, {}", group.count)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "appeared: denied (no-node) -> /production/<node.uid>, 1000",
            "vanished: /production/<node.uid> -> fault (policy_trap), 1000",
            "selectors changed: nothing -> b:2, 1000",
            "refused otherwise: denied (no-node) -> denied (not-here), 1000",
        ]
    );
    assert_eq!(
        (
            comparison.same,
            comparison.appeared,
            comparison.vanished,
            comparison.selectors_changed,
            comparison.refused_otherwise
        ),
        (1_000, 1_000, 1_000, 1_000, 1_000)
    );
}

#[test]
fn another_order_of_selectors_is_a_change() {
    let turned = |facts: &Facts| named(&format!("production/{}", node(facts).1), &["b", "a"]);
    let straight = |facts: &Facts| named(&format!("production/{}", node(facts).1), &["a", "b"]);
    let comparison = compare(straight, turned, &ComparisonOptions::default());
    assert_eq!(comparison.groups[0].from, "the same");
    assert_eq!(comparison.groups[0].to, "in another order");
}

#[test]
fn two_subjects_under_one_new_name_collide() {
    let shared = |facts: &Facts| match node(facts).0.as_str() {
        "worker-7" | "worker-4000" | "worker-4001" => named("production/seven", &[]),
        _ => by_uid(facts),
    };
    let options = ComparisonOptions::default();
    let comparison = compare(by_uid, shared, &options);
    assert_eq!(comparison.collided, 1);
    let [collision] = comparison.collisions.as_slice() else {
        panic!("{:#?}", comparison.collisions);
    };
    assert_eq!((collision.first, collision.second), (7, 4_000));
    assert_eq!(collision.described, machine(4_000));
    assert_eq!(comparison.collided_before, 0);
    let shared_before = compare(shared, shared, &options);
    assert_eq!(
        (shared_before.collided, shared_before.collided_before),
        (1, 1)
    );
    // The twin: the same facts, each machine under its own name.
    assert_eq!(compare(by_uid, by_name, &options).collided, 0);
}

#[test]
fn what_is_kept_is_bounded_and_said() {
    let options = ComparisonOptions {
        remembered: 10,
        groups: 3,
        collisions: 2,
        ..ComparisonOptions::default()
    };
    let spread = |facts: &Facts| {
        let (name, _) = node(facts);
        let group = name.chars().next_back().unwrap();
        named(&format!("group-{group}"), &[])
    };
    let comparison = compare(by_uid, spread, &options);
    assert_eq!(comparison.groups.len(), 3);
    assert_eq!(comparison.ungrouped, 3_500);
    assert_eq!(comparison.collisions.len(), 2);
    assert_eq!(comparison.collided, 10);
    assert_eq!(compare(by_uid, by_uid, &options).unremembered, 4_990);
}
