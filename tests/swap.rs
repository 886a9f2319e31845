//! Swapping policies while agents attest, and candidates that are refused.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::config::Problems;
use nameplate_attestor::watch::WatchOptions;
use nameplate_attestor::{Attempt, Attestor, Attestors, Envelope, Generation, Naming, WatchEvent};
use nameplate_evidence::{ClusterTrust, KeySet, Method, RawEvidence, TokenVerifier};
use nameplate_policy::{Digest, PolicyRequest, PolicySource, Sandbox};
use nameplate_tests::{Clusters, NOW, Token, Watchdog, at, facts, guest, patient};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Far more than an event or a poll needs, far less than a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn evidence(clusters: &Clusters) -> RawEvidence {
    let token = clusters.staging.issue(&Token::default());
    RawEvidence::service_account_token(Method::K8sSat, "staging", &token, None).unwrap()
}

fn verifier(clusters: &Clusters) -> TokenVerifier {
    TokenVerifier::new([ClusterTrust {
        name: "staging".to_owned(),
        keys: KeySet::from_pem(clusters.staging.pem().as_bytes()).unwrap(),
        allowed: vec!["spire:spire-agent".parse().unwrap()],
        issuer: None,
        audience: Vec::new(),
        leeway: Duration::ZERO,
        allow_unexpiring_tokens: false,
        ca_thumbprint: None,
    }])
}

fn attempt() -> Attempt {
    Attempt::replayed(at(NOW), facts::ATTESTATION_ID.parse().unwrap())
}

/// A component that says which one it is.
fn numbered(number: u64) -> Vec<u8> {
    guest::answering(&[format!("generation-{number}")], &[format!("n:{number}")])
}

/// 200 generations, each with a policy of its own, under four threads that
/// never stop asking. Every answer is of one generation in all its parts.
#[test]
fn no_attestation_fails_or_is_mixed_while_generations_swap() {
    const GENERATIONS: u64 = 200;
    const THREADS: usize = 4;
    Watchdog::watch("swap under load", || {
        let clusters = Clusters::new();
        let sandbox = Sandbox::new().unwrap();
        let digests: Vec<_> = (1..=GENERATIONS)
            .map(|number| Digest::of(&numbered(number)))
            .collect();
        let generation = |number| {
            let source = PolicySource::Bytes(numbered(number).into());
            let request = PolicyRequest {
                limits: patient(),
                ..PolicyRequest::new(source)
            };
            let naming = Naming::load(&sandbox, &request, Envelope::default()).unwrap();
            Generation::new(facts::namespace(), verifier(&clusters), naming)
        };
        let attestor = Attestor::new(generation(1));
        let evidence = evidence(&clusters);
        let over = AtomicBool::new(false);
        let answers: Vec<_> = thread::scope(|scope| {
            let asking: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut seen = Vec::new();
                        loop {
                            // The last question comes after the last swap.
                            let last = over.load(Ordering::Acquire);
                            seen.push(attestor.attest(&evidence, &attempt()).unwrap());
                            if last {
                                return seen;
                            }
                        }
                    })
                })
                .collect();
            for number in 2..=GENERATIONS {
                assert_eq!(attestor.swap(generation(number)), number);
                assert_eq!(attestor.generation(), number);
            }
            over.store(true, Ordering::Release);
            asking
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        for seen in answers {
            // Time does not run backwards for anyone.
            assert!(seen.is_sorted_by_key(|answer| answer.generation));
            assert_eq!(seen.last().unwrap().generation, GENERATIONS);
            for answer in seen {
                let number = answer.generation;
                let id = format!("spiffe://example.org/spire/agent/k8s_sat/generation-{number}");
                assert_eq!(answer.identity.spiffe_id().as_str(), id);
                let selectors: Vec<_> = answer
                    .identity
                    .selectors()
                    .map(|selector| selector.value)
                    .collect();
                assert_eq!(selectors, [format!("n:{number}")]);
                let digest = digests[usize::try_from(number).unwrap() - 1];
                assert_eq!(answer.policy.digest, digest);
            }
        }
    });
}

