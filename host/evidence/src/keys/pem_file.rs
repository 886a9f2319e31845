//! Keys from a PEM file, as `service_account_key_file` names one.

use x509_cert::der::{Decode as _, Encode as _};

use super::error::{KeyError, KeyPlace, KeyProblem};
use super::material::KeyMaterial;
use super::{MAX_KEYS, VerifyingKey};
use crate::pem::{self, Block};

/// The keys of a file in file order, perhaps none.
pub(super) fn parse(file: &[u8]) -> Result<Vec<VerifyingKey>, KeyError> {
    let blocks = pem::blocks(file)?;
    let candidates = blocks.iter().filter(|block| is_key(block)).count();
    if candidates > MAX_KEYS {
        return Err(KeyError::TooManyKeys { count: candidates });
    }
    let mut keys = Vec::new();
    for block in blocks {
        let der = if is_key(&block) {
            block.der()?
        } else {
            Vec::new()
        };
        let key = match block.label {
            "RSA PUBLIC KEY" => key(&KeyMaterial::from_pkcs1(der)),
            "PUBLIC KEY" => KeyMaterial::from_spki(&der).and_then(|material| key(&material)),
            "CERTIFICATE" => certified(&der),
            _ if block.is_private_key() => Err(KeyProblem::PrivateKey),
            // Parameters, requests and what else tools write beside keys.
            _ => continue,
        };
        let place = KeyPlace::Line(block.line);
        keys.push(key.map_err(|source| KeyError::Key { place, source })?);
    }
    Ok(keys)
}

fn is_key(block: &Block<'_>) -> bool {
    matches!(block.label, "RSA PUBLIC KEY" | "PUBLIC KEY" | "CERTIFICATE")
}

fn key(material: &KeyMaterial<'_>) -> Result<VerifyingKey, KeyProblem> {
    VerifyingKey::new(material, None, None)
}

/// The key a certificate certifies. The certificate is an envelope here, not
/// proof of anything: the operator vouches for the file.
fn certified(der: &[u8]) -> Result<VerifyingKey, KeyProblem> {
    let spki = x509_cert::Certificate::from_der(der)
        .and_then(|certificate| {
            certificate
                .tbs_certificate()
                .subject_public_key_info()
                .to_der()
        })
        .map_err(|source| KeyProblem::Certificate { source })?;
    key(&KeyMaterial::from_spki(&spki)?)
}
