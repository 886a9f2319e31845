//! Digests, as the lower-case hexadecimal that facts carry.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// SHA-256 of `bytes` in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// SHA-1 of `bytes` in lower-case hexadecimal: for identities that SPIRE
/// already gave out, not for security.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
}

/// `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        hex.push(digit(byte >> 4));
        hex.push(digit(byte & 0x0f));
    }
    hex
}

/// The digit of a value below 16.
fn digit(value: u8) -> char {
    char::from(if value < 10 {
        b'0' + value
    } else {
        b'a' - 10 + value
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn of_abc() {
        assert_eq!(
            super::sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
