//! Where an API server is, and with which credential it is asked.
//!
//! Trusts the operator's kubeconfig to name the server and the credential, but
//! refuses one that would send a token unprotected or by way of another host.

mod discovery;

use crate::file;
use crate::words;
pub use discovery::Environment;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use nameplate_evidence::ApiError;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// The kubeconfig and the files that it names, each with what was in it.
    files: Vec<(PathBuf, Option<Content>)>,
}

/// A hash of what is in a file.
type Content = [u8; 32];

impl Made {
    /// Whether the files still hold what the client was made of.
    pub(crate) fn is_current(&self) -> bool {
        self.files
            .iter()
            .all(|(path, content)| content_of(path) == *content)
    }
}

/// None where it cannot be read: a kubeconfig may name files that only another
/// of its contexts needs.
fn content_of(path: &Path) -> Option<Content> {
    Some(Sha256::digest(file::read(path).ok()?).into())
}

impl Access {
    /// A client, without a connection yet. To be called on this room's threads.
    pub(crate) async fn client(&self) -> Result<Made, ApiError> {
        // Each is hashed before it is used: one that changes in between is
        // then another than the client's, and the client is made again.
        let mut made_of: Vec<_> = self
            .sources()
            .iter()
            .map(|path| (path.clone(), content_of(path)))
            .collect();
        let mut config = match self.kubeconfig()? {
            // Kubernetes' own mounts are followed by the client itself.
            None => Config::incluster().map_err(|error| unusable(&error))?,
            Some(kubeconfig) => {
                for path in files(&kubeconfig) {
                    let content = content_of(&path);
                    made_of.push((path, content));
                }
                if kubeconfig
                    .clusters
                    .iter()
                    .filter_map(|named| named.cluster.as_ref())
                    .any(|cluster| cluster.proxy_url.is_some())
                {
                    return Err(refused("asks for a proxy"));
                }
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                    .await
                    .map_err(|error| unusable(&error))?
            }
        };
        if config.cluster_url.scheme_str() != Some("https") {
            return Err(refused("names a server without https"));
        }
        if config.accept_invalid_certs {
            return Err(refused("asks for `insecure-skip-tls-verify`"));
        }
        // Taken from the environment where the kubeconfig has none.
        config.proxy_url = None;
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        let client = Client::try_from(config).map_err(|error| unusable(&error))?;
        Ok(Made {
            client,
            files: made_of,
        })
    }
}

impl Access {
    /// The files that a client is made of, whether they are there or not.
    fn sources(&self) -> &[PathBuf] {
        match self {
            Self::InCluster => &[],
            Self::Kubeconfig(path) | Self::Token { token: path, .. } => std::slice::from_ref(path),
            Self::Merged(paths) => paths,
        }
    }

    /// What the files say, all told; none inside a cluster.
    fn kubeconfig(&self) -> Result<Option<Kubeconfig>, ApiError> {
        match self {
            Self::InCluster => Ok(None),
            Self::Kubeconfig(path) => kubeconfig(path).map(Some),
            Self::Merged(paths) => merged(paths).map(Some),
            Self::Token { token, server, ca } => by_token(token, server, ca).map(Some),
        }
    }
}

/// As kubectl merges them (kubernetes.io, "Organizing Cluster Access Using
/// kubeconfig Files").
fn merged(paths: &[PathBuf]) -> Result<Kubeconfig, ApiError> {
    let mut whole = Kubeconfig::default();
    for path in paths.iter().filter(|path| path.exists()) {
        let mut next = kubeconfig(path)?;
        // Empty is what a file says that leaves the choice to the others.
        next.current_context = next.current_context.filter(|context| !context.is_empty());
        whole = whole.merge(next).map_err(|error| unusable(&error))?;
    }
    Ok(whole)
}

/// A kubeconfig that nobody had to write.
fn by_token(token: &Path, server: &str, ca: &Path) -> Result<Kubeconfig, ApiError> {
    // Not left to the client, which takes a newline at the end for a part of it.
    let token = file::read_token(token)?;
    file::read(ca)?;
    let kubeconfig = json!({
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": ca}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    });
    serde_json::from_value(kubeconfig).map_err(|_unquoted| ApiError::NotConfigured {
        // It may quote the token.
        what: "a token alone is no kubeconfig here".to_owned(),
    })
}

fn kubeconfig(path: &Path) -> Result<Kubeconfig, ApiError> {
    // Bounded and a regular file, which the reader below does not look for.
    file::read(path)?;
    Kubeconfig::read_from(path).map_err(|_unquoted| ApiError::NotConfigured {
        // Its error may quote the file, which holds credentials.
        what: format!("`{}` is not a kubeconfig", path.display()),
    })
}

/// The credentials that a kubeconfig names. A token file is read anew by the
/// client itself.
fn files(kubeconfig: &Kubeconfig) -> Vec<PathBuf> {
    let clusters = kubeconfig
        .clusters
        .iter()
        .filter_map(|named| named.cluster.as_ref()?.certificate_authority.clone());
    let users = kubeconfig
        .auth_infos
        .iter()
        .filter_map(|named| named.auth_info.as_ref())
        .flat_map(|user| [user.client_certificate.clone(), user.client_key.clone()])
        .flatten();
    clusters.chain(users).map(PathBuf::from).collect()
}

fn refused(why: &str) -> ApiError {
    ApiError::NotConfigured {
        what: format!("the kubeconfig {why}"),
    }
}

fn unusable(error: &(dyn std::error::Error + 'static)) -> ApiError {
    ApiError::NotConfigured {
        what: words::chain(error),
    }
}
