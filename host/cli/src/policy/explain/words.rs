//! What an explanation says, in the words that text and page share.

use nameplate_attestor::study::{Aspect, Effects, Explanation, How, Origin, Part, Together};
use serde_json::Value;

/// Where a part comes from.
pub(super) fn origins(part: &Part) -> String {
    if part.origins.is_empty() {
        return "the policy's own".to_owned();
    }
    let origins: Vec<_> = part.origins.iter().map(origin).collect();
    origins.join(", ")
}

/// How a part depends on one fact or setting.
pub(super) fn origin(origin: &Origin) -> String {
    let name = &origin.name;
    match (origin.how, origin.setting) {
        (How::Is, _) => name.clone(),
        (How::Holds, _) => format!("holds {name}"),
        (How::IsPartOf, _) => format!("part of {name}"),
        (How::DependsOn, false) => format!("computed or chosen by {name}"),
        (How::DependsOn, true) => format!("chosen by setting {name}"),
        (How::DependsOnAbsence, false) => format!("as {name} is not proven"),
        (How::DependsOnAbsence, true) => format!("default of setting {name}"),
    }
}

/// What a fact or setting decides.
pub(super) fn effects(effects: &Effects) -> String {
    let mut words = Vec::new();
    if effects.path {
        words.push("path".to_owned());
    }
    if effects.selectors {
        words.push("selectors".to_owned());
    }
    if effects.named {
        words.push("an identity where there is none".to_owned());
    }
    words.extend(effects.denied.iter().map(|code| format!("denied ({code})")));
    words.extend(
        effects
            .faults
            .iter()
            .map(|reason| format!("fault ({reason})")),
    );
    if words.is_empty() {
        words.push("nothing".to_owned());
        if effects.looked_at {
            words.push("but was looked at".to_owned());
        }
    }
    if effects.refused {
        words.push("some values refused".to_owned());
    }
    words.join(", ")
}

/// A pair that decides something together.
pub(super) fn together(pair: &Together) -> String {
    let decides = match pair.decides {
        Aspect::Path => "the path",
        Aspect::Selectors => "the selectors",
        Aspect::Outcome => "whether there is an identity",
    };
    format!(
        "{} ({}) decides {decides} once {} is {}",
        pair.fact, pair.change, pair.with, pair.with_change
    )
}

/// A value, cut where it is long.
pub(super) fn value(value: Option<&Value>, most: usize) -> String {
    let text = match value {
        None => return "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(members)) => {
            let names: Vec<_> = members.keys().map(String::as_str).collect();
            names.join(", ")
        }
        Some(other) => other.to_string(),
    };
    if text.chars().count() <= most {
        return text;
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// What was asked, and what that leaves open.
pub(super) fn bounds(explanation: &Explanation) -> String {
    let pairs = match (explanation.pairs_tried, explanation.pairs) {
        (0, _) => "no pairs of facts: what two facts hide from each other is not found".to_owned(),
        (tried, all) if tried == all => format!("all {all} pairs of facts"),
        (tried, all) => format!(
            "{tried} of {all} pairs of facts, those first that decide nothing alone; what the others hide is not found"
        ),
    };
    let changes: usize = explanation
        .facts
        .iter()
        .chain(&explanation.settings)
        .map(|influence| influence.tried.len())
        .sum();
    format!(
        "{} questions: {changes} changes of one fact or setting, and {pairs}. \
         What three facts hide, and values that were not tried, are not found.",
        explanation.questions
    )
}
