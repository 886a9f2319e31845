//! Judges a new naming by decisions that were made: who would be called
//! something else, who would be called nothing, who would be called the same.
//!
//! Each decision's facts are put to the naming that serves and to the
//! candidate. Judging is bounded in number and in time, and what could not be
//! judged is refused: a gate that gives up lets nothing pass.

use super::recorded::{OUT_OF_TIME, decisions};
use crate::config::GateConfig;
use crate::error::AttestError;
use crate::identity::AgentIdentity;
use crate::namespace::Namespace;
use crate::namings::Namings;
use crate::subject_key::{SubjectKey, SubjectKeys};
use nameplate_policy::{Digest, Facts};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// Segments of an ID before the path that a policy gives: `spire`, `agent`
/// and the attestor's name.
const GIVEN_SEGMENTS: usize = 3;

/// Both namings, and what keeps subjects apart.
pub(super) struct Bench<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) serving: &'a Namings,
    pub(super) candidate: &'a Namings,
    pub(super) subjects: &'a SubjectKeys,
}

/// Lets the candidate pass, and says over how many decisions.
///
/// # Errors
/// What the candidate breaks, a sentence each.
pub(super) fn judge(gate: &GateConfig, bench: &Bench<'_>) -> Result<usize, Vec<String>> {
    let ends = Instant::now() + gate.within;
    let attestor = bench.namespace.attestor.as_str();
    let all = decisions(&gate.against, attestor, gate.records, ends).map_err(|why| vec![why])?;
    let mut tally = Tally::default();
    let mut judged = 0usize;
    for facts in all {
        let facts = facts.map_err(|why| vec![why])?;
        if Instant::now() >= ends {
            return Err(vec![OUT_OF_TIME.to_owned()]);
        }
        tally.add(gate, bench, &facts);
        judged = judged.saturating_add(1);
    }
    if judged == 0 {
        let folder = gate.against.display();
        return Err(vec![format!(
            "no decision in `{folder}` can be judged over: there is none of this attestor whose \
             facts are all there"
        )]);
    }
    let reasons = tally.reasons(gate);
    if reasons.is_empty() {
        Ok(judged)
    } else {
        Err(reasons)
    }
}

/// What the candidate would change.
#[derive(Debug, Default)]
struct Tally {
    changed: Counted,
    vanished: Counted,
    collided: Counted,
    /// By digest of the new ID: the subject that is given it, and its ID now.
    given: HashMap<Digest, (SubjectKey, Option<Digest>)>,
}

/// Which subjects, and the first of them in words. A machine that attests
/// every hour is one.
#[derive(Debug, Default)]
struct Counted {
    subjects: HashSet<SubjectKey>,
    first: String,
}

impl Counted {
    fn add(&mut self, subject: SubjectKey, words: impl FnOnce() -> String) {
        if self.subjects.is_empty() {
            self.first = words();
        }
        self.subjects.insert(subject);
    }

    fn count(&self) -> usize {
        self.subjects.len()
    }
}

impl Tally {
    fn add(&mut self, gate: &GateConfig, bench: &Bench<'_>, facts: &Facts) {
        let answer = |namings: &Namings| {
            let naming = namings.of(facts.cluster());
            naming.answer(bench.namespace, facts)
        };
        let subject = bench.subjects.key(facts);
        let (now, then) = (answer(bench.serving), answer(bench.candidate));
        match (&now, &then) {
            (Ok(now), Ok(then)) if now == then => {}
            (_, Ok(then)) if allowed(gate, then) => {}
            (now, Ok(then)) => self.changed.add(subject, || {
                let now = now.as_ref().map_or_else(no_identity, shown);
                format!("{now} becomes {}", shown(then))
            }),
            (Ok(now), Err(error)) => self.vanished.add(subject, || {
                format!("{} becomes {}", shown(now), no_identity(error))
            }),
            (Err(_), Err(_)) => {}
        }
        if let Ok(then) = &then {
            self.collide(subject, now.ok().as_ref(), then);
        }
    }

    /// Only what is new counts: subjects that share an ID already are nothing
    /// that the candidate brings.
    fn collide(&mut self, subject: SubjectKey, now: Option<&AgentIdentity>, then: &AgentIdentity) {
        let digest =
            |identity: &AgentIdentity| Digest::of(identity.spiffe_id().as_str().as_bytes());
        let now = now.map(digest);
        let (first, first_now) = *self.given.entry(digest(then)).or_insert((subject, now));
        let apart_now = now.is_none() || first_now != now;
        if first != subject && apart_now {
            self.collided.add(subject, || {
                format!("`{}` is given to two", then.spiffe_id())
            });
        }
    }

    fn reasons(self, gate: &GateConfig) -> Vec<String> {
        let mut reasons = Vec::new();
        let (changed, vanished) = (&self.changed, &self.vanished);
        if changed.count() > gate.max_changed {
            reasons.push(format!(
                "{} named otherwise or for the first time, at most {} may (`max_changed`); the first: {}",
                subjects(changed, "is", "are"),
                gate.max_changed,
                changed.first
            ));
        }
        if gate.no_new_denials && vanished.count() > 0 {
            reasons.push(format!(
                "{} (`no_new_denials`); the first: {}",
                subjects(vanished, "loses its identity", "lose their identity"),
                vanished.first
            ));
        }
        if gate.no_collisions && self.collided.count() > 0 {
            reasons.push(format!(
                "{} given the ID of another (`no_collisions`); the first: {}",
                subjects(&self.collided, "is", "are"),
                self.collided.first
            ));
        }
        reasons
    }
}

/// How many subjects do what the words for one and for more of them say.
fn subjects(those: &Counted, one: &str, more: &str) -> String {
    match those.count() {
        1 => format!("1 subject {one}"),
        count => format!("{count} subjects {more}"),
    }
}

/// Whether an identity is one that may be new.
fn allowed(gate: &GateConfig, identity: &AgentIdentity) -> bool {
    gate.allow.iter().any(|pattern| {
        let path = identity.spiffe_id().segments().skip(GIVEN_SEGMENTS);
        pattern.matches(path)
    })
}

fn shown(identity: &AgentIdentity) -> String {
    let selectors: Vec<_> = identity
        .selectors()
        .map(|selector| selector.value.to_owned())
        .collect();
    format!("`{}` [{}]", identity.spiffe_id(), selectors.join(", "))
}

fn no_identity(error: &AttestError) -> String {
    if let AttestError::Denied { denial, .. } = error {
        return format!("a denial (`{}`)", denial.code);
    }
    format!("a fault (`{}`)", error.reason())
}
