//! Settings: from the operator's JSON to the author's type, or the problems.
//!
//! The text is the operator's and may hold anything; `settings/json.rs` reads
//! it, `settings/read.rs` makes the author's type of it. Neither is a general
//! JSON library: with one, the code of the `uuid` policy was twice as large,
//! and every host has to compile it at load.

mod json;
mod read;

use serde::de::DeserializeOwned;

use crate::Problem;
use json::Value;

/// The settings that a policy takes from the operator.
///
/// Derive `Deserialize`, with `#[serde(default)]` or a default per field where
/// an operator may leave something out, and `#[serde(deny_unknown_fields)]`:
/// a misspelt setting must not be silently ignored.
///
/// Numbers are whole unless a field is `f32` or `f64`; in an untagged enum
/// they are always whole.
///
/// ```
/// use nameplate_guest::{Problem, Settings};
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Naming {
///     prefix: String,
/// }
///
/// impl Settings for Naming {
///     fn problems(&self) -> Vec<Problem> {
///         let mut problems = Vec::new();
///         if self.prefix.is_empty() {
///             problems.push(Problem::new("/prefix", "must not be empty"));
///         }
///         problems
///     }
/// }
/// ```
pub trait Settings: DeserializeOwned {
    /// What the type alone cannot rule out. Return every problem, not the
    /// first: an operator sees them all at once.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

/// The settings in `text`, JSON.
///
/// # Errors
/// Where `text` is not what `S` reads, that one problem with its place; else
/// what [`Settings::problems`] finds.
pub fn parse<S: Settings>(text: &str) -> Result<S, Vec<Problem>> {
    let value = json::parse(text).map_err(|problem| vec![problem])?;
    let settings: S = read::read(value).map_err(|problem| vec![problem])?;
    let problems = settings.problems();
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(problems)
    }
}

/// Accepts the settings of a policy that has none.
///
/// # Errors
/// A problem for every member that is there after all.
pub fn none(text: &str) -> Result<(), Vec<Problem>> {
    let value = json::parse(text).map_err(|problem| vec![problem])?;
    let Value::Object(members) = value else {
        return Err(vec![Problem::new("", "settings are not an object")]);
    };
    if members.is_empty() {
        return Ok(());
    }
    Err(members
        .iter()
        .map(|(key, _)| Problem::new(read::pointer(key), "this policy has no settings"))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::selectors::Keep;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        name: String,
        count: u8,
        ratio: f64,
        offset: i32,
        on: bool,
        by: Option<By>,
        pair: (u8, String),
        map: BTreeMap<String, Vec<u8>>,
        keep: Keep,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum By {
        Name,
        Prefix(String),
        Part { from: u8, to: u8 },
        Both(u8, u8),
    }

    impl Settings for Sample {
        fn problems(&self) -> Vec<Problem> {
            let mut problems = Vec::new();
            if self.name == "bad" {
                problems.push(Problem::new("/name", "is bad"));
            }
            if self.count == 13 {
                problems.push(Problem::new("/count", "is unlucky"));
            }
            problems
        }
    }

    fn refused(text: &str) -> Vec<(String, String)> {
        parse::<Sample>(text)
            .unwrap_err()
            .into_iter()
            .map(|problem| (problem.pointer, problem.message))
            .collect()
    }

    #[track_caller]
    fn assert_refused(text: &str, pointer: &str, message: &str) {
        assert_eq!(refused(text), [(pointer.to_owned(), message.to_owned())]);
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = r#"{"name":"a","count":7,"ratio":-1.5e1,"offset":-3,"on":true,"by":"name",
            "pair":[1,"x"],"map":{"k":[1,2]},"keep":[]}"#;
        let expected = Sample {
            name: "a".into(),
            count: 7,
            ratio: -15.0,
            offset: -3,
            on: true,
            by: Some(By::Name),
            pair: (1, "x".into()),
            map: BTreeMap::from([("k".into(), vec![1, 2])]),
            keep: Keep::NONE,
        };
        assert_eq!(parse::<Sample>(text).unwrap(), expected);
        assert_eq!(parse::<Sample>("{}").unwrap(), Sample::default());
        assert_eq!(parse::<Sample>(r#"{"by":null}"#).unwrap().by, None);
    }

    #[test]
    fn every_kind_of_variant_is_read() {
        for (json, expected) in [
            (r#"{"prefix":"a"}"#, By::Prefix("a".into())),
            (r#"{"part":{"from":1,"to":2}}"#, By::Part { from: 1, to: 2 }),
            (r#"{"both":[1,2]}"#, By::Both(1, 2)),
        ] {
            let settings = parse::<Sample>(&format!(r#"{{"by":{json}}}"#)).unwrap();
            assert_eq!(settings.by, Some(expected));
        }
    }

    #[test]
    fn a_problem_has_its_place() {
        assert_refused(
            r#"{"nane":1}"#,
            "/nane",
            "unknown setting, expected one of `name`, `count`, `ratio`, `offset`, `on`, `by`, `pair`, `map`, `keep`",
        );
        assert_refused(r#"{"name":1}"#, "/name", "is a number, expected a string");
        assert_refused(r#"{"count":256}"#, "/count", "does not fit, expected u8");
        assert_refused(r#"{"count":1.0}"#, "/count", "is not a whole number");
        assert_refused(r#"{"count":[]}"#, "/count", "is an array, expected u8");
        assert_refused(
            r#"{"map":{"a/b~c":[0,"1"]}}"#,
            "/map/a~1b~0c/1",
            "is a string, expected u8",
        );
        assert_refused(
            r#"{"by":"uid"}"#,
            "/by",
            "`uid` is not one of `name`, `prefix`, `part`, `both`",
        );
        assert_refused(r#"{"by":"prefix"}"#, "/by", "`prefix` needs a value");
        assert_refused(r#"{"by":{"name":1}}"#, "/by/name", "takes no value");
        assert_refused(
            r#"{"by":{}}"#,
            "/by",
            "is an object with 0 members, expected one",
        );
        assert_refused(
            r#"{"by":{"part":{"from":1}}}"#,
            "/by/part",
            "`to` is missing",
        );
        assert_refused(
            r#"{"by":{"part":{"from":1,"to":"x"}}}"#,
            "/by/part/to",
            "is a string, expected u8",
        );
        assert_refused(
            r#"{"pair":[1]}"#,
            "/pair",
            "has 1 item, expected a tuple of size 2",
        );
        assert_refused(r#"{"pair":[1,"x",2]}"#, "/pair", "has 3 items, expected 2");
        assert_refused(r#"{"name":"a","name":"b"}"#, "/name", "is there twice");
        assert_refused(r#"[]"#, "", "is an array, expected an object");
    }

    #[test]
    fn selectors_are_narrowed_by_known_names() {
        assert!(parse::<Sample>(r#"{"keep":["cluster","agent_ns"]}"#).is_ok());
        assert_refused(
            r#"{"keep":["cluster","agent_nx"]}"#,
            "/keep/1",
            "`agent_nx` is not one of `cluster`, `agent_ns`, `agent_sa`, `agent_pod_name`, `agent_pod_uid`, \
             `agent_node_ip`, `agent_node_name`, `agent_node_uid`, `agent_node_label`, `agent_pod_label`, `subject`, `ca`, `serialnumber`, `san`",
        );
    }

    #[test]
    fn the_type_reports_every_problem_of_its_own() {
        assert!(parse::<Sample>(r#"{"name":"good","count":12}"#).is_ok());
        let expected = [("/name", "is bad"), ("/count", "is unlucky")]
            .map(|(pointer, message)| (pointer.to_owned(), message.to_owned()));
        assert_eq!(refused(r#"{"name":"bad","count":13}"#), expected);
    }

    #[test]
    fn a_policy_without_settings_takes_none() {
        assert_eq!(none("{}"), Ok(()));
        assert_eq!(
            none(r#"{"a":1,"b/c":{}}"#),
            Err(vec![
                Problem::new("/a", "this policy has no settings"),
                Problem::new("/b~1c", "this policy has no settings"),
            ])
        );
        assert_eq!(
            none("[]"),
            Err(vec![Problem::new("", "settings are not an object")])
        );
    }
}
