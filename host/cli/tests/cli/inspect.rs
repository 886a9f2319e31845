//! `nameplate policy inspect`.

use crate::support::{Place, nameplate, repository};
use serde_json::{Value, json};
use wasm_encoder::{
    Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, InstanceType,
};

/// A component that asks for a clock.
fn importing() -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    imports.import(
        "wasi:clocks/wall-clock@0.2.0",
        ComponentTypeRef::Instance(0),
    );
    let mut component = Component::new();
    component.section(&types).section(&imports);
    component.finish()
}

#[test]
fn a_policy_shows_what_it_is() {
    let run = nameplate(&["policy", "inspect", "builtin:node"]).exits(0);
    for text in [
        "node 0.1.0\n",
        "  imports       nothing\n",
        "  exports       nameplate:policy/naming@0.1.0\n",
        "  contract      0.1.0\n",
        "  denials       needs-service-account: the subject is a certificate",
        "                no-node: the token is bound to no node",
        "  subjects by   cluster + node.uid\n",
        "  or else by    the strongest UID proven\n",
        "  starts        from its configured state\n",
        "This is a policy that can be loaded.\n",
    ] {
        assert!(run.stdout.contains(text), "{text}\n{}", run.stdout);
    }
}

#[test]
fn json_holds_all_of_it() {
    let answer = nameplate(&["policy", "inspect", "builtin:node", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(answer["name"], "node");
    assert_eq!(answer["imports"], json!([]));
    assert_eq!(answer["exports"], json!(["nameplate:policy/naming@0.1.0"]));
    assert_eq!(answer["contract"], "0.1.0");
    assert_eq!(answer["start"], json!({ "state": "configured" }));
    assert_eq!(answer["refused"], Value::Null);
    assert!(answer["settings_schema"]["properties"]["by"].is_object());
    assert!(answer["denials"]["no-node"].is_string());
    assert!(answer["cases"].as_u64().unwrap() > 0);
    assert_eq!(
        answer["subject_keys"],
        json!([[
            "/subject/service_account/cluster",
            "/subject/service_account/node/uid"
        ]])
    );
    assert!(answer["bytes"].as_u64().unwrap() > 0);
    assert!(answer["compile_ms"].as_f64().unwrap() > 0.0);
    assert!(answer["load_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_policy_that_needs_settings_is_no_bad_policy() {
    let inspect = ["policy", "inspect", "builtin:template", "--output", "json"];
    let answer = nameplate(&inspect).exits(0).json();
    assert_eq!(answer["start"]["state"], "needs_settings");
    let settings = ["--settings", r#"{"path": ["{cluster}"]}"#];
    let answer = nameplate(&[inspect.as_slice(), &settings].concat())
        .exits(0)
        .json();
    assert_eq!(answer["start"]["state"], "configured");
    let settings = ["--settings", r#"{"path": ["{colour}"]}"#];
    let answer = nameplate(&[inspect.as_slice(), &settings].concat())
        .exits(1)
        .json();
    assert!(answer["refused"].as_str().unwrap().contains("/path/0"));
}

#[test]
fn a_component_that_imports_is_read_and_refused() {
    let place = Place::new();
    std::fs::write(place.path().join("clock.wasm"), importing()).unwrap();
    let run = place.run("policy inspect clock.wasm").exits(1);
    assert!(
        run.stdout
            .contains("  imports       wasi:clocks/wall-clock@0.2.0\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains(
            "This is refused: not a policy: the component imports `wasi:clocks/wall-clock@0.2.0`"
        ),
        "{}",
        run.stdout
    );
    let answer = place
        .run("policy inspect clock.wasm --output json")
        .exits(1)
        .json();
    assert_eq!(answer["imports"], json!(["wasi:clocks/wall-clock@0.2.0"]));
    assert_eq!(answer["load_ms"], Value::Null);
}

#[test]
fn what_is_no_component_is_said_so() {
    let place = Place::new();
    place.write("text.wasm", "not wasm");
    let run = place.run("policy inspect text.wasm").exits(1);
    assert!(
        run.stdout
            .contains("This is refused: not a policy: this is not a WebAssembly component"),
        "{}",
        run.stdout
    );
    let run = place
        .run("policy inspect absent.wasm --output json")
        .exits(1);
    assert_eq!(run.json()["error"]["reason"], "policy_refused");
    let run = nameplate(&["policy", "inspect", "builtin:nonsense"]).exits(1);
    assert!(
        run.stderr
            .contains("there is no built-in policy `nonsense`; there are node, pod,"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_limit_decides() {
    let inspect = [
        "policy",
        "inspect",
        "builtin:node",
        "--output",
        "json",
        "--limit",
    ];
    let answer = nameplate(&[inspect.as_slice(), &["functions=1"]].concat())
        .exits(1)
        .json();
    assert!(
        answer["refused"].as_str().unwrap().contains("functions"),
        "{answer:#}"
    );
    nameplate(&[inspect.as_slice(), &["functions=none"]].concat()).exits(2);
}

/// A project is built by those commands alone that say so.
#[test]
fn a_folder_is_no_component_and_how_to_make_one_is_said() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("mine")).unwrap();
    let cases = repository().join("policies/node/cases");
    for command in [
        "inspect mine",
        "bench mine",
        "collisions mine --cases CASES",
        "diff mine builtin:node --against mine",
    ] {
        let command = command.replace("CASES", &cases.display().to_string());
        let run = place.run(&format!("policy {command}")).exits(2);
        assert_eq!(
            run.stderr,
            "error: `mine` is a folder: `nameplate policy build mine` makes a component of a \
             project, name that\n",
            "{command}"
        );
    }
}
