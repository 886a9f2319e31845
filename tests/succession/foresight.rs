//! What a gate sees beyond the day on which it is asked: selectors, and
//! answers that change by themselves.

use super::files::*;
use nameplate_attestor::{RefusedBy, Why};
use nameplate_tests::{NOW, at, guest};
use nameplate_torture::component::earlier_than;
use serde_json::json;
use std::fs;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// One decision to judge by.
fn one_case(files: &Files) {
    let case = json!({ "facts": node("worker-1", UID_1) });
    files.write("cases/one.json", case.to_string().as_bytes());
}

/// What is said of a candidate, once it is configured beside what serves.
fn judged(files: &Files, attestors: &nameplate_attestor::Attestors) -> Vec<String> {
    match attestors.reload_at(at(NOW)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.list.into_iter().map(|one| one.message).collect(),
    }
    .into_iter()
    .inspect(|_| assert_eq!(files.status().0.refused.unwrap().by, RefusedBy::Gate))
    .collect()
}

/// `serving` serves, and `candidate` comes: refused by the first gate in
/// exactly these words, and let through by the second.
fn refused_and_let_through(
    (serving, candidate): (&[u8], &[u8]),
    (closed, open): (&str, &str),
    reason: &str,
) {
    let plain = r#"{ source = "policy.wasm" }"#;
    let gate = |keys: &str| format!("gate = {{ against = \"cases\", {keys} }}");
    let files = Files::new("");
    one_case(&files);
    files.write("policy.wasm", serving);
    files.configure(plain, &gate(closed));
    let attestors = files.open();
    files.write("policy.wasm", candidate);
    assert_eq!(
        judged(&files, &attestors),
        [format!("the gate: {reason}")],
        "{closed}"
    );
    files.configure(plain, &gate(open));
    assert_eq!(judged(&files, &attestors), [""; 0], "{open}");
    assert_eq!(files.status().0.serving.generation, 2);
}

