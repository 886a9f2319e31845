//! Policies to attack the host with: those of `nameplate-torture`, and ones
//! that hold it to its exact words.

mod generated;

pub use generated::{generated, imported, nested_components};

use nameplate_torture::component;
use nameplate_torture::guests::{GUESTS, guest};

/// A component and what it is called.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What it does, in words joined by `_`.
    pub name: String,
    /// Its bytes; not always a component.
    pub bytes: Vec<u8>,
}

impl Guest {
    /// A guest of these bytes.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            bytes,
        }
    }
}

/// The guest that is written by hand under this name.
pub fn file(name: &str) -> Guest {
    Guest::new(name, text_of(guest(name).unwrap()))
}

/// Every guest that is written by hand, by name.
pub fn files() -> Vec<Guest> {
    GUESTS.iter().map(|(name, _)| file(name)).collect()
}

/// As [`component::assembled`].
pub fn text_of(text: &str) -> Vec<u8> {
    component::assembled(text).unwrap()
}

/// As [`component::answering`].
pub fn answering<T: AsRef<[u8]>>(path: &[T], selectors: &[T]) -> Vec<u8> {
    component::answering(path, selectors).unwrap()
}

/// As [`component::answering_with`].
pub fn answering_with(path: &[&str], sections: &[(&str, &str)]) -> Vec<u8> {
    component::answering_with(path, sections).unwrap()
}

/// As [`component::choosing`].
pub fn choosing(condition: &str, holds: (&[&str], &[&str]), fails: (&[&str], &[&str])) -> Vec<u8> {
    component::choosing(condition, holds, fails).unwrap()
}

/// As [`component::refusing`].
pub fn refusing(pointer: &[u8], message: &[u8]) -> Vec<u8> {
    component::refusing(pointer, message).unwrap()
}
