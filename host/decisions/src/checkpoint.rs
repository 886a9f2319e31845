//! What a log was at some point, in a few bytes that can be kept elsewhere.
//!
//! Whoever may write to a log can cut off its end, or write all of it anew.
//! Against both stands a checkpoint that they cannot reach: the log has to
//! have that hash at that line.

use crate::timestamp;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_policy::Digest;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::SystemTime;

/// What a log was at one of its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Identifier of the log.
    pub log: String,
    /// Sequence number of the line.
    pub sequence: u64,
    /// Hash of the line.
    pub head: Digest,
    /// When it was taken.
    #[serde(with = "timestamp")]
    pub time: SystemTime,
    /// Ed25519 signature of the rest, in base64, where there is a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Checkpoint {
    /// What is signed: a line for each member.
    fn message(&self) -> String {
        format!(
            "nameplate decision log checkpoint\n{}\n{}\n{}\n{}\n",
            self.log,
            self.sequence,
            self.head,
            timestamp::shown(self.time)
        )
    }

    /// The same, signed.
    #[must_use]
    pub(crate) fn signed(mut self, key: Option<&SigningKey>) -> Self {
        self.signature = key.map(|key| STANDARD.encode(key.0.sign(self.message().as_bytes())));
        self
    }

    /// Whether `key` signed it.
    ///
    /// # Errors
    /// [`SignatureError`] when it did not.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        let signature = self.signature.as_ref().ok_or(SignatureError::Absent)?;
        let signature = STANDARD
            .decode(signature)
            .map_err(|_not_base64| SignatureError::Wrong)?;
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(self.message().as_bytes(), &signature)
            .map_err(|_unspecified| SignatureError::Wrong)
    }
}

/// Why a checkpoint is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It has no signature.
    #[error("the checkpoint is not signed")]
    Absent,
    /// Its signature is of another key, or of something else.
    #[error("the checkpoint's signature is not by this key")]
    Wrong,
}

/// The private key that signs checkpoints.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads a PKCS #8 key in PEM, as `openssl genpkey -algorithm ed25519`
    /// writes it.
    ///
    /// # Errors
    /// [`KeyError`] when it is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_not_pem| KeyError::Private)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map(Self)
            .map_err(|_rejected| KeyError::Private)
    }

    /// The key that its signatures are verified with.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut raw = [0; 32];
        for (to, from) in raw.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        VerifyingKey(raw)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// The public key that checkpoints are verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey([u8; 32]);

/// What stands before the 32 bytes of an Ed25519 key in a
/// SubjectPublicKeyInfo (RFC 8410 §4).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

impl VerifyingKey {
    /// Reads a public key in PEM, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// [`KeyError`] when it is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der =
            SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_not_pem| KeyError::Public)?;
        let raw = der.as_ref().strip_prefix(&ED25519_SPKI);
        let raw = raw.and_then(|raw| raw.try_into().ok());
        raw.map(Self).ok_or(KeyError::Public)
    }
}

/// Bytes that are no key for checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Where the private key belongs.
    #[error("not an Ed25519 private key in PEM (`openssl genpkey -algorithm ed25519`)")]
    Private,
    /// Where the public key belongs.
    #[error("not an Ed25519 public key in PEM (`openssl pkey -pubout`)")]
    Public,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &[u8] = b"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
    const PUBLIC: &[u8] = b"-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            log: "a log".to_owned(),
            sequence: 7,
            head: Digest::of(b"line"),
            time: SystemTime::UNIX_EPOCH,
            signature: None,
        }
    }

    #[test]
    fn a_signed_checkpoint_is_believed_as_it_is() {
        let key = SigningKey::from_pem(PRIVATE).unwrap();
        let public = VerifyingKey::from_pem(PUBLIC).unwrap();
        assert_eq!(key.verifying_key(), public);
        let signed = checkpoint().signed(Some(&key));
        assert_eq!(signed.verify(&public), Ok(()));

        let unsigned = checkpoint().signed(None);
        assert_eq!(unsigned.verify(&public), Err(SignatureError::Absent));
        let mut others = [signed.clone(), signed.clone(), signed.clone(), signed];
        others[0].sequence += 1;
        others[1].head = Digest::NONE;
        others[2].log.push('!');
        others[3].signature = Some("AAAA".to_owned());
        for other in others {
            assert_eq!(other.verify(&public), Err(SignatureError::Wrong));
        }
    }

    #[test]
    fn another_key_is_told_apart() {
        assert_eq!(SigningKey::from_pem(PUBLIC).unwrap_err(), KeyError::Private);
        assert_eq!(VerifyingKey::from_pem(PRIVATE), Err(KeyError::Public));
        assert_eq!(VerifyingKey::from_pem(b""), Err(KeyError::Public));
    }
}
