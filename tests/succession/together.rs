//! All or nothing on disk, and who is told of a change.

use super::files::*;
use nameplate_attestor::{Attestors, Change, Observer, Why};
use nameplate_policy::Sandbox;
use nameplate_tests::{NOW, Watchdog, at};
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;

/// The configuration with a second attestor beside the first.
fn with_another(files: &Files, name: &str, policy: &str) {
    let text = fs::read_to_string(files.path("nameplate.toml")).unwrap();
    let more = format!(
        r#"
[attestors.{name}]
type   = "k8s_sat"
policy = {{ source = "{policy}" }}
limits = {{ deadline = "60s" }}

[attestors.{name}.clusters.staging]
service_account_key_file   = "keys/staging.pem"
service_account_allow_list = ["spire:spire-agent"]
issuer   = "https://kubernetes.default.svc.cluster.local"
audience = ["spire-server"]
"#
    );
    files.write("nameplate.toml", format!("{text}{more}").as_bytes());
}

/// What is kept of the attestor `name`.
fn kept(files: &Files, name: &str) -> Vec<&'static str> {
    let folder = files.path("state").join(name);
    let all = ["generations.json", "components", "status.json"];
    all.into_iter()
        .filter(|file| folder.join(file).exists())
        .collect()
}

#[test]
fn nothing_is_kept_of_attestors_of_which_one_is_refused() {
    let files = Files::new("");
    files.write("broken.wasm", b"broken");
    with_another(&files, "other", "broken.wasm");
    let problems = files.try_open().unwrap_err().to_string();
    assert!(problems.contains("broken.wasm"), "{problems}");
    for name in ["k8s_sat", "other"] {
        assert_eq!(kept(&files, name), [""; 0], "{name}");
    }
    // What never served is nobody's last good one.
    files.write("policy.wasm", b"torn");
    files.configure(r#"{ source = "policy.wasm" }"#, "");
    let problems = files.try_open().unwrap_err().to_string();
    assert!(!problems.contains("last good"), "{problems}");
    assert!(files.heard().is_empty());

    // The twin: all are good, and all are kept.
    files.write("policy.wasm", &numbered(1));
    files.write("broken.wasm", &numbered(2));
    with_another(&files, "other", "broken.wasm");
    drop(files.open());
    let all = ["generations.json", "components", "status.json"];
    for name in ["k8s_sat", "other"] {
        assert_eq!(kept(&files, name), all, "{name}");
    }
    // What was last good for one is not told of where another is refused.
    files.write("policy.wasm", b"torn");
    fs::remove_dir_all(files.path("state/other")).unwrap();
    files.write("broken.wasm", b"torn");
    files.try_open().unwrap_err();
    assert!(files.heard().is_empty());
    let number = |files: &Files| {
        let text = fs::read_to_string(files.state_file("generations.json")).unwrap();
        text.lines()
            .find(|line| line.contains("\"number\""))
            .map(str::to_owned)
    };
    assert_eq!(number(&files).unwrap().trim(), "\"number\": 1,");
}

#[test]
fn nothing_is_kept_of_new_attestors_in_a_reload_that_is_refused() {
    let files = Files::new("");
    files.write("broken.wasm", b"broken");
    let attestors = files.open();
    with_another(&files, "good", "policy.wasm");
    with_another(&files, "other", "broken.wasm");
    attestors.reload_at(at(NOW)).unwrap_err();
    assert_eq!(kept(&files, "good"), [""; 0]);
    // The twin.
    files.write("broken.wasm", &numbered(2));
    attestors.reload_at(at(NOW)).unwrap();
    let all = ["generations.json", "components", "status.json"];
    assert_eq!(kept(&files, "good"), all);
    assert_eq!(kept(&files, "other"), all);
}

/// Asks for everything there is while it is told.
#[derive(Debug, Default)]
struct Asks {
    attestors: OnceLock<Weak<Attestors>>,
    heard: Mutex<Vec<(String, u64, Why)>>,
}

impl Observer for Asks {
    fn changed(&self, name: &str, change: &Change) {
        let Some(attestors) = self.attestors.get().and_then(Weak::upgrade) else {
            return;
        };
        let succession = attestors.succession(name).unwrap();
        let status = succession.status(at(NOW));
        succession.refused();
        succession.write_status(at(NOW));
        attestors.files();
        attestors.warnings();
        let kind = match change {
            Change::Restored(_) => "restored".to_owned(),
            Change::RolledBack { .. } => "rolled back".to_owned(),
            Change::Warning(text) => text.split(':').next().unwrap().to_owned(),
        };
        let serving = (kind, status.serving.generation, status.serving.why);
        self.heard.lock().unwrap().push(serving);
    }
}

/// Who is told of a change may ask what it came to.
#[test]
fn an_observer_may_ask_while_it_is_told() {
    Watchdog::watch("an observer that asks", || {
        let files = Files::new(ROLLBACK);
        let asks = Arc::new(Asks::default());
        let observer = Arc::clone(&asks) as Arc<dyn Observer>;
        let config = files.path("nameplate.toml");
        let attestors =
            Attestors::open_observed(&config, Sandbox::new().unwrap(), observer, at(NOW));
        let attestors = Arc::new(attestors.unwrap());
        asks.attestors.set(Arc::downgrade(&attestors)).unwrap();
        let heard = || std::mem::take(&mut *asks.heard.lock().unwrap());

        // Of a swap, of what cannot be kept, and of a rollback.
        let state = files.state_file("generations.json");
        fs::remove_file(&state).unwrap();
        fs::create_dir_all(state.join("in the way")).unwrap();
        files.configure(
            r#"{ source = "policy.wasm" }"#,
            &format!("{ROLLBACK}\nshadow = {{ source = \"none.wasm\" }}"),
        );
        files.write("policy.wasm", &unusable());
        attestors.reload_at(at(NOW)).unwrap();
        let swapped = |words: &str| (words.to_owned(), 2, Why::Swapped);
        assert_eq!(
            heard(),
            [
                swapped("no shadow runs"),
                swapped("a restart would not find what serves")
            ]
        );
        for number in 1..=4 {
            files.attest_as(&attestors, number).unwrap_err();
        }
        assert_eq!(heard(), [("rolled back".to_owned(), 3, Why::RolledBack)]);

        // Of a status that cannot be written, by whoever looks.
        let status = files.state_file("status.json");
        fs::remove_file(&status).unwrap();
        fs::create_dir_all(status.join("in the way")).unwrap();
        files.write("nameplate.toml", b"broken");
        attestors.reload_at(at(NOW)).unwrap_err();
        assert!(!heard().is_empty());
    });
}

/// Loading a candidate may take as long as it likes: nobody waits for it but who
/// reloads.
#[test]
fn a_candidate_that_is_loading_keeps_nobody_waiting() {
    Watchdog::watch("a status while a candidate loads", || {
        let files = Files::new("");
        let attestors = files.open();
        // Who opens it for writing waits until somebody reads it.
        let pipe = files.path("log/lock");
        fs::create_dir(files.path("log")).unwrap();
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let holders = files.state_file("holders.redb");
        assert!(!holders.exists());
        files.configure(
            r#"{ source = "policy.wasm" }"#,
            "on_collision = \"refuse\"\ndecision_log = { directory = \"log\" }",
        );
        thread::scope(|scope| {
            let reload = scope.spawn(|| attestors.reload_at(at(NOW)).map(drop));
            // The last that is done before the log is opened.
            while !holders.exists() {
                thread::yield_now();
            }
            let succession = attestors.succession("k8s_sat").unwrap();
            let status = succession.status(at(NOW));
            assert_eq!(status.serving.generation, 1);
            assert!(!reload.is_finished());
            drop(fs::File::open(&pipe).unwrap());
            reload.join().unwrap().unwrap();
            assert_eq!(succession.status(at(NOW)).serving.generation, 2);
        });
    });
}
