//! Writes what came of a case into its file as what is expected.
//!
//! Only the value of `expect` changes. The rest of the file stays as its
//! author wrote it, byte for byte.

use super::files::CaseFile;
use crate::failure::Failure;
use anyhow::{Context as _, anyhow};
use nameplate_attestor::cases::Outcome;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;

/// Replaces the `expect` of the case in `file`.
///
/// # Errors
/// A fault `bless` when the file cannot be written.
pub(super) fn bless(file: &CaseFile, outcome: &Outcome) -> Result<(), Failure> {
    blessed(&file.text, outcome)
        .and_then(|text| Ok(fs::write(&file.path, text)?))
        .with_context(|| format!("cannot bless `{}`", file.path.display()))
        .map_err(|error| Failure::fault("bless", error))
}

fn blessed(text: &str, outcome: &Outcome) -> anyhow::Result<String> {
    // Members lie one step deep, so do the lines of the value after its first.
    let value = serde_json::to_string_pretty(outcome)?.replace('\n', "\n  ");
    let case: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
    let Some(old) = case.get("expect").map(|value| value.get()) else {
        let (before, after) = text
            .rsplit_once('}')
            .ok_or_else(|| anyhow!("the case is not an object"))?;
        // A case has facts or evidence, so there is a member before.
        let before = before.trim_end();
        return Ok(format!("{before},\n  \"expect\": {value}\n}}{after}"));
    };
    // Borrowed from `text`, so its address says where in it it stands.
    let start = old.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    let (before, after) = text
        .split_at_checked(start)
        .and_then(|(before, rest)| Some((before, rest.strip_prefix(old)?)))
        .ok_or_else(|| anyhow!("`expect` was not found in the text"))?;
    Ok(format!("{before}{value}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> Outcome {
        Outcome::Denied {
            code: "no-node".to_owned(),
        }
    }

    const VALUE: &str = "{\n    \"denied\": {\n      \"code\": \"no-node\"\n    }\n  }";

    #[test]
    fn only_the_expectation_changes() {
        let text = "{ \"facts\":  {\"expect\": 1},\n  \"expect\" : {\"fault\": \"x\"} , \"description\": \"ü\"}\n";
        assert_eq!(
            blessed(text, &denied()).unwrap(),
            format!(
                "{{ \"facts\":  {{\"expect\": 1}},\n  \"expect\" : {VALUE} , \"description\": \"ü\"}}\n"
            )
        );
    }

    #[test]
    fn an_expectation_is_added_where_there_was_none() {
        assert_eq!(
            blessed("{\n  \"facts\": {}\n}\n", &denied()).unwrap(),
            format!("{{\n  \"facts\": {{}},\n  \"expect\": {VALUE}\n}}\n")
        );
    }

    #[test]
    fn blessing_twice_changes_nothing_more() {
        let once = blessed("{\"facts\": {}, \"expect\": null}", &denied()).unwrap();
        assert_eq!(blessed(&once, &denied()).unwrap(), once);
    }
}
