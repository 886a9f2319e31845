//! Against programs that are really run.

use super::{Interactive, Plugin, Spec};
use nameplate_evidence::ApiError;
use std::fs;
use std::future::Future as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A shell script, run in `folder`.
fn script(folder: &Path, text: &str) -> Spec {
    let path = folder.join("script");
    fs::write(&path, text).unwrap();
    Spec {
        api_version: Some("client.authentication.k8s.io/v1".to_owned()),
        command: "sh".into(),
        arguments: vec![path.display().to_string()],
        environment: vec![("FOLDER".to_owned(), folder.display().to_string())],
        interactive: Interactive::IfAvailable,
        cluster: None,
        install_hint: None,
        place: "`k`, line 7".to_owned(),
    }
}

/// Counts its runs, and gives a token that is good until `expires`.
fn counting(folder: &Path, expires: &str) -> Spec {
    script(
        folder,
        &format!(
            "echo run >> \"$FOLDER/runs\"\n\
             n=$(wc -l < \"$FOLDER/runs\" | tr -d ' ')\n\
             echo '{{\"status\":{{\"token\":\"t'$n'\"{expires}}}}}'\n"
        ),
    )
}

fn runs(folder: &Path) -> usize {
    fs::read_to_string(folder.join("runs")).map_or(0, |text| text.lines().count())
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
}

fn what(error: &ApiError) -> &str {
    let ApiError::NotConfigured { what } = error else {
        panic!("{error:?}");
    };
    what
}

