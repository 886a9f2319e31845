//! The watcher, on real directories. Each test waits for calls, with a bound
//! that only a failure reaches; that *nothing* is called is shown by a later
//! change, whose call is then the first.

use nameplate_attestor::watch::{WatchMode, WatchOptions, Watcher};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// With a polling period that no test lives to see.
fn events() -> WatchOptions {
    WatchOptions {
        poll: Duration::from_secs(3600),
        debounce: Duration::from_millis(5),
        events: true,
    }
}

fn polling() -> WatchOptions {
    WatchOptions {
        poll: Duration::from_millis(5),
        events: false,
        ..events()
    }
}

/// Watches `files` and sends the content of the first at each call.
#[expect(clippy::unwrap_used, reason = "a test")]
fn watch(options: WatchOptions, files: &[PathBuf]) -> (Watcher, Receiver<Option<String>>) {
    let (calls, called) = mpsc::channel();
    let first = files.first().unwrap().clone();
    let same = files.to_vec();
    let on_change = move || {
        calls.send(fs::read_to_string(&first).ok()).unwrap();
        same.clone()
    };
    let watcher = Watcher::spawn(options, files.to_vec(), on_change).unwrap();
    (watcher, called)
}

#[expect(clippy::expect_used, reason = "a test")]
fn next(called: &Receiver<Option<String>>) -> Option<String> {
    called.recv_timeout(PATIENCE).expect("a change is noticed")
}

/// Puts `text` at `path` in one step, as editors do.
#[expect(clippy::unwrap_used, reason = "a test")]
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

#[expect(clippy::unwrap_used, reason = "a test")]
fn file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "1").unwrap();
    (dir, file)
}

fn each_way(test: impl Fn(WatchOptions)) {
    test(events());
    test(polling());
}

#[test]
fn a_rewritten_file_is_noticed() {
    each_way(|options| {
        let (_dir, file) = file();
        let (_watcher, called) = watch(options, std::slice::from_ref(&file));
        for text in ["2", "3"] {
            fs::write(&file, text).unwrap();
            // Rewriting is two steps, so the file may be seen empty in between.
            while next(&called).as_deref() != Some(text) {}
        }
    });
}

#[test]
fn a_renamed_file_is_noticed() {
    each_way(|options| {
        let (_dir, file) = file();
        let (_watcher, called) = watch(options, std::slice::from_ref(&file));
        for text in ["2", "3", "4"] {
            replace(&file, text);
            assert_eq!(next(&called).as_deref(), Some(text));
        }
    });
}

#[test]
fn a_removed_file_is_noticed_and_its_return_too() {
    each_way(|options| {
        let (_dir, file) = file();
        let (_watcher, called) = watch(options, std::slice::from_ref(&file));
        fs::remove_file(&file).unwrap();
        assert_eq!(next(&called), None);
        replace(&file, "1");
        assert_eq!(next(&called).as_deref(), Some("1"));
    });
}

#[test]
fn the_exchanged_link_of_a_kubernetes_volume_is_noticed() {
    each_way(|options| {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let publish = |date: &str, text: &str| {
            fs::create_dir(at(date)).unwrap();
            fs::write(at(date).join("key"), text).unwrap();
            symlink(date, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };
        publish("..2026_1", "1");
        symlink("..data/key", at("key")).unwrap();
        let (_watcher, called) = watch(options, &[at("key")]);
        publish("..2026_2", "2");
        assert_eq!(next(&called).as_deref(), Some("2"));
        fs::remove_dir_all(at("..2026_1")).unwrap();
        publish("..2026_3", "3");
        assert_eq!(next(&called).as_deref(), Some("3"));
    });
}

/// As certbot does (`live/NAME/cert.pem`), and as Nix exchanges a directory.
#[test]
fn a_link_out_of_the_directory_is_noticed_when_it_or_its_target_changes() {
    each_way(|options| {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["live", "one", "two"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let link = |target: &str, name: &str| {
            symlink(target, at("tmp")).unwrap();
            fs::rename(at("tmp"), at(name)).unwrap();
        };
        fs::write(at("one/cert"), "1").unwrap();
        link("../one/cert", "live/cert");
        let (_watcher, called) = watch(options, &[at("live/cert")]);
        replace(&at("one/cert"), "2");
        assert_eq!(next(&called).as_deref(), Some("2"));
        fs::write(at("two/cert"), "3").unwrap();
        link("../two/cert", "live/cert");
        assert_eq!(next(&called).as_deref(), Some("3"));
        replace(&at("two/cert"), "4");
        assert_eq!(next(&called).as_deref(), Some("4"));
        // Through a directory that is a link itself.
        fs::write(at("one/cert"), "5").unwrap();
        link("one", "current");
        link("../current/cert", "live/cert");
        assert_eq!(next(&called).as_deref(), Some("5"));
        link("two", "current");
        assert_eq!(next(&called).as_deref(), Some("4"));
    });
}

#[test]
fn the_same_content_is_no_change() {
    each_way(|options| {
        let (dir, file) = file();
        let (_watcher, called) = watch(options, std::slice::from_ref(&file));
        replace(&file, "1");
        fs::write(dir.path().join("neighbour"), "x").unwrap();
        replace(&file, "1");
        replace(&file, "2");
        assert_eq!(next(&called).as_deref(), Some("2"));
        assert!(called.try_recv().is_err());
    });
}

#[test]
fn a_directory_that_comes_later_is_noticed() {
    each_way(|options| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/b/file");
        let (_watcher, called) = watch(options, std::slice::from_ref(&file));
        // Made elsewhere and moved in, so that one event says it all.
        let made = dir.path().join("made");
        fs::create_dir_all(made.join("b")).unwrap();
        fs::write(made.join("b/file"), "1").unwrap();
        fs::rename(made, dir.path().join("a")).unwrap();
        assert_eq!(next(&called).as_deref(), Some("1"));
        // The watch has followed into the new directory.
        replace(&file, "2");
        assert_eq!(next(&called).as_deref(), Some("2"));
    });
}

#[test]
fn a_directory_that_is_exchanged_is_still_watched() {
    each_way(|options| {
        let dir = tempfile::tempdir().unwrap();
        let (keys, next_keys) = (dir.path().join("keys"), dir.path().join("next"));
        let config = dir.path().join("config");
        for (folder, text) in [(&keys, "1"), (&next_keys, "2")] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("key"), text).unwrap();
        }
        let (_watcher, called) = watch(options, &[keys.join("key"), config]);
        fs::rename(&keys, dir.path().join("old")).unwrap();
        fs::rename(&next_keys, &keys).unwrap();
        // The two renames may be seen as two changes.
        while next(&called).as_deref() != Some("2") {}
        replace(&keys.join("key"), "3");
        assert_eq!(next(&called).as_deref(), Some("3"));
    });
}

