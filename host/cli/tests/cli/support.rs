//! Runs the binary, and makes what it is run on.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// When every token of the tests was issued, and that time for `--now`.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const NOW_TEXT: &str = "2027-01-15T08:00:00Z";

/// What a run of the binary gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Standard output as one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

/// Runs the binary in `dir`.
pub(crate) fn nameplate_in(dir: &Path, arguments: &[impl AsRef<OsStr>], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nameplate"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A run that fails early does not read its input.
    let _written = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the binary where no file matters.
pub(crate) fn nameplate(arguments: &[impl AsRef<OsStr>]) -> Run {
    nameplate_in(&repository(), arguments, "")
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

static KEY: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

/// A directory with a configuration, a key, and tokens that the key signed.
pub(crate) struct Place(tempfile::TempDir);

pub(crate) const CLUSTER: &str = r#"
[attestors.k8s_sat.clusters.production]
service_account_key_file = "key.pem"
service_account_allow_list = ["spire:spire-agent"]
issuer = "https://kubernetes.default.svc.cluster.local"
audience = ["spire-server"]
"#;

impl Place {
    /// A place whose attestor names by `builtin:node`.
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.configure("policy = { source = \"builtin:node\" }");
        let spki = KEY.public_key().as_der().unwrap();
        let body = STANDARD.encode(spki.as_ref());
        place.write(
            "key.pem",
            &format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"),
        );
        place.write("token", &token(&claims()));
        place
    }

    pub(crate) fn configure(&self, attestor: &str) {
        self.write(
            "nameplate.toml",
            &format!(
                "trust_domain = \"example.org\"\n\n[attestors.k8s_sat]\n{attestor}\n{CLUSTER}"
            ),
        );
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// A certificate `node.pem` with `node.key`, and `ca.pem` of the authority
    /// that signed it. `other.key` is nobody's.
    pub(crate) fn issue(&self) {
        self.issue_for("node-7", None);
    }

    /// The same, where the certificate is `common_name`'s of `organization`.
    pub(crate) fn issue_for(&self, common_name: &str, organization: Option<&str>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let subject = &mut params.distinguished_name;
        subject.push(DnType::CommonName, common_name);
        if let Some(organization) = organization {
            subject.push(DnType::OrganizationName, organization);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf = params.signed_by(&key, &root).unwrap();
        self.write("ca.pem", &root.pem());
        self.write("node.pem", &leaf.pem());
        self.write("node.key", &key.serialize_pem());
        self.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn run(&self, line: &str) -> Run {
        self.run_with(line, "")
    }

    /// Runs the words of `line`.
    pub(crate) fn run_with(&self, line: &str, stdin: &str) -> Run {
        let words: Vec<_> = line.split_whitespace().collect();
        nameplate_in(self.path(), &words, stdin)
    }

    /// Attests with the configuration, at the fixed time.
    pub(crate) fn attest(&self, flags: &str) -> Run {
        self.attest_with(flags, "")
    }

    pub(crate) fn attest_with(&self, flags: &str, stdin: &str) -> Run {
        self.run_with(
            &format!("attest --config nameplate.toml --now {NOW_TEXT} {flags}"),
            stdin,
        )
    }
}

/// The claims of a token bound to pod and node.
pub(crate) fn claims() -> Value {
    json!({
        "aud": ["spire-server"],
        "exp": NOW + 600,
        "iat": NOW,
        "nbf": NOW,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "kubernetes.io": {
            "namespace": "spire",
            "serviceaccount": {"name": "spire-agent", "uid": "sa-uid"},
            "pod": {"name": "agent-x7k2p", "uid": "pod-uid"},
            "node": {"name": "worker-1", "uid": "node-uid"}
        }
    })
}

/// The claims of a token that says nothing of a node.
pub(crate) fn claims_without_node() -> Value {
    let mut claims = claims();
    claims["kubernetes.io"]
        .as_object_mut()
        .unwrap()
        .remove("node");
    claims
}

/// A token, signed.
pub(crate) fn token(claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = KEY.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}
