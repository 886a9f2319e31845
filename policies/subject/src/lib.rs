//! `subject`: names a machine by the proven name of its certificate.
//!
//! Decides which name that is, and where it is cut into segments. Trusts that
//! an authority vouched for the name, but not that it fits into a path: each
//! segment is checked.

use nameplate_guest::{
    AlternativeName, Certificate, Denial, Derivation, Facts, Problem, Settings, Subject, selectors,
};
use serde::Deserialize;

/// What an operator may set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Naming {
    /// Which name of the certificate it is.
    pub from: From,
    /// How the path of an SVID begins that is no part of the name.
    pub prefix: Option<String>,
    /// Which of SPIRE's selectors to give out.
    pub selectors: selectors::Keep,
}

/// Where a name stands in a certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// The common name, cut at colons as Kubernetes writes them.
    #[default]
    CommonName,
    /// The only DNS name.
    Dns,
    /// The path of the SPIFFE ID, behind the prefix.
    Svid,
}

impl Settings for Naming {
    fn problems(&self) -> Vec<Problem> {
        let wrong = match (&self.prefix, self.from) {
            (Some(_), From::CommonName | From::Dns) => "is for `from = \"svid\"` only",
            (Some(prefix), From::Svid) if !prefix.starts_with('/') || !prefix.ends_with('/') => {
                "needs a slash at both ends"
            }
            (Some(_) | None, _) => return Vec::new(),
        };
        vec![Problem::new("/prefix", wrong)]
    }
}

/// The name's segments as the path.
///
/// # Errors
/// `needs-certificate` for a service account, `name-absent` where the
/// certificate has no such name or several, `not-a-segment` where a part of it
/// does not fit into a path.
pub fn derive(naming: &Naming, facts: &Facts) -> Result<Derivation, Denial> {
    let Subject::Certificate(certificate) = &facts.subject else {
        return Err(Denial::new(
            "needs-certificate",
            "a service account has no name in a certificate",
        ));
    };
    let (name, separator) = match naming.from {
        From::CommonName => (certificate.subject.common_name.as_deref(), ':'),
        From::Dns => (only_dns(certificate), '/'),
        From::Svid => (svid_path(certificate, facts, naming), '/'),
    };
    let name = name.ok_or_else(|| {
        Denial::new(
            "name-absent",
            match naming.from {
                From::CommonName => "the certificate has no common name, or several",
                From::Dns => "the certificate has no DNS name, or several",
                From::Svid => "the certificate is no SVID below the prefix",
            },
        )
    })?;
    let path: Vec<String> = name.split(separator).map(str::to_owned).collect();
    if let Some(wrong) = path.iter().find(|segment| !is_segment(segment)) {
        return Err(Denial::new(
            "not-a-segment",
            [
                "`",
                &wrong.escape_default().to_string(),
                "` is not a SPIFFE path segment",
            ]
            .concat(),
        ));
    }
    Ok(Derivation {
        path,
        selectors: selectors::spire(facts, &naming.selectors),
    })
}

fn only_dns(certificate: &Certificate) -> Option<&str> {
    only(certificate, |name| match name {
        AlternativeName::Dns(name) => Some(name),
        AlternativeName::Uri(_) | AlternativeName::Ip(_) | AlternativeName::Email(_) => None,
    })
}

/// An SVID has one URI (X509-SVID §2). The host has proven its trust domain
/// where SVIDs are evidence; here a foreign one has no name.
fn svid_path<'f>(certificate: &'f Certificate, facts: &Facts, naming: &Naming) -> Option<&'f str> {
    let uri = only(certificate, |name| match name {
        AlternativeName::Uri(uri) => Some(uri),
        AlternativeName::Dns(_) | AlternativeName::Ip(_) | AlternativeName::Email(_) => None,
    })?;
    uri.strip_prefix("spiffe://")?
        .strip_prefix(facts.trust_domain.as_str())?
        .strip_prefix(naming.prefix.as_deref().unwrap_or("/"))
}

fn only(
    certificate: &Certificate,
    kind: impl Fn(&AlternativeName) -> Option<&String>,
) -> Option<&str> {
    let mut names = certificate.alternative_names.iter().filter_map(kind);
    match (names.next(), names.next()) {
        (Some(name), None) => Some(name),
        (_, _) => None,
    }
}

/// Whether `segment` may stand in a SPIFFE ID's path (SPIFFE-ID §2.2).
fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

