//! The registered claims of a signed token (RFC 7519 §4.1).
//!
//! Trusts that a key of the cluster signed these bytes, and no more: a claim
//! of the wrong type is an error and never taken for absent, and what the
//! operator configured is required to be there.

use std::time::Duration;

use crate::difference::Difference;
use crate::error::TokenError;
use crate::json::{Json, Object};
use crate::peer_text::PeerText;

/// The last second of the year 9999. A later time is a mistake or an attempt
/// to overflow someone's arithmetic.
const LAST_SECOND: u64 = 253_402_300_799;

/// The claims of a token, read but not yet held against anything.
#[derive(Debug)]
pub(crate) struct Claims<'a> {
    object: Object<'a>,
    issuer: Option<String>,
    audiences: Vec<String>,
    token_id: Option<String>,
    expires_at: Option<u64>,
    not_before: Option<u64>,
    issued_at: Option<u64>,
}

/// Times that contain the time of verification.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ValidTimes {
    pub(crate) issued_at: Option<u64>,
    pub(crate) expires_at: Option<u64>,
}

/// How strictly a token's times are held against the clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeRules {
    /// How far clocks may differ.
    pub(crate) leeway: Duration,
    /// Whether a token may be without `exp`.
    pub(crate) allow_unexpiring: bool,
}

impl<'a> Claims<'a> {
    /// Reads the JSON text of claims. Every registered claim that is there
    /// must be well formed, whether it is needed or not.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, TokenError> {
        let object =
            Object::parse(bytes).map_err(|source| TokenError::ClaimsMalformed { source })?;
        Ok(Self {
            expires_at: numeric_date(&object, "exp")?,
            not_before: numeric_date(&object, "nbf")?,
            issued_at: numeric_date(&object, "iat")?,
            issuer: text(object.get("iss"), "iss")?,
            audiences: audiences(&object)?,
            token_id: text(object.get("jti"), "jti")?,
            object,
        })
    }

    /// Every claim, for what Kubernetes adds to the registered ones.
    pub(crate) fn object(&self) -> &Object<'a> {
        &self.object
    }

    /// `jti` (RFC 7519 §4.1.7).
    pub(crate) fn token_id(&mut self) -> Option<String> {
        self.token_id.take()
    }

    /// Holds `sub` (RFC 7519 §4.1.2) against the account that the claims of
    /// Kubernetes name: an API server writes both, so they agree.
    pub(crate) fn about(&self, namespace: &str, name: &str) -> Result<(), TokenError> {
        let subject = text(self.object.get("sub"), "sub")?;
        let account = subject
            .as_deref()
            .and_then(|subject| subject.strip_prefix("system:serviceaccount:"))
            .and_then(|account| account.split_once(':'));
        if account == Some((namespace, name)) {
            Ok(())
        } else {
            Err(TokenError::SubjectMismatch)
        }
    }

    /// Holds the times against `now`, the time since 1970.
    ///
    /// Times have a resolution of one second and `now` has a finer one: a
    /// token is expired from the beginning of the second `exp` on.
    pub(crate) fn valid_at(
        &self,
        now: Duration,
        rules: TimeRules,
    ) -> Result<ValidTimes, TokenError> {
        let leeway = rules.leeway.as_secs();
        let latest = now.saturating_add(rules.leeway);
        // §4.1.4: "the current date/time MUST be before" it.
        match self.expires_at {
            Some(expires_at) => {
                let expires_at = Duration::from_secs(expires_at);
                if now >= expires_at.saturating_add(rules.leeway) {
                    let seconds = now.saturating_sub(expires_at).as_secs();
                    return Err(TokenError::Expired { seconds, leeway });
                }
            }
            None if rules.allow_unexpiring => {}
            None => return Err(TokenError::NeverExpires),
        }
        // §4.1.5: "the current date/time MUST be after or equal to" it.
        if let Some(seconds) = self
            .not_before
            .and_then(|time| seconds_until(time, now, latest))
        {
            return Err(TokenError::NotYetValid { seconds, leeway });
        }
        // §4.1.6 asks for nothing; SPIRE refuses, and a token from the future
        // says that one of two clocks is wrong.
        if let Some(seconds) = self
            .issued_at
            .and_then(|time| seconds_until(time, now, latest))
        {
            return Err(TokenError::IssuedInFuture { seconds, leeway });
        }
        Ok(ValidTimes {
            issued_at: self.issued_at,
            expires_at: self.expires_at,
        })
    }

    /// `iss` (RFC 7519 §4.1.1), which is `expected` where that is configured.
    pub(crate) fn issued_by(
        &mut self,
        expected: Option<&str>,
    ) -> Result<Option<String>, TokenError> {
        match (expected, self.issuer.take()) {
            (None, issuer) => Ok(issuer),
            (Some(_), None) => Err(TokenError::IssuerMissing),
            (Some(expected), Some(issuer)) if issuer == expected => Ok(Some(issuer)),
            (Some(expected), Some(issuer)) => Err(TokenError::IssuerMismatch {
                issuer: PeerText::long(&issuer),
                expected: Difference::between(&issuer, expected),
            }),
        }
    }

    /// `aud` (RFC 7519 §4.1.3), which names one of `expected` where any are
    /// configured.
    pub(crate) fn intended_for(&mut self, expected: &[String]) -> Result<Vec<String>, TokenError> {
        let audiences = std::mem::take(&mut self.audiences);
        if expected.is_empty() || audiences.iter().any(|audience| expected.contains(audience)) {
            return Ok(audiences);
        }
        match Difference::nearest(&audiences, expected) {
            None => Err(TokenError::AudienceMissing),
            Some((audience, nearest)) => Err(TokenError::AudienceMismatch {
                audience: PeerText::long(audience),
                count: audiences.len(),
                nearest: Some(nearest).filter(Difference::says_how),
            }),
        }
    }
}

