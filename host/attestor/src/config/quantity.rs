//! Numbers with units: byte sizes and durations, read and written the way
//! operators write them.

use std::time::Duration;

/// The units of a size, largest first.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads a size such as `512 KiB`.
///
/// Only units of 1,024: whether `1 MB` is 1,000,000 or 1,048,576 bytes is a
/// question that a limit must not leave open.
///
/// # Errors
/// What is wrong with the text, to follow the words "is not a size".
pub(crate) fn parse_bytes(text: &str) -> Result<u64, &'static str> {
    let digits_end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits_end).unwrap_or(("", text));
    if number.is_empty() {
        return Err("a size begins with a whole number");
    }
    let unit = unit.trim();
    let (_, factor) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or("the unit of a size is `B`, `KiB`, `MiB` or `GiB`")?;
    number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(factor))
        .ok_or("the number is too large")
}

/// Writes a size with the largest unit that divides it.
pub(crate) fn format_bytes(bytes: u64) -> String {
    UNITS
        .into_iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .map_or_else(
            || format!("{bytes} B"),
            |(unit, factor)| format!("{} {unit}", bytes / factor),
        )
}

/// Writes a number in groups of three, as it can be written in the file.
pub(crate) fn format_number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// Writes a duration as it can be written in the file.
pub(crate) fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (text, bytes) in [
            ("0 B", 0),
            ("1B", 1),
            ("512 KiB", 524_288),
            ("4MiB", 4_194_304),
            ("1  GiB ", 1 << 30),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for (text, error) in [
            ("", "a size begins with a whole number"),
            ("KiB", "a size begins with a whole number"),
            ("-1 KiB", "a size begins with a whole number"),
            ("ä", "a size begins with a whole number"),
            ("512", "the unit of a size is `B`, `KiB`, `MiB` or `GiB`"),
            ("512 KB", "the unit of a size is `B`, `KiB`, `MiB` or `GiB`"),
            (
                "1.5 MiB",
                "the unit of a size is `B`, `KiB`, `MiB` or `GiB`",
            ),
            ("18446744073709551615 KiB", "the number is too large"),
            ("99999999999999999999 B", "the number is too large"),
        ] {
            assert_eq!(parse_bytes(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_size_reads_back_as_it_was_written() {
        for (bytes, text) in [
            (0, "0 B"),
            (1, "1 B"),
            (1000, "1000 B"),
            (1024, "1 KiB"),
            (1025, "1025 B"),
            (4 << 20, "4 MiB"),
            (3 << 30, "3 GiB"),
        ] {
            assert_eq!(format_bytes(bytes), text);
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1_000"),
            (1_234_567, "1_234_567"),
        ] {
            assert_eq!(format_number(number), text);
        }
    }
}
