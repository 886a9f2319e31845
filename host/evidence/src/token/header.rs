//! The header of a token: what it asks to be verified with.
//!
//! Trusts nothing, and obeys little. Of all parameters only `alg` and `kid`
//! have an effect, and both only choose among the keys that the operator
//! configured. Keys and addresses of keys that a header carries (`jwk`, `jku`,
//! `x5c`, `x5u`, RFC 7515 §4.1.2 to §4.1.6) are never looked at.

use super::{CompactToken, decode};
use crate::algorithm::SignatureAlgorithm;
use crate::error::{TokenError, TokenPart};
use crate::json::{Json, Object};
use crate::peer_text::PeerText;

/// What a header may choose.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// `alg` (RFC 7515 §4.1.1), one of the accepted algorithms.
    pub(crate) algorithm: SignatureAlgorithm,
    /// `kid` (RFC 7515 §4.1.4).
    pub(crate) kid: Option<String>,
}

impl Header {
    /// Reads the header of `token` (RFC 7515 §5.2, steps 2 to 5).
    pub(crate) fn parse(token: &CompactToken<'_>) -> Result<Self, TokenError> {
        let bytes = decode(token.header, TokenPart::Header)?;
        Self::from_json(&bytes)
    }

    /// Reads the header of a `token` that an API server is asked about, as far
    /// as to see that it is one of a signed token. By which algorithm, and
    /// with which extensions, is the server's matter: one that has a webhook
    /// authenticator knows more of them than this host.
    pub(crate) fn is_of_a_signed_token(token: &CompactToken<'_>) -> Result<(), TokenError> {
        let bytes = decode(token.header, TokenPart::Header)?;
        let header = object(&bytes)?;
        let algorithm = string(&header, "alg")?.ok_or(TokenError::AlgorithmMissing)?;
        // RFC 7518 §3.6; in other letters nobody but an attacker writes it.
        if algorithm.is_empty() || algorithm.eq_ignore_ascii_case("none") {
            return Err(refused(algorithm));
        }
        string(&header, "kid")?;
        Ok(())
    }

    fn from_json(bytes: &[u8]) -> Result<Self, TokenError> {
        let header = object(bytes)?;
        // RFC 7515 §4.1.11: a recipient that does not understand an extension
        // refuses. None is understood here, and an empty list is malformed.
        if header.get("crit").is_some() {
            return Err(TokenError::CriticalHeader);
        }
        let algorithm = string(&header, "alg")?.ok_or(TokenError::AlgorithmMissing)?;
        let algorithm =
            SignatureAlgorithm::from_name(algorithm).ok_or_else(|| refused(algorithm))?;
        let kid = string(&header, "kid")?.map(str::to_owned);
        Ok(Self { algorithm, kid })
    }
}

/// The header of a token that is not encrypted.
fn object(bytes: &[u8]) -> Result<Object<'_>, TokenError> {
    let header = Object::parse(bytes).map_err(|source| TokenError::HeaderMalformed { source })?;
    // RFC 7516 §9: only a JWE has `enc`; `zip` (§4.1.3) asks to
    // decompress, which nobody does for a peer not yet known.
    if header.get("enc").is_some() || header.get("zip").is_some() {
        return Err(TokenError::Encrypted);
    }
    Ok(header)
}

fn refused(algorithm: &str) -> TokenError {
    TokenError::AlgorithmRefused {
        algorithm: PeerText::new(algorithm),
    }
}

fn string<'o>(
    header: &'o Object<'_>,
    parameter: &'static str,
) -> Result<Option<&'o str>, TokenError> {
    header
        .get(parameter)
        .map(|value| Json::as_str(value).ok_or(TokenError::HeaderParameterMalformed { parameter }))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::Header;
    use crate::algorithm::SignatureAlgorithm;

    fn refused(header: &str) -> (&'static str, String) {
        let error = Header::from_json(header.as_bytes()).unwrap_err();
        (error.reason(), error.to_string())
    }

    #[test]
    fn a_header_chooses_an_algorithm_and_a_key() {
        let header = Header::from_json(br#"{"alg":"RS256","kid":"a"}"#).unwrap();
        let kid = Some("a".to_owned());
        assert_eq!(
            header,
            Header {
                algorithm: SignatureAlgorithm::Rs256,
                kid
            }
        );
    }

    #[test]
    fn what_carries_or_locates_a_key_has_no_effect() {
        let header = Header::from_json(
            br#"{"alg":"ES512","jku":"x","jwk":{"kty":"oct"},"x5u":1,"x5c":null,"b64":false,"typ":[]}"#,
        )
        .unwrap();
        assert_eq!(
            header,
            Header {
                algorithm: SignatureAlgorithm::Es512,
                kid: None
            }
        );
    }

    #[test]
    fn refusals_come_in_their_order() {
        let encrypted = "token is encrypted (JWE), and only signed tokens (JWS) are accepted";
        let critical = "token header demands extensions (`crit`), and none is supported";
        let cases = [
            ("[]", "header_malformed", "token header is malformed"),
            (
                r#"{"alg":"RS256","alg":"RS256"}"#,
                "header_malformed",
                "token header is malformed",
            ),
            (
                r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#,
                "token_encrypted",
                encrypted,
            ),
            (
                r#"{"alg":"RS256","zip":"DEF"}"#,
                "token_encrypted",
                encrypted,
            ),
            (
                r#"{"alg":"RS256","crit":["exp"]}"#,
                "header_critical",
                critical,
            ),
            (r#"{"alg":"RS256","crit":[]}"#, "header_critical", critical),
            (r#"{"alg":"none","crit":null}"#, "header_critical", critical),
            (
                "{}",
                "algorithm_missing",
                "token header names no algorithm (`alg`)",
            ),
            (
                r#"{"ALG":"RS256"}"#,
                "algorithm_missing",
                "token header names no algorithm (`alg`)",
            ),
            (
                r#"{"alg":null}"#,
                "header_parameter_malformed",
                "`alg` of the token header is not a string",
            ),
            (
                r#"{"alg":"none"}"#,
                "algorithm_refused",
                "algorithm `none` is not accepted",
            ),
            (
                r#"{"alg":"HS256"}"#,
                "algorithm_refused",
                "algorithm `HS256` is not accepted",
            ),
            (
                r#"{"alg":"rs256"}"#,
                "algorithm_refused",
                "algorithm `rs256` is not accepted",
            ),
            (
                r#"{"alg":"\n"}"#,
                "algorithm_refused",
                r"algorithm `\n` is not accepted",
            ),
            (
                r#"{"alg":"RS256","kid":["a"]}"#,
                "header_parameter_malformed",
                "`kid` of the token header is not a string",
            ),
        ];
        for (header, reason, text) in cases {
            assert_eq!(refused(header), (reason, text.to_owned()), "{header}");
        }
    }
}
