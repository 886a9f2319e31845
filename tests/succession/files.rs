//! What the tests of this folder share: an attestor on disk, the machines that
//! attest, and decisions to judge by.

use nameplate_attestor::config::Problems;
use nameplate_attestor::{Attempt, AttestError, Attestation, Attestors, Change, Observer, Status};
use nameplate_evidence::{Method, RawEvidence, Subject};
use nameplate_policy::{Facts, Sandbox};
use nameplate_tests::{Clusters, NOW, Token, at, facts, guest};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A component that says which one it is.
pub(crate) fn numbered(number: u64) -> Vec<u8> {
    guest::answering(&[format!("generation-{number}")], &[format!("n:{number}")])
}

/// A component whose answer is no SPIFFE ID.
pub(crate) fn unusable() -> Vec<u8> {
    guest::answering(&[".."], &[])
}

/// A component that denies with this code.
pub(crate) fn denying(code: &[u8]) -> Vec<u8> {
    nameplate_torture::component::denying(code, b"").unwrap()
}

/// Hears of changes.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<Change>>);

impl Observer for Heard {
    fn changed(&self, name: &str, change: &Change) {
        assert_eq!(name, "k8s_sat");
        self.0.lock().unwrap().push(change.clone());
    }
}

/// A folder with keys, a policy file, cases and a configuration.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    pub(crate) clusters: Clusters,
    pub(crate) heard: Arc<Heard>,
}

impl Files {
    /// `more` are further keys of the attestor.
    pub(crate) fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clusters = Clusters::new();
        clusters.write_keys(folder.path());
        let files = Self {
            folder,
            clusters,
            heard: Arc::default(),
        };
        files.write("policy.wasm", &numbered(1));
        files.configure(r#"{ source = "policy.wasm" }"#, more);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn configure(&self, policy: &str, more: &str) {
        let text = format!(
            r#"
trust_domain = "example.org"
state_directory = "state"

[attestors.k8s_sat]
policy = {policy}
limits = {{ deadline = "60s" }}
{more}

[attestors.k8s_sat.clusters.staging]
service_account_key_file   = "keys/staging.pem"
service_account_allow_list = ["spire:spire-agent"]
issuer   = "https://kubernetes.default.svc.cluster.local"
audience = ["spire-server"]
"#
        );
        self.write("nameplate.toml", text.as_bytes());
    }

    pub(crate) fn try_open(&self) -> Result<Attestors, Problems> {
        self.try_open_at(NOW)
    }

    pub(crate) fn try_open_at(&self, now: u64) -> Result<Attestors, Problems> {
        let heard = Arc::clone(&self.heard) as _;
        let config = self.path("nameplate.toml");
        Attestors::open_observed(&config, Sandbox::new().unwrap(), heard, at(now))
    }

    pub(crate) fn open(&self) -> Attestors {
        self.try_open()
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
    }

    /// Attests from the node called `node` of the UID `uid`.
    pub(crate) fn attest_from(
        &self,
        attestors: &Attestors,
        node: &str,
        uid: &str,
    ) -> Result<Attestation, AttestError> {
        let mut token = Token::default();
        let claims = json!({
            "namespace": "spire",
            "serviceaccount": {"name": "spire-agent", "uid": uid},
            "pod": {"name": format!("agent-on-{node}"), "uid": uid},
            "node": {"name": node, "uid": uid},
        });
        token.claims.insert("kubernetes.io".to_owned(), claims);
        let token = self.clusters.staging.issue(&token);
        let evidence =
            RawEvidence::service_account_token(Method::K8sSat, "staging", &token, None).unwrap();
        let attempt = Attempt::replayed(at(NOW), facts::ATTESTATION_ID.parse().unwrap());
        attestors
            .named("k8s_sat")
            .unwrap()
            .attest(&evidence, &attempt)
    }

    pub(crate) fn attest(&self, attestors: &Attestors) -> Result<Attestation, AttestError> {
        self.attest_from(attestors, "worker-1", UID_1)
    }

    /// Attests as the machine of this number.
    pub(crate) fn attest_as(
        &self,
        attestors: &Attestors,
        number: u32,
    ) -> Result<Attestation, AttestError> {
        self.attest_from(attestors, &format!("worker-{number}"), &uid(number))
    }

    pub(crate) fn name(&self, attestors: &Attestors) -> String {
        name_of(&self.attest(attestors).unwrap())
    }

    pub(crate) fn heard(&self) -> Vec<Change> {
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }

    /// The status as another process reads it.
    pub(crate) fn status(&self) -> (Status, bool) {
        let mut all = Status::read_all(&self.path("state")).unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    pub(crate) fn state_file(&self, name: &str) -> PathBuf {
        self.path("state/k8s_sat").join(name)
    }
}

pub(crate) const UID_1: &str = "0b1c2d3e-0000-4000-8000-000000000001";
pub(crate) const UID_2: &str = "0b1c2d3e-0000-4000-8000-000000000002";

/// The UID of the machine of this number.
pub(crate) fn uid(number: u32) -> String {
    format!("0b1c2d3e-0000-4000-8000-{number:012}")
}

pub(crate) fn name_of(attestation: &Attestation) -> String {
    let id = attestation.identity.spiffe_id();
    id.segments().skip(3).collect::<Vec<_>>().join("/")
}

/// A template policy of this path.
pub(crate) fn template(path: &str) -> String {
    format!(r#"{{ source = "builtin:template", settings = {{ path = {path}, selectors = [] }} }}"#)
}

/// Facts of a node.
pub(crate) fn node(name: &str, uid: &str) -> Facts {
    let mut facts = facts::bound();
    if let Subject::ServiceAccount(account) = &mut facts.subject {
        account.cluster = "staging".to_owned();
        let node = account.node.as_mut().unwrap();
        (node.name, node.uid) = (name.to_owned(), Some(uid.to_owned()));
    }
    facts
}

/// Decisions to judge by: two nodes, and one that has no node.
pub(crate) fn cases(files: &Files) {
    let mut without = node("", "");
    if let Subject::ServiceAccount(account) = &mut without.subject {
        account.node = None;
    }
    let all = [
        ("one", node("worker-1", UID_1)),
        ("two", node("worker-2", UID_2)),
        ("without", without),
    ];
    for (name, facts) in all {
        let case = json!({ "facts": facts });
        files.write(&format!("cases/{name}.json"), case.to_string().as_bytes());
    }
}

pub(crate) fn id(path: &str) -> String {
    format!("spiffe://example.org/spire/agent/k8s_sat/{path}")
}

pub(crate) const ROLLBACK: &str = r#"rollback = { faults = 0.5, after = 4, within = "10m" }"#;

/// An envelope in which a node called `bad` has no name.
pub(crate) const RESERVED: &str = r#"envelope = { reserved = ["bad"] }"#;

/// What was heard of a swap that is not on probation.
pub(crate) fn unwatched(files: &Files) -> String {
    match files.heard().as_slice() {
        [Change::Warning(warning)] => warning.clone(),
        heard => panic!("{heard:?}"),
    }
}
