//! In which order mutants are tried: shuffled, and the same for every run
//! with the same seed.

/// Shuffles `items` by `seed` (Fisher and Yates, over SplitMix64).
pub(crate) fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed;
    for end in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = u64::try_from(end).unwrap_or(u64::MAX).saturating_add(1);
        items.swap(end, usize::try_from(mixed % bound).unwrap_or(end));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_an_order_and_nothing_is_lost() {
        let items: Vec<u32> = (0..100).collect();
        let one = shuffled(items.clone(), 1);
        assert_eq!(one, shuffled(items.clone(), 1));
        assert_ne!(one, shuffled(items.clone(), 2));
        assert_ne!(one, items);
        let mut sorted = one;
        sorted.sort_unstable();
        assert_eq!(sorted, items);
        assert_eq!(shuffled(Vec::<u32>::new(), 1), []);
    }
}
