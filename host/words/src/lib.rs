//! How numbers are written in what people read, one way in every message; and
//! which characters people do not see there.
//!
//! Knows nothing of what it writes. Sizes of keys (`2048 bits`) are names, and
//! are written as everybody writes them; a configuration's own numbers are
//! written as they can be pasted into it.

mod unseen;

pub use unseen::is_unseen;

use std::fmt;

/// A number that shows its digits in groups of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouped(u64);

/// `number` in groups of three: `16,384`.
#[must_use]
pub fn grouped(number: impl TryInto<u64>) -> Grouped {
    // Nothing here is counted in more.
    Grouped(number.try_into().unwrap_or(u64::MAX))
}

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len().saturating_mul(2));
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && digits.len().saturating_sub(index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        // Also where a width is asked for.
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_come_in_groups_of_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (16_384, "16,384"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number).to_string(), text);
        }
        assert_eq!(grouped(10_usize).to_string(), "10");
        assert_eq!(format!("{:>6}", grouped(1_000_u16)), " 1,000");
    }
}
