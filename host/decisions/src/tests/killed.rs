//! A process that is killed while it writes, at two hundred moments.

use super::*;
use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

const KILLS: u64 = 200;

/// The directory of the log, for the process that is to be killed.
const CHILD: &str = "NAMEPLATE_TEST_LOG_OF_THE_KILLED";

/// A number below `bound` that is another in each run: when a process is killed
/// is as little to be repeated as how far it is then.
fn drawn_below(bound: u64) -> u64 {
    RandomState::new().hash_one(bound) % bound
}

/// Whatever was said to be recorded is in the log, and the log verifies.
#[test]
fn a_log_holds_whatever_was_recorded_before_the_process_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut said = BTreeSet::new();
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::killed::records_until_it_is_killed"])
            .arg("--nocapture")
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after so many and a moment more, wherever in the next ones
        // that is.
        let mut until = 1 + drawn_below(23);
        let spin = Duration::from_micros(drawn_below(2_000));
        let mut note = |line: String| {
            let number = line
                .strip_prefix("recorded ")
                .and_then(|line| line.strip_suffix('.'));
            number.is_some_and(|number| said.insert(number.to_owned()))
        };
        while until > 0 {
            let line = lines.next().unwrap().unwrap();
            until -= u64::from(note(line));
        }
        let said_so = Instant::now();
        while said_so.elapsed() < spin {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it was killed counts too.
        for line in lines.map_while(Result::ok) {
            note(line);
        }
        if round % 10 == 0 {
            let found = verify(dir.path());
            assert!(found.holds(), "round {round}: {:?}", found.faults);
        }
    }
    // Opened once more, the last torn end is mended too.
    drop(DecisionLog::open(options(dir.path())).unwrap());
    let found = verify(dir.path());
    assert!(found.holds(), "{:?}", found.faults);
    let recorded: BTreeSet<_> = Reader::open(dir.path())
        .unwrap()
        .decisions()
        .filter_map(|recorded| recorded.unwrap().decision.detail)
        .collect();
    let missing: Vec<_> = said.difference(&recorded).collect();
    assert_eq!(missing, [""; 0]);
    assert!(said.len() as u64 >= KILLS);
}

/// What is killed above: four threads that record and say so.
#[test]
fn records_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let log = DecisionLog::open(Options {
        segment_bytes: 64 << 10,
        ..options(Path::new(&directory))
    })
    .unwrap();
    let naming = naming();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (log, naming) = (&log, &naming);
            scope.spawn(move || {
                for number in 0.. {
                    let name = format!("{}-{thread}-{number}", std::process::id());
                    let mut entry = entry(number, naming);
                    entry.decision.detail = Some(name.clone());
                    log.record(entry).unwrap();
                    println!("recorded {name}.");
                }
            });
        }
    });
}