/// Seconds from `now` until `time`, rounded up, where it lies after `latest`.
fn seconds_until(time: u64, now: Duration, latest: Duration) -> Option<u64> {
    (latest < Duration::from_secs(time)).then(|| time.saturating_sub(now.as_secs()))
}

/// A `NumericDate` (RFC 7519 §2), exact: Kubernetes writes whole seconds, so a
/// fraction, an exponent or a sign is not a rounding question but a forgery or
/// a fault.
fn numeric_date(object: &Object<'_>, claim: &'static str) -> Result<Option<u64>, TokenError> {
    match object.get(claim) {
        None => Ok(None),
        Some(Json::Integer(seconds)) if *seconds <= LAST_SECOND => Ok(Some(*seconds)),
        Some(_) => Err(TokenError::ClaimMalformed {
            claim,
            expected: "a time in whole seconds between 1970 and 9999",
        }),
    }
}

/// `aud`: one string, or an array of them (RFC 7519 §4.1.3).
fn audiences(object: &Object<'_>) -> Result<Vec<String>, TokenError> {
    let malformed = || TokenError::ClaimMalformed {
        claim: "aud",
        expected: "a non-empty string or an array of such",
    };
    let string = |value: &Json<'_>| {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .ok_or_else(malformed)
    };
    match object.get("aud") {
        None => Ok(Vec::new()),
        Some(Json::Array(audiences)) => audiences.iter().map(string).collect(),
        Some(one) => Ok(vec![string(one)?]),
    }
}

