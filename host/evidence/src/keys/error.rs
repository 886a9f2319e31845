//! Why a key file cannot be used. Read by the operator who wrote it.

use std::error::Error as _;
use std::fmt;

use nameplate_words::grouped;

use super::{MAX_KEY_FILE_BYTES, MAX_KEYS};
use crate::algorithm::SignatureAlgorithm;
use crate::base64url::Base64Error;
use crate::json::JsonError;
use crate::peer_text::PeerText;
use crate::pem::PemError;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file is longer than is read.
    #[error(
        "key file is {} bytes long, more than {} bytes",
        grouped(*.bytes),
        grouped(MAX_KEY_FILE_BYTES)
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The file is not PEM.
    #[error("key file is not PEM")]
    Pem {
        /// What is wrong with it.
        #[from]
        source: PemError,
    },
    /// The file is not a JSON object, or a member appears twice.
    #[error("key file is not a JWK Set")]
    Json {
        /// What is wrong with it.
        #[from]
        source: JsonError,
    },
    /// The file has no array called `keys` (RFC 7517 §5.1).
    #[error("key file is not a JWK Set: it has no array `keys`")]
    NotAKeySet,
    /// One key makes the whole file unusable: a key of a PEM file, each of
    /// which the operator wrote on purpose, or a secret, which is leaked
    /// wherever it stands.
    #[error("{place} cannot be used")]
    Key {
        /// Where the key stands.
        place: KeyPlace,
        /// What is wrong with it.
        source: KeyProblem,
    },
    /// The file holds no key.
    #[error("key file holds no key")]
    NoKeys,
    /// The file holds entries, and no key among them can be used.
    #[error("key file holds no key to verify with: {}", IgnoredKeys(.ignored))]
    NoUsableKey {
        /// Why each was left out.
        ignored: Vec<IgnoredKey>,
    },
    /// The file holds more keys than a token is tried with.
    #[error("key file holds {count} keys, more than {MAX_KEYS}")]
    TooManyKeys {
        /// How many.
        count: usize,
    },
}

/// Where in its file a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// The PEM block that begins in this line, counted from 1.
    Line(usize),
    /// The position in the array `keys`, counted from 1.
    Position(usize),
    /// Beside the array `keys`.
    Elsewhere,
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "the PEM block that begins in line {line}"),
            Self::Position(position) => write!(f, "key {position} of the set"),
            Self::Elsewhere => f.write_str("what stands beside `keys`"),
        }
    }
}

