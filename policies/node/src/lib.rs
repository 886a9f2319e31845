//! `node`: names a machine by the Kubernetes node that its token is bound to.
//!
//! Decides between the node's UID and its name. Trusts that the host verified
//! the token that carries both.

use nameplate_guest::{Denial, Derivation, Facts, Settings, Subject, selectors};
use serde::Deserialize;

/// What an operator may set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Naming {
    /// Which of the node's identifiers becomes the name.
    pub by: By,
    /// Which of the Kubernetes selectors to give out.
    pub selectors: selectors::Keep,
}

/// What of a node becomes the name.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Its UID: a replaced machine has another name.
    #[default]
    Uid,
    /// Its name: a machine replaced under its name inherits the ID.
    Name,
}

impl Settings for Naming {}

/// The path `<cluster>/<node UID>` or `<cluster>/<node name>`.
///
/// # Errors
/// `needs-service-account` for a certificate, `no-node` where the token proves
/// no node, or not the part of it that was asked for.
pub fn derive(naming: &Naming, facts: &Facts) -> Result<Derivation, Denial> {
    let Subject::ServiceAccount(account) = &facts.subject else {
        return Err(Denial::new(
            "needs-service-account",
            "a certificate proves no node that this policy reads",
        ));
    };
    let node = account
        .node
        .as_ref()
        .ok_or_else(|| Denial::new("no-node", "the token is not bound to a node"))?;
    let name = match naming.by {
        By::Uid => node
            .uid
            .as_ref()
            .ok_or_else(|| Denial::new("no-node", "the token names its node without a UID"))?,
        By::Name => &node.name,
    };
    Ok(Derivation {
        path: vec![account.cluster.clone(), name.clone()],
        selectors: selectors::spire(facts, &naming.selectors),
    })
}

nameplate_guest::export!(derive, settings = Naming);

#[cfg(test)]
mod tests {
    use nameplate_guest::{Node, ServiceAccount, testing};

    use super::*;

    const BY_NAME: Naming = Naming {
        by: By::Name,
        selectors: selectors::Keep::NONE,
    };

    #[test]
    fn a_machine_is_named_by_uid_or_by_name() {
        let facts = testing::facts(testing::bound_token());
        let path = derive(&Naming::default(), &facts).unwrap().path;
        assert_eq!(path, ["production", "e4b7c1a9-0d52-4f83-a6e1-9b8c7d6e5f40"]);
        let path = derive(&BY_NAME, &facts).unwrap().path;
        assert_eq!(path, ["production", "node-7"]);
    }

    #[test]
    fn without_a_node_there_is_no_name() {
        let facts = testing::facts(ServiceAccount {
            node: None,
            ..testing::bound_token()
        });
        assert_eq!(
            derive(&Naming::default(), &facts).unwrap_err().code,
            "no-node"
        );
        assert_eq!(derive(&BY_NAME, &facts).unwrap_err().code, "no-node");
    }

    #[test]
    fn a_node_without_a_uid_has_a_name_only() {
        let facts = testing::facts(ServiceAccount {
            node: Some(Node {
                uid: None,
                ..testing::node()
            }),
            ..testing::bound_token()
        });
        assert_eq!(
            derive(&Naming::default(), &facts).unwrap_err().code,
            "no-node"
        );
        assert_eq!(
            derive(&BY_NAME, &facts).unwrap().path,
            ["production", "node-7"]
        );
    }

    #[test]
    fn a_certificate_is_denied() {
        let facts = testing::facts(testing::certificate());
        let denial = derive(&Naming::default(), &facts).unwrap_err();
        assert_eq!(denial.code, "needs-service-account");
    }
}
