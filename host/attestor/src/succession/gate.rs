//! Judges a new naming by decisions that were made: who would be called
//! something else, who would be called nothing, who would be called the same,
//! and who would be called something else tomorrow.
//!
//! Each decision's facts are put to the naming that serves and to the
//! candidate. Judging is bounded in number and in time, and what could not be
//! judged is refused: a gate that gives up lets nothing pass.

mod answer;
mod dependence;

use super::recorded::{Found, OUT_OF_TIME, decisions};
use crate::config::GateConfig;
use crate::identity::AgentIdentity;
use crate::namespace::Namespace;
use crate::naming::Naming;
use crate::namings::Namings;
use crate::subject_key::{SubjectKey, SubjectKeys};
use answer::Answer;
use dependence::Moving;
use nameplate_policy::{Digest, Facts};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Segments of an ID before the path that a policy gives: `spire`, `agent`
/// and the attestor's name.
const GIVEN_SEGMENTS: usize = 3;

/// Both namings, and what keeps subjects apart.
pub(super) struct Bench<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) serving: &'a Namings,
    pub(super) candidate: &'a Namings,
    pub(super) subjects: &'a SubjectKeys,
    /// In seconds since 1970.
    pub(super) now: u64,
}

/// What the gate says of `candidate` beside `serving`, at `now` and over facts
/// that nobody recorded: to try a gate, and not to pass one.
///
/// # Errors
/// What the candidate breaks, a sentence each.
pub fn judge_over(
    gate: &GateConfig,
    namespace: &Namespace,
    (serving, candidate): (Naming, Naming),
    facts: impl IntoIterator<Item = Facts>,
    now: SystemTime,
) -> Result<(), Vec<String>> {
    let alone = |naming| Namings::new(Arc::new(naming), BTreeMap::new());
    let bench = Bench {
        namespace,
        serving: &alone(serving),
        candidate: &alone(candidate),
        subjects: &SubjectKeys::default(),
        now: super::seconds(now),
    };
    let ends = Instant::now() + gate.within;
    tallied(gate, &bench, facts.into_iter().map(Ok), ends).map(|_judged| ())
}

/// Lets the candidate pass, and says over how many decisions.
///
/// # Errors
/// What the candidate breaks, a sentence each.
pub(super) fn judge(gate: &GateConfig, bench: &Bench<'_>) -> Result<usize, Vec<String>> {
    let ends = Instant::now() + gate.within;
    let attestor = bench.namespace.attestor.as_str();
    let all = decisions(&gate.against, attestor, gate.records, ends).map_err(|why| vec![why])?;
    match tallied(gate, bench, all, ends)? {
        0 => {
            let folder = gate.against.display();
            Err(vec![format!(
                "no decision in `{folder}` can be judged over: there is none of this attestor \
                 whose facts are all there"
            )])
        }
        judged => Ok(judged),
    }
}

/// How many decisions there are, where the candidate breaks nothing.
fn tallied(
    gate: &GateConfig,
    bench: &Bench<'_>,
    all: impl Iterator<Item = Found>,
    ends: Instant,
) -> Result<usize, Vec<String>> {
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
    /// Whose answers move, by what they move with.
    moved: BTreeMap<Moving, Counted>,
    /// Subjects that were asked about at other times.
    asked_again: HashSet<SubjectKey>,
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
        let subject = bench.subjects.key(facts);
        let now = Answer::of(bench.serving, bench.namespace, facts);
        let then = Answer::of(bench.candidate, bench.namespace, facts);
        match (&now, &then) {
            (_, Answer::Identity(to))
                if now == then || allowed(gate, facts, now.identity(), to) => {}
            (_, Answer::Identity(_)) => {
                self.changed
                    .add(subject, || format!("{now} becomes {then}"));
            }
            (Answer::Identity(_), Answer::Nothing(_)) => {
                self.vanished
                    .add(subject, || format!("{now} becomes {then}"));
            }
            (Answer::Nothing(_), Answer::Nothing(_)) => {}
        }
        if let Some(to) = then.identity() {
            self.collide(subject, now.identity(), to);
        }
        // A machine that attests every hour comes again as itself.
        if gate.no_new_dependence && self.asked_again.insert(subject) {
            for (moving, words) in dependence::found(bench, facts, &subject, (&now, &then)) {
                self.moved.entry(moving).or_default().add(subject, || words);
            }
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
        for (moving, counted) in &self.moved {
            reasons.push(format!(
                "{} by {moving} alone, and not so by what serves (`no_new_dependence`); the \
                 first: {}",
                subjects(counted, "is answered otherwise", "are answered otherwise"),
                counted.first
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

/// Whether a subject may get `to` in place of what it has: an allowed new ID
/// with equal selectors, except for those that may change. A subject without an
/// identity has no selectors.
fn allowed(
    gate: &GateConfig,
    facts: &Facts,
    from: Option<&AgentIdentity>,
    to: &AgentIdentity,
) -> bool {
    let same_id = from.is_some_and(|from| from.spiffe_id() == to.spiffe_id());
    let may_be_new = || {
        let mut patterns = gate.allow.iter();
        patterns.any(|pattern| pattern.matches(to.spiffe_id().segments().skip(GIVEN_SEGMENTS)))
    };
    let kept = |identity: &AgentIdentity| -> Vec<String> {
        let values = identity.selectors().map(|selector| selector.value);
        let mut kept = Vec::new();
        for value in values {
            let mut patterns = gate.allow_selectors.iter();
            if !patterns.any(|pattern| pattern.matches(value, facts)) {
                kept.push(value.to_owned());
            }
        }
        kept
    };
    (same_id || may_be_new()) && from.map(kept).unwrap_or_default() == kept(to)
}