nameplate_guest::export!(derive, settings = Naming);

#[cfg(test)]
mod tests {
    use core::slice;

    use nameplate_guest::testing;

    use super::*;

    fn named(from: From, prefix: Option<&str>, certificate: Certificate) -> Result<String, String> {
        let naming = Naming {
            from,
            prefix: prefix.map(str::to_owned),
            selectors: selectors::Keep::NONE,
        };
        derive(&naming, &testing::facts(certificate))
            .map(|named| named.path.join("/"))
            .map_err(|denial| denial.code)
    }

    fn called(name: &str) -> Certificate {
        let mut certificate = testing::certificate();
        certificate.subject.common_name = Some(name.into());
        certificate
    }

    fn with(names: &[AlternativeName]) -> Certificate {
        let mut certificate = testing::certificate();
        certificate.alternative_names = names.to_vec();
        certificate
    }

    #[test]
    fn a_common_name_is_cut_at_colons() {
        let name = |text| named(From::CommonName, None, called(text));
        assert_eq!(name("db-3.example.org").unwrap(), "db-3.example.org");
        assert_eq!(name("system:node:node-7").unwrap(), "system/node/node-7");
        for wrong in [
            "",
            "system:node:",
            "system:node:..",
            "a:.:b",
            "a/b",
            "a b",
            "\u{e4}",
        ] {
            assert_eq!(name(wrong).unwrap_err(), "not-a-segment", "{wrong}");
        }
        let mut nameless = testing::certificate();
        nameless.subject.common_name = None;
        let denied = named(From::CommonName, None, nameless).unwrap_err();
        assert_eq!(denied, "name-absent");
    }

    #[test]
    fn a_dns_name_is_the_only_one() {
        let name = |text: &str| AlternativeName::Dns(text.into());
        let of = |names: &[AlternativeName]| named(From::Dns, None, with(names));
        assert_eq!(of(&[name("a.example.org")]).unwrap(), "a.example.org");
        assert_eq!(of(&[name("*.example.org")]).unwrap_err(), "not-a-segment");
        assert_eq!(of(&[name("a"), name("b")]).unwrap_err(), "name-absent");
        assert_eq!(of(&[]).unwrap_err(), "name-absent");
    }

    #[test]
    fn an_svid_is_named_by_its_path_below_the_prefix() {
        let uri = |text: &str| AlternativeName::Uri(text.into());
        let of = |prefix, names: &[AlternativeName]| named(From::Svid, prefix, with(names));
        let svid = uri("spiffe://example.org/spire-exchange/rack/7");
        assert_eq!(
            of(Some("/spire-exchange/"), slice::from_ref(&svid)).unwrap(),
            "rack/7"
        );
        assert_eq!(
            of(None, slice::from_ref(&svid)).unwrap(),
            "spire-exchange/rack/7"
        );
        for (prefix, names, code) in [
            (Some("/other/"), vec![svid.clone()], "name-absent"),
            (
                Some("/spire-exchange/rack/7/"),
                vec![svid.clone()],
                "name-absent",
            ),
            (None, vec![svid.clone(), svid], "name-absent"),
            (
                None,
                vec![uri("spiffe://example.org.evil/a")],
                "name-absent",
            ),
            (None, vec![uri("https://example.org/a")], "name-absent"),
            (None, vec![uri("spiffe://example.org/")], "not-a-segment"),
            (
                None,
                vec![uri("spiffe://example.org/a/../b")],
                "not-a-segment",
            ),
        ] {
            assert_eq!(of(prefix, &names).unwrap_err(), code, "{names:?}");
        }
    }

    #[test]
    fn a_service_account_is_denied() {
        let facts = testing::facts(testing::bound_token());
        let denial = derive(&Naming::default(), &facts).unwrap_err();
        assert_eq!(denial.code, "needs-certificate");
    }

    #[test]
    fn a_prefix_is_for_svids_and_has_two_slashes() {
        let problems = |from, prefix: &str| {
            let naming = Naming {
                from,
                prefix: Some(prefix.into()),
                selectors: selectors::Keep::NONE,
            };
            naming.problems().len()
        };
        assert_eq!(problems(From::Svid, "/a/"), 0);
        assert_eq!(problems(From::Svid, "/"), 0);
        assert_eq!(problems(From::Svid, "/a"), 1);
        assert_eq!(problems(From::Svid, "a/"), 1);
        assert_eq!(problems(From::Dns, "/a/"), 1);
    }
}
