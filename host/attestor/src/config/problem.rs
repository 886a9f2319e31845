//! What is wrong with a configuration, and where.
//!
//! Reading a configuration finds every problem, not the first one, and each
//! keeps its place in the text, so that it can be shown with a caret under it.
//! What a message repeats of the file is escaped here, for every caller.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use nameplate_words::is_unseen;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A configuration's text and the name it is shown under. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file as it was given.
    pub name: Arc<str>,
    /// Its whole text.
    pub text: Arc<str>,
}

impl Source {
    /// Names a text.
    pub fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Problems of this text, such as one found later by loading a policy
    /// that the text names.
    pub fn problems(&self, list: Vec<Problem>) -> Problems {
        Problems {
            source: self.clone(),
            list,
            files: Vec::new(),
        }
    }

    /// Line and column, both from 1, of the byte `offset`; the column counts characters.
    fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = self
            .text
            .char_indices()
            .take_while(|(at, _)| *at < offset)
            .map(|(_, character)| character);
        before.fold((1, 1), |(line, column), character| {
            if character == '\n' {
                (line + 1, 1)
            } else {
                (line, column + 1)
            }
        })
    }

    /// `span` moved to where the text has characters.
    fn clamp(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end.min(self.text.len()));
        start..end.max(start)
    }
}

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and does less than the operator may think.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// Its place, in bytes of the text; none when it is about the whole file.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// An error at `span`.
    pub fn error(span: impl Into<Option<Range<usize>>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span: span.into(),
            message: printable(&message.into()),
            help: None,
        }
    }

    /// A warning at `span`.
    pub fn warning(span: impl Into<Option<Range<usize>>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message)
        }
    }

    /// The same problem, with what to do about it.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(printable(&help.into())),
            ..self
        }
    }
}

/// Everything that is wrong with one text.
///
/// `Display` gives a line for each, `file:line:column: error: message`, for
/// logs and editors; [`Problems::render`] shows each place, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The text.
    pub source: Source,
    /// What is wrong with it, in the order of the text.
    pub list: Vec<Problem>,
    /// Every file that was read or looked for: a change of one of them may
    /// be the cure, so these are the files to watch. Empty for problems
    /// that were put together by [`Source::problems`].
    pub files: Vec<PathBuf>,
}

impl Problems {
    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// Line and column, both from 1, where a problem begins; the column counts characters.
    pub fn line_column(&self, problem: &Problem) -> Option<(usize, usize)> {
        let span = problem.span.as_ref()?;
        Some(self.source.line_column(span.start))
    }

    /// Shows each problem with its line and a caret under the place, with
    /// terminal colours if `color`.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let shown: Vec<String> = self
            .list
            .iter()
            .map(|problem| self.render_one(&renderer, problem))
            .collect();
        shown.join("\n\n")
    }

    fn render_one(&self, renderer: &Renderer, problem: &Problem) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let name = self.source.name.as_ref();
        let title = level.primary_title(problem.message.as_str());
        let text = without_c1(&self.source.text);
        let mut group = match &problem.span {
            Some(span) => title.element(
                Snippet::source(text.as_ref())
                    .path(name)
                    .annotation(AnnotationKind::Primary.span(self.source.clamp(span))),
            ),
            None => title.element(Origin::path(name)),
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// The problems as data, for `--output json`.
    pub fn summaries(&self) -> Vec<ProblemSummary<'_>> {
        self.list
            .iter()
            .map(|problem| {
                let place = self.line_column(problem);
                ProblemSummary {
                    severity: problem.severity,
                    line: place.map(|(line, _)| line),
                    column: place.map(|(_, column)| column),
                    message: &problem.message,
                    help: problem.help.as_deref(),
                }
            })
            .collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.source.name)?;
            if let Some((line, column)) = self.line_column(problem) {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {}: {}", problem.severity, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A problem with its place in lines, as it goes into JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ProblemSummary<'p> {
    /// How much it matters.
    pub severity: Severity,
    /// Line, from 1; none when it is about the whole file.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: &'p str,
    /// What to do about it.
    pub help: Option<&'p str>,
}

/// Most characters of the file's text that one message repeats.
const QUOTED_CHARACTERS: usize = 80;

