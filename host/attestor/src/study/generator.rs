//! Facts that nobody proved yet: given ones with some of them changed.
//!
//! Made to meet: names are drawn from a few that are made of the same pieces,
//! so that a policy which joins two of them, cuts them short or drops a
//! separator soon gives one ID to two subjects.

use super::edits::{self, Changeable};
use super::source::{Described, attestation_id};
use crate::fact::{self, FactKind};
use nameplate_policy::Facts;
use serde_json::Value;

/// Facts that are changed at once, at most.
const MOST_CHANGED: u64 = 4;

/// Names that differ in where they are cut and how they are joined.
const NAMES: [&str; 12] = [
    "a", "b", "a-a", "a-b", "b-a", "a-a-a", "a.a", "a.b", "aa", "ab", "node-1", "node-11",
];

/// Makes facts of given ones; the same for the same seed.
#[derive(Debug)]
pub struct Generator {
    view: Value,
    /// Facts that are names, in which policies find most of what they join.
    names: Vec<Changeable>,
    others: Vec<Changeable>,
    count: u64,
    made: u64,
    random: SplitMix,
}

impl Generator {
    pub(super) fn new(from: &Facts, count: u64, seed: u64) -> Self {
        // The first two are the host's to write before the path, the third is
        // drawn anew for each attestation, and the last is another kind.
        const KEPT: [&str; 4] = ["/trust_domain", "/attestor", "/attestation_id", "/subject"];
        let changeable = edits::changeable(from).into_iter();
        let (names, others) = changeable
            .filter(|changeable| !KEPT.contains(&changeable.pointer.as_str()))
            .partition(|changeable| {
                matches!(
                    FactKind::of(&changeable.pointer),
                    Some(FactKind::Name | FactKind::Text | FactKind::Label)
                )
            });
        Self {
            view: fact::view(from),
            names,
            others,
            count,
            made: 0,
            random: SplitMix(seed),
        }
    }

    /// Makes one change, drawn by chance: every other one gives a name that
    /// was made to meet another.
    fn change(&mut self, view: &mut Value) {
        if self.random.below(2) == 0 {
            let changeable = self.names.get(self.random.below(self.names.len()));
            let name = NAMES.get(self.random.below(NAMES.len()));
            let place = changeable.and_then(|changeable| view.pointer_mut(&changeable.pointer));
            if let (Some(name), Some(place)) = (name, place) {
                *place = Value::from(*name);
            }
            return;
        }
        let all = self.names.len().saturating_add(self.others.len());
        let mut changeable = self.names.iter().chain(&self.others);
        let Some(changeable) = changeable.nth(self.random.below(all)) else {
            return;
        };
        let edit = self.random.below(changeable.edits.len());
        if let Some(edit) = changeable.edits.get(edit) {
            edit.apply(view);
        }
    }
}

impl Iterator for Generator {
    type Item = Described;

    fn next(&mut self) -> Option<Described> {
        while self.made < self.count {
            self.made = self.made.saturating_add(1);
            let mut view = self.view.clone();
            for _ in 0..=self.random.next() % MOST_CHANGED {
                self.change(&mut view);
            }
            // Two changes may leave what no evidence proves.
            let Ok(mut facts) = fact::facts(view) else {
                continue;
            };
            facts.attestation_id = attestation_id(self.made);
            return Some(Described {
                name: format!("generated {}", self.made),
                facts,
                envelope: None,
            });
        }
        None
    }
}

/// SplitMix64: small, fast, and the same everywhere. Nothing secret is drawn.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::samples;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_gives_the_same_facts_and_another_others() {
        for from in [samples::service_account(), samples::certificate()] {
            let made = |seed| Generator::new(&from, 300, seed).collect::<Vec<_>>();
            assert_eq!(made(7), made(7));
            assert_ne!(made(7), made(8));
            assert!(made(7).len() > 250);
            let ids: BTreeSet<_> = made(7)
                .into_iter()
                .map(|described| described.facts.attestation_id)
                .collect();
            assert_eq!(ids.len(), made(7).len());
        }
    }
}
