//! `nameplate policy new` and `nameplate policy build`: a policy of one's own
//! changes the ID, and nothing of `nameplate` is built anew.

use crate::support::{Place, nameplate};
use std::path::Path;
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// Whether policies can be built here. Where they must, it is an error if not.
fn can_build() -> bool {
    let printed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .unwrap();
    let library = String::from_utf8(printed.stdout).unwrap();
    let installed = Path::new(library.trim()).is_dir();
    let required =
        std::env::var_os("NAMEPLATE_REQUIRE_WASM_TARGET").is_some_and(|value| value == "1");
    assert!(
        installed || !required,
        "the target {TARGET} is not installed"
    );
    if !installed {
        eprintln!("left out: rustup target add {TARGET}");
    }
    installed
}

#[test]
fn a_new_policy_is_built_and_changes_the_id() {
    if !can_build() {
        return;
    }
    let place = Place::new();
    let run = place.run("policy new edge-names").exits(0);
    assert!(
        run.stdout.starts_with("`edge-names` is a policy now"),
        "{}",
        run.stdout
    );
    let run = place.run("policy build edge-names --output json").exits(0);
    let built = run.json();
    let path = built["path"].as_str().unwrap();
    assert!(path.ends_with("edge-names/edge-names.wasm"), "{path}");
    assert!(built["bytes"].as_u64().unwrap() > 0);
    // Progress goes to standard error, the answer alone to standard output.
    let run = place.run("policy build edge-names -o again.wasm").exits(0);
    assert!(
        run.stdout.starts_with("built `again.wasm`"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains(built["digest"].as_str().unwrap()),
        "{}",
        run.stdout
    );

    place.run("policy test again.wasm").exits(0);
    // A project is built, and its own cases are run; they show all of it.
    let run = place.run("policy test edge-names --require-coverage --output json");
    assert_eq!(run.json()["passed"], 7, "{}", run.stdout);
    run.exits(0);
    place
        .run("policy test again.wasm --cases edge-names/cases")
        .exits(0);

    let before = place
        .attest("--cluster production --token token")
        .exits(0)
        .stdout;
    let digest = built["digest"].as_str().unwrap();
    place.configure(&format!(
        "policy = {{ source = \"again.wasm\", digest = \"{digest}\" }}"
    ));
    let after = place
        .attest("--cluster production --token token")
        .exits(0)
        .stdout;
    assert_ne!(before.lines().next(), after.lines().next());
    assert!(
        after
            .starts_with("spiffe://example.org/spire/agent/k8s_sat/production/machines/worker-1\n"),
        "{after}"
    );

    let other = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    place.configure(&format!(
        "policy = {{ source = \"again.wasm\", digest = \"{other}\" }}"
    ));
    let run = place.attest("--cluster production --token token").exits(1);
    assert!(run.stderr.contains("is pinned"), "{}", run.stderr);
}

#[test]
fn a_project_goes_where_it_is_told() {
    let place = Place::new();
    let answer = place
        .run("policy new mine --directory somewhere --output json")
        .exits(0)
        .json();
    assert_eq!(answer["language"], "rust");
    assert!(place.path().join("somewhere/src/lib.rs").is_file());
    for file in answer["files"].as_array().unwrap() {
        assert!(
            place
                .path()
                .join("somewhere")
                .join(file.as_str().unwrap())
                .is_file(),
            "{file}"
        );
    }
    place.run("policy new other --lang rust").exits(0);
    place.run("policy new other --lang cobol").exits(2);
}

#[test]
fn what_is_there_is_not_overwritten() {
    let place = Place::new();
    let run = place.run("policy new mine --directory .").exits(1);
    assert_eq!(run.stderr, "error: `.` is not empty\n");
    let run = place.run("policy new ../mine --output json").exits(1);
    assert_eq!(run.json()["error"]["reason"], "policy_new");
}

#[test]
fn what_is_no_project_is_not_built() {
    let place = Place::new();
    let run = place.run("policy build . --output json").exits(1);
    assert_eq!(run.json()["error"]["reason"], "policy_build");
    assert!(
        run.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("nameplate policy new")
    );
    nameplate(&["policy", "build"]).exits(2);
}

/// Writes down how it was called, and says what is asked of it.
const STAND_IN: &str = r#"#!/bin/sh
echo "NAME $*" >> "$PLACE/calls"
env >> "$PLACE/calls"
case "$*" in
    metadata*) cat "$PLACE/metadata" ;;
    build*) echo "error: nothing is built here" >&2; exit 101 ;;
    *target-libdir*|*sysroot*) echo "$PLACE" ;;
    *) echo "commit-hash: 0123456789" ;;
esac
"#;

#[test]
fn what_an_outer_cargo_was_started_with_does_not_reach_the_build() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.run("policy new racks").exits(0);
    let root = std::fs::canonicalize(place.path()).unwrap();
    let project = root.join("racks");
    let metadata = serde_json::json!({
        "packages": [{
            "name": "racks",
            "version": "0.1.0",
            "description": null,
            "manifest_path": project.join("Cargo.toml"),
            "targets": [{"name": "racks", "crate_types": ["cdylib"]}],
        }],
        "workspace_root": project,
        "target_directory": project.join("target"),
    });
    place.write("metadata", &metadata.to_string());
    for (folder, name) in [
        ("bin", "cargo"),
        ("bin", "rustc"),
        ("other", "cargo"),
        ("other", "rustc"),
    ] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
        let file = format!("{folder}/{name}");
        place.write(&file, &STAND_IN.replace("NAME", &format!("program {file}")));
        let permissions = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(root.join(&file), permissions).unwrap();
    }
    let path = std::env::join_paths(
        std::iter::once(root.join("bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let output = Command::new(env!("CARGO_BIN_EXE_nameplate"))
        .args(["policy", "build", "racks"])
        .current_dir(&root)
        .env("PATH", path.unwrap())
        .env("PLACE", &root)
        .env("RUSTUP_TOOLCHAIN", "outer")
        .env("CARGO", root.join("other/cargo"))
        .env("RUSTC", root.join("other/rustc"))
        .env("RUSTC_WRAPPER", "outer")
        .env("RUSTC_WORKSPACE_WRAPPER", "outer")
        .env("RUSTFLAGS", "outer")
        .env("CARGO_BUILD_RUSTC_WRAPPER", "outer")
        .env("CARGO_PROFILE_RELEASE_LTO", "outer")
        .env("CARGO_MANIFEST_DIR", "outer")
        .env("CARGO_NET_OFFLINE", "inner")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("`racks` does not compile:\nerror: nothing is built here"),
        "{stderr}"
    );
    let calls = place.read("calls");
    let programs: Vec<_> = calls
        .lines()
        .filter_map(|line| line.strip_prefix("program "))
        .filter_map(|line| line.split_once(' '))
        .collect();
    assert!(
        programs.iter().all(|(name, _)| name.starts_with("bin/")),
        "{programs:?}"
    );
    for (name, begin) in [
        ("bin/cargo", "metadata"),
        ("bin/cargo", "build"),
        ("bin/rustc", "--print"),
    ] {
        let called =
            |(program, arguments): &(&str, &str)| *program == name && arguments.starts_with(begin);
        assert!(programs.iter().any(called), "{name} {begin}: {programs:?}");
    }
    let outer: Vec<_> = calls
        .lines()
        .filter(|line| line.ends_with("=outer") || line.contains("=other/"))
        .collect();
    assert!(outer.is_empty(), "{outer:?}");
    assert_eq!(
        calls.matches("\nCARGO_NET_OFFLINE=inner\n").count(),
        programs.len()
    );
}
