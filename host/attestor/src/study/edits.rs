//! Other values for a fact, of the fact's own kind: what an attestation of
//! another subject could have proven.

use crate::fact::{self, FactKind, escaped};
use crate::study::samples;
use nameplate_evidence::Subject;
use nameplate_policy::Facts;
use serde_json::{Map, Value, json};

/// A fact that can be changed, and the changes.
#[derive(Clone, Debug)]
pub(crate) struct Changeable {
    /// Where the fact or record stands, as a JSON Pointer.
    pub(crate) pointer: String,
    /// What it is now; none where it is not proven.
    pub(crate) value: Option<Value>,
    /// What it could be.
    pub(crate) edits: Vec<Edit>,
}

/// One change of a view of facts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edit {
    /// What it makes of the fact, in words.
    pub(crate) words: String,
    /// Where.
    pointer: String,
    /// The new value; none takes the fact away.
    pub(crate) value: Option<Value>,
}

impl Edit {
    fn new(words: &str, pointer: &str, value: Option<Value>) -> Self {
        Self {
            words: words.to_owned(),
            pointer: pointer.to_owned(),
            value,
        }
    }

    /// Makes the change. Where another one took away what this would change,
    /// there is nothing to do.
    pub(crate) fn apply(&self, view: &mut Value) {
        let Some((parent, name)) = self.pointer.rsplit_once('/') else {
            return;
        };
        let Some(Value::Object(members)) = view.pointer_mut(parent) else {
            return;
        };
        let name = name.replace("~1", "/").replace("~0", "~");
        match &self.value {
            Some(value) => {
                members.insert(name, value.clone());
            }
            None => {
                members.remove(&name);
            }
        }
    }
}

/// Everything in `facts` that can be changed, by name.
///
/// A fact that is not proven could be: it takes its value from a sample.
pub(crate) fn changeable(facts: &Facts) -> Vec<Changeable> {
    let sample = match facts.subject {
        Subject::ServiceAccount(_) => samples::service_account(),
        Subject::Certificate(_) => samples::certificate(),
    };
    let other = match facts.subject {
        Subject::ServiceAccount(_) => samples::certificate(),
        Subject::Certificate(_) => samples::service_account(),
    };
    let view = fact::view(facts);
    let mut found = vec![other_subject(&fact::view(&other))];
    collect(
        &view,
        &fact::view(&sample),
        "",
        &mut |pointer, value, sample| {
            found.extend(change(&view, pointer, value, sample));
        },
    );
    found
}

/// The kind of subject itself.
fn other_subject(other: &Value) -> Changeable {
    let subject = other.get("subject").cloned().unwrap_or_default();
    let (kind, words) = match subject.get("certificate") {
        Some(_) => ("service_account", "a certificate instead"),
        None => ("certificate", "a service account instead"),
    };
    Changeable {
        pointer: "/subject".to_owned(),
        value: Some(json!({ kind: {} })),
        edits: vec![Edit::new(words, "/subject", Some(subject))],
    }
}

/// Takes a pointer, the value there and the sample's.
type Visit<'a> = dyn FnMut(&str, Option<&Value>, Option<&Value>) + 'a;

/// Calls `each` with every fact and every optional record that the view or
/// the sample has.
fn collect(view: &Value, sample: &Value, at: &str, each: &mut Visit<'_>) {
    let empty = Map::new();
    let members = |value: &'_ Value| value.as_object().cloned().unwrap_or_else(|| empty.clone());
    let (here, there) = (members(view), members(sample));
    let mut names: Vec<&String> = there.keys().collect();
    names.extend(here.keys().filter(|name| !there.contains_key(*name)));
    for name in names {
        let pointer = format!("{at}/{}", escaped(name));
        let (value, like) = (here.get(name), there.get(name));
        match FactKind::of(&pointer) {
            Some(FactKind::Record) => {
                each(&pointer, value, like);
                if let Some(value) = value {
                    collect(value, like.unwrap_or(&Value::Null), &pointer, each);
                }
            }
            Some(_) => each(&pointer, value, like),
            None => {}
        }
    }
}

