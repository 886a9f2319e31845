use super::*;
use crate::derivation::Derivation;
use crate::trial::{Trial, TrialAnswer};
use nameplate_evidence::{ServiceAccount, Subject};
use std::borrow::Cow;

fn facts() -> Facts {
    Facts {
        trust_domain: "example.org".to_owned(),
        attestor: "k8s_sat".to_owned(),
        attested_at: 1_767_225_600,
        attestation_id: "6f1c1f1e-6f0a-4d8e-9d3a-0d9b8c7a6f5e".to_owned(),
        claimed_id: None,
        subject: Subject::ServiceAccount(ServiceAccount {
            cluster: "production".to_owned(),
            cluster_thumbprint: None,
            namespace: "spire".to_owned(),
            name: "spire-agent".to_owned(),
            uid: None,
            pod: None,
            node: None,
            issuer: None,
            audiences: Vec::new(),
            token_id: None,
            token_sha256: "ab".repeat(32),
            issued_at: None,
            expires_at: None,
        }),
    }
}

fn request(name: &str, settings: serde_json::Value) -> PolicyRequest {
    PolicyRequest {
        settings,
        ..PolicyRequest::new(PolicySource::parse(&format!("builtin:{name}")))
    }
}

fn load(name: &str, settings: serde_json::Value) -> Result<Policy, LoadError> {
    Policy::load(&Sandbox::new().unwrap(), &request(name, settings))
}

#[test]
fn a_builtin_starts_configured_and_answers_alike_every_time() {
    let policy = load("uuid", serde_json::json!({})).unwrap();
    assert_eq!(policy.start(), &Start::Configured);
    let first = policy.derive(&facts()).unwrap();
    assert_eq!(
        first.answer,
        Ok(Derivation {
            path: vec!["production".to_owned(), facts().attestation_id],
            selectors: [
                "cluster:production",
                "agent_ns:spire",
                "agent_sa:spire-agent"
            ]
            .map(str::to_owned)
            .to_vec(),
        })
    );
    for _ in 0..100 {
        assert_eq!(policy.derive(&facts()).unwrap(), first);
    }
}

#[test]
fn settings_reach_every_instance() {
    let settings = serde_json::json!({"selectors": ["cluster"]});
    let policy = load("uuid", settings).unwrap();
    let verdict = policy.derive(&facts()).unwrap();
    assert_eq!(verdict.answer.unwrap().selectors, ["cluster:production"]);
}

#[test]
fn refused_settings_keep_a_policy_out() {
    let error = load("uuid", serde_json::json!({"source": "dice"})).unwrap_err();
    let LoadError::Settings(problems) = error else {
        panic!("{error:?}");
    };
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].pointer, "/source");
    let error = load("uuid", serde_json::json!([])).unwrap_err();
    assert_eq!(error.to_string(), "the settings are not a JSON object");
}

#[test]
fn a_pinned_digest_is_compared_before_anything_else() {
    let source = PolicySource::Bytes(Cow::Borrowed(b"not even wasm"));
    let pinned = |digest| PolicyRequest {
        digest: Some(digest),
        ..PolicyRequest::new(source.clone())
    };
    let sandbox = Sandbox::new().unwrap();
    let good = Digest::of(b"not even wasm");
    let wrong = Digest::of(b"another");
    assert_eq!(
        Policy::load(&sandbox, &pinned(wrong))
            .unwrap_err()
            .to_string(),
        format!("the component's digest is {good}, and {wrong} is pinned")
    );
    assert!(matches!(
        Policy::load(&sandbox, &pinned(good)),
        Err(LoadError::Contract(contract::ContractError::NotAComponent))
    ));
}

#[test]
fn an_unknown_builtin_names_those_there_are() {
    let error = load("uid", serde_json::json!({})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no built-in policy `uid`; there are node, pod, subject, template, thumbprint, uuid"
    );
}

#[test]
fn size_is_bounded_before_parsing() {
    let mut request = request("uuid", serde_json::json!({}));
    let bytes = crate::Builtin::find("uuid").unwrap().component.len();
    request.limits.component_bytes = bytes;
    let sandbox = Sandbox::new().unwrap();
    Policy::load(&sandbox, &request).unwrap();
    request.limits.component_bytes = bytes - 1;
    assert_eq!(
        Policy::load(&sandbox, &request).unwrap_err().to_string(),
        format!(
            "the component has {} bytes, at most {} allowed (limit `component_bytes`)",
            nameplate_words::grouped(bytes),
            nameplate_words::grouped(bytes - 1)
        )
    );
}

/// A component that starts configured, and the same one configured in the
/// instance: same answer, same fuel.
#[test]
fn a_snapshot_changes_neither_answers_nor_fuel() {
    let sandbox = Sandbox::new().unwrap();
    for builtin in crate::BUILTINS {
        let settings = match builtin.name {
            "template" => serde_json::json!({"path": ["{cluster}", "{token_sha256}"]}),
            _ => serde_json::json!({}),
        };
        let policy = Policy::load(&sandbox, &request(builtin.name, settings.clone())).unwrap();
        let trial = Trial::new(&sandbox, builtin.component, &Limits::default()).unwrap();
        assert_eq!(
            trial.ask(&settings, &facts()),
            TrialAnswer::Verdict(policy.derive(&facts()).unwrap()),
            "{}",
            builtin.name
        );
    }
}

#[test]
fn a_panic_of_the_host_is_a_fault() {
    let fault = contained(|| -> Result<(), PolicyFault> { panic!("on purpose") });
    assert_eq!(fault, Err(PolicyFault::HostPanic));
    assert_eq!(contained(|| Ok(1)), Ok(1));
}

/// What ships is far from every bound of its structure.
#[test]
fn shipped_policies_are_far_below_the_structure_limits() {
    let limits = Limits {
        component_instances: 1,
        declarations: 10_000,
        segments: 20,
        ..Limits::default()
    };
    for builtin in crate::BUILTINS {
        let bounded = structure::check(builtin.component, &limits).unwrap();
        // So that no page of memory is taken for it.
        assert!(bounded.instance_bytes < 64 << 10, "{}", builtin.name);
    }
    let none = Limits {
        component_instances: 0,
        ..Limits::default()
    };
    let refused = structure::check(crate::BUILTINS[0].component, &none);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "instances of components: 1, at most 0 allowed (limit `component_instances`)"
    );
}

#[test]
fn running_out_of_fuel_is_named() {
    let mut request = request("uuid", serde_json::json!({}));
    let sandbox = Sandbox::new().unwrap();
    let needed = Policy::load(&sandbox, &request)
        .unwrap()
        .derive(&facts())
        .unwrap()
        .fuel;
    // Wasmtime stops a guest at its last unit, so the exact need is too little.
    request.limits.fuel = needed;
    let policy = Policy::load(&sandbox, &request).unwrap();
    assert_eq!(
        policy.derive(&facts()),
        Err(PolicyFault::Fuel {
            limit: needed,
            setting: "fuel",
        })
    );
    request.limits.fuel = needed + 1;
    let policy = Policy::load(&sandbox, &request).unwrap();
    assert_eq!(policy.derive(&facts()).unwrap().fuel, needed);
}
