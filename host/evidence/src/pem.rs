//! PEM blocks of an operator's file (RFC 7468).
//!
//! Trusts the operator to mean well, not to be exact. Only a line that is a
//! boundary counts; other text between blocks is explanatory and skipped
//! (§2, §5.2), dashes or not, as Go and OpenSSL do. A block that a boundary
//! opens has to end, and one that a damaged boundary opens is found by its end.
//! One pass over the lines, each looked at once. `rustls-pki-types` would do
//! this, were it not to skip the label `RSA PUBLIC KEY` as unknown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::BYTE_ORDER_MARK;

/// Why a file is not a sequence of PEM blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// A line that begins and ends like a boundary but is none (as two that
    /// were joined), one inside of a block, or one that stands where it cannot.
    #[error("line {line} is a broken or misplaced PEM boundary")]
    Boundary {
        /// Its number, counted from 1.
        line: usize,
    },
    /// A block without its `END` line.
    #[error("the PEM block that begins in line {line} does not end")]
    Unfinished {
        /// Number of the `BEGIN` line, counted from 1.
        line: usize,
    },
    /// Windows' 16-bit text, in which nobody finds a boundary.
    #[error("the file is UTF-16 text; write it as UTF-8")]
    Utf16,
    /// The content of a block is not base64.
    #[error("the PEM block that begins in line {line} is not base64")]
    Encoding {
        /// Number of the `BEGIN` line, counted from 1.
        line: usize,
    },
}

/// One block: label and undecoded content.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    /// The text after `BEGIN`.
    pub(crate) label: &'a str,
    /// Number of the `BEGIN` line, counted from 1.
    pub(crate) line: usize,
    content: Vec<u8>,
}

impl Block<'_> {
    /// The DER content. Blocks that nobody asks for are never decoded.
    pub(crate) fn der(&self) -> Result<Vec<u8>, PemError> {
        STANDARD
            .decode(&self.content)
            .ok()
            .ok_or(PemError::Encoding { line: self.line })
    }

    /// Whether the block holds a private key, of whatever kind.
    pub(crate) fn is_private_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }
}

/// Every block of `text`, in order.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<Block<'_>>, PemError> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Err(PemError::Utf16);
    }
    // Explanatory text, too.
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut finished = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let line = line.trim_ascii();
        let boundary = boundary(line, open.is_some(), number)?;
        open = match (open, boundary) {
            (None, None) => None,
            (None, Some(Boundary::Begin(label))) => Some(Block {
                label,
                line: number,
                content: Vec::new(),
            }),
            (Some(mut block), None) => {
                block.content.extend_from_slice(line);
                Some(block)
            }
            (Some(block), Some(Boundary::End(label))) if label == block.label => {
                finished.push(block);
                None
            }
            (Some(_), Some(_)) | (None, Some(Boundary::End(_))) => {
                return Err(PemError::Boundary { line: number });
            }
        };
    }
    match open {
        Some(block) => Err(PemError::Unfinished { line: block.line }),
        None => Ok(finished),
    }
}

