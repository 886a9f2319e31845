//! Files of keys and certificates: an operator's, or fetched from a publisher.

use crate::fit_to_show;
use nameplate_evidence::certificates::{TrustedAuthorities, payload_of_pem, sight};
use nameplate_evidence::{KeySet, MAX_KEYS, thumbprint_of_pem};
use serde_json::Value;

/// A JWK Set: what is taken of it is there, and no secret is.
pub(crate) fn jwks(bytes: &[u8]) {
    match KeySet::from_jwks(bytes) {
        Ok(keys) => {
            bounded(&keys);
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let set: Value = serde_json::from_slice(bytes).unwrap();
            let listed = set["keys"].as_array().unwrap();
            assert_eq!(keys.len() + keys.ignored().len(), listed.len());
            for key in listed {
                for private in ["d", "k", "priv"] {
                    let value = key.get(private).and_then(Value::as_str);
                    assert_eq!(value.unwrap_or_default(), "");
                }
            }
            for key in keys.ignored() {
                assert!(
                    key.to_string()
                        .starts_with(&format!("key {}", key.position))
                );
            }
        }
        Err(error) => fit_to_show(&error),
    }
}

/// A PEM file, read by everyone who reads one.
pub(crate) fn pem(bytes: &[u8]) {
    let blocks = |label: &str| {
        let begin = format!("-----BEGIN {label}-----");
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        text.split(|byte| *byte == b'\n')
            .filter(|line| line.trim_ascii() == begin.as_bytes())
            .count()
    };
    match KeySet::from_pem(bytes) {
        Ok(keys) => {
            bounded(&keys);
            let labels = ["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY"];
            assert!(keys.len() <= labels.iter().map(|label| blocks(label)).sum());
            assert_eq!(blocks("RSA PRIVATE KEY") + blocks("PRIVATE KEY"), 0);
        }
        Err(error) => fit_to_show(&error),
    }
    let authorities = TrustedAuthorities::from_pem(bytes);
    let payload = payload_of_pem(bytes, None);
    match &authorities {
        // Two readers of one file find the same certificates.
        Ok(authorities) if authorities.count() <= 32 => {
            let seen = sight(payload.as_ref().unwrap());
            assert!(seen.is_err() || seen.unwrap().len() == authorities.count());
        }
        Ok(_) => {}
        Err(error) => fit_to_show(error),
    }
    match thumbprint_of_pem(bytes) {
        Ok(thumbprint) => {
            assert_eq!(thumbprint.len(), 64);
            assert!(blocks("CERTIFICATE") >= 1);
        }
        Err(error) => fit_to_show(&error),
    }
}

fn bounded(keys: &KeySet) {
    assert!((1..=MAX_KEYS).contains(&keys.len()));
    assert_eq!(keys.descriptions().count(), keys.len());
}
