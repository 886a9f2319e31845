//! Programs that are asked for a credential: `exec` of a kubeconfig
//! (`client.authentication.k8s.io`), as client-go runs them.
//!
//! One run serves all who name the same program in the same way, until what it
//! gave expires. Trusts the program's credential, and not that it ends: it is
//! killed after a minute. Its output stands in no error, and of its error
//! output only the last line.

mod answer;

use crate::words;
use answer::Given;
use http::HeaderValue;
use nameplate_evidence::ApiError;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::{ErrorKind, IsTerminal as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::Mutex;

/// The longest that a program may run.
const LONGEST: Duration = Duration::from_secs(60);

/// The least time between two runs after a failure or a refused credential:
/// peers ask as often as they like.
const AGAIN: Duration = Duration::from_secs(10);

/// Most bytes that are read of each of a program's outputs.
const MAX_BYTES: u64 = 1024 * 1024;

/// Programs that are remembered although no configuration names them any more.
const REMEMBERED: usize = 16;

/// Whether a program may speak with whoever sits at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Interactive {
    Never,
    IfAvailable,
    Always,
}

/// A program, and how it is run. Holds whatever its environment holds: no
/// `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Spec {
    pub(crate) api_version: Option<String>,
    pub(crate) command: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) interactive: Interactive,
    /// What it is told of the cluster, as JSON.
    pub(crate) cluster: Option<String>,
    pub(crate) install_hint: Option<String>,
    /// The member of a kubeconfig that names it, for errors.
    pub(crate) place: String,
}

/// A program that is asked.
pub(crate) struct Plugin {
    spec: Spec,
    state: Mutex<State>,
    /// Runs that are at their end.
    ended: AtomicU64,
}

#[derive(Default)]
struct State {
    /// When it was last run, and what came of it.
    last: Option<(SystemTime, Result<Arc<Issued>, ApiError>)>,
    runs: u64,
}

/// A credential that a program gave.
pub(crate) struct Issued {
    /// Which run gave it.
    pub(crate) run: u64,
    pub(crate) header: Option<HeaderValue>,
    /// A certificate and its key, in PEM.
    pub(crate) identity: Option<(String, String)>,
    expires: Option<SystemTime>,
}

impl Issued {
    /// Whether it is over.
    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

impl Plugin {
    /// The program of `spec`, shared by everything in this process that names
    /// the same.
    pub(crate) fn of(spec: Spec) -> Arc<Self> {
        static KNOWN: Lock<Option<HashMap<Spec, Arc<Plugin>>>> = Lock::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(plugin) = known.get(&spec) {
            return Arc::clone(plugin);
        }
        // A configuration that is read again names what the one before named:
        // in between nobody does.
        if known.len() >= REMEMBERED {
            known.retain(|_, plugin| Arc::strong_count(plugin) > 1);
        }
        let plugin = Arc::new(Self {
            spec: spec.clone(),
            state: Mutex::default(),
            ended: AtomicU64::default(),
        });
        known.insert(spec, Arc::clone(&plugin));
        plugin
    }

