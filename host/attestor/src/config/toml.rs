//! TOML text to [`Node`]: syntax only, no key has a meaning here.
//!
//! The parser bounds how deep values nest and refuses a key given twice, so
//! what comes out is a finite tree of distinct keys.

use super::document::{Entry, Node, Value};
use super::problem::Problem;
use ::toml::Spanned;
use ::toml::de::{DeFloat, DeInteger, DeTable, DeValue};

/// Parses a TOML document.
///
/// # Errors
/// The first place where the text is not TOML 1.1.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let document = DeTable::parse(text).map_err(|error| Problem {
        span: error.span(),
        ..Problem::error(0..0, error.message())
    })?;
    Ok(Node {
        span: document.span(),
        value: Value::Table(entries(document.get_ref())),
    })
}

fn entries(table: &DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: node(value),
        })
        .collect();
    // The parser sorts by name; people expect the order that they wrote.
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    Node {
        span: value.span(),
        value: match value.get_ref() {
            DeValue::Table(table) => Value::Table(entries(table)),
            DeValue::Array(items) => Value::Array(items.iter().map(node).collect()),
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => integer(number),
            DeValue::Float(number) => float(number),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(_) => Value::Other("a date or time"),
        },
    }
}

fn integer(number: &DeInteger<'_>) -> Value {
    // The format allows 64 bits, the parser leaves it to us to look.
    i64::from_str_radix(number.as_str(), number.radix())
        .map_or(Value::Other("an integer beyond 64 bits"), Value::Integer)
}

fn float(number: &DeFloat<'_>) -> Value {
    number
        .as_str()
        .parse()
        .map_or(Value::Other("a malformed float"), Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, Value, String)> {
        let Value::Table(entries) = parse(text).unwrap().value else {
            panic!("a document is a table");
        };
        entries
            .into_iter()
            .map(|entry| {
                (
                    entry.key,
                    entry.node.value,
                    text.get(entry.node.span).unwrap().to_owned(),
                )
            })
            .collect()
    }

    #[test]
    fn each_kind_of_value_keeps_its_place() {
        let text = "z = 'x'\ni = 1_000\nh = 0xff\nf = 0.5\nn = nan\nb = true\nd = 2026-11-23\n\
                    big = 99999999999999999999\na = [\n 1,\n]\nt = { \"q k\" = 1 }\nd1.e = 2\n";
        let values = values(text);
        let seen: Vec<_> = values
            .iter()
            .map(|(key, _, place)| (key.as_str(), place.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                ("z", "'x'"),
                ("i", "1_000"),
                ("h", "0xff"),
                ("f", "0.5"),
                ("n", "nan"),
                ("b", "true"),
                ("d", "2026-11-23"),
                ("big", "99999999999999999999"),
                ("a", "[\n 1,\n]"),
                ("t", "{ \"q k\" = 1 }"),
                ("d1", "d1"),
            ]
        );
        let value = |name: &str| &values.iter().find(|(key, ..)| key == name).unwrap().1;
        assert_eq!(value("z"), &Value::String("x".to_owned()));
        assert_eq!(value("i"), &Value::Integer(1000));
        assert_eq!(value("h"), &Value::Integer(255));
        assert_eq!(value("f"), &Value::Float(0.5));
        assert!(matches!(value("n"), Value::Float(number) if number.is_nan()));
        assert_eq!(value("b"), &Value::Bool(true));
        assert_eq!(value("d"), &Value::Other("a date or time"));
        assert_eq!(value("big"), &Value::Other("an integer beyond 64 bits"));
        assert!(matches!(value("t"), Value::Table(entries) if entries[0].key == "q k"));
    }

    #[test]
    fn what_is_not_toml_is_one_problem_with_a_place() {
        let problem = parse("a = 1\na = 2\n").unwrap_err();
        assert_eq!(
            (problem.message.as_str(), problem.span),
            ("duplicate key", Some(6..7))
        );
        assert!(parse("a = ").unwrap_err().span.is_some());
    }

    #[test]
    fn nesting_is_bounded() {
        for text in [
            format!("{}a = 1", "a.".repeat(100_000)),
            format!("[{}a]", "a.".repeat(100_000)),
            format!("a = {}", "[".repeat(100_000)),
            format!("a = {}", "{a=".repeat(100_000)),
        ] {
            assert!(parse(&text).is_err());
        }
    }
}