async fn token(plugin: &Arc<Plugin>, now: u64, refused: Option<u64>) -> String {
    let issued = plugin.issued(at(now), refused).await.unwrap();
    let header = issued.header.clone().unwrap();
    header.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_serves_everybody_until_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let until = r#","expirationTimestamp":"2026-01-01T00:01:00Z""#;
    let spec = counting(folder.path(), until);
    let all: Vec<_> = (0..16)
        .map(|_| {
            let plugin = Plugin::of(spec.clone());
            tokio::spawn(async move { token(&plugin, 0, None).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), "Bearer t1");
    }
    let plugin = Plugin::of(spec);
    assert_eq!(token(&plugin, 59, None).await, "Bearer t1");
    assert_eq!(runs(folder.path()), 1);
    assert_eq!(token(&plugin, 60, None).await, "Bearer t2");
    assert_eq!(runs(folder.path()), 2);
    // What was over when it was given is asked for again, but not at once.
    assert_eq!(token(&plugin, 69, None).await, "Bearer t2");
    assert_eq!(token(&plugin, 70, None).await, "Bearer t3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_was_refused_is_replaced_once() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Plugin::of(counting(folder.path(), ""));
    assert_eq!(token(&plugin, 0, None).await, "Bearer t1");
    // Peers cannot have it run as often as they ask.
    assert_eq!(token(&plugin, 9, Some(1)).await, "Bearer t1");
    assert_eq!(token(&plugin, 10, Some(1)).await, "Bearer t2");
    // That it was the one before is no reason.
    assert_eq!(token(&plugin, 30, Some(1)).await, "Bearer t2");
    assert_eq!(token(&plugin, 1_000_000, None).await, "Bearer t2");
    assert_eq!(runs(folder.path()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_told_what_client_go_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec {
        cluster: Some(r#"{"server":"https://s"}"#.to_owned()),
        ..script(
            folder.path(),
            "printf %s \"$KUBERNETES_EXEC_INFO\" > \"$FOLDER/info\"\n\
             cat > \"$FOLDER/stdin\"\necho '{\"status\":{\"token\":\"t\"}}'\n",
        )
    };
    Plugin::of(spec).spec.run(false).await.unwrap();
    let info = fs::read(folder.path().join("info")).unwrap();
    let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(
        info,
        serde_json::json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "spec": {"interactive": false, "cluster": {"server": "https://s"}},
        })
    );
    assert_eq!(fs::read(folder.path().join("stdin")).unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_only_who_needs_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (interactive, runs) in [
        (Interactive::Never, true),
        (Interactive::IfAvailable, true),
        (Interactive::Always, false),
    ] {
        let spec = Spec {
            interactive,
            ..script(folder.path(), "echo '{\"status\":{\"token\":\"t\"}}'\n")
        };
        let outcome = spec.run(false).await.map(drop);
        let refused = ApiError::NotConfigured {
            what: "`k`, line 7: the command `sh` of `exec` has `interactiveMode: Always`, and \
                   standard input is no terminal"
                .to_owned(),
        };
        assert_eq!(outcome, if runs { Ok(()) } else { Err(refused) });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_gives_nothing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    let failing = format!(
        "echo {secret}\necho first >&2\necho 'no credentials: {secret}' >&2\necho >&2\nexit 3\n"
    );
    let missing = |hint: Option<&str>| Spec {
        command: "nameplate-no-such-program".into(),
        install_hint: hint.map(str::to_owned),
        ..script(folder.path(), "")
    };
    let other = tempfile::tempdir().unwrap();
    for (spec, why) in [
        (
            missing(None),
            "`nameplate-no-such-program` of `exec` is not there",
        ),
        (
            missing(Some("install it:\n  here")),
            "`nameplate-no-such-program` of `exec` is not there: install it: here",
        ),
        (
            Spec {
                command: folder.path().into(),
                ..missing(None)
            },
            " of `exec` cannot be run: Permission denied (os error 13)",
        ),
        (
            script(other.path(), "echo canary"),
            "`sh` of `exec` gave an answer without a `status`",
        ),
        (
            script(folder.path(), &failing),
            "`sh` of `exec` failed (exit status: 3): no credentials: <token>",
        ),
    ] {
        let error = spec.run(false).await.err().unwrap();
        assert!(
            what(&error).starts_with("`k`, line 7: the command `"),
            "{error}"
        );
        assert!(what(&error).ends_with(why), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_remembered_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let text = "echo run >> \"$FOLDER/runs\"\nexit 1\n";
    let plugin = Plugin::of(script(folder.path(), text));
    for now in [0, 9, 10] {
        assert!(plugin.issued(at(now), None).await.is_err());
    }
    assert_eq!(runs(folder.path()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_ends_no_run_that_others_wait_for() {
    let folder = tempfile::tempdir().unwrap();
    // Ends once it is told to.
    let spec = script(
        folder.path(),
        "echo run >> \"$FOLDER/runs\"\nmkfifo \"$FOLDER/go\"\ncat \"$FOLDER/go\"\n",
    );
    let plugin = Plugin::of(spec);
    let waiting = |plugin: &Arc<Plugin>| {
        let plugin = Arc::clone(plugin);
        tokio::spawn(async move { token(&plugin, 0, None).await })
    };
    let first = waiting(&plugin);
    let second = waiting(&plugin);
    let fifo = folder.path().join("go");
    // Opening a pipe waits for its reader.
    let go = tokio::task::spawn_blocking(move || {
        while !fifo.exists() {
            std::thread::yield_now();
        }
        fs::OpenOptions::new().write(true).open(fifo).unwrap()
    });
    let mut go = go.await.unwrap();
    first.abort();
    std::io::Write::write_all(&mut go, b"{\"status\":{\"token\":\"t\"}}\n").unwrap();
    drop(go);
    assert_eq!(second.await.unwrap(), "Bearer t");
    assert_eq!(runs(folder.path()), 1);
}

/// Who waited half a minute for a program that then fails does not have it run
/// for half a minute more, nor does whoever asked a moment before it began.
#[tokio::test(flavor = "multi_thread")]
async fn who_waited_for_a_failure_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    // Its first run ends once it is told to.
    let spec = script(
        folder.path(),
        "echo run >> \"$FOLDER/runs\"\n\
         [ \"$(wc -l < \"$FOLDER/runs\")\" -gt 1 ] || read -r told < \"$FOLDER/go\"\nexit 1\n",
    );
    let go = folder.path().join("go");
    let made = std::process::Command::new("mkfifo").arg(&go).status();
    assert!(made.unwrap().success());
    let plugin = Plugin::of(spec);
    let asking = |now: u64| {
        let plugin = Arc::clone(&plugin);
        async move { plugin.issued(at(now), None).await.map(drop) }
    };
    let first = tokio::spawn(asking(60));
    // Opening a pipe waits for its reader: it runs.
    let go = tokio::task::spawn_blocking(|| fs::OpenOptions::new().write(true).open(go).unwrap());
    let go = go.await.unwrap();
    let mut waiting: Vec<_> = [59, 60, 90].map(|now| Box::pin(asking(now))).into();
    for one in &mut waiting {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(one.as_mut().poll(&mut context).is_pending());
    }
    // At the end of the pipe there is nothing to be told, and it fails.
    drop(go);
    first.await.unwrap().unwrap_err();
    for one in waiting {
        one.await.unwrap_err();
    }
    assert_eq!(runs(folder.path()), 1);
    // Who comes later has it run again.
    asking(70).await.unwrap_err();
    assert_eq!(runs(folder.path()), 2);
}
