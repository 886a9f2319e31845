//! The methods whose evidence is a service account token.

use nameplate_evidence::Method;
use std::fmt;

/// A method that proves a service account by its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenMethod {
    /// [`Method::K8sSat`].
    K8sSat,
    /// [`Method::K8sPsat`].
    K8sPsat,
}

impl From<TokenMethod> for Method {
    fn from(method: TokenMethod) -> Self {
        match method {
            TokenMethod::K8sSat => Self::K8sSat,
            TokenMethod::K8sPsat => Self::K8sPsat,
        }
    }
}

impl fmt::Display for TokenMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Method::from(*self).fmt(f)
    }
}
