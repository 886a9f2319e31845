//! Where an API server is found when nobody says where: as kubectl looks for it.

use super::Access;
use http::Uri;
use http::uri::Scheme;
use nameplate_evidence::ApiError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where Kubernetes mounts a pod's credential.
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What the process was started with, as far as it says where an API server is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `KUBECONFIG`: paths of kubeconfigs.
    pub kubeconfig: Option<OsString>,
    /// The home folder of the user.
    pub home: Option<PathBuf>,
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, which
    /// Kubernetes sets in every pod.
    pub service: Option<(String, String)>,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let service = |name: &str| std::env::var(format!("KUBERNETES_SERVICE_{name}")).ok();
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG"),
            home: std::env::home_dir(),
            service: service("HOST").zip(service("PORT")),
        }
    }

    /// The URL of the API server of the cluster that this is a pod of.
    fn server(&self) -> Option<String> {
        let (host, port) = self.service.as_ref()?;
        Some(if host.contains(':') {
            format!("https://[{host}]:{port}")
        } else {
            format!("https://{host}:{port}")
        })
    }
}

impl Access {
    /// The kubeconfigs that `KUBECONFIG` names; else that of the home folder;
    /// else what a pod has. Where there is none of those files, a pod's.
    ///
    /// # Errors
    /// [`ApiError::NotConfigured`] when there is none of it.
    pub fn found(environment: &Environment) -> Result<Self, ApiError> {
        let named: Vec<PathBuf> = environment
            .kubeconfig
            .as_ref()
            .map(|paths| std::env::split_paths(paths).collect())
            .unwrap_or_default();
        let mut paths: Vec<PathBuf> = named
            .into_iter()
            .filter(|path| *path != Path::new(""))
            .collect();
        if paths.is_empty() {
            let home = environment.home.as_ref();
            paths.extend(home.map(|home| home.join(".kube/config")));
        }
        if paths.iter().any(|path| path.exists()) {
            return Ok(Self::Merged(paths));
        }
        if environment.service.is_some() {
            return Ok(Self::InCluster);
        }
        let looked: Vec<_> = paths
            .iter()
            .map(|path| format!("`{}`", path.display()))
            .collect();
        Err(ApiError::NotConfigured {
            what: format!(
                "no kubeconfig at {}, and this is not a pod",
                if looked.is_empty() {
                    "any place".to_owned()
                } else {
                    looked.join(", ")
                }
            ),
        })
    }

    /// The token at `token`, for `server` and trusting `ca`; where they are not
    /// said, the API server that `environment` names and the authorities that
    /// Kubernetes mounts.
    ///
    /// # Errors
    /// [`ApiError::NotConfigured`] when no API server is named, or without https.
    pub fn by_token(
        token: PathBuf,
        server: Option<String>,
        ca: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Self, ApiError> {
        let server =
            server
                .or_else(|| environment.server())
                .ok_or_else(|| ApiError::NotConfigured {
                    what: "no API server is named, and this is not a pod".to_owned(),
                })?;
        let is_https = |uri: Uri| uri.scheme() == Some(&Scheme::HTTPS);
        if !server.parse().is_ok_and(is_https) {
            return Err(ApiError::NotConfigured {
                what: format!("`{server}` is not an https URL"),
            });
        }
        let ca = ca.unwrap_or_else(|| Path::new(MOUNT).join("ca.crt"));
        Ok(Self::Token { token, server, ca })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn what(error: ApiError) -> String {
        let ApiError::NotConfigured { what } = &error else {
            panic!("{error:?}");
        };
        what.clone()
    }

    #[test]
    fn kubectl_looks_in_this_order() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        fs::create_dir_all(home.join(".kube")).unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let mut environment = Environment {
            kubeconfig: Some(std::env::join_paths(["".as_ref(), &*first, &*second]).unwrap()),
            home: Some(home.clone()),
            service: None,
        };
        let shown = |path: &Path| format!("`{}`", path.display());
        assert_eq!(
            what(Access::found(&environment).unwrap_err()),
            format!(
                "no kubeconfig at {}, {}, and this is not a pod",
                shown(&first),
                shown(&second)
            )
        );
        environment.service = Some(("10.0.0.1".to_owned(), "443".to_owned()));
        assert_eq!(Access::found(&environment), Ok(Access::InCluster));
        // The home folder's is not looked at where others are named.
        fs::write(home.join(".kube/config"), "").unwrap();
        assert_eq!(Access::found(&environment), Ok(Access::InCluster));
        fs::write(&second, "").unwrap();
        // The first may yet come, and is then the one that counts.
        assert_eq!(
            Access::found(&environment),
            Ok(Access::Merged(vec![first, second]))
        );
        for none in [None, Some(OsString::new())] {
            environment.kubeconfig = none;
            assert_eq!(
                Access::found(&environment),
                Ok(Access::Merged(vec![home.join(".kube/config")]))
            );
        }
        let nothing = Environment::default();
        assert_eq!(
            what(Access::found(&nothing).unwrap_err()),
            "no kubeconfig at any place, and this is not a pod"
        );
    }

    #[test]
    fn a_token_needs_to_know_whom_it_is_for() {
        let by_token = |server: Option<&str>, environment: &Environment| {
            Access::by_token("t".into(), server.map(str::to_owned), None, environment)
        };
        let nowhere = Environment::default();
        assert_eq!(
            what(by_token(None, &nowhere).unwrap_err()),
            "no API server is named, and this is not a pod"
        );
        assert_eq!(
            what(by_token(Some("http://a:1"), &nowhere).unwrap_err()),
            "`http://a:1` is not an https URL"
        );
        let access = |server: &str| {
            Ok(Access::Token {
                token: "t".into(),
                server: server.to_owned(),
                ca: Path::new(MOUNT).join("ca.crt"),
            })
        };
        for server in ["https://a:1", "HTTPS://a:1"] {
            assert_eq!(by_token(Some(server), &nowhere), access(server));
        }
        for (host, url) in [
            ("10.0.0.1", "https://10.0.0.1:443"),
            ("fd00::1", "https://[fd00::1]:443"),
        ] {
            let pod = Environment {
                service: Some((host.to_owned(), "443".to_owned())),
                ..Environment::default()
            };
            assert_eq!(by_token(None, &pod), access(url));
            assert_eq!(by_token(Some("https://a:1"), &pod), access("https://a:1"));
        }
    }
}
