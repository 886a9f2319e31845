//! Policies that answer with what is no name, or none of their own: the
//! envelope has to refuse each.

use super::{ComponentAttack, Made};
use crate::attack::{Expected, Group};
use crate::component::{AssemblyError, answering};

/// Segments that are none, each a way into another name.
const SEGMENTS: [(&str, &str); 22] = [
    ("an empty segment", ""),
    ("a dot", "."),
    ("two dots", ".."),
    ("a slash", "a/b"),
    ("a slash first", "/a"),
    ("a slash last", "a/"),
    ("a way up", "../../server"),
    ("a backslash", "a\\b"),
    ("dots in percent signs", "%2e%2e"),
    ("a slash in percent signs", "a%2fb"),
    ("a colon", "a:b"),
    ("a query", "a?b"),
    ("a fragment", "a#b"),
    ("a user", "user@host"),
    ("a whole ID", "spiffe://example.org/spire/server"),
    ("a template that was not filled", "<no value>"),
    ("a space", "a b"),
    ("a line break", "a\nb"),
    ("a NUL", "a\0"),
    ("a letter that is not ASCII", "\u{e4}"),
    ("a look-alike of a slash", "a\u{2215}b"),
    ("a right-to-left override", "a\u{202e}b"),
];

/// Selectors that are none, and why.
const SELECTORS: [(&str, &str, &str); 7] = [
    ("an empty selector", "", "selector_empty"),
    (
        "a selector of two lines",
        "a:b\nadmin:true",
        "selector_control",
    ),
    ("a selector with a NUL", "a:b\0", "selector_control"),
    ("a selector with DEL", "a:b\u{7f}", "selector_control"),
    (
        "a selector with a C1 control",
        "a:\u{9b}2J",
        "selector_control",
    ),
    (
        "a selector with a line separator",
        "a\u{2028}b",
        "selector_control",
    ),
    (
        "a selector with a terminal command",
        "\u{1b}[2J",
        "selector_control",
    ),
];

/// The longest ID and the longest selector that SPIRE's tables hold, in bytes.
const TABLES: usize = 255;

/// The most selectors that an agent can need.
const SELECTORS_IN_REASON: usize = 64;

pub(super) fn attacks(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let mut attacks = vec![
        attack(
            "answers as it should".to_owned(),
            made.path,
            &["a:1".to_owned()],
            Expected::Harmless,
        )?,
        attack(
            "answers no path".to_owned(),
            &[],
            &[],
            Expected::by("path_empty"),
        )?
        .repeating("SPIRE#4106"),
    ];
    for (name, segment) in SEGMENTS {
        let incident = match segment {
            "<no value>" => "SPIRE#2683",
            _ => "CVE-2021-27099",
        };
        let refused = attack(
            format!("answers {name}"),
            &made.with(segment),
            &[],
            Expected::by("path_segment"),
        )?;
        attacks.push(refused.repeating(incident));
    }
    for (name, selector, reason) in SELECTORS {
        attacks.push(attack(
            format!("answers {name}"),
            made.path,
            &[selector.to_owned()],
            Expected::by(reason),
        )?);
    }
    attacks.push(attack(
        "answers a selector twice".to_owned(),
        made.path,
        &["a:1".to_owned(), "b:2".to_owned(), "a:1".to_owned()],
        Expected::by("selector_duplicate"),
    )?);
    attacks.extend(bounds(made)?);
    Ok(attacks)
}

/// A policy that answers so, whatever it is asked.
fn attack(
    name: String,
    path: &[String],
    selectors: &[String],
    expected: Expected,
) -> Result<ComponentAttack, AssemblyError> {
    ComponentAttack::new(Group::Envelope, name, answering(path, selectors), expected)
}

impl Made<'_> {
    /// The path that is admitted, and `segment` behind it.
    fn with(self, segment: &str) -> Vec<String> {
        let mut path = self.path.to_vec();
        path.push(segment.to_owned());
        path
    }
}

/// At each bound of the envelope.
fn bounds(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let envelope = made.envelope;
    let over = |limit: usize, reason: usize| limit.min(reason).saturating_add(1);
    let id = over(envelope.max_id_bytes, TABLES);
    let selector = over(envelope.max_selector_bytes, TABLES);
    let selectors = over(envelope.max_selectors, SELECTORS_IN_REASON);
    // What the whole ID lacks, with a slash before it.
    let missing = id.saturating_sub(made.id_bytes.saturating_add(1)).max(1);
    let numbered: Vec<String> = (0..selectors).map(|n| format!("n:{n}")).collect();
    let mut foreign = made.path.to_vec();
    if let Some(first) = foreign.first_mut() {
        *first = format!("not-{first}");
    }
    let mut expected_of_foreign = Expected::by("path_leading");
    if envelope.leading.is_empty() {
        expected_of_foreign = Expected::Unasked("`envelope.leading`");
    }
    let (reserved, expected_of_reserved) = match envelope.reserved.first() {
        Some(word) => (word.to_ascii_uppercase(), Expected::by("path_reserved")),
        None => ("admin".to_owned(), Expected::Unasked("`envelope.reserved`")),
    };
    Ok(vec![
        attack(
            format!("answers an ID of {id} bytes"),
            &made.with(&"a".repeat(missing)),
            &[],
            Expected::by("id_length"),
        )?
        .repeating("SPIRE#7066"),
        attack(
            format!("answers a selector of {selector} bytes"),
            made.path,
            &["a".repeat(selector)],
            Expected::by("selector_length"),
        )?,
        attack(
            format!("answers {selectors} selectors"),
            made.path,
            &numbered,
            Expected::by("selector_count"),
        )?,
        attack(
            "answers another cluster's name".to_owned(),
            &foreign,
            &[],
            expected_of_foreign,
        )?
        .repeating("CVE-2021-27098"),
        attack(
            format!("answers the word `{reserved}`"),
            &made.with(&reserved),
            &[],
            expected_of_reserved,
        )?,
    ])
}
