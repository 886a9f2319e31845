//! The decision log under attestations: each ends in one record, and each
//! record comes out the same again.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::decisions::{
    Answer, DecisionLog, Flush, OnError, Options, Outcome, Reader, Recorded, Verification,
};
use nameplate_attestor::study::{Replay, Replayed, Replayer};
use nameplate_attestor::{Attempt, AttestError, Attestor, Attestors, Envelope, Generation, Naming};
use nameplate_evidence::{ClusterTrust, KeySet, Method, RawEvidence, Subject, TokenVerifier};
use nameplate_policy::{Digest, PolicyRequest, PolicySource, Sandbox};
use nameplate_tests::{Clusters, Issuer, NOW, Token, Watchdog, at, facts, guest, patient};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn evidence(staging: &Issuer, cluster: &str) -> RawEvidence {
    let token = staging.issue(&Token::default());
    RawEvidence::service_account_token(Method::K8sSat, cluster, &token, None).unwrap()
}

fn verifier(staging: &Issuer) -> TokenVerifier {
    TokenVerifier::new([ClusterTrust {
        name: "staging".to_owned(),
        keys: KeySet::from_pem(staging.pem().as_bytes()).unwrap(),
        allowed: vec!["spire:spire-agent".parse().unwrap()],
        issuer: None,
        audience: Vec::new(),
        leeway: Duration::ZERO,
        allow_unexpiring_tokens: false,
        ca_thumbprint: None,
    }])
}

fn options(directory: &Path) -> Options {
    Options {
        flush: Flush::Each,
        ..Options::new(directory.to_owned())
    }
}

fn generation(staging: &Issuer, source: PolicySource, envelope: Envelope) -> Generation {
    let request = PolicyRequest {
        limits: patient(),
        ..PolicyRequest::new(source)
    };
    let naming = Naming::load(&Sandbox::new().unwrap(), &request, envelope).unwrap();
    Generation::new(facts::namespace(), verifier(staging), naming)
}

/// An attestor whose decisions go to `options`.
fn attestor(staging: &Issuer, source: PolicySource, options: Options) -> Attestor {
    let log = DecisionLog::open(options).unwrap();
    Attestor::new(generation(staging, source, Envelope::default()).recorded_in(log))
}

fn uuid() -> PolicySource {
    PolicySource::Builtin("uuid".to_owned())
}

fn recorded(directory: &Path) -> Vec<Recorded> {
    let log = Reader::open(directory).unwrap();
    log.decisions().map(Result::unwrap).collect()
}

fn replay(replayer: &Replayer, directory: &Path) -> (Replay, Vec<u64>) {
    let mut diverged = Vec::new();
    let log = Reader::open(directory).unwrap();
    let two = NonZeroUsize::new(2).unwrap();
    let sink = |divergence: &nameplate_attestor::study::Divergence| {
        diverged.push(divergence.sequence);
    };
    let replay = Replay::of(replayer, log, two, sink, |_| {});
    (replay, diverged)
}

fn replayer() -> Replayer {
    Replayer::new(Sandbox::new().unwrap())
}

