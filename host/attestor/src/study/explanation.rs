//! Why a subject has its name: each fact and each setting changed, and what
//! that changes.
//!
//! The policy is not looked into. What decides shows in what it answers, so
//! the explanation holds for any component, and one that reads a fact without
//! using it cannot be told from one that does not.

mod origin;
mod pairs;
#[cfg(test)]
mod tests;

pub use origin::{Derivation, How, Origin, Part};
pub use pairs::{Aspect, Together};

use super::edits::{self, Changeable};
use super::settings::{self, ChangeableSetting};
use crate::cases::{Outcome, judge};
use crate::envelope::Envelope;
use crate::fact;
use nameplate_policy::{Facts, Trial};
use serde::Serialize;
use serde_json::Value;

/// What is explained.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// The policy.
    pub trial: &'a Trial,
    /// Its settings.
    pub settings: &'a Value,
    /// The JSON Schema of its settings, where it has one: says what to try.
    pub schema: Option<&'a Value>,
    /// What it may answer.
    pub envelope: &'a Envelope,
    /// The subject.
    pub facts: &'a Facts,
}

/// Why a subject has its name, or none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// What comes of the facts as they are.
    pub outcome: Outcome,
    /// Fuel that the policy used for that.
    pub fuel: Option<u64>,
    /// The answer, taken apart. None where there is no identity.
    pub derivation: Option<Derivation>,
    /// Every fact that was changed, by name.
    pub facts: Vec<Influence>,
    /// Every setting that was changed.
    pub settings: Vec<Influence>,
    /// Facts that decide something only together with another.
    pub together: Vec<Together>,
    /// Pairs of facts that were changed together.
    pub pairs_tried: usize,
    /// Pairs of facts that could have been.
    pub pairs: usize,
    /// Questions that the policy was asked for all of it.
    pub questions: u64,
}

/// What a fact or a setting decides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Influence {
    /// Its name, as it is shown.
    pub name: String,
    /// Where it stands, as a JSON Pointer.
    pub pointer: String,
    /// What it is; none where it is not proven or not set.
    pub value: Option<Value>,
    /// What changed with it.
    #[serde(flatten)]
    pub effects: Effects,
    /// Each change that was made.
    pub tried: Vec<Tried>,
}

/// What changed, of all that was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    /// The path.
    pub path: bool,
    /// The selectors.
    pub selectors: bool,
    /// An identity came about where there was none.
    pub named: bool,
    /// It was denied, or for another reason: the codes.
    pub denied: Vec<String>,
    /// The policy or its answer failed: the reasons.
    pub faults: Vec<String>,
    /// The policy refused the settings.
    pub refused: bool,
    /// The answer is the same and took other fuel, for a value of the same
    /// length: the policy looked at it.
    pub looked_at: bool,
}

impl Effects {
    /// Whether the answer never changed.
    pub fn none(&self) -> bool {
        let Self {
            path,
            selectors,
            named,
            denied,
            faults,
            refused: _,
            looked_at: _,
        } = self;
        !path && !selectors && !named && denied.is_empty() && faults.is_empty()
    }

    fn add(&mut self, before: &Answer, after: &Answer, same_length: bool) {
        match (&before.outcome, &after.outcome) {
            (
                Outcome::Identity { selectors: old, .. },
                Outcome::Identity { selectors: new, .. },
            ) => {
                let path = before.path != after.path;
                self.path |= path;
                self.selectors |= old != new;
                self.looked_at |= same_length && !path && old == new && before.fuel != after.fuel;
            }
            (_, Outcome::Identity { .. }) => self.named = true,
            (old, new) if old == new => {
                self.looked_at |= same_length && before.fuel != after.fuel;
            }
            (_, Outcome::Denied { code }) => push_new(&mut self.denied, code),
            // Nothing is rejected where facts are asked about.
            (_, Outcome::Fault(reason) | Outcome::Rejected(reason)) => {
                push_new(&mut self.faults, reason);
            }
            (_, Outcome::SettingsRefused(_)) => self.refused = true,
        }
    }
}

fn push_new(list: &mut Vec<String>, text: &str) {
    if !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}

/// One change, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// The change in words: `another`, `absent`.
    pub change: String,
    /// The new value; none where it was taken away.
    pub value: Option<Value>,
    /// What came of it.
    pub outcome: Outcome,
}

/// An answer of the policy, with what an explanation compares of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    outcome: Outcome,
    /// The segments that are the policy's.
    path: Vec<String>,
    fuel: Option<u64>,
}

impl Answer {
    fn selectors(&self) -> &[String] {
        match &self.outcome {
            Outcome::Identity { selectors, .. } => selectors,
            Outcome::Denied { .. }
            | Outcome::Rejected(_)
            | Outcome::Fault(_)
            | Outcome::SettingsRefused(_) => &[],
        }
    }
}

/// A fact or setting that was changed, and each answer.
struct Probe {
    influence: Influence,
    answers: Vec<Answer>,
}

impl Explanation {
    /// Asks the policy about the facts as they are, with each fact changed,
    /// with each setting changed, and with up to `pairs` pairs of facts
    /// changed. Calls `progress` with what is done, now and then.
    ///
    /// # Errors
    /// [`ExplainError`]: the policy does not take its settings.
    pub fn of(
        explained: Explained<'_>,
        pairs: usize,
        mut progress: impl FnMut(&str),
    ) -> Result<Self, ExplainError> {
        let ask = |settings: &Value, facts: &Facts| explained.ask(settings, facts);
        let mut asking = Asking {
            ask: &ask,
            settings: explained.settings,
            schema: explained.schema,
            facts: explained.facts,
            questions: 0,
        };
        asking.explain(pairs, &mut progress)
    }
}

