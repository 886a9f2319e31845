//! `nameplate log`.

use crate::support::{NOW, Place};
use nameplate_attestor::{Attempt, Attestors};
use nameplate_evidence::{Method, RawEvidence};
use nameplate_policy::{Builtin, Digest, Sandbox};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A place with a log of three identities and a rejection.
fn place() -> Place {
    place_with(Place::new(), "builtin:node")
}

/// The same by the policy at `source`.
fn place_with(place: Place, source: &str) -> Place {
    place.configure(&format!(
        "policy = {{ source = \"{source}\" }}\n\
         decision_log = {{ directory = \"log\", flush = \"each\", checkpoint_file = \"kept.jsonl\" }}"
    ));
    attest(
        &place,
        &["production", "production", "nowhere", "production"],
    );
    place
}

/// Attests in the clusters of these names, a second after another.
fn attest(place: &Place, clusters: &[&str]) {
    let attestors = Attestors::open(
        &place.path().join("nameplate.toml"),
        Sandbox::new().unwrap(),
    );
    let attestor = attestors.unwrap().named("k8s_sat").unwrap();
    let token = fs::read_to_string(place.path().join("token")).unwrap();
    for (second, cluster) in clusters.iter().enumerate() {
        let evidence = RawEvidence::service_account_token(Method::K8sSat, cluster, &token, None);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + second as u64);
        let ended = attestor.attest(&evidence.unwrap(), &Attempt::at(now));
        assert_eq!(ended.is_ok(), *cluster == "production");
    }
}

fn segment(place: &Place) -> PathBuf {
    place.path().join("log/decisions-000000000001.jsonl")
}

