//! Values that are compared, letter by letter, with what a token or an API
//! server says. A value that no token can have is a slip, and is refused where
//! it is written: otherwise its operator would look for the fault at the
//! agents.

use super::table::{Field, TableReader};
use crate::config::problem::{Problem, quoted};
use nameplate_words::is_unseen;

/// Most characters of a label key's name, and of its prefix (Kubernetes,
/// "Labels and Selectors").
const MAX_LABEL_NAME: usize = 63;
const MAX_LABEL_PREFIX: usize = 253;

/// Notes why no token can have `written` as its `key`. A value that looks like
/// a pattern gets a warning.
pub(super) fn check(table: &mut TableReader<'_, '_>, key: &str, written: &Field<&str>) {
    let (text, span) = (written.value, written.span.clone());
    if let Some(what) = unmatchable(text) {
        let message = format!("{} has {what} in {}, remove it", quoted(text), quoted(key));
        let help = "it is compared letter by letter, and would be equal to nothing";
        table.note(Problem::error(span, message).with_help(help));
    } else if text.contains('*') {
        let message = format!(
            "{} in {} is compared letter by letter: patterns are not supported",
            quoted(text),
            quoted(key)
        );
        table.note(Problem::warning(span, message));
    }
}

/// The character of `text` that no compared value has, in words.
fn unmatchable(text: &str) -> Option<String> {
    text.chars().find_map(|character| {
        let what = what_is_wrong(character)?;
        Some(match character.is_ascii() {
            true => what.to_owned(),
            // Nobody finds it by looking.
            false => format!("{what} (U+{:04X})", u32::from(character)),
        })
    })
}

fn what_is_wrong(character: char) -> Option<&'static str> {
    match character {
        '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some("a line break"),
        character if character.is_whitespace() => Some("a blank"),
        character if character.is_control() => Some("a control character"),
        character if is_unseen(character) => Some("a character that nobody sees"),
        _ => None,
    }
}

/// Keys of labels, each one that Kubernetes admits.
pub(super) fn label_keys(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
) -> Option<Field<Vec<String>>> {
    let list = table.strings(key, "topology.kubernetes.io/zone")?;
    let span = list.span;
    let value = table.each(list.value, |text| match label_problem(text) {
        None => Ok(text.to_owned()),
        Some(why) => Err(format!("no label has the key {}: {why}", quoted(text))),
    })?;
    Some(Field { value, span })
}

fn label_problem(text: &str) -> Option<&'static str> {
    if text.contains('*') {
        return Some("patterns are not supported, list each key");
    }
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let ends_well = |text: &str| {
        let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        alphanumeric(text.as_bytes().first()) && alphanumeric(text.as_bytes().last())
    };
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.len() > MAX_LABEL_NAME || !ends_well(name) || !name.bytes().all(of_name) {
        return Some(
            "its name is 1 to 63 letters, digits, `-`, `_` and `.`, and begins and ends with a \
             letter or a digit",
        );
    }
    let of_prefix = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_domain = |prefix: &str| {
        let mut parts = prefix.split('.');
        prefix.len() <= MAX_LABEL_PREFIX
            && parts.all(|part| ends_well(part) && part.bytes().all(of_prefix))
    };
    prefix.is_some_and(|prefix| !is_domain(prefix)).then_some(
        "what stands before its slash is a domain in small letters, of at most 253 characters",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_token_says_is_seen() {
        for good in [
            "https://issuer.example:6443/a%20b",
            "kubernetes/serviceaccount",
            "spire-server",
            "ü",
        ] {
            assert_eq!(unmatchable(good), None, "{good}");
        }
        for (bad, what) in [
            (" a", "a blank"),
            ("a b", "a blank"),
            ("a\t", "a blank"),
            ("a\u{a0}", "a blank (U+00A0)"),
            ("a\n", "a line break"),
            ("a\u{2028}b", "a line break (U+2028)"),
            ("a\u{0}", "a control character"),
            ("a\u{7f}", "a control character"),
            ("\u{feff}a", "a character that nobody sees (U+FEFF)"),
            ("a\u{200b}", "a character that nobody sees (U+200B)"),
            ("a\u{61c}", "a character that nobody sees (U+061C)"),
        ] {
            assert_eq!(unmatchable(bad).as_deref(), Some(what), "{bad:?}");
        }
    }

    #[test]
    fn a_label_key_is_one_that_kubernetes_admits() {
        for good in [
            "app",
            "topology.kubernetes.io/zone",
            "A_b.C-9",
            &"n".repeat(63),
            &format!("{}/{}", "p".repeat(253), "n".repeat(63)),
        ] {
            assert_eq!(label_problem(good), None, "{good}");
        }
        let name = "its name is 1 to 63 letters";
        let prefix = "what stands before its slash";
        for (bad, why) in [
            (
                "topology.kubernetes.io/*",
                "patterns are not supported, list each key",
            ),
            (" app", name),
            ("app\n", name),
            ("-app", name),
            ("app.", name),
            ("a/", name),
            ("a/b/c", name),
            (&"n".repeat(64), name),
            ("/app", prefix),
            ("Example.org/app", prefix),
            ("a..b/app", prefix),
            ("a b/app", prefix),
            (&format!("{}/n", "p".repeat(254)), prefix),
        ] {
            assert!(
                label_problem(bad).is_some_and(|found| found.starts_with(why)),
                "{bad}"
            );
        }
    }
}
