//! One object for all who ask the same one.
//!
//! A configuration that is read again names the same servers again. Their
//! connections, and the last good keys, must outlive the reading.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Those that are in use, by what they were made from.
#[derive(Debug)]
pub(crate) struct Shared<K, V>(Mutex<Option<HashMap<K, Weak<V>>>>);

impl<K: Clone + Eq + Hash, V> Shared<K, V> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The one that is in use for `key`, or a new one.
    pub(crate) fn get<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(value) = known.get(key).and_then(Weak::upgrade) {
            return Ok(value);
        }
        known.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make()?);
        known.insert(key.clone(), Arc::downgrade(&value));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Shared;
    use std::sync::Arc;

    #[test]
    fn what_is_in_use_is_shared_and_what_is_not_is_forgotten() {
        let shared: Shared<u8, u8> = Shared::new();
        let first = shared.get(&1, || Ok::<_, ()>(7)).unwrap();
        let again = shared.get(&1, || Ok::<_, ()>(8)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(shared.get(&2, || Err("no")), Err("no"));
        drop((first, again));
        assert_eq!(*shared.get(&1, || Ok::<_, ()>(9)).unwrap(), 9);
    }
}
