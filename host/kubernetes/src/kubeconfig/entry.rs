//! A mapping of a kubeconfig, its members read one by one.
//!
//! An error has the member's name and line, and not its value, which may be a
//! credential.

use crate::words;
use crate::yaml::{Member, Node, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::ApiError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A mapping, and how it is called: a file as a whole, or ``user `me` ``.
#[derive(Clone)]
pub(crate) struct Entry {
    file: Arc<Path>,
    /// Empty for a file as a whole.
    called: String,
    node: Arc<Node>,
}

/// A text that is not empty, and where it stands.
pub(crate) struct Text {
    pub(crate) value: String,
    member: &'static str,
    line: usize,
    entry: Entry,
}

impl Entry {
    /// A file as a whole.
    pub(super) fn whole(file: Arc<Path>, node: Arc<Node>) -> Self {
        Self {
            file,
            called: String::new(),
            node,
        }
    }

    /// A node of it.
    pub(super) fn of(&self, called: String, node: &Arc<Node>) -> Self {
        Self {
            file: Arc::clone(&self.file),
            called,
            node: Arc::clone(node),
        }
    }

    /// The folder of the file, from which its paths go.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Where it stands, to be said of something that happens later.
    pub(crate) fn place(&self) -> String {
        self.at(self.node.line)
    }

    /// Where `line` is.
    pub(super) fn at(&self, line: usize) -> String {
        let file = words::clean(&self.file.display().to_string(), "");
        format!("`{file}`, line {line}")
    }

    /// An error of `line`.
    pub(super) fn refuse(&self, line: usize, what: &str) -> ApiError {
        ApiError::NotConfigured {
            what: format!("{}: {what}", self.at(line)),
        }
    }

    /// An error of the member that stands at `line`.
    fn wrong(&self, member: &str, line: usize, what: &str) -> ApiError {
        let of = if self.called.is_empty() {
            String::new()
        } else {
            format!(" of {}", self.called)
        };
        self.refuse(line, &format!("`{member}`{of} {what}"))
    }

    /// An error: a member that has to be there is not.
    pub(crate) fn lacks(&self, member: &str) -> ApiError {
        self.refuse(
            self.node.line,
            &format!("{} has no `{member}`", self.called),
        )
    }

    /// An error of it as a whole.
    pub(crate) fn unclear(&self, what: &str) -> ApiError {
        self.refuse(self.node.line, &format!("{} {what}", self.called))
    }

    fn members(&self) -> &[Member] {
        match &self.node.value {
            Value::Map(members) => members,
            Value::Null | Value::Text(_) | Value::List(_) => &[],
        }
    }

    /// A member that has a value.
    fn get(&self, name: &str) -> Result<Option<&Member>, ApiError> {
        let mut all = self.members().iter().filter(|member| member.key == name);
        let first = all.next();
        if let Some(second) = all.next() {
            return Err(self.wrong(name, second.line, "stands twice"));
        }
        Ok(first.filter(|member| !matches!(member.node.value, Value::Null)))
    }

    /// The mapping inside an entry of a list: the `user` of a user.
    pub(super) fn inner(&self, kind: &'static str) -> Result<Self, ApiError> {
        let empty = || Node::empty(self.node.line);
        let Some(member) = self.get(kind)? else {
            return Ok(self.of(self.called.clone(), &Arc::new(empty())));
        };
        self.mapping(kind, member, self.called.clone())
    }

    /// A mapping, if it is there; called by `name` of this one.
    pub(crate) fn map(&self, name: &'static str) -> Result<Option<Self>, ApiError> {
        let called = format!("`{name}` of {}", self.called);
        self.get(name)?
            .map(|member| self.mapping(name, member, called))
            .transpose()
    }

    fn mapping(&self, name: &str, member: &Member, called: String) -> Result<Self, ApiError> {
        match &member.node.value {
            Value::Map(_) => Ok(self.of(called, &member.node)),
            Value::Null | Value::Text(_) | Value::List(_) => {
                Err(self.wrong(name, member.line, "is no mapping"))
            }
        }
    }

    /// The nodes of a list; none where it is not there.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<Arc<Node>>, ApiError> {
        let Some(member) = self.get(name)? else {
            return Ok(Vec::new());
        };
        match &member.node.value {
            Value::List(nodes) => Ok(nodes.clone()),
            Value::Null | Value::Text(_) | Value::Map(_) => {
                Err(self.wrong(name, member.line, "is no list"))
            }
        }
    }

    /// The mappings of a list.
    pub(crate) fn maps(&self, name: &'static str) -> Result<Vec<Self>, ApiError> {
        let called = format!("`{name}` of {}", self.called);
        let map = |node: Arc<Node>| match &node.value {
            Value::Map(_) => Ok(self.of(called.clone(), &node)),
            Value::Null | Value::Text(_) | Value::List(_) => {
                Err(self.wrong(name, node.line, "holds what is no mapping"))
            }
        };
        self.list(name)?.into_iter().map(map).collect()
    }

    /// A text; none where it is empty, which says nothing to client-go either.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<Text>, ApiError> {
        let Some(member) = self.get(name)? else {
            return Ok(None);
        };
        let Value::Text(value) = &member.node.value else {
            return Err(self.wrong(name, member.line, "is no text"));
        };
        Ok((!value.is_empty()).then(|| Text {
            value: value.clone(),
            member: name,
            line: member.line,
            entry: self.clone(),
        }))
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, name: &'static str) -> Result<Vec<String>, ApiError> {
        self.only_texts(name, &self.list(name)?)
    }

    fn only_texts(&self, name: &str, nodes: &[Arc<Node>]) -> Result<Vec<String>, ApiError> {
        let text = |node: &Arc<Node>| match &node.value {
            Value::Text(value) => Ok(value.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => {
                Err(self.wrong(name, node.line, "holds what is no text"))
            }
        };
        nodes.iter().map(text).collect()
    }

    /// Lists of texts by their names.
    pub(crate) fn texts_by_name(
        &self,
        name: &'static str,
    ) -> Result<Vec<(String, Vec<String>)>, ApiError> {
        let Some(entry) = self.map(name)? else {
            return Ok(Vec::new());
        };
        let list = |member: &Member| match &member.node.value {
            Value::List(nodes) => Ok((member.key.clone(), self.only_texts(name, nodes)?)),
            Value::Null | Value::Text(_) | Value::Map(_) => {
                Err(self.wrong(name, member.line, "holds what is no list"))
            }
        };
        entry.members().iter().map(list).collect()
    }

    /// A member that says yes.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<Text>, ApiError> {
        let neither = "is neither true nor false";
        if let Some(member) = self.get(name)?
            && !matches!(member.node.value, Value::Text(_))
        {
            return Err(self.wrong(name, member.line, neither));
        }
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match text.value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Ok(Some(text)),
            "false" | "no" | "off" | "n" => Ok(None),
            _ => Err(text.refuse(neither)),
        }
    }

    /// A member as JSON; null where it is not there.
    pub(crate) fn json(&self, name: &'static str) -> Result<serde_json::Value, ApiError> {
        let member = self.get(name)?;
        Ok(member.map_or(serde_json::Value::Null, |member| member.node.json()))
    }
}

impl Text {
    /// An error: what is wrong with it, which must not repeat it.
    pub(crate) fn refuse(&self, what: &str) -> ApiError {
        self.entry.wrong(self.member, self.line, what)
    }

    /// An error: a name, which is no secret, of what there is not.
    pub(super) fn names_none(&self, kind: &str) -> ApiError {
        let name = words::clean(&self.value, "");
        self.refuse(&format!("names `{name}`, and there is no such {kind}"))
    }

    /// It as a path, which goes from where the file is.
    pub(crate) fn path(&self) -> PathBuf {
        self.entry.folder().join(&self.value)
    }

    /// It from base64, as it may be folded.
    pub(crate) fn decoded(&self) -> Result<Vec<u8>, ApiError> {
        let text: String = self
            .value
            .chars()
            .filter(|character| !character.is_ascii_whitespace())
            .collect();
        STANDARD
            .decode(text)
            .map_err(|_unquoted| self.refuse("is no base64"))
    }
}
