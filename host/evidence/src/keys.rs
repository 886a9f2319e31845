//! The public keys of a cluster, parsed once and each bound to what it may
//! verify.
//!
//! Trusts the operator's file to hold the right keys, and nothing about the
//! token beyond what [`KeySet::verify`] establishes. A key is never offered an
//! algorithm that is not its own: an RSA key cannot serve as an HMAC secret,
//! nor a P-384 key verify ES256.

mod bound;
mod error;
mod jwks;
mod material;
mod pem_file;

use std::fmt;
use std::sync::Arc;

pub use error::{IgnoredKey, IgnoredKeys, KeyError, KeyPlace, KeyProblem};

use self::bound::BoundKey;
use self::material::KeyMaterial;
use crate::algorithm::SignatureAlgorithm;
use crate::error::TokenError;
use crate::peer_text::PeerText;
use crate::subject::KeyKind;
use crate::token::{CompactToken, Header, SignedClaims};

/// Longest key file that is read, in bytes.
pub const MAX_KEY_FILE_BYTES: usize = 1024 * 1024;

/// Most keys of one set that are kept. A token without `kid` is tried with each
/// of them, so this bounds what one forged token costs: no more signatures than
/// a chain of certificates may.
pub const MAX_KEYS: usize = 100;

/// The public keys that a cluster may have signed a token with: at least one,
/// at most [`MAX_KEYS`]. Cheap to clone.
#[derive(Clone)]
pub struct KeySet {
    keys: Arc<[VerifyingKey]>,
    ignored: Arc<[IgnoredKey]>,
}

impl KeySet {
    /// Reads the keys of a PEM file: blocks `CERTIFICATE` (the certified key;
    /// neither path nor validity is looked at), `RSA PUBLIC KEY` (PKCS #1) and
    /// `PUBLIC KEY` (SubjectPublicKeyInfo). Blocks with other labels are
    /// skipped. Keys from PEM have no `kid` and are tried in file order.
    ///
    /// # Errors
    /// When the file is not PEM, holds a private key, a key that is not RSA of
    /// 2048 to 8192 bits, P-256, P-384 or P-521, no key or more than
    /// [`MAX_KEYS`].
    pub fn from_pem(file: &[u8]) -> Result<Self, KeyError> {
        bounded(file)?;
        Self::new(pem_file::parse(file)?)
    }

    /// Reads a JWK Set (RFC 7517 §5).
    ///
    /// Entries that cannot be used are [left out](Self::ignored), as §5 asks,
    /// and take no other key with them: an unknown `kty`, a `crv` that is not
    /// P-256, P-384 or P-521, a `use` other than `sig`, `key_ops` without
    /// `verify`, an unknown `alg` or one that the key cannot serve; what is
    /// malformed or out of bounds; what comes after [`MAX_KEYS`]. A member that
    /// is `null` is absent. A key with `alg` serves only that algorithm.
    /// Several keys may share a `kid` (§4.5 allows it for keys of different
    /// kinds); each of them is tried, in order. Certificates in or behind a key
    /// (`x5c`, `x5u`) are not looked at.
    ///
    /// # Errors
    /// When the file is not such a set or repeats a member outside of an entry;
    /// when anything in it is a symmetric key or has a private part with a
    /// value, which says that the file should be treated as a leaked secret;
    /// when no key remains.
    pub fn from_jwks(file: &[u8]) -> Result<Self, KeyError> {
        bounded(file)?;
        let (keys, ignored) = jwks::parse(file)?;
        Ok(Self {
            ignored: ignored.into(),
            ..Self::new(keys)?
        })
    }

