//! What became of an attestor's generations, and who is told of it.
//!
//! Nobody is told while anything is locked: whoever is told may ask for the
//! status, and begin another reload.

use super::Refused;
use std::fmt;
use std::sync::Arc;

/// Who is told what became of an attestor's generations, once for each change.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Something changed at the attestor `name`. May be called on a thread
    /// that attests; what it changed to can be asked for.
    fn changed(&self, name: &str, change: &Change);
}

/// A change that an operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What is configured could not serve: the last good naming does.
    Restored(Refused),
    /// The naming that served failed too often: the one before it serves.
    RolledBack {
        /// Number of the generation that serves now.
        generation: u64,
        /// What was refused by that.
        refused: Refused,
    },
    /// The right naming serves, but something beside it fails: state that was
    /// not written, a shadow that does not run.
    Warning(String),
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn changed(&self, _: &str, _: &Change) {}
}

/// Changes that happened, and that nobody was told of yet: to be told once
/// nothing is locked.
#[derive(Debug)]
#[must_use = "somebody wants to hear of it"]
pub(crate) struct News {
    observer: Arc<dyn Observer>,
    name: String,
    changes: Vec<Change>,
}

impl News {
    pub(super) fn new(observer: &Arc<dyn Observer>, name: &str, changes: Vec<Change>) -> Self {
        Self {
            observer: Arc::clone(observer),
            name: name.to_owned(),
            changes,
        }
    }

    pub(crate) fn tell(self) {
        for change in &self.changes {
            self.observer.changed(&self.name, change);
        }
    }
}
