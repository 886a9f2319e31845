//! `nameplate completions`.

use crate::support::nameplate;

#[test]
fn every_shell_has_a_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = nameplate(&["completions", shell]).exits(0);
        assert!(run.stdout.contains("attest"), "{shell}");
        let json = nameplate(&["completions", shell, "--output", "json"])
            .exits(0)
            .json();
        assert_eq!(json["script"], run.stdout);
        assert_eq!(json["shell"], shell);
    }
    nameplate(&["completions", "tcsh"]).exits(2);
}
