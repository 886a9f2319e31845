//! Service accounts on an allow list.
//!
//! Names are compared exactly, so an entry that Kubernetes could not create
//! would allow nobody, and its operator would look for the reason at the
//! agents. Such an entry is refused where it is written.

use std::fmt;
use std::str::FromStr;

use crate::api::{is_label, is_object_name};
use crate::peer_text::PeerText;
use nameplate_words::is_unseen;

/// Most characters of a namespace: a DNS label (RFC 1123).
const MAX_NAMESPACE: usize = 63;

/// A service account on an allow list: `namespace:name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllowedServiceAccount {
    namespace: String,
    name: String,
}

impl AllowedServiceAccount {
    /// Compared as a pair, never as one joined string.
    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }
}

/// Text that is not `namespace:name`, or that no service account can be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedServiceAccount {
    /// Not one colon with something on both sides.
    #[error("`{0}` is not a service account in the form `namespace:name`")]
    Form(PeerText),
    /// A pattern, which would mean several.
    #[error("`{0}` is no service account: patterns are not supported, list each service account")]
    Pattern(PeerText),
    /// White space, a control character, or an invisible one.
    #[error("`{0}` is no service account: it has a blank or an unprintable character, remove it")]
    Blank(PeerText),
    /// Capital letters, which Kubernetes does not admit.
    #[error("`{text}` is no service account: names have no capital letters, write `{instead}`")]
    Capital {
        /// The text.
        text: PeerText,
        /// The text in small letters.
        instead: PeerText,
    },
    /// A namespace that Kubernetes would not create.
    #[error(
        "`{0}` is in no namespace: a namespace is 1 to 63 of `a` to `z`, `0` to `9` and `-`, and \
         begins and ends with a letter or a digit"
    )]
    Namespace(PeerText),
    /// A service account that Kubernetes would not create.
    #[error(
        "`{0}` is no service account: a name is 1 to 253 of `a` to `z`, `0` to `9`, `-` and `.`, \
         and each part between dots begins and ends with a letter or a digit"
    )]
    Name(PeerText),
}

impl FromStr for AllowedServiceAccount {
    type Err = MalformedServiceAccount;

    /// # Errors
    /// Unless there is exactly one colon, with a namespace before it and the
    /// name of a service account behind it, as Kubernetes admits them.
    fn from_str(text: &str) -> Result<Self, MalformedServiceAccount> {
        let shown = PeerText::new(text);
        if text.chars().any(matches_nothing) {
            return Err(MalformedServiceAccount::Blank(shown));
        }
        if text.contains(['*', '?']) {
            return Err(MalformedServiceAccount::Pattern(shown));
        }
        let (namespace, name) = match text.split_once(':') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains(':') =>
            {
                (namespace, name)
            }
            _ => return Err(MalformedServiceAccount::Form(shown)),
        };
        if text.contains(|c: char| c.is_ascii_uppercase()) {
            return Err(MalformedServiceAccount::Capital {
                text: shown,
                instead: PeerText::new(&text.to_ascii_lowercase()),
            });
        }
        if namespace.len() > MAX_NAMESPACE || !is_label(namespace) {
            return Err(MalformedServiceAccount::Namespace(shown));
        }
        if !is_object_name(name) {
            return Err(MalformedServiceAccount::Name(shown));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Whether no name of Kubernetes has the character, and nobody sees that it is
/// there.
fn matches_nothing(character: char) -> bool {
    character.is_whitespace() || character.is_control() || is_unseen(character)
}

impl fmt::Display for AllowedServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<AllowedServiceAccount>()
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_kubernetes_admits_is_read() {
        for good in [
            "spire:spire-agent",
            "a:b",
            "0-9:x.y-z.0",
            &format!("{}:{}", "n".repeat(63), "a".repeat(253)),
        ] {
            let read: AllowedServiceAccount = good.parse().unwrap();
            assert_eq!(read.to_string(), good);
            let (namespace, name) = good.split_once(':').unwrap();
            assert!(read.is(namespace, name));
        }
    }

    #[test]
    fn a_service_account_is_a_pair() {
        let account: AllowedServiceAccount = "spire:spire-agent".parse().unwrap();
        assert!(account.is("spire", "spire-agent"));
        assert!(!account.is("spire", "spire-agent2"));
        assert!(!account.is("spire:spire-agent", ""));
        assert!(!account.is("", "spire:spire-agent"));
    }

    #[test]
    fn what_can_be_nobody_is_refused_with_the_fix() {
        for text in [
            "",
            ":",
            "spire",
            "spire:",
            ":agent",
            "a:b:c",
            "a::b",
            "system:serviceaccount:a:b",
        ] {
            assert_eq!(
                refusal(text),
                format!("`{text}` is not a service account in the form `namespace:name`")
            );
        }
        for text in ["spire:*", "*:*", "*", "spi?e:agent", "spire:agent-*"] {
            assert_eq!(
                refusal(text),
                format!(
                    "`{text}` is no service account: patterns are not supported, list each \
                     service account"
                )
            );
        }
        for text in [
            "spire: agent",
            " spire:agent",
            "spire:agent\n",
            "spire:agent\u{7f}",
            "spire:agent\u{a0}",
            "\u{feff}spire:agent",
            "spire:*\u{200b}",
        ] {
            assert_eq!(
                refusal(text),
                format!(
                    "`{}` is no service account: it has a blank or an unprintable character, \
                     remove it",
                    PeerText::new(text)
                )
            );
        }
        assert_eq!(
            refusal("Spire:spire-Agent"),
            "`Spire:spire-Agent` is no service account: names have no capital letters, write \
             `spire:spire-agent`"
        );
        for text in [
            "-spire:agent",
            "spire-:agent",
            "my.ns:agent",
            "sp_ire:agent",
            "sp\u{fc}re:agent",
            &format!("{}:agent", "n".repeat(64)),
        ] {
            assert!(
                refusal(text).ends_with(
                    "` is in no namespace: a namespace is 1 to 63 of `a` to `z`, `0` to `9` and \
                     `-`, and begins and ends with a letter or a digit"
                ),
                "{text}"
            );
        }
        for text in [
            "spire:-agent",
            "spire:agent.",
            "spire:a..b",
            "spire:a/b",
            &format!("spire:{}", "a".repeat(254)),
        ] {
            assert!(
                refusal(text).ends_with(
                    "` is no service account: a name is 1 to 253 of `a` to `z`, `0` to `9`, `-` \
                     and `.`, and each part between dots begins and ends with a letter or a digit"
                ),
                "{text}"
            );
        }
    }
}
