//! YAML as a tree whose nodes know their lines.
//!
//! A kubeconfig is read leniently: a member that is not asked for may be
//! anything. So nothing is converted here, and a text stays as it was written:
//! a name or a token of digits is not a number. Trusts the file for nothing but
//! to be bounded; no text of it stands in an error.

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Deepest nesting, aliases followed; a kubeconfig has seven levels.
const MAX_DEPTH: usize = 64;

/// Most nodes with all aliases written out. A file of 1 MiB that has none cannot
/// have more.
const MAX_NODES: usize = 1 << 20;

/// Most members that `<<` brings, all told.
const MAX_BROUGHT: usize = 1 << 16;

/// A node, and where it begins.
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
    /// A text that was written without quotes may mean a number.
    plain: bool,
    depth: usize,
    /// Nodes in it, itself included, with all aliases written out.
    size: usize,
}

/// What a node is.
pub(crate) enum Value {
    Null,
    Text(String),
    List(Vec<Arc<Node>>),
    /// In the order of the file, each with the line of its key; a key may stand
    /// twice.
    Map(Vec<Member>),
}

/// A member of a mapping.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) node: Arc<Node>,
}

/// Not YAML, from this line on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotYaml {
    pub(crate) line: usize,
}

impl Node {
    /// A mapping of nothing.
    pub(crate) fn empty(line: usize) -> Self {
        Self {
            line,
            value: Value::Map(Vec::new()),
            plain: false,
            depth: 1,
            size: 1,
        }
    }

    /// Whether it says the same as `other`, wherever the two stand.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Text(one), Value::Text(other)) => one == other,
            (Value::List(one), Value::List(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(other)
                        .all(|(one, other)| one.says_the_same(other))
            }
            (Value::Map(one), Value::Map(other)) => {
                let same = |(one, other): (&Member, &Member)| {
                    one.key == other.key && one.node.says_the_same(&other.node)
                };
                one.len() == other.len() && one.iter().zip(other).all(same)
            }
            (Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_), _) => false,
        }
    }

    /// As JSON, for a program that asked for no more than that.
    pub(crate) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Text(text) if self.plain => {
                serde_json::from_str(text).unwrap_or_else(|_text| text.as_str().into())
            }
            Value::Text(text) => text.as_str().into(),
            Value::List(nodes) => nodes.iter().map(|node| node.json()).collect(),
            Value::Map(members) => members
                .iter()
                .map(|member| (member.key.clone(), member.node.json()))
                .collect(),
        }
    }
}

/// What is open while its end has not come.
struct Open {
    line: usize,
    anchor: usize,
    nodes: Vec<Arc<Node>>,
    mapping: bool,
}

/// The documents of a stream, empty ones left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Arc<Node>>, NotYaml> {
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, Arc<Node>> = HashMap::new();
    let mut documents = Vec::new();
    let mut brought = 0;
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| NotYaml {
            line: error.marker().line(),
        })?;
        let line = span.start.line();
        let begin = |anchor, mapping| Open {
            line,
            anchor,
            nodes: Vec::new(),
            mapping,
        };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "which events there are depends on features of the parser"
        )]
        let (node, anchor) = match event {
            Event::SequenceStart(_, anchor, _) => {
                open.push(begin(anchor, false));
                continue;
            }
            Event::MappingStart(_, anchor, _) => {
                open.push(begin(anchor, true));
                continue;
            }
            Event::Scalar(text, style, anchor, tag) => (
                Node {
                    line,
                    value: scalar(&text, style, tag.as_deref()),
                    plain: style == ScalarStyle::Plain && tag.is_none(),
                    depth: 1,
                    size: 1,
                },
                anchor,
            ),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(ended) = open.pop() else {
                    return Err(NotYaml { line });
                };
                let anchor = ended.anchor;
                (ended.node(&mut brought)?, anchor)
            }
            Event::Alias(anchor) => {
                let known = anchors.get(&anchor).ok_or(NotYaml { line })?;
                place(Arc::clone(known), &mut open, &mut documents);
                continue;
            }
            // The start and the end of things, and comments.
            _ => continue,
        };
        let node = Arc::new(node);
        if anchor != 0 {
            anchors.insert(anchor, Arc::clone(&node));
        }
        place(node, &mut open, &mut documents);
    }
    documents.retain(|document| !matches!(document.value, Value::Null));
    Ok(documents)
}

