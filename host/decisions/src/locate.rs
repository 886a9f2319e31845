//! Finds the one byte whose change explains a line that does not hold.
//!
//! A hash says that a line was changed and not where. One byte has 255 other
//! values, and a line some thousand bytes: few enough to try them all. It still
//! takes a part of a second for each line, so only so many are searched.

use crate::chain::{BEGIN, DIGEST_BYTES, END_OF_HASH, Frame};
use aws_lc_rs::digest::{Context, SHA256};
use nameplate_policy::Digest;

/// Longest line that is searched, in bytes: the work grows with its square.
const MAX_BYTES: usize = 8 << 10;

/// Longest line that is put together from two halves: one byte is tried only.
const MAX_SPLIT_BYTES: usize = 1 << 20;

/// Most beginnings of a line that are looked at within one.
const MAX_BEGINNINGS: usize = 16;

/// How many more lines are searched. Whoever damages each line of a log is told
/// where, and does not keep its reader busy for days.
#[derive(Debug)]
pub(crate) struct Searches(u32);

impl Searches {
    /// Those of one reader.
    pub(crate) const ALL: Self = Self(16);

    fn one(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

/// What every line has behind its hash.
const NEXT: &[u8] = br#"{"hash":"sha256:"#;

/// The byte of `line` that was changed, and what it was.
pub(crate) fn changed_byte(line: &[u8], searches: &mut Searches) -> Option<(usize, u8)> {
    if line.len() > MAX_BYTES {
        return None;
    }
    let (begin, rest) = line.split_at_checked(BEGIN.len())?;
    let (digest, rest) = rest.split_at_checked(DIGEST_BYTES)?;
    let (end, body) = rest.split_at_checked(END_OF_HASH.len())?;
    let found = Digest::of(body).to_string();
    // What the bytes before the body have to be, if the body is as it was.
    let wanted = [BEGIN, found.as_bytes(), END_OF_HASH].concat();
    let before = [begin, digest, end].concat();
    match difference(&before, &wanted) {
        Some(one) => Some(one),
        None if begin == BEGIN && end == END_OF_HASH => {
            let stated = std::str::from_utf8(digest).ok()?.parse().ok()?;
            searches.one()?;
            let (at, was) = changed_in(body, stated)?;
            Some((before.len() + at, was))
        }
        None => None,
    }
}

/// Where two texts differ, if it is in one byte, and what that is in `wanted`.
fn difference(found: &[u8], wanted: &[u8]) -> Option<(usize, u8)> {
    let pairs = found.iter().zip(wanted).enumerate();
    let mut differences = pairs.filter(|(_, (found, wanted))| found != wanted);
    let (at, (_, was)) = differences.next()?;
    differences.next().is_none().then_some((at, *was))
}

/// The byte whose change gives `body` the hash `stated`, and what it was.
///
/// Flipped bits first, at every place: they are what disks and hands do, and
/// the others are thirty times as many.
fn changed_in(body: &[u8], stated: Digest) -> Option<(usize, u8)> {
    let flipped = |is: u8, was: u8| (is ^ was).count_ones() == 1;
    tried(body, stated, flipped).or_else(|| tried(body, stated, |is, was| !flipped(is, was)))
}

/// The same among the changes that `may` have been.
fn tried(body: &[u8], stated: Digest, may: impl Fn(u8, u8) -> bool) -> Option<(usize, u8)> {
    // What is before the byte is hashed once for all that the byte may have been.
    let mut before = Context::new(&SHA256);
    for (at, &is) in body.iter().enumerate() {
        let (_, after) = body.split_at_checked(at + 1)?;
        let hash = |was: u8| {
            let mut whole = before.clone();
            whole.update(&[was]);
            whole.update(after);
            let hash: Option<[u8; 32]> = whole.finish().as_ref().try_into().ok();
            hash.map(Digest::from)
        };
        let mut others = (0..=u8::MAX).filter(|was| may(is, *was));
        if let Some(was) = others.find(|was| hash(*was) == Some(stated)) {
            return Some((at, was));
        }
        before.update(&[is]);
    }
    None
}

/// Where `line` is a whole line whose end was changed to something else, with
/// the next line, the beginning of one or nothing behind it.
pub(crate) fn lost_line_end(line: &[u8]) -> Option<usize> {
    (0..line.len())
        .filter(|end| line.get(end + 1..).is_some_and(begins_a_line))
        .take(MAX_BEGINNINGS)
        .find(|end| line.get(..*end).is_some_and(holds))
}

/// Where `line` and `next` are one line, a byte of which was changed to a
/// line end: the whole line, and what the byte was.
pub(crate) fn split_line(
    line: &[u8],
    next: &[u8],
    searches: &mut Searches,
) -> Option<(Vec<u8>, u8)> {
    let next = next.strip_suffix(b"\n")?;
    // A line of its own is nobody's second half.
    if !begins_a_line(line) || next.starts_with(NEXT) || line.len() + next.len() > MAX_SPLIT_BYTES {
        return None;
    }
    searches.one()?;
    let mut whole = line.to_vec();
    whole.push(b'\n');
    whole.extend_from_slice(next);
    (0..=u8::MAX).find_map(|was| {
        *whole.get_mut(line.len())? = was;
        holds(&whole).then(|| (whole.clone(), was))
    })
}

/// Whether a line may begin so.
fn begins_a_line(bytes: &[u8]) -> bool {
    bytes.iter().zip(NEXT).all(|(is, next)| is == next)
}

fn holds(line: &[u8]) -> bool {
    Frame::of(line).is_some_and(Frame::holds)
}