#[test]
fn every_ending_is_recorded_once_and_comes_out_the_same() {
    let staging = Issuer::ec();
    let dir = TempDir::new().unwrap();
    let denying = nameplate_torture::component::denying(b"not-here", b"no machine").unwrap();
    let trapping = guest::file("trap_unreachable").bytes;
    let outside = guest::answering(&["elsewhere"], &[]);
    let attest = |source, envelope: Envelope, cluster| {
        let log = DecisionLog::open(options(dir.path())).unwrap();
        let generation = generation(&staging, source, envelope).recorded_in(log);
        Attestor::new(generation).attest(&evidence(&staging, cluster), &Attempt::at(at(NOW)))
    };
    let inside = Envelope {
        leading: vec!["{cluster}".parse().unwrap()],
        ..Envelope::default()
    };
    let bytes = |bytes: &Vec<u8>| PolicySource::Bytes(bytes.clone().into());
    let given = attest(uuid(), inside.clone(), "staging").unwrap();
    attest(uuid(), inside.clone(), "unheard-of").unwrap_err();
    attest(bytes(&denying), inside.clone(), "staging").unwrap_err();
    attest(bytes(&trapping), inside.clone(), "staging").unwrap_err();
    attest(bytes(&outside), inside, "staging").unwrap_err();

    let all = recorded(dir.path());
    let endings: Vec<_> = all
        .iter()
        .map(|recorded| {
            (
                recorded.decision.outcome,
                recorded.decision.reason.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        endings,
        [
            (Outcome::Identity, None),
            (Outcome::Rejected, Some("unknown_cluster")),
            (Outcome::Denied, Some("policy_denied")),
            (Outcome::Fault, Some("policy_trap")),
            (Outcome::Fault, Some("path_leading")),
        ]
    );
    let first = &all[0].decision;
    assert_eq!(
        first.spiffe_id,
        Some(given.identity.spiffe_id().to_string())
    );
    assert_eq!(first.fuel, Some(given.fuel));
    assert_eq!(first.cluster.as_deref(), Some("staging"));
    assert!(matches!(first.answer, Some(Answer::Derivation(_))));
    let rejected = &all[1].decision;
    assert_eq!(
        (&rejected.facts, rejected.cluster.as_deref()),
        (&None, Some("unheard-of"))
    );

    // Two policies are known by nobody until they are given.
    let (unknown, _) = replay(&replayer(), dir.path());
    assert_eq!(
        (unknown.same, unknown.not_asked, unknown.unreplayable),
        (1, 1, 3)
    );
    assert!(!unknown.holds());
    let mut replayer = replayer();
    for component in [denying, trapping, outside] {
        replayer.know(Cow::Owned(component));
    }
    let (known, diverged) = replay(&replayer, dir.path());
    assert_eq!((known.same, known.not_asked, known.unreplayable), (4, 1, 0));
    assert!(known.holds() && diverged.is_empty());
}

/// No evidence, and nothing that could be used in its place, is in the log.
#[test]
fn no_token_is_in_the_log() {
    let staging = Issuer::ec();
    let dir = TempDir::new().unwrap();
    let attestor = attestor(&staging, uuid(), options(dir.path()));
    let token = staging.issue(&Token::default());
    for cluster in ["staging", "unheard-of"] {
        let evidence = RawEvidence::service_account_token(Method::K8sSat, cluster, &token, None);
        let _ended = attestor.attest(&evidence.unwrap(), &Attempt::at(at(NOW)));
    }
    drop(attestor);
    for part in token.split('.') {
        for entry in fs::read_dir(dir.path()).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains(part));
        }
    }
}

#[test]
fn another_policy_comes_out_otherwise_and_the_first_is_named() {
    let staging = Issuer::ec();
    let dir = TempDir::new().unwrap();
    let attestor = attestor(&staging, uuid(), options(dir.path()));
    for _ in 0..600 {
        attestor
            .attest(&evidence(&staging, "staging"), &Attempt::at(at(NOW)))
            .unwrap();
    }
    drop(attestor);
    let mut replayer = replayer();
    let other = guest::answering(&["staging", "everybody"], &[]);
    replayer.decide_under(Cow::Owned(other), Some(json!({})));
    let (replay, diverged) = replay(&replayer, dir.path());
    assert_eq!((replay.diverged, replay.same), (600, 0));
    // In the order of the log, whoever made them: its header and the naming come first.
    assert_eq!(diverged.len(), 600);
    assert_eq!(diverged[0], 3);
    assert!(diverged.is_sorted());
}

/// An answer or a cost that was never given shows, though the chain is good.
#[test]
fn a_log_that_was_forged_with_its_chain_does_not_come_out_the_same() {
    let staging = Issuer::ec();
    let dir = TempDir::new().unwrap();
    let attestor = attestor(&staging, uuid(), options(dir.path()));
    attestor
        .attest(&evidence(&staging, "staging"), &Attempt::at(at(NOW)))
        .unwrap();
    drop(attestor);
    let honest = recorded(dir.path()).remove(0);
    assert_eq!(replayer().replay(&honest), Replayed::Same);
    let mut dearer = honest.clone();
    dearer.decision.fuel = honest.decision.fuel.map(|fuel| fuel + 1);
    let mut renamed = honest.clone();
    renamed.decision.spiffe_id = Some("spiffe://example.org/spire/agent/k8s_sat/other".to_owned());
    let mut answered = honest;
    if let Some(Answer::Derivation(derivation)) = &mut answered.decision.answer {
        derivation.selectors.push("admin:true".to_owned());
    }
    for forged in [dearer, renamed, answered] {
        let Replayed::Diverged(divergence) = replayer().replay(&forged) else {
            panic!("{forged:?} comes out the same");
        };
        assert_eq!(divergence.sequence, forged.sequence);
    }
}

