//! The configuration: what an operator wrote, read into what an attestor
//! needs, with every problem found at once.
//!
//! Reading has two halves. A format's reader (`toml`, `hcl`) turns text into a tree
//! that keeps the place of every value; `decode` gives the tree its meaning
//! and is the same for every format. Key files are read here too: a bad key
//! is a problem of the line that names its file. Policies are not loaded
//! here; [`NamingConfig::place`] lets whoever loads them point at the line.
//!
//! The file is trusted to say what the operator wants, but not to be right:
//! nothing in it is ignored, so a misspelt key cannot turn a check off.

mod decode;
mod document;
mod hcl;
mod naming;
mod nearest;
mod problem;
mod quantity;
mod swaps;
mod toml;

pub use naming::{NamingConfig, PolicyPlace};
pub use problem::{Problem, ProblemSummary, Problems, Severity, Source};
pub use swaps::{
    CollisionsConfig, Counted, GateConfig, PathPattern, PathPatternError, RollbackConfig,
    SwapsConfig,
};

use crate::agent::AgentConfig;
use crate::error::chain;
use crate::namespace::AttestorName;
use crate::spiffe_id::TrustDomain;
use document::Node;
use nameplate_evidence::certificates::CertificateVerifier;
use nameplate_evidence::{Cluster, Method};
use nameplate_words::grouped;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest configuration that is read, in bytes.
pub const MAX_CONFIG_BYTES: usize = 1 << 20;

/// Most clusters of one attestor.
pub const MAX_CLUSTERS: usize = 256;

/// Longest leeway for the times of a token. Clocks that differ by more are
/// broken, and a leeway hides it.
pub const MAX_LEEWAY: Duration = Duration::from_secs(15 * 60);

/// A configuration that can be used.
#[derive(Debug)]
pub struct Config {
    /// Trust domain of every identity.
    pub trust_domain: TrustDomain,
    /// The attestors, in the order of the file; at least one.
    pub attestors: Vec<AttestorConfig>,
    /// What can be used, and does less than the operator may think.
    pub warnings: Problems,
    /// The text, to show problems in that are found later.
    pub source: Source,
    /// The configuration file, when it was read from one, and every file that
    /// it names: the files to watch.
    pub files: Vec<PathBuf>,
}

/// An evidence method under a name.
#[derive(Debug)]
pub struct AttestorConfig {
    /// The name: a segment of every ID it gives, and its selectors' type.
    pub name: AttestorName,
    /// What peers prove themselves with.
    pub method: Method,
    /// How they are named, unless their cluster says otherwise.
    pub naming: NamingConfig,
    /// Whether every token serves once.
    pub one_time_tokens: bool,
    /// The share of the places for waiting that one cluster may have, from 0 to
    /// 1. None: equal shares.
    pub cluster_share: Option<f64>,
    /// How its generations follow each other.
    pub swaps: SwapsConfig,
    /// Who is trusted to vouch for them.
    pub trust: TrustConfig,
    /// Where its decisions are recorded, if they are.
    pub decision_log: Option<DecisionLogConfig>,
}

/// Where decisions are recorded.
#[derive(Clone, Debug)]
pub struct DecisionLogConfig {
    /// How.
    pub options: nameplate_decisions::Options,
    /// Where the file says so.
    pub place: Option<Range<usize>>,
}

/// Who is trusted to vouch for peers.
#[derive(Debug)]
pub enum TrustConfig {
    /// Clusters, whose tokens peers send; at least one, but for `k8s_psat`,
    /// which SPIRE lets be without.
    Clusters(Vec<ClusterConfig>),
    /// Authorities, that signed the peers' certificates.
    Certificates(CertificateVerifier),
}

impl TrustConfig {
    /// Whether others are asked about a peer: an API server, or whoever
    /// publishes keys.
    pub fn waits_for_others(&self) -> bool {
        match self {
            Self::Clusters(clusters) => clusters
                .iter()
                .any(|cluster| cluster.trust.waits_for_others()),
            Self::Certificates(verifier) => verifier
                .node
                .as_ref()
                .is_some_and(|node| node.lookup.is_some()),
        }
    }
}

impl AttestorConfig {
    /// The clusters whose tokens are trusted.
    pub fn clusters(&self) -> &[ClusterConfig] {
        match &self.trust {
            TrustConfig::Clusters(clusters) => clusters,
            TrustConfig::Certificates(_) => &[],
        }
    }
}

/// A cluster whose tokens are trusted.
#[derive(Debug)]
pub struct ClusterConfig {
    /// How its tokens are verified: keys loaded, API server found.
    pub trust: Cluster,
    /// How its nodes are named; the attestor's way when there is none.
    pub naming: Option<NamingConfig>,
}

impl Config {
    /// Reads the configuration file at `path` and the key files it names.
    ///
    /// # Errors
    /// Every problem found, errors and warnings, in the order of the text;
    /// one without a place when the file itself cannot be read.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        from_file(path, |text, name, base| {
            let mut config = Self::from_toml(&text, name, base)?;
            config.files.insert(0, path.to_owned());
            Ok(config)
        })
    }

    /// Reads a configuration from TOML, and the key files it names; relative
    /// paths start at `base`. Messages call the text `name`.
    ///
    /// # Errors
    /// Every problem found, errors and warnings, in the order of the text.
    pub fn from_toml(text: &str, name: &str, base: &Path) -> Result<Self, Problems> {
        let (document, source) = parse(text, name, toml::parse)?;
        decode::config(&document, source, base)
    }
}

