//! What the steps share: the cluster, the stanzas, and all that was said.

use nameplate_peers::{AGENT_TTL, Agent, Cluster, Spire, nameplate};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Run {
    pub(crate) bin: PathBuf,
    work: tempfile::TempDir,
    pub(crate) cluster: Cluster,
    nameplate: PathBuf,
    checksum: String,
    /// Everything that was said, to be searched for what must not be in it.
    said: String,
    tokens: Vec<String>,
    number: usize,
}

/// The SHA-256 of `bytes`.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

impl Run {
    pub(crate) fn start(bin: PathBuf) -> Self {
        // Short, as socket paths have to be.
        let work = tempfile::Builder::new().prefix("np").tempdir().unwrap();
        eprintln!("- a cluster");
        let cluster = Cluster::start(&bin, work.path());
        let nameplate = nameplate();
        let checksum = hex(&fs::read(&nameplate).unwrap());
        Self {
            bin,
            work,
            cluster,
            nameplate,
            checksum,
            said: String::new(),
            tokens: Vec::new(),
            number: 0,
        }
    }

    pub(crate) fn at(&self) -> &Path {
        self.work.path()
    }

    /// Where the SPIRE of the last step has its files.
    pub(crate) fn at_spire(&self) -> PathBuf {
        self.at().join(self.number.to_string())
    }

    fn load(&self, side: &str, method: &str) -> String {
        format!(
            "plugin_cmd = \"{}\"\nplugin_args = [\"spire\", \"{side}\", \"--attestor\", \
             \"{method}\"]\nplugin_checksum = \"{}\"\n",
            self.nameplate.display(),
            self.checksum
        )
    }

    /// SPIRE's own attestor, with `keys` for the cluster `demo`.
    pub(crate) fn built_in_server(method: &str, keys: &str) -> String {
        Self::server_loading("", method, &[("demo", keys)])
    }

    /// Ours, with `keys` for the cluster `demo`.
    pub(crate) fn our_server(&self, method: &str, keys: &str) -> String {
        self.our_server_of(method, &[("demo", keys)])
    }

    pub(crate) fn our_server_of(&self, method: &str, clusters: &[(&str, &str)]) -> String {
        Self::server_loading(&self.load("server", method), method, clusters)
    }

    /// Ours, with `data` beside the cluster `demo`.
    pub(crate) fn our_server_with(&self, method: &str, data: &str, keys: &str) -> String {
        let load = self.load("server", method);
        Self::server_loading_with(&load, method, data, &[("demo", keys)])
    }

    fn server_loading(load: &str, method: &str, clusters: &[(&str, &str)]) -> String {
        Self::server_loading_with(load, method, "", clusters)
    }

    fn server_loading_with(
        load: &str,
        method: &str,
        data: &str,
        clusters: &[(&str, &str)],
    ) -> String {
        let mut stanza =
            format!("NodeAttestor \"{method}\" {{\n{load}plugin_data {{\n{data}\nclusters = {{\n");
        for (name, keys) in clusters {
            write!(
                stanza,
                "\"{name}\" = {{\nservice_account_allow_list = [\"spire:spire-agent\"]\n{keys}\n}}\n"
            )
            .unwrap();
        }
        stanza + "} }\n}\n"
    }

    pub(crate) fn built_in_agent(&self, method: &str, token: &str) -> String {
        self.agent_loading("", method, "demo", token)
    }

    pub(crate) fn our_agent(&self, method: &str, token: &str) -> String {
        self.agent_loading(&self.load("agent", method), method, "demo", token)
    }

    pub(crate) fn built_in_agent_of(&self, cluster: &str, token: &str) -> String {
        self.agent_loading("", "k8s_psat", cluster, token)
    }

    /// What our program answers an operator, and whether all is well by it.
    pub(crate) fn asked(&self, words: &[&str]) -> (bool, Value) {
        let output = Command::new(&self.nameplate)
            .current_dir(self.at())
            .args(words)
            .args(["--output", "json"])
            .output()
            .unwrap();
        let answer = serde_json::from_slice(&output.stdout);
        (output.status.success(), answer.unwrap())
    }

