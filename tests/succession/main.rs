//! What a new naming has to pass before it serves, and what serves when it
//! does not: gates, shadows, rollbacks, the last good naming on disk, and two
//! subjects of one ID.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

mod files;
mod foresight;
mod pins;
mod subjects;
mod together;

use files::*;
use nameplate_attestor::{
    Attestors, Change, Failure, HolderNotice, Refused, RefusedBy, SpiffeId, Why, release,
};
use nameplate_policy::Sandbox;
use nameplate_tests::{Clusters, NOW, Watchdog, at, guest};
use std::fs;
use std::path::{Path, PathBuf};

/// Every gate, with a naming that breaks it and no other; and the same naming
/// where that gate stands open.
#[test]
fn each_gate_refuses_what_breaks_exactly_it() {
    let by_uid = template(r#"["{cluster}", "{node_uid}"]"#);
    let by_name = template(r#"["{cluster}", "{node_name}"]"#);
    let by_pod = template(r#"["{cluster}", "{pod_name}"]"#);
    let deny = r#"{ source = "denying.wasm" }"#.to_owned();
    // What serves, the gate that refuses, the same gate open, the candidate, the reason.
    let rows = [
        (
            &by_uid,
            "max_changed = 1",
            "max_changed = 2",
            &by_name,
            format!(
                "2 subjects are named otherwise or for the first time, at most 1 may (`max_changed`); the first: `{}` \
                 [] becomes `{}` []",
                id(&format!("staging/{UID_1}")),
                id("staging/worker-1")
            ),
        ),
        (
            &by_uid,
            r#"allow = ["/production/*"]"#,
            r#"allow = ["/staging/*"]"#,
            &by_name,
            format!(
                "2 subjects are named otherwise or for the first time, at most 0 may (`max_changed`); the first: `{}` \
                 [] becomes `{}` []",
                id(&format!("staging/{UID_1}")),
                id("staging/worker-1")
            ),
        ),
        (
            &by_uid,
            "no_new_denials = true",
            "no_new_denials = false",
            &deny,
            format!(
                "2 subjects lose their identity (`no_new_denials`); the first: `{}` [] becomes a \
                 denial (`not-here`)",
                id(&format!("staging/{UID_1}"))
            ),
        ),
        (
            &by_uid,
            "max_changed = 9, no_collisions = true",
            "max_changed = 9, no_collisions = false",
            &by_pod,
            format!(
                "2 subjects are given the ID of another (`no_collisions`); the first: `{}` is \
                 given to two",
                id("staging/spire-agent-x7k2p")
            ),
        ),
    ];
    for (serving, closed, open, candidate, reason) in rows {
        let files = Files::new("");
        cases(&files);
        files.write("denying.wasm", &denying(b"not-here"));
        let gate = |gate: &str| format!(r#"gate = {{ against = "cases", {gate} }}"#);
        files.configure(serving, &gate(closed));
        let attestors = files.open();
        files.configure(candidate, &gate(closed));
        let problems = attestors.reload_at(at(NOW)).unwrap_err();
        let said: Vec<_> = problems
            .list
            .iter()
            .map(|one| one.message.as_str())
            .collect();
        assert_eq!(said, [format!("the gate: {reason}")], "{closed}");
        assert_eq!(files.name(&attestors), format!("staging/{UID_1}"));
        let (status, running) = files.status();
        assert!(running);
        assert_eq!(status.serving.generation, 1);
        let refused = status.refused.unwrap();
        assert_eq!(refused.by, RefusedBy::Gate);
        assert!(refused.reasons.iter().any(|said| said.contains(&reason)));

        files.configure(candidate, &gate(open));
        attestors.reload_at(at(NOW)).unwrap();
        let (status, _) = files.status();
        assert_eq!((status.serving.generation, status.refused), (2, None));
        assert_eq!(status.before.unwrap().generation, 1);
    }
}

#[test]
fn a_gate_that_cannot_judge_lets_nothing_pass() {
    let gate = r#"gate = { against = "cases" }"#;
    let files = Files::new(gate);
    let attestors = files.open();
    files.write("policy.wasm", &numbered(2));
    for (content, words) in [
        (None, "cannot read `"),
        (Some("{}"), "`one.json` is no case"),
    ] {
        if let Some(content) = content {
            files.write("cases/one.json", content.as_bytes());
        }
        let problems = attestors.reload_at(at(NOW)).unwrap_err().to_string();
        assert!(problems.contains(words), "{problems}");
        assert_eq!(files.name(&attestors), "generation-1");
    }
    fs::remove_file(files.path("cases/one.json")).unwrap();
    let problems = attestors.reload_at(at(NOW)).unwrap_err().to_string();
    assert!(
        problems.contains("there are no decisions and no cases in `"),
        "{problems}"
    );
    // One naming needs no gate: the one that serves.
    files.write("policy.wasm", &numbered(1));
    attestors.reload_at(at(NOW)).unwrap();
    assert!(files.status().0.refused.is_none());
}

/// A restart is no way round a gate.
#[test]
fn a_gate_holds_over_a_restart() {
    let files = Files::new(r#"gate = { against = "cases" }"#);
    cases(&files);
    drop(files.open());
    files.write("policy.wasm", &numbered(2));
    let attestors = files.open();
    assert_eq!(files.name(&attestors), "generation-1");
    let (status, _) = files.status();
    assert_eq!(status.serving.why, Why::Restored);
    assert_eq!(status.refused.as_ref().unwrap().by, RefusedBy::Gate);
    assert_eq!(files.heard(), [Change::Restored(status.refused.unwrap())]);
}

/// The policy's file may be gone or broken: what served serves on.
#[test]
fn the_last_good_naming_serves_after_a_restart() {
    let gone = |files: &Files| fs::remove_file(files.path("policy.wasm")).unwrap();
    let torn = |files: &Files| files.write("policy.wasm", b"torn");
    let breaks: [&dyn Fn(&Files); 2] = [&gone, &torn];
    for break_it in breaks {
        let files = Files::new("");
        let attestors = files.open();
        files.write("policy.wasm", &numbered(2));
        attestors.reload_at(at(NOW)).unwrap();
        drop(attestors);
        assert!(!files.status().1, "nobody attests");

        break_it(&files);
        let attestors = files.open();
        let answer = files.attest(&attestors).unwrap();
        assert_eq!(name_of(&answer), "generation-2");
        assert_eq!(answer.generation, 3);
        let (status, running) = files.status();
        assert!(running);
        assert_eq!(status.serving.why, Why::Restored);
        let refused = status.refused.unwrap();
        assert_eq!(refused.by, RefusedBy::Loading);
        assert!(
            refused
                .reasons
                .iter()
                .any(|said| said.contains("policy.wasm"))
        );
        assert_eq!(files.heard(), [Change::Restored(refused)]);

        files.write("policy.wasm", &numbered(3));
        attestors.reload_at(at(NOW)).unwrap();
        assert_eq!(files.name(&attestors), "generation-3");
        assert!(files.status().0.refused.is_none());
    }
}

/// It stands in for a policy's file, and for nothing else.
#[test]
fn the_last_good_naming_stands_in_for_a_policy_alone() {
    let component = |files: &Files| {
        let mut all = fs::read_dir(files.state_file("components")).unwrap();
        all.next().unwrap().unwrap().path()
    };
    let refused = |files: &Files, words: &str| {
        let problems = files.try_open().unwrap_err().to_string();
        assert!(problems.contains(words), "{words}: {problems}");
        assert!(files.heard().is_empty());
    };
    // Nothing was kept.
    let files = Files::new("");
    files.write("policy.wasm", b"torn");
    refused(&files, "not a WebAssembly component");

    // A key that is gone is not what is kept.
    let files = Files::new("");
    drop(files.open());
    fs::remove_file(files.path("policy.wasm")).unwrap();
    fs::remove_file(files.path("keys/staging.pem")).unwrap();
    refused(&files, "staging.pem");

    // What lies on disk is another than what served.
    let files = Files::new("");
    drop(files.open());
    fs::remove_file(files.path("policy.wasm")).unwrap();
    fs::write(component(&files), numbered(9)).unwrap();
    refused(&files, "is pinned");

    // Another digest is pinned than that of what served.
    let files = Files::new("");
    drop(files.open());
    let digest = nameplate_policy::Digest::of(&numbered(2));
    let pinned = format!(r#"{{ source = "policy.wasm", digest = "{digest}" }}"#);
    files.configure(&pinned, "");
    refused(
        &files,
        "the last good generation does not serve in its place",
    );
}

#[test]
fn no_more_is_kept_than_the_last_good_and_the_one_before() {
    let files = Files::new("");
    let attestors = files.open();
    for number in 2..=5 {
        files.write("policy.wasm", &numbered(number));
        attestors.reload_at(at(NOW)).unwrap();
    }
    let mut kept: Vec<_> = fs::read_dir(files.state_file("components"))
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    kept.sort();
    let mut expected = [numbered(4), numbered(5)];
    expected.sort();
    assert_eq!(kept, expected);
    assert_eq!(files.status().0.before.unwrap().generation, 4);
}

#[test]
fn a_state_directory_is_one_process_s() {
    let files = Files::new("");
    let first = files.open();
    let problems = files.try_open().unwrap_err().to_string();
    assert!(
        problems.contains("is in use by another process"),
        "{problems}"
    );
    drop(first);
    files.open();
}

#[test]
fn a_naming_that_fails_too_often_is_taken_back() {
    let files = Files::new(ROLLBACK);
    let attestors = files.open();
    files.write("policy.wasm", &unusable());
    assert_eq!(
        attestors.reload_at(at(NOW)).unwrap().serving,
        [("k8s_sat".to_owned(), 2)]
    );
    for number in 1..=3 {
        let error = files.attest_as(&attestors, number).unwrap_err();
        assert_eq!(error.failure(), Failure::Fault);
        assert!(files.heard().is_empty());
    }
    let rate = files.status().0.probation.unwrap().rate;
    assert_eq!((rate.faults, rate.asked), (0, 0), "written at changes");
    // The one that makes it too many still fails; the next is named.
    files.attest_as(&attestors, 4).unwrap_err();
    let answer = files.attest(&attestors).unwrap();
    assert_eq!(
        (name_of(&answer).as_str(), answer.generation),
        ("generation-1", 3)
    );
    let heard = files.heard();
    let [
        Change::RolledBack {
            generation: 3,
            refused: Refused { by, reasons, .. },
        },
    ] = heard.as_slice()
    else {
        panic!("{heard:?}");
    };
    assert_eq!(*by, RefusedBy::FaultRate);
    assert!(
        reasons
            .concat()
            .ends_with("failed 4 of 4 subjects after the swap")
    );
    let (status, _) = files.status();
    assert_eq!(status.serving.why, Why::RolledBack);
    assert_eq!(status.before.unwrap().generation, 2);

    // Not again, here and after a restart, until it is another.
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(files.name(&attestors), "generation-1");
    assert_eq!(files.status().0.refused.unwrap().by, RefusedBy::FaultRate);
    drop(attestors);
    let attestors = files.open();
    assert_eq!(files.name(&attestors), "generation-1");
    assert!(matches!(files.heard().as_slice(), [Change::Restored(_)]));
    files.write("policy.wasm", &numbered(2));
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(files.name(&attestors), "generation-2");
    assert!(files.status().0.refused.is_none());
}

#[test]
fn a_naming_that_fails_seldom_or_denies_stays() {
    // Half of four are faults, which is not more than half.
    let by_node = template(r#"["{node_name}"]"#);
    let files = Files::new(RESERVED);
    let attestors = files.open();
    files.configure(&by_node, &format!("{ROLLBACK}\n{RESERVED}"));
    attestors.reload_at(at(NOW)).unwrap();
    for (number, node) in (1..).zip(["good", "bad", "good", "bad"]) {
        let answer = files.attest_from(&attestors, node, &uid(number));
        assert_eq!(answer.is_ok(), node == "good");
    }
    assert_eq!(attestors.named("k8s_sat").unwrap().generation(), 2);
    // One more fault is more than half.
    files.attest_from(&attestors, "bad", &uid(5)).unwrap_err();
    assert_eq!(files.name(&attestors), "generation-1");

    // A denial is an answer.
    let files = Files::new(ROLLBACK);
    let attestors = files.open();
    files.write("policy.wasm", &denying(b"no"));
    attestors.reload_at(at(NOW)).unwrap();
    for number in 1..=10 {
        let error = files.attest_as(&attestors, number).unwrap_err();
        assert_eq!(error.reason(), "policy_denied");
    }
    assert_eq!(attestors.named("k8s_sat").unwrap().generation(), 2);
}

/// A policy that fails because it was restricted does not lift the restriction.
#[test]
fn a_rollback_undoes_no_restriction() {
    let by_node = template(r#"["{node_name}"]"#);
    let files = Files::new("");
    files.configure(&by_node, ROLLBACK);
    let attestors = files.open();
    let bad = |number| files.attest_from(&attestors, "bad", &uid(number));
    assert_eq!(name_of(&bad(1).unwrap()), "bad");
    files.configure(&by_node, &format!("{ROLLBACK}\n{RESERVED}"));
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(
        unwatched(&files),
        "a naming that fails would not be taken back for the one before: its envelope or limits \
         allow what the new ones do not"
    );
    for number in 1..=10 {
        assert_eq!(bad(number).unwrap_err().reason(), "path_reserved");
    }
    // Nor by a restart with a policy that cannot be loaded.
    let state = files.state_file("generations.json");
    drop(attestors);
    let restricted = fs::read(&state).unwrap();
    files.configure(&by_node, ROLLBACK);
    drop(files.open());
    let broken = r#"{ source = "broken.wasm" }"#;
    files.write("broken.wasm", b"broken");
    files.configure(broken, RESERVED);
    let problems = files.try_open().unwrap_err().to_string();
    assert!(
        problems.contains(
            "the last good generation does not serve in its place: its envelope or limits allow"
        ),
        "{problems}"
    );
    // Its twin: the last good one was restricted as well.
    fs::write(&state, restricted).unwrap();
    let attestors = files.open();
    let good = files.attest_from(&attestors, "good", UID_1);
    assert_eq!(name_of(&good.unwrap()), "good");
    let bad = files.attest_from(&attestors, "bad", UID_1);
    assert_eq!(bad.unwrap_err().reason(), "path_reserved");
}

/// A cluster that has a policy of its own is not named by the attestor's
/// because its own fails.
#[test]
fn a_rollback_names_no_cluster_by_another_policy() {
    let files = Files::new(ROLLBACK);
    let attestors = files.open();
    files.write("own.wasm", &unusable());
    let text = fs::read_to_string(files.path("nameplate.toml")).unwrap();
    let own = format!("{text}policy = {{ source = \"own.wasm\" }}\n");
    files.write("nameplate.toml", own.as_bytes());
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(
        unwatched(&files),
        "a naming that fails would not be taken back for the one before: other clusters have a \
         policy of their own"
    );
    for number in 1..=10 {
        let error = files.attest_as(&attestors, number).unwrap_err();
        assert_eq!(error.reason(), "path_segment");
    }
}

#[test]
fn what_may_fail_itself_is_nothing_to_go_back_to() {
    let files = Files::new(ROLLBACK);
    let attestors = files.open();
    files.write("policy.wasm", &unusable());
    attestors.reload_at(at(NOW)).unwrap();
    files.attest(&attestors).unwrap_err();
    // The next one fails, too, and the first is still what has proven itself.
    files.write("policy.wasm", &guest::answering(&["."], &[]));
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(files.status().0.before.unwrap().generation, 1);
    for number in 1..=4 {
        files.attest_as(&attestors, number).unwrap_err();
    }
    assert_eq!(files.name(&attestors), "generation-1");
    assert!(matches!(
        files.heard().as_slice(),
        [Change::RolledBack { generation: 4, .. }]
    ));
}

/// A naming that fails is taken back after a restart too, while it is on
/// probation.
#[test]
fn a_restart_does_not_end_a_probation() {
    let swapped = || {
        let files = Files::new(ROLLBACK);
        let attestors = files.open();
        files.write("policy.wasm", &unusable());
        attestors.reload_at(at(NOW)).unwrap();
        files.attest(&attestors).unwrap_err();
        files
    };
    let files = swapped();
    let attestors = files.open();
    assert_eq!(files.status().0.probation.unwrap().until, NOW + 600);
    for number in 1..=4 {
        files.attest_as(&attestors, number).unwrap_err();
    }
    assert_eq!(files.name(&attestors), "generation-1");

    // Its twin: the time is over.
    let files = swapped();
    let attestors = files.try_open_at(NOW + 601).unwrap();
    assert_eq!(files.status().0.probation, None);
    for number in 1..=10 {
        files.attest_as(&attestors, number).unwrap_err();
    }
}

#[test]
fn what_cannot_be_used_is_in_the_status() {
    let files = Files::new("");
    let attestors = files.open();
    let text = fs::read(files.path("nameplate.toml")).unwrap();
    let key = fs::read(files.path("keys/staging.pem")).unwrap();
    for (name, content) in [("nameplate.toml", text), ("keys/staging.pem", key)] {
        files.write(name, b"broken");
        attestors.reload_at(at(NOW)).unwrap_err();
        let refused = files.status().0.refused.unwrap();
        assert_eq!(refused.by, RefusedBy::Configuration, "{name}");
        assert!(!refused.reasons.is_empty());
        assert_eq!(files.name(&attestors), "generation-1");
        // Its twin: as it was.
        files.write(name, &content);
        attestors.reload_at(at(NOW)).unwrap();
        assert_eq!(files.status().0.refused, None);
    }
}

/// A state directory of a host that could not refuse false facts says nothing of
/// them. What it kept serves on, and says no false fact; where the operator admits
/// them it is judged as it was decided then, so that no gate takes what everybody
/// had for new.
#[test]
fn what_was_kept_before_false_facts_were_refused_is_judged_as_configured() {
    let gate = "gate = { against = \"cases\" }";
    let admit = "envelope = { false_facts = \"admit\" }";
    let says = guest::answering(&["a"], &["cluster:production"]);
    let files = Files::new(gate);
    files.write("policy.wasm", &says);
    cases(&files);
    drop(files.open());
    let kept = fs::read_to_string(files.state_file("generations.json")).unwrap();
    assert!(!kept.contains("false_facts"), "as an older host kept it");

    let attestors = files.open();
    let refused = files.attest(&attestors).unwrap_err();
    assert_eq!(refused.reason(), "selector_false_fact");
    drop(attestors);

    files.configure(r#"{ source = "policy.wasm" }"#, &format!("{gate}\n{admit}"));
    let attestors = files.open();
    assert_eq!(files.name(&attestors), "a");
    assert_eq!(files.status().0.refused, None);
    drop(attestors);

    // What was admitted then is not, once the operator refuses it again.
    files.configure(r#"{ source = "policy.wasm" }"#, gate);
    files.write("policy.wasm", b"broken");
    let problems = files.try_open().unwrap_err().to_string();
    assert!(
        problems.contains("its envelope or limits allow"),
        "{problems}"
    );
}

/// What could not be written is written once it can be.
#[test]
fn what_serves_is_kept_as_soon_as_there_is_room() {
    let files = Files::new("");
    let attestors = files.open();
    let state = files.state_file("generations.json");
    fs::remove_file(&state).unwrap();
    fs::create_dir_all(state.join("in the way")).unwrap();
    files.write("policy.wasm", &numbered(2));
    attestors.reload_at(at(NOW)).unwrap();
    let warning = unwatched(&files);
    assert!(warning.starts_with("a restart would not find what serves: "));
    let succession = attestors.succession("k8s_sat").unwrap();
    succession.write_status(at(NOW));
    assert_eq!(files.status().0.warnings, [warning]);
    assert!(files.heard().is_empty(), "said once");
    fs::remove_dir_all(&state).unwrap();
    succession.write_status(at(NOW));
    assert_eq!(files.status().0.warnings, [""; 0]);
    drop((attestors, succession));
    files.write("policy.wasm", b"broken");
    assert_eq!(files.name(&files.open()), "generation-2");
}

/// Whom an attestor trusts is what the configuration says, whatever is taken back.
#[test]
fn a_rollback_brings_no_key_back() {
    let files = Files::new(ROLLBACK);
    let attestors = files.open();
    files.write("policy.wasm", &unusable());
    attestors.reload_at(at(NOW)).unwrap();
    // Another key: what the old one signed is refused from now on.
    let other = Clusters::new();
    files.write("keys/staging.pem", other.staging.pem().as_bytes());
    attestors.reload_at(at(NOW)).unwrap();
    let old = |files: &Files| files.attest(&attestors).unwrap_err().failure();
    assert_eq!(old(&files), Failure::Rejected);
    let rekeyed = Files {
        clusters: other,
        ..files
    };
    // The probation goes on over a swap of keys.
    for number in 1..=4 {
        let error = rekeyed.attest_as(&attestors, number).unwrap_err();
        assert_eq!(error.failure(), Failure::Fault);
    }
    assert_eq!(rekeyed.name(&attestors), "generation-1");
}

#[test]
fn a_shadow_is_asked_beside_what_serves_and_reports() {
    Watchdog::watch("shadow", || {
        let files = Files::new(r#"shadow = { source = "shadow.wasm" }"#);
        files.write("shadow.wasm", &numbered(2));
        let attestors = files.open();
        let shadow = |attestors: &Attestors| {
            let succession = attestors.succession("k8s_sat").unwrap();
            succession.status(at(NOW)).shadow.unwrap()
        };
        let after = |count: u64| loop {
            let status = shadow(&attestors);
            if status.agreed + status.differed + status.dropped >= count {
                return status;
            }
            std::thread::yield_now();
        };
        for _ in 0..10 {
            assert_eq!(files.name(&attestors), "generation-1");
        }
        let status = after(10);
        assert_eq!((status.agreed, status.differed, status.faults), (0, 10, 0));
        let [difference] = status.kinds.as_slice() else {
            panic!("{status:?}");
        };
        assert_eq!(
            (difference.count, difference.kind.as_str()),
            (10, "changed: /generation-1 → /generation-2")
        );
        assert_eq!(difference.live, format!("{} [n:1]", id("generation-1")));
        assert_eq!(difference.shadow, format!("{} [n:2]", id("generation-2")));

        // Another shadow counts anew; one that fails hurts nobody.
        files.write("shadow.wasm", &guest::file("loop_in_derive").bytes);
        attestors.reload_at(at(NOW)).unwrap();
        assert_eq!(files.name(&attestors), "generation-1");
        let status = after(1);
        assert_eq!((status.differed, status.faults), (1, 1));
        assert_eq!(
            status.kinds[0].kind,
            "vanished: /generation-1 → fault (policy_fuel)"
        );

        // The same shadow counts on when only keys are swapped.
        attestors.reload_at(at(NOW)).unwrap();
        assert_eq!(shadow(&attestors).differed, 1);

        // One that cannot run is a warning, and what serves serves.
        files.write("shadow.wasm", b"torn");
        attestors.reload_at(at(NOW)).unwrap();
        assert_eq!(files.name(&attestors), "generation-1");
        let (status, _) = files.status();
        assert_eq!(status.shadow, None);
        assert!(
            status
                .warnings
                .concat()
                .starts_with("no shadow runs: policy ")
        );
        assert_eq!(files.heard(), [Change::Warning(status.warnings.concat())]);
    });
}

#[test]
fn two_subjects_of_one_id_are_refused_where_that_is_said() {
    let by_name = template(r#"["{cluster}", "{node_name}"]"#);
    let files = Files::new("");
    files.configure(&by_name, r#"on_collision = "refuse""#);
    let attestors = files.open();
    let first = files.attest_from(&attestors, "worker-1", UID_1).unwrap();
    assert_eq!(first.notice, None);
    // Again, and another under another name.
    files.attest_from(&attestors, "worker-1", UID_1).unwrap();
    files.attest_from(&attestors, "worker-2", UID_2).unwrap();
    let error = files
        .attest_from(&attestors, "worker-1", UID_2)
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Fault);
    assert_eq!(error.reason(), "identity_collision");
    assert_eq!(
        error.peer_message().to_string(),
        "identity_collision: the attestor could not decide"
    );
    let words = |uid: &str| {
        format!(
            "cluster staging, node worker-1, UID {uid}, pod agent-on-worker-1, UID {uid}, \
             service account spire:spire-agent"
        )
    };
    let id = id("staging/worker-1");
    let between = |holder: &str, claimant: &str| {
        let (holder, claimant) = (words(holder), words(claimant));
        let between = (holder.get(..200), claimant.get(..200));
        let (holder, claimant) = (between.0.unwrap_or(&holder), between.1.unwrap_or(&claimant));
        format!("`{id}` is held by {holder}, and was derived for {claimant}")
    };
    assert_eq!(
        error.chain(),
        format!(
            "two subjects are given one identity: {}",
            between(UID_1, UID_2)
        )
    );

    // A restart does not forget; the operator's release is for once.
    drop(attestors);
    let attestors = files.open();
    let again = |uid| files.attest_from(&attestors, "worker-1", uid);
    assert_eq!(again(UID_2).unwrap_err().reason(), "identity_collision");
    let released: SpiffeId = id.parse().unwrap();
    release(&files.path("state/k8s_sat"), &released, NOW).unwrap();
    let notice = again(UID_2).unwrap().notice;
    assert!(
        matches!(notice, Some(HolderNotice::Released(_))),
        "{notice:?}"
    );
    assert_eq!(again(UID_2).unwrap().notice, None);
    assert_eq!(again(UID_1).unwrap_err().reason(), "identity_collision");
    let holders = attestors
        .succession("k8s_sat")
        .unwrap()
        .status(at(NOW))
        .holders;
    let holders = holders.unwrap();
    assert_eq!((holders.entries, holders.collisions), (2, 2));

    // Where the operator says that the name is the subject, there are not two.
    let keys = "on_collision = \"refuse\"\nsubject_keys = [\"/subject/service_account/node/name\"]";
    files.configure(&by_name, keys);
    fs::remove_dir_all(files.path("state")).unwrap();
    drop(attestors);
    let attestors = files.open();
    files.attest_from(&attestors, "worker-1", UID_1).unwrap();
    files.attest_from(&attestors, "worker-1", UID_2).unwrap();
}

#[test]
fn two_subjects_of_one_id_are_told_of_where_that_is_said() {
    let files = Files::new(r#"on_collision = "warn""#);
    let attestors = files.open();
    let from = |uid| files.attest_from(&attestors, "worker-1", uid).unwrap();
    assert_eq!(from(UID_1).notice, None);
    let second = from(UID_2);
    assert_eq!(name_of(&second), "generation-1");
    let Some(HolderNotice::Collision(between)) = second.notice else {
        panic!("{second:?}");
    };
    assert!(between.holder.contains(UID_1) && between.claimant.contains(UID_2));
    // The first keeps it.
    assert_eq!(from(UID_1).notice, None);
}

/// Nothing of a policy's is readable by others.
#[test]
fn state_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    fn walk(path: &Path, seen: &mut usize) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            *seen += 1;
            if path.is_dir() {
                assert_eq!(mode, 0o700, "{}", path.display());
                walk(&path, seen);
            } else {
                assert_eq!(mode, 0o600, "{}", path.display());
            }
        }
    }
    let files = Files::new(r#"on_collision = "refuse""#);
    let attestors = files.open();
    files.attest(&attestors).unwrap();
    let mut seen = 0;
    walk(&files.path("state"), &mut seen);
    assert!(seen >= 6, "{seen}");
}

/// Who only asks what would be decided disturbs nobody who decides.
#[test]
fn asking_aside_keeps_nothing() {
    let files = Files::new(r#"on_collision = "refuse""#);
    let attestors = files.open();
    let config = files.path("nameplate.toml");
    let aside = Attestors::open_unrecorded(&config, Sandbox::new().unwrap()).unwrap();
    assert_eq!(files.name(&aside), "generation-1");
    files.write("policy.wasm", &numbered(2));
    aside.reload_at(at(NOW)).unwrap();
    assert_eq!(files.name(&aside), "generation-2");
    assert_eq!(files.name(&attestors), "generation-1");
    let (status, _) = files.status();
    assert_eq!((status.serving.generation, status.before), (1, None));
}

/// A log is judged over like cases: the latest decisions, each machine once.
#[test]
fn a_gate_judges_over_the_decision_log() {
    let by_uid = template(r#"["{cluster}", "{node_uid}"]"#);
    let by_name = template(r#"["{cluster}", "{node_name}"]"#);
    let log = r#"decision_log = { directory = "log", flush = "each" }"#;
    let gate = |gate: &str| format!("{log}\ngate = {{ against = \"log\", {gate} }}");
    let files = Files::new("");
    files.configure(&by_uid, log);
    let attestors = files.open();
    for _ in 0..3 {
        files.attest_from(&attestors, "worker-1", UID_1).unwrap();
    }
    files.attest_from(&attestors, "worker-2", UID_2).unwrap();
    let refused = |first: &str, subjects: &str, keys: &str| {
        files.configure(&by_name, &gate(keys));
        let problems = attestors.reload_at(at(NOW)).unwrap_err().to_string();
        let words = format!("{subjects} named otherwise");
        assert!(problems.contains(&words), "{problems}");
        assert!(
            problems.contains(&id(&format!("staging/{first}"))),
            "{problems}"
        );
    };
    refused(UID_1, "2 subjects are", "max_changed = 1");
    refused(UID_2, "1 subject is", "records = 1");
    files.configure(&by_name, &gate("max_changed = 2"));
    attestors.reload_at(at(NOW)).unwrap();
    let answer = files.attest_from(&attestors, "worker-2", UID_2).unwrap();
    assert_eq!(name_of(&answer), "staging/worker-2");

    // A log that somebody took a segment out of lets nothing pass.
    let small = log.replace(" }", ", segment_bytes = 65_536 }");
    let gate = |gate: &str| format!("{small}\ngate = {{ against = \"log\", {gate} }}");
    let kept = |files: &Files| -> Vec<PathBuf> {
        let mut all: Vec<_> = fs::read_dir(files.path("log"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .collect();
        all.sort();
        all
    };
    files.configure(&by_name, &gate("max_changed = 2"));
    attestors.reload_at(at(NOW)).unwrap();
    while kept(&files).len() < 4 {
        files.attest_from(&attestors, "worker-1", UID_1).unwrap();
    }
    let [_, second, ..] = kept(&files)
        .try_into()
        .map(|all: [PathBuf; 4]| all)
        .unwrap();
    let aside = files.path("aside");
    fs::rename(&second, &aside).unwrap();
    files.configure(&by_uid, &gate("max_changed = 9"));
    let problems = attestors.reload_at(at(NOW)).unwrap_err().to_string();
    assert!(problems.contains("are missing before line"), "{problems}");
    fs::rename(&aside, &second).unwrap();
    attestors.reload_at(at(NOW)).unwrap();
    files.configure(&by_name, &gate("max_changed = 9"));
    attestors.reload_at(at(NOW)).unwrap();

    // A log that somebody changed lets nothing pass.
    let segment = kept(&files).remove(0);
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("worker-1", "worker-9", 1)).unwrap();
    files.configure(&by_uid, &gate("max_changed = 9"));
    let problems = attestors.reload_at(at(NOW)).unwrap_err().to_string();
    assert!(problems.contains("decisions-"), "{problems}");
}
