use super::*;
use proptest::prelude::*;

/// The tree as JSON, places left out.
fn json(text: &str) -> serde_json::Value {
    match parse(text) {
        Ok(node) => node.to_json().unwrap(),
        Err(problem) => panic!("{text}\n{} at {:?}", problem.message, problem.span),
    }
}

/// What is wrong with a text, and the text at that place.
fn refused(text: &str) -> (String, &str) {
    let problem = parse(text).unwrap_err();
    let place = problem.span.unwrap();
    (problem.message, text.get(place).unwrap())
}

#[test]
fn all_forms_of_a_map_mean_the_same() {
    let expected = serde_json::json!({"clusters": {"A": {"x": 1}, "B": {"x": 2}}});
    for text in [
        "clusters = { \"A\" = { x = 1 }, \"B\" = { x = 2 } }",
        "clusters = {\n  \"A\" = {\n    x = 1\n  }\n  \"B\" = {\n    x = 2\n  }\n}",
        "clusters {\n  \"A\" { x = 1 }\n  B { x = 2 }\n}",
        "clusters \"A\" { x = 1 }\nclusters \"B\" { x = 2 }",
        "\"clusters\" = { A = { \"x\" = 1 } B = { x = 2 } }",
        "clusters A { x = 1 }\nclusters { B { x = 2 } }",
        "{\"clusters\": {\"A\": {\"x\": 1}, \"B\": {\"x\": 2}}}",
    ] {
        assert_eq!(json(text), expected, "{text}");
    }
}

#[test]
fn a_block_that_comes_again_may_not_contradict_itself() {
    let apart = "a { x = 1 }\na { y = 2 }";
    assert_eq!(json(apart), serde_json::json!({"a": {"x": 1, "y": 2}}));
    for (text, key) in [
        ("a = 1\na = 1", "a"),
        ("a { x = 1 }\na { x = 2 }", "x"),
        ("a { x = 1 }\na = { y = 2 }", "a"),
        ("a \"l\" { x = 1 }\na \"l\" { x = 1 }", "x"),
        ("{\"a\": 1, \"a\": 1}", "\"a\""),
        ("{\"a\": {}, \"a\": {}}", "\"a\""),
    ] {
        let bare = key.trim_matches('"');
        assert_eq!(refused(text), (format!("`{bare}` is given twice"), key));
    }
}

/// The tree of a JSON text as SPIRE's library reads it, or what is wrong with
/// it and the text at that place.
fn mapped(text: &str) -> Result<serde_json::Value, (String, &str)> {
    let node = parse(text).unwrap();
    match maps_for_lists(node, "settings") {
        Ok(node) => Ok(node.to_json().unwrap()),
        Err(problem) => Err((problem.message, text.get(problem.span.unwrap()).unwrap())),
    }
}