#[test]
fn a_whole_log_verifies_and_a_changed_byte_is_named() {
    let place = place();
    let run = place.run("log verify log --checkpoint kept.jsonl").exits(0);
    assert!(
        run.stdout.starts_with("`log` is what was written\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("1 in the log, 1 kept elsewhere that agree"),
        "{}",
        run.stdout
    );

    let good = fs::read(segment(&place)).unwrap();
    let at = good.len() / 2;
    let mut bad = good.clone();
    bad[at] ^= 1;
    fs::write(segment(&place), &bad).unwrap();
    let run = place.run("log verify log --output json").exits(1);
    let fault = &run.json()["faults"][0];
    assert_eq!(fault["byte"], at);
    assert!(
        fault["segment"]
            .as_str()
            .unwrap()
            .ends_with("000000000001.jsonl")
    );
    let run = place.run("log verify log").exits(1);
    assert!(run.stdout.contains("`log` has 1 fault\n"), "{}", run.stdout);

    // What is cut off is missed by the checkpoint that was kept.
    let cut = good[..good.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap();
    fs::write(segment(&place), &good[..=cut]).unwrap();
    place.run("log verify log").exits(0);
    // It is of the line that was cut off's neighbour: one line more, and it shows.
    let cut = good[..cut].iter().rposition(|byte| *byte == b'\n').unwrap();
    fs::write(segment(&place), &good[..=cut]).unwrap();
    let run = place.run("log verify log --checkpoint kept.jsonl").exits(1);
    assert!(run.stdout.contains("its end was cut off"), "{}", run.stdout);
}

/// The log written anew, and chained as if it had been written so: by whoever
/// may write to it.
fn rewritten(log: &str, from: &str, to: &str) -> String {
    let mut previous: Option<String> = None;
    let mut out = String::new();
    for line in log.lines() {
        let (_, body) = line.split_once(r#"","previous":"#).unwrap();
        let (was, rest) = body.split_once(',').unwrap();
        let before = previous.unwrap_or_else(|| was.trim_matches('"').to_owned());
        let mut body = format!(r#""previous":"{before}",{}"#, rest.replace(from, to));
        if let Some((start, _)) = body.split_once(r#""head":""#) {
            // A checkpoint says the hash of the line before, as this log has it.
            let kept = start.len() + r#""head":""#.len() + before.len();
            let (_, end) = body.split_at_checked(kept).unwrap();
            body = format!(r#"{start}"head":"{before}{end}"#);
        }
        let hash = Digest::of(body.as_bytes()).to_string();
        out += &format!("{{\"hash\":\"{hash}\",{body}\n");
        previous = Some(hash);
    }
    out
}

/// The chain has no key. Alone it shows that the log is consistent, and no more
/// is said; what is kept elsewhere shows the rest.
#[test]
fn a_log_that_was_written_anew_is_not_said_to_be_what_was_written() {
    let place = place();
    let logged = fs::read_to_string(segment(&place)).unwrap();
    let forged = rewritten(
        &logged,
        "agent/k8s_sat/production/",
        "agent/k8s_sat/staging/",
    );
    assert_ne!(forged, logged);
    let alone = "`log` is consistent in itself, not proven unchanged\n  whoever may write to it \
                 can write all of it anew: give `--checkpoint`, `--public-key` or both\n";
    for text in [&logged, &forged] {
        fs::write(segment(&place), text).unwrap();
        let run = place.run("log verify log").exits(0);
        assert!(run.stdout.starts_with(alone), "{}", run.stdout);
        let answer = place.run("log verify log --output json").exits(0).json();
        assert_eq!(
            (&answer["ok"], &answer["proven"]),
            (&true.into(), &false.into())
        );
        assert_eq!(answer["proven_through"], Value::Null);
        assert_eq!(answer["decisions_not_proven"], 4);
    }
    let run = place.run("log verify log --checkpoint kept.jsonl").exits(1);
    assert!(
        run.stdout.contains("the kept checkpoint says"),
        "{}",
        run.stdout
    );
    let verify = "log verify log --checkpoint kept.jsonl --output json";
    assert_eq!(place.run(verify).exits(1).json()["proven"], false);
    // No checkpoint at all is nothing to be held against.
    fs::write(place.path().join("none.jsonl"), "").unwrap();
    let run = place.run("log verify log --checkpoint none.jsonl").exits(0);
    let none = "`log` is consistent in itself, not proven unchanged\n  no kept checkpoint is of a \
                line that it has\n";
    assert!(run.stdout.starts_with(none), "{}", run.stdout);

    fs::write(segment(&place), &logged).unwrap();
    let answer = place.run(verify).exits(0).json();
    assert_eq!(
        (&answer["ok"], &answer["proven"]),
        (&true.into(), &true.into())
    );
    assert_eq!(answer["proven_through"], logged.lines().count() as u64 - 1);
    assert_eq!(answer["decisions_not_proven"], 0);
    // What was decided after the last checkpoint is not covered, and that is said.
    let kept = fs::read(place.path().join("kept.jsonl")).unwrap();
    let place = place_with(place, "builtin:node");
    fs::write(place.path().join("kept.jsonl"), kept).unwrap();
    let run = place.run("log verify log --checkpoint kept.jsonl").exits(0);
    let through = logged.lines().count() - 1;
    let part = format!(
        "`log` is what was written up to line {through}; 4 decisions after it are consistent and \
         not proven unchanged\n"
    );
    assert!(run.stdout.starts_with(&part), "{}", run.stdout);
}

/// The file that checkpoints are kept in may hold those of other logs and half
/// of one that a full disk left; what else is in it has to be one.
#[test]
fn kept_checkpoints_are_read_past_what_is_half_written_and_of_other_logs() {
    let (place, other) = (place(), place());
    let path = place.path().join("kept.jsonl");
    let own = fs::read_to_string(&path).unwrap();
    let foreign = fs::read_to_string(other.path().join("kept.jsonl")).unwrap();
    let answer = |kept: String, code: i32| {
        fs::write(&path, kept).unwrap();
        place
            .run("log verify log --checkpoint kept.jsonl --output json")
            .exits(code)
            .json()
    };
    let (half, _) = own.split_at(own.len() / 2);
    for kept in [
        format!("{own}{foreign}{half}"),
        format!("{half}\n{foreign}\n{own}"),
    ] {
        let checkpoints = &answer(kept, 0)["checkpoints"];
        assert_eq!(checkpoints["kept_and_equal"], 1);
        assert_eq!(checkpoints["kept_of_other_logs"], 1);
        assert_eq!(checkpoints["kept_half_written"], 1);
    }
    let run = place.run("log verify log --checkpoint kept.jsonl").exits(0);
    let own_log: Value = serde_json::from_str(&own).unwrap();
    let own_log = own_log["log"].as_str().unwrap();
    assert!(run.stdout.contains(own_log), "{}", run.stdout);
    for note in [
        "kept checkpoints of other logs: 1\n",
        "kept checkpoints that are half written: 1\n",
    ] {
        assert!(run.stdout.contains(note), "{}", run.stdout);
    }

    // Their twins: none of its own, and a line that is something else.
    let fault = &answer(foreign, 1)["faults"][0]["message"];
    let fault = fault.as_str().unwrap();
    assert!(
        fault.starts_with("no kept checkpoint is of this log, of 1"),
        "{fault}"
    );
    for (line, told) in [
        (format!("{half}\"}}"), "line 2 is no checkpoint: "),
        (
            "x".repeat(5_000),
            "line 2 is no checkpoint: longer than 4,096 bytes",
        ),
    ] {
        fs::write(&path, format!("{own}{line}\n")).unwrap();
        let run = place.run("log verify log --checkpoint kept.jsonl").exits(1);
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    let run = place.run("log verify log --checkpoint gone.jsonl").exits(1);
    assert!(
        run.stderr.contains("cannot read `gone.jsonl`"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_log_is_shown_as_far_as_it_was_asked_for() {
    let place = place();
    let lines = |line: &str| place.run(line).exits(0).stdout.lines().count();
    assert_eq!(lines("log show log"), 4);
    assert_eq!(lines("log show log --outcome identity"), 3);
    assert_eq!(
        lines("log show log --outcome identity --outcome rejected"),
        4
    );
    assert_eq!(lines("log show log --reason unknown_cluster"), 1);
    assert_eq!(lines("log show log --cluster nowhere"), 1);
    assert_eq!(lines("log show log --attestor other"), 0);
    assert_eq!(
        lines("log show log --since 2027-01-15T08:00:01Z --until 2027-01-15T08:00:03Z"),
        2
    );
    assert_eq!(
        lines("log show log --id spiffe://example.org/spire/agent/k8s_sat/production/"),
        3
    );
    assert_eq!(
        lines("log show log --id spiffe://example.org/spire/agent/k8s_sat/staging/"),
        0
    );
    assert_eq!(lines("log show log --last 2"), 2);
    let run = place.run("log show log --last 1 --output json").exits(0);
    let shown: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(shown["decision"]["outcome"], "identity");
    assert_eq!(shown["naming"]["policy"]["name"], "node");
    assert_eq!(shown["time"], "2027-01-15T08:00:03.000Z");
    let number = shown["sequence"].as_u64().unwrap();
    assert_eq!(lines(&format!("log show log --record {number}")), 1);
    // One that is there, and is not picked, is no error.
    let other = format!("log show log --record {number} --attestor other");
    assert_eq!(lines(&other), 0);
    let run = place.run("log show log --record 999").exits(1);
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("", "error: record 999 of the log is no decision\n")
    );

    let mut bad = fs::read(segment(&place)).unwrap();
    let at = bad.len() / 2;
    bad[at] ^= 1;
    fs::write(segment(&place), &bad).unwrap();
    let run = place.run("log show log").exits(1);
    assert!(
        run.stderr.contains(&format!("byte {at} was")),
        "{}",
        run.stderr
    );
}

#[test]
fn a_log_is_replayed_by_either_engine_and_beside_another_policy() {
    let place = place();
    for engine in ["cranelift", "pulley"] {
        let run = place
            .run(&format!("log replay log --engine {engine} --output json"))
            .exits(0);
        let answer = run.json();
        assert_eq!(
            (&answer["same"], &answer["not_asked"]),
            (&3.into(), &1.into())
        );
        assert_eq!(answer["diverged"], 0);
    }
    let run = place
        .run("log replay log --policy builtin:uuid --output json")
        .exits(1);
    let answer = run.json();
    assert_eq!(answer["diverged"], 3);
    assert_eq!(answer["divergences"].as_array().unwrap().len(), 3);
    assert_eq!(answer["first_divergence"]["sequence"], 3);
    let run = place.run("log replay log --policy builtin:uuid").exits(1);
    assert!(
        run.stdout.contains("decision 3 comes out otherwise\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("3 of 4 decisions come out otherwise\n"),
        "{}",
        run.stdout
    );
}

/// A policy that does not ship has to be given; asked in its own place it is
/// compared to the last unit of fuel.
#[test]
fn a_policy_of_the_operators_own_is_found_where_it_is_said_to_be() {
    let place = Place::new();
    // The policy that ships, and a name of its own: a custom section.
    let mut component = Builtin::find("node").unwrap().component.to_vec();
    component.extend([0, 5, 3, b'o', b'w', b'n', b'!']);
    fs::create_dir(place.path().join("kept")).unwrap();
    fs::write(place.path().join("kept/own"), &component).unwrap();
    // What else lies in a folder of policies is no component.
    fs::create_dir(place.path().join("kept/own.d")).unwrap();
    fs::write(place.path().join("kept/README.md"), "canary").unwrap();
    fs::write(place.path().join("kept/empty"), "").unwrap();
    let place = place_with(place, "kept/own");
    let answer = |line: &str, code: i32| {
        place
            .run(&format!("{line} --output json"))
            .exits(code)
            .json()
    };

    let unknown = answer("log replay log", 1);
    assert_eq!(
        (&unknown["unreplayable"], &unknown["same"]),
        (&3.into(), &0.into())
    );
    let why = unknown["reasons"][0]["why"].as_str().unwrap();
    let digest = Digest::of(&component);
    assert_eq!(why, format!("no policy with digest {digest} was given"));
    for known in [
        "--component kept/own",
        "--component kept",
        "--config nameplate.toml",
        "--policy kept/own",
    ] {
        let known = answer(&format!("log replay log {known}"), 0);
        assert_eq!(known["same"], 3);
    }
    // Another component that says the same: its fuel is its own.
    let same = answer("log replay log --policy builtin:node", 0);
    assert_eq!(same["same"], 3);

    // A cost that was never paid is seen with its own component alone.
    let logged = fs::read_to_string(segment(&place)).unwrap();
    fs::write(segment(&place), dearer(&logged)).unwrap();
    assert_eq!(answer("log replay log --policy builtin:node", 0)["same"], 3);
    assert_eq!(answer("log replay log --policy kept/own", 1)["diverged"], 1);
}

/// The log with one unit more of fuel in its last decision, chained as if it
/// had been written so.
fn dearer(log: &str) -> String {
    let mut lines: Vec<_> = log.lines().map(str::to_owned).collect();
    let at = lines
        .iter()
        .rposition(|line| line.contains(r#""fuel":"#))
        .unwrap();
    let (before, fuel) = lines[at].split_once(r#""fuel":"#).unwrap();
    let (fuel, after) = fuel.split_once(',').unwrap();
    let fuel = fuel.parse::<u64>().unwrap() + 1;
    lines[at] = format!(r#"{before}"fuel":{fuel},{after}"#);
    let mut previous: Option<String> = None;
    for line in &mut lines[at..] {
        let (_, body) = line.split_once(r#"","previous":"#).unwrap();
        let (was, rest) = body.split_once(',').unwrap();
        let was = previous
            .as_ref()
            .map_or(was.to_owned(), |hash| format!("{hash:?}"));
        let body = format!(r#""previous":{was},{rest}"#);
        let hash = Digest::of(body.as_bytes()).to_string();
        *line = format!(r#"{{"hash":"{hash}",{body}"#);
        previous = Some(hash);
    }
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// A line that is being written is no damage to whoever reads meanwhile.
#[test]
fn a_log_that_is_being_written_is_read_as_far_as_it_is() {
    let place = place();
    let mut bytes = fs::read(segment(&place)).unwrap();
    bytes.extend_from_within(..40);
    fs::write(segment(&place), &bytes).unwrap();
    let run = place.run("log show log").exits(0);
    assert_eq!(run.stdout.lines().count(), 4);
    let answer = place.run("log replay log --output json").exits(0).json();
    assert_eq!((&answer["same"], &answer["broken"]), (&3.into(), &0.into()));
    let run = place.run("log verify log").exits(0);
    assert!(run.stdout.contains("half a line"), "{}", run.stdout);
    // Its twin: with an end it is a line, and not one of a log.
    bytes.push(b'\n');
    fs::write(segment(&place), &bytes).unwrap();
    for command in ["show", "verify", "replay"] {
        place.run(&format!("log {command} log")).exits(1);
    }
}

#[test]
fn what_is_no_log_is_a_fault() {
    let place = Place::new();
    for command in ["verify", "show", "replay"] {
        let run = place.run(&format!("log {command} nowhere")).exits(1);
        assert!(
            run.stderr.contains("cannot read `nowhere`"),
            "{}",
            run.stderr
        );
        fs::create_dir_all(place.path().join("empty")).unwrap();
        let run = place.run(&format!("log {command} empty")).exits(1);
        assert!(
            run.stderr.contains("`empty` holds no decision log"),
            "{}",
            run.stderr
        );
    }
}

/// Asking is not deciding: an operator who tries a token out writes nothing.
#[test]
fn nameplate_attest_records_nothing() {
    let place = place();
    let before = fs::read(segment(&place)).unwrap();
    place
        .run("attest --config nameplate.toml --cluster production --token token --now 2027-01-15T08:00:00Z")
        .exits(0);
    assert_eq!(fs::read(segment(&place)).unwrap(), before);
}

/// A flood of evidence that proves nothing, every piece of a cluster that the
/// peer made up: a few records and a count, which every command takes.
#[test]
fn what_is_counted_is_shown_and_in_nobodys_way() {
    let place = place();
    let names: Vec<_> = (0..50).map(|number| format!("made-up-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    attest(&place, &names);
    let run = place.run("log show log --outcome rejected").exits(0);
    assert_eq!(run.stdout.lines().count(), 1 + 16 + 1, "{}", run.stdout);
    let last = run.stdout.lines().last().unwrap();
    let expected = "k8s_sat rejected unknown_cluster: 34 more \
                    from 2027-01-15T08:00:16.000Z to 2027-01-15T08:00:49.000Z";
    assert!(last.ends_with(expected), "{last}");
    let number = last.split_whitespace().next().unwrap();
    let shown = |line: &str| {
        let run = place
            .run(&format!("log show log {line} --output json"))
            .exits(0);
        let last = run.stdout.lines().last().map(serde_json::from_str::<Value>);
        last.transpose().unwrap()
    };
    let count = shown(&format!("--record {number}")).unwrap();
    assert_eq!(count["counted"]["count"], 34);
    assert_eq!(count["counted"]["reason"], "unknown_cluster");
    assert_eq!(count["counted"]["cluster"], Value::Null);
    let counts = |line: &str| shown(line).is_some_and(|shown| shown["counted"].is_object());
    assert!(counts(
        "--attestor k8s_sat --reason unknown_cluster --last 1"
    ));
    assert!(counts("--since 2027-01-15T08:00:49Z"));
    for line in [
        "--outcome identity",
        "--reason token_expired",
        "--attestor other",
        "--cluster production",
        "--id spiffe://",
        "--since 2027-01-15T08:00:50Z",
        "--until 2027-01-15T08:00:16Z",
    ] {
        assert!(!counts(line), "{line}");
    }
    let run = place.run("log verify log --checkpoint kept.jsonl").exits(0);
    assert!(
        run.stdout
            .contains("34 with nothing proven, in place of a record each\n"),
        "{}",
        run.stdout
    );
    let verified = place.run("log verify log --output json").exits(0).json();
    assert_eq!(
        (&verified["decisions"], &verified["counted"]),
        (&20.into(), &34.into())
    );
    let replayed = place.run("log replay log --output json").exits(0).json();
    assert_eq!(
        (&replayed["same"], &replayed["not_asked"]),
        (&3.into(), &17.into())
    );
    assert_eq!(replayed["counted"], 34);
    place
        .run("policy explain builtin:node --log log --record 3 --pairs 0")
        .exits(0);
    place
        .run("policy diff builtin:node builtin:node --against log")
        .exits(0);

    // Its twin has a record of each.
    let place = Place::new();
    place.configure(
        "policy = { source = \"builtin:node\" }\n\
         decision_log = { directory = \"log\", rejections = \"each\" }",
    );
    attest(&place, &names);
    let run = place.run("log show log").exits(0);
    assert_eq!(run.stdout.lines().count(), 50);
    let verified = place.run("log verify log --output json").exits(0).json();
    assert_eq!(
        (&verified["decisions"], &verified["counted"]),
        (&50.into(), &0.into())
    );
}

/// A directory that others may write to is refused with what mends it; what
/// brings it back is written in the configuration.
#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let token = "attest --config nameplate.toml --cluster production --token token --record \
                 --now 2027-01-15T08:00:00Z";
    for (keys, directory, what) in [
        (
            "decision_log = { directory = \"kept\" }",
            "kept",
            "no decision log",
        ),
        ("state_directory = \"kept\"", "kept", "`state_directory`"),
    ] {
        let place = Place::new();
        let (above, own) = match keys.split_once('=') {
            Some(("state_directory ", _)) => (keys, ""),
            _ => ("", keys),
        };
        let configure = |more: &str| {
            place.configure(&format!(
                "policy = {{ source = \"builtin:node\" }}\n{own}\n{more}"
            ));
            let path = place.path().join("nameplate.toml");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, format!("{above}\n{text}")).unwrap();
        };
        configure("");
        let directory = place.path().join(directory);
        fs::create_dir(&directory).unwrap();
        let chmod = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode));
        chmod(0o2775).unwrap();
        let run = place.run(token).exits(1);
        let refused = format!(
            "{what}: nothing is kept where others may write, unless `check_directories = false` \
             says so: others may write to `kept` (mode 2775): `chmod go-w kept`"
        );
        assert!(run.stderr.contains(&refused), "{}", run.stderr);
        configure("check_directories = false");
        place.run(token).exits(0);
        configure("");
        chmod(0o755).unwrap();
        place.run(token).exits(0);
    }
}