/// A host that could not refuse false facts admitted them, and its log says
/// nothing of them: what it decided comes out the same again. What this one
/// refuses is in the log as refused, and comes out so.
#[test]
fn a_false_fact_is_judged_as_it_was_when_it_was_recorded() {
    let staging = Issuer::ec();
    let dir = TempDir::new().unwrap();
    let bytes = guest::answering(&["a"], &["cluster:production"]);
    let mut replayer = replayer();
    replayer.know(Cow::Owned(bytes.clone()));
    let decided = |directory: &str, envelope: Envelope| {
        let directory = dir.path().join(directory);
        let log = DecisionLog::open(options(&directory)).unwrap();
        let source = PolicySource::Bytes(bytes.clone().into());
        let attestor = Attestor::new(generation(&staging, source, envelope).recorded_in(log));
        let attempt = Attempt::at(at(NOW));
        let attested = attestor.attest(&evidence(&staging, "staging"), &attempt);
        drop(attestor);
        let reason = attested.err().map(|error| error.reason());
        (reason, recorded(&directory).remove(0))
    };
    let (reason, refused) = decided("refused", Envelope::default());
    assert_eq!(reason, Some("selector_false_fact"));
    assert_eq!(refused.decision.reason.as_deref(), reason);
    assert_eq!(replayer.replay(&refused), Replayed::Same);
    let (reason, admitted) = decided("admitted", Envelope::of_the_standard());
    assert_eq!(reason, None);
    assert_eq!(replayer.replay(&admitted), Replayed::Same);

    // As the host before wrote it.
    let without = |recorded: &Recorded| {
        let mut old = recorded.clone();
        let mut naming = (**old.naming.as_ref().unwrap()).clone();
        let fields = naming.envelope.as_object_mut().unwrap();
        assert!(fields.remove("false_facts").is_some());
        old.naming = Some(naming.into());
        old
    };
    assert_eq!(replayer.replay(&without(&admitted)), Replayed::Same);
    let Replayed::Diverged(divergence) = replayer.replay(&without(&refused)) else {
        panic!("an older host refused no false fact");
    };
    assert_eq!(divergence.replayed.reason, None);
}

#[test]
fn a_divergence_that_left_out_facts_may_explain_is_told_apart() {
    let staging = Issuer::ec();
    let dir = TempDir::new().unwrap();
    for (fact, directory) in [("/attestation_id", "matters"), ("/claimed_id", "absent")] {
        let directory = dir.path().join(directory);
        let redacting = Options {
            redact: vec![fact.parse().unwrap()],
            ..options(&directory)
        };
        let attestor = attestor(&staging, uuid(), redacting);
        attestor
            .attest(&evidence(&staging, "staging"), &Attempt::at(at(NOW)))
            .unwrap();
    }
    let one = |directory: &str| recorded(&dir.path().join(directory)).remove(0);
    let Replayed::Redacted(divergence) = replayer().replay(&one("matters")) else {
        panic!("the identifier names the machine");
    };
    assert_eq!(divergence.redacted, ["/attestation_id"]);
    assert_eq!(replayer().replay(&one("absent")), Replayed::Same);
    // It is listed nonetheless, and what is not shown to be the same does not hold.
    let (whole, listed) = replay(&replayer(), &dir.path().join("matters"));
    assert_eq!((whole.redacted, whole.diverged, listed), (1, 0, vec![3]));
    assert!(!whole.holds());
    let (whole, listed) = replay(&replayer(), &dir.path().join("absent"));
    assert!(whole.holds() && listed.is_empty());
}

