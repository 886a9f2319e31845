//! What the operator believes of a cluster: who vouches for its tokens, and
//! what a token has to be bound to.

use std::sync::Arc;
use std::time::Duration;

use crate::allowed::AllowedServiceAccount;
use crate::api::{ApiError, ClusterApi, Patience};
use crate::error::TokenError;
use crate::key_source::KeySource;
use crate::keys::KeySet;
use crate::token::{CompactToken, Header, SignedClaims};
use crate::verifier::ClusterTrust;

/// What the operator believes of one cluster, and on which conditions.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The operator's name for the cluster; what peers send as `cluster`.
    pub name: String,
    /// The service accounts whose tokens are accepted. With none, no token is.
    pub allowed: Vec<AllowedServiceAccount>,
    /// SHA-256 of the cluster's CA certificate. Handed on as a fact.
    pub ca_thumbprint: Option<String>,
    /// Who says that a token is good.
    pub proof: Proof,
    /// What a token has to be bound to.
    pub binding: Binding,
}

/// Who says that a token is good.
#[derive(Debug, Clone)]
pub enum Proof {
    /// This host does, by the cluster's keys.
    Local(LocalProof),
    /// The cluster's API server does, each time.
    Review(ReviewProof),
}

/// Verification by keys, with no call into the cluster.
#[derive(Debug, Clone)]
pub struct LocalProof {
    /// The keys its API server signs tokens with.
    pub keys: TrustedKeys,
    /// The only `iss` that is accepted. `None`: `iss` is not compared.
    pub issuer: Option<String>,
    /// Audiences, of which a token names at least one. Empty: `aud` is not
    /// compared.
    pub audience: Vec<String>,
    /// How far this clock and the cluster's may differ.
    pub leeway: Duration,
    /// Accept tokens without `exp`, as Kubernetes issued them before bound
    /// tokens.
    pub allow_unexpiring_tokens: bool,
}

/// Verification by the cluster's `TokenReview`.
#[derive(Debug, Clone)]
pub struct ReviewProof {
    /// The API server that is asked.
    pub api: Arc<dyn ClusterApi>,
    /// Audiences to ask for. Empty: the API server's own.
    pub audience: Vec<String>,
}

/// Keys that a cluster signs tokens with.
#[derive(Debug, Clone)]
pub enum TrustedKeys {
    /// The operator gave them.
    Fixed(KeySet),
    /// They are published, and followed as they rotate.
    Followed(Arc<dyn KeySource>),
}

/// What a token has to be bound to.
#[derive(Debug, Clone)]
pub enum Binding {
    /// Nothing: what the token says of pod and node is a fact if it is there.
    Any,
    /// A pod, as the signed token says.
    Pod,
    /// A pod that the API server still has, on a node that it still has.
    LookedUp(Lookup),
}

/// Reading pod and node from the API server.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// The API server that is asked.
    pub api: Arc<dyn ClusterApi>,
    /// Keys of node labels that become facts.
    pub node_labels: Vec<String>,
    /// Keys of pod labels that become facts.
    pub pod_labels: Vec<String>,
}

impl Proof {
    /// Verification by keys, when that is how it is proven.
    #[must_use]
    pub fn local(&self) -> Option<&LocalProof> {
        match self {
            Self::Local(local) => Some(local),
            Self::Review(_) => None,
        }
    }
}

impl Cluster {
    /// Whether verifying its tokens may wait for others: for its API server, or
    /// for whoever publishes its keys.
    #[must_use]
    pub fn waits_for_others(&self) -> bool {
        let proof = match &self.proof {
            Proof::Local(local) => matches!(local.keys, TrustedKeys::Followed(_)),
            Proof::Review(_) => true,
        };
        proof || matches!(self.binding, Binding::LookedUp(_))
    }

    /// The API server that is asked, if one is.
    pub(crate) fn api(&self) -> Option<&Arc<dyn ClusterApi>> {
        match (&self.proof, &self.binding) {
            (Proof::Review(review), _) => Some(&review.api),
            (Proof::Local(_), Binding::LookedUp(lookup)) => Some(&lookup.api),
            (Proof::Local(_), Binding::Any | Binding::Pod) => None,
        }
    }

    /// Whether others may be asked about `token`. Nobody is asked about a
    /// misshapen one.
    pub(crate) fn waits_with(&self, token: &str) -> bool {
        self.waits_for_others()
            && CompactToken::split(token).is_ok_and(|token| match self.proof {
                Proof::Local(_) => Header::parse(&token).is_ok(),
                Proof::Review(_) => token.is_reviewable().is_ok(),
            })
    }
}

impl From<ClusterTrust> for Cluster {
    /// A cluster trusted by keys held here, its tokens bound to anything.
    fn from(trust: ClusterTrust) -> Self {
        Self {
            name: trust.name,
            allowed: trust.allowed,
            ca_thumbprint: trust.ca_thumbprint,
            proof: Proof::Local(LocalProof {
                keys: TrustedKeys::Fixed(trust.keys),
                issuer: trust.issuer,
                audience: trust.audience,
                leeway: trust.leeway,
                allow_unexpiring_tokens: trust.allow_unexpiring_tokens,
            }),
            binding: Binding::Any,
        }
    }
}

/// Why no claims came out of a token.
pub(crate) enum Unsigned {
    /// The token is refused.
    Token(TokenError),
    /// There are no keys to verify it with.
    Keys(ApiError),
}

impl TrustedKeys {
    /// Verifies the signature of `token`. Where keys are followed, a token
    /// that fits none of them may be of a newer key: then, and no oftener than
    /// the source allows, newer keys are looked for.
    pub(crate) fn verify<'t>(
        &self,
        token: CompactToken<'t>,
        header: &Header,
        patience: &Patience,
    ) -> Result<SignedClaims<'t>, Unsigned> {
        let source = match self {
            Self::Fixed(keys) => return keys.verify(token, header).map_err(Unsigned::Token),
            Self::Followed(source) => source,
        };
        let keys = source.current(patience).map_err(Unsigned::Keys)?;
        let refused = match keys.verify(token, header) {
            Ok(claims) => return Ok(claims),
            Err(refused) => refused,
        };
        // A key that the token names and that is known has spoken: no fetch helps.
        let named = header.kid.as_deref();
        if named.is_some_and(|kid| keys.has(kid)) {
            return Err(Unsigned::Token(refused));
        }
        match source.newer_than(&keys, patience) {
            Some(newer) => newer.verify(token, header).map_err(Unsigned::Token),
            None => Err(Unsigned::Token(refused)),
        }
    }
}
