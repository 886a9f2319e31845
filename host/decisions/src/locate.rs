//! Finds the one byte whose change explains a line that does not hold.
//!
//! A hash says that a line was changed and not where. One byte has 255 other
//! values, and a line some thousand bytes: few enough to try them all.

use crate::chain::Frame;

/// Longest line that is searched, in bytes: the work grows with its square.
const MAX_BYTES: usize = 8 << 10;

/// What every line has behind its hash.
const NEXT: &[u8] = br#"{"hash":"sha256:"#;

/// The byte of `line` that was changed, and what it was.
pub(crate) fn changed_byte(line: &[u8]) -> Option<(usize, u8)> {
    if line.len() > MAX_BYTES {
        return None;
    }
    let mut tried = line.to_vec();
    for (at, &is) in line.iter().enumerate() {
        // Likely ones first: a flipped bit.
        let flipped = (0..8).map(|bit| is ^ (1 << bit));
        let others = (0..=u8::MAX).filter(|other| (other ^ is).count_ones() > 1);
        for was in flipped.chain(others) {
            if let Some(byte) = tried.get_mut(at) {
                *byte = was;
            }
            if holds(&tried) {
                return Some((at, was));
            }
        }
        if let Some(byte) = tried.get_mut(at) {
            *byte = is;
        }
    }
    None
}

/// Where `line` is two lines, the end of the first changed to something else.
pub(crate) fn lost_line_end(line: &[u8]) -> Option<usize> {
    line.windows(NEXT.len())
        .enumerate()
        .skip(1)
        .filter(|(_, window)| *window == NEXT)
        .map(|(next, _)| next - 1)
        .find(|end| line.get(..*end).is_some_and(holds))
}

/// Where `line` and `next` are one line, a byte of which was changed to a
/// line end: the whole line, and what the byte was.
pub(crate) fn split_line(line: &[u8], next: &[u8]) -> Option<(Vec<u8>, u8)> {
    let next = next.strip_suffix(b"\n")?;
    if line.len() + next.len() > MAX_BYTES {
        return None;
    }
    let mut whole = line.to_vec();
    whole.push(b'\n');
    whole.extend_from_slice(next);
    (0..=u8::MAX).find_map(|was| {
        *whole.get_mut(line.len())? = was;
        holds(&whole).then(|| (whole.clone(), was))
    })
}

fn holds(line: &[u8]) -> bool {
    Frame::of(line).is_some_and(Frame::holds)
}