fn change(
    view: &Value,
    pointer: &str,
    value: Option<&Value>,
    sample: Option<&Value>,
) -> Option<Changeable> {
    let kind = FactKind::of(pointer)?;
    let mut edits = match (value, sample) {
        (Some(value), _) => others(kind, value)
            .into_iter()
            .map(|(words, value)| Edit::new(words, pointer, Some(value)))
            .collect(),
        (None, Some(sample)) => vec![Edit::new("proven", pointer, Some(sample.clone()))],
        (None, None) => Vec::new(),
    };
    if value.is_some() {
        edits.push(Edit::new("absent", pointer, None));
    }
    // What the facts could not be is no edit: a required fact is never absent.
    edits.retain(|edit| {
        let mut edited = view.clone();
        edit.apply(&mut edited);
        edited != *view && fact::facts(edited).is_ok()
    });
    (!edits.is_empty()).then(|| Changeable {
        pointer: pointer.to_owned(),
        value: value.cloned(),
        edits,
    })
}

type Other = (&'static str, Value);

/// Other values of one kind.
fn others(kind: FactKind, value: &Value) -> Vec<Other> {
    match (kind, value) {
        (FactKind::Record, Value::Object(members)) => of_record(members),
        (_, Value::Array(items)) => of_list(kind, items),
        (_, Value::Number(number)) => of_time(number.as_u64().unwrap_or_default()),
        (_, Value::String(text)) => of_text(kind, text),
        (_, _) => Vec::new(),
    }
}

/// Only labels are a record that can have one more.
fn of_record(members: &Map<String, Value>) -> Vec<Other> {
    if !members.values().all(Value::is_string) || members.contains_key("name") {
        return Vec::new();
    }
    let mut more = members.clone();
    more.insert("example.org/another".to_owned(), json!("another"));
    vec![("one more", Value::Object(more))]
}

/// Near and far, since a policy may change its answers at any time. Pairs of
/// facts take the first change only, so the furthest comes first.
fn of_time(time: u64) -> Vec<Other> {
    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;
    const MONTH: u64 = 30 * DAY;
    const YEAR: u64 = 365 * DAY;
    let later = [
        ("ten years later", 10 * YEAR),
        ("a year later", YEAR),
        ("a month later", MONTH),
        ("a day later", DAY),
        ("an hour later", HOUR),
        ("a second later", 1),
    ];
    let earlier = [
        ("an hour earlier", HOUR),
        ("a day earlier", DAY),
        ("a month earlier", MONTH),
        ("a year earlier", YEAR),
    ];
    let later = later.map(|(words, by)| (words, time.saturating_add(by)));
    let earlier = earlier.map(|(words, by)| (words, time.saturating_sub(by)));
    later
        .into_iter()
        .chain(earlier)
        .map(|(words, time)| (words, json!(time)))
        .collect()
}

fn of_list(kind: FactKind, items: &[Value]) -> Vec<Other> {
    // A list that is neither of names nor of authorities is of texts.
    let more = if kind == FactKind::AlternativeNames {
        json!({ "dns": "another.example.org" })
    } else if kind == FactKind::Authorities {
        json!({ "sha1": "0f".repeat(20), "sha256": "1e".repeat(32) })
    } else {
        json!("another")
    };
    let turned_first = items.iter().enumerate().map(|(index, item)| match index {
        0 => turned_within(item),
        _ => item.clone(),
    });
    let mut others = vec![
        ("another first item", turned_first.collect()),
        (
            "one more item",
            items.iter().cloned().chain([more.clone()]).collect(),
        ),
        (
            "one more item, first",
            [more].into_iter().chain(items.iter().cloned()).collect(),
        ),
        ("in reverse order", items.iter().rev().cloned().collect()),
    ];
    if kind == FactKind::AlternativeNames {
        let moved = items.iter().map(|item| {
            let text = item.as_object().and_then(|item| item.values().next());
            json!({ "email": text })
        });
        others.push(("names of another kind", moved.collect()));
    }
    others
}

fn of_text(kind: FactKind, text: &str) -> Vec<Other> {
    let to = |words, text: String| (words, Value::String(text));
    match kind {
        FactKind::Key => ["rsa", "p256", "p384", "p521"]
            .into_iter()
            .filter(|key| *key != text)
            .map(|key| to("another kind", key.to_owned()))
            .collect(),
        FactKind::Address => vec![
            to("another", "198.51.100.77".to_owned()),
            to("an IPv6 one", "2001:db8::77".to_owned()),
        ],
        FactKind::Uuid | FactKind::Hexadecimal => {
            let turn = |c: char| turned_digit(c);
            vec![
                to("another", turned(text, turn, |_, _| true)),
                to("its last digit another", last(text, turn)),
                to("its first digit another", first(text, turn)),
            ]
        }
        FactKind::TrustDomain
        | FactKind::Name
        | FactKind::Text
        | FactKind::Url
        | FactKind::Label
        | FactKind::Time
        | FactKind::Texts
        | FactKind::AlternativeNames
        | FactKind::Authorities
        | FactKind::Record => {
            let mut others = vec![
                to("another", turned(text, turned_letter, |_, _| true)),
                to("its last character another", last(text, turned_letter)),
                to("its first character another", first(text, turned_letter)),
                to("longer", format!("{text}-2")),
                to("dots for its hyphens", text.replace('-', ".")),
            ];
            if matches!(kind, FactKind::Text | FactKind::Label) {
                others.push(to("in capitals", text.to_uppercase()));
            }
            if kind == FactKind::Label {
                others.push(to("empty", String::new()));
            }
            others
        }
    }
}

/// A value with every text in it turned into another.
fn turned_within(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let turn = if hexadecimal {
                turned_digit
            } else {
                turned_letter
            };
            Value::String(turned(text, turn, |_, _| true))
        }
        Value::Array(items) => items.iter().map(turned_within).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), turned_within(value)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn last(text: &str, turn: fn(char) -> char) -> String {
    let end = text.chars().count().saturating_sub(1);
    turned(text, turn, |index, _| index == end)
}

