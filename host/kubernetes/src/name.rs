//! Names that become part of a request's path.
//!
//! They come from a token, so nothing is trusted: a name with a slash, a
//! question mark or two dots would ask the API server for something else than
//! was meant, with the host's rights.

use nameplate_evidence::{ApiError, PeerText, is_object_name};

/// A DNS-1123 subdomain: what Kubernetes admits as the name of a namespace, a
/// pod or a node, and nothing that means anything in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectName<'n>(&'n str);

impl<'n> ObjectName<'n> {
    /// Parses the name of a `kind`, which is for the error only.
    pub(crate) fn parse(kind: &str, name: &'n str) -> Result<Self, ApiError> {
        if is_object_name(name) {
            Ok(Self(name))
        } else {
            Err(ApiError::Malformed {
                what: format!(
                    "`{}` is not the name of a {kind}, and is not asked for",
                    PeerText::new(name)
                ),
            })
        }
    }

    pub(crate) fn as_str(self) -> &'n str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use nameplate_evidence::ApiError;

    use super::ObjectName;

    #[test]
    fn names_of_kubernetes_pass() {
        for name in [
            "a",
            "node-1",
            "ip-10-0-0-1.eu-1.compute.internal",
            "0",
            &"a".repeat(253),
        ] {
            assert_eq!(ObjectName::parse("node", name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn nothing_else_does() {
        for name in [
            "",
            ".",
            "..",
            "a..b",
            "a/b",
            "../nodes",
            "a?b",
            "a#b",
            "a%2fb",
            "A",
            "-a",
            "a-",
            "a.-b",
            "a b",
            "a\n",
            "é",
            &"a".repeat(254),
        ] {
            assert!(ObjectName::parse("node", name).is_err(), "{name:?}");
        }
        assert_eq!(
            ObjectName::parse("pod", "../x\n").unwrap_err(),
            ApiError::Malformed {
                what: r"`../x\n` is not the name of a pod, and is not asked for".to_owned()
            }
        );
    }
}
