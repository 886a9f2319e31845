//! A token in its compact form: three parts and nothing read yet.
//!
//! Trusts nothing. Length and dots are counted before anything is decoded or
//! allocated. The three parts are read in three steps, each of which needs the
//! one before: the header, then the signature over header and claims, then the
//! claims. [`SignedClaims`] is the proof of the second step, so that no line
//! of this crate can read a claim that no key has signed.

mod claims;
mod header;
mod names;

pub(crate) use self::claims::{Claims, TimeRules};
pub(crate) use self::header::Header;
pub(crate) use self::names::Names;

use aws_lc_rs::digest::{Context, Digest, SHA256};

use crate::base64url;
use crate::digest::hex;
use crate::error::{TokenError, TokenPart};

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A token split into its parts (RFC 7515 §7.1).
#[derive(Clone, Copy)]
pub(crate) struct CompactToken<'t> {
    /// Header, dot, claims: what the signature is over.
    signing_input: &'t str,
    header: &'t str,
    claims: &'t str,
    signature: &'t str,
}

impl<'t> CompactToken<'t> {
    /// Splits `text`, which has no white space round it any more.
    pub(crate) fn split(text: &'t str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge { bytes: text.len() });
        }
        // The outermost dots, and none between them.
        let (signing_input, signature) = text.rsplit_once('.').ok_or_else(|| misshapen(text))?;
        let (header, claims) = signing_input
            .split_once('.')
            .ok_or_else(|| misshapen(text))?;
        if claims.contains('.') {
            return Err(misshapen(text));
        }
        Ok(Self {
            signing_input,
            header,
            claims,
            signature,
        })
    }

    /// What the signature is over (RFC 7515 §5.2, step 8).
    pub(crate) fn signing_input(&self) -> SigningInput<'t> {
        let text = self.signing_input.as_bytes();
        let mut sha256 = Context::new(&SHA256);
        sha256.update(text);
        SigningInput { text, sha256 }
    }

    /// The decoded signature.
    pub(crate) fn signature(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.signature, TokenPart::Signature)
    }

    /// That it has the shape of a signed token (RFC 7515 §7.1), which it needs
    /// before an API server is asked about it. The contents of claims and
    /// signature are not looked at.
    pub(crate) fn is_reviewable(&self) -> Result<(), TokenError> {
        Header::is_of_a_signed_token(self)?;
        decode(self.claims, TokenPart::Claims)?;
        decode(self.signature, TokenPart::Signature)?;
        Ok(())
    }

    /// Hands over the claims on the word of the cluster's API server, which
    /// has just called the token good.
    pub(crate) fn into_reviewed_claims(self) -> SignedClaims<'t> {
        let input = self.signing_input();
        self.into_signed_claims(input)
    }

    /// Hands over the claims. Called by the one function that has just
    /// verified the signature over `input`, [`KeySet::verify`](crate::KeySet).
    pub(crate) fn into_signed_claims(self, input: SigningInput<'t>) -> SignedClaims<'t> {
        let mut sha256 = input.sha256;
        sha256.update(b".");
        sha256.update(self.signature.as_bytes());
        SignedClaims {
            claims: self.claims,
            token_sha256: hex(sha256.finish().as_ref()),
        }
    }
}

/// Header, dot, claims: what a signature is over.
///
/// Hashed once. The state serves every signature algorithm that begins with
/// SHA-256, whichever key is tried, and goes on to become the hash of the whole
/// token, of which this text is the beginning.
pub(crate) struct SigningInput<'t> {
    text: &'t [u8],
    sha256: Context,
}

impl SigningInput<'_> {
    pub(crate) fn text(&self) -> &[u8] {
        self.text
    }

    pub(crate) fn sha256(&self) -> Digest {
        self.sha256.clone().finish()
    }
}

/// Claims that a key of the cluster, or its API server, vouched for; still
/// encoded.
pub(crate) struct SignedClaims<'t> {
    claims: &'t str,
    token_sha256: String,
}

impl SignedClaims<'_> {
    /// The JSON text of the claims.
    pub(crate) fn decode(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.claims, TokenPart::Claims)
    }

    /// SHA-256 of the whole token, in lower-case hexadecimal.
    pub(crate) fn into_token_sha256(self) -> String {
        self.token_sha256
    }
}

/// What is wrong with a text that has not three parts.
fn misshapen(text: &str) -> TokenError {
    match text.matches('.').count() {
        // RFC 7516 §9: five parts are a JWE.
        4 => TokenError::Encrypted,
        dots => TokenError::Shape { dots },
    }
}

fn decode(text: &str, part: TokenPart) -> Result<Vec<u8>, TokenError> {
    base64url::decode(text).map_err(|source| TokenError::Encoding { part, source })
}

#[cfg(test)]
mod tests {
    use super::{CompactToken, MAX_TOKEN_BYTES};

    fn split(text: &str) -> Result<(&str, &str, &str, &str), String> {
        CompactToken::split(text)
            .map(|token| {
                (
                    token.signing_input,
                    token.header,
                    token.claims,
                    token.signature,
                )
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_has_three_parts() {
        assert_eq!(split("a.b.c"), Ok(("a.b", "a", "b", "c")));
        assert_eq!(split(".."), Ok((".", "", "", "")));
        for dots in [0, 1, 3, 5, 10_000] {
            assert_eq!(
                split(&".".repeat(dots)),
                Err(format!(
                    "token has {} dots where a signed token has 2",
                    nameplate_words::grouped(dots)
                ))
            );
        }
        assert_eq!(
            split("a.b.c.d.e"),
            Err("token is encrypted (JWE), and only signed tokens (JWS) are accepted".to_owned())
        );
    }

    #[test]
    fn a_token_has_16384_bytes_at_most() {
        let longest = format!("a.b.{}", "c".repeat(MAX_TOKEN_BYTES - 4));
        assert!(split(&longest).is_ok());
        assert_eq!(
            split(&format!("{longest}c")),
            Err("token is 16,385 bytes long, more than 16,384 bytes".to_owned())
        );
        assert_eq!(
            split(&".".repeat(100_000)),
            Err("token is 100,000 bytes long, more than 16,384 bytes".to_owned())
        );
    }
}
