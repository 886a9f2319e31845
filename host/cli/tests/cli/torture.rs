//! `nameplate torture`.

use crate::support::nameplate;

#[test]
fn what_there_is_to_try_is_listed() {
    let run = nameplate(&["torture", "--list", "--output", "json"]).exits(0);
    let json = run.json();
    let attacks = json["attacks"].as_array().unwrap();
    let of = |groups: &[&str]| {
        let mut names: Vec<_> = attacks
            .iter()
            .filter(|attack| groups.contains(&attack["group"].as_str().unwrap()))
            .map(|attack| attack["attack"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    };
    assert!(of(&["limit", "component", "envelope"]) >= 60);
    assert!(of(&["token", "certificate"]) >= 150);
}

#[test]
fn what_stopped_an_attack_is_said() {
    let run = nameplate(&["torture", "--filter", "RUSTSEC-2026-0098"]).exits(0);
    assert!(run.stdout.contains("chain_untrusted"), "{}", run.stdout);
    assert!(
        run.stdout.contains("1 attacks: 1 stopped"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_filter_that_meets_nothing_is_a_mistake() {
    let run = nameplate(&["torture", "--filter", "no such attack"]).exits(2);
    assert!(run.stderr.contains("there is no such attack"));
}