fn first(text: &str, turn: fn(char) -> char) -> String {
    turned(text, turn, |index, _| index == 0)
}

/// `text` with those characters turned that `which` chooses. The digits that
/// say that a UUID is of version 4 stay.
fn turned(text: &str, turn: impl Fn(char) -> char, which: impl Fn(usize, char) -> bool) -> String {
    let uuid = uuid::Uuid::try_parse(text).is_ok();
    text.chars()
        .enumerate()
        .map(|(index, c)| {
            if (uuid && matches!(index, 14 | 19)) || !which(index, c) {
                c
            } else {
                turn(c)
            }
        })
        .collect()
}

/// The next letter or digit of the same sort.
fn turned_letter(c: char) -> char {
    match c {
        'z' => 'a',
        'Z' => 'A',
        '9' => '0',
        'a'..='y' | 'A'..='Y' | '0'..='8' => char::from_u32(u32::from(c) + 1).unwrap_or(c),
        c => c,
    }
}

/// The next hexadecimal digit.
fn turned_digit(c: char) -> char {
    match c {
        '9' => 'a',
        'f' => '0',
        'F' => '0',
        '0'..='8' | 'a'..='e' | 'A'..='E' => char::from_u32(u32::from(c) + 1).unwrap_or(c),
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(facts: &Facts, edit: &Edit) -> Facts {
        let mut view = fact::view(facts);
        edit.apply(&mut view);
        fact::facts(view).unwrap()
    }

    #[test]
    fn every_edit_gives_other_facts() {
        for facts in [samples::service_account(), samples::certificate()] {
            let changeable = changeable(&facts);
            assert!(changeable.len() > 20, "{}", changeable.len());
            for changeable in &changeable {
                assert!(!changeable.edits.is_empty(), "{}", changeable.pointer);
                for edit in &changeable.edits {
                    assert_ne!(edited(&facts, edit), facts, "{edit:?}");
                }
            }
        }
    }

    fn words(facts: &Facts, pointer: &str) -> Vec<(String, Option<Value>)> {
        changeable(facts)
            .into_iter()
            .find(|changeable| changeable.pointer == pointer)
            .map(|changeable| changeable.edits)
            .unwrap_or_default()
            .into_iter()
            .map(|edit| (edit.words, edit.value))
            .collect()
    }

    #[test]
    fn values_stay_of_their_kind() {
        let facts = samples::service_account();
        let of = |pointer: &str| words(&facts, pointer);
        for (words, value) in of("/subject/service_account/node/uid") {
            let Some(value) = value else {
                assert_eq!(words, "absent");
                continue;
            };
            let uuid = uuid::Uuid::try_parse(value.as_str().unwrap()).unwrap();
            assert_eq!(uuid.get_version_num(), 4, "{words}");
        }
        let node = of("/subject/service_account/node/name");
        let node: Vec<_> = node
            .iter()
            .map(|(words, value)| (words.as_str(), value.as_ref().unwrap().as_str().unwrap()))
            .collect();
        assert_eq!(
            node,
            [
                ("another", "xpslfs-2"),
                ("its last character another", "worker-2"),
                ("its first character another", "xorker-1"),
                ("longer", "worker-1-2"),
                ("dots for its hyphens", "worker.1"),
            ]
        );
        let labels = of("/subject/service_account/pod/labels");
        assert_eq!(labels[0].0, "one more");
        assert_eq!(labels[1], ("absent".to_owned(), None));
        let app = of("/subject/service_account/pod/labels/app");
        assert!(app.contains(&("empty".to_owned(), Some(json!("")))));
        assert!(app.contains(&("absent".to_owned(), None)));
    }

    #[test]
    fn times_are_moved_near_and_far() {
        let facts = samples::service_account();
        let moved: Vec<_> = words(&facts, "/attested_at")
            .into_iter()
            .map(|(words, value)| {
                let moved = value.unwrap().as_i64().unwrap() - 1_767_225_600;
                (words, moved)
            })
            .collect();
        let moved: Vec<_> = moved
            .iter()
            .map(|(words, moved)| (words.as_str(), *moved))
            .collect();
        assert_eq!(
            moved,
            [
                ("ten years later", 315_360_000),
                ("a year later", 31_536_000),
                ("a month later", 2_592_000),
                ("a day later", 86_400),
                ("an hour later", 3_600),
                ("a second later", 1),
                ("an hour earlier", -3_600),
                ("a day earlier", -86_400),
                ("a month earlier", -2_592_000),
                ("a year earlier", -31_536_000),
            ]
        );
    }

    #[test]
    fn what_is_required_is_never_absent() {
        for facts in [samples::service_account(), samples::certificate()] {
            for changeable in changeable(&facts) {
                let required = ["cluster", "name", "trust_domain", "token_sha256", "serial"]
                    .iter()
                    .any(|name| {
                        changeable
                            .pointer
                            .ends_with(&format!("service_account/{name}"))
                    });
                if required {
                    assert!(changeable.edits.iter().all(|edit| edit.value.is_some()));
                }
            }
        }
    }

    #[test]
    fn what_is_not_proven_could_be() {
        let mut facts = samples::service_account();
        if let Subject::ServiceAccount(account) = &mut facts.subject {
            account.node = None;
            account.issuer = None;
        }
        let node = words(&facts, "/subject/service_account/node");
        assert_eq!(node.len(), 1);
        assert_eq!(node[0].0, "proven");
        assert!(node[0].1.as_ref().unwrap().get("uid").is_some());
        assert_eq!(
            words(&facts, "/subject/service_account/issuer")[0].0,
            "proven"
        );
        assert!(words(&facts, "/subject/service_account/node/uid").is_empty());
    }

    #[test]
    fn an_edit_of_what_is_gone_does_nothing() {
        let facts = samples::service_account();
        let mut view = fact::view(&facts);
        Edit::new("absent", "/subject/service_account/node", None).apply(&mut view);
        let without = view.clone();
        Edit::new(
            "another",
            "/subject/service_account/node/name",
            Some(json!("x")),
        )
        .apply(&mut view);
        assert_eq!(view, without);
    }
}