    fn new(keys: Vec<VerifyingKey>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::NoKeys);
        }
        if keys.len() > MAX_KEYS {
            return Err(KeyError::TooManyKeys { count: keys.len() });
        }
        Ok(Self {
            keys: keys.into(),
            ignored: Arc::new([]),
        })
    }

    /// The entries of a JWK Set that were left out, and why.
    #[must_use]
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.ignored
    }

    /// How many keys there are; never zero.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a set without keys cannot be made"
    )]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// What each key is, in the order in which keys are tried.
    pub fn descriptions(&self) -> impl Iterator<Item = KeyDescription<'_>> {
        self.keys.iter().map(|key| KeyDescription { key })
    }

    /// Whether a key is called `kid`.
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.is_called(kid))
    }

    /// Verifies the token's signature (RFC 7515 §5.2) and hands over its
    /// claims, which are decoded only from there.
    ///
    /// Where the token has a `kid` and any key has the same, only such keys
    /// are considered; otherwise all are, in order.
    pub(crate) fn verify<'t>(
        &self,
        token: CompactToken<'t>,
        header: &Header,
    ) -> Result<SignedClaims<'t>, TokenError> {
        let signature = token.signature()?;
        let input = token.signing_input();
        let kid = header.kid.as_deref().filter(|kid| self.has(kid));

        let mut considered = 0;
        let mut tried = 0;
        for key in self
            .keys
            .iter()
            .filter(|key| kid.is_none_or(|kid| key.is_called(kid)))
        {
            considered += 1;
            let Some(key) = key.bound_to(header.algorithm) else {
                continue;
            };
            tried += 1;
            if key.verifies(&input, &signature) {
                return Ok(token.into_signed_claims(input));
            }
        }
        Err(if tried == 0 {
            TokenError::AlgorithmMismatch {
                algorithm: header.algorithm,
                keys: considered,
            }
        } else {
            TokenError::SignatureInvalid { keys: tried }
        })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.descriptions()).finish()
    }
}

/// Refuses what is too long before any of it is read.
fn bounded(file: &[u8]) -> Result<(), KeyError> {
    if file.len() > MAX_KEY_FILE_BYTES {
        return Err(KeyError::TooLarge { bytes: file.len() });
    }
    Ok(())
}

/// A public key with its name, and a parsed form for each algorithm it serves.
struct VerifyingKey {
    kind: KeyKind,
    bits: u32,
    kid: Option<String>,
    bound: Vec<BoundKey>,
}

impl VerifyingKey {
    /// Parses a key for every algorithm of its kind, or for `only` one.
    fn new(
        material: &KeyMaterial<'_>,
        kid: Option<String>,
        only: Option<SignatureAlgorithm>,
    ) -> Result<Self, KeyProblem> {
        let kind = material.kind();
        let bits = material.bits()?;
        let bound = SignatureAlgorithm::served_by(kind)
            .iter()
            .filter(|algorithm| only.is_none_or(|only| only == **algorithm))
            .map(|algorithm| BoundKey::parse(*algorithm, material.bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        match only {
            Some(algorithm) if bound.is_empty() => Err(KeyProblem::AlgorithmUnfit {
                algorithm,
                kind: describe(kind),
            }),
            _ => Ok(Self {
                kind,
                bits,
                kid,
                bound,
            }),
        }
    }

    fn is_called(&self, kid: &str) -> bool {
        self.kid.as_deref() == Some(kid)
    }

    fn bound_to(&self, algorithm: SignatureAlgorithm) -> Option<&BoundKey> {
        self.bound.iter().find(|key| key.algorithm() == algorithm)
    }
}

/// The usual name of a kind of key.
const fn describe(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Rsa => "RSA",
        KeyKind::P256 => "P-256",
        KeyKind::P384 => "P-384",
        KeyKind::P521 => "P-521",
    }
}

/// What a key is, for people: `RSA 2048 bits, kid \`abc\``.
#[derive(Clone, Copy)]
pub struct KeyDescription<'k> {
    key: &'k VerifyingKey,
}

impl<'k> KeyDescription<'k> {
    /// Its kind, which for ECDSA includes the curve.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.key.kind
    }

    /// Length of the RSA modulus, or size of the curve's field, in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.key.bits
    }

    /// The key's `kid` (RFC 7517 §4.5); never present in PEM.
    #[must_use]
    pub fn kid(&self) -> Option<&'k str> {
        self.key.kid.as_deref()
    }

    /// The algorithms it serves.
    pub fn algorithms(&self) -> impl Iterator<Item = SignatureAlgorithm> + use<'k> {
        self.key.bound.iter().map(BoundKey::algorithm)
    }
}

impl fmt::Display for KeyDescription<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(describe(self.kind()))?;
        if self.kind() == KeyKind::Rsa {
            write!(f, " {} bits", self.bits())?;
        }
        match self.kid() {
            Some(kid) => write!(f, ", kid `{}`", PeerText::new(kid)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for KeyDescription<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
