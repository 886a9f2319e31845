//! Kubeconfigs, read as client-go reads them.
//!
//! Only the current context counts, with its cluster and its user; other
//! entries are not checked. Trusts the operator for what the file says; a
//! member that cannot be used is named with its line, and its value is not
//! repeated.

pub(crate) mod cluster;
mod entry;
pub(crate) mod user;

use crate::file;
use crate::words;
use crate::yaml::{self, Member, Node, Value};
use entry::Entry;
use nameplate_evidence::ApiError;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A hash of what is in a file; none where it cannot be read.
pub(crate) type Content = Option<[u8; 32]>;

/// What is in the file at `path` now.
pub(crate) fn content_of(path: &Path) -> Content {
    Some(Sha256::digest(file::read(path).ok()?).into())
}

/// Reads files, and remembers what was in each.
#[derive(Default)]
pub(crate) struct Reading {
    /// Each file that was looked for, with what was in it.
    pub(crate) files: Vec<(PathBuf, Content)>,
    /// What is taken, and may not be meant so.
    pub(crate) doubts: Vec<String>,
}

impl Reading {
    /// A regular file of at most 1 MiB.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Vec<u8>, ApiError> {
        let read = file::read(path);
        let content = read.as_ref().ok().map(|bytes| Sha256::digest(bytes).into());
        self.files.push((path.to_owned(), content));
        read
    }
}

/// The cluster and the user of a current context.
pub(crate) struct Current {
    pub(crate) cluster: Entry,
    /// None where nobody is named, or nobody of that name is there: such a
    /// client is anonymous, as kubectl's is.
    pub(crate) user: Option<Entry>,
}

/// A YAML document of a file.
struct Document {
    file: Arc<Path>,
    root: Arc<Node>,
}

/// The current context of one kubeconfig.
pub(crate) fn read(path: &Path, reading: &mut Reading) -> Result<Current, ApiError> {
    let documents = documents(path, reading)?;
    current(&documents, &mut reading.doubts)
}

/// That of several, merged as kubectl does it (kubernetes.io, "Organizing
/// Cluster Access Using kubeconfig Files"): the first to say a thing counts,
/// and a file that there is not says nothing.
pub(crate) fn merged(paths: &[PathBuf], reading: &mut Reading) -> Result<Current, ApiError> {
    let mut all = Vec::new();
    for path in paths {
        if path.exists() {
            all.extend(documents(path, reading)?);
        } else {
            reading.files.push((path.clone(), None));
        }
    }
    current(&all, &mut reading.doubts)
}

fn documents(path: &Path, reading: &mut Reading) -> Result<Vec<Document>, ApiError> {
    let shown = || words::clean(&path.display().to_string(), "");
    let text = text(&reading.read(path)?).ok_or_else(|| ApiError::NotConfigured {
        what: format!("`{}` is not a kubeconfig: it is no text", shown()),
    })?;
    let roots = yaml::documents(&text).map_err(|error| ApiError::NotConfigured {
        what: format!("`{}`, line {}, is not YAML", shown(), error.line),
    })?;
    let file: Arc<Path> = path.into();
    let document = |root: Arc<Node>| match &root.value {
        Value::Map(_) => Document {
            file: Arc::clone(&file),
            root,
        }
        .with_lists(),
        Value::Null | Value::Text(_) | Value::List(_) => Err(ApiError::NotConfigured {
            what: format!("`{}` is not a kubeconfig", shown()),
        }),
    };
    roots.into_iter().map(document).collect()
}

/// The text of a file in UTF-8, or in UTF-16 with a byte order mark, which
/// Windows writes.
fn text(bytes: &[u8]) -> Option<String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

fn current(documents: &[Document], doubts: &mut Vec<String>) -> Result<Current, ApiError> {
    let none = |what: String| ApiError::NotConfigured { what };
    let mut name = None;
    for document in documents {
        if name.is_none() {
            name = document.entry().text("current-context")?;
        }
    }
    let Some(name) = name else {
        return Err(none(
            "no kubeconfig names a current context: `kubectl config use-context` does".to_owned(),
        ));
    };
    let Some(context) = find(documents, "contexts", "context", &name.value, doubts)? else {
        return Err(name.names_none("context"));
    };
    let Some(cluster_name) = context.text("cluster")? else {
        return Err(context.lacks("cluster"));
    };
    let Some(cluster) = find(
        documents,
        "clusters",
        "cluster",
        &cluster_name.value,
        doubts,
    )?
    else {
        return Err(cluster_name.names_none("cluster"));
    };
    let user = match context.text("user")? {
        Some(user) => find(documents, "users", "user", &user.value, doubts)?,
        None => None,
    };
    Ok(Current { cluster, user })
}

/// The entry called `name` of the first document whose `list` has one. Of
/// several in one list the first counts; client-go would have none of them, so
/// another that says something else is a doubt.
fn find(
    documents: &[Document],
    list: &'static str,
    kind: &'static str,
    name: &str,
    doubts: &mut Vec<String>,
) -> Result<Option<Entry>, ApiError> {
    for document in documents {
        let whole = document.entry();
        let members = whole.list(list)?;
        let mut called = members.iter().filter(|node| name_of(node) == Some(name));
        let Some(first) = called.next() else {
            continue;
        };
        let shown = words::clean(name, "");
        if let Some(other) = called.find(|other| !other.says_the_same(first)) {
            doubts.push(format!(
                "{}: another {kind} is called `{shown}`; the first counts, line {}, and kubectl \
                 takes neither",
                whole.at(other.line),
                first.line
            ));
        }
        let entry = whole.of(format!("{kind} `{shown}`"), first);
        return entry.inner(kind).map(Some);
    }
    Ok(None)
}

/// The `name` of an entry of a list, where it has one.
fn name_of(node: &Node) -> Option<&str> {
    let Value::Map(members) = &node.value else {
        return None;
    };
    members.iter().find_map(|Member { key, node, .. }| {
        let Value::Text(text) = &node.value else {
            return None;
        };
        (key == "name").then_some(text.as_str())
    })
}

impl Document {
    /// Refuses one that is broken beyond its entries, wherever it stands among
    /// others.
    fn with_lists(self) -> Result<Self, ApiError> {
        let whole = self.entry();
        for list in ["contexts", "clusters", "users"] {
            whole.list(list)?;
        }
        Ok(self)
    }

    fn entry(&self) -> Entry {
        Entry::whole(Arc::clone(&self.file), Arc::clone(&self.root))
    }
}
