//! `thumbprint`: names by the digest of a certificate or of a token.
//!
//! Decides whose digest. Trusts that the host computed all of them: over the
//! authority's certificate, the peer's own, or its token as presented.

use nameplate_guest::{
    Certificate, Denial, Derivation, Facts, ServiceAccount, Settings, Subject, selectors,
};
use serde::Deserialize;

/// What an operator may set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Naming {
    /// Whose digest it is.
    pub source: Source,
    /// Which of the selectors to give out.
    pub selectors: Option<selectors::Keep>,
}

/// What the digest is taken of.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The authority's certificate: one name for all that it signed for.
    #[default]
    Ca,
    /// The token: a name for as long as the token is presented.
    Token,
    /// The peer's certificate: a name for as long as it has that one.
    Leaf,
    /// The same by SHA-1, and alone in the path: SPIRE's `x509pop`.
    Fingerprint,
}

impl Settings for Naming {}

impl Naming {
    /// Who names certificates by their authority says which that is, too. What
    /// SPIRE named keeps SPIRE's selectors.
    fn kept(&self, facts: &Facts) -> selectors::Keep {
        match (self.selectors, self.source, &facts.subject) {
            (Some(kept), _, _) => kept,
            (None, Source::Ca, Subject::Certificate(_)) => selectors::Keep::WITH_CA_THUMBPRINT,
            (None, _, _) => selectors::Keep::default(),
        }
    }
}

/// The path `<cluster>/<SHA-256>`, without the cluster where there is none.
///
/// # Errors
/// `needs-service-account` or `needs-certificate` where the subject has no such
/// digest, `no-ca-thumbprint` where the operator configured no CA certificate
/// for the cluster.
pub fn derive(naming: &Naming, facts: &Facts) -> Result<Derivation, Denial> {
    let (cluster, digest) = match &facts.subject {
        Subject::ServiceAccount(account) => {
            (Some(&account.cluster), of_token(naming.source, account)?)
        }
        Subject::Certificate(certificate) => {
            let digest = of_certificate(naming.source, certificate)?;
            // SPIRE's has nothing before it.
            let cluster = certificate.cluster.as_ref();
            (
                cluster.filter(|_| naming.source != Source::Fingerprint),
                digest,
            )
        }
    };
    Ok(Derivation {
        path: cluster.into_iter().chain([digest]).cloned().collect(),
        selectors: selectors::spire(facts, &naming.kept(facts)),
    })
}

fn of_token(source: Source, account: &ServiceAccount) -> Result<&String, Denial> {
    match source {
        Source::Ca => account.cluster_thumbprint.as_ref().ok_or_else(|| {
            Denial::new(
                "no-ca-thumbprint",
                "no CA certificate is configured for the cluster",
            )
        }),
        Source::Token => Ok(&account.token_sha256),
        Source::Leaf | Source::Fingerprint => Err(Denial::new(
            "needs-certificate",
            "a service account proves itself without a certificate of its own",
        )),
    }
}

fn of_certificate(source: Source, certificate: &Certificate) -> Result<&String, Denial> {
    match source {
        Source::Ca => match certificate.authorities.first() {
            Some(authority) => Ok(&authority.sha256),
            None => Err(Denial::new(
                "no-ca-thumbprint",
                "no authority of the certificate is known",
            )),
        },
        Source::Token => Err(Denial::new(
            "needs-service-account",
            "a certificate comes without a token",
        )),
        Source::Leaf => Ok(&certificate.sha256),
        Source::Fingerprint => Ok(&certificate.sha1),
    }
}

nameplate_guest::export!(derive, settings = Naming);

#[cfg(test)]
mod tests {
    use nameplate_guest::testing;

    use super::*;

    const TOKEN: Naming = Naming {
        source: Source::Token,
        selectors: Some(selectors::Keep::NONE),
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
    fn a_certificate_has_its_own_digests_and_its_authoritys() {
        let mut certificate = testing::certificate();
        let naming = |source| Naming {
            source,
            selectors: Some(selectors::Keep::NONE),
        };
        let path = |certificate: &Certificate, source| {
            derive(&naming(source), &testing::facts(certificate.clone())).map(|named| named.path)
        };
        assert_eq!(path(&certificate, Source::Ca).unwrap(), ["4".repeat(64)]);
        assert_eq!(path(&certificate, Source::Leaf).unwrap(), ["2".repeat(64)]);
        let fingerprint = ["1".repeat(40)];
        assert_eq!(
            path(&certificate, Source::Fingerprint).unwrap(),
            fingerprint
        );
        let denied =
            |certificate: &Certificate, source| path(certificate, source).unwrap_err().code;
        assert_eq!(denied(&certificate, Source::Token), "needs-service-account");

        certificate.cluster = Some("production".into());
        let of_cluster = ["production".to_owned(), "2".repeat(64)];
        assert_eq!(path(&certificate, Source::Leaf).unwrap(), of_cluster);
        assert_eq!(
            path(&certificate, Source::Fingerprint).unwrap(),
            fingerprint
        );
        certificate.authorities.clear();
        assert_eq!(denied(&certificate, Source::Ca), "no-ca-thumbprint");

        let facts = testing::facts(testing::bound_token());
        for source in [Source::Leaf, Source::Fingerprint] {
            let denial = derive(&naming(source), &facts).unwrap_err();
            assert_eq!(denial.code, "needs-certificate");
        }
    }
}
