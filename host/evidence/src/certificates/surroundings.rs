//! What is known of a peer besides what it sends, and who says so.

use super::TrustedAuthorities;
use crate::api::Patience;
use std::fmt;

/// Whoever knows the authorities of the trust domain.
pub trait BundleSource: fmt::Debug + Send + Sync {
    /// The authorities as they are now. Blocks until they are known, or until
    /// `patience` ends.
    ///
    /// # Errors
    /// [`BundleError`]; also when there is none, for an empty bundle trusts
    /// nobody.
    fn authorities(&self, patience: &Patience) -> Result<TrustedAuthorities, BundleError>;
}

/// Why the trust domain's authorities are not known, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BundleError(pub String);

/// What surrounds one piece of evidence.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// How long others may be waited for.
    pub patience: &'a Patience,
    /// The peer's address, as the server that it is connected to sees it.
    pub client_address: Option<&'a str>,
    /// Who knows the authorities of the trust domain.
    pub bundle: Option<&'a dyn BundleSource>,
}

impl<'a> Surroundings<'a> {
    /// Nothing is known, and others may be waited for as long as `patience` lasts.
    #[must_use]
    pub fn within(patience: &'a Patience) -> Self {
        Self {
            patience,
            client_address: None,
            bundle: None,
        }
    }
}