/// Puts a node where it belongs: into what is open, or at the top.
fn place(node: Arc<Node>, open: &mut [Open], documents: &mut Vec<Arc<Node>>) {
    match open.last_mut() {
        Some(parent) => parent.nodes.push(node),
        None => documents.push(node),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    // `!!str` and `!` make a text of what looks like nothing.
    let null = style == ScalarStyle::Plain
        && tag.is_none()
        && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    if null {
        Value::Null
    } else {
        Value::Text(text.to_owned())
    }
}

impl Open {
    /// What is at its end; `<<` has `brought` so many members before.
    fn node(self, brought: &mut usize) -> Result<Node, NotYaml> {
        let line = self.line;
        let depth = 1 + self.nodes.iter().map(|node| node.depth).max().unwrap_or(0);
        let sizes = self.nodes.iter().map(|node| node.size);
        let size = sizes.fold(1, usize::saturating_add);
        if depth > MAX_DEPTH || size > MAX_NODES {
            return Err(NotYaml { line });
        }
        let value = if self.mapping {
            Value::Map(members(self.nodes, brought)?)
        } else {
            Value::List(self.nodes)
        };
        Ok(Node {
            line,
            value,
            plain: false,
            depth,
            size,
        })
    }
}

/// Keys and values in turn, with what `<<` brings behind what stands there.
fn members(nodes: Vec<Arc<Node>>, brought: &mut usize) -> Result<Vec<Member>, NotYaml> {
    let mut own = Vec::new();
    let mut merged: Vec<Member> = Vec::new();
    let mut nodes = nodes.into_iter();
    while let (Some(key), Some(node)) = (nodes.next(), nodes.next()) {
        let line = key.line;
        let key = match &key.value {
            Value::Text(text) => text.clone(),
            Value::Null => "null".to_owned(),
            // Nobody asks for a member by a list or a mapping.
            Value::List(_) | Value::Map(_) => continue,
        };
        if key != "<<" {
            own.push(Member { key, line, node });
            continue;
        }
        let sources = match &node.value {
            Value::List(sources) => sources.as_slice(),
            Value::Map(_) | Value::Text(_) | Value::Null => std::slice::from_ref(&node),
        };
        for source in sources {
            let Value::Map(members) = &source.value else {
                return Err(NotYaml { line });
            };
            *brought = brought.saturating_add(members.len());
            if *brought > MAX_BROUGHT {
                return Err(NotYaml { line });
            }
            merged.extend(members.iter().cloned());
        }
    }
    let mut known: HashSet<_> = own.iter().map(|member| member.key.clone()).collect();
    merged.retain(|member| known.insert(member.key.clone()));
    own.append(&mut merged);
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::{Member, Node, NotYaml, Value, documents};
    use serde_json::{Value as Json, json};

    /// Every text as it is.
    fn json(node: &Node) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Text(text) => text.as_str().into(),
            Value::List(nodes) => nodes.iter().map(|node| json(node)).collect(),
            Value::Map(members) => members
                .iter()
                .map(|Member { key, node, .. }| (key.clone(), json(node)))
                .collect(),
        }
    }

    #[test]
    fn json_has_the_numbers_that_were_meant() {
        let documents = documents("a: 1\nb: '1'\nc: true\nd: [x, ~]\n").unwrap();
        let meant = json!({"a": 1, "b": "1", "c": true, "d": ["x", null]});
        assert_eq!(documents[0].json(), meant);
    }

    fn read(text: &str) -> Vec<Json> {
        let documents = documents(text).unwrap();
        documents.iter().map(|document| json(document)).collect()
    }

    #[test]
    fn texts_stay_as_they_were_written() {
        assert_eq!(
            read(
                "a: 0123\nb: 1.0\nc: yes\nd: ~\ne: '~'\nf:\ng: !!str\nh: |\n  x\n  y\ni: >-\n  x\n  y\n"
            ),
            [json!({
                "a": "0123", "b": "1.0", "c": "yes", "d": null, "e": "~", "f": null, "g": "",
                "h": "x\ny\n", "i": "x y",
            })]
        );
        assert_eq!(
            read("{\"a\": [\"b\\u0063\", null]}"),
            [json!({"a": ["bc", null]})]
        );
    }

    #[test]
    fn documents_aliases_and_merges_are_followed() {
        assert_eq!(
            read("---\na: b\n---\n---\nc: d\n"),
            [json!({"a": "b"}), json!({"c": "d"})]
        );
        assert_eq!(read(""), Vec::<Json>::new());
        assert_eq!(
            read("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: [*x]\n"),
            [
                json!({"x": {"a": "1", "b": "2"}, "y": {"b": "3", "a": "1"}, "z": [{"a": "1", "b": "2"}]})
            ]
        );
    }

    #[test]
    fn lines_are_known() {
        let documents = documents("a: 1\n\nb:\n  - c\n").unwrap();
        let Value::Map(members) = &documents[0].value else {
            panic!("no mapping");
        };
        let lines: Vec<_> = members
            .iter()
            .map(|member| (member.line, member.node.line))
            .collect();
        assert_eq!(lines, [(1, 1), (3, 4)]);
    }

    #[test]
    fn what_is_no_yaml_has_a_line_and_no_words() {
        let broken = [
            "a: b\nc: \"d\n",
            "a: [1\n",
            "a: b\nc: *d\n",
            "a: b\n<<: c\n",
            "a:\n\tb: c\n",
        ];
        let lines = broken.map(|text| documents(text).err().map(|error| error.line));
        assert_eq!(lines, [Some(2), Some(1), Some(2), Some(2), Some(2)]);
    }

    #[test]
    fn nothing_grows_by_aliases() {
        use std::fmt::Write as _;
        // Each level is the one before, so many times.
        let levels = |count: usize, times: usize| {
            let mut text = "a0: &a0 x\n".to_owned();
            for level in 1..=count {
                let before = format!("*a{}", level - 1);
                let all = vec![before; times].join(", ");
                writeln!(text, "a{level}: &a{level} [{all}]").unwrap();
            }
            documents(&text)
        };
        assert_eq!(levels(5, 9).unwrap().len(), 1);
        assert_eq!(levels(30, 9).err(), Some(NotYaml { line: 8 }));
        let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
        assert_eq!(documents(&deep).err(), Some(NotYaml { line: 1 }));
    }

    /// A mapping of a thousand members, in so many others.
    #[test]
    fn nothing_grows_by_merges() {
        let merging = |count: usize, of: &str| {
            let members: Vec<_> = (0..1_000).map(|number| format!("k{number}: 1")).collect();
            let mut text = format!("x: &x {{{}}}\ny:\n", members.join(", "));
            text.push_str(&of.repeat(count));
            documents(&text)
        };
        let each = "- <<: *x\n";
        assert_eq!(merging(65, each).unwrap().len(), 1);
        // Not every one of them, which would be a hundred million.
        assert_eq!(merging(100_000, each).err(), Some(NotYaml { line: 68 }));
        let one = format!("  <<: [{}]\n", vec!["*x"; 100_000].join(", "));
        assert_eq!(merging(1, &one).err(), Some(NotYaml { line: 3 }));
    }

    #[test]
    fn two_nodes_say_the_same_wherever_they_stand() {
        let parts = |text: &str| {
            let documents = documents(text).unwrap();
            let Value::List(parts) = &documents[0].value else {
                panic!("no list");
            };
            parts[0].says_the_same(&parts[1])
        };
        for same in [
            "[{a: b, c: [d, ~]}, {\"a\": 'b', c: [d, null]}]",
            "- &x {a: b}\n- *x\n",
            "[a,\n\n a]",
        ] {
            assert!(parts(same), "{same}");
        }
        for other in [
            "[{a: b}, {a: c}]",
            "[{a: b}, {c: b}]",
            "[[a], [a, a]]",
            "[[], {}]",
            "['', ~]",
        ] {
            assert!(!parts(other), "{other}");
        }
    }
}
