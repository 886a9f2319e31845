//! What is written, and what happens when it cannot be.

use super::*;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn what_was_decided_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = DecisionLog::open(options(dir.path())).unwrap();
    let naming = naming();
    log.record(entry(1, &naming)).unwrap();
    log.record(rejection()).unwrap();
    log.record(entry(2, &naming)).unwrap();
    drop(log);
    let decisions: Vec<_> = Reader::open(dir.path())
        .unwrap()
        .decisions()
        .map(Result::unwrap)
        .collect();
    assert_eq!(decisions.len(), 3);
    for (recorded, number) in [(&decisions[0], 1), (&decisions[2], 2)] {
        let mut expected = entry(number, &naming).decision;
        expected.naming = Some(2);
        assert_eq!(*recorded.decision, expected);
        assert_eq!(recorded.naming.as_deref(), Some(&*naming));
        assert_eq!(recorded.time, at(number));
    }
    assert_eq!(*decisions[1].decision, rejection().decision);
    assert_eq!(decisions[1].naming, None);
    let segment = segments(dir.path()).remove(0);
    let mode = fs::metadata(segment).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn every_flush_policy_writes_everything_before_it_ends() {
    for flush in [
        Flush::Each,
        Flush::Interval(Duration::from_secs(60)),
        Flush::Os,
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(
            Options {
                flush,
                ..options(dir.path())
            },
            3_000,
        );
        let verification = verify(dir.path());
        assert!(verification.holds(), "{flush:?}");
        assert_eq!(verification.decisions, 3_000, "{flush:?}");
        assert!(verification.checkpoints >= 3, "{flush:?}");
    }
}

#[test]
fn a_segment_is_followed_by_another_and_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    write(
        Options {
            segment_bytes: 4_000,
            keep_segments: Some(2),
            ..options(dir.path())
        },
        30,
    );
    assert_eq!(segments(dir.path()).len(), 2);
    let verification = verify(dir.path());
    assert!(verification.holds(), "{:?}", verification.faults);
    let first = verification.first.unwrap();
    assert!(first > 1);
    assert_eq!(verification.retired_through, first - 1);
    // Each segment says anew how its subjects were named.
    for segment in segments(dir.path()) {
        assert!(verify(&segment).holds());
    }
}

#[test]
fn left_out_facts_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let redact = ["/subject/service_account/token_sha256", "/claimed_id"];
    write(
        Options {
            redact: redact.map(|fact| fact.parse().unwrap()).to_vec(),
            ..options(dir.path())
        },
        1,
    );
    let text = fs::read_to_string(&segments(dir.path())[0]).unwrap();
    assert!(!text.contains("abab\""), "{text}");
    let recorded = Reader::open(dir.path()).unwrap().decisions().next();
    let decision = recorded.unwrap().unwrap().decision;
    // The claimed identifier was not there to be left out.
    assert_eq!(decision.redacted, [redact[0]]);
    let header = lines(dir.path()).remove(0);
    let Event::Segment(header) = header.event else {
        panic!("a segment begins with its header");
    };
    assert_eq!(header.redact, redact);
}

/// A fact that is left out stands nowhere else in the line either, but for what
/// the policy made of it.
#[test]
fn what_is_left_out_stands_nowhere_else() {
    let collision = || {
        let mut collision = entry(1, &naming());
        let holder = "`spiffe://example.org/a` is held by node `secret-node` (uid `7d1e`)";
        collision.decision.outcome = Outcome::Fault;
        collision.decision.answer = None;
        collision.decision.spiffe_id = None;
        collision.decision.reason = Some(Cow::Borrowed("identity_collision"));
        collision.decision.detail = Some(holder.to_owned());
        collision
    };
    let rejected = || {
        let mut rejected = rejection();
        rejected.decision.cluster = Some("production".to_owned());
        rejected
    };
    let recorded = |redact: &[&str]| -> Vec<Decision> {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            redact: redact.iter().map(|fact| fact.parse().unwrap()).collect(),
            ..options(dir.path())
        };
        let log = DecisionLog::open(options).unwrap();
        for entry in [collision(), rejected(), entry(2, &naming())] {
            log.record(entry).unwrap();
        }
        drop(log);
        let reader = Reader::open(dir.path()).unwrap();
        let decisions = reader
            .decisions()
            .map(|recorded| *recorded.unwrap().decision);
        decisions.collect()
    };
    let members = |decisions: &[Decision]| -> Vec<(bool, bool)> {
        let there = |decision: &Decision| (decision.cluster.is_some(), decision.detail.is_some());
        decisions.iter().map(there).collect()
    };
    let whole = recorded(&[]);
    assert_eq!(members(&whole), [(true, true), (true, true), (true, false)]);
    let token = recorded(&["/subject/service_account/token_sha256"]);
    assert_eq!(
        members(&token),
        [(true, false), (true, false), (true, false)]
    );
    let cluster = recorded(&["/subject/service_account/cluster"]);
    assert_eq!(members(&cluster), [(false, false); 3]);
    // Of a rejection nobody knows which kind of subject it would have been.
    let certificate = recorded(&["/subject/certificate/cluster"]);
    assert_eq!(
        members(&certificate),
        [(true, false), (false, false), (true, false)]
    );
    for decisions in [&token, &cluster, &certificate] {
        assert_eq!(decisions[0].reason.as_deref(), Some("identity_collision"));
        assert_eq!(decisions[2].answer, entry(2, &naming()).decision.answer);
        assert_eq!(decisions[2].spiffe_id, whole[2].spiffe_id);
    }
}