/// Two swaps at once get two numbers.
#[test]
fn every_swap_has_its_own_number() {
    let clusters = Clusters::new();
    let sandbox = Sandbox::new().unwrap();
    let generation = || {
        let request = PolicyRequest::new(PolicySource::Bytes(numbered(1).into()));
        let naming = Naming::load(&sandbox, &request, Envelope::default()).unwrap();
        Generation::new(facts::namespace(), verifier(&clusters), naming)
    };
    let attestor = Attestor::new(generation());
    let numbers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let number = attestor.swap(generation());
                    numbers.lock().unwrap().push(number);
                }
            });
        }
    });
    let mut numbers = numbers.into_inner().unwrap();
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=21).collect::<Vec<_>>());
}

/// A folder with keys, a policy file and a configuration that names it.
struct Files {
    folder: TempDir,
    clusters: Clusters,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clusters = Clusters::new();
        clusters.write_keys(folder.path());
        let files = Self { folder, clusters };
        files.write_policy(&numbered(1));
        files.configure("{ source = \"policy.wasm\" }");
        files
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("nameplate.toml")
    }

    /// Over the old file in one step, as everybody should.
    fn write(&self, name: &str, content: &[u8]) {
        let new = self.folder.path().join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.folder.path().join(name)).unwrap();
    }

    fn write_policy(&self, component: &[u8]) {
        self.write("policy.wasm", component);
    }

    fn configure(&self, policy: &str) {
        let text = format!(
            r#"
trust_domain = "example.org"

[attestors.k8s_sat]
policy = {policy}
limits = {{ deadline = "60s" }}

[attestors.k8s_sat.clusters.staging]
service_account_key_file   = "keys/staging.pem"
service_account_allow_list = ["spire:spire-agent"]
issuer   = "https://kubernetes.default.svc.cluster.local"
audience = ["spire-server"]
"#
        );
        self.write("nameplate.toml", text.as_bytes());
    }

    fn open(&self) -> Attestors {
        match Attestors::open(&self.config(), Sandbox::new().unwrap()) {
            Ok(attestors) => attestors,
            Err(problems) => panic!("{}", problems.render(false)),
        }
    }

    fn name(&self, attestors: &Attestors) -> String {
        let attestor = attestors.named("k8s_sat").unwrap();
        let answer = attestor
            .attest(&evidence(&self.clusters), &attempt())
            .unwrap();
        answer
            .identity
            .spiffe_id()
            .segments()
            .skip(3)
            .collect::<Vec<_>>()
            .join("/")
    }
}

#[test]
fn a_good_candidate_replaces_the_policy() {
    let files = Files::new();
    let attestors = files.open();
    assert_eq!(files.name(&attestors), "generation-1");
    files.write_policy(&numbered(2));
    let reload = attestors.reload().unwrap();
    assert_eq!(reload.serving, [("k8s_sat".to_owned(), 2)]);
    assert_eq!(files.name(&attestors), "generation-2");
    files.configure("{ source = \"builtin:node\" }");
    attestors.reload().unwrap();
    let uid = "staging/c4d2e1f0-7a6b-4c5d-9e8f-0a1b2c3d4e5f";
    assert_eq!(files.name(&attestors), uid);
}

