//! Help, version and mistakes in the command line.

use crate::support::nameplate;

#[test]
fn the_help_is_as_it_was_read() {
    let run = nameplate(&["--help"]).exits(0);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/help.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &run.stdout).unwrap();
    }
    assert_eq!(run.stdout, std::fs::read_to_string(path).unwrap());
}

#[test]
fn the_version_is_an_answer() {
    let run = nameplate(&["--version"]).exits(0);
    assert_eq!(
        run.stdout,
        concat!("nameplate ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_mistake_is_told_in_the_form_that_was_asked_for() {
    let run = nameplate(&["attset"]).exits(2);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("attset"));
    for line in [
        ["--output", "json", "attset"].as_slice(),
        &["attset", "--output=json"],
    ] {
        let run = nameplate(line).exits(2);
        assert_eq!(run.stderr, "");
        assert_eq!(run.json()["error"]["reason"], "usage");
        assert!(
            run.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("attset")
        );
    }
}

#[test]
fn nothing_is_coloured_in_a_pipe() {
    let run = nameplate(&["policy", "inspect", "builtin:node"]).exits(0);
    assert!(!run.stdout.contains('\u{1b}'));
}
