//! Two ways of naming, beside each other: what would change for whom.

use super::collisions::Collision;
use super::names::{Names, path};
use super::rounds;
use super::shape::OwnValues;
use super::sightings::Sightings;
use super::source::Described;
use crate::cases::Outcome;
use crate::subject_key::{SubjectKey, SubjectKeys};
use nameplate_policy::Facts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How a comparison is made, and what it may take.
#[derive(Clone, Debug)]
pub struct ComparisonOptions {
    /// The facts that keep subjects apart, for collisions. The new policy's
    /// own word on it would do for a report; a gate had better take the
    /// default, which is not the candidate's to choose.
    pub subject_keys: SubjectKeys,
    /// Most SPIFFE IDs of each naming to remember for collisions, at about 100
    /// bytes each.
    pub remembered: usize,
    /// Most groups of changes to tell apart; the rest is counted only.
    pub groups: usize,
    /// Most collisions to show.
    pub collisions: usize,
}

impl Default for ComparisonOptions {
    fn default() -> Self {
        Self {
            subject_keys: SubjectKeys::default(),
            remembered: 1_000_000,
            groups: 256,
            collisions: 16,
        }
    }
}

/// What two ways of naming give, over the same facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Facts that both were asked about.
    pub asked: u64,
    /// Those with the same ID and selectors, or without an ID for the same
    /// reason.
    pub same: u64,
    /// Those with another ID.
    pub changed: u64,
    /// Those with the same ID and other selectors.
    pub selectors_changed: u64,
    /// Those that had no ID and have one.
    pub appeared: u64,
    /// Those that had an ID and have none: denied, or a fault.
    pub vanished: u64,
    /// Those without an ID, for another reason than before.
    pub refused_otherwise: u64,
    /// IDs that the new naming gives to several subjects.
    pub collided: u64,
    /// IDs that the old naming gives to several subjects.
    pub collided_before: u64,
    /// Sightings of new IDs that could not be remembered for that.
    pub unremembered: u64,
    /// The changes by their pattern: by kind, the most frequent first.
    pub groups: Vec<Group>,
    /// Changes of further patterns, which are counted only.
    pub ungrouped: u64,
    /// The first collisions.
    pub collisions: Vec<Collision>,
}

/// What kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Another ID.
    Changed,
    /// An ID where there was none.
    Appeared,
    /// No ID where there was one.
    Vanished,
    /// The same ID with other selectors.
    SelectorsChanged,
    /// No ID, for another reason.
    RefusedOtherwise,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed",
            Self::Appeared => "appeared",
            Self::Vanished => "vanished",
            Self::SelectorsChanged => "selectors changed",
            Self::RefusedOtherwise => "refused otherwise",
        })
    }
}

/// Changes of one pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// What kind of change it is.
    pub change: Change,
    /// The old name's shape, or why there was none.
    pub from: String,
    /// The new name's shape, or why there is none.
    pub to: String,
    /// How many changes have it.
    pub count: u64,
    /// The first of them.
    pub sample: Sample,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Which of the facts, from 0.
    pub at: u64,
    /// The facts.
    #[serde(flatten)]
    pub described: Described,
    /// What the old naming gives.
    pub old: Outcome,
    /// What the new one gives.
    pub new: Outcome,
}

impl Comparison {
    /// Asks both namings about all of the facts, on every core, and calls
    /// `progress` now and then.
    ///
    /// Memory does not grow with the number of facts, but for the IDs that are
    /// remembered. The result is the same for the same facts in the same order.
    pub fn of(
        old: &impl Names,
        new: &impl Names,
        facts: impl Iterator<Item = Described>,
        options: &ComparisonOptions,
        progress: impl FnMut(u64),
    ) -> Self {
        let mut merging = Merging {
            comparison: Self::default(),
            groups: BTreeMap::new(),
            before: Sightings::of_at_most(options.remembered),
            sightings: Sightings::of_at_most(options.remembered),
            options,
        };
        rounds::ask_all(
            facts,
            |described| Answers {
                old: old.outcome(described),
                new: new.outcome(described),
                subject: options.subject_keys.key(&described.facts),
            },
            |described, answers| merging.take(described, answers),
            progress,
        );
        merging.finish()
    }

    /// Whether any name is another, is new, or is gone, selectors aside.
    pub fn changes_names(&self) -> bool {
        self.changed > 0 || self.appeared > 0 || self.vanished > 0
    }
}

/// What came of one question.
struct Answers {
    old: Outcome,
    new: Outcome,
    subject: SubjectKey,
}

/// A comparison that is being made: takes answers in the order of the facts.
struct Merging<'a> {
    comparison: Comparison,
    groups: BTreeMap<Pattern, (u64, Sample)>,
    before: Sightings,
    sightings: Sightings,
    options: &'a ComparisonOptions,
}

/// What the changes of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    change: Change,
    from: String,
    to: String,
}