enum Boundary<'a> {
    Begin(&'a str),
    End(&'a str),
}

/// Reads a line as a boundary (RFC 7468 §3, `preeb` and `posteb`).
fn boundary(line: &[u8], inside: bool, number: usize) -> Result<Option<Boundary<'_>>, PemError> {
    let inner = line
        .strip_prefix(b"-----")
        .and_then(|rest| rest.strip_suffix(b"-----"))
        .and_then(|inner| std::str::from_utf8(inner).ok());
    let (word, label) = inner
        .and_then(|inner| inner.split_once(' '))
        .unwrap_or_default();
    match (word, label.contains("--")) {
        ("BEGIN", false) => Ok(Some(Boundary::Begin(label))),
        ("END", false) => Ok(Some(Boundary::End(label))),
        // Two that an editor or a shell made one.
        ("BEGIN" | "END", true) => Err(PemError::Boundary { line: number }),
        // Inside a block is no room for text: this was meant to end it.
        _ if inside && line.windows(5).any(|window| window == b"-----") => {
            Err(PemError::Boundary { line: number })
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PemError, blocks};

    const GOOD: &str = "-----BEGIN A B-----\nAAEC\nAw==\n-----END A B-----\n";

    fn error(text: &str) -> PemError {
        blocks(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn blocks_come_in_order_with_text_between_them_skipped() {
        let text = format!(
            "Bag Attributes\n{GOOD}# comment\r\n{}",
            GOOD.replace('\n', "\r\n")
        );
        let blocks = blocks(text.as_bytes()).unwrap();
        let seen: Vec<_> = blocks
            .iter()
            .map(|b| (b.label, b.line, b.der().unwrap()))
            .collect();
        let der = vec![0, 1, 2, 3];
        assert_eq!(seen, [("A B", 2, der.clone()), ("A B", 7, der)]);
    }

    #[test]
    fn a_file_without_blocks_has_none() {
        assert!(blocks(b"").unwrap().is_empty());
        assert!(blocks(b"no key\n--- here ---\n").unwrap().is_empty());
    }

    #[test]
    fn text_between_blocks_is_skipped_whatever_is_in_it() {
        let commented: Vec<_> = GOOD.lines().map(|line| format!("#{line}\n")).collect();
        for text in [
            "----------------------------------------\n",
            "-----\n",
            "-------------\n",
            "# ---------- production ----------\n",
            "# the one with -----BEGIN A B----- in it\n",
            "-----BEGIN A\n",
            "-----BEGIN A B---- -\n",
            "-----begin A B-----\n",
            "-----BEGINNING-----\n",
            "-----BEGIN-----\n",
            "x-----END A B-----\n",
            "-----END A B-----x\n",
            &commented.concat(),
        ] {
            for file in [
                format!("{text}{GOOD}{GOOD}"),
                format!("{GOOD}{text}{GOOD}"),
                format!("{GOOD}{GOOD}{}", text.trim_end()),
            ] {
                assert_eq!(blocks(file.as_bytes()).unwrap().len(), 2, "{text}");
            }
        }
        let latin1 = [b"# Z\xfcrich -----\n", GOOD.as_bytes()].concat();
        assert_eq!(blocks(&latin1).unwrap().len(), 1);
    }

    #[test]
    fn a_boundary_may_stand_within_white_space_and_behind_a_byte_order_mark() {
        let indented: Vec<_> = GOOD
            .lines()
            .map(|line| format!("  \t{line} \r\n"))
            .collect();
        for file in [indented.concat(), format!("\u{feff}{GOOD}")] {
            let blocks = blocks(file.as_bytes()).unwrap();
            assert_eq!(blocks[0].der().unwrap(), [0, 1, 2, 3]);
        }
        let wide = GOOD.encode_utf16();
        let little: Vec<u8> = [0xfeff]
            .into_iter()
            .chain(wide.clone())
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(blocks(&little).unwrap_err(), PemError::Utf16);
    }

    #[test]
    fn a_damaged_block_is_no_comment() {
        assert_eq!(
            error(&GOOD.replace("END", "FIN")),
            PemError::Boundary { line: 4 }
        );
        assert_eq!(
            error(&GOOD.replace("END A B", "END A C")),
            PemError::Boundary { line: 4 }
        );
        assert_eq!(
            error(&GOOD.replace("END A B-----", "END A B----- x")),
            PemError::Boundary { line: 4 }
        );
        assert_eq!(
            error(&GOOD.replace("-----END A B-----", "")),
            PemError::Unfinished { line: 1 }
        );
        // A beginning that is none leaves an end without one.
        assert_eq!(error(&format!("x{GOOD}")), PemError::Boundary { line: 4 });
        assert_eq!(error("-----END A-----\n"), PemError::Boundary { line: 1 });
        assert_eq!(
            error(&format!("-----BEGIN X-----\n{GOOD}")),
            PemError::Boundary { line: 2 }
        );
        // Two in one line.
        assert_eq!(
            error(&GOOD.replace('\n', "")),
            PemError::Boundary { line: 1 }
        );
        assert_eq!(
            error(&format!("{}{GOOD}", GOOD.trim_end())),
            PemError::Boundary { line: 4 }
        );
        assert_eq!(
            error(&format!("-----BEGIN A----------BEGIN B-----\n{GOOD}")),
            PemError::Boundary { line: 1 }
        );
    }

    #[test]
    fn content_is_decoded_strictly_and_only_when_asked_for() {
        for bad in ["Aw", "A!==", "Proc-Type: 4,ENCRYPTED", "Ax=="] {
            let text = GOOD.replace("Aw==", bad);
            let blocks = blocks(text.as_bytes()).unwrap();
            assert_eq!(
                blocks[0].der(),
                Err(PemError::Encoding { line: 1 }),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(text in "(-----(BEGIN|END) A-----\n|AAAA|-----|\n){0,12}") {
            for block in blocks(text.as_bytes()).unwrap_or_default() {
                let _der = block.der();
            }
        }
    }
}
