//! Golden cases: evidence and a configuration in, an identity or an error out.
//!
//! Each folder of `cases/` is a test. `config.toml` is a configuration as an
//! operator writes it, `evidence.json` says what a peer sends, and either
//! `expected.json` or `error.txt` says what comes of it. Tokens are minted
//! with keys made by the run, at a fixed time. `BLESS=1` writes the results
//! anew, to be reviewed as a diff.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use libtest_mimic::{Arguments, Failed, Trial as Test};
use nameplate_attestor::config::{Config, TrustConfig};
use nameplate_attestor::{Attempt, AttestError, Attestation, Attestor, Generation};
use nameplate_evidence::RawEvidence;
use nameplate_policy::{Digest, Sandbox};
use nameplate_tests::{Clusters, NOW, Token, at, facts, golden, guest, patient};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new().unwrap());

/// Keys of the run, and the folder that configurations find them in.
static WORLD: LazyLock<(Clusters, tempfile::TempDir)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let clusters = Clusters::new();
    clusters.write_keys(folder.path());
    fs::create_dir(folder.path().join("policies")).unwrap();
    for guest in guest::files() {
        let file = format!("policies/{}.wasm", guest.name);
        fs::write(folder.path().join(file), guest.bytes).unwrap();
    }
    (clusters, folder)
});

/// What a peer sends, as `evidence.json` describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    /// What the case shows.
    #[expect(dead_code, reason = "for the reader of the file")]
    description: String,
    /// The cluster it says it belongs to.
    #[serde(default = "production")]
    cluster: String,
    /// Whose key signs the token.
    #[serde(default = "production")]
    issuer: String,
    /// The token.
    #[serde(default)]
    token: Token,
    /// Text in the place of a token.
    token_text: Option<String>,
    /// The UUID that the peer claims.
    uuid: Option<String>,
    /// Text in the place of a payload.
    payload: Option<String>,
    /// When it is sent.
    #[serde(default = "now")]
    at: u64,
}

fn production() -> String {
    "production".to_owned()
}

fn now() -> u64 {
    NOW
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut folders: Vec<PathBuf> = fs::read_dir(nameplate_tests::path("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 25, "{} cases", folders.len());
    let tests = folders
        .into_iter()
        .map(|folder| {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            Test::test(name, move || run(&folder))
        })
        .collect();
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn run(folder: &Path) -> Result<(), Failed> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let attestor = attestor(&read("config.toml"));
    let attestor = attestor.wait().as_ref()?;
    let evidence: Evidence = serde_json::from_str(&read("evidence.json"))?;
    let token = evidence.token_text.clone().unwrap_or_else(|| {
        let (clusters, _) = &*WORLD;
        clusters.named(&evidence.issuer).issue(&evidence.token)
    });
    let method = attestor.method();
    let raw = match &evidence.payload {
        Some(payload) => RawEvidence::new(method, payload.as_bytes()),
        None => RawEvidence::service_account_token(
            method,
            &evidence.cluster,
            &token,
            evidence.uuid.as_deref(),
        ),
    };
    let attempt = Attempt::replayed(at(evidence.at), facts::ATTESTATION_ID.parse()?);
    let result = raw
        .map_err(AttestError::Rejected)
        .and_then(|raw| attestor.attest(&raw, &attempt));
    let (expected, other, text) = match result {
        Ok(attestation) => ("expected.json", "error.txt", identity(&attestation)),
        Err(error) => ("error.txt", "expected.json", failure(&error)),
    };
    if golden::blessing() {
        // What it was before, it is no longer.
        fs::remove_file(folder.join(other)).ok();
    } else if folder.join(other).exists() {
        return Err(format!("{other} is expected, and found is\n{text}").into());
    }
    Ok(golden::compare(
        &folder.join(expected),
        &recognisable(&text, &token),
    )?)
}

type Loaded = Arc<OnceLock<Result<Attestor, String>>>;

/// Attestors by their configuration, which many cases share.
static ATTESTORS: Mutex<BTreeMap<String, Loaded>> = Mutex::new(BTreeMap::new());

/// The attestor of a configuration, loaded once.
fn attestor(config: &str) -> Loaded {
    let mut attestors = ATTESTORS.lock().unwrap();
    let loaded = Arc::clone(attestors.entry(config.to_owned()).or_default());
    drop(attestors);
    loaded.get_or_init(|| load(config));
    loaded
}

/// The only attestor of a configuration, with no clock to miss.
fn load(config: &str) -> Result<Attestor, String> {
    let (_, folder) = &*WORLD;
    let mut config = Config::from_toml(config, "config.toml", folder.path())
        .map_err(|problems| problems.render(false))?;
    let mut only = config.attestors.pop().unwrap();
    assert!(config.attestors.is_empty(), "one attestor a case");
    only.naming.limits.deadline = patient().deadline;
    let clusters = match &mut only.trust {
        TrustConfig::Clusters(clusters) => clusters.as_mut_slice(),
        TrustConfig::Certificates(_) => &mut [],
    };
    for cluster in clusters {
        if let Some(naming) = &mut cluster.naming {
            naming.limits.deadline = patient().deadline;
        }
    }
    let generation =
        Generation::load(&config, &only, &SANDBOX).map_err(|problems| problems.render(false))?;
    Ok(Attestor::new(generation))
}

fn identity(attestation: &Attestation) -> String {
    let selectors: Vec<_> = attestation
        .identity
        .selectors()
        .map(|selector| selector.to_string())
        .collect();
    let shown = json!({
        "spiffe_id": attestation.identity.spiffe_id(),
        "selectors": selectors,
        "policy": attestation.policy.name,
    });
    serde_json::to_string_pretty(&shown).unwrap() + "\n"
}

fn failure(error: &AttestError) -> String {
    format!(
        "failure: {:?}\nreason: {}\npeer: {}\nchain: {}\n",
        error.failure(),
        error.reason(),
        error.peer_message(),
        error.chain()
    )
}

/// The text with what differs from run to run replaced by what it is.
fn recognisable(text: &str, token: &str) -> String {
    let (_, folder) = &*WORLD;
    let digest = Digest::of(token.as_bytes()).to_string();
    text.replace(digest.trim_start_matches("sha256:"), "{token_sha256}")
        .replace(folder.path().to_str().unwrap(), "{folder}")
}