/// A string that says something. Facts are absent or not empty, so an empty
/// claim has no place to go.
pub(super) fn text(
    value: Option<&Json<'_>>,
    claim: &'static str,
) -> Result<Option<String>, TokenError> {
    match value {
        None => Ok(None),
        Some(Json::String(text)) if !text.is_empty() => Ok(Some(text.clone().into_owned())),
        Some(_) => Err(TokenError::ClaimMalformed {
            claim,
            expected: "a non-empty string",
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Claims, TimeRules, ValidTimes};
    use crate::error::TokenError;

    fn valid_at(claims: &str, now: Duration, rules: TimeRules) -> Result<ValidTimes, TokenError> {
        Claims::parse(claims.as_bytes())?.valid_at(now, rules)
    }

    /// The answer at `now` seconds, with a leeway of 60 seconds.
    fn at(claims: &str, now: f64) -> Result<ValidTimes, String> {
        let rules = TimeRules {
            leeway: Duration::from_secs(60),
            allow_unexpiring: false,
        };
        valid_at(claims, Duration::from_secs_f64(now), rules).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_expires_at_the_beginning_of_its_second() {
        let claims = r#"{"exp":1000}"#;
        let times = ValidTimes {
            issued_at: None,
            expires_at: Some(1000),
        };
        assert_eq!(at(claims, 1059.999), Ok(times));
        assert_eq!(
            at(claims, 1060.0),
            Err("token expired 60 s ago (leeway 60 s)".to_owned())
        );
        assert_eq!(
            at(r#"{"exp":0}"#, 312.5),
            Err("token expired 312 s ago (leeway 60 s)".into())
        );
    }

    #[test]
    fn a_token_is_valid_from_the_beginning_of_its_second() {
        let claims = r#"{"exp":5000,"nbf":1000}"#;
        assert!(at(claims, 940.0).is_ok());
        assert_eq!(
            at(claims, 939.999),
            Err("token is not valid for another 61 s (leeway 60 s)".to_owned())
        );
    }

    #[test]
    fn a_token_is_not_from_the_future() {
        let claims = r#"{"exp":5000,"iat":1000}"#;
        let times = ValidTimes {
            issued_at: Some(1000),
            expires_at: Some(5000),
        };
        assert_eq!(at(claims, 940.0), Ok(times));
        assert_eq!(
            at(claims, 939.0),
            Err("token was issued 61 s in the future (leeway 60 s)".to_owned())
        );
    }

    #[test]
    fn a_token_expires_unless_the_operator_says_otherwise() {
        let strict = TimeRules {
            leeway: Duration::ZERO,
            allow_unexpiring: false,
        };
        let lenient = TimeRules {
            allow_unexpiring: true,
            ..strict
        };
        let now = Duration::from_secs(1000);
        assert_eq!(
            valid_at("{}", now, strict).unwrap_err().reason(),
            "token_never_expires"
        );
        assert!(valid_at("{}", now, lenient).is_ok());
        // The other times are held against the clock all the same.
        for (claims, reason) in [
            (r#"{"exp":1000}"#, "token_expired"),
            (r#"{"nbf":1001}"#, "token_not_yet_valid"),
            (r#"{"iat":1001}"#, "token_issued_in_future"),
        ] {
            assert_eq!(valid_at(claims, now, lenient).unwrap_err().reason(), reason);
        }
    }

    #[test]
    fn a_time_is_exact_or_malformed() {
        for claim in ["exp", "nbf", "iat"] {
            for bad in [
                "null",
                "true",
                "\"1000\"",
                "1000.0",
                "1e3",
                "-1",
                "-0",
                "[1000]",
                "{}",
                "253402300800",
                "18446744073709551615",
                "18446744073709551616",
                "1e400",
            ] {
                let error = Claims::parse(format!("{{\"{claim}\":{bad}}}").as_bytes()).unwrap_err();
                if bad == "1e400" {
                    assert_eq!(error.reason(), "claims_malformed");
                    continue;
                }
                assert_eq!(
                    error.to_string(),
                    format!("claim `{claim}` is not a time in whole seconds between 1970 and 9999"),
                    "{bad}"
                );
            }
            assert!(Claims::parse(format!("{{\"{claim}\":253402300799}}").as_bytes()).is_ok());
        }
    }

    #[test]
    fn an_issuer_is_held_against_the_configured_one() {
        let issued_by = |claims: &str, expected| {
            Claims::parse(claims.as_bytes())
                .and_then(|mut claims| claims.issued_by(expected))
                .map_err(|error| error.to_string())
        };
        let a = Some("a".to_owned());
        assert_eq!(issued_by(r#"{"iss":"a"}"#, Some("a")), Ok(a.clone()));
        assert_eq!(issued_by(r#"{"iss":"a"}"#, None), Ok(a));
        assert_eq!(issued_by("{}", None), Ok(None));
        assert_eq!(
            issued_by(r#"{"iss":"A"}"#, Some("a")),
            Err(
                "issuer `A` is not the configured `a`, which differs in upper and lower case"
                    .to_owned()
            )
        );
        assert_eq!(
            issued_by("{}", Some("a")),
            Err("token names no issuer (`iss`)".to_owned())
        );
        for bad in ["null", "\"\"", "1", "[\"a\"]", "{}"] {
            for expected in [None, Some("a")] {
                assert_eq!(
                    issued_by(&format!("{{\"iss\":{bad}}}"), expected),
                    Err("claim `iss` is not a non-empty string".to_owned())
                );
            }
        }
    }

    #[test]
    fn an_audience_is_held_against_the_configured_ones() {
        let intended_for = |aud: &str, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(|text| (*text).to_owned()).collect();
            Claims::parse(aud.as_bytes())
                .and_then(|mut claims| claims.intended_for(&expected))
                .map_err(|error| error.to_string())
        };
        let own = |list: &[&str]| Ok(list.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(intended_for(r#"{"aud":"a"}"#, &["b", "a"]), own(&["a"]));
        assert_eq!(
            intended_for(r#"{"aud":["c","a"]}"#, &["a"]),
            own(&["c", "a"])
        );
        assert_eq!(intended_for(r#"{"aud":["c","a"]}"#, &[]), own(&["c", "a"]));
        assert_eq!(intended_for("{}", &[]), own(&[]));
        assert_eq!(
            intended_for(r#"{"aud":["c","d"]}"#, &["a"]),
            Err("token is for audience `c` (of 2), and none of them is configured".to_owned())
        );
        for none in ["{}", r#"{"aud":[]}"#] {
            assert_eq!(
                intended_for(none, &["a"]),
                Err("token names no audience (`aud`)".to_owned())
            );
        }
        for bad in [
            "null",
            "\"\"",
            "1",
            "[\"a\",1]",
            "[\"a\",\"\"]",
            "[[\"a\"]]",
            "{}",
        ] {
            for expected in [&[][..], &["a"]] {
                assert_eq!(
                    intended_for(&format!("{{\"aud\":{bad}}}"), expected),
                    Err("claim `aud` is not a non-empty string or an array of such".to_owned())
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_time_and_no_leeway_overflows(
            now in any::<Duration>(),
            leeway in any::<Duration>(),
            exp in 0..=super::LAST_SECOND,
            nbf in 0..=super::LAST_SECOND,
        ) {
            let rules = TimeRules { leeway, allow_unexpiring: false };
            let valid = valid_at(&format!("{{\"exp\":{exp},\"nbf\":{nbf}}}"), now, rules).is_ok();
            let nanos = |seconds: u64| u128::from(seconds) * 1_000_000_000;
            let expected = now.as_nanos() < nanos(exp) + leeway.as_nanos()
                && now.as_nanos() + leeway.as_nanos() >= nanos(nbf);
            // Beyond what a `Duration` holds the sums stop growing, which
            // happens only for clocks and leeways of 10^11 years.
            prop_assume!(now.checked_add(leeway).is_some());
            prop_assert_eq!(valid, expected);
        }
    }
}
