//! `--watch`.

use super::{case, identity, place};
use crate::support::Place;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

/// Watches the cases of a place.
fn watch(place: &Place) -> Child {
    Command::new(env!("CARGO_BIN_EXE_nameplate"))
        .args([
            "policy",
            "test",
            "builtin:node",
            "--cases",
            "cases",
            "--watch",
        ])
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

#[test]
fn each_change_is_a_run_and_ctrl_c_ends() {
    let place = place();
    let mut child = watch(&place);
    let mut stderr = child.stderr.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = |begin: &str| {
        let found = lines.find(|line| line.as_ref().unwrap().starts_with(begin));
        found.unwrap().unwrap()
    };
    assert!(until("passed: ").contains("2 passed, 0 failed"));

    // Another content, a new file, all well again, and not.
    place.write("cases/two.json", &case("n2", Some(identity("n3"))));
    assert!(until("FAILED: ").contains("1 passed, 1 failed"));
    place.write("cases/three.json", &case("n4", Some(identity("n4"))));
    assert!(until("FAILED: ").contains("2 passed, 1 failed"));
    place.write("cases/two.json", &case("n2", Some(identity("n2"))));
    assert!(until("passed: ").contains("3 passed, 0 failed"));
    place.write("cases/two.json", &case("n2", Some(identity("n3"))));
    assert!(until("FAILED: ").contains("2 passed, 1 failed"));

    interrupt(&child);
    let mut told = String::new();
    stderr.read_to_string(&mut told).unwrap();
    // The last run failed, and so did the whole.
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(
        told.contains("waiting for a change; Ctrl-C ends\n"),
        "{told}"
    );
}

#[test]
fn a_run_that_cannot_be_is_told_and_the_next_change_awaited() {
    let place = place();
    place.write("cases/two.json", "{");
    let mut child = watch(&place);
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = errors.next().unwrap().unwrap();
    assert!(
        first.starts_with("error: `cases/two.json` is no case"),
        "{first}"
    );
    place.write("cases/two.json", &case("n2", Some(identity("n2"))));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let passed = lines.find(|line| line.as_ref().unwrap().starts_with("passed: "));
    assert!(passed.unwrap().unwrap().contains("2 passed"));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
