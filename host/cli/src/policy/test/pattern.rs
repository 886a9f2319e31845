//! Which cases are meant.

use std::convert::Infallible;
use std::str::FromStr;

/// A name, where `*` stands for any text; without one, a part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<String>);

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let whole = if text.contains('*') {
            text.to_owned()
        } else {
            format!("*{text}*")
        };
        Ok(Self(whole.split('*').map(str::to_owned).collect()))
    }
}

impl Pattern {
    /// Whether a case of this name is meant.
    pub(super) fn is_like(&self, name: &str) -> bool {
        let Some((first, others)) = self.0.split_first() else {
            return false;
        };
        let Some((last, between)) = others.split_last() else {
            return name == first;
        };
        // What begins it and what ends it must not be the same letters; and
        // the earliest place for each part leaves most to those behind it.
        name.strip_prefix(first.as_str())
            .and_then(|rest| rest.strip_suffix(last.as_str()))
            .and_then(|rest| {
                between
                    .iter()
                    .try_fold(rest, |rest, part| Some(rest.split_once(part.as_str())?.1))
            })
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let like = |pattern: &str, name: &str| pattern.parse::<Pattern>().unwrap().is_like(name);
        for (pattern, name) in [
            ("no-*", "no-node"),
            ("*-node", "no-node"),
            ("*o*d*", "no-node"),
            ("no-node", "no-node"),
            ("node", "no-node-by-name"),
            ("*", ""),
            ("a*a", "aa"),
        ] {
            assert!(like(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("no-*", "a-no-node"),
            ("*-nod", "no-node"),
            ("*d*o*", "no-node"),
            ("nodes", "no-node"),
            ("a*a", "a"),
        ] {
            assert!(!like(pattern, name), "{pattern} {name}");
        }
    }
}