impl Merging<'_> {
    fn take(&mut self, described: Described, answers: Answers) {
        let at = self.comparison.asked;
        self.comparison.asked = at.saturating_add(1);
        if let Outcome::Identity { spiffe_id, .. } = &answers.old {
            self.before.see(spiffe_id, answers.subject, at);
        }
        if let Outcome::Identity { spiffe_id, .. } = &answers.new {
            self.see(spiffe_id, answers.subject, at, &described);
        }
        let Some(change) = change(&answers.old, &answers.new) else {
            self.comparison.same = self.comparison.same.saturating_add(1);
            return;
        };
        let count = match change {
            Change::Changed => &mut self.comparison.changed,
            Change::Appeared => &mut self.comparison.appeared,
            Change::Vanished => &mut self.comparison.vanished,
            Change::SelectorsChanged => &mut self.comparison.selectors_changed,
            Change::RefusedOtherwise => &mut self.comparison.refused_otherwise,
        };
        *count = count.saturating_add(1);
        let pattern = Pattern::of(change, &answers.old, &answers.new, &described.facts);
        if let Some((count, _)) = self.groups.get_mut(&pattern) {
            *count = count.saturating_add(1);
        } else if self.groups.len() < self.options.groups {
            let sample = Sample {
                at,
                described,
                old: answers.old,
                new: answers.new,
            };
            self.groups.insert(pattern, (1, sample));
        } else {
            self.comparison.ungrouped = self.comparison.ungrouped.saturating_add(1);
        }
    }

    fn see(&mut self, spiffe_id: &str, subject: SubjectKey, at: u64, described: &Described) {
        let sight = self.sightings.see(spiffe_id, subject, at);
        let room = self.comparison.collisions.len() < self.options.collisions;
        if let (Some(first), true) = (sight.newly_shared_with(), room) {
            self.comparison.collisions.push(Collision {
                spiffe_id: spiffe_id.to_owned(),
                first,
                second: at,
                described: described.clone(),
            });
        }
    }

    fn finish(self) -> Comparison {
        let mut comparison = self.comparison;
        comparison.collided = self.sightings.collided();
        comparison.collided_before = self.before.collided();
        comparison.unremembered = self.sightings.unremembered();
        comparison.groups = self
            .groups
            .into_iter()
            .map(|(pattern, (count, sample))| Group {
                change: pattern.change,
                from: pattern.from,
                to: pattern.to,
                count,
                sample,
            })
            .collect();
        // Stable: equal counts stay in the order of their patterns.
        comparison
            .groups
            .sort_by_key(|group| (group.change, std::cmp::Reverse(group.count)));
        comparison
    }
}

/// What kind of change it is, where it is one.
fn change(old: &Outcome, new: &Outcome) -> Option<Change> {
    match (old, new) {
        (old, new) if old == new => None,
        (Outcome::Identity { spiffe_id: old, .. }, Outcome::Identity { spiffe_id: new, .. }) => {
            Some(if old == new {
                Change::SelectorsChanged
            } else {
                Change::Changed
            })
        }
        (Outcome::Identity { .. }, _) => Some(Change::Vanished),
        (_, Outcome::Identity { .. }) => Some(Change::Appeared),
        (_, _) => Some(Change::RefusedOtherwise),
    }
}

/// What kind of change it is, and the shapes of both names, where it is one.
pub(crate) fn shapes(
    old: &Outcome,
    new: &Outcome,
    facts: &Facts,
) -> Option<(Change, String, String)> {
    let change = change(old, new)?;
    let Pattern { from, to, .. } = Pattern::of(change, old, new, facts);
    Some((change, from, to))
}

impl Pattern {
    fn of(change: Change, old: &Outcome, new: &Outcome, facts: &Facts) -> Self {
        let own = OwnValues::of(facts);
        let (from, to) = match (change, old, new) {
            (
                Change::SelectorsChanged,
                Outcome::Identity { selectors: old, .. },
                Outcome::Identity { selectors: new, .. },
            ) => (
                selectors(&own, old, new, "the same"),
                selectors(&own, new, old, "in another order"),
            ),
            (_, old, new) => (name(&own, old, facts), name(&own, new, facts)),
        };
        Self { change, from, to }
    }
}

/// The shape of a name, or why there is none.
fn name(own: &OwnValues, outcome: &Outcome, facts: &Facts) -> String {
    let Outcome::Identity { spiffe_id, .. } = outcome else {
        return outcome.to_string();
    };
    match path(spiffe_id, facts) {
        Some(path) => path
            .into_iter()
            .flat_map(|segment| ["/".to_owned(), own.shape(segment)])
            .collect(),
        None => spiffe_id.clone(),
    }
}

/// The shapes of those selectors that the other naming does not give; `none`
/// where it gives all of them.
fn selectors(own: &OwnValues, these: &[String], others: &[String], none: &str) -> String {
    let mut shapes: Vec<String> = these
        .iter()
        .filter(|value| !others.contains(value))
        .map(|value| own.shape(value))
        .collect();
    shapes.sort_unstable();
    if shapes.is_empty() {
        let gone = others.iter().any(|value| !these.contains(value));
        return if gone { "nothing" } else { none }.to_owned();
    }
    shapes.join(", ")
}

#[cfg(test)]
mod tests;