/// The log's directory is gone: no identity without a record, the token that
/// would have earned it may come again, and the log says what it missed.
#[test]
fn what_cannot_be_recorded_is_refused_or_counted() {
    Watchdog::watch("a log that cannot be written", || {
        let staging = Issuer::ec();
        for on_error in [OnError::Refuse, OnError::Drop] {
            let dir = TempDir::new().unwrap();
            let (here, away) = (dir.path().join("here"), dir.path().join("away"));
            let options = Options {
                on_error,
                // Every line wants a segment of its own.
                segment_bytes: 1,
                flush: Flush::Os,
                queue: 4,
                ..options(&here)
            };
            let attestor = attestor(&staging, uuid(), options);
            let evidence = evidence(&staging, "staging");
            let attest = || attestor.attest(&evidence, &Attempt::at(at(NOW)));
            attest().unwrap();
            fs::rename(&here, &away).unwrap();
            match on_error {
                OnError::Refuse => loop {
                    if let Err(error) = attest() {
                        assert!(matches!(error, AttestError::Unrecorded(_)), "{error}");
                        assert_eq!(error.reason(), "decision_log_unavailable");
                        break;
                    }
                },
                OnError::Drop => {
                    while attestor.decision_log().unwrap().lost == 0 {
                        attest().unwrap();
                    }
                }
            }
            fs::rename(&away, &here).unwrap();
            while attest().is_err() || attestor.decision_log().unwrap().error.is_some() {}
            let lost = attestor.decision_log().unwrap().lost;
            drop(attestor);
            let found = Verification::of(&here, Vec::new(), None, |_, _| {}).unwrap();
            assert!(found.holds(), "{:?}", found.faults);
            assert!(lost > 0 && found.lost >= lost, "{lost}: {found:?}");
        }
    });
}

