//! Signature algorithms of RFC 7518 §3.1 that a Kubernetes API server can sign
//! with.
//!
//! The one list of what is accepted. `none`, the symmetric `HS*` and EdDSA are
//! not on it, so no header can ask for them.

use std::fmt;

use aws_lc_rs::signature as lc;

use crate::subject::KeyKind;

/// An algorithm by its `alg` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    Rs512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes
    Ps512,
    /// ECDSA over P-256 with SHA-256
    Es256,
    /// ECDSA over P-384 with SHA-384
    Es384,
    /// ECDSA over P-521 with SHA-512
    Es512,
}

impl SignatureAlgorithm {
    /// The algorithm that a header calls exactly `name`; `None` for all that
    /// is not accepted.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            _ => return None,
        })
    }

    /// The `alg` name (RFC 7518 §3.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    /// Every algorithm that a key of `kind` can serve. RFC 7518 §3.4 ties each
    /// curve to one algorithm; an RSA key serves all six of its kind.
    pub(crate) const fn served_by(kind: KeyKind) -> &'static [Self] {
        match kind {
            KeyKind::Rsa => &[
                Self::Rs256,
                Self::Rs384,
                Self::Rs512,
                Self::Ps256,
                Self::Ps384,
                Self::Ps512,
            ],
            KeyKind::P256 => &[Self::Es256],
            KeyKind::P384 => &[Self::Es384],
            KeyKind::P521 => &[Self::Es512],
        }
    }

    /// The primitive. ECDSA signatures of JWS are `r` and `s` at full width
    /// (RFC 7518 §3.4), hence the fixed forms.
    pub(crate) fn primitive(self) -> &'static dyn lc::VerificationAlgorithm {
        match self {
            Self::Rs256 => &lc::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &lc::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &lc::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &lc::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &lc::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &lc::RSA_PSS_2048_8192_SHA512,
            Self::Es256 => &lc::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &lc::ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &lc::ECDSA_P521_SHA512_FIXED,
        }
    }

    /// Whether the signature is over the SHA-256 of the text.
    pub(crate) const fn hashes_with_sha256(self) -> bool {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => true,
            Self::Rs384 | Self::Rs512 | Self::Ps384 | Self::Ps512 | Self::Es384 | Self::Es512 => {
                false
            }
        }
    }

    /// The name `jsonwebtoken` has for it; it has none for ES512.
    pub(crate) const fn jsonwebtoken(self) -> Option<jsonwebtoken::Algorithm> {
        Some(match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::Es512 => return None,
        })
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::SignatureAlgorithm;
    use crate::subject::KeyKind;

    #[test]
    fn every_algorithm_is_read_by_its_own_name_and_served_by_one_kind_of_key() {
        let kinds = [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::P521];
        let served: Vec<_> = kinds
            .iter()
            .flat_map(|kind| SignatureAlgorithm::served_by(*kind))
            .collect();
        assert_eq!(served.len(), 9);
        for algorithm in served {
            assert_eq!(
                SignatureAlgorithm::from_name(algorithm.as_str()),
                Some(*algorithm)
            );
            if let Some(theirs) = algorithm.jsonwebtoken() {
                assert_eq!(format!("{theirs:?}"), algorithm.as_str());
            }
        }
    }

    #[test]
    fn nothing_else_is_an_algorithm() {
        for name in [
            "none", "NONE", "", "rs256", "RS256 ", "HS256", "HS512", "EdDSA", "ES256K", "RS1",
        ] {
            assert_eq!(SignatureAlgorithm::from_name(name), None, "{name}");
        }
    }
}
