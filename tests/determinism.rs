//! Equal component, settings and facts: equal answer, equal fuel.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::cases;
use nameplate_policy::{
    BUILTINS, Backend, Facts, Policy, PolicyRequest, PolicySource, Sandbox, Start, Trial,
    TrialAnswer, Verdict,
};
use nameplate_tests::{facts, golden, guest, path, patient};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;

const RUNS: usize = 1_000;

fn load(sandbox: &Sandbox, source: PolicySource, settings: Value) -> Policy {
    let request = PolicyRequest {
        settings,
        limits: patient(),
        ..PolicyRequest::new(source)
    };
    Policy::load(sandbox, &request).unwrap()
}

/// Settings under which a built-in policy names the facts of a bound token.
fn settings(builtin: &str) -> Value {
    match builtin {
        "template" => json!({"path": ["{cluster}", "{node_name}", "{attestation_id}"]}),
        _ => json!({}),
    }
}

/// A subject that it names, and one of the other kind.
fn subjects(builtin: &str) -> (Facts, Facts) {
    match builtin {
        "subject" => (facts::certificate(), facts::bound()),
        _ => (facts::bound(), facts::certificate()),
    }
}

#[test]
fn a_thousand_questions_get_one_answer() {
    let sandbox = Sandbox::new().unwrap();
    for builtin in BUILTINS {
        let source = PolicySource::Builtin(builtin.name.to_owned());
        let policy = load(&sandbox, source, settings(builtin.name));
        let (named, other) = subjects(builtin.name);
        let first = policy.derive(&named).unwrap();
        assert!(first.answer.is_ok(), "{}: {first:?}", builtin.name);
        assert!(first.fuel > 0);
        for run in 1..RUNS {
            // Something else in between, that must leave nothing behind.
            if run % 10 == 0 {
                policy.derive(&other).unwrap();
            }
            let again = policy.derive(&named).unwrap();
            assert_eq!(again, first, "{} in run {run}", builtin.name);
        }
    }
}

/// Loading again, in another sandbox and on another thread, changes nothing.
#[test]
fn another_sandbox_gives_the_same_answer() {
    let answers = || -> Vec<Verdict> {
        let sandbox = Sandbox::new().unwrap();
        BUILTINS
            .iter()
            .map(|builtin| {
                let source = PolicySource::Builtin(builtin.name.to_owned());
                let policy = load(&sandbox, source, settings(builtin.name));
                policy.derive(&facts::bound()).unwrap()
            })
            .collect()
    };
    let here = answers();
    assert_eq!(thread::spawn(answers).join().unwrap(), here);
}

/// A policy starts from the memory that `configure` left behind, and a trial
/// configures each instance. Nobody may notice.
#[test]
fn the_kept_state_answers_as_a_fresh_one_does() {
    let sandbox = Sandbox::new().unwrap();
    for builtin in BUILTINS {
        let trial = Trial::new(&sandbox, builtin.component, &patient()).unwrap();
        let source = || PolicySource::Builtin(builtin.name.to_owned());
        let manifest = nameplate_policy::Manifest::read(builtin.component);
        let cases = cases::embedded(&manifest).unwrap();
        let embedded = cases.iter().filter_map(|case| {
            let facts = case.facts().ok()?.into_owned();
            Some((case.settings.clone(), facts))
        });
        let ours = [facts::bound(), facts::bare(), facts::certificate()];
        let ours = ours
            .into_iter()
            .map(|facts| (settings(builtin.name), facts));
        let mut kept = BTreeMap::new();
        for (settings, facts) in embedded.chain(ours) {
            match trial.ask(&settings, &facts) {
                TrialAnswer::Verdict(fresh) => {
                    let policy = kept
                        .entry(settings.to_string())
                        .or_insert_with(|| load(&sandbox, source(), settings));
                    assert_eq!(policy.start(), &Start::Configured, "{}", builtin.name);
                    assert_eq!(policy.derive(&facts).unwrap(), fresh, "{}", builtin.name);
                }
                TrialAnswer::SettingsRefused(_) => {}
                TrialAnswer::Fault(fault) => panic!("{}: {fault}", builtin.name),
            }
        }
    }
}

/// The same guest twice: once as it is, and once with something beside it
/// that keeps its state from being written back.
#[test]
fn a_policy_whose_state_cannot_be_kept_answers_the_same() {
    let sandbox = Sandbox::new().unwrap();
    let of_file = |name: &str| PolicySource::Bytes(guest::file(name).bytes.into());
    let kept = load(&sandbox, of_file("remembers_its_settings"), json!({}));
    assert_eq!(kept.start(), &Start::Configured);
    let unkept = load(&sandbox, of_file("remembers_without_a_snapshot"), json!({}));
    assert!(
        matches!(unkept.start(), Start::Unconfigured { .. }),
        "{unkept:?}"
    );
    let expected = kept.derive(&facts::bound()).unwrap();
    for _ in 0..RUNS {
        assert_eq!(unkept.derive(&facts::bound()).as_ref(), Ok(&expected));
    }
}