#[test]
fn a_list_of_maps_is_the_map_of_all_of_them() {
    let expected = serde_json::json!({"clusters": {"A": {"x": 1, "y": 3}, "B": {"x": 2}}});
    for text in [
        r#"{"clusters": {"A": {"x": 1, "y": 3}, "B": {"x": 2}}}"#,
        r#"{"clusters": [{"A": {"x": 1, "y": 3}, "B": {"x": 2}}]}"#,
        r#"{"clusters": [{"A": {"x": 1, "y": 3}}, {}, {"B": {"x": 2}}]}"#,
        r#"{"clusters": [{"A": [{"x": 1}, {"y": 3}]}, {"B": [{"x": 2}]}]}"#,
        r#"{"clusters": [{"A": {"x": 1}}, {"A": {"y": 3}}, {"B": {"x": 2}}]}"#,
        r#"{"clusters": [{"A": [{"x": 1}]}, {"A": [{"y": 3}], "B": [{"x": 2}]}]}"#,
    ] {
        assert_eq!(mapped(text), Ok(expected.clone()), "{text}");
    }
    // What is not a map makes a list a list.
    for list in [
        r#"[]"#,
        r#"["a"]"#,
        r#"[{"a": 1}, 1]"#,
        r#"[[{"a": 1}]]"#,
        r#"[null]"#,
    ] {
        let text = format!(r#"{{"a": {list}}}"#);
        let list = parse(&text).unwrap();
        assert_eq!(maps_for_lists(list.clone(), "settings").unwrap(), list);
    }
}

#[test]
fn maps_of_one_list_may_not_contradict_each_other() {
    for (text, key) in [
        (r#"{"a": [{"x": 1}, {"x": 1}]}"#, "x"),
        (r#"{"a": [{"x": {"y": 1}}, {"x": {"y": 2}}]}"#, "y"),
        (r#"{"a": [{"x": {"y": 1}}, {"x": 2}]}"#, "x"),
        (r#"{"a": [{"x": ["y"]}, {"x": ["z"]}]}"#, "x"),
    ] {
        let place = &format!("\"{key}\"");
        let (message, shown) = mapped(text).unwrap_err();
        assert_eq!(
            (message, shown),
            (format!("`{key}` is given twice"), &**place)
        );
    }
}

#[test]
fn what_a_policy_is_told_is_its_own() {
    let text = r#"{"policy": [{"source": "s", "settings": [{"rules": [{"a": 1}, {"a": 2}]}]}]}"#;
    let expected = serde_json::json!({
        "policy": {"source": "s", "settings": {"rules": [{"a": 1}, {"a": 2}]}}
    });
    assert_eq!(mapped(text), Ok(expected));
}

#[test]
fn a_map_of_many_keeps_its_places() {
    let text = r#"{"clusters": [{"A": {"x": 1}}, {"B": [{"x": 2}]}]}"#;
    let node = maps_for_lists(parse(text).unwrap(), "settings").unwrap();
    let shown = |pointer| text.get(node.at_pointer(pointer).unwrap()).unwrap();
    assert_eq!(shown("/clusters/B/x"), r#""x": 2"#);
    assert_eq!(shown("/clusters/B"), r#""B": [{"x": 2}]"#);
    let inside = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    assert_eq!(Some(shown("/clusters")), inside);
}

#[test]
fn each_kind_of_value_is_read() {
    let text = "# a\n// b\n/* c\n */ s = \"a\\tb\\\"\\\\\\u00e9\\U0001F600\\x41\\101\" // d\n\
                n = -12\nh = 0xff\no = 017\nz = 0\nf = 1.5\ne = 2e3\nt = true\nu = false\n\
                l = [1, \"a\", [true], { k = 1 },]\nempty = []\nnothing {}\ntpl = \"${x}\"\n";
    let expected = serde_json::json!({
        "s": "a\tb\"\\é😀AA", "n": -12, "h": 255, "o": 15, "z": 0, "f": 1.5, "e": 2000.0,
        "t": true, "u": false, "l": [1, "a", [true], {"k": 1}], "empty": [], "nothing": {},
        "tpl": "${x}",
    });
    assert_eq!(json(text), expected);
    assert_eq!(json(""), serde_json::json!({}));
    assert_eq!(json("\r\n# only a comment"), serde_json::json!({}));
    let text = r#" {"a": "\u00e9\ud83d\ude00\/", "b": [1, -2.5, true, false, []], "c": {}}"#;
    let expected = serde_json::json!({"a": "é😀/", "b": [1, -2.5, true, false, []], "c": {}});
    assert_eq!(json(text), expected);
}

#[test]
fn here_documents_keep_their_lines() {
    assert_eq!(
        json("a = <<EOF\n one\n  two\nEOF\nb = 1"),
        serde_json::json!({"a": " one\n  two\n", "b": 1})
    );
    assert_eq!(
        json("a = <<-EOF\n    one\n      two\n    EOF\n"),
        serde_json::json!({"a": "one\n  two\n"})
    );
    let open = ("here-document is not closed by `EOF`".to_owned(), "<<EOF");
    assert_eq!(refused("a = <<EOF\n one\n"), open);
    let nameless = "a here-document begins with `<<` and a word".to_owned();
    assert_eq!(refused("a = <<\n\n"), (nameless.clone(), "<<"));
    assert_eq!(refused("a = <b"), (nameless, "<b"));
}

#[test]
fn places_are_those_of_the_text() {
    let text = "é = 1\nclusters \"A\" { keys = [\"x\"] }";
    let node = parse(text).unwrap();
    let shown = |pointer| text.get(node.at_pointer(pointer).unwrap()).unwrap();
    assert_eq!(shown("/é"), "é = 1");
    assert_eq!(shown("/clusters/A/keys"), "keys = [\"x\"]");
    assert_eq!(shown("/clusters/A/keys/0"), "\"x\"");
    assert_eq!(shown("/clusters/A"), "\"A\" { keys = [\"x\"] }");
}

#[test]
fn what_is_neither_is_refused_at_its_place() {
    for (text, message, place) in [
        (
            "a",
            "expected `=` or `{` after a key, found the end of the text",
            "",
        ),
        (
            "a 1",
            "expected `=` or `{` after a key, found a number",
            "1",
        ),
        ("a =", "expected a value, found the end of the text", ""),
        ("a = b", "expected a value, found `b`", "b"),
        ("a = null", "expected a value, found `null`", "null"),
        ("a = yes", "expected a value, found `yes`", "yes"),
        ("= 1", "expected a key, found `=`", "="),
        ("a = 1, b = 2", "expected a key, found `,`", ","),
        ("a {", "expected `}`, found the end of the text", ""),
        (
            "a = [1",
            "expected `,` or `]`, found the end of the text",
            "",
        ),
        ("a = [1 2]", "expected `,` or `]`, found a number", "2"),
        ("a = [,]", "expected a value, found `,`", ","),
        (
            "a \"b\" = 1",
            "expected `=` or `{` after a key, found `=`",
            "=",
        ),
        ("}", "expected a key, found `}`", "}"),
        ("a = \"x\ny\"", "string is not closed on its line", "\""),
        ("a = \"x", "string is not closed on its line", "\""),
        ("a = \"\\q\"", "`\\\\q` is no escape", "\\q"),
        ("a = \"\\xff\"", "`\\\\xff` is no escape", "\\xff"),
        ("a = \"\\ud800\"", "`\\\\ud800` is no escape", "\\ud800"),
        ("a = \"\\400\"", "`\\\\400` is no escape", "\\400"),
        ("a = \"\0\"", "control character `\\0` in a string", "\0"),
        ("/* a", "comment is not closed", "/*"),
        ("a = 08", "`08` is no number of 64 bits", "08"),
        ("a = 0x", "`0x` is no number of 64 bits", "0x"),
        ("a = 1x", "`1x` is no number of 64 bits", "1x"),
        ("a = -", "`-` is no number of 64 bits", "-"),
        ("a = 1e999", "`1e999` is no number of 64 bits", "1e999"),
        (
            "a = 9223372036854775808",
            "`9223372036854775808` is no number of 64 bits",
            "9223372036854775808",
        ),
        ("a: 1", "unexpected character `:`", ":"),
        (
            "\u{feff}a = 1",
            "unexpected character `\\u{feff}`",
            "\u{feff}",
        ),
        (
            "{\"a\": 1} x",
            "expected the end of the text, found `x`",
            "x",
        ),
        ("{a: 1}", "expected a key in quotes, found `a`", "a"),
        ("{\"a\" 1}", "expected `:`, found a number", "1"),
        (
            "{\"a\": 1 \"b\": 2}",
            "expected `,` or `}`, found a string",
            "\"b\"",
        ),
        ("{\"a\": 01}", "`01` is no number of 64 bits", "01"),
        (
            "{\"a\": \"\\ud83d\"}",
            "`\\\\ud83d` is no escape",
            "\\ud83d",
        ),
        ("{\"a\" = 1}", "unexpected character `=`", "="),
        ("{ # c\n}", "unexpected character `#`", "#"),
    ] {
        assert_eq!(refused(text), (message.to_owned(), place), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let list = |depth| format!("a = {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&list(MAX_DEPTH)).is_ok());
    let deep = "values nest deeper than 64".to_owned();
    assert_eq!(refused(&list(MAX_DEPTH + 1)).0, deep);
    assert_eq!(refused(&list(100_000)).0, deep);
    let blocks = |depth| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
    assert!(parse(&blocks(MAX_DEPTH)).is_ok());
    assert_eq!(refused(&blocks(MAX_DEPTH + 1)).0, deep);
    assert_eq!(refused(&format!("a {} {{}}", "b ".repeat(65))).0, deep);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        "[ -~é😀]{0,8}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z_.é ]{1,5}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// As SPIRE's printer writes a value, near enough: quoted keys, one a line.
fn printed(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let lines: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{key:?} = {}\n", printed(value)))
                .collect();
            format!("{{\n{}}}", lines.concat())
        }
        serde_json::Value::Array(items) => {
            let items: Vec<_> = items.iter().map(printed).collect();
            format!("[{}]", items.join(", "))
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => value.to_string(),
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(value in value()) {
        prop_assert_eq!(json(&format!("v = {}", printed(&value)))["v"].clone(), value.clone());
        prop_assert_eq!(json(&format!("{{\"v\": {value}}}"))["v"].clone(), value);
    }

    #[test]
    fn no_text_is_too_much(text in "\\PC*|[a{}\\[\\]=,:\"\\\\<E\n #/*0-9.-]{0,60}") {
        if let Err(problem) = parse(&text) {
            prop_assert!(text.get(problem.span.unwrap()).is_some());
        }
    }
}
