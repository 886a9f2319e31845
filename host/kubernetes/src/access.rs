//! Where an API server is, and with which credential it is asked.
//!
//! Trusts the operator's kubeconfig to name the server and the credential, but
//! refuses one that would send a token unprotected or by way of another host.

mod discovery;

use crate::credential::{Credential, TokenFile};
use crate::exec::{Issued, Plugin};
use crate::kubeconfig::user::{Login, login, set_identity};
use crate::kubeconfig::{self, Content, Current, Reading, cluster, content_of};
use crate::words;
pub use discovery::Environment;
use http::HeaderValue;
use kube::{Client, Config};
use nameplate_evidence::ApiError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How an API server is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Access {
    /// By the service account that Kubernetes mounts into every pod.
    InCluster,
    /// By the current context of a kubeconfig.
    Kubeconfig(PathBuf),
    /// By the current context of several kubeconfigs, merged as kubectl does
    /// it: what a file says first counts, and files that there are not are
    /// skipped.
    Merged(Vec<PathBuf>),
    /// By a service account token in a file, as the kubelet projects it.
    Token {
        /// The token.
        token: PathBuf,
        /// The `https` URL of the API server.
        server: String,
        /// The certificates of the authorities that signed the server's, in PEM.
        ca: PathBuf,
    },
}

/// A client, and what it was made of.
pub(crate) struct Made {
    pub(crate) client: Client,
    credential: Credential,
    /// The program that gave the credential, and what it gave.
    issued: Option<(Arc<Plugin>, Arc<Issued>)>,
    /// The kubeconfigs and the files that they name, each with what was in it.
    files: Vec<(PathBuf, Content)>,
    /// What in them may not be meant so.
    pub(crate) doubts: Vec<String>,
}

impl Made {
    /// Whether the files still hold what the client was made of, and its
    /// credential is good at `now`.
    pub(crate) fn is_current(&self, now: SystemTime) -> bool {
        let over = |(_, issued): &(_, Arc<Issued>)| issued.is_over(now);
        !self.issued.as_ref().is_some_and(over)
            && self
                .files
                .iter()
                .all(|(path, content)| content_of(path) == *content)
    }

    /// The header `Authorization` of a request that is made now.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        match &self.issued {
            Some((_, issued)) => issued.header.clone(),
            None => self.credential.header(),
        }
    }

    /// Which run of a program gave the credential.
    pub(crate) fn run(&self) -> Option<u64> {
        self.issued.as_ref().map(|(_, issued)| issued.run)
    }
}

impl Access {
    /// A client, without a connection yet, whose credential is good at `now`,
    /// and is not what the run `refused` of a program gave. To be called on
    /// this room's threads.
    pub(crate) async fn client(
        &self,
        now: SystemTime,
        refused: Option<u64>,
    ) -> Result<Made, ApiError> {
        let mut reading = Reading::default();
        let (mut config, login) = self.config(&mut reading)?;
        let (credential, issued) = match login {
            Login::Known(credential) => (credential, None),
            Login::Plugin(plugin) => {
                let issued = plugin.issued(now, refused).await?;
                if let Some((certificate, key)) = &issued.identity {
                    set_identity(&mut config, certificate.as_bytes(), key.as_bytes());
                }
                (Credential::Nobody, Some((plugin, issued)))
            }
        };
        config.proxy_url = None;
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        let client = Client::try_from(config).map_err(|error| unusable(&error))?;
        Ok(Made {
            client,
            credential,
            issued,
            files: reading.files,
            doubts: reading.doubts,
        })
    }

    fn config(&self, reading: &mut Reading) -> Result<(Config, Login), ApiError> {
        let current = match self {
            Self::InCluster => return in_cluster(),
            Self::Token { token, server, ca } => return by_token(token, server, ca, reading),
            Self::Kubeconfig(path) => kubeconfig::read(path, reading)?,
            Self::Merged(paths) => kubeconfig::merged(paths, reading)?,
        };
        of_kubeconfig(&current, reading)
    }
}

fn of_kubeconfig(current: &Current, reading: &mut Reading) -> Result<(Config, Login), ApiError> {
    let (mut config, told) = cluster::client(&current.cluster, reading)?;
    let login = login(current, told, &mut config, reading)?;
    Ok((config, login))
}

/// Kubernetes' own mounts; the client follows the authorities, the token is
/// read anew here.
fn in_cluster() -> Result<(Config, Login), ApiError> {
    let mut config = Config::incluster().map_err(|error| unusable(&error))?;
    let token = config.auth_info.token_file.take();
    let credential = match token {
        Some(path) => Credential::File(TokenFile::new(path.into(), None)?),
        None => Credential::Nobody,
    };
    Ok((config, Login::Known(credential)))
}

fn by_token(
    token: &Path,
    server: &str,
    ca: &Path,
    reading: &mut Reading,
) -> Result<(Config, Login), ApiError> {
    let refused = |what: String| ApiError::NotConfigured { what };
    let token = TokenFile::new(token.to_owned(), None)?;
    let certificates = cluster::certificates(&reading.read(ca)?)
        .ok_or_else(|| refused(format!("`{}` holds no certificate in PEM", ca.display())))?;
    let url = server.parse().ok();
    let url = url
        .filter(|url: &http::Uri| url.scheme_str() == Some("https"))
        .ok_or_else(|| refused(format!("`{server}` is not an https URL")))?;
    let mut config = Config::new(url);
    config.root_cert = Some(certificates);
    Ok((config, Login::Known(Credential::File(token))))
}

fn unusable(error: &(dyn std::error::Error + 'static)) -> ApiError {
    ApiError::NotConfigured {
        what: words::chain(error),
    }
}
