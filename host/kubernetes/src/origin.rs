//! Which place a URL leads to (RFC 6454 §4): scheme, host and port.
//!
//! Two spellings of one place are equal. A credential for a host goes to that
//! host only, so a place in doubt is another place.

use http::Uri;
use http::uri::Scheme;
use std::net::Ipv6Addr;

/// A place: what RFC 6454 compares, and nothing of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// In lower case, without the dot that ends an absolute name (RFC 1034 §3.1).
    Name(String),
    /// Parsed, since it has several spellings (RFC 4291 §2.2).
    Address(Ipv6Addr),
}

impl Origin {
    /// Where `uri` leads; none where that is in doubt: there is no scheme or
    /// host, a user name before the host, or a port that is none.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let (scheme, authority) = (uri.scheme()?, uri.authority()?);
        if authority.as_str().contains('@') {
            return None;
        }
        let written = authority.as_str().strip_prefix(authority.host())?;
        let port = match written.strip_prefix(':') {
            // RFC 3986 §3.2.3: an empty port is none.
            None | Some("") => default_port(scheme)?,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            Some(_) => return None,
        };
        Some(Self {
            scheme: scheme.clone(),
            host: Host::of(authority.host())?,
            port,
        })
    }
}

impl Host {
    fn of(written: &str) -> Option<Self> {
        let bracketed = written
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(address) = bracketed {
            return address.parse().ok().map(Self::Address);
        }
        let name = written.strip_suffix('.').unwrap_or(written);
        let name = name.to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Name(name))
    }
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;
    use http::Uri;

    fn origin(url: &str) -> Option<Origin> {
        url.parse::<Uri>().ok().as_ref().and_then(Origin::of)
    }

    #[test]
    fn each_spelling_of_a_place_is_that_place() {
        let name = "https://oidc.example.org/a";
        let address = "https://[2001:db8::a]/a";
        for (one, spellings) in [
            (
                name,
                &[
                    "https://oidc.example.org:443/keys",
                    "https://oidc.example.org:/keys",
                    "https://oidc.example.org:0443",
                    "HTTPS://oidc.example.org",
                    "https://OIDC.Example.org",
                    "https://oidc.example.org.",
                    "https://OIDC.example.org.:443/?x=1",
                ][..],
            ),
            (
                address,
                &[
                    "https://[2001:DB8::A]",
                    "https://[2001:db8:0:0:0:0:0:a]:443",
                    "https://[2001:0db8:0000::000a]",
                    "https://[2001:db8::0.0.0.10]",
                ],
            ),
            ("https://10.0.0.1:6443/a", &["https://10.0.0.1:6443"]),
            ("http://h/a", &["http://H:80"]),
        ] {
            let place = origin(one).unwrap();
            for spelling in spellings {
                assert_eq!(origin(spelling).as_ref(), Some(&place), "{spelling}");
            }
        }
    }

    #[test]
    fn what_is_close_to_a_place_is_another() {
        let name = origin("https://oidc.example.org").unwrap();
        for other in [
            "http://oidc.example.org:443",
            "https://oidc.example.org:8443",
            "https://oidc.example.org:4430",
            "https://keys.oidc.example.org",
            "https://example.org",
            "https://oidc.example.org.evil.example",
            "https://oidc-example.org",
            "https://oidc.example.org..",
        ] {
            let other = origin(other);
            assert!(other.is_some_and(|other| other != name));
        }
        let address = origin("https://[2001:db8::a]").unwrap();
        for other in [
            "https://[2001:db8::b]",
            "https://[2001:db8::a]:444",
            "https://[::ffff:10.0.0.1]",
        ] {
            assert!(origin(other).is_some_and(|other| other != address));
        }
        // An address is not another of another version (RFC 4291 §2.5.5.2).
        assert_ne!(
            origin("https://[::ffff:10.0.0.1]"),
            origin("https://10.0.0.1")
        );
    }

    #[test]
    fn what_is_in_doubt_is_no_place() {
        for url in [
            "https://oidc.example.org@evil.example",
            "https://u:p@oidc.example.org",
            "https://oidc.example.org:99999",
            "https://oidc.example.org:+443",
            "https://.",
            "https:///keys",
            "/keys",
            "ftp://oidc.example.org",
            "https://[fe80::1%25eth0]",
        ] {
            assert_eq!(origin(url), None, "{url}");
        }
    }
}
