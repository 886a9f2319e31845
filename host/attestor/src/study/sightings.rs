//! Which subject was seen under which SPIFFE ID, in bounded memory.

use crate::subject_key::SubjectKey;
use nameplate_policy::Digest;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Which subject was seen under which SPIFFE ID.
///
/// Digests of 16 bytes stand for both, so one ID takes about 100 bytes. When
/// as many IDs are remembered as may be, further ones are not: every ID is
/// still held against those, and [`Sightings::unremembered`] says how many
/// were not held against each other.
#[derive(Debug)]
pub struct Sightings {
    seen: HashMap<[u8; 16], Seen>,
    limit: usize,
    unremembered: u64,
    collided: u64,
}

#[derive(Debug)]
struct Seen {
    subject: SubjectKey,
    at: u64,
    /// Whether another subject was seen under the ID.
    shared: bool,
}

/// How a subject stands to those seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nobody was seen under the ID.
    First,
    /// The same subject was.
    Again,
    /// Another subject was.
    Another {
        /// When it was seen first.
        first: u64,
        /// Whether the ID was known to be shared already.
        known: bool,
    },
    /// Nobody that is remembered was, and no more can be remembered.
    Unremembered,
}

impl Sightings {
    /// Sightings of at most `limit` IDs.
    pub fn of_at_most(limit: usize) -> Self {
        Self {
            seen: HashMap::new(),
            limit,
            unremembered: 0,
            collided: 0,
        }
    }

    /// Takes note that `subject` bears `spiffe_id`, as the `at`-th of all.
    pub fn see(&mut self, spiffe_id: &str, subject: SubjectKey, at: u64) -> Sight {
        let full = self.seen.len() >= self.limit;
        match self.seen.entry(Digest::of(spiffe_id.as_bytes()).leading()) {
            Entry::Occupied(mut entry) => {
                let seen = entry.get_mut();
                if seen.subject == subject {
                    return Sight::Again;
                }
                let known = std::mem::replace(&mut seen.shared, true);
                if !known {
                    self.collided = self.collided.saturating_add(1);
                }
                Sight::Another {
                    first: seen.at,
                    known,
                }
            }
            Entry::Vacant(_) if full => {
                self.unremembered = self.unremembered.saturating_add(1);
                Sight::Unremembered
            }
            Entry::Vacant(entry) => {
                entry.insert(Seen {
                    subject,
                    at,
                    shared: false,
                });
                Sight::First
            }
        }
    }

    /// IDs under which several subjects were seen.
    pub fn collided(&self) -> u64 {
        self.collided
    }

    /// Sightings of IDs that were not remembered.
    pub fn unremembered(&self) -> u64 {
        self.unremembered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(number: u8) -> SubjectKey {
        SubjectKey::from([number; 16])
    }

    #[test]
    fn one_id_is_one_subjects() {
        let mut sightings = Sightings::of_at_most(10);
        assert_eq!(sightings.see("a", subject(1), 0), Sight::First);
        assert_eq!(sightings.see("b", subject(2), 1), Sight::First);
        assert_eq!(sightings.see("a", subject(1), 2), Sight::Again);
        assert_eq!(sightings.collided(), 0);
        let another = |known| Sight::Another { first: 0, known };
        assert_eq!(sightings.see("a", subject(2), 3), another(false));
        assert_eq!(sightings.see("a", subject(3), 4), another(true));
        assert_eq!(sightings.collided(), 1);
        assert_eq!(sightings.unremembered(), 0);
    }

    #[test]
    fn what_is_not_remembered_is_counted() {
        let mut sightings = Sightings::of_at_most(1);
        assert_eq!(sightings.see("a", subject(1), 0), Sight::First);
        assert_eq!(sightings.see("b", subject(1), 1), Sight::Unremembered);
        assert_eq!(sightings.see("b", subject(2), 2), Sight::Unremembered);
        let another = Sight::Another {
            first: 0,
            known: false,
        };
        assert_eq!(sightings.see("a", subject(2), 3), another);
        assert_eq!(sightings.unremembered(), 2);
    }
}
