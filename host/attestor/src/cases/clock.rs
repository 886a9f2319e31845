//! Times as cases state them: `2026-01-01T00:00:00Z`, whole seconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::time::{Duration, SystemTime};

/// A moment, in whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// 2026-01-01T00:00:00Z, when evidence of cases is verified unless they
    /// say otherwise: the time of the guest crate's sample facts.
    pub const USUAL: Self = Self(1_767_225_600);

    /// 9999-12-31T23:59:59Z: no certificate is valid for longer, and RFC 3339
    /// has no year after it.
    const LAST: Self = Self(253_402_300_799);

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// As the system's time.
    pub fn system(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0)
    }

    pub(super) fn before(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    pub(super) fn after(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds)).min(Self::LAST)
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self::USUAL
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(self.system()).fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .ok()
            // RFC 3339 begins with the year 0, and so does no certificate.
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .map(|since| Self(since.as_secs()))
            .ok_or_else(|| {
                de::Error::custom(format_args!(
                    "`{text}` is not a time after 1970 such as 2026-01-01T00:00:00Z"
                ))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_text_with_a_zone() {
        let moment: Moment = serde_json::from_str(r#""2026-01-01T00:00:00Z""#).unwrap();
        assert_eq!(moment, Moment::USUAL);
        assert_eq!(
            serde_json::to_string(&moment.after(59)).unwrap(),
            r#""2026-01-01T00:00:59Z""#
        );
        let error = serde_json::from_str::<Moment>(r#""2026-01-01 00:00""#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`2026-01-01 00:00` is not a time after 1970 such as 2026-01-01T00:00:00Z"
        );
    }
}
