//! What a pinned digest means: the same in a rollback and at a start.

use super::files::*;
use nameplate_attestor::{Change, RefusedBy, Why};
use nameplate_policy::Digest;
use nameplate_tests::{NOW, at};
use std::fs;

fn pinned(component: &[u8]) -> String {
    let digest = Digest::of(component);
    format!(r#"{{ source = "policy.wasm", digest = "{digest}" }}"#)
}

/// Why the naming before does not stand in.
fn other_component() -> String {
    let (a, b) = (Digest::of(&numbered(1)), Digest::of(&unusable()));
    format!("its component is {a}, and {b} is pinned")
}

const AGAIN: &str = "it has served and was taken back: it serves because its digest is pinned, and \
                     nothing stands in for it";

fn not_back() -> String {
    format!(
        "a naming that fails would not be taken back for the one before: {}",
        other_component()
    )
}

fn warnings(files: &Files) -> Vec<String> {
    files
        .heard()
        .into_iter()
        .map(|change| match change {
            Change::Warning(warning) => warning,
            Change::Restored(_) | Change::RolledBack { .. } => panic!("{change:?}"),
        })
        .collect()
}

/// Four machines that are failed.
fn four_fail(files: &Files, attestors: &nameplate_attestor::Attestors) {
    for number in 1..=4 {
        files.attest_as(attestors, number).unwrap_err();
    }
}

#[test]
fn a_pin_holds_in_a_rollback_and_at_a_start() {
    let files = Files::new(ROLLBACK);
    let attestors = files.open();
    files.write("policy.wasm", &unusable());
    files.configure(&pinned(&unusable()), ROLLBACK);
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(warnings(&files), [not_back()]);
    four_fail(&files, &attestors);
    assert_eq!(attestors.named("k8s_sat").unwrap().generation(), 2);
    drop(attestors);
    let attestors = files.open();
    four_fail(&files, &attestors);
    assert_eq!(files.status().0.serving.why, Why::Swapped);
    drop(attestors);

    // The twin: the operator says that an older one may stand in.
    let despite = ROLLBACK.replace(" }", ", despite_digest = true }");
    let files = Files::new(&despite);
    let attestors = files.open();
    files.write("policy.wasm", &unusable());
    files.configure(&pinned(&unusable()), &despite);
    attestors.reload_at(at(NOW)).unwrap();
    four_fail(&files, &attestors);
    assert_eq!(files.name(&attestors), "generation-1");
    drop(attestors);
    let attestors = files.open();
    assert_eq!(files.name(&attestors), "generation-1");
    assert_eq!(files.status().0.serving.why, Why::Restored);
}

/// What was taken back before it was pinned, as by an older version, and then
/// a restart: the server starts, and by the same rule.
#[test]
fn what_was_taken_back_serves_where_it_is_pinned() {
    let taken_back = || {
        let files = Files::new(ROLLBACK);
        let attestors = files.open();
        files.write("policy.wasm", &unusable());
        attestors.reload_at(at(NOW)).unwrap();
        four_fail(&files, &attestors);
        assert_eq!(files.name(&attestors), "generation-1");
        files.heard();
        files.configure(&pinned(&unusable()), ROLLBACK);
        (files, attestors)
    };
    let (files, attestors) = taken_back();
    drop(attestors);
    let attestors = files.open();
    assert_eq!(warnings(&files), [AGAIN.to_owned(), not_back()]);
    four_fail(&files, &attestors);
    let (status, _) = files.status();
    assert_eq!((status.serving.why, status.refused), (Why::Swapped, None));
    // Once more, and nothing is left of it.
    drop(attestors);
    drop(files.open());
    assert_eq!(files.status().0.serving.why, Why::Swapped);

    // The same without a restart.
    let (files, attestors) = taken_back();
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(warnings(&files), [AGAIN.to_owned(), not_back()]);
    four_fail(&files, &attestors);
    assert_eq!(files.status().0.refused, None);

    // The twin: not pinned, it stays taken back, here and after a restart.
    let (files, attestors) = taken_back();
    files.configure(r#"{ source = "policy.wasm" }"#, ROLLBACK);
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(files.name(&attestors), "generation-1");
    drop(attestors);
    let attestors = files.open();
    assert_eq!(files.name(&attestors), "generation-1");
    assert_eq!(files.status().0.refused.unwrap().by, RefusedBy::FaultRate);
}

/// A pin that comes while a naming can be taken back ends that.
#[test]
fn a_pin_ends_a_probation() {
    let files = Files::new(ROLLBACK);
    let attestors = files.open();
    files.write("policy.wasm", &unusable());
    attestors.reload_at(at(NOW)).unwrap();
    files.attest(&attestors).unwrap_err();
    files.configure(&pinned(&unusable()), ROLLBACK);
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(warnings(&files), [not_back()]);
    assert_eq!(files.status().0.probation, None);
    four_fail(&files, &attestors);
    assert_eq!(attestors.named("k8s_sat").unwrap().generation(), 3);
}

/// Where nothing serves at a start, it says what would.
#[test]
fn a_server_that_does_not_start_says_how_it_would() {
    let files = Files::new("");
    drop(files.open());
    fs::remove_file(files.path("policy.wasm")).unwrap();
    files.configure(&pinned(&unusable()), "");
    let problems = files.try_open().unwrap_err();
    let said = problems.list.last().unwrap();
    assert_eq!(
        said.message,
        format!(
            "the last good generation does not serve in its place: {}; to start, mend what is \
             configured, or let that one serve: pin it, or remove `digest`",
            other_component()
        )
    );
    // Each way that it says: pinned, and not.
    for policy in [
        pinned(&numbered(1)),
        r#"{ source = "policy.wasm" }"#.to_owned(),
    ] {
        files.configure(&policy, "");
        assert_eq!(files.name(&files.open()), "generation-1", "{policy}");
    }
    // And what is configured, mended.
    files.configure(&pinned(&numbered(2)), "");
    files.write("policy.wasm", &numbered(2));
    assert_eq!(files.name(&files.open()), "generation-2");

    // Kept state that nobody can read.
    let state = files.state_file("generations.json");
    let kept = fs::read(&state).unwrap();
    fs::write(&state, "torn").unwrap();
    let problems = files.try_open().unwrap_err();
    let said = &problems.list.last().unwrap().message;
    assert!(
        said.contains("generations.json` is not what this version writes: expected ident"),
        "{said}"
    );
    let help = problems.list.last().unwrap().help.clone();
    assert_eq!(
        help.as_deref(),
        Some("move it away to start with what is configured: nothing is left to judge it against")
    );
    fs::rename(&state, files.path("aside")).unwrap();
    drop(files.open());
    fs::write(&state, kept).unwrap();
    files.open();
}
