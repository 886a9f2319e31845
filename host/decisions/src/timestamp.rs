//! Times as a log writes them: RFC 3339, UTC, milliseconds.

use serde::{Deserialize as _, Deserializer, Serializer};
use std::borrow::Cow;
use std::fmt::Display;
use std::time::{Duration, SystemTime};

/// The last second of the year 9999, the end of RFC 3339.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// A time as it is written. One that cannot be is moved to the nearest that can.
pub(crate) fn shown(time: SystemTime) -> impl Display {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since.min(LAST))
}

pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&shown(*time))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
    let text = Cow::<'de, str>::deserialize(from)?;
    humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_written_is_moved() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(shown(before).to_string(), "1970-01-01T00:00:00.000Z");
        let last = "9999-12-31T23:59:59.000Z";
        assert_eq!(shown(at(1 << 40)).to_string(), last);
        assert_eq!(
            shown(at(1_800_000_000)).to_string(),
            "2027-01-15T08:00:00.000Z"
        );
    }
}
