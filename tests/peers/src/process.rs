//! A process that ends with the test that started it.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A started peer; ended when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` with its output in `log`.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until `ready`, and panics with what it said when it ends before.
    pub fn ready(&mut self, what: &str, mut ready: impl FnMut() -> bool) {
        eventually(what, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{what}: ended with {status}: {}", self.said());
            }
            ready()
        });
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, and waits for that; how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        kill_process(self.id(), Signal::TERM).unwrap();
        let mut ended = None;
        eventually("it ends when it is asked to", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends it as the kernel does when there is no memory left.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.runs() {
            let _gone_already = kill_process(self.id(), Signal::TERM);
            let until = Instant::now() + Duration::from_secs(10);
            while self.runs() && Instant::now() < until {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// A port that nobody listens on, as of now: neither peer takes 0 for one.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Looks at another process until `done`, for a minute at most.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < until, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The processes that were started with `TMPDIR` set to `directory` and have
/// `words` in their command line.
#[must_use]
pub fn processes(directory: &Path, words: &[&str]) -> Vec<Pid> {
    let variable = format!("TMPDIR={}", directory.display());
    let is_one = |process: &Path| {
        let list = |file: &str| -> Vec<String> {
            fs::read(process.join(file))
                .unwrap_or_default()
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect()
        };
        let command = list("cmdline");
        words.iter().all(|word| command.iter().any(|w| w == word))
            && list("environ").contains(&variable)
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            is_one(&entry.path()).then_some(pid)
        })
        .collect()
}

/// Ends a process that is not this one's child, at once.
pub fn kill(process: Pid) {
    kill_process(process, Signal::KILL).unwrap();
}