/// What SPIRE hands to a plugin, and what it does not say but the plugin's
/// arguments do.
#[derive(Clone, Debug)]
pub struct PluginData {
    /// The text of `plugin_data`: HCL 1 or JSON, one attestor's table.
    pub text: String,
    /// The trust domain, as SPIRE's core configuration has it.
    pub trust_domain: String,
    /// The name that the plugin is loaded under.
    pub attestor: String,
    /// The evidence method.
    pub method: Method,
}

impl Config {
    /// Reads the `plugin_data` of a SPIRE plugin, and the key files it names;
    /// relative paths start at `base`. Messages call the text `name`.
    ///
    /// # Errors
    /// As [`Config::from_toml`].
    pub fn from_plugin(data: &PluginData, name: &str, base: &Path) -> Result<Self, Problems> {
        let (document, source) = parse(&data.text, name, plugin_data)?;
        decode::plugin(document, data, source, base)
    }

    /// Reads the file at `path` as the `plugin_data` of a SPIRE plugin; the
    /// text in `data` is not looked at.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_plugin(path: &Path, data: &PluginData) -> Result<Self, Problems> {
        from_file(path, |text, name, base| {
            let mut config = Self::from_plugin(&data.with_text(text), name, base)?;
            config.files.insert(0, path.to_owned());
            Ok(config)
        })
    }
}

impl AgentConfig {
    /// Reads the `plugin_data` of the agent's side; relative paths start at
    /// `base`. Messages call the text `name`. The warnings come with it.
    ///
    /// # Errors
    /// Every problem found, in the order of the text.
    pub fn from_plugin(
        data: &PluginData,
        name: &str,
        base: &Path,
    ) -> Result<(Self, Problems), Problems> {
        let (document, source) = parse(&data.text, name, plugin_data)?;
        decode::agent(&document, data, &source, base)
    }

    /// Reads the file at `path` as the `plugin_data` of the agent's side; the
    /// text in `data` is not looked at.
    ///
    /// # Errors
    /// As [`AgentConfig::from_plugin`]; one without a place when the file
    /// itself cannot be read.
    pub fn read_plugin(path: &Path, data: &PluginData) -> Result<(Self, Problems), Problems> {
        from_file(path, |text, name, base| {
            Self::from_plugin(&data.with_text(text), name, base)
        })
    }
}

impl PluginData {
    /// The same, with the text of the file at `path`: SPIRE's
    /// `plugin_data_file`.
    ///
    /// # Errors
    /// One problem, when the file cannot be read or is no text.
    pub fn from_file(&self, path: &Path) -> Result<Self, Problems> {
        from_file(path, |text, _, _| Ok(self.with_text(text)))
    }

    fn with_text(&self, text: String) -> Self {
        Self {
            text,
            ..self.clone()
        }
    }
}

/// Parses what SPIRE hands over. Where that is JSON, a list of maps is the map
/// of all of them, as it is for SPIRE; but the settings of a policy are JSON of
/// its own.
fn plugin_data(text: &str) -> Result<Node, Problem> {
    let document = hcl::parse(text)?;
    if hcl::is_json(text) {
        hcl::maps_for_lists(document, "settings")
    } else {
        Ok(document)
    }
}

/// Parses `text` in one of the formats, unless it is too long to be looked at.
fn parse(
    text: &str,
    name: &str,
    format: impl FnOnce(&str) -> Result<Node, Problem>,
) -> Result<(Node, Source), Problems> {
    let source = Source::new(name, text);
    if text.len() > MAX_CONFIG_BYTES {
        let message = format!("larger than {} bytes", grouped(MAX_CONFIG_BYTES));
        return Err(source.problems(vec![Problem::error(None, message)]));
    }
    match format(text) {
        Ok(document) => Ok((document, source)),
        Err(problem) => Err(source.problems(vec![problem])),
    }
}

/// Hands the text, the name and the directory of the file at `path` to
/// `decode`. Its problems name the file among those to watch.
fn from_file<T>(
    path: &Path,
    decode: impl FnOnce(String, &str, &Path) -> Result<T, Problems>,
) -> Result<T, Problems> {
    let name = path.display().to_string();
    let base = path.parent().unwrap_or(Path::new(""));
    text_of(path, &name)
        .and_then(|text| decode(text, &name, base))
        .map_err(|mut problems| {
            problems.files.insert(0, path.to_owned());
            problems
        })
}

/// The text of the file at `path`, which must be UTF-8.
fn text_of(path: &Path, name: &str) -> Result<String, Problems> {
    let bytes = nameplate_files::read(path, MAX_CONFIG_BYTES).map_err(|error| {
        Source::new(name, "").problems(vec![Problem::error(None, chain(&error))])
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        let problem = Problem::error(good..good + 1, "the file is not UTF-8 text");
        Source::new(name, &text).problems(vec![problem])
    })
}
