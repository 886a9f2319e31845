//! Tokens to values.

use super::super::problem::Problem;
use super::lexer::{Lexer, Token};
use super::{Entry, MAX_DEPTH, Node, Value, insert};
use std::ops::Range;

/// Reads values, one token ahead.
pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token,
    place: Range<usize>,
    depth: usize,
}

/// A key as it was written.
struct Key {
    name: String,
    place: Range<usize>,
}

impl<'t> Parser<'t> {
    pub(super) fn new(mut lexer: Lexer<'t>) -> Result<Self, Problem> {
        let (token, place) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            place,
            depth: 0,
        })
    }

    /// The entries of an HCL document.
    pub(super) fn body(&mut self) -> Result<Vec<Entry>, Problem> {
        let mut entries = Vec::new();
        while self.token != Token::End {
            self.item(&mut entries)?;
        }
        Ok(entries)
    }

    /// A JSON document, which is one object.
    pub(super) fn json_document(&mut self) -> Result<Value, Problem> {
        let node = self.json_value()?;
        if self.token == Token::End {
            Ok(node.value)
        } else {
            Err(self.unexpected("the end of the text"))
        }
    }

    /// `key = value`, `key { … }` or `key "label" … { … }`.
    fn item(&mut self, entries: &mut Vec<Entry>) -> Result<(), Problem> {
        let key = self.key()?;
        if self.token == Token::Mark('=') {
            self.advance()?;
            let node = self.value()?;
            return insert(entries, entry(key, node), false);
        }
        let mut labels = Vec::new();
        while self.token != Token::Mark('{') {
            if !matches!(self.token, Token::Word(_) | Token::Text(_)) {
                return Err(self.unexpected("`=` or `{` after a key"));
            }
            labels.push(self.key()?);
            if self.depth + labels.len() > MAX_DEPTH {
                return Err(self.too_deep());
            }
        }
        let mut node = self.object()?;
        for label in labels.into_iter().rev() {
            let span = label.place.start..node.span.end;
            let value = Value::Table(vec![entry(label, node)]);
            node = Node { span, value };
        }
        insert(entries, entry(key, node), true)
    }

    fn key(&mut self) -> Result<Key, Problem> {
        let place = self.place.clone();
        match self.advance()? {
            Token::Word(name) | Token::Text(name) => Ok(Key { name, place }),
            other @ (Token::Integer(_) | Token::Float(_) | Token::Mark(_) | Token::End) => {
                Err(expected("a key", &other, place))
            }
        }
    }

    fn value(&mut self) -> Result<Node, Problem> {
        match self.token {
            Token::Mark('{') => return self.object(),
            Token::Mark('[') => return self.list(Self::value),
            Token::Word(_)
            | Token::Text(_)
            | Token::Integer(_)
            | Token::Float(_)
            | Token::Mark(_)
            | Token::End => {}
        }
        self.scalar(&["true", "false"])
    }

    /// `{ … }`: items on lines of their own, or with commas.
    fn object(&mut self) -> Result<Node, Problem> {
        self.nested(|parser| {
            let mut entries = Vec::new();
            while parser.token != Token::Mark('}') {
                if parser.token == Token::End {
                    return Err(parser.unexpected("`}`"));
                }
                parser.item(&mut entries)?;
                if parser.token == Token::Mark(',') {
                    parser.advance()?;
                }
            }
            Ok(Value::Table(entries))
        })
    }

    /// `[ … ]`; a comma may follow the last item, except in JSON.
    fn list(&mut self, item: impl Fn(&mut Self) -> Result<Node, Problem>) -> Result<Node, Problem> {
        self.nested(|parser| {
            let mut items = Vec::new();
            while parser.token != Token::Mark(']') {
                items.push(item(parser)?);
                match parser.token {
                    Token::Mark(',') => parser.advance()?,
                    Token::Mark(']') => break,
                    Token::Word(_)
                    | Token::Text(_)
                    | Token::Integer(_)
                    | Token::Float(_)
                    | Token::Mark(_)
                    | Token::End => return Err(parser.unexpected("`,` or `]`")),
                };
            }
            Ok(Value::Array(items))
        })
    }

    fn json_value(&mut self) -> Result<Node, Problem> {
        match self.token {
            Token::Mark('{') => self.json_object(),
            Token::Mark('[') => self.list(Self::json_value),
            Token::Word(_)
            | Token::Text(_)
            | Token::Integer(_)
            | Token::Float(_)
            | Token::Mark(_)
            | Token::End => self.scalar(&["true", "false", "null"]),
        }
    }

    fn json_object(&mut self) -> Result<Node, Problem> {
        self.nested(|parser| {
            let mut entries = Vec::new();
            while parser.token != Token::Mark('}') {
                if !matches!(parser.token, Token::Text(_)) {
                    return Err(parser.unexpected("a key in quotes"));
                }
                let key = parser.key()?;
                if parser.token != Token::Mark(':') {
                    return Err(parser.unexpected("`:`"));
                }
                parser.advance()?;
                let node = parser.json_value()?;
                insert(&mut entries, entry(key, node), false)?;
                match parser.token {
                    Token::Mark(',') => parser.advance()?,
                    Token::Mark('}') => break,
                    Token::Word(_)
                    | Token::Text(_)
                    | Token::Integer(_)
                    | Token::Float(_)
                    | Token::Mark(_)
                    | Token::End => return Err(parser.unexpected("`,` or `}`")),
                };
            }
            Ok(Value::Table(entries))
        })
    }

    /// A value of one token; of bare words only `words`.
    fn scalar(&mut self, words: &[&str]) -> Result<Node, Problem> {
        let span = self.place.clone();
        let value = match self.advance()? {
            Token::Text(text) => Value::String(text),
            Token::Integer(number) => Value::Integer(number),
            Token::Float(number) => Value::Float(number),
            Token::Word(word) if words.contains(&word.as_str()) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::Other("null"),
            },
            other @ (Token::Word(_) | Token::Mark(_) | Token::End) => {
                return Err(expected("a value", &other, span).with_help("text stands in quotes"));
            }
        };
        Ok(Node { span, value })
    }

    /// What stands between an opening mark, at the token now, and its twin.
    fn nested(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<Value, Problem>,
    ) -> Result<Node, Problem> {
        if self.depth == MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let start = self.place.start;
        self.advance()?;
        let value = inside(self)?;
        let span = start..self.place.end;
        self.advance()?;
        self.depth -= 1;
        Ok(Node { span, value })
    }

    /// Steps on, and gives the token stepped over.
    fn advance(&mut self) -> Result<Token, Problem> {
        let (token, place) = self.lexer.next()?;
        self.place = place;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        expected(wanted, &self.token, self.place.clone())
    }

    fn too_deep(&self) -> Problem {
        let text = format!("values nest deeper than {MAX_DEPTH}");
        Problem::error(self.place.clone(), text)
    }
}

fn entry(key: Key, node: Node) -> Entry {
    Entry {
        key: key.name,
        key_span: key.place,
        node,
    }
}

fn expected(wanted: &str, found: &Token, place: Range<usize>) -> Problem {
    Problem::error(place, format!("expected {wanted}, found {}", found.name()))
}
