//! Where each part of an answer comes from.

use super::{Answer, Probe};
use crate::cases::Outcome;
use crate::study::names;
use nameplate_policy::Facts;
use serde::Serialize;
use serde_json::Value;

/// An answer, each part with its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Derivation {
    /// The part of the ID that the host writes: trust domain, and the name of
    /// the attestor.
    pub prefix: String,
    /// The path segments.
    pub path: Vec<Part>,
    /// The selectors.
    pub selectors: Vec<Part>,
}

/// A path segment or a selector, and what it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its text.
    pub text: String,
    /// What changes it. Empty where nothing does: it is the policy's own.
    pub origins: Vec<Origin>,
}

/// A fact or setting that a part depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Its name, as it is shown.
    pub name: String,
    /// Whether it is a setting; else it is a fact.
    pub setting: bool,
    /// How the part depends on it.
    pub how: How,
}

/// How a part depends on a fact or setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It is the value, and was every other value that was tried.
    Is,
    /// It holds the value, and held every other value that was tried.
    Holds,
    /// It is a part of the value, and was of every other that was tried.
    IsPartOf,
    /// It is computed or chosen by it.
    DependsOn,
    /// It depends on its not being there.
    DependsOnAbsence,
}

impl Derivation {
    pub(super) fn of(
        facts: &Facts,
        before: &Answer,
        fact_probes: &[Probe],
        setting_probes: &[Probe],
    ) -> Option<Self> {
        let Outcome::Identity { selectors, .. } = &before.outcome else {
            return None;
        };
        let part = |text: &String, place: Place<'_>| {
            let origins = |probes: &[Probe], setting| -> Vec<Origin> {
                probes
                    .iter()
                    .filter_map(|probe| {
                        Some(Origin {
                            name: probe.influence.name.clone(),
                            setting,
                            how: how(probe, text, &place)?,
                        })
                    })
                    .collect()
            };
            let mut origins = [origins(fact_probes, false), origins(setting_probes, true)].concat();
            origins.sort_by_key(|origin| (origin.setting, origin.how));
            Part {
                text: text.clone(),
                origins,
            }
        };
        Some(Self {
            prefix: names::prefix(facts),
            path: before
                .path
                .iter()
                .enumerate()
                .map(|(index, text)| part(text, Place::Segment(index, &before.path)))
                .collect(),
            selectors: selectors
                .iter()
                .map(|text| part(text, Place::Selector(selectors)))
                .collect(),
        })
    }
}

/// Which part of an answer.
enum Place<'a> {
    /// The segment of this index, of these.
    Segment(usize, &'a [String]),
    /// One of these selectors.
    Selector(&'a [String]),
}

impl Place<'_> {
    /// The texts that stand in an answer in place of the part. None where it
    /// is as it was, or there is no answer.
    fn instead<'a>(&self, text: &str, answer: &'a Answer) -> Option<Vec<&'a str>> {
        if !matches!(answer.outcome, Outcome::Identity { .. }) {
            return None;
        }
        match self {
            Self::Segment(index, before) => {
                let (start, end) = replaced(before, &answer.path);
                let kept = end.min(before.len());
                let changed = (start..kept).contains(index);
                let grown = answer.path.len().saturating_add(kept);
                let until = grown.saturating_sub(before.len());
                let new = answer.path.iter().take(until).skip(start);
                changed.then(|| new.map(String::as_str).collect())
            }
            Self::Selector(before) => {
                let gone = !answer.selectors().iter().any(|value| value == text);
                let new = answer.selectors().iter();
                let new = new.filter(|value| !before.contains(value));
                gone.then(|| new.map(String::as_str).collect())
            }
        }
    }
}

/// The range of `before` that `after` does not share with it, by what both
/// begin and end with.
fn replaced(before: &[String], after: &[String]) -> (usize, usize) {
    if before.len() == after.len() {
        // Segment for segment: several may change apart from each other.
        let differs = |(one, other): &(&String, &String)| one != other;
        let pairs = || before.iter().zip(after).enumerate();
        let first = pairs().find(|(_, pair)| differs(pair));
        let last = pairs().rfind(|(_, pair)| differs(pair));
        return match (first, last) {
            (Some((first, _)), Some((last, _))) => (first, last.saturating_add(1)),
            (_, _) => (0, 0),
        };
    }
    let start = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other);
    let start = start.count();
    let ends = before.iter().rev().zip(after.iter().rev());
    let longest = before.len().min(after.len()).saturating_sub(start);
    let end = ends.take(longest).take_while(|(one, other)| one == other);
    (start, before.len().saturating_sub(end.count()))
}

/// How `text` depends on what was changed, if it does.
fn how(probe: &Probe, text: &str, place: &Place<'_>) -> Option<How> {
    let tried = || probe.influence.tried.iter().zip(&probe.answers);
    let mut instead = tried()
        .filter_map(|(tried, answer)| Some((tried, place.instead(text, answer)?)))
        .peekable();
    instead.peek()?;
    let Some(value) = &probe.influence.value else {
        return Some(How::DependsOnAbsence);
    };
    // Of a record, the facts in it say more.
    if value.is_object() {
        return None;
    }
    let instead: Vec<_> = instead
        .filter_map(|(tried, new)| Some((texts(tried.value.as_ref()?), new)))
        .collect();
    if instead.is_empty() {
        return Some(How::DependsOn);
    }
    let old = texts(value);
    // It follows the value: what stands there instead holds the new value, in
    // the same surroundings.
    let follows = |old: &String| {
        let (before, after) = text.split_once(old.as_str())?;
        let expected = |new: &String| [before, new, after].concat();
        let kept = instead.iter().all(|(values, new)| {
            let mut values = values.iter().map(expected);
            values.any(|value| new.contains(&value.as_str()))
        });
        kept.then_some(match (before, after, value) {
            ("", "", Value::String(_) | Value::Number(_)) => How::Is,
            (_, _, _) => How::Holds,
        })
    };
    let part = |old: &String| {
        let within = |(values, new): &(Vec<String>, Vec<&str>)| {
            let mut values = values.iter();
            values.any(|value| new.iter().any(|new| value.contains(new)))
        };
        (old.contains(text) && instead.iter().all(within)).then_some(How::IsPartOf)
    };
    let old = || old.iter().filter(|old| !old.is_empty());
    let how = old().find_map(follows).or_else(|| old().find_map(part));
    Some(how.unwrap_or(How::DependsOn))
}

/// The texts in a value: itself, or those of its items.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_lies_between_what_both_share() {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        for (before, after, range) in [
            (&["a", "b"][..], &["a", "c"][..], (1, 2)),
            (&["a", "b", "c"], &["x", "b", "y"], (0, 3)),
            (&["a", "b"], &["a", "b"], (0, 0)),
            (&["a", "b"], &["b"], (0, 1)),
            (&["b"], &["a", "b"], (0, 0)),
            (&["a", "x", "c"], &["a", "c"], (1, 2)),
            (&["a", "a"], &["a"], (1, 2)),
        ] {
            assert_eq!(replaced(&own(before), &own(after)), range, "{before:?}");
        }
    }
}
