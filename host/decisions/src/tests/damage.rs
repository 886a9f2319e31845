//! Each way to change a log, and that it is found where it was done.

use super::*;

fn log() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    log_of(3)
}

fn log_of(decisions: u64) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    write(options(dir.path()), decisions);
    let segment = segments(dir.path()).remove(0);
    let bytes = fs::read(&segment).unwrap();
    (dir, segment, bytes)
}

/// Every byte of a log, changed one at a time, is found and named.
#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let (dir, segment, bytes) = log_of(1);
    assert!(verify(dir.path()).holds());
    let name = segment.file_name().unwrap().to_str().unwrap();
    let mut line = 1;
    let mut begins = 0;
    for at in 0..bytes.len() {
        let flip = 1 << (at % 8);
        let mut changed = bytes.clone();
        changed[at] ^= flip;
        fs::write(&segment, &changed).unwrap();
        let shown = |byte: u8| {
            let byte = (byte, char::from(byte).escape_default());
            format!("0x{:02x} (`{}`)", byte.0, byte.1)
        };
        let (was, is) = (shown(bytes[at]), shown(changed[at]));
        let expected = format!("{name}:{line} (byte {begins}): byte {at} was {was} and is {is}");
        assert_eq!(faults(dir.path()), [expected]);
        if bytes[at] == b'\n' {
            line += 1;
            begins = at + 1;
        }
    }
}

/// An end that is changed is damage, one that is not there yet is no fault; and
/// what a lost end runs into is still read for itself.
#[test]
fn a_changed_end_is_told_from_one_that_is_not_written_yet() {
    let (dir, segment, bytes) = log();
    let begins: Vec<_> = [0]
        .into_iter()
        .chain(
            bytes
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n')
                .map(|(at, _)| at + 1),
        )
        .collect();
    let [.., before, last, end] = begins[..] else {
        panic!("{begins:?}");
    };
    for cut in last + 1..end {
        fs::write(&segment, &bytes[..cut]).unwrap();
        let found = verify(dir.path());
        assert!(found.holds(), "{cut}: {:?}", found.faults);
        let torn = found.torn.unwrap();
        assert_eq!(torn.offset, last as u64);
        let mut changed = bytes[..cut].to_vec();
        changed[last - 1] ^= 4;
        fs::write(&segment, &changed).unwrap();
        let found = faults(dir.path());
        assert_eq!(found.len(), 1, "{cut}: {found:?}");
        let expected = format!(
            "(byte {before}): byte {} was 0x0a (`\\n`) and is 0x0e (`\\u{{e}}`)",
            last - 1
        );
        assert!(found[0].ends_with(&expected), "{cut}: {found:?}");
    }
    // And it is not mended as if it were torn: the record was given.
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&segment, &changed).unwrap();
    let error = DecisionLog::open(options(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(&segment).unwrap(), changed);
}

#[test]
fn a_byte_changed_into_a_line_end_is_found() {
    let (dir, segment, bytes) = log();
    for at in (1..bytes.len() - 1)
        .step_by(37)
        .filter(|at| bytes[*at] != b'\n')
    {
        let mut changed = bytes.clone();
        changed[at] = b'\n';
        fs::write(&segment, &changed).unwrap();
        let found = faults(dir.path());
        let (first, rest) = found.split_first().unwrap();
        assert!(first.contains(&format!("byte {at} was")), "{at}: {found:?}");
        assert!(rest.is_empty(), "{at}: {found:?}");
    }
}

/// In a line whose bytes are not all tried, too: it is one fault, in its place.
#[test]
fn a_long_line_that_was_cut_in_two_is_put_together() {
    let dir = tempfile::tempdir().unwrap();
    write_long(dir.path());
    write(options(dir.path()), 1);
    let segment = segments(dir.path()).remove(0);
    let bytes = fs::read(&segment).unwrap();
    assert!(verify(dir.path()).holds());
    let long = parts(&bytes);
    let long = long.iter().position(|line| line.len() > 20_000).unwrap();
    let begins: usize = parts(&bytes)[..long].iter().map(|line| line.len()).sum();
    for at in [begins + 40, begins + 10_000] {
        let mut changed = bytes.clone();
        changed[at] = b'\n';
        fs::write(&segment, &changed).unwrap();
        let found = faults(dir.path());
        assert_eq!(found.len(), 1, "{found:?}");
        let expected = format!("byte {at} was");
        assert!(found[0].contains(&expected), "{found:?}");
        // With another byte changed it cannot be, and nothing else is blamed.
        changed[at + 2] ^= 1;
        fs::write(&segment, &changed).unwrap();
        let found = faults(dir.path());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].ends_with("it has no hash"), "{found:?}");
    }
}

/// Searching takes its time, so only the first damaged lines are searched; the
/// others are found all the same.
#[test]
fn the_changed_byte_is_named_in_the_first_lines_only() {
    let (dir, segment, bytes) = log_of(20);
    let mut changed = Vec::new();
    for line in parts(&bytes) {
        let mut line = line.to_vec();
        // Near the beginning, where it is found soon.
        line[100] ^= 1;
        changed.extend(line);
    }
    fs::write(&segment, &changed).unwrap();
    let found = faults(dir.path());
    assert_eq!(found.len(), parts(&bytes).len());
    let named = |fault: &&String| fault.contains(" was 0x");
    assert_eq!(found.iter().take_while(named).count(), 16);
    assert!(
        found[16..]
            .iter()
            .all(|fault| fault.contains("the line was changed")),
        "{found:?}"
    );
}

