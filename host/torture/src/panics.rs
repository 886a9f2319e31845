//! Panics of the host: caught or not, each is a defect that a stranger's bytes
//! reach.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
}

/// From now on panics are counted, and told as they were before.
pub(crate) fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A thread that is about to end has no count any more.
            let _counted = HERE.try_with(|count| count.set(count.get().saturating_add(1)));
            before(info);
        }));
    });
}

/// Panics of this thread so far, since they are counted.
pub(crate) fn here() -> u64 {
    HERE.try_with(Cell::get).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{here, watch};

    #[test]
    fn a_panic_that_is_caught_is_counted_all_the_same() {
        watch();
        let before = here();
        assert!(std::panic::catch_unwind(|| 1).is_ok());
        assert_eq!(here(), before);
        assert!(std::panic::catch_unwind(|| panic!("of a test")).is_err());
        assert_eq!(here(), before + 1);
        // Another thread's are its own.
        assert!(std::thread::spawn(|| panic!("of a test")).join().is_err());
        assert_eq!(here(), before + 1);
    }
}
