//! PEM blocks of an operator's file (RFC 7468).
//!
//! Trusts the operator to mean well, not to be exact. Text between blocks is
//! explanatory and skipped (§5.2), but whatever looks like the boundary of a
//! block is one or is an error, so a damaged key never counts as a comment.
//! One pass over the lines, each looked at once. `rustls-pki-types` would do
//! this, were it not to skip the label `RSA PUBLIC KEY` as unknown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Why a file is not a sequence of PEM blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// A line that begins like a boundary but is none, or stands where it
    /// cannot.
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
    let mut finished = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let line = line.trim_ascii();
        open = match (open, boundary(line, number)?) {
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
fn boundary(line: &[u8], number: usize) -> Result<Option<Boundary<'_>>, PemError> {
    // Five dashes anywhere: a boundary with something before it is one that an
    // editor or a shell damaged.
    if !line.windows(5).any(|window| window == b"-----") {
        return Ok(None);
    }
    let broken = PemError::Boundary { line: number };
    let Some(inner) = line
        .strip_prefix(b"-----")
        .and_then(|rest| rest.strip_suffix(b"-----"))
    else {
        return Err(broken);
    };
    let Some(inner) = std::str::from_utf8(inner)
        .ok()
        .filter(|text| !text.contains("--"))
    else {
        return Err(broken);
    };
    match inner.split_once(' ') {
        Some(("BEGIN", label)) => Ok(Some(Boundary::Begin(label))),
        Some(("END", label)) => Ok(Some(Boundary::End(label))),
        _ => Err(broken),
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
            error(&GOOD.replace("-----END A B-----", "")),
            PemError::Unfinished { line: 1 }
        );
        assert_eq!(
            error(&format!("{GOOD}-----BEGIN A")),
            PemError::Boundary { line: 5 }
        );
        assert_eq!(error(&format!("x{GOOD}")), PemError::Boundary { line: 1 });
        assert_eq!(error("-----END A-----\n"), PemError::Boundary { line: 1 });
        assert_eq!(
            error(&format!("-----BEGIN X-----\n{GOOD}")),
            PemError::Boundary { line: 2 }
        );
        assert_eq!(
            error(&GOOD.replace('\n', "")),
            PemError::Boundary { line: 1 }
        );
        assert_eq!(error("-------------"), PemError::Boundary { line: 1 });
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
