//! The policies that ship: what their components carry, and that it holds.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::cases::{self, Case, Outcome};
use nameplate_policy::{
    BUILTINS, Builtin, CONTRACT_VERSION, Interface, Limits, Manifest, Policy, PolicyRequest,
    PolicySource, Sandbox, Start, Trial,
};
use nameplate_tests::{facts, patient};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

fn folder(builtin: Builtin) -> PathBuf {
    nameplate_tests::path("../policies").join(builtin.name)
}

fn embedded(builtin: Builtin) -> Vec<Case> {
    cases::embedded(&Manifest::read(builtin.component)).unwrap()
}

#[test]
fn each_passes_its_own_cases() {
    let sandbox = Sandbox::new().unwrap();
    for builtin in BUILTINS {
        let trial = Trial::new(&sandbox, builtin.component, &patient()).unwrap();
        let cases = embedded(builtin);
        assert!(cases.len() >= 5, "{}: {} cases", builtin.name, cases.len());
        for case in &cases {
            let run = case.run(&trial);
            let what = format!("{}: {}: {:?}", builtin.name, case.name, run.detail);
            assert_eq!(Some(run.outcome), case.expect, "{what}");
        }
    }
}

/// The component carries the cases that stand beside its source.
#[test]
fn each_carries_the_cases_of_its_folder() {
    for builtin in BUILTINS {
        let on_disk: BTreeMap<String, Value> = fs::read_dir(folder(builtin).join("cases"))
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let case = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                (name, case)
            })
            .collect();
        let manifest = Manifest::read(builtin.component);
        let carried: Vec<Value> = serde_json::from_str(&manifest.cases.unwrap()).unwrap();
        let carried: BTreeMap<String, Value> = carried
            .into_iter()
            .map(|mut case| {
                let name = case.as_object_mut().unwrap().remove("name").unwrap();
                (name.as_str().unwrap().to_owned(), case)
            })
            .collect();
        let names = |cases: &BTreeMap<String, Value>| -> Vec<_> { cases.keys().cloned().collect() };
        assert_eq!(names(&carried), names(&on_disk), "{}", builtin.name);
        assert_eq!(carried, on_disk, "{}", builtin.name);
    }
}

#[test]
fn each_says_what_it_is() {
    let names: Vec<_> = BUILTINS.iter().map(|builtin| builtin.name).collect();
    assert_eq!(
        names,
        ["node", "pod", "subject", "template", "thumbprint", "uuid"]
    );
    for builtin in BUILTINS {
        let manifest = Manifest::read(builtin.component);
        assert_eq!(manifest.name.as_deref(), Some(builtin.name));
        assert_eq!(manifest.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert!(manifest.description.is_some(), "{}", builtin.name);
        let carried: Value = serde_json::from_str(&manifest.settings_schema.unwrap()).unwrap();
        let path = folder(builtin).join("settings.schema.json");
        let on_disk: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(carried, on_disk, "{}", builtin.name);
    }
}

/// M1 of the prior art: what is not granted is not there.
#[test]
fn each_imports_nothing() {
    for builtin in BUILTINS {
        let interface = Interface::read(builtin.component).unwrap();
        assert_eq!(interface.imports, Vec::<String>::new(), "{}", builtin.name);
        let naming = format!("nameplate:policy/naming@{CONTRACT_VERSION}");
        assert_eq!(interface.exports, [naming], "{}", builtin.name);
    }
}

/// A policy that needed a limit raised would be no good default.
#[test]
fn each_is_cheap_under_the_default_limits() {
    let sandbox = Sandbox::new().unwrap();
    for builtin in BUILTINS {
        let mut request = PolicyRequest::new(PolicySource::Builtin(builtin.name.to_owned()));
        request.limits = patient();
        if builtin.name == "template" {
            request.settings = serde_json::json!({"path": ["{cluster}", "{node_uid}"]});
        }
        let policy = Policy::load(&sandbox, &request).unwrap();
        assert_eq!(policy.start(), &Start::Configured, "{}", builtin.name);
        let subject = match builtin.name {
            "subject" => facts::certificate(),
            _ => facts::bound(),
        };
        let verdict = policy.derive(&subject).unwrap();
        assert!(verdict.answer.is_ok(), "{}: {verdict:?}", builtin.name);
        let share = Limits::default().fuel / verdict.fuel;
        assert!(share >= 20, "{} takes {} fuel", builtin.name, verdict.fuel);
        assert!(policy.component_bytes() * 2 < Limits::default().component_bytes);
    }
}

/// Cases show each outcome there is, and two machines with one name only
/// where the policy says so.
#[test]
fn the_cases_of_each_show_an_identity_a_denial_and_refused_settings() {
    for builtin in BUILTINS {
        let kinds: BTreeSet<_> = embedded(builtin)
            .into_iter()
            .map(|case| match case.expect.unwrap() {
                Outcome::Identity { .. } => "identity",
                Outcome::Denied { .. } => "denied",
                Outcome::Rejected(_) => "rejected",
                Outcome::Fault(_) => "fault",
                Outcome::SettingsRefused(_) => "settings refused",
            })
            .collect();
        for kind in ["identity", "denied", "settings refused"] {
            assert!(
                kinds.contains(kind),
                "{} has no case of {kind}",
                builtin.name
            );
        }
        assert!(
            !kinds.contains("fault"),
            "{} has a case of a fault",
            builtin.name
        );
    }
}
