//! The seeds, and some thousand changes of them, through every target.
//!
//! `BLESS=1` writes the seeds and the keys that verify them anew: all of them,
//! since the private keys are not kept.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use libtest_mimic::{Arguments, Trial};
use nameplate_decisions::{Decision, DecisionLog, Entry, Options, Outcome};
use nameplate_evidence::Patience;
use nameplate_evidence::certificates::{Nonce, Prover, Surroundings};
use nameplate_fuzz::{CLUSTER, NONCE, TARGETS, Target, certificate_verifier, claims_of, path};
use nameplate_tests::{Form, Issuer, NOW, Token, at, golden};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, SanType,
};
use serde_json::{Value, json};
use std::fs;
use std::process::ExitCode;

/// Changes of each seed. Few in a target that compiles what it is given, or
/// that looks for the byte that was changed.
const CHANGES: usize = 300;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if golden::blessing() {
        bless();
        return ExitCode::SUCCESS;
    }
    let tests = TARGETS
        .into_iter()
        .map(|target| {
            Trial::test(target.name, move || {
                seeds_and_changes(target);
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn seeds_and_changes(target: Target) {
    let folder = path(&format!("corpus/{}", target.name));
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let slow = matches!(target.name, "component" | "bomb" | "decision_log");
    let changes = CHANGES / if slow { 15 } else { 1 };
    let mut dice = Dice(1);
    for file in &files {
        let seed = fs::read(file).unwrap();
        (target.run)(&seed);
        for _ in 0..changes {
            (target.run)(&dice.change(&seed));
        }
    }
}

/// The same numbers in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound.max(1)
    }

    /// One to three pieces cut out, doubled, or overwritten.
    fn change(&mut self, seed: &[u8]) -> Vec<u8> {
        const PIECES: [&str; 12] = [
            "", "\0", "\"", "{", "[", "\n", "..", "%2e", "null", "-1", "1e99", "\u{202e}",
        ];
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(3) {
            let from = self.below(bytes.len() + 1);
            let to = (from + self.below(16)).min(bytes.len());
            let piece = match self.below(3) {
                0 => bytes[from..to].repeat(2),
                1 => vec![u8::try_from(self.below(256)).unwrap(); to - from],
                _ => PIECES[self.below(PIECES.len())].as_bytes().to_vec(),
            };
            bytes.splice(from..to, piece);
        }
        bytes
    }
}

fn bless() {
    let corpus = path("corpus");
    if corpus.exists() {
        fs::remove_dir_all(&corpus).unwrap();
    }
    for target in TARGETS {
        fs::create_dir_all(corpus.join(target.name)).unwrap();
    }
    let write = |name: &str, bytes: &[u8]| fs::write(corpus.join(name), bytes).unwrap();
    tokens(&write);
    certificates(&write);
    decisions(&write);
    texts(&write);
    bombs(&write);
}

fn tokens(write: &dyn Fn(&str, &[u8])) {
    let issuer = Issuer::ec();
    fs::write(path("keys/cluster.pem"), issuer.pem()).unwrap();
    write("pem/key.pem", issuer.pem().as_bytes());
    let payload = |token: &str| json!({"cluster": CLUSTER, "token": token}).to_string();
    let good = issuer.issue(&Token::default());
    write("evidence/good.json", payload(&good).as_bytes());
    let with = |claims: Value| Token {
        claims: claims.as_object().unwrap().clone(),
        ..Token::default()
    };
    let legacy = Token {
        form: Form::Legacy,
        ..Token::default()
    };
    let expired = issuer.issue(&with(json!({"exp": NOW - 1000})));
    write("evidence/expired.json", payload(&expired).as_bytes());
    let claimed = json!({
        "cluster": CLUSTER, "token": good, "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    });
    write("evidence/claimed_id.json", claimed.to_string().as_bytes());
    for (name, token) in [
        ("bound", Token::default()),
        ("one_audience", with(json!({"aud": "spire-server"}))),
        ("legacy", legacy.clone()),
        (
            "legacy_that_ends",
            Token {
                claims: with(json!({
                    "exp": NOW + 60, "aud": ["spire-server"],
                    "iss": "https://kubernetes.default.svc.cluster.local",
                }))
                .claims,
                ..legacy
            },
        ),
        (
            "fractions",
            with(json!({"exp": 1.9e9, "nbf": 0.5, "iat": -1})),
        ),
    ] {
        let token = issuer.issue(&token);
        write(&format!("claims/{name}"), &claims_of(&token));
    }
}

fn certificates(write: &dyn Fn(&str, &[u8])) {
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        params
    };
    let authority = |name: &str| {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    };
    let leaf = |name: &str| {
        let mut params = params(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![
            SanType::DnsName(format!("{name}.example.org").try_into().unwrap()),
            SanType::URI(format!("spiffe://example.org/{name}").try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
        ];
        params
    };
    let root =
        CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
    fs::write(path("keys/authority.pem"), root.pem()).unwrap();
    write("pem/certificate.pem", root.pem().as_bytes());
    let verifier = certificate_verifier(root.pem().as_bytes());
    for (name, key) in [
        ("p256", KeyPair::generate().unwrap()),
        ("rsa", KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()),
    ] {
        let leaf = leaf(name).signed_by(&key, &root).unwrap();
        let key = key.serialize_pem();
        let prover = Prover::from_pem(leaf.pem().as_bytes(), key.as_bytes()).unwrap();
        write(&format!("chain/{name}.json"), &prover.payload());
        let patience = Patience::none();
        let chain = verifier.examine(&prover.payload(), NOW, &Surroundings::within(&patience));
        let challenge = chain.unwrap().challenge(Nonce::new(NONCE)).message();
        write(&format!("challenge/{name}.json"), &challenge);
        let answer = prover.answer(&challenge, Nonce::new([9; 32])).unwrap();
        write(&format!("response/{name}.json"), &answer);
    }
    let between =
        CertifiedIssuer::signed_by(authority("between"), KeyPair::generate().unwrap(), &root)
            .unwrap();
    let key = KeyPair::generate().unwrap();
    let below = leaf("below").signed_by(&key, &between).unwrap();
    let chain = below.pem() + &between.pem();
    let payload = nameplate_evidence::certificates::payload_of_pem(chain.as_bytes(), None).unwrap();
    write("chain/intermediate.json", &payload);
    write("pem/chain.pem", chain.as_bytes());
}

fn decisions(write: &dyn Fn(&str, &[u8])) {
    let folder = tempfile::tempdir().unwrap();
    let log = DecisionLog::open(Options::new(folder.path().to_owned())).unwrap();
    for (number, reason) in (0..).zip(["token_expired", "signature_invalid", "pod_gone"]) {
        let decision = Decision {
            attestor: "k8s_sat".into(),
            generation: 1,
            cluster: Some(CLUSTER.to_owned()),
            naming: None,
            facts: None,
            redacted: Vec::new(),
            answer: None,
            fuel: None,
            outcome: Outcome::Rejected,
            reason: Some(reason.into()),
            detail: Some("evidence rejected".to_owned()),
            spiffe_id: None,
        };
        let entry = Entry {
            time: at(NOW + number),
            decision,
            naming: None,
            unproven: None,
        };
        log.record(entry).unwrap();
    }
    drop(log);
    let segment = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        });
    write(
        "decision_log/three.jsonl",
        &fs::read(segment.unwrap()).unwrap(),
    );
}

/// Choices of which each composes a bomb of one kind (`src/bomb.rs`).
fn bombs(write: &dyn Fn(&str, &[u8])) {
    for (name, choices) in [
        ("doubled_components", &[0, 5, 1, 39, 1][..]),
        ("closures", &[0, 7, 39]),
        ("doubled_values", &[0, 9, 24]),
        ("wide_types", &[0, 10, 9, 0, 0]),
        ("instance_types", &[0, 11, 23, 11, 1, 21]),
        ("nested_types", &[0, 12, 9]),
        ("doubled_instances", &[0, 13, 0, 23]),
        ("module_types", &[0, 17, 8, 9, 8]),
        ("arguments", &[0, 18, 9, 0]),
        ("custom_sections", &[0, 19, 0, 10]),
        ("loops_in_a_row", &[0, 0, 0, 7, 9, 0, 0, 6]),
        ("values_in_a_row", &[0, 0, 0, 7, 10, 3, 0, 2]),
        ("given", &[0, 20, 3, 0, 5, 1, 1, 1]),
        (
            "lifted",
            &[
                3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14, 1, 9, 15, 9, 0, 16, 9, 0, 0,
            ],
        ),
    ] {
        write(&format!("bomb/{name}"), choices);
    }
    // One for each kind of core module.
    for kind in 1..10 {
        let choices = [0, 0, 0, kind, 9, 8, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0];
        write(&format!("bomb/module_{kind}"), &choices);
    }
}

/// Seeds that are written by hand.
fn texts(write: &dyn Fn(&str, &[u8])) {
    for (name, text) in [
        ("jwks/rsa_and_curves.json", JWKS),
        ("toml/tokens.toml", TOKENS_TOML),
        ("toml/certificates.toml", CERTIFICATES_TOML),
        ("hcl/k8s_sat.hcl", K8S_SAT_HCL),
        ("hcl/k8s_psat.json", K8S_PSAT_JSON),
        ("hcl/x509pop.hcl", X509POP_HCL),
        (
            "agent_hcl/tokens.hcl",
            "cluster = \"production\"\ntoken_path = \"token\"\n",
        ),
        (
            "agent_hcl/certificate.hcl",
            "private_key_path = \"key.pem\"\ncertificate_path = \"leaf.pem\"\nintermediates_path = \"chain.pem\"\n",
        ),
        // Found: a control character of the second kind reached the terminal.
        ("agent_hcl/c1_control", " priv = \u{99}"),
        ("hcl/c1_control", "<\u{88}s"),
        // Found: so did what a placeholder was called, and a validator's lines.
        ("words/control_in_placeholder", "{a\u{c}}"),
        ("settings/path.json", SETTINGS),
        ("settings/least.json", r#"{"path":["{node_uid}"]}"#),
        (
            "spiffe_id/agent",
            "spiffe://example.org/spire/agent/k8s_sat/production/A.b-c_0",
        ),
        ("spiffe_id/trust_domain", "spiffe://td"),
        ("words/leading", "{cluster}-{namespace}"),
        ("words/service_account", "spire:spire-agent"),
        ("words/method", "k8s_psat"),
        (
            "words/digest",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            "admit/path",
            "production\nworker-1\n\nagent_ns:spire\nagent_sa:spire-agent",
        ),
        ("admit/dots", "production\n..\nserver"),
        ("component/good", "\0"),
        ("component/memory", "\u{1}\u{10}\0\u{1}"),
        ("component/table", "\u{2}\u{20}\u{1}\0"),
        ("component/utf16", "\u{3}"),
        ("component/header", "\0asm\u{d}\0\u{1}\0"),
    ] {
        write(name, text.as_bytes());
    }
}

const JWKS: &str = r#"{"keys":[
{"kty":"RSA","kid":"a","use":"sig","alg":"RS256","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"},
{"kty":"EC","kid":"b","crv":"P-256","key_ops":["verify"],"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
]}"#;

const TOKENS_TOML: &str = r#"trust_domain = "example.org"
[attestors.k8s_sat]
policy = { source = "builtin:template", settings = { path = ["{cluster}"] } }
envelope = { leading = ["{cluster}"], max_id_bytes = 200, reserved = ["admin"] }
limits = { fuel = 1_000, deadline = "250ms", memory_bytes = "8 MiB" }
one_time_tokens = true
[attestors.k8s_sat.clusters.production]
service_account_key_file = "absent.pem"
service_account_allow_list = ["spire:spire-agent"]
issuer = "https://kubernetes.default.svc.cluster.local"
audience = ["spire-server"]
leeway = "30s"
"#;

const CERTIFICATES_TOML: &str = r#"trust_domain = "example.org"
[attestors.nodes]
method = "x509pop"
ca_bundle_paths = ["absent.pem"]
max_intermediates = 2
max_rsa_key_size = 4096
verify_client_ip = true
policy = { source = "builtin:thumbprint" }
"#;

const K8S_SAT_HCL: &str = r#"clusters = {
  "production" = {
    service_account_key_file = "absent.pem" # keys
    service_account_allow_list = ["spire:spire-agent"]
    use_token_review_api_validation = false
  }
}
"#;

const K8S_PSAT_JSON: &str = r#"{"clusters":{"production":{"service_account_allow_list":["spire:spire-agent"],
"kube_config_file":"absent","allowed_node_label_keys":["zone"],"audience":["spire-server"]}}}"#;

const X509POP_HCL: &str = r#"ca_bundle_path = "absent.pem"
mode = "external_pki"
agent_path_template = "/x509pop/cn/{{ .Subject.CommonName }}"
max_intermediates = 4
"#;

const SETTINGS: &str = r#"{"path":["{cluster}","ns-{namespace}","{node}"],
"selectors":["sa:{service_account}",{"value":"pod:{pod}","optional":true}]}"#;
