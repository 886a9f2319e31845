//! Whose faults take a naming back.

use super::files::*;
use nameplate_attestor::config::Counted;
use nameplate_attestor::{Change, Refused};
use nameplate_tests::{NOW, at};

/// A policy by node names, and an envelope in which `bad` is none.
fn reserving(rollback: &str) -> (Files, nameplate_attestor::Attestors) {
    let files = Files::new(RESERVED);
    let attestors = files.open();
    let keys = format!("{rollback}\n{RESERVED}");
    files.configure(&template(r#"["{node_name}"]"#), &keys);
    attestors.reload_at(at(NOW)).unwrap();
    (files, attestors)
}

fn reasons(files: &Files) -> String {
    match files.heard().as_slice() {
        [
            Change::RolledBack {
                refused: Refused { reasons, .. },
                ..
            },
        ] => reasons.concat(),
        heard => panic!("{heard:?}"),
    }
}

/// One machine whose name the envelope refuses does not take the policy back
/// for everybody.
#[test]
fn one_machine_takes_no_policy_back() {
    let strict = r#"rollback = { faults = 0.0, after = 1, within = "10m""#;
    let (files, attestors) = reserving(&format!("{strict} }}"));
    let bad = |number| files.attest_from(&attestors, "bad", &uid(number));
    for _ in 0..100 {
        assert_eq!(bad(1).unwrap_err().reason(), "path_reserved");
    }
    assert_eq!(attestors.named("k8s_sat").unwrap().generation(), 2);
    let succession = attestors.succession("k8s_sat").unwrap();
    let probation = succession.status(at(NOW)).probation.unwrap();
    assert_eq!((probation.rate.faults, probation.rate.asked), (1, 1));
    assert_eq!(probation.counted, Counted::Subjects);
    assert!(files.heard().is_empty());
    // A second one is not one for all.
    bad(2).unwrap_err();
    assert_eq!(files.name(&attestors), "generation-1");
    assert!(reasons(&files).ends_with("failed 2 of 2 subjects after the swap"));

    // As it was counted before, one is enough.
    let (files, attestors) = reserving(&format!("{strict}, count = \"attestations\" }}"));
    files.attest_from(&attestors, "bad", &uid(1)).unwrap_err();
    assert_eq!(files.name(&attestors), "generation-1");
    assert!(reasons(&files).ends_with("failed 1 of 1 attestations after the swap"));
}

/// What keeps subjects apart is what the operator says.
#[test]
fn subjects_are_those_that_the_operator_tells_apart() {
    let rollback = r#"rollback = { faults = 0.0, after = 1 }"#;
    let by_account = r#"subject_keys = ["/subject/service_account/name"]"#;
    let (files, attestors) = reserving(&format!("{rollback}\n{by_account}"));
    for number in 1..=20 {
        files
            .attest_from(&attestors, "bad", &uid(number))
            .unwrap_err();
    }
    assert_eq!(attestors.named("k8s_sat").unwrap().generation(), 2);
    let (files, attestors) = reserving(rollback);
    for number in 1..=2 {
        files
            .attest_from(&attestors, "bad", &uid(number))
            .unwrap_err();
    }
    assert_eq!(files.name(&attestors), "generation-1");
}
