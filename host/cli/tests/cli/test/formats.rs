//! The forms that programs read.

use super::{case, identity, place};

#[test]
fn tap_has_a_plan_and_a_line_for_each_case() {
    let place = place();
    place.write("cases/two.json", &case("n2", Some(identity("n3"))));
    let run = place
        .run("policy test builtin:node --cases cases --format tap")
        .exits(1);
    let id = "spiffe://example.org/spire/agent/k8s_sat/production";
    assert_eq!(
        run.stdout,
        format!(
            "TAP version 14
1..2
ok 1 - one
not ok 2 - two
  ---
  message: \"another outcome than expected\"
  wanted: \"{id}/n3 []\"
  found: \"{id}/n2 []\"
  ...
"
        )
    );
}

#[test]
fn junit_is_xml_with_an_element_for_each_case() {
    let place = place();
    place.write("cases/two.json", &case("n2", Some(identity("<&\">"))));
    let run = place
        .run("policy test builtin:node --cases cases --format junit")
        .exits(1);
    let document = roxmltree::Document::parse(&run.stdout).unwrap();
    let suites = document.root_element();
    assert!(suites.has_tag_name("testsuites"));
    assert_eq!(suites.attribute("tests"), Some("2"));
    assert_eq!(suites.attribute("failures"), Some("1"));
    let cases: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("testcase"))
        .collect();
    let names: Vec<_> = cases.iter().map(|case| case.attribute("name")).collect();
    assert_eq!(names, [Some("one"), Some("two")]);
    let failures: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("failure"))
        .collect();
    let [failure] = failures.as_slice() else {
        panic!("{}", run.stdout);
    };
    assert_eq!(failure.parent(), Some(cases[1]));
    let text = failure.text().unwrap();
    assert!(text.contains("/production/<&\"> []"), "{text}");
}

#[test]
fn two_forms_at_once_are_a_mistake() {
    let run = place()
        .run("policy test builtin:node --cases cases --format tap --output json")
        .exits(2);
    assert_eq!(run.json()["error"]["reason"], "usage");
    place()
        .run("policy test builtin:node --cases cases --format text --output json")
        .exits(0);
    place()
        .run("policy test builtin:node --cases cases --format yaml")
        .exits(2);
}
