//! A spire-server and a spire-agent that attests to it.

use crate::process::{Running, free_port};
use serde_json::Value;
use std::fs;
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

/// A SPIRE with one NodeAttestor.
#[derive(Debug)]
pub struct Spire {
    bin: PathBuf,
    work: PathBuf,
    port: u16,
    server: Running,
    agent: Option<Running>,
}

fn socket(work: &Path, name: &str) -> String {
    work.join(name).display().to_string()
}

/// Lines of a log that are JSON.
fn lines(said: &str) -> Vec<Value> {
    said.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Writes the configuration of a server with the attestor `stanza`.
fn write_server(work: &Path, port: u16, stanza: &str) -> PathBuf {
    let path = work.join("server.conf");
    let at = work.display();
    let text = format!(
        r#"server {{
    bind_address = "127.0.0.1"
    bind_port = "{port}"
    socket_path = "{at}/s.sock"
    trust_domain = "example.org"
    data_dir = "{at}"
    log_level = "DEBUG"
    log_format = "json"
    ratelimit {{ attestation = false }}
}}
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
        let config = write_server(work, 8081, stanza);
        Command::new(bin.join("spire-server"))
            .args(["validate", "-config"])
            .arg(config)
            .output()
            .unwrap()
    }

    /// Starts a server with the attestor `stanza`, and waits for it.
    #[must_use]
    pub fn start(bin: &Path, work: &Path, stanza: &str) -> Self {
        let port = free_port();
        let config = write_server(work, port, stanza);
        let program = bin.join("spire-server");
        let mut server = Running::start(
            Command::new(&program)
                .env("TMPDIR", work)
                .args(["run", "-config"])
                .arg(config),
            &work.join("server.log"),
        );
        let healthy = || {
            Command::new(&program)
                .args(["healthcheck", "-socketPath", &socket(work, "s.sock")])
                .output()
                .unwrap()
                .status
                .success()
        };
        server.ready("spire-server is healthy", healthy);
        Self {
            bin: bin.to_owned(),
            work: work.to_owned(),
            port,
            server,
            agent: None,
        }
    }

    fn ask(&self, words: &[&str]) -> Vec<u8> {
        let output = Command::new(self.bin.join("spire-server"))
            .args(words)
            .args(["-socketPath", &socket(&self.work, "s.sock")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        output.stdout
    }

    /// Starts an agent with the attestor `stanza`, in place of the one before.
    pub fn start_agent(&mut self, stanza: &str) {
        self.agent = None;
        let at = self.work.display();
        let port = self.port;
        fs::write(self.work.join("bundle.crt"), self.ask(&["bundle", "show"])).unwrap();
        let data = self.work.join("agent");
        let _none_yet = fs::remove_dir_all(&data);
        let text = format!(
            r#"agent {{
    data_dir = "{at}/agent"
    log_level = "DEBUG"
    log_format = "json"
    server_address = "127.0.0.1"
    server_port = "{port}"
    socket_path = "{at}/a.sock"
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
        let config = self.work.join("agent.conf");
        fs::write(&config, text).unwrap();
        let agent = Running::start(
            Command::new(self.bin.join("spire-agent"))
                .env("TMPDIR", &self.work)
                .args(["run", "-config"])
                .arg(config),
            &self.work.join("agent.log"),
        );
        self.agent = Some(agent);
    }

    /// Waits until the agent is attested, and says what it is called.
    pub fn attested(&mut self) -> Agent {
        let program = self.bin.join("spire-agent");
        let address = socket(&self.work, "a.sock");
        let agent = self.agent.as_mut().expect("an agent was started");
        agent.ready("spire-agent is attested", || {
            Command::new(&program)
                .args(["healthcheck", "-socketPath", &address])
                .output()
                .unwrap()
                .status
                .success()
        });
        let attested = "Node attestation was successful";
        let id = lines(&agent.said())
            .into_iter()
            .rfind(|line| line["msg"] == attested)
            .expect(attested)["spiffe_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let path = id.strip_prefix("spiffe://example.org").unwrap();
        let list = self.ask(&["agent", "list", "-output", "json"]);
        let list: Value = serde_json::from_slice(&list).unwrap();
        let agents = list["agents"].as_array().unwrap();
        let agent = agents.iter().find(|agent| agent["id"]["path"] == path);
        let agent = agent.unwrap_or_else(|| panic!("{path} is not among {list}"));
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

    /// Waits until the plugin has refused, and gives the reason in SPIRE's log.
    #[must_use]
    pub fn refused(&self) -> String {
        let mut reason = None;
        crate::eventually("the plugin refuses", || {
            reason = self.log().into_iter().find_map(|line| {
                (line["msg"] == "Not attested").then(|| line["reason"].as_str().unwrap().to_owned())
            });
            reason.is_some()
        });
        reason.unwrap()
    }

    /// Waits until the server's log has a line with `message`.
    pub fn logged(&self, message: &str) {
        crate::eventually(message, || {
            self.log().iter().any(|line| line["msg"] == message)
        });
    }

    /// The server's log.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        lines(&self.server.said())
    }

    /// The server's process, to be ended roughly.
    pub fn server(&mut self) -> &mut Running {
        &mut self.server
    }

    /// Everything that either of them has said.
    #[must_use]
    pub fn said(&self) -> String {
        let agent = self.agent.as_ref().map(Running::said);
        self.server.said() + &agent.unwrap_or_default()
    }
}
