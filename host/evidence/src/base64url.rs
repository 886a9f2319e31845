//! base64url without padding (RFC 7515 §2), strictly.
//!
//! Trusts nothing. One byte sequence has one encoding: padding, white space,
//! the standard alphabet and non-zero trailing bits are all refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Why text is not base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Base64Error {
    /// A byte that is not in the alphabet `A`-`Z`, `a`-`z`, `0`-`9`, `-`, `_`.
    #[error("byte {offset} is not in the base64url alphabet")]
    Alphabet {
        /// Where, counted from 0.
        offset: usize,
    },
    /// Windows' mark at the beginning of a text.
    #[error("it begins with a byte order mark (U+FEFF)")]
    ByteOrderMark,
    /// It contains `=`.
    #[error("it is padded")]
    Padding,
    /// No byte sequence has an encoding of this length.
    #[error("its length is impossible")]
    Length,
    /// The unused bits of the last character are not zero.
    #[error("its last character has bits set that encode nothing")]
    TrailingBits,
}

/// Decodes `text`.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    if text.starts_with('\u{feff}') {
        return Err(Base64Error::ByteOrderMark);
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|error| match error {
        base64::DecodeError::InvalidByte(_, b'=') | base64::DecodeError::InvalidPadding => {
            Base64Error::Padding
        }
        base64::DecodeError::InvalidByte(offset, _) => Base64Error::Alphabet { offset },
        base64::DecodeError::InvalidLastSymbol(..) => Base64Error::TrailingBits,
        base64::DecodeError::InvalidLength(_) => Base64Error::Length,
    })
}

#[cfg(test)]
mod tests {
    use super::{Base64Error, decode};

    #[test]
    fn one_encoding_for_each_byte_sequence() {
        assert_eq!(decode("").unwrap(), b"");
        assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(decode("-_9"), Err(Base64Error::TrailingBits));
        assert_eq!(decode("+/8"), Err(Base64Error::Alphabet { offset: 0 }));
        assert_eq!(decode("-_8="), Err(Base64Error::Padding));
        assert_eq!(decode("AAAA="), Err(Base64Error::Padding));
        assert_eq!(decode("-_\n8"), Err(Base64Error::Alphabet { offset: 2 }));
        assert_eq!(decode("AAAAA"), Err(Base64Error::Length));
        assert_eq!(decode("\u{feff}-_8"), Err(Base64Error::ByteOrderMark));
        assert_eq!(decode("é"), Err(Base64Error::Alphabet { offset: 0 }));
    }
}
