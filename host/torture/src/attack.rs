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
    /// A change of policy.
    Swap,
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
            Self::Swap => "swap",
        }
    }

    /// Whether a peer makes the attack, and not a policy.
    pub(crate) fn is_evidence(self) -> bool {
        match self {
            Self::Token | Self::Certificate => true,
            Self::Limit | Self::Component | Self::Envelope | Self::Swap => false,
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
    /// It is no attack, but the twin of some: an identity is given.
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
    /// The longest that the neighbour waited for an answer meanwhile.
    #[serde(rename = "neighbour_us", serialize_with = "micros")]
    pub neighbour: Duration,
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
    /// The same; or, where its words have one of `secrets` in them, that.
    pub(crate) fn without(self, secrets: &[String]) -> Self {
        let (Self::Identity(words)
        | Self::Rejected(_, words)
        | Self::Denied(words)
        | Self::Fault(_, words)
        | Self::Outlived(words)
        | Self::Outside(words)) = &self;
        match secrets.iter().any(|secret| words.contains(secret)) {
            true => {
                Self::Outside("a part of the peer's token stands in what is said of it".to_owned())
            }
            false => self,
        }
    }

    /// Holds it against what was expected of an attack of this group: the
    /// verdict, the reason of what stopped it, and a sentence.
    pub(crate) fn judged(
        self,
        expected: &Expected,
        group: Group,
    ) -> (Verdict, Option<String>, String) {
        // Evidence that the verifier let through got through, whatever the
        // policy behind it made of it.
        let own_check = match self {
            Self::Rejected(..) => group.is_evidence(),
            Self::Fault(..) => !group.is_evidence(),
            Self::Identity(_) | Self::Denied(_) | Self::Outlived(_) | Self::Outside(_) => false,
        };
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
            (Expected::Twin, Some(_)) => (
                Verdict::Works,
                format!("what has to pass does not: {detail}"),
            ),
            (Expected::Twin, None) => (Verdict::Harmless, detail),
            (Expected::Unasked(_), Some(_)) if own_check => (Verdict::Stopped, detail),
            (Expected::Unasked(what), _) => {
                (Verdict::Unasked, format!("{detail}; {what} would stop it"))
            }
        };
        (verdict, reason, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, Group, Outcome, Verdict};

    fn verdict(outcome: Outcome, expected: &Expected) -> Verdict {
        outcome.judged(expected, Group::Component).0
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
        let (_, reason, detail) = fault("policy_trap").judged(&expected, Group::Limit);
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
    fn a_twin_is_given_an_identity_and_nothing_less() {
        assert_eq!(verdict(identity(), &Expected::Twin), Verdict::Harmless);
        for other in [
            Outcome::Rejected("token_expired".to_owned(), "why".to_owned()),
            Outcome::Denied("why".to_owned()),
            fault("path_leading"),
        ] {
            let (verdict, _, detail) = other.judged(&Expected::Twin, Group::Token);
            assert_eq!(verdict, Verdict::Works);
            assert_eq!(detail, "what has to pass does not: why");
        }
    }

    #[test]
    fn what_happens_behind_a_check_is_not_the_check() {
        let expected = Expected::Unasked("`issuer`");
        let rejected = || Outcome::Rejected("token_shape".to_owned(), "why".to_owned());
        for (outcome, group, verdict) in [
            (rejected(), Group::Token, Verdict::Stopped),
            (fault("path_leading"), Group::Token, Verdict::Unasked),
            (fault("path_leading"), Group::Certificate, Verdict::Unasked),
            (fault("path_leading"), Group::Envelope, Verdict::Stopped),
            (rejected(), Group::Envelope, Verdict::Unasked),
            (
                Outcome::Denied("why".to_owned()),
                Group::Token,
                Verdict::Unasked,
            ),
        ] {
            assert_eq!(outcome.judged(&expected, group).0, verdict);
        }
    }

    #[test]
    fn what_is_not_asked_for_is_said() {
        let expected = Expected::Unasked("`issuer`");
        let (verdict, _, detail) = identity().judged(&expected, Group::Token);
        assert_eq!(verdict, Verdict::Unasked);
        assert_eq!(
            detail,
            "spiffe://example.org/a was given; `issuer` would stop it"
        );
    }

    #[test]
    fn a_secret_in_the_words_is_harm() {
        let refused = || Outcome::Rejected("token_shape".to_owned(), "has abcd in it".to_owned());
        assert_eq!(refused().without(&["abce".to_owned()]), refused());
        assert_eq!(
            refused().without(&["abcd".to_owned()]),
            Outcome::Outside("a part of the peer's token stands in what is said of it".to_owned())
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