#[test]
fn a_new_id_that_is_allowed_brings_no_new_selectors() {
    let one = |path: &str, selectors: &[&str]| guest::answering(&[path], selectors);
    let changed = |from: &str, to: &str| {
        format!(
            "1 subject is named otherwise or for the first time, at most 0 may (`max_changed`); \
             the first: {from} becomes {to}"
        )
    };
    let shown = |path: &str, selectors: &str| format!("`{}` [{selectors}]", id(path));
    let old = one("old", &["rack:1", "n:1"]);
    for (candidate, closed, open, reason) in [
        // A new ID, and another selector.
        (
            one("new", &["rack:2", "n:1"]),
            r#"allow = ["/new"]"#,
            r#"allow = ["/new"], allow_selectors = ["rack:*"]"#,
            changed(&shown("old", "rack:1, n:1"), &shown("new", "rack:2, n:1")),
        ),
        // The ID as it was, which is among those that may be new.
        (
            one("old", &["rack:2", "n:1"]),
            r#"allow = ["/old"]"#,
            r#"allow_selectors = ["rack:*"]"#,
            changed(&shown("old", "rack:1, n:1"), &shown("old", "rack:2, n:1")),
        ),
        // One that goes is one that changes.
        (
            one("old", &["n:1"]),
            r#"allow_selectors = ["n:*"]"#,
            r#"allow_selectors = ["rack:1"]"#,
            changed(&shown("old", "rack:1, n:1"), &shown("old", "n:1")),
        ),
        // Selectors that may change let no ID change.
        (
            one("new", &["rack:1", "n:1"]),
            r#"allow_selectors = ["*"]"#,
            r#"allow = ["/new"]"#,
            changed(&shown("old", "rack:1, n:1"), &shown("new", "rack:1, n:1")),
        ),
    ] {
        refused_and_let_through((&old, &candidate), (closed, open), &reason);
    }
    // Who had no identity had no selectors.
    let denied = denying(b"not-here");
    refused_and_let_through(
        (&denied, &one("new", &["rack:2"])),
        (
            r#"allow = ["/new"]"#,
            r#"allow = ["/new"], allow_selectors = ["rack:2"]"#,
        ),
        &changed("a denial (`not-here`)", &shown("new", "rack:2")),
    );
    refused_and_let_through(
        (&denied, &one("new", &[])),
        (r#"allow = ["/old"]"#, r#"allow = ["/new"]"#),
        &changed("a denial (`not-here`)", &shown("new", "")),
    );
}

/// A policy that answers as the one that serves, until it does not.
#[test]
fn a_policy_that_changes_its_answers_by_itself_is_refused() {
    let serving = guest::answering(&["a"], &[]);
    let choosing = |condition: &str| guest::choosing(condition, (&["a"], &[]), (&["b"], &[]));
    let becomes = |from: &str, to: &str| {
        let (a, b) = (id("a"), id("b"));
        format!("the first: `{a}` [] at {from} becomes `{b}` [] at {to}")
    };
    let now = "2027-01-15T08:00:00Z";
    let by_time = |to: &str| {
        format!(
            "1 subject is answered otherwise by `attested_at` alone, and not so by what serves \
             (`no_new_dependence`); {}",
            becomes(now, to)
        )
    };
    // Where the facts of a token have `iat`, and the first letter of the identifier.
    let issued =
        |time: u64| format!("(i64.lt_u (i64.load offset=240 (local.get 0)) (i64.const {time}))");
    let same_letter = "(i32.eq (i32.load8_u (i32.load offset=24 (local.get 0))) (i32.const 51))";
    for (condition, reason) in [
        (
            earlier_than(NOW + HOUR / 2),
            by_time("2027-01-15T09:00:00Z"),
        ),
        (
            earlier_than(NOW + 2 * HOUR),
            by_time("2027-01-16T08:00:00Z"),
        ),
        (
            earlier_than(NOW + 20 * DAY),
            by_time("2027-02-14T08:00:00Z"),
        ),
        (
            earlier_than(NOW + 300 * DAY),
            by_time("2028-01-15T08:00:00Z"),
        ),
        (
            issued(NOW + 2 * HOUR),
            format!(
                "1 subject is answered otherwise by when its evidence was issued and ends alone, \
                 and not so by what serves (`no_new_dependence`); {}",
                becomes(now, "2027-01-16T08:00:00Z")
            ),
        ),
    ] {
        let candidate = choosing(&condition);
        let open = "no_new_dependence = false";
        refused_and_let_through((&serving, &candidate), ("max_changed = 9", open), &reason);
    }
    let files = Files::new(r#"gate = { against = "cases" }"#);
    one_case(&files);
    files.write("policy.wasm", &serving);
    let attestors = files.open();
    files.write("policy.wasm", &choosing(same_letter));
    let said = judged(&files, &attestors).concat();
    assert!(
        said.starts_with(
            "the gate: 1 subject is answered otherwise by `attestation_id` alone, and not so by \
             what serves (`no_new_dependence`); the first: "
        ),
        "{said}"
    );
    // Their twins: what looks and decides nothing, and what has turned long ago.
    for condition in [
        earlier_than(u64::MAX),
        issued(u64::MAX),
        "(i32.const 1)".to_owned(),
    ] {
        files.write("policy.wasm", &choosing(&condition));
        assert_eq!(judged(&files, &attestors), [""; 0], "{condition}");
    }
    let turned = guest::choosing(&earlier_than(1), (&["b"], &[]), (&["a"], &[]));
    files.write("policy.wasm", &turned);
    assert_eq!(judged(&files, &attestors), [""; 0]);
}

/// Who denies today may not name tomorrow.
#[test]
fn a_denial_that_ends_by_itself_is_refused() {
    let condition = earlier_than(NOW + 2 * HOUR);
    let until = format!(
        r#"(memory (export "memory") 1)
           (data (i32.const 16384) "\01\00\00\00\20\40\00\00\08\00\00\00\28\40\00\00\00\00\00\00")
           (data (i32.const 16416) "not-here")
           (data (i32.const 16448) "\00\00\00\00\58\40\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
           (data (i32.const 16472) "\60\40\00\00\01\00\00\00b")
           (func (export "derive") (param i32) (result i32)
             (if (result i32) {condition}
               (then (i32.const 16384)) (else (i32.const 16448))))"#
    );
    refused_and_let_through(
        (&denying(b"not-here"), &guest::text_of(&until)),
        ("max_changed = 9", "no_new_dependence = false"),
        &format!(
            "1 subject is answered otherwise by `attested_at` alone, and not so by what serves \
             (`no_new_dependence`); the first: a denial (`not-here`) at 2027-01-15T08:00:00Z \
             becomes `{}` [] at 2027-01-16T08:00:00Z",
            id("b")
        ),
    );
}

/// What serves hangs on the identifier too: that is nothing new, and hides
/// nothing else.
#[test]
fn a_dependence_that_serves_already_is_no_new_one() {
    // The path is the identifier, which is where the facts have it, and from
    // some time on another.
    let until = |time: u64| {
        let condition = earlier_than(time);
        let text = format!(
            r#"(memory (export "memory") 1)
               (data (i32.const 16384) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
               (data (i32.const 16448) "\00\00\00\00\58\40\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
               (data (i32.const 16472) "\60\40\00\00\01\00\00\00b")
               (func (export "derive") (param i32) (result i32)
                 (i32.store (i32.const 16388) (i32.add (local.get 0) (i32.const 24)))
                 (if (result i32) {condition}
                   (then (i32.const 16384)) (else (i32.const 16448))))"#
        );
        guest::text_of(&text)
    };
    let by_identifier = template(r#"["{attestation_id}"]"#);
    let gate = r#"gate = { against = "cases", max_changed = 9 }"#;
    let files = Files::new("");
    one_case(&files);
    files.configure(&by_identifier, gate);
    let attestors = files.open();
    files.configure(r#"{ source = "policy.wasm" }"#, gate);
    files.write("policy.wasm", &until(NOW + 2 * HOUR));
    let said = judged(&files, &attestors);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said.concat().contains("by `attested_at` alone"), "{said:?}");
    files.write("policy.wasm", &until(u64::MAX));
    assert_eq!(judged(&files, &attestors), [""; 0]);

    // From names to identifiers it is a new one, and away from them none.
    files.write("policy.wasm", &guest::answering(&["a"], &[]));
    assert_eq!(judged(&files, &attestors), [""; 0]);
    files.configure(&by_identifier, gate);
    let said = judged(&files, &attestors).concat();
    assert!(said.contains("by `attestation_id` alone"), "{said}");
}

/// A restart is no way round it, and the time is the judge's.
#[test]
fn a_policy_that_waits_does_not_pass_by_a_restart() {
    let files = Files::new(r#"gate = { against = "cases" }"#);
    one_case(&files);
    files.write("policy.wasm", &guest::answering(&["a"], &[]));
    drop(files.open());
    let waits = |time| guest::choosing(&earlier_than(time), (&["a"], &[]), (&["b"], &[]));
    files.write("policy.wasm", &waits(NOW + 2 * HOUR));
    drop(files.open());
    let (status, _) = files.status();
    assert_eq!(status.serving.why, Why::Restored);
    assert_eq!(status.refused.unwrap().by, RefusedBy::Gate);
    // Two years ahead of the recorded decision, and an hour ahead of now.
    files.write("policy.wasm", &waits(NOW + 730 * DAY));
    let attestors = files.try_open_at(NOW + 729 * DAY).unwrap();
    assert_eq!(files.status().0.serving.why, Why::Restored);
    drop(attestors);
    fs::remove_dir_all(files.path("state")).unwrap();
    files.write("policy.wasm", &guest::answering(&["a"], &[]));
    drop(files.open());
    // Its twin: nobody asks that far ahead.
    files.write("policy.wasm", &waits(NOW + 730 * DAY));
    drop(files.open());
    assert_eq!(files.status().0.serving.why, Why::Swapped);
}