/// What each policy that ships and each guest says to each question, and what
/// it costs: a line for each.
fn transcript(backend: Backend) -> String {
    let sandbox = Sandbox::on(backend).unwrap();
    let ours = || [facts::bound(), facts::bare(), facts::certificate()];
    let mut lines = String::new();
    for builtin in BUILTINS {
        let trial = Trial::new(&sandbox, builtin.component, &patient()).unwrap();
        let manifest = nameplate_policy::Manifest::read(builtin.component);
        let cases = cases::embedded(&manifest).unwrap();
        let cases = cases.iter().filter_map(|case| {
            let facts = case.facts().ok()?.into_owned();
            Some((case.settings.clone(), facts))
        });
        let ours = ours().map(|facts| (settings(builtin.name), facts));
        for (number, (settings, facts)) in cases.chain(ours).enumerate() {
            let answer = shown(trial.ask(&settings, &facts));
            writeln!(lines, "{} {number}: {answer}", builtin.name).unwrap();
        }
    }
    for guest in guest::files() {
        let Ok(trial) = Trial::new(&sandbox, &guest.bytes, &patient()) else {
            continue;
        };
        for (number, facts) in ours().into_iter().enumerate() {
            let answer = shown(trial.ask(&json!({}), &facts));
            writeln!(lines, "guest {} {number}: {answer}", guest.name).unwrap();
        }
    }
    lines
}

fn shown(answer: TrialAnswer) -> String {
    match answer {
        TrialAnswer::Verdict(Verdict { answer, fuel }) => match answer {
            Ok(derivation) => {
                // Some guests answer with a thousand selectors.
                let whole = serde_json::to_string(&derivation).unwrap();
                let digest = nameplate_policy::Digest::of(whole.as_bytes());
                format!("{fuel} fuel, {} {digest}", derivation.path.join("/"))
            }
            Err(denial) => format!("{fuel} fuel, denied ({}): {}", denial.code, denial.detail),
        },
        TrialAnswer::SettingsRefused(problems) => format!("{} problems", problems.len()),
        TrialAnswer::Fault(fault) => fault.reason().to_owned(),
    }
}

/// The file was written by a debug build, and holds in every other: fuel
/// belongs to the component and not to how the host was compiled.
#[test]
fn answers_and_fuel_are_those_of_every_build() {
    golden::compare(&path("fuel.txt"), &transcript(Backend::Native)).unwrap();
}

/// Machine code and interpreter are two programs; they agree on every word.
#[test]
fn the_interpreter_gives_the_same_answers_and_fuel() {
    let (native, interpreted) = (
        transcript(Backend::Native),
        transcript(Backend::Interpreter),
    );
    for (native, interpreted) in native.lines().zip(interpreted.lines()) {
        assert_eq!(native, interpreted);
    }
    assert_eq!(native.len(), interpreted.len());
}

/// Facts go in and out unchanged: what a policy answers with is what was proven.
#[test]
fn each_fact_reaches_the_policy_as_it_is() {
    let sandbox = Sandbox::new().unwrap();
    let source = PolicySource::Builtin("template".to_owned());
    let facts: Facts = facts::bound();
    let policy = load(
        &sandbox,
        source,
        json!({"path": ["x"], "selectors": [
            "{trust_domain} {attestor} {attested_at} {attestation_id} {subject_kind}",
            "{cluster} {namespace} {service_account} {service_account_uid}",
            "{pod_name} {pod_uid} {node_name} {node_uid}",
            "{issuer} {audience} {token_id} {issued_at} {expires_at}",
            "{token_sha256}", "{cluster_thumbprint}",
        ]}),
    );
    let answer = policy.derive(&facts).unwrap().answer.unwrap();
    assert_eq!(
        answer.selectors,
        [
            &format!(
                "example.org k8s_sat 1800000000 {} service_account",
                facts::ATTESTATION_ID
            ),
            "production spire spire-agent 0b1c2d3e-0000-4000-8000-00000000005a",
            "spire-agent-x7k2p 0b1c2d3e-0000-4000-8000-000000000b0d \
             worker-1 0b1c2d3e-0000-4000-8000-0000000010de",
            "https://kubernetes.default.svc.cluster.local spire-server f1a3 1799999940 1800000600",
            &"ab".repeat(32),
            &("c0ffee".repeat(10) + "c0ff"),
        ]
    );
}