/// Text of the file in backticks, cut when it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut characters = text.chars();
    let mut out: String = characters.by_ref().take(QUOTED_CHARACTERS).collect();
    if characters.next().is_some() {
        out.push('…');
    }
    format!("`{out}`")
}

/// `text` without anything that a terminal acts on or that nobody sees. A message can hold text
/// of the file, of a key file's parser or of a policy.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_control() {
            out.extend(character.escape_default());
        } else if character.is_control() || is_unseen(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// `text` without the control characters that the renderer lets through, each
/// replaced by a mark of as many bytes, so that every place stays where it is.
fn without_c1(text: &str) -> Cow<'_, str> {
    let c1 = |character: char| matches!(character, '\u{80}'..='\u{9f}');
    if text.contains(c1) {
        Cow::Owned(text.replace(c1, "\u{b7}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, list: Vec<Problem>) -> Problems {
        Source::new("n.toml", text).problems(list)
    }

    #[test]
    fn a_place_is_a_line_and_a_column_of_characters() {
        let text = "a = 1\nü = \"x\"\n";
        let at = |offset| Source::new("", text).line_column(offset);
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(4), (1, 5));
        assert_eq!(at(6), (2, 1));
        assert_eq!(at(11), (2, 5));
        assert_eq!(at(10_000), (3, 1));
    }

    #[test]
    fn the_plain_form_is_one_line_for_each() {
        let problems = problems(
            "a = 1\nb = 2\n",
            vec![
                Problem::error(None, "first"),
                Problem::warning(6..7, "second").with_help("not shown"),
            ],
        );
        assert_eq!(
            problems.to_string(),
            "n.toml: error: first\nn.toml:2:1: warning: second"
        );
        assert!(problems.has_errors());
    }

    #[test]
    fn the_shown_form_has_a_caret_and_the_help() {
        let problems = problems(
            "a = 1\nb = 2\n",
            vec![Problem::error(6..7, "wrong").with_help("right")],
        );
        assert_eq!(
            problems.render(false),
            "error: wrong\n --> n.toml:2:1\n  |\n2 | b = 2\n  | ^\n  |\n  = help: right"
        );
        assert!(problems.render(true).contains('\u{1b}'));
    }

    #[test]
    fn no_place_breaks_the_shown_form() {
        let text = "ä = \"ö\"\r\n\tx\u{1b}[31m = 'ü'";
        for start in 0..text.len() + 3 {
            for end in 0..text.len() + 3 {
                let shown = problems(text, vec![Problem::error(start..end, "m")]).render(false);
                assert!(!shown.contains('\u{1b}'));
            }
        }
        assert!(
            problems("", vec![Problem::error(0..0, "m")])
                .render(false)
                .contains("n.toml")
        );
    }

    /// Found by the fuzzer: U+009B begins a terminal's command as ESC does.
    #[test]
    fn a_line_is_shown_without_control_characters_of_either_kind() {
        let shown = problems("a = \u{9b}2J\u{1b}", vec![Problem::error(4..6, "m")]).render(false);
        assert!(
            shown.contains("1 | a = \u{b7}2J\u{241b}\n  |     ^"),
            "{shown}"
        );
    }

    #[test]
    fn the_json_form_has_every_part() {
        let problems = problems(
            "a",
            vec![Problem::warning(0..1, "m"), Problem::error(None, "n")],
        );
        assert_eq!(
            serde_json::to_value(problems.summaries()).unwrap(),
            serde_json::json!([
                {"severity": "warning", "line": 1, "column": 1, "message": "m", "help": null},
                {"severity": "error", "line": null, "column": null, "message": "n", "help": null},
            ])
        );
    }

    #[test]
    fn foreign_text_cannot_reach_the_terminal() {
        let problem = Problem::error(None, "\u{1b}[2J\n\u{202e}\u{85}ä").with_help("\r");
        assert_eq!(problem.message, "\\u{1b}[2J\\n\\u{202e}\\u{85}ä");
        assert_eq!(problem.help.unwrap(), "\\r");
        assert_eq!(quoted("a b"), "`a b`");
        assert_eq!(quoted(&"x".repeat(100)), format!("`{}…`", "x".repeat(80)));
    }
}
