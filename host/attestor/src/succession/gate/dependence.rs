//! Whether a candidate's answers depend on what changes by itself: the time,
//! and the identifier of an attestation.
//!
//! A recorded decision has the time at which it was made. A policy that changes
//! its answers next week gives last week's answer for it, and would pass every
//! other gate. So each subject is asked about again: now, an hour, a day, a
//! month and a year ahead, at one more moment of that year, another for each
//! subject, and under fresh identifiers. A dependence that the serving naming
//! has too is not the candidate's.
//!
//! Every question is made of the facts and the subject's key alone, so that a
//! candidate is judged alike each time.

use super::{Answer, Bench};
use crate::subject_key::SubjectKey;
use nameplate_evidence::Subject;
use nameplate_policy::{Digest, Facts};
use std::fmt;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// How far ahead each subject is asked about, in seconds.
const AHEAD: [u64; 5] = [0, HOUR, DAY, 30 * DAY, YEAR];

/// Fresh identifiers that each subject is asked about under.
const IDENTIFIERS: u8 = 4;

/// What differs when a machine attests again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moving {
    /// When it attests.
    AttestedAt,
    /// When its evidence was issued, and when that expires.
    Issued,
    /// The identifier of the attestation.
    AttestationId,
}

impl fmt::Display for Moving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttestedAt => "`attested_at`",
            Self::Issued => "when its evidence was issued and ends",
            Self::AttestationId => "`attestation_id`",
        })
    }
}

/// What the candidate's answer about `facts` depends on and the serving
/// naming's does not, each with both answers in words. `answers` are those of
/// both namings about the unchanged `facts`.
pub(super) fn found(
    bench: &Bench<'_>,
    facts: &Facts,
    subject: &SubjectKey,
    answers: (&Answer, &Answer),
) -> Vec<(Moving, String)> {
    let asking = Asking { bench, answers };
    let times = AHEAD.into_iter().chain([drawn(subject, 0) % YEAR]);
    let times: Vec<u64> = times.map(|ahead| bench.now.saturating_add(ahead)).collect();
    let later = times.iter().find_map(|time| asking.at(facts, *time));
    let renewed = || times.iter().find_map(|time| asking.renewed(facts, *time));
    let by_time = later
        .map(|words| (Moving::AttestedAt, words))
        .or_else(|| Some((Moving::Issued, renewed()?)));
    let by_identifier = (1..=IDENTIFIERS)
        .find_map(|number| asking.under(facts, &identifier(subject, number)))
        .map(|words| (Moving::AttestationId, words));
    by_time.into_iter().chain(by_identifier).collect()
}

/// Asks both namings about facts that were moved.
struct Asking<'a> {
    bench: &'a Bench<'a>,
    answers: (&'a Answer, &'a Answer),
}

impl Asking<'_> {
    /// The candidate's answer about `moved` facts, where it differs from its
    /// answer before and the serving naming's does not move alike.
    fn moves(&self, moved: &Facts) -> Option<Answer> {
        let Bench {
            namespace,
            serving,
            candidate,
            ..
        } = self.bench;
        let (served, answered) = self.answers;
        let answer = Answer::of(candidate, namespace, moved);
        if answer == *answered {
            return None;
        }
        // Where both said the same before, both have to say the same now.
        let serves = Answer::of(serving, namespace, moved);
        let stays = serves == *served;
        let parts = served == answered && serves != answer;
        (stays || parts).then_some(answer)
    }

    fn at(&self, facts: &Facts, time: u64) -> Option<String> {
        let moved = Facts {
            attested_at: time,
            ..facts.clone()
        };
        let then = self.moves(&moved)?;
        Some(self.words(&shown(facts.attested_at), &shown(time), &then))
    }

    /// The same, with evidence that is as old then as it was.
    fn renewed(&self, facts: &Facts, time: u64) -> Option<String> {
        let by = i128::from(time) - i128::from(facts.attested_at);
        let moved = Facts {
            attested_at: time,
            subject: renewed(&facts.subject, by)?,
            ..facts.clone()
        };
        let then = self.moves(&moved)?;
        Some(self.words(&shown(facts.attested_at), &shown(time), &then))
    }

    fn under(&self, facts: &Facts, identifier: &str) -> Option<String> {
        let moved = Facts {
            attestation_id: identifier.to_owned(),
            ..facts.clone()
        };
        let then = self.moves(&moved)?;
        let before = format!("`{}`", facts.attestation_id.escape_debug());
        Some(self.words(&before, &format!("`{identifier}`"), &then))
    }

    fn words(&self, from: &str, to: &str, then: &Answer) -> String {
        let (_, answered) = self.answers;
        format!("{answered} at {from} becomes {then} at {to}")
    }
}

