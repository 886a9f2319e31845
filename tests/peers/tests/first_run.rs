//! The commands of `docs/spire.md`, "From an empty folder", as they are printed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that says what it left out"
)]

use nameplate_peers::{nameplate, peers};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is typed: lines after `$`, and after `>` what goes on.
fn typed(document: &str) -> String {
    let (_, section) = document.split_once("\n## From an empty folder\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut typed = String::new();
    let mut inside = false;
    for line in section.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            typed.push_str(&format!("\n{command}"));
        } else if inside && let Some(more) = line.strip_prefix("> ") {
            typed.push_str(&format!("\n{more}"));
        }
    }
    typed + "\n"
}

#[test]
fn an_agent_attests_from_an_empty_folder() {
    let Some(bin) = peers() else {
        eprintln!("left out: needs a real SPIRE and API server; see `tests/peers/build`");
        return;
    };
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(room.join("../../docs/spire.md")).unwrap();
    let commands = typed(&document);
    // Built by whoever runs this test, and found by the path below.
    let (built, run) = commands.split_once("\nmkdir first-run").unwrap();
    assert_eq!(
        built.matches('\n').count(),
        4,
        "more than build and export: {built}"
    );
    let run = format!("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\nmkdir first-run{run}");

    // Short, as socket paths have to be.
    let work = tempfile::Builder::new().prefix("np").tempdir().unwrap();
    let test = std::env::current_exe().unwrap();
    let examples = test.parent().unwrap().with_file_name("examples");
    let mut path = vec![
        nameplate().parent().unwrap().to_owned(),
        examples,
        bin.clone(),
    ];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let output = Command::new("timeout")
        .args(["--kill-after=10", "120", "bash", "-c", &run])
        .current_dir(work.path())
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("NAMEPLATE_PEERS", bin)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("SPIRE server configuration file is valid."),
        "{said}{errors}"
    );
    assert!(said.contains("Found 1 attested agent"), "{said}{errors}");
    let id = ": spiffe://example.org/spire/agent/k8s_psat/demo/";
    assert!(said.contains(id), "{said}{errors}");
}