    /// A credential that is good at `now`, from another run than `refused`
    /// where enough time has passed for one.
    ///
    /// # Errors
    /// [`ApiError::NotConfigured`] where the program gives none.
    pub(crate) async fn issued(
        self: &Arc<Self>,
        now: SystemTime,
        refused: Option<u64>,
    ) -> Result<Arc<Issued>, ApiError> {
        let plugin = Arc::clone(self);
        let before = plugin.ended.load(Ordering::Acquire);
        // A run goes on when one who waits for it gives up: others wait too.
        tokio::spawn(async move {
            let mut state = plugin.state.lock().await;
            // Of a run that it waited for it takes what came of it. Else all who
            // wait for a program that hangs would have it run one after the other.
            let waited = state.runs > before;
            if let Some((_, last)) = state
                .last
                .as_ref()
                .filter(|last| !is_due(last, now, refused, waited))
            {
                return last.clone();
            }
            state.runs += 1;
            let run = plugin.spec.run(std::io::stdin().is_terminal()).await;
            let issued = run.map(|given| Arc::new(given.issued(state.runs)));
            state.last = Some((now, issued.clone()));
            plugin.ended.store(state.runs, Ordering::Release);
            issued
        })
        .await
        .map_err(|_panic| crate::waiting::broke_down())?
    }
}

/// Whether it is time for another run, for one who may have `waited` for the last.
fn is_due(
    (ran, last): &(SystemTime, Result<Arc<Issued>, ApiError>),
    now: SystemTime,
    refused: Option<u64>,
    waited: bool,
) -> bool {
    // A clock that was put back says nothing of how long ago that was.
    let long_ago = now
        .duration_since(*ran)
        .map_or(true, |since| since >= AGAIN);
    match last {
        Ok(issued) if issued.is_over(now) => long_ago || !issued.is_over(*ran),
        Ok(issued) => long_ago && refused == Some(issued.run),
        Err(_) => long_ago && !waited,
    }
}

impl Given {
    fn issued(self, run: u64) -> Issued {
        Issued {
            run,
            header: self.header,
            identity: self.identity,
            expires: self.expires,
        }
    }
}

impl Spec {
    /// Runs it once, where standard input may be a `terminal`.
    async fn run(&self, terminal: bool) -> Result<Given, ApiError> {
        let interactive = match self.interactive {
            Interactive::Never => false,
            Interactive::IfAvailable => terminal,
            Interactive::Always if terminal => true,
            Interactive::Always => {
                return Err(
                    self.failed("has `interactiveMode: Always`, and standard input is no terminal")
                );
            }
        };
        match tokio::time::timeout(LONGEST, self.outputs(interactive)).await {
            Err(_elapsed) => {
                Err(self.failed(&format!("gave no answer in {} s", LONGEST.as_secs())))
            }
            Ok(outputs) => answer::read(&outputs?).map_err(|what| self.failed(what)),
        }
    }

    /// Standard output of a run that ended well.
    async fn outputs(&self, interactive: bool) -> Result<Vec<u8>, ApiError> {
        let mut command = Command::new(&self.command);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("KUBERNETES_EXEC_INFO", self.exec_info(interactive))
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if interactive {
            command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
        } else {
            command.stdin(Stdio::null()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(|error| self.not_started(&error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr, status) = tokio::join!(all(stdout), all(stderr), child.wait());
        let status = status.map_err(|error| self.failed(&format!("is lost: {error}")))?;
        if status.success() {
            return Ok(stdout);
        }
        let told = String::from_utf8_lossy(&stderr);
        let last = told.lines().rev().find(|line| !line.trim().is_empty());
        // What it wrote for us may stand there too.
        let said = last.map_or_else(String::new, |line| {
            let kept_back = String::from_utf8_lossy(&stdout);
            format!(": {}", words::clean(line.trim(), &kept_back))
        });
        Err(self.failed(&format!("failed ({status}){said}")))
    }

    fn exec_info(&self, interactive: bool) -> String {
        let mut spec = Map::new();
        spec.insert("interactive".to_owned(), interactive.into());
        let cluster = self.cluster.as_deref();
        if let Some(cluster) = cluster.and_then(|text| serde_json::from_str(text).ok()) {
            spec.insert("cluster".to_owned(), cluster);
        }
        let mut info = Map::new();
        info.insert("kind".to_owned(), "ExecCredential".into());
        info.insert("spec".to_owned(), spec.into());
        if let Some(version) = &self.api_version {
            info.insert("apiVersion".to_owned(), version.as_str().into());
        }
        Value::from(info).to_string()
    }

    fn not_started(&self, error: &std::io::Error) -> ApiError {
        if error.kind() != ErrorKind::NotFound {
            return self.failed(&format!("cannot be run: {error}"));
        }
        let hint = self
            .install_hint
            .as_deref()
            .map_or_else(String::new, |hint| {
                let one_line: Vec<_> = hint.split_whitespace().collect();
                format!(": {}", words::clean(&one_line.join(" "), ""))
            });
        self.failed(&format!("is not there{hint}"))
    }

    fn failed(&self, what: &str) -> ApiError {
        let command = words::clean(&self.command.display().to_string(), "");
        ApiError::NotConfigured {
            what: format!("{}: the command `{command}` of `exec` {what}", self.place),
        }
    }
}

/// What there is to be read, as far as it is looked at.
async fn all(output: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(output) = output {
        // What came until it broke is told from what it is.
        let _read = output.take(MAX_BYTES).read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests;