#[test]
fn a_token_that_serves_once_is_not_used_up_by_a_log_that_fails() {
    Watchdog::watch("a token and a log that fails", || {
        let staging = Issuer::ec();
        let dir = TempDir::new().unwrap();
        let (here, away) = (dir.path().join("here"), dir.path().join("away"));
        let small = Options {
            segment_bytes: 1,
            ..options(&here)
        };
        let log = DecisionLog::open(small).unwrap();
        let generation = generation(&staging, uuid(), Envelope::default());
        let attestor = Attestor::new(generation.with_one_time_tokens().recorded_in(log));
        fs::rename(&here, &away).unwrap();
        let mut number = 0;
        let refused = loop {
            // Each token is another: those that are recorded have served.
            number += 1;
            let mut token = Token::default();
            token
                .claims
                .insert("jti".to_owned(), json!(format!("token-{number}")));
            let token = staging.issue(&token);
            let evidence =
                RawEvidence::service_account_token(Method::K8sSat, "staging", &token, None)
                    .unwrap();
            if attestor.attest(&evidence, &Attempt::at(at(NOW))).is_err() {
                break evidence;
            }
        };
        fs::rename(&away, &here).unwrap();
        loop {
            match attestor.attest(&refused, &Attempt::at(at(NOW))) {
                Ok(_) => break,
                Err(AttestError::Unrecorded(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let again = attestor.attest(&refused, &Attempt::at(at(NOW)));
        assert_eq!(again.unwrap_err().reason(), "token_already_used");
    });
}

/// A reload that another attestor's policy spoils changes nothing of a log that
/// is being written; the same without that does.
#[test]
fn a_refused_reload_leaves_the_log_as_it_is_written() {
    let dir = TempDir::new().unwrap();
    let clusters = Clusters::new();
    clusters.write_keys(dir.path());
    let attestor = |name: &str, policy: &str, more: &str| {
        format!(
            r#"
[attestors.{name}]
type = "k8s_sat"
policy = {{ source = "{policy}" }}
{more}

[attestors.{name}.clusters.staging]
service_account_key_file   = "keys/staging.pem"
service_account_allow_list = ["spire:spire-agent"]
"#
        )
    };
    let configure = |other: &str, redact: &str| {
        let log = format!(r#"decision_log = {{ directory = "log", redact = [{redact}] }}"#);
        let one = attestor("one", "builtin:uuid", &log);
        let two = attestor("two", other, "");
        let text = format!("trust_domain = \"example.org\"\n{one}{two}");
        fs::write(dir.path().join("nameplate.toml"), text).unwrap();
    };
    configure("builtin:uuid", "");
    let config = dir.path().join("nameplate.toml");
    let attestors = Attestors::open(&config, Sandbox::new().unwrap()).unwrap();
    // The log is the one that the process has open, and this tells how it is written.
    let log = DecisionLog::open(Options::new(dir.path().join("log"))).unwrap();
    let redacts = || log.options().redact.len();
    configure("gone.wasm", r#""/attestation_id""#);
    attestors.reload_at(at(NOW)).unwrap_err();
    assert_eq!(redacts(), 0);
    configure("builtin:uuid", r#""/attestation_id""#);
    attestors.reload_at(at(NOW)).unwrap();
    assert_eq!(redacts(), 1);
}

/// Killed at any of two hundred moments, under load: the log verifies, and
/// every identity that was given is in it.
#[test]
fn no_identity_is_without_its_record_when_the_process_is_killed() {
    assert_eq!(unrecorded_after_kills("each", 200), [""; 0]);
}

/// Its twin: where the setting promises less, identities are given that the
/// log does not hold. It verifies nonetheless.
#[test]
fn identities_go_unrecorded_where_the_setting_allows_it() {
    assert_ne!(unrecorded_after_kills("os", 20), [""; 0]);
}

/// A number below `bound` that is another in each run: when a process is killed
/// is as little to be repeated as how far it is then.
fn drawn_below(bound: u64) -> u64 {
    RandomState::new().hash_one(bound) % bound
}

/// Kills a process that attests, `kills` times, and gives what tokens it was
/// given an identity for without a record.
fn unrecorded_after_kills(flush: &str, kills: u32) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    let mut given = BTreeSet::new();
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "attests_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .env(FLUSH, flush)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: String| {
            let token = line
                .strip_prefix("given for ")
                .and_then(|line| line.strip_suffix('.'));
            token.is_some_and(|token| given.insert(token.to_owned()))
        };
        // Killed after so many identities and a moment more, wherever in the
        // next one that is.
        let mut until = 1 + drawn_below(23);
        let spin = Duration::from_micros(drawn_below(5_000));
        while until > 0 {
            let line = said.next().unwrap();
            until -= u64::from(note(line.unwrap()));
        }
        let said_so = Instant::now();
        while said_so.elapsed() < spin {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it was killed was given, too.
        for line in said.map_while(Result::ok) {
            note(line);
        }
        if round % 10 == 0 {
            let found = Verification::of(dir.path(), Vec::new(), None, |_, _| {}).unwrap();
            assert!(found.holds(), "round {round}: {:?}", found.faults);
        }
    }
    // Opened once more, the last torn end is mended too.
    drop(DecisionLog::open(options(dir.path())).unwrap());
    let found = Verification::of(dir.path(), Vec::new(), None, |_, _| {}).unwrap();
    assert!(found.holds(), "{:?}", found.faults);
    let recorded: BTreeSet<_> = recorded(dir.path())
        .into_iter()
        .filter(|recorded| recorded.decision.outcome == Outcome::Identity)
        .filter_map(|recorded| match recorded.decision.facts.unwrap().subject {
            Subject::ServiceAccount(account) => Some(account.token_sha256),
            Subject::Certificate(_) => None,
        })
        .collect();
    assert!(given.len() >= kills as usize);
    given.difference(&recorded).cloned().collect()
}

/// The directory of the log, for the process that is to be killed.
const CHILD: &str = "NAMEPLATE_TEST_LOG_OF_THE_KILLED";

/// When it writes, for the same.
const FLUSH: &str = "NAMEPLATE_TEST_FLUSH_OF_THE_KILLED";

/// What is killed above: four threads that attest, each time with another
/// token, and say for which they were given an identity.
#[test]
fn attests_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let staging = Issuer::ec();
    let small = Options {
        segment_bytes: 64 << 10,
        flush: match std::env::var(FLUSH).unwrap().as_str() {
            "each" => Flush::Each,
            _ => Flush::Os,
        },
        ..options(Path::new(&directory))
    };
    // Compiled in no time: what is killed is to be attesting, not starting.
    let naming = guest::answering(&["everybody"], &[]);
    let attestor = attestor(&staging, PolicySource::Bytes(naming.into()), small);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let token = staging.issue(&Token::default());
                    let evidence =
                        RawEvidence::service_account_token(Method::K8sSat, "staging", &token, None);
                    let attempt = Attempt::at(at(NOW));
                    attestor.attest(&evidence.unwrap(), &attempt).unwrap();
                    let token = Digest::of(token.as_bytes()).to_string();
                    // The full stop says that the line is whole.
                    println!("given for {}.", token.trim_start_matches("sha256:"));
                }
            });
        }
    });
}
