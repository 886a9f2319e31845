//! Which known name somebody meant who wrote an unknown one.

/// The name closest to `written`, if it is close enough to be a slip.
pub(crate) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    // A slip in three characters: `fuel` and `foo` are two different words.
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        // Also bounds the work, which is the product of both lengths.
        .filter(|name| written.len().abs_diff(name.len()) <= 2 * allowed)
        .map(|name| (distance(written, name), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Characters to insert, remove, replace or swap with their neighbour
/// (Damerau and Levenshtein, no place edited twice). Case does not count.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut left_before = None;
    for (row, l) in left.to_lowercase().chars().enumerate() {
        let mut current = vec![row + 1];
        let mut right_before = None;
        for (column, &r) in right.iter().enumerate() {
            let cell = |line: &[usize], at: Option<usize>| {
                at.and_then(|at| line.get(at))
                    .copied()
                    .unwrap_or(usize::MAX - 1)
            };
            let mut best = (cell(&above, Some(column)) + usize::from(l != r))
                .min(cell(&above, Some(column + 1)) + 1)
                .min(cell(&current, Some(column)) + 1);
            if left_before == Some(r) && right_before == Some(l) {
                best = best.min(cell(&before, column.checked_sub(1)) + 1);
            }
            current.push(best);
            right_before = Some(r);
        }
        before = std::mem::replace(&mut above, current);
        left_before = Some(l);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_textbook() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("issuer", "issuer", 0),
            ("isuer", "issuer", 1),
            ("isseur", "issuer", 1),
            ("Issuer", "issuer", 0),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn only_a_slip_has_a_nearest_name() {
        let known = ["issuer", "audience", "leeway", "ca_file", "fuel"];
        assert_eq!(nearest("isuer", &known), Some("issuer"));
        assert_eq!(nearest("audiance", &known), Some("audience"));
        assert_eq!(nearest("cafile", &known), Some("ca_file"));
        assert_eq!(nearest("foo", &known), None);
        assert_eq!(nearest("", &known), None);
        assert_eq!(nearest(&"issuer".repeat(100_000), &known), None);
    }
}
