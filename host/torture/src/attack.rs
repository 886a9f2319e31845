//! An attack, what has to stop it, and what came of it.

use serde::Serialize;
use std::time::Duration;

/// What an attack is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// A component, at one of the limits.
    Limit,
    /// A component, at what it may be or do.
    Component,
    /// A component, at the envelope.
    Envelope,
    /// A token.
    Token,
    /// A certificate, or the proof of its key.
    Certificate,
}

impl Group {
    /// Its name, as reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Component => "component",
            Self::Envelope => "envelope",
            Self::Token => "token",
            Self::Certificate => "certificate",
        }
    }
}

/// What has to come of an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// One of these stops it.
    Stopped(Vec<&'static str>),
    /// Anything but harm: it may even answer, inside the envelope.
    Harmless,
    /// It is no attack, but the twin of some. Evidence is not rejected.
    Twin,
    /// The configuration asks for nothing that would stop it; this is what
    /// could.
    Unasked(&'static str),
}

impl Expected {
    /// Stopped by `reason` and nothing else.
    pub(crate) fn by(reason: &'static str) -> Self {
        Self::Stopped(vec![reason])
    }
}

/// How an attack ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What had to stop it stopped it.
    Stopped,
    /// A twin went through, or a guest did no harm.
    Harmless,
    /// It works, and the configuration asks for nothing else.
    Unasked,
    /// It works.
    Works,
}

/// What came of one attack.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The attack, in words.
    pub attack: String,
    /// What it is aimed at.
    pub group: Group,
    /// The attestor, and the cluster, whose configuration it met.
    pub target: String,
    /// The incident that it repeats, by its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<&'static str>,
    /// How it ended.
    pub verdict: Verdict,
    /// The reason code of what stopped it, or what would have.
    pub stopped_by: Option<String>,
    /// The same in a sentence.
    pub detail: String,
    /// How long loading and asking took.
    #[serde(rename = "time_us", serialize_with = "micros")]
    pub time: Duration,
    /// Most that the process grew by meanwhile, in bytes of resident memory.
    pub memory_bytes: Option<u64>,
}

fn micros<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// How an attempt ended, before it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An identity was given.
    Identity(String),
    /// The evidence was rejected.
    Rejected(String, String),
    /// The policy denied.
    Denied(String),
    /// A fault, by reason and in words.
    Fault(String, String),
    /// It outlived its limits.
    Outlived(String),
    /// An identity that lies outside of the envelope.
    Outside(String),
}

impl Outcome {
    /// Holds it against what was expected: the verdict, the reason of what
    /// stopped it, and a sentence.
    pub(crate) fn judged(self, expected: &Expected) -> (Verdict, Option<String>, String) {
        let rejected = matches!(self, Self::Rejected(..));
        let denied = matches!(self, Self::Denied(_));
        let (reason, detail) = match self {
            Self::Identity(id) => (None, format!("{id} was given")),
            Self::Rejected(reason, detail) | Self::Fault(reason, detail) => (Some(reason), detail),
            Self::Denied(detail) => (Some("policy_denied".to_owned()), detail),
            Self::Outlived(detail) | Self::Outside(detail) => {
                return (Verdict::Works, None, detail);
            }
        };
        // A defect of ours is never what has to stop an attack.
        let stopped = reason.as_deref().filter(|reason| *reason != "host_panic");
        let (verdict, detail) = match (expected, stopped) {
            (Expected::Stopped(reasons), Some(reason)) if reasons.contains(&reason) => {
                (Verdict::Stopped, detail)
            }
            (Expected::Stopped(reasons), _) => {
                let reasons = reasons.join("` or `");
                (
                    Verdict::Works,
                    format!("{detail}, where `{reasons}` had to stop it"),
                )
            }
            (_, None) if reason.is_some() => (Verdict::Works, detail),
            (Expected::Harmless, Some(_)) => (Verdict::Stopped, detail),
            (Expected::Harmless, None) => (Verdict::Harmless, detail),
            (Expected::Twin, _) if rejected => (
                Verdict::Works,
                format!("what has to pass does not: {detail}"),
            ),
            (Expected::Twin, _) => (Verdict::Harmless, detail),
            (Expected::Unasked(_), Some(_)) if !denied => (Verdict::Stopped, detail),
            (Expected::Unasked(what), _) => {
                (Verdict::Unasked, format!("{detail}; {what} would stop it"))
            }
        };
        (verdict, reason, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, Outcome, Verdict};

    fn verdict(outcome: Outcome, expected: &Expected) -> Verdict {
        outcome.judged(expected).0
    }

    fn fault(reason: &str) -> Outcome {
        Outcome::Fault(reason.to_owned(), "why".to_owned())
    }

    fn identity() -> Outcome {
        Outcome::Identity("spiffe://example.org/a".to_owned())
    }

    #[test]
    fn only_its_own_check_stops_an_attack() {
        let expected = Expected::by("policy_fuel");
        assert_eq!(verdict(fault("policy_fuel"), &expected), Verdict::Stopped);
        assert_eq!(verdict(fault("policy_trap"), &expected), Verdict::Works);
        assert_eq!(verdict(identity(), &expected), Verdict::Works);
        let (_, reason, detail) = fault("policy_trap").judged(&expected);
        assert_eq!(reason.as_deref(), Some("policy_trap"));
        assert_eq!(detail, "why, where `policy_fuel` had to stop it");
    }

    #[test]
    fn a_defect_of_the_host_stops_nothing() {
        for expected in [
            Expected::by("host_panic"),
            Expected::Harmless,
            Expected::Twin,
            Expected::Unasked("more"),
        ] {
            assert_eq!(verdict(fault("host_panic"), &expected), Verdict::Works);
        }
    }

    #[test]
    fn a_twin_may_be_anything_but_rejected() {
        let rejected = Outcome::Rejected("token_expired".to_owned(), "why".to_owned());
        assert_eq!(verdict(rejected, &Expected::Twin), Verdict::Works);
        assert_eq!(
            verdict(Outcome::Denied("no".to_owned()), &Expected::Twin),
            Verdict::Harmless
        );
        assert_eq!(verdict(identity(), &Expected::Twin), Verdict::Harmless);
    }

    #[test]
    fn what_is_not_asked_for_is_said() {
        let expected = Expected::Unasked("`issuer`");
        let (verdict, _, detail) = identity().judged(&expected);
        assert_eq!(verdict, Verdict::Unasked);
        assert_eq!(
            detail,
            "spiffe://example.org/a was given; `issuer` would stop it"
        );
    }

    #[test]
    fn harm_is_harm_whatever_was_expected() {
        for outcome in [
            Outcome::Outside("elsewhere".to_owned()),
            Outcome::Outlived("for long".to_owned()),
        ] {
            assert_eq!(verdict(outcome, &Expected::Harmless), Verdict::Works);
        }
    }
}
