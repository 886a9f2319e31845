//! Policies that answer with what is no name, or none of their own: the
//! envelope has to refuse each.

use super::limits::{Limited, tighter};
use super::{ComponentAttack, Made, selectors};
use crate::attack::{Expected, Group};
use crate::component::{AssemblyError, answering};
use nameplate_attestor::Envelope;

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
const SELECTORS: [(&str, &str, &str); 9] = [
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
        "a selector with a right-to-left override",
        "a:\u{202e}b",
        "selector_unseen",
    ),
    (
        "a selector with a zero-width space",
        "a:b\u{200b}",
        "selector_unseen",
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

/// The word that no path may have, whoever configures the envelope: SPIRE's
/// server has its ID by it. Of the others that SPIRE keeps for itself, `spire`
/// and `agent`, the host writes the ones there are.
const SERVER: &str = "server";

pub(super) fn attacks(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let selector = "a".to_owned();
    let fits = made.envelope.max_selectors > 0
        && made.envelope.max_selector_bytes > 0
        && open(made.envelope);
    let mut attacks = vec![
        attack(
            "answers as it should".to_owned(),
            made.path,
            &Vec::from_iter(fits.then_some(selector)),
            Expected::Twin,
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
        attacks.push(made.selecting(format!("answers {name}"), &[selector], reason)?);
    }
    let twice = "answers a selector twice".to_owned();
    attacks.push(made.selecting(twice, &["a", "b", "a"], "selector_duplicate")?);
    attacks.extend(selectors::attacks(made)?);
    attacks.extend(names(made)?);
    attacks.extend(bounds(made)?);
    attacks.extend(just_within(made)?);
    Ok(attacks)
}

/// Whether no pattern stands in the way of a policy's own selectors.
pub(super) fn open(envelope: &Envelope) -> bool {
    let mut patterns = envelope.selectors.iter();
    envelope.selectors.is_empty() || patterns.any(|pattern| pattern.to_string() == "*")
}

/// A policy that answers so, whatever it is asked.
pub(super) fn attack(
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

    /// A policy that answers with these selectors, which `reason` refuses: or
    /// a bound that they break besides, for those are looked at first.
    pub(super) fn selecting(
        self,
        name: String,
        selectors: &[&str],
        reason: &'static str,
    ) -> Result<ComponentAttack, AssemblyError> {
        let mut reasons = vec![reason];
        if selectors.len() > self.envelope.max_selectors {
            reasons.push("selector_count");
        }
        let most = self.envelope.max_selector_bytes;
        if selectors.iter().any(|selector| selector.len() > most) {
            reasons.push("selector_length");
        }
        if !open(self.envelope) {
            reasons.push("selector_pattern");
        }
        let selectors: Vec<_> = selectors.iter().map(|&text| text.to_owned()).collect();
        attack(name, self.path, &selectors, Expected::Stopped(reasons))
    }
}

/// Names that are another's: of another cluster, or reserved.
fn names(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let envelope = made.envelope;
    let mut attacks = Vec::new();
    if let Some(elsewhere) = made.elsewhere {
        let mut foreign = elsewhere.to_vec();
        // Where both clusters' paths begin alike, nothing ties the name to one.
        let tied = foreign != made.path;
        if !tied {
            foreign.push("of-another-cluster".to_owned());
        }
        attacks.push(attack(
            "answers another cluster's name".to_owned(),
            &foreign,
            &[],
            match tied {
                true => Expected::by("path_leading"),
                false => Expected::Unasked("`envelope.leading` with `{cluster}` in it"),
            },
        )?);
    }
    let mut beside = made.path.to_vec();
    if let Some(first) = beside.first_mut() {
        *first = format!("not-{first}");
    }
    if !envelope.leading.is_empty() {
        attacks.push(attack(
            "answers a name beside the leading segments".to_owned(),
            &beside,
            &[],
            Expected::by("path_leading"),
        )?);
    } else if made.elsewhere.is_none() {
        attacks.push(attack(
            "answers any name".to_owned(),
            &beside,
            &[],
            Expected::Unasked("`envelope.leading`"),
        )?);
    }
    let listed = |word: &str| {
        let mut words = envelope.reserved.iter();
        words.any(|reserved| reserved.eq_ignore_ascii_case(word))
    };
    let others = envelope.reserved.iter().map(String::as_str);
    let others = others.filter(|word| *word != SERVER && is_segment(word));
    for word in std::iter::once(SERVER).chain(others) {
        let refused = match listed(word) {
            true => Expected::by("path_reserved"),
            false => Expected::Unasked("`envelope.reserved`"),
        };
        for word in [word.to_owned(), word.to_ascii_uppercase()] {
            attacks.push(attack(
                format!("answers the word `{word}`"),
                &made.with(&word),
                &[],
                refused.clone(),
            )?);
        }
    }
    attacks.dedup_by(|one, other| one.name == other.name);
    Ok(attacks)
}

/// Whether a path could have it: what no path can have needs no reserving.
fn is_segment(word: &str) -> bool {
    !matches!(word, "" | "." | "..")
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// At each bound of the envelope: a little more than it.
fn bounds(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let envelope = made.envelope;
    let over = |limit: usize, reason: usize| limit.min(reason).saturating_add(1);
    let id = over(envelope.max_id_bytes, TABLES);
    let selector = over(envelope.max_selector_bytes, TABLES);
    let selectors = over(envelope.max_selectors, SELECTORS_IN_REASON);
    // What the whole ID lacks, with a slash before it.
    let missing = id.saturating_sub(made.id_bytes.saturating_add(1)).max(1);
    let stopped = |reason, limit: usize, reason_of: usize| {
        let mut reasons = vec![reason];
        // A limit of the operator's on the way there may be met before.
        if limit <= reason_of {
            reasons.extend(tighter(made.limits, Limited::Other));
        }
        reasons
    };
    let mut of_selector = stopped("selector_length", envelope.max_selector_bytes, TABLES);
    if envelope.max_selectors == 0 {
        of_selector.push("selector_count");
    }
    Ok(vec![
        attack(
            format!("answers an ID of {id} bytes"),
            &made.with(&"a".repeat(missing)),
            &[],
            Expected::Stopped(stopped("id_length", envelope.max_id_bytes, TABLES)),
        )?
        .repeating("SPIRE#7066"),
        attack(
            format!("answers a selector of {selector} bytes"),
            made.path,
            &["a".repeat(selector)],
            Expected::Stopped(of_selector),
        )?,
        attack(
            format!("answers {selectors} selectors"),
            made.path,
            &numbered(selectors),
            Expected::Stopped(stopped(
                "selector_count",
                envelope.max_selectors,
                SELECTORS_IN_REASON,
            )),
        )?,
    ])
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("n:{n}")).collect()
}

/// At each bound of the envelope: exactly as much as it allows.
fn just_within(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let envelope = made.envelope;
    let mut attacks = Vec::new();
    // Under tighter limits than usual, what an answer costs is met before.
    if !tighter(made.limits, Limited::Other).is_empty() {
        return Ok(attacks);
    }
    let mut push = |name: String, path: &[String], selectors: &[String]| {
        let within = attack(name, path, selectors, Expected::Twin)?;
        attacks.push(within.repeating("SPIRE#6324"));
        Ok::<_, AssemblyError>(())
    };
    let id = envelope.max_id_bytes;
    let missing = id.saturating_sub(made.id_bytes.saturating_add(1));
    if id <= TABLES && missing > 0 {
        let path = made.with(&"a".repeat(missing));
        push(format!("answers an ID of exactly {id} bytes"), &path, &[])?;
    }
    let bytes = envelope.max_selector_bytes;
    if (1..=TABLES).contains(&bytes) && envelope.max_selectors > 0 && open(envelope) {
        let selector = ["a".repeat(bytes)];
        let name = format!("answers a selector of exactly {bytes} bytes");
        push(name, made.path, &selector)?;
    }
    let count = envelope.max_selectors;
    let numbered = numbered(count.min(SELECTORS_IN_REASON));
    let fit = numbered.iter().all(|selector| selector.len() <= bytes) && open(envelope);
    if (1..=SELECTORS_IN_REASON).contains(&count) && fit {
        let name = format!("answers exactly {count} selectors");
        push(name, made.path, &numbered)?;
    }
    Ok(attacks)
}
