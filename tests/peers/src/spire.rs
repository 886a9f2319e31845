//! A spire-server, and the spire-agents that attest to it.

use crate::process::{Running, eventually, free_port};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What `spire-server agent list` says of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The path of its SPIFFE ID.
    pub path: String,
    /// Values of its selectors, as SPIRE sorts them.
    pub selectors: Vec<String>,
    /// Whether it may attest again.
    pub can_reattest: bool,
}

/// A spire-server with one NodeAttestor.
#[derive(Debug)]
pub struct Spire {
    bin: PathBuf,
    work: PathBuf,
    port: u16,
    metrics_port: u16,
    server: Running,
}

/// A spire-agent that attests to a [`Spire`].
#[derive(Debug)]
pub struct SpireAgent {
    bin: PathBuf,
    socket: String,
    process: Running,
}

/// How long agents are attested for, unless a test is about that.
pub const AGENT_TTL: &str = "1h";

const TRUST_DOMAIN: &str = "spiffe://example.org";

/// Lines of a log that are JSON.
fn lines(said: &str) -> Vec<Value> {
    said.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Writes the configuration of a server with the attestor `stanza`.
fn write_server(work: &Path, ports: [u16; 2], agent_ttl: &str, stanza: &str) -> PathBuf {
    let path = work.join("server.conf");
    let at = work.display();
    let [port, metrics_port] = ports;
    let text = format!(
        r#"server {{
    bind_address = "127.0.0.1"
    bind_port = "{port}"
    socket_path = "{at}/s.sock"
    trust_domain = "example.org"
    data_dir = "{at}"
    log_level = "DEBUG"
    log_format = "json"
    agent_ttl = "{agent_ttl}"
    ratelimit {{ attestation = false }}
}}
telemetry {{ Prometheus {{ host = "127.0.0.1" port = {metrics_port} }} }}
plugins {{
    DataStore "sql" {{
        plugin_data {{
            database_type = "sqlite3"
            connection_string = "{at}/datastore.sqlite3"
        }}
    }}
    KeyManager "memory" {{ plugin_data {{}} }}
    {stanza}
}}
"#
    );
    fs::write(&path, text).unwrap();
    path
}

impl Spire {
    /// What `spire-server validate` says of a configuration with `stanza`.
    #[must_use]
    pub fn validate(bin: &Path, work: &Path, stanza: &str) -> Output {
        let config = write_server(work, [8081, 9988], AGENT_TTL, stanza);
        Command::new(bin.join("spire-server"))
            .args(["validate", "-config"])
            .arg(config)
            .output()
            .unwrap()
    }

    /// Starts a server with the attestor `stanza`, which attests agents for
    /// `agent_ttl`, and waits for it.
    #[must_use]
    pub fn start(bin: &Path, work: &Path, agent_ttl: &str, stanza: &str) -> Self {
        let (port, metrics_port) = (free_port(), free_port());
        let config = write_server(work, [port, metrics_port], agent_ttl, stanza);
        let server = Running::start(
            Command::new(bin.join("spire-server"))
                .env("TMPDIR", work)
                .args(["run", "-config"])
                .arg(config),
            &work.join("server.log"),
        );
        let mut spire = Self {
            bin: bin.to_owned(),
            work: work.to_owned(),
            port,
            metrics_port,
            server,
        };
        let program = spire.bin.join("spire-server");
        let socket = spire.socket();
        spire
            .server
            .ready("spire-server is healthy", || is_healthy(&program, &socket));
        spire
    }

    fn socket(&self) -> String {
        self.work.join("s.sock").display().to_string()
    }