#[test]
fn the_call_says_what_to_watch_next() {
    each_way(|options| {
        let (dir, first) = file();
        let second = dir.path().join("other/second");
        fs::create_dir(dir.path().join("other")).unwrap();
        fs::write(&second, "1").unwrap();
        let (calls, called) = mpsc::channel();
        let then = vec![second.clone()];
        let mut count = 0;
        let watcher = Watcher::spawn(options, vec![first.clone()], move || {
            count += 1;
            calls.send(count).unwrap();
            then.clone()
        });
        let watcher = watcher.unwrap();
        replace(&first, "2");
        assert_eq!(called.recv_timeout(PATIENCE), Ok(1));
        // Nobody can see from outside when the new list is in force, so the
        // change is made again until it is noticed.
        let begun = Instant::now();
        let mut text = 0;
        while called.recv_timeout(Duration::from_millis(20)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the second file is watched");
            text += 1;
            replace(&second, &format!("new {text}"));
        }
        drop(watcher);
    });
}

#[test]
fn a_change_during_the_call_is_not_lost() {
    each_way(|options| {
        let (_dir, file) = file();
        let (calls, called) = mpsc::channel();
        let (files, target) = (vec![file.clone()], file.clone());
        let mut first = true;
        let _watcher = Watcher::spawn(options, files.clone(), move || {
            calls.send(fs::read_to_string(&target).unwrap()).unwrap();
            if std::mem::take(&mut first) {
                replace(&target, "3");
            }
            files.clone()
        })
        .unwrap();
        replace(&file, "2");
        assert_eq!(called.recv_timeout(PATIENCE).as_deref(), Ok("2"));
        assert_eq!(called.recv_timeout(PATIENCE).as_deref(), Ok("3"));
    });
}

#[test]
fn a_panic_in_the_call_does_not_end_the_watch() {
    each_way(|options| {
        let (_dir, file) = file();
        let (calls, called) = mpsc::channel();
        let files = vec![file.clone()];
        let _watcher = Watcher::spawn(options, files, move || {
            calls.send(()).unwrap();
            // Ends the call as a panic does, without the message on stderr.
            std::panic::resume_unwind(Box::new("a panic"))
        })
        .unwrap();
        for text in ["2", "3"] {
            replace(&file, text);
            assert_eq!(called.recv_timeout(PATIENCE), Ok(()));
        }
    });
}

#[test]
fn dropping_ends_the_thread_at_once() {
    each_way(|options| {
        let (_dir, file) = file();
        let patient = WatchOptions {
            poll: Duration::from_secs(3600),
            debounce: Duration::from_secs(3600),
            ..options
        };
        let (watcher, called) = watch(patient, std::slice::from_ref(&file));
        replace(&file, "2");
        drop(watcher);
        // The thread owned the sending half, so it has ended.
        assert_eq!(called.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    });
}

#[test]
fn the_mode_says_how_changes_are_noticed() {
    let (_dir, file) = file();
    let mode = |options| watch(options, std::slice::from_ref(&file)).0.mode();
    assert_eq!(mode(events()), WatchMode::Events);
    assert_eq!(
        mode(polling()),
        WatchMode::Polling {
            reason: "events are turned off".to_owned()
        }
    );
}
