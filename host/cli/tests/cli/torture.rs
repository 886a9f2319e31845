//! `nameplate torture`.

use crate::support::{Place, Run, nameplate};

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
        run.stdout.contains("3 attacks: 3 stopped"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_filter_that_meets_nothing_is_a_mistake() {
    let run = nameplate(&["torture", "--filter", "no such attack"]).exits(2);
    assert!(run.stderr.contains("there is no such attack"));
}

/// Attacks a configuration in which nothing but the issuer is not asked for.
fn attacked(issuer: &str, flags: &str) -> Run {
    let place = Place::new();
    place.write(
        "nameplate.toml",
        &format!(
            "trust_domain = \"example.org\"\n[attestors.k8s_sat]\none_time_tokens = true\n\
             limits = {{ deadline = \"1s\" }}\nenvelope = {{ leading = [\"{{cluster}}\"] }}\n\
             [attestors.k8s_sat.clusters.production]\n\
             service_account_key_file = \"key.pem\"\naudience = [\"spire-server\"]\n\
             service_account_allow_list = [\"spire:spire-agent\"]\n{issuer}"
        ),
    );
    place.run(&format!(
        "torture --config nameplate.toml --filter issuer {flags}"
    ))
}

#[test]
fn what_is_not_asked_for_fails_where_that_is_asked() {
    let issuer = "issuer = \"https://issuer.example\"\n";
    attacked(issuer, "").exits(0);
    attacked(issuer, "--strict").exits(0);
    let run = attacked("", "").exits(0);
    assert!(
        run.stdout
            .contains("not asked for  k8s_sat/production: no issuer")
    );
    let json = attacked("", "--strict --output json").exits(1).json();
    assert_eq!(
        (&json["holds"], &json["strict"]),
        (&false.into(), &true.into())
    );
}