    fn ask(&self, words: &[&str]) -> Vec<u8> {
        let output = Command::new(self.bin.join("spire-server"))
            .args(words)
            .args(["-socketPath", &self.socket()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        output.stdout
    }

    /// Whether the server says that it is healthy.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        is_healthy(&self.bin.join("spire-server"), &self.socket())
    }

    /// Starts an agent with the attestor `stanza`, which has nothing of the
    /// one of this `name` before it but the log.
    #[must_use]
    pub fn start_agent(&self, name: &str, stanza: &str) -> SpireAgent {
        let at = self.work.display();
        let port = self.port;
        fs::write(self.work.join("bundle.crt"), self.ask(&["bundle", "show"])).unwrap();
        let _none_yet = fs::remove_dir_all(self.work.join(name));
        let text = format!(
            r#"agent {{
    data_dir = "{at}/{name}"
    log_level = "DEBUG"
    log_format = "json"
    server_address = "127.0.0.1"
    server_port = "{port}"
    socket_path = "{at}/{name}.sock"
    trust_domain = "example.org"
    trust_bundle_path = "{at}/bundle.crt"
}}
plugins {{
    KeyManager "memory" {{ plugin_data {{}} }}
    WorkloadAttestor "unix" {{ plugin_data {{}} }}
    {stanza}
}}
"#
        );
        let config = self.work.join(format!("{name}.conf"));
        fs::write(&config, text).unwrap();
        let process = Running::start(
            Command::new(self.bin.join("spire-agent"))
                .env("TMPDIR", &self.work)
                .args(["run", "-config"])
                .arg(config),
            &self.work.join(format!("{name}.log")),
        );
        SpireAgent {
            bin: self.bin.clone(),
            socket: format!("{at}/{name}.sock"),
            process,
        }
    }

    /// What the server knows of the agent of `path`.
    #[must_use]
    pub fn agent(&self, path: &str) -> Agent {
        let list = self.ask(&["agent", "list", "-output", "json"]);
        let list: Value = serde_json::from_slice(&list).unwrap();
        let agents = list["agents"].as_array().unwrap();
        let agent = agents.iter().find(|agent| agent["id"]["path"] == path);
        let agent = agent.unwrap_or_else(|| panic!("{path} is not among {list}"));
        let shown = self.ask(&[
            "agent",
            "show",
            "-output",
            "json",
            "-spiffeID",
            &format!("{TRUST_DOMAIN}{path}"),
        ]);
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        assert_eq!(shown["selectors"], agent["selectors"]);
        Agent {
            path: path.to_owned(),
            selectors: agent["selectors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|selector| selector["value"].as_str().unwrap().to_owned())
                .collect(),
            can_reattest: agent["can_reattest"].as_bool().unwrap(),
        }
    }

    /// An SVID of the server's own making, in `directory`: `svid.pem` and
    /// `key.pem`.
    pub fn mint(&self, id: &str, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        let directory = directory.display().to_string();
        let _said = self.ask(&["x509", "mint", "-spiffeID", id, "-write", &directory]);
    }

    /// Lets a workload of this user, on the agent of `parent`, have an SVID.
    pub fn register(&self, parent: &str, workload: &str) {
        let user = rustix::process::getuid().as_raw();
        let _made = self.ask(&[
            "entry",
            "create",
            "-parentID",
            &format!("{TRUST_DOMAIN}{parent}"),
            "-spiffeID",
            &format!("{TRUST_DOMAIN}{workload}"),
            "-selector",
            &format!("unix:uid:{user}"),
        ]);
    }

    /// The paths that were given out so far, in order.
    #[must_use]
    pub fn given(&self) -> Vec<String> {
        self.log()
            .iter()
            .filter(|line| line["msg"] == "Agent attestation request completed")
            .map(|line| {
                let id = line["agent_id"].as_str().unwrap();
                id.strip_prefix(TRUST_DOMAIN).unwrap().to_owned()
            })
            .collect()
    }

    /// The reasons of what the plugin refused so far, in order.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        self.log()
            .iter()
            .filter(|line| line["msg"] == "Not attested")
            .map(|line| line["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until the plugin has refused more than `before`, and gives the
    /// reason.
    #[must_use]
    pub fn refused(&self, before: usize) -> String {
        let mut reason = None;
        eventually("the plugin refuses", || {
            reason = self.refusals().into_iter().nth(before);
            reason.is_some()
        });
        reason.unwrap()
    }

    /// Waits until the server's log has a line with `message`.
    pub fn logged(&self, message: &str) {
        eventually(message, || {
            self.log().iter().any(|line| line["msg"] == message)
        });
    }

    /// The server's log.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        lines(&self.server.said())
    }

    /// The server's metrics, as Prometheus reads them.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics_port)).unwrap();
        stream
            .write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// The server's process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.server
    }

    /// Everything that it has said.
    #[must_use]
    pub fn said(&self) -> String {
        self.server.said()
    }
}

impl SpireAgent {
    /// Waits until the agent is attested, and gives the path of its ID.
    pub fn attested(&mut self) -> String {
        let program = self.bin.join("spire-agent");
        let socket = self.socket.clone();
        self.process
            .ready("spire-agent is attested", || is_healthy(&program, &socket));
        let attested = "Node attestation was successful";
        let id = lines(&self.said())
            .into_iter()
            .rfind(|line| line["msg"] == attested)
            .expect(attested)["spiffe_id"]
            .as_str()
            .unwrap()
            .to_owned();
        id.strip_prefix(TRUST_DOMAIN).unwrap().to_owned()
    }

    /// Where it serves the Workload API.
    #[must_use]
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// Waits until a workload of this user is given the SVID of `workload`.
    pub fn fetches(&self, workload: &str) {
        let id = format!("{TRUST_DOMAIN}{workload}");
        eventually("the workload has its SVID", || {
            let output = Command::new(self.bin.join("spire-agent"))
                .args(["api", "fetch", "x509", "-socketPath", &self.socket])
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .any(|line| line.starts_with("SPIFFE ID:") && line.ends_with(&id))
        });
    }

    /// The agent's process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Everything that it, and those of its name before it, have said.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.said()
    }
}

fn is_healthy(program: &Path, socket: &str) -> bool {
    Command::new(program)
        .args(["healthcheck", "-socketPath", socket])
        .output()
        .unwrap()
        .status
        .success()
}