impl Explained<'_> {
    /// What comes of the facts under these settings, and its fuel.
    fn ask(&self, settings: &Value, facts: &Facts) -> (Outcome, Option<u64>) {
        let run = judge(self.envelope, facts, self.trial.ask(settings, facts));
        (run.outcome, run.fuel)
    }
}

/// Why nothing can be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The policy does not take its settings.
    #[error("the policy refuses its settings at {}", shown(pointers))]
    SettingsRefused {
        /// Where.
        pointers: Vec<String>,
    },
}

fn shown(pointers: &[String]) -> String {
    let shown: Vec<_> = pointers
        .iter()
        .map(|pointer| format!("`{}`", pointer.escape_debug()))
        .collect();
    shown.join(", ")
}

/// What comes of facts under settings, and its fuel.
type Ask<'a> = dyn Fn(&Value, &Facts) -> (Outcome, Option<u64>) + 'a;

/// Asks, and counts.
struct Asking<'a> {
    ask: &'a Ask<'a>,
    settings: &'a Value,
    schema: Option<&'a Value>,
    facts: &'a Facts,
    questions: u64,
}

impl Asking<'_> {
    fn explain(
        &mut self,
        pairs: usize,
        progress: &mut impl FnMut(&str),
    ) -> Result<Explanation, ExplainError> {
        let before = self.ask(self.settings, self.facts);
        if let Outcome::SettingsRefused(pointers) = before.outcome {
            return Err(ExplainError::SettingsRefused { pointers });
        }
        let changeable = edits::changeable(self.facts);
        progress(&format!("changing {} facts", changeable.len()));
        let view = fact::view(self.facts);
        let facts: Vec<Probe> = changeable
            .iter()
            .map(|fact| self.probe_fact(&view, fact, &before))
            .collect();
        let changeable_settings = settings::changeable(self.settings, self.schema);
        progress(&format!("changing {} settings", changeable_settings.len()));
        let settings: Vec<Probe> = changeable_settings
            .iter()
            .map(|setting| self.probe_setting(setting, &before))
            .collect();
        let derivation = Derivation::of(self.facts, &before, &facts, &settings);
        let found = pairs::find(self, &view, &changeable, &facts, pairs, progress);
        Ok(Explanation {
            outcome: before.outcome,
            fuel: before.fuel,
            derivation,
            facts: facts.into_iter().map(|probe| probe.influence).collect(),
            settings: settings.into_iter().map(|probe| probe.influence).collect(),
            together: found.together,
            pairs_tried: found.tried,
            pairs: found.pairs,
            questions: self.questions,
        })
    }

    fn ask(&mut self, settings: &Value, facts: &Facts) -> Answer {
        self.questions = self.questions.saturating_add(1);
        let (outcome, fuel) = (self.ask)(settings, facts);
        Answer {
            path: match &outcome {
                Outcome::Identity { spiffe_id, .. } => super::names::path(spiffe_id, facts)
                    .unwrap_or_default()
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                Outcome::Denied { .. }
                | Outcome::Rejected(_)
                | Outcome::Fault(_)
                | Outcome::SettingsRefused(_) => Vec::new(),
            },
            outcome,
            fuel,
        }
    }

    /// The answer about facts as a view shows them.
    fn ask_view(&mut self, view: Value) -> Option<Answer> {
        let facts = fact::facts(view).ok()?;
        Some(self.ask(self.settings, &facts))
    }

    fn probe_fact(&mut self, view: &Value, fact: &Changeable, before: &Answer) -> Probe {
        let mut probe = Probe::new(fact::short_name(&fact.pointer), &fact.pointer, &fact.value);
        for edit in &fact.edits {
            let mut edited = view.clone();
            edit.apply(&mut edited);
            if let Some(answer) = self.ask_view(edited) {
                let same_length = is_as_long(fact.value.as_ref(), edit.value.as_ref());
                probe.add(before, answer, &edit.words, &edit.value, same_length);
            }
        }
        probe
    }

    fn probe_setting(&mut self, setting: &ChangeableSetting, before: &Answer) -> Probe {
        let mut probe = Probe::new(setting.pointer.clone(), &setting.pointer, &setting.value);
        for edit in &setting.edits {
            let answer = self.ask(&edit.settings, self.facts);
            // What other settings cost says nothing.
            probe.add(before, answer, &edit.words, &edit.value, false);
        }
        probe
    }
}

impl Probe {
    fn new(name: String, pointer: &str, value: &Option<Value>) -> Self {
        Self {
            influence: Influence {
                name,
                pointer: pointer.to_owned(),
                value: value.clone(),
                effects: Effects::default(),
                tried: Vec::new(),
            },
            answers: Vec::new(),
        }
    }

    fn add(
        &mut self,
        before: &Answer,
        answer: Answer,
        words: &str,
        value: &Option<Value>,
        same_length: bool,
    ) {
        self.influence.effects.add(before, &answer, same_length);
        self.influence.tried.push(Tried {
            change: words.to_owned(),
            value: value.clone(),
            outcome: answer.outcome.clone(),
        });
        self.answers.push(answer);
    }
}

/// Whether a text was replaced by another of its length, which costs the same
/// to hand over.
fn is_as_long(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(Value::String(old)), Some(Value::String(new))) => old.len() == new.len(),
        (Some(Value::Number(_)), Some(Value::Number(_))) => true,
        (_, _) => false,
    }
}