/// Each candidate that must not serve, and the words in which it is refused.
#[test]
fn a_bad_candidate_leaves_the_old_policy_answering() {
    let case = |expected: &str| {
        let facts = serde_json::to_value(facts::bound()).unwrap();
        serde_json::json!([{"name": "shown", "facts": facts, "expect": {"identity": {
            "spiffe_id": format!("spiffe://example.org/spire/agent/k8s_sat/{expected}"),
            "selectors": []
        }}}])
        .to_string()
    };
    let section = nameplate_policy::CASES_SECTION;
    let failing = guest::answering_with(&["found"], &[(section, &case("expected"))]);
    let passing = guest::answering_with(&["found"], &[(section, &case("found"))]);
    let no_cases = guest::answering_with(&["found"], &[(section, "[{}]")]);
    let plain = r#"{ source = "policy.wasm" }"#;
    let pinned = format!(
        r#"{{ source = "policy.wasm", digest = "{}" }}"#,
        Digest::of(&numbered(1))
    );
    let refused: [(&str, Vec<u8>, &str, &str); 9] = [
        (
            "cases fail",
            failing,
            plain,
            "fails 1 of its own 1 cases; the first: `shown` gives spiffe://example.org/spire/agent/k8s_sat/found",
        ),
        (
            "cases torn",
            no_cases,
            plain,
            "the component's cases cannot be read",
        ),
        ("another digest", numbered(2), &pinned, "is pinned"),
        (
            "settings refused",
            guest::refusing(b"/path/0", b"is no template"),
            plain,
            "is no template",
        ),
        (
            "loop in configure",
            guest::file("loop_in_configure").bytes,
            plain,
            "used up its fuel",
        ),
        (
            "an import",
            guest::imported("wasi:random/random@0.2.0").bytes,
            plain,
            "imports `wasi:random/random@0.2.0`",
        ),
        (
            "no component",
            b"torn".to_vec(),
            plain,
            "not a WebAssembly component",
        ),
        (
            "no such built-in",
            numbered(2),
            r#"{ source = "builtin:host" }"#,
            "`host`",
        ),
        ("no configuration", numbered(2), "{", "nameplate.toml"),
    ];
    let files = Files::new();
    let attestors = files.open();
    for (what, component, policy, words) in refused {
        files.write_policy(&component);
        files.configure(policy);
        let problems = attestors.reload().unwrap_err();
        says(&problems, what, words);
        assert_eq!(files.name(&attestors), "generation-1", "{what}");
        let attestor = attestors.named("k8s_sat").unwrap();
        assert_eq!(attestor.generation(), 1, "{what}");
        // Whatever is wrong, a change of the policy or of the configuration may mend it.
        assert!(attestors.files().contains(&files.config()), "{what}");
    }
    // The twin: the cases that hold.
    files.configure(plain);
    files.write_policy(&passing);
    attestors.reload().unwrap();
    assert_eq!(files.name(&attestors), "found");
}

fn says(problems: &Problems, what: &str, words: &str) {
    let shown = problems.render(false);
    assert!(problems.has_errors(), "{what}");
    assert!(
        shown.contains(words),
        "{what}: `{words}` is not in\n{shown}"
    );
}

/// From a file that is written to the identity that changes, and back.
#[test]
fn the_watcher_swaps_what_is_good_and_refuses_what_is_not() {
    for events in [true, false] {
        let files = Files::new();
        let attestors = Arc::new(files.open());
        let (sender, received) = mpsc::channel();
        let options = WatchOptions {
            poll: Duration::from_millis(50),
            debounce: Duration::from_millis(5),
            events,
        };
        let watcher = attestors
            .watch(options, move |event| sender.send(event).unwrap())
            .unwrap();

        files.write_policy(&numbered(2));
        let event = received.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(event, WatchEvent::Swapped(_)), "{event:?}");
        assert_eq!(files.name(&attestors), "generation-2");

        files.write_policy(&guest::file("loop_in_start").bytes);
        match received.recv_timeout(PATIENCE).unwrap() {
            WatchEvent::Refused(problems) => says(&problems, "a loop", "used up its fuel"),
            WatchEvent::Swapped(reload) => panic!("{reload:?}"),
        }
        assert_eq!(files.name(&attestors), "generation-2");

        files.write_policy(&numbered(3));
        let event = received.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(event, WatchEvent::Swapped(_)), "{event:?}");
        assert_eq!(files.name(&attestors), "generation-3");

        drop(watcher);
        files.write_policy(&numbered(4));
        // The watcher's end is the channel's.
        assert!(received.recv().is_err());
        assert_eq!(files.name(&attestors), "generation-3");
    }
}