/// The subject with evidence that was issued, and ends, so much later; none
/// where its evidence has no times.
fn renewed(subject: &Subject, by: i128) -> Option<Subject> {
    let moved = |time: u64| {
        let moved = (i128::from(time) + by).clamp(0, i128::from(u64::MAX));
        u64::try_from(moved).unwrap_or(time)
    };
    let mut subject = subject.clone();
    match &mut subject {
        Subject::ServiceAccount(account) => {
            account.issued_at.or(account.expires_at)?;
            account.issued_at = account.issued_at.map(moved);
            account.expires_at = account.expires_at.map(moved);
        }
        Subject::Certificate(certificate) => {
            certificate.not_before = moved(certificate.not_before);
            certificate.not_after = moved(certificate.not_after);
        }
    }
    Some(subject)
}

/// A version 4 UUID, another for each subject and number.
fn identifier(subject: &SubjectKey, number: u8) -> String {
    let bytes = digest(subject, number).leading();
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

/// A number, another for each subject and number.
fn drawn(subject: &SubjectKey, number: u8) -> u64 {
    let uuid = Uuid::from_bytes(digest(subject, number).leading());
    let (high, _) = uuid.as_u64_pair();
    high
}

fn digest(subject: &SubjectKey, number: u8) -> Digest {
    let mut bytes = subject.as_bytes().to_vec();
    bytes.push(number);
    Digest::of(&bytes)
}

/// A time of a case is whatever its author wrote.
fn shown(seconds: u64) -> String {
    /// 9999-12-31T23:59:59Z.
    const LAST: u64 = 253_402_300_799;
    let time = (seconds <= LAST)
        .then(|| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .flatten();
    time.map_or_else(
        || format!("{seconds} s"),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::samples;

    #[test]
    fn evidence_that_is_renewed_is_as_old_as_it_was() {
        let facts = samples::service_account();
        let Some(Subject::ServiceAccount(account)) = renewed(&facts.subject, 1000) else {
            panic!("another subject");
        };
        let at = facts.attested_at;
        assert_eq!(
            (account.issued_at, account.expires_at),
            (Some(at + 400), Some(at + 4000))
        );
        let facts = samples::certificate();
        let Some(Subject::Certificate(certificate)) = renewed(&facts.subject, -1000) else {
            panic!("another subject");
        };
        assert_eq!(
            (certificate.not_before, certificate.not_after),
            (at - 1600, at + 85_400)
        );
        // A token without times is not renewed.
        let mut facts = samples::service_account();
        if let Subject::ServiceAccount(account) = &mut facts.subject {
            (account.issued_at, account.expires_at) = (None, None);
        }
        assert_eq!(renewed(&facts.subject, 1000), None);
    }

    #[test]
    fn each_subject_is_asked_about_under_its_own_identifiers() {
        let subject = |number: u8| SubjectKey::from([number; 16]);
        let one = identifier(&subject(1), 1);
        assert_eq!(Uuid::parse_str(&one).unwrap().get_version_num(), 4);
        assert_eq!(one, identifier(&subject(1), 1));
        assert_ne!(one, identifier(&subject(1), 2));
        assert_ne!(one, identifier(&subject(2), 1));
        assert_ne!(drawn(&subject(1), 0) % YEAR, drawn(&subject(2), 0) % YEAR);
    }

    #[test]
    fn any_time_of_a_case_can_be_said() {
        assert_eq!(shown(1_767_225_600), "2026-01-01T00:00:00Z");
        assert_eq!(shown(u64::MAX), "18446744073709551615 s");
    }
}
