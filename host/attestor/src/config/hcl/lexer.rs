//! Text to tokens, each with its place.

use super::super::problem::Problem;
use std::ops::Range;

/// Which of the two notations a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    Hcl,
    Json,
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A bare word.
    Word(String),
    /// Text in quotes, or a here-document.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// One of `{ } [ ] = : ,`.
    Mark(char),
    /// The end of the text.
    End,
}

impl Token {
    /// The token in words, for "expected …, found …".
    pub(super) fn name(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Text(_) => "a string".to_owned(),
            Self::Integer(_) | Self::Float(_) => "a number".to_owned(),
            Self::Mark(mark) => format!("`{mark}`"),
            Self::End => "the end of the text".to_owned(),
        }
    }
}

/// Reads tokens from the beginning of a text to its end.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    notation: Notation,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str, notation: Notation) -> Self {
        Self {
            text,
            at: 0,
            notation,
        }
    }

    /// The next token and its place.
    pub(super) fn next(&mut self) -> Result<(Token, Range<usize>), Problem> {
        self.skip_blank()?;
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok((Token::End, start..start));
        };
        let token = match first {
            '{' | '}' | '[' | ']' | ',' => self.mark(first),
            '=' if self.notation == Notation::Hcl => self.mark(first),
            ':' if self.notation == Notation::Json => self.mark(first),
            '"' => Token::Text(self.string()?),
            '<' if self.notation == Notation::Hcl => Token::Text(self.here_document()?),
            '-' | '0'..='9' => self.number()?,
            letter if letter.is_alphabetic() || letter == '_' => {
                Token::Word(self.take_while(is_word).to_owned())
            }
            other => {
                let end = start + other.len_utf8();
                return Err(Problem::error(
                    start..end,
                    format!("unexpected character `{}`", other.escape_debug()),
                ));
            }
        };
        Ok((token, start..self.at))
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn mark(&mut self, mark: char) -> Token {
        self.at += mark.len_utf8();
        Token::Mark(mark)
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// White space, and in HCL comments.
    fn skip_blank(&mut self) -> Result<(), Problem> {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            let rest = self.rest();
            if self.notation == Notation::Json {
                return Ok(());
            }
            if rest.starts_with('#') || rest.starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if rest.starts_with("/*") {
                let Some(length) = rest.find("*/") else {
                    let place = self.at..self.at + 2;
                    return Err(
                        Problem::error(place, "comment is not closed").with_help("write `*/`")
                    );
                };
                self.at += length + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn string(&mut self) -> Result<String, Problem> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            text.push_str(
                self.take_while(|c| c != '"' && c != '\\' && !c.is_control() || c == '\t'),
            );
            let at = self.at;
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                Some(control) if control != '\n' && control != '\r' => {
                    return Err(Problem::error(
                        at..at + control.len_utf8(),
                        format!("control character `{}` in a string", control.escape_debug()),
                    ));
                }
                Some(_) | None => {
                    return Err(Problem::error(
                        open..open + 1,
                        "string is not closed on its line",
                    ));
                }
            }
        }
    }

    /// One escape, from its backslash on.
    fn escape(&mut self) -> Result<char, Problem> {
        let start = self.at;
        self.at += 1;
        let letter = self.peek();
        self.at += letter.map_or(0, char::len_utf8);
        let hcl = self.notation == Notation::Hcl;
        let escaped = match letter {
            Some('"') => Some('"'),
            Some('\\') => Some('\\'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('/') if !hcl => Some('/'),
            Some('a') if hcl => Some('\u{7}'),
            Some('v') if hcl => Some('\u{b}'),
            Some('u') if hcl => self.digits(4, 16).and_then(char::from_u32),
            Some('u') => self.json_unicode(),
            Some('U') if hcl => self.digits(8, 16).and_then(char::from_u32),
            // A byte of a character is no character.
            Some('x') if hcl => self
                .digits(2, 16)
                .filter(|&c| c < 0x80)
                .and_then(char::from_u32),
            Some('0'..='7') if hcl => {
                self.at -= 1;
                self.digits(3, 8)
                    .filter(|&c| c < 0x80)
                    .and_then(char::from_u32)
            }
            Some(_) | None => None,
        };
        escaped.ok_or_else(|| {
            let text = self.text.get(start..self.at).unwrap_or_default();
            let text = format!("`{}` is no escape", text.escape_debug());
            Problem::error(start..self.at, text).with_help("write a backslash as `\\\\`")
        })
    }

    /// RFC 8259 §7: beyond the basic plane, a pair of surrogates.
    fn json_unicode(&mut self) -> Option<char> {
        let first = self.digits(4, 16)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if !self.rest().starts_with("\\u") {
            return None;
        }
        self.at += 2;
        let second = self
            .digits(4, 16)
            .filter(|low| (0xdc00..0xe000).contains(low))?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    /// Exactly `count` digits.
    fn digits(&mut self, count: usize, radix: u32) -> Option<u32> {
        let digits = self.rest().get(..count)?;
        if !digits.chars().all(|digit| digit.is_digit(radix)) {
            return None;
        }
        self.at += count;
        u32::from_str_radix(digits, radix).ok()
    }

    /// `<<MARK`, lines, `MARK`; with `<<-` the lines' common indent is cut.
    fn here_document(&mut self) -> Result<String, Problem> {
        let start = self.at;
        let head = self.take_while(|c| c != '\n');
        let place = start..self.at;
        let name = head.trim_end_matches('\r');
        let name = name.strip_prefix("<<").unwrap_or_default();
        let (name, indented) = match name.strip_prefix('-') {
            Some(name) => (name, true),
            None => (name, false),
        };
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(
                Problem::error(place, "a here-document begins with `<<` and a word")
                    .with_help("write `<<EOF`, the lines, and `EOF` on a line of its own"),
            );
        }
        self.at = (self.at + 1).min(self.text.len());
        let mut lines = Vec::new();
        loop {
            if self.rest().is_empty() {
                let text = format!("here-document is not closed by `{name}`");
                return Err(Problem::error(place, text));
            }
            let line = self.take_while(|c| c != '\n');
            if line.trim() == name {
                break;
            }
            lines.push(line);
            self.at = (self.at + 1).min(self.text.len());
        }
        let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let cut = if indented {
            lines.iter().map(|line| indent(line)).min().unwrap_or(0)
        } else {
            0
        };
        Ok(lines
            .iter()
            .flat_map(|line| [line.get(cut..).unwrap_or_default(), "\n"])
            .collect())
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        let text = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
        let number = if self.notation == Notation::Json {
            json_number(text)
        } else {
            hcl_number(text)
        };
        number.ok_or_else(|| {
            let message = format!("`{text}` is no number of 64 bits");
            Problem::error(start..self.at, message).with_help("text stands in quotes")
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn json_number(text: &str) -> Option<Token> {
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    number.as_i64().map(Token::Integer).or_else(|| {
        number
            .as_f64()
            .filter(|_| !number.is_u64())
            .map(Token::Float)
    })
}

/// Decimal, hexadecimal (`0x`), octal (`0`), and with a point or an exponent.
fn hcl_number(text: &str) -> Option<Token> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let whole = |digits: &str, radix| {
        let plain = digits.chars().all(|digit| digit.is_digit(radix));
        let number = i64::from_str_radix(&format!("{sign}{digits}"), radix).ok();
        number.filter(|_| plain).map(Token::Integer)
    };
    if let Some(digits) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        return whole(digits, 16);
    }
    if digits.contains(['.', 'e', 'E']) {
        let number: f64 = text.parse().ok()?;
        return number.is_finite().then_some(Token::Float(number));
    }
    match digits.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => whole(octal, 8),
        Some(_) | None => whole(digits, 10),
    }
}
