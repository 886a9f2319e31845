//! `nameplate policy bench`. How fast it is, is not a test's business.

use crate::support::{Place, nameplate};

#[test]
fn the_cost_is_a_ratio() {
    let bench = [
        "policy",
        "bench",
        "builtin:node",
        "--seconds",
        "1",
        "--output",
        "json",
    ];
    let answer = nameplate(&bench).exits(0).json();
    assert_eq!(answer["answer"], "identity");
    assert_eq!(answer["threads"], 1);
    assert!(answer["ratio"].as_f64().unwrap() > 0.0);
    assert!(answer["fuel"].as_u64().unwrap() > 0);
    assert!(answer["derive"]["count"].as_u64().unwrap() > 0);
    let answer = nameplate(&[bench.as_slice(), &["--threads", "2"]].concat())
        .exits(0)
        .json();
    assert_eq!(answer["threads"], 2);
    let claimed = ["--settings", r#"{"by":"name"}"#];
    nameplate(&[bench.as_slice(), &claimed].concat()).exits(0);
    let answer = nameplate(&[bench.as_slice(), &["--limit", "fuel=1"]].concat())
        .exits(1)
        .json();
    assert_eq!(answer["error"]["reason"], "policy_fuel");
}

#[test]
fn people_read_it_in_lines() {
    let run = nameplate(&["policy", "bench", "builtin:node", "--seconds", "1"]).exits(0);
    assert_eq!(run.stderr, "", "progress is for terminals");
    assert!(
        run.stdout.contains("of one RS256-2048 verification"),
        "{}",
        run.stdout
    );
}

#[test]
fn other_facts_can_be_asked_about() {
    let place = Place::new();
    place.write("facts.json", "{}");
    let run = place.run("policy bench builtin:node --seconds 1 --facts facts.json --output json");
    assert_eq!(run.exits(1).json()["error"]["reason"], "facts_malformed");
}

#[test]
fn the_numbers_have_bounds() {
    for flags in [["--seconds", "0"], ["--threads", "0"], ["--threads", "65"]] {
        nameplate(&[["policy", "bench", "builtin:node"].as_slice(), &flags].concat()).exits(2);
    }
}
