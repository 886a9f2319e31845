//! SPIFFE IDs, by the letter of the SPIFFE-ID standard.
//!
//! Stricter than most parsers, as SPIRE is: nothing is lower-cased, decoded
//! or cleaned on the way in, so two IDs are equal exactly when their bytes are.

use std::fmt;
use std::str::FromStr;

/// Most bytes of a whole SPIFFE ID (SPIFFE-ID §2.3).
pub const MAX_ID_BYTES: usize = 2048;

/// Most bytes of a trust domain name (SPIFFE-ID §2.1).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// Name of a trust domain (SPIFFE-ID §2.1), such as `example.org`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The bare name, without scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    /// Reads a bare name; a URI is refused.
    fn from_str(name: &str) -> Result<Self, SpiffeIdError> {
        if name.is_empty() {
            return Err(SpiffeIdError::NoTrustDomain);
        }
        if name.len() > MAX_TRUST_DOMAIN_BYTES {
            return Err(SpiffeIdError::TrustDomainTooLong { bytes: name.len() });
        }
        let valid =
            |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'-' | b'_');
        if !name.bytes().all(valid) {
            return Err(SpiffeIdError::TrustDomainCharacter);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One segment of the path of a SPIFFE ID (SPIFFE-ID §2.2).
///
/// Made of `A`-`Z`, `a`-`z`, `0`-`9`, `.`, `-` and `_`; never empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct PathSegment(String);

impl PathSegment {
    /// The segment, without slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether `text` is a segment.
    ///
    /// # Errors
    /// The rule that `text` breaks.
    pub(crate) fn accepts(text: &str) -> Result<(), SpiffeIdError> {
        if text.is_empty() {
            return Err(SpiffeIdError::EmptySegment);
        }
        if matches!(text, "." | "..") {
            return Err(SpiffeIdError::DotSegment);
        }
        let valid = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        if !text.bytes().all(valid) {
            return Err(SpiffeIdError::SegmentCharacter);
        }
        Ok(())
    }
}

impl TryFrom<String> for PathSegment {
    type Error = SpiffeIdError;

    fn try_from(text: String) -> Result<Self, SpiffeIdError> {
        Self::accepts(&text)?;
        Ok(Self(text))
    }
}

impl FromStr for PathSegment {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for PathSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SPIFFE ID: `spiffe://<trust domain>/<segment>/…` (SPIFFE-ID §2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct SpiffeId(String);

impl SpiffeId {
    /// The ID as a URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Puts an agent's ID together from checked parts. Its length is not
    /// bounded here: the caller's bound is narrower than the standard's.
    pub(crate) fn below(
        trust_domain: &TrustDomain,
        prefix: [&str; 2],
        attestor: &PathSegment,
        path: &[PathSegment],
    ) -> Self {
        let mut id = String::with_capacity(192);
        id.push_str("spiffe://");
        id.push_str(trust_domain.as_str());
        let path = path.iter().map(PathSegment::as_str);
        for segment in prefix.into_iter().chain([attestor.as_str()]).chain(path) {
            id.push('/');
            id.push_str(segment);
        }
        Self(id)
    }

    /// Segments of the path, in order; none for the trust domain's own ID.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(3)
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        if text.is_empty() {
            return Err(SpiffeIdError::Empty);
        }
        if text.len() > MAX_ID_BYTES {
            return Err(SpiffeIdError::TooLong { bytes: text.len() });
        }
        let rest = text
            .strip_prefix("spiffe://")
            .ok_or(SpiffeIdError::Scheme)?;
        let (name, path) = match rest.split_once('/') {
            Some((name, path)) => (name, Some(path)),
            None => (rest, None),
        };
        name.parse::<TrustDomain>()?;
        if let Some(path) = path {
            let (body, last) = match path.rsplit_once('/') {
                Some((body, last)) => (Some(body), last),
                None => (None, path),
            };
            body.into_iter()
                .flat_map(|body| body.split('/'))
                .try_for_each(PathSegment::accepts)?;
            if last.is_empty() {
                return Err(SpiffeIdError::TrailingSlash);
            }
            PathSegment::accepts(last)?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rule of the SPIFFE-ID standard that a text breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// No text at all.
    #[error("a SPIFFE ID cannot be empty")]
    Empty,
    /// Not `spiffe://` in lower case.
    #[error("the scheme is not `spiffe://`")]
    Scheme,
    /// The trust domain is empty.
    #[error("the trust domain is missing")]
    NoTrustDomain,
    /// A character outside `a`-`z`, `0`-`9`, `.`, `-`, `_`.
    #[error("a trust domain is made of lower-case letters, digits, `.`, `-` and `_`")]
    TrustDomainCharacter,
    /// Longer than [`MAX_TRUST_DOMAIN_BYTES`].
    #[error("the trust domain has {bytes} bytes, at most {MAX_TRUST_DOMAIN_BYTES} are allowed")]
    TrustDomainTooLong {
        /// Length found.
        bytes: usize,
    },
    /// A path segment without characters.
    #[error("a path segment may not be empty")]
    EmptySegment,
    /// `.` or `..` as a segment.
    #[error("a path segment may not be `.` or `..`, which stand for another path")]
    DotSegment,
    /// A character outside `A`-`Z`, `a`-`z`, `0`-`9`, `.`, `-`, `_`.
    #[error("a path segment is made of letters, digits, `.`, `-` and `_`")]
    SegmentCharacter,
    /// The path ends in a slash.
    #[error("the path ends in a slash")]
    TrailingSlash,
    /// Longer than [`MAX_ID_BYTES`].
    #[error("the SPIFFE ID has {bytes} bytes, at most {MAX_ID_BYTES} are allowed")]
    TooLong {
        /// Length found.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SpiffeId, SpiffeIdError> {
        text.parse()
    }

    #[test]
    fn good_ids_read_back_as_they_are() {
        for id in [
            "spiffe://trustdomain",
            "spiffe://trust-domain_1.example/path",
            "spiffe://td/spire/agent/k8s_sat/production/A.b-c_0",
            "spiffe://td/.../..path/.path",
        ] {
            assert_eq!(parse(id).map(|id| id.to_string()), Ok(id.to_owned()));
        }
        let id = parse("spiffe://td/a/b").unwrap();
        assert_eq!(id.segments().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(parse("spiffe://td").unwrap().segments().count(), 0);
    }

    #[test]
    fn each_rule_has_its_error() {
        use SpiffeIdError as E;
        for (id, error) in [
            ("", E::Empty),
            ("s", E::Scheme),
            ("spiffe:/", E::Scheme),
            ("Spiffe://td", E::Scheme),
            ("https://td", E::Scheme),
            ("spiffe://", E::NoTrustDomain),
            ("spiffe:///", E::NoTrustDomain),
            ("spiffe:///path", E::NoTrustDomain),
            ("spiffe://TD/path", E::TrustDomainCharacter),
            ("spiffe://td:443/path", E::TrustDomainCharacter),
            ("spiffe://user@td/path", E::TrustDomainCharacter),
            ("spiffe://%62%61%64/path", E::TrustDomainCharacter),
            ("spiffe://td/", E::TrailingSlash),
            ("spiffe://td/path/", E::TrailingSlash),
            ("spiffe://td//", E::EmptySegment),
            ("spiffe://td//path", E::EmptySegment),
            ("spiffe://td/path//other", E::EmptySegment),
            ("spiffe://td/.", E::DotSegment),
            ("spiffe://td/..", E::DotSegment),
            ("spiffe://td/path/../other", E::DotSegment),
            ("spiffe://td/./path", E::DotSegment),
            ("spiffe://td/%62%61%64", E::SegmentCharacter),
            ("spiffe://td/path?query", E::SegmentCharacter),
            ("spiffe://td/path#fragment", E::SegmentCharacter),
            ("spiffe://td/a b", E::SegmentCharacter),
            ("spiffe://td/a:b", E::SegmentCharacter),
            ("spiffe://td/ä", E::SegmentCharacter),
        ] {
            assert_eq!(parse(id), Err(error), "{id}");
        }
    }

    #[test]
    fn every_byte_is_decided_as_the_standard_says() {
        for byte in 0..=127u8 {
            let character = char::from(byte);
            let segment = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let trust_domain = segment && !byte.is_ascii_uppercase();
            let in_path = format!("spiffe://td/a{character}b");
            // A slash ends a segment, it is not a character of one.
            assert_eq!(parse(&in_path).is_ok(), segment || byte == b'/', "{byte}");
            let in_name = format!("a{character}b").parse::<TrustDomain>();
            assert_eq!(in_name.is_ok(), trust_domain, "{byte}");
        }
    }

    #[test]
    fn lengths_are_exact() {
        let name = "a".repeat(MAX_TRUST_DOMAIN_BYTES);
        assert!(name.parse::<TrustDomain>().is_ok());
        assert_eq!(
            format!("{name}a").parse::<TrustDomain>(),
            Err(SpiffeIdError::TrustDomainTooLong { bytes: 256 })
        );
        let id = format!("spiffe://td/{}", "a".repeat(MAX_ID_BYTES - 12));
        assert!(parse(&id).is_ok());
        assert_eq!(
            parse(&format!("{id}a")),
            Err(SpiffeIdError::TooLong { bytes: 2049 })
        );
    }
}
