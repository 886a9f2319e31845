//! `thumbprint`: names by the digest of a key's certificate or of a token.
//!
//! Decides whose digest. Trusts that the host computed both: over the CA
//! certificate that the operator configured, and over the token as presented.

use nameplate_guest::{Denial, Derivation, Facts, Settings, Subject, selectors};
use serde::Deserialize;

/// What an operator may set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Naming {
    /// Whose digest it is.
    pub source: Source,
    /// Which of the Kubernetes selectors to give out.
    pub selectors: selectors::Keep,
}

/// What the digest is taken of.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The cluster's CA certificate: one name for the whole cluster.
    #[default]
    Ca,
    /// The token: a name for as long as the token is presented.
    Token,
}

impl Settings for Naming {}

/// The path `<cluster>/<SHA-256>`.
///
/// # Errors
/// `needs-service-account` for a certificate, `no-ca-thumbprint` where the
/// operator configured no CA certificate for the cluster.
pub fn derive(naming: &Naming, facts: &Facts) -> Result<Derivation, Denial> {
    let Subject::ServiceAccount(account) = &facts.subject else {
        return Err(Denial::new(
            "needs-service-account",
            "a certificate comes with neither of the digests that this policy reads",
        ));
    };
    let digest = match naming.source {
        Source::Ca => account.cluster_thumbprint.as_ref().ok_or_else(|| {
            Denial::new(
                "no-ca-thumbprint",
                "no CA certificate is configured for the cluster",
            )
        })?,
        Source::Token => &account.token_sha256,
    };
    Ok(Derivation {
        path: vec![account.cluster.clone(), digest.clone()],
        selectors: selectors::kubernetes(facts, &naming.selectors),
    })
}

nameplate_guest::export!(derive, settings = Naming);

#[cfg(test)]
mod tests {
    use nameplate_guest::testing;

    use super::*;

    const TOKEN: Naming = Naming {
        source: Source::Token,
        selectors: selectors::Keep::NONE,
    };

    #[test]
    fn the_digest_is_the_authoritys_or_the_tokens() {
        let facts = testing::facts(testing::bound_token());
        let path = derive(&Naming::default(), &facts).unwrap().path;
        assert_eq!(path, ["production", "a".repeat(64).as_str()]);
        let path = derive(&TOKEN, &facts).unwrap().path;
        assert_eq!(path, ["production", "b".repeat(64).as_str()]);
    }

    #[test]
    fn without_a_ca_certificate_only_the_token_has_a_digest() {
        let facts = testing::facts(testing::legacy_token());
        let denial = derive(&Naming::default(), &facts).unwrap_err();
        assert_eq!(denial.code, "no-ca-thumbprint");
        assert!(derive(&TOKEN, &facts).is_ok());
    }

    #[test]
    fn a_certificate_is_denied() {
        let facts = testing::facts(testing::certificate());
        let denial = derive(&Naming::default(), &facts).unwrap_err();
        assert_eq!(denial.code, "needs-service-account");
    }
}
