//! Why no path leads to an authority, in words.

use crate::peer_text::PeerText;
use nameplate_words::grouped;
use std::fmt;
use std::time::Duration;
use webpki::Error;

/// Why no path leads from a leaf to an authority, or why looking for one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError(Why);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// The path builder's verdict.
    Builder(Error),
    /// The peer's chain leads to a name of many authorities again and again.
    Crowded { name: PeerText, authorities: usize },
}

impl From<Error> for PathError {
    fn from(error: Error) -> Self {
        Self(Why::Builder(error))
    }
}

impl PathError {
    /// None of the `authorities` called `name` that were tried is the issuer,
    /// and no more are tried for this peer.
    pub(super) fn crowded(name: PeerText, authorities: usize) -> Self {
        Self(Why::Crowded { name, authorities })
    }
}

impl std::error::Error for PathError {}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::Builder(error) => words(error, f),
            Why::Crowded { name, authorities } => write!(
                f,
                "the bundle has {} authorities called `{name}`, and the chain meets \
                 that name too often to try them all",
                grouped(*authorities)
            ),
        }
    }
}

/// What the path builder found, in words for an operator.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most are of revocation lists, which nobody asks for; a new one is shown as it is called"
)]
fn words(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let between = |late: Duration, early: Duration| late.saturating_sub(early).as_secs();
    let text = match error {
        Error::CertExpired { time, not_after } => {
            let (now, end) = (Duration::from_secs(time.as_secs()), not_after.as_secs());
            let seconds = between(now, Duration::from_secs(end));
            return write!(
                f,
                "a certificate of the path expired {} s ago",
                grouped(seconds)
            );
        }
        Error::CertNotValidYet { time, not_before } => {
            let (now, start) = (Duration::from_secs(time.as_secs()), not_before.as_secs());
            let seconds = between(Duration::from_secs(start), now);
            return write!(
                f,
                "a certificate of the path is not valid for another {} s",
                grouped(seconds)
            );
        }
        Error::CaUsedAsEndEntity => {
            "the leaf is the certificate of an authority (`CA:TRUE`), and a peer needs one of its own"
        }
        Error::EndEntityUsedAsCa => "an intermediate is no authority: it is not `CA:TRUE`",
        Error::UnknownIssuer => "its issuer is neither in the bundle nor among the intermediates",
        Error::InvalidSignatureForPublicKey => {
            "an authority has the name of its issuer, and another key than the one that signed it"
        }
        Error::NameConstraintViolation => {
            "an authority may not sign for its names (name constraints)"
        }
        Error::PathLenConstraintViolated => {
            "an authority may not have so many others below it (path length)"
        }
        Error::UnsupportedCriticalExtension => {
            "a certificate has a critical extension that is not known here"
        }
        Error::UnsupportedSignatureAlgorithmContext(_) => {
            "a certificate is signed with an algorithm that is not accepted"
        }
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a certificate is signed with another algorithm than its issuer's key is for"
        }
        Error::UnsupportedCertVersion => "a certificate is not of version 3",
        Error::InvalidCertValidity => "a certificate ends before it begins",
        Error::MaximumSignatureChecksExceeded => {
            "its intermediates can be put together in too many ways: 100 signatures were checked"
        }
        Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => {
            "its intermediates or their name constraints take too many steps"
        }
        other => return write!(f, "a certificate of the path is malformed (`{other:?}`)"),
    };
    f.write_str(text)
}

#[cfg(test)]
mod tests {
    use super::PathError;
    use crate::peer_text::PeerText;
    use rustls_pki_types::UnixTime;
    use std::time::Duration;
    use webpki::Error;

    #[test]
    fn each_is_said_in_words() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (time, not_after, not_before) = (at(90), at(60), at(100));
        for (error, text) in [
            (
                Error::CertExpired { time, not_after },
                "a certificate of the path expired 30 s ago",
            ),
            (
                Error::CertNotValidYet { time, not_before },
                "a certificate of the path is not valid for another 10 s",
            ),
            (
                Error::UnknownIssuer,
                "its issuer is neither in the bundle nor among the intermediates",
            ),
            (
                Error::MalformedExtensions,
                "a certificate of the path is malformed (`MalformedExtensions`)",
            ),
        ] {
            assert_eq!(PathError::from(error).to_string(), text);
        }
        assert_eq!(
            PathError::crowded(PeerText::new("CN=kubernetes"), 1_000).to_string(),
            "the bundle has 1,000 authorities called `CN=kubernetes`, and the chain meets that \
             name too often to try them all"
        );
    }
}