/// What is wrong with one key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// It is a private key (PEM).
    #[error("it is a private key; give the public key, and treat this file as a leaked secret")]
    PrivateKey,
    /// It has a member that only private keys have (RFC 7518 §6).
    #[error(
        "it has the private member `{member}`; give public keys, and treat this file as a leaked secret"
    )]
    PrivateMember {
        /// Name of the member.
        member: &'static str,
    },
    /// It is symmetric (`oct`): who could verify with it could also sign.
    #[error(
        "it is a symmetric key (`oct`); give public keys, and treat this file as a leaked secret"
    )]
    Symmetric,
    /// A certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate {
        /// What is wrong with its DER.
        source: x509_cert::der::Error,
    },
    /// A public key cannot be read.
    #[error("the public key cannot be read")]
    PublicKey {
        /// What is wrong with its DER.
        source: x509_cert::der::Error,
    },
    /// An elliptic curve key that does not name its curve.
    #[error("the elliptic curve key names no curve")]
    Curve {
        /// What stands in its place.
        source: x509_cert::spki::Error,
    },
    /// Not an uncompressed point of the curve's size.
    #[error("it is not an uncompressed curve point")]
    Point,
    /// A kind of key that no Kubernetes API server signs tokens with.
    #[error("{kind} keys are not supported; give an RSA, P-256, P-384 or P-521 key")]
    Unsupported {
        /// Its name, or its object identifier.
        kind: String,
    },
    /// An RSA modulus out of bounds.
    #[error("the RSA key has {bits} bits, and only {least} to {most} bits are accepted")]
    RsaLength {
        /// Its length.
        bits: u32,
        /// The least accepted.
        least: u32,
        /// The most accepted.
        most: u32,
    },
    /// The numbers do not make an RSA key.
    #[error("the numbers do not make an RSA key")]
    RsaKey {
        /// What the cryptographic library says.
        source: aws_lc_rs::error::Unspecified,
    },
    /// The cryptographic library refuses the key, as it does a point that is
    /// not on its curve.
    #[error("the key is refused by the cryptographic library")]
    Rejected {
        /// What the cryptographic library says.
        source: aws_lc_rs::error::KeyRejected,
    },
    /// It is not for verifying signatures, or of an unknown kind.
    #[error("it is for something else, as its `{member}` says: `{value}`")]
    ForSomethingElse {
        /// Name of the member.
        member: &'static str,
        /// What it says.
        value: PeerText,
    },
    /// As many keys as are kept came before it.
    #[error("{MAX_KEYS} keys came before it, and no more are kept")]
    OneTooMany,
    /// A member of it appears twice (RFC 7517 §4).
    #[error("its member `{member}` appears twice")]
    Repeated {
        /// Name of the member.
        member: PeerText,
    },
    /// An entry of `keys` that is not a JSON object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A required member is absent.
    #[error("it has no `{member}`")]
    MemberMissing {
        /// Name of the member.
        member: &'static str,
    },
    /// A member is of the wrong type.
    #[error("its `{member}` is not {expected}")]
    MemberMalformed {
        /// Name of the member.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A member is not base64url (RFC 7518 §6).
    #[error("its `{member}` is not base64url without padding")]
    MemberEncoding {
        /// Name of the member.
        member: &'static str,
        /// What is wrong with it.
        source: Base64Error,
    },
    /// A coordinate that is not of the curve's size (RFC 7518 §6.2.1.2).
    #[error("its `{member}` has {bytes} bytes where the curve has {expected} bytes")]
    CoordinateLength {
        /// Name of the member.
        member: &'static str,
        /// Its length.
        bytes: usize,
        /// The length it must have.
        expected: usize,
    },
    /// A number with leading zeros, or none at all (RFC 7518 §2,
    /// `Base64urlUInt`).
    #[error("its `{member}` is empty or begins with a zero byte")]
    NumberNotMinimal {
        /// Name of the member.
        member: &'static str,
    },
    /// `alg` names an algorithm that is never accepted.
    #[error("its `alg` is `{algorithm}`, which is not accepted")]
    AlgorithmRefused {
        /// The name.
        algorithm: PeerText,
    },
    /// `alg` names an algorithm for another kind of key.
    #[error("its `alg` is `{algorithm}`, which is not for {kind} keys")]
    AlgorithmUnfit {
        /// The algorithm.
        algorithm: SignatureAlgorithm,
        /// What the key is.
        kind: &'static str,
    },
}

/// An entry of a JWK Set that was left out (RFC 7517 §5), and why.
#[derive(Debug)]
pub struct IgnoredKey {
    /// The position in the array `keys`, counted from 1.
    pub position: usize,
    /// Its `kid`, where that is text.
    pub kid: Option<PeerText>,
    /// Why.
    pub why: KeyProblem,
}

impl fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.position)?;
        if let Some(kid) = &self.kid {
            write!(f, ", kid `{kid}`")?;
        }
        write!(f, ": {}", self.why)?;
        // A list has no room for levels.
        let mut cause = self.why.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Ignored keys in one line; beyond a few, their number.
#[derive(Debug, Clone, Copy)]
pub struct IgnoredKeys<'k>(pub &'k [IgnoredKey]);

impl fmt::Display for IgnoredKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        for (index, key) in self.0.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{key}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
