//! Certificates that are X509-SVIDs: one URI, and that a SPIFFE ID.

use super::CertificateError;
use crate::peer_text::PeerText;
use crate::subject::{AlternativeName, Certificate};

/// Which SVIDs are evidence of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SvidRule {
    /// The trust domain of all of them. SPIRE compares only who signed.
    pub trust_domain: String,
    /// How the path has to begin; with a slash at both ends.
    pub prefix: String,
}

impl SvidRule {
    /// Whether the certificate is one.
    ///
    /// # Errors
    /// [`CertificateError`] when it is not.
    pub(super) fn admit(&self, certificate: &Certificate) -> Result<(), CertificateError> {
        let mut uris = certificate.alternative_names.iter().filter_map(uri);
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            return Err(CertificateError::SvidMissing);
        };
        let id = uri
            .strip_prefix("spiffe://")
            .ok_or(CertificateError::SvidMissing)?;
        let (trust_domain, path) = id.split_at(id.find('/').unwrap_or(id.len()));
        if trust_domain != self.trust_domain {
            return Err(CertificateError::SvidForeign {
                trust_domain: PeerText::long(trust_domain),
            });
        }
        match path.strip_prefix(self.prefix.as_str()) {
            Some(rest) if !rest.is_empty() => Ok(()),
            Some(_) | None => Err(CertificateError::SvidPrefix {
                prefix: self.prefix.clone(),
            }),
        }
    }
}

fn uri(name: &AlternativeName) -> Option<&str> {
    match name {
        AlternativeName::Uri(uri) => Some(uri),
        AlternativeName::Dns(_) | AlternativeName::Ip(_) | AlternativeName::Email(_) => None,
    }
}
