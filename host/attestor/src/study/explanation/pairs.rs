//! Facts that decide something only together.
//!
//! A policy that takes a node's name where there is one and a pod's where
//! there is one too shows no dependence on either when they are changed one
//! at a time. Two at a time show it; three would hide from this as well.

use super::{Answer, Asking, Probe};
use crate::cases::Outcome;
use crate::study::edits::{Changeable, Edit};
use serde::Serialize;
use serde_json::Value;

/// A fact that decides something only when another is changed too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Together {
    /// The fact that shows no such effect alone.
    pub fact: String,
    /// Its change.
    pub change: String,
    /// The other.
    pub with: String,
    /// Its change.
    pub with_change: String,
    /// What the fact decides then.
    pub decides: Aspect,
    /// What comes of both changes.
    pub outcome: Outcome,
}

/// What of an answer a fact can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// The path.
    Path,
    /// The selectors.
    Selectors,
    /// Whether there is an identity.
    Outcome,
}

/// What was found, and among how many.
pub(super) struct Found {
    pub(super) together: Vec<Together>,
    pub(super) tried: usize,
    pub(super) pairs: usize,
}

/// Changes for which a fact stands in a pair: two of the first kind would
/// say the same.
const EDITS_PER_FACT: usize = 2;

/// Changes up to `limit` pairs.
pub(super) fn find(
    asking: &mut Asking<'_>,
    view: &Value,
    changeable: &[Changeable],
    probes: &[Probe],
    limit: usize,
    progress: &mut impl FnMut(&str),
) -> Found {
    let mut pairs: Vec<[(&Changeable, &Probe); 2]> = Vec::new();
    let facts: Vec<_> = changeable.iter().zip(probes).collect();
    for (index, one) in facts.iter().enumerate() {
        for other in facts.iter().skip(index.saturating_add(1)) {
            if independent(one.0, other.0) {
                pairs.push([*one, *other]);
            }
        }
    }
    // First those of which neither decides anything alone, then those of
    // which one does: what both decide is known already.
    let alone = |(_, probe): (&Changeable, &Probe)| !probe.influence.effects.none();
    pairs.sort_by_key(|[one, other]| usize::from(alone(*one)) + usize::from(alone(*other)));
    let mut found = Found {
        together: Vec::new(),
        tried: pairs.len().min(limit),
        pairs: pairs.len(),
    };
    if found.tried > 0 {
        progress(&format!("changing {} pairs of facts", found.tried));
    }
    for [one, other] in pairs.into_iter().take(limit) {
        found.together.extend(of_pair(asking, view, one, other));
    }
    found
}

/// Whether neither holds the other.
fn independent(one: &Changeable, other: &Changeable) -> bool {
    let (one, other) = (&one.pointer, &other.pointer);
    let holds = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    !holds(one, other) && !holds(other, one)
}

/// The changes that represent a fact: the first, and the last, which takes it
/// away where that is possible.
fn representative(changeable: &Changeable) -> impl Iterator<Item = (usize, &Edit)> {
    let last = changeable.edits.len().saturating_sub(1);
    let edits = changeable.edits.iter().enumerate();
    edits
        .filter(move |(index, _)| *index == 0 || *index == last)
        .take(EDITS_PER_FACT)
}

fn of_pair(
    asking: &mut Asking<'_>,
    view: &Value,
    one: (&Changeable, &Probe),
    other: (&Changeable, &Probe),
) -> Option<Together> {
    for (one_at, one_edit) in representative(one.0) {
        for (other_at, other_edit) in representative(other.0) {
            let mut edited = view.clone();
            one_edit.apply(&mut edited);
            other_edit.apply(&mut edited);
            let Some(both) = asking.ask_view(edited) else {
                continue;
            };
            let arms = [
                (one.1, one_edit, other.1, other_edit, other_at),
                (other.1, other_edit, one.1, one_edit, one_at),
            ];
            for (probe, edit, with, with_edit, with_at) in arms {
                let Some(with_alone) = with.answers.get(with_at) else {
                    continue;
                };
                if let Some(decides) = decides(probe, with_alone, &both) {
                    return Some(Together {
                        fact: probe.influence.name.clone(),
                        change: edit.words.clone(),
                        with: with.influence.name.clone(),
                        with_change: with_edit.words.clone(),
                        decides,
                        outcome: both.outcome,
                    });
                }
            }
        }
    }
    None
}

/// What a fact decides beside another change that it does not decide alone.
fn decides(probe: &Probe, without: &Answer, with: &Answer) -> Option<Aspect> {
    let alone = &probe.influence.effects;
    match (&without.outcome, &with.outcome) {
        (Outcome::Identity { selectors: old, .. }, Outcome::Identity { selectors: new, .. }) => {
            if !alone.path && without.path != with.path {
                return Some(Aspect::Path);
            }
            (!alone.selectors && old != new).then_some(Aspect::Selectors)
        }
        (old, new) if old == new => None,
        (_, _) => {
            let ends = alone.named || !alone.denied.is_empty() || !alone.faults.is_empty();
            (!ends).then_some(Aspect::Outcome)
        }
    }
}
