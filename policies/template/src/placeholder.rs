//! The names that may stand between braces, and what each of them reads.
//!
//! One row per fact; a fact that the evidence does not prove has no value, and
//! a list has one only if it has exactly one item.

use std::borrow::Cow;

use nameplate_guest::{
    AlternativeName, Authority, Certificate, Facts, KeyKind, Label, Node, Pod, Requester,
    ServiceAccount, Subject,
};

/// Why a placeholder has no value; the name is the placeholder's.
#[derive(Debug)]
pub(crate) enum Missing<'a> {
    /// The evidence does not prove it.
    Unproven(&'a str),
    /// There is more than one, and none is the one.
    Several(&'a str),
}

/// What a placeholder reads.
#[derive(Clone, Copy)]
pub(crate) struct Placeholder {
    name: &'static str,
    read: Read,
}

type Read = for<'f> fn(&'f Facts) -> Answer<'f>;

/// The value of a fact, as a template prints it.
pub(crate) enum Answer<'f> {
    One(Cow<'f, str>),
    None,
    Several,
}

impl Placeholder {
    /// The placeholder of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (name, read) = PLACEHOLDERS.iter().zip(READS).find(|(known, _)| **known == name)?;
        Some(Self { name, read: *read })
    }

    /// Its value in `facts`.
    pub(crate) fn value<'f>(&self, facts: &'f Facts) -> Result<Cow<'f, str>, Missing<'_>> {
        match (self.read)(facts) {
            Answer::One(value) => Ok(value),
            Answer::None => Err(Missing::Unproven(self.name)),
            Answer::Several => Err(Missing::Several(self.name)),
        }
    }
}