    /// Whatever attests certificates or shows one: SPIRE's own, or ours of `side`.
    pub(crate) fn x509pop(&self, side: Option<&str>, data: &str) -> String {
        self.of_certificates("x509pop", side, data)
    }

    /// The same with certificates that the cluster's signer made.
    pub(crate) fn k8s(&self, side: &str, data: &str) -> String {
        self.of_certificates("k8s", Some(side), data)
    }

    fn of_certificates(&self, method: &str, side: Option<&str>, data: &str) -> String {
        let load = side.map(|side| self.load(side, method));
        format!(
            "NodeAttestor \"{method}\" {{\n{}plugin_data {{\n{data}\n}}\n}}\n",
            load.unwrap_or_default()
        )
    }

    fn agent_loading(&self, load: &str, method: &str, cluster: &str, token: &str) -> String {
        // One for each token: an agent reads it whenever it attests.
        let mut digest = hex(token.as_bytes());
        digest.truncate(16);
        let path = self.at().join(digest + ".token");
        fs::write(&path, format!("{token}\n")).unwrap();
        format!(
            "NodeAttestor \"{method}\" {{\n{load}plugin_data {{\ncluster = \"{cluster}\"\n\
             token_path = \"{}\"\n}}\n}}\n",
            path.display()
        )
    }

    /// `token`, which nobody may say.
    pub(crate) fn secret(&mut self, token: String) -> String {
        self.tokens.push(token.clone());
        token
    }

    /// A token of the pod `name`, as the kubelet projects it.
    pub(crate) fn pod_token(&mut self, name: &str, uid: &str) -> String {
        let token = self.cluster.pod_token(name, uid, "spire-server");
        self.secret(token)
    }

    pub(crate) fn spire(&mut self, step: &str, server: &str) -> Spire {
        self.spire_for(step, AGENT_TTL, server)
    }

    pub(crate) fn spire_for(&mut self, step: &str, agent_ttl: &str, server: &str) -> Spire {
        eprintln!("- {step}");
        self.number += 1;
        let work = self.at_spire();
        fs::create_dir(&work).unwrap();
        Spire::start(&self.bin, &work, agent_ttl, server)
    }

    /// A SPIRE where the last one was.
    pub(crate) fn spire_again(&mut self, step: &str, server: &str) -> Spire {
        eprintln!("- {step}");
        Spire::start(&self.bin, &self.at_spire(), AGENT_TTL, server)
    }

    /// Keeps what was said, to be searched at the end.
    pub(crate) fn heard(&mut self, said: &str) {
        self.said.push_str(said);
    }

    pub(crate) fn attest(&mut self, step: &str, server: &str, agent: &str) -> Agent {
        let spire = self.spire(step, server);
        let mut agent = spire.start_agent("a", agent);
        let attested = spire.agent(&agent.attested());
        self.heard(&(spire.said() + &agent.said() + &spire.metrics()));
        attested
    }

    pub(crate) fn refuse(&mut self, step: &str, server: &str, agent: &str) -> String {
        let spire = self.spire(step, server);
        let agent = spire.start_agent("a", agent);
        let reason = spire.refused(0);
        self.heard(&(spire.said() + &agent.said() + &spire.metrics()));
        reason
    }

    /// At the end: nobody said a token, and no SPIRE panicked.
    pub(crate) fn nothing_was_said_that_must_not(&self) {
        assert!(!self.tokens.is_empty() && !self.said.is_empty());
        for token in &self.tokens {
            assert!(!self.said.contains(token.as_str()), "a token was said");
            let signature = token.rsplit('.').next().unwrap();
            assert!(!self.said.contains(signature), "a signature was said");
        }
        assert!(!self.said.contains("PRIVATE KEY"), "a key was said");
        for panic in ["panic: ", "goroutine ", "panicked at"] {
            assert!(!self.said.contains(panic), "somebody panicked");
        }
    }
}