#[test]
fn checkpoints_are_signed() {
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem");
    fs::write(&key, PRIVATE).unwrap();
    let mut signing = options(&dir.path().join("signed"));
    signing.checkpoints.key = Some(key.clone());
    let public = VerifyingKey::from_pem(PUBLIC.as_bytes()).unwrap();
    write(signing.clone(), 2);
    let by_key =
        |path: &Path| Verification::of(path, Vec::new(), Some(&public), |_, _| {}).unwrap();
    let good = by_key(&signing.directory);
    assert!(good.holds(), "{:?}", good.faults);
    assert_eq!(good.checkpoints, 1);

    // A key that comes to a log that is open signs from then on.
    let late = options(&dir.path().join("late"));
    let log = DecisionLog::open(late.clone()).unwrap();
    let mut with_key = late.clone();
    with_key.checkpoints.key = Some(key.clone());
    DecisionLog::open(with_key).unwrap().apply();
    log.record(entry(1, &naming())).unwrap();
    drop(log);
    let good = by_key(&late.directory);
    assert!(good.holds(), "{:?}", good.faults);
    assert_eq!(good.checkpoints, 1);

    let unsigned = options(&dir.path().join("unsigned"));
    write(unsigned.clone(), 2);
    let bad = by_key(&unsigned.directory);
    assert!(matches!(
        bad.faults[..],
        [VerifyFault::Signature {
            error: SignatureError::Absent,
            ..
        }]
    ));

    fs::write(&key, PUBLIC).unwrap();
    let error = DecisionLog::open(signing).unwrap_err();
    assert!(matches!(error, OpenError::SigningKey { .. }), "{error}");
}

/// The file for checkpoints is a pipe that is full: whoever writes to it hangs.
/// What is decided is recorded nevertheless.
#[test]
fn attesting_does_not_wait_for_where_checkpoints_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let both = || {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).open(&pipe).unwrap()
    };
    let mut full = both();
    full.write_all(&[b' '; 64 << 10]).unwrap();
    let mut options = options(&dir.path().join("log"));
    options.checkpoints.file = Some(pipe.clone());
    options.checkpoints.lines = 1;
    let log = DecisionLog::open(options.clone()).unwrap();
    let naming = naming();
    for number in 0..200 {
        log.record(entry(number, &naming)).unwrap();
    }
    while log.status().checkpoints < 100 {
        std::thread::yield_now();
    }
    let status = log.status();
    assert_eq!((status.lost, status.error), (0, None));
    let error = status.checkpoint_error.unwrap();
    let expected = "the file is slow or hangs: 64 checkpoints wait for it";
    assert_eq!(error, expected);
    // Emptied, it takes what waits, and the log can end.
    let reader = std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0; 4 << 10];
        while !kept.ends_with(b"that was all\n") {
            let count = full.read(&mut buffer).unwrap();
            kept.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(kept).unwrap()
    });
    drop(log);
    both().write_all(b"that was all\n").unwrap();
    let kept = reader.join().unwrap();
    let last = kept.lines().rev().nth(1).unwrap();
    let last: Checkpoint = serde_json::from_str(last).unwrap();
    assert!(last.sequence > 200, "{}", last.sequence);
    assert!(verify(&options.directory).holds());
}

/// A queue that nobody empties: the writer of this log has not begun.
#[test]
fn a_full_queue_takes_no_more_and_counts() {
    let queue = queue::Queue::default();
    let naming = naming();
    let add = |number| {
        let waiting = queue::Waiting {
            entry: entry(number, &naming),
            receipt: None,
        };
        queue.add(waiting, 2)
    };
    assert_eq!([add(1), add(2), add(3), add(4)], [true, true, false, false]);
    let taken = queue.take(Duration::ZERO, true);
    assert_eq!(taken.waiting.len(), 2);
    assert_eq!(taken.lost.gap().unwrap().queue_full, 2);
    // What the writer has taken and not yet written is in memory all the same.
    assert_eq!(queue.len(), 2);
    assert!(!add(5));
    queue.let_go(1);
    assert!(add(5));
    assert_eq!(queue.len(), 2);
    assert_eq!(
        queue.take(Duration::ZERO, true).lost.gap().unwrap().lost(),
        1
    );
    queue.let_go(2);
    assert!(add(6));
    assert_eq!(queue.take(Duration::ZERO, true).lost.gap(), None);
}
