//! Configurations in both formats, and settings of a policy.

use nameplate_attestor::AgentConfig;
use nameplate_attestor::config::{Config, PluginData, Problems};
use nameplate_evidence::Method;
use nameplate_guest::testing;
use nameplate_policy_template::{Naming, derive};
use std::path::Path;
use std::str;

/// No directory: files that a configuration names are not there.
const NOWHERE: &str = "nowhere";

const METHODS: [Method; 4] = [
    Method::K8sSat,
    Method::K8sPsat,
    Method::X509Pop,
    Method::K8s,
];

/// A configuration file.
pub(crate) fn toml(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    judge(Config::from_toml(text, "config.toml", Path::new(NOWHERE)));
}

/// A plugin's data, as SPIRE's server hands it over: HCL or JSON.
pub(crate) fn hcl(bytes: &[u8]) {
    for data in plugin_data(bytes) {
        let config = Config::from_plugin(&data, "plugin_data", Path::new(NOWHERE));
        if let Some(config) = judge(config) {
            assert_eq!(config.attestors.len(), 1);
            assert_eq!(config.trust_domain.as_str(), data.trust_domain);
        }
    }
}

/// The same of the agent's side.
pub(crate) fn agent_hcl(bytes: &[u8]) {
    for data in plugin_data(bytes) {
        judge(AgentConfig::from_plugin(
            &data,
            "plugin_data",
            Path::new(NOWHERE),
        ));
    }
}

fn plugin_data(bytes: &[u8]) -> Vec<PluginData> {
    let Ok(text) = str::from_utf8(bytes) else {
        return Vec::new();
    };
    let data = |method: Method| PluginData {
        text: text.to_owned(),
        trust_domain: "example.org".to_owned(),
        attestor: method.to_string(),
        method,
    };
    METHODS.into_iter().map(data).collect()
}

/// A refusal has something to show, with a place in it, that a terminal can
/// be given.
fn judge<T>(outcome: Result<T, Problems>) -> Option<T> {
    let problems = match outcome {
        Ok(config) => return Some(config),
        Err(problems) => problems,
    };
    assert!(problems.has_errors());
    let shown = problems.render(false);
    let unsafe_to_show = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!shown.chars().any(unsafe_to_show), "{shown:?}");
    None
}

/// Settings of the template policy, in a policy's own reader of JSON. What it
/// derives is a path of segments and selectors of one line.
pub(crate) fn settings(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let naming: Naming = match nameplate_guest::parse(text) {
        Ok(naming) => naming,
        Err(problems) => {
            assert!(!problems.is_empty());
            return;
        }
    };
    // What this reader takes is JSON to others.
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    assert!(
        value["path"]
            .as_array()
            .is_some_and(|path| !path.is_empty())
    );
    for subject in [testing::bound_token(), testing::legacy_token()] {
        if let Ok(derivation) = derive(&naming, &testing::facts(subject)) {
            let segment = |text: &String| format!("spiffe://td/{text}").parse();
            for text in &derivation.path {
                let id: Result<nameplate_attestor::SpiffeId, _> = segment(text);
                assert!(id.is_ok_and(|id| id.segments().count() == 1), "{text}");
            }
            for value in &derivation.selectors {
                assert!(!value.is_empty() && !value.chars().any(char::is_control));
            }
        }
    }
}