#[test]
fn several_changed_bytes_are_found() {
    let (dir, segment, bytes) = log();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut changed = bytes.clone();
    changed[second + 200] ^= 1;
    changed[second + 300] ^= 1;
    fs::write(&segment, &changed).unwrap();
    let found = faults(dir.path());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains(&format!(
            ":2 (byte {second}): the line was changed: its hash is"
        )),
        "{found:?}"
    );
}

/// The lines of a log, to be put together otherwise.
fn parts(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

#[test]
fn a_line_that_is_gone_is_missed() {
    let (dir, segment, bytes) = log();
    let parts = parts(&bytes);
    for gone in 0..parts.len() {
        let mut left = parts.clone();
        left.remove(gone);
        fs::write(&segment, left.concat()).unwrap();
        let found = faults(dir.path());
        let number = gone + 1;
        if number == parts.len() {
            // Nothing in the log can say that its last line is gone.
            assert_eq!(found, [""; 0]);
        } else if number == 1 {
            assert!(
                found[0].contains("the segment's name states line 1, and it begins with line 2"),
                "{found:?}"
            );
        } else {
            let missed = format!(
                "lines {number} to {number} are missing before line {}",
                number + 1
            );
            assert!(found[0].ends_with(&missed), "{found:?}");
        }
    }
}

#[test]
fn lines_in_another_order_are_told() {
    let (dir, segment, bytes) = log();
    let mut swapped = parts(&bytes);
    swapped.swap(3, 4);
    fs::write(&segment, swapped.concat()).unwrap();
    let found = faults(dir.path());
    assert!(
        found[0].ends_with("lines 4 to 4 are missing before line 5"),
        "{found:?}"
    );
    assert!(
        found[1].ends_with("line 4 stands where line 6 belongs"),
        "{found:?}"
    );

    let mut twice = parts(&bytes);
    twice.insert(3, twice[3]);
    fs::write(&segment, twice.concat()).unwrap();
    let found = faults(dir.path());
    assert!(
        found[0].ends_with("line 4 stands where line 5 belongs"),
        "{found:?}"
    );
}

/// A line written anew, with a hash of its own, does not fit the next one.
#[test]
fn a_forged_line_does_not_fit() {
    let (dir, segment, bytes) = log();
    let parts = parts(&bytes);
    let forged = String::from_utf8(parts[2].to_vec()).unwrap();
    let forged = forged.trim_end().replace("production/1", "production/9");
    let body = forged.split_once(r#"","previous""#).unwrap().1;
    let body = format!(r#""previous"{body}"#);
    let forged = format!("{{\"hash\":\"{}\",{body}\n", Digest::of(body.as_bytes()));
    let mut changed = parts.clone();
    changed[2] = forged.as_bytes();
    fs::write(&segment, changed.concat()).unwrap();
    let found = faults(dir.path());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("line 4 follows a line of hash"),
        "{found:?}"
    );
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options {
        segment_bytes: 1,
        ..options(dir.path())
    };
    write(small, 4);
    let all = segments(dir.path());
    assert!(all.len() >= 4, "{all:?}");
    assert!(verify(dir.path()).holds());
    let contents = fs::read(&all[1]).unwrap();
    fs::remove_file(&all[1]).unwrap();
    let found = faults(dir.path());
    assert!(found[0].contains("are missing before line"), "{found:?}");
    fs::write(&all[1], contents).unwrap();
    fs::remove_file(&all[0]).unwrap();
    let found = faults(dir.path());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("the log begins with line"), "{found:?}");
}

#[test]
fn a_cut_off_end_takes_a_checkpoint_kept_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir.path().join("log"));
    let kept_in = dir.path().join("kept");
    options.checkpoints.file = Some(kept_in.clone());
    let directory = options.directory.clone();
    write(options, 3);
    let kept = || -> Vec<Checkpoint> {
        let text = fs::read_to_string(&kept_in).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let against = |kept| Verification::of(&directory, kept, None, |_, _| {}).unwrap();
    let good = against(kept());
    assert!(good.holds(), "{good:?}");
    assert_eq!(good.kept, kept().len() as u64);

    let segment = segments(&directory).remove(0);
    let bytes = fs::read(&segment).unwrap();
    let parts = parts(&bytes);
    fs::write(&segment, parts[..4].concat()).unwrap();
    assert!(verify(&directory).holds());
    let cut = against(kept());
    let line = kept().last().unwrap().sequence;
    assert_eq!(
        cut.faults[0].to_string(),
        format!(
            "the log ends with line 4, and there is a kept checkpoint of line {line}: its end was cut off"
        )
    );

    fs::write(&segment, &bytes).unwrap();
    let mut other = kept();
    other[0].head = Digest::NONE;
    assert!(matches!(
        against(other).faults[0],
        VerifyFault::Rewritten { .. }
    ));
}
