//! Verifying `k8s_sat`: a Kubernetes service account token, with keys that the
//! operator gave.
//!
//! Trusts the configuration of the cluster that the peer names, and the time
//! it is given. Everything else is the peer's, until
//! [`TokenVerifier::verify`] has gone through it from top to bottom.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{EvidenceError, TokenError};
use crate::keys::KeySet;
use crate::payload::Payload;
use crate::peer_text::PeerText;
use crate::raw::{Method, RawEvidence};
use crate::subject::{ServiceAccount, Subject};
use crate::token::{Claims, CompactToken, Header, Names, TimeRules};
use crate::verified::VerifiedEvidence;

/// What the operator believes of one cluster, and on which conditions.
#[derive(Debug, Clone)]
pub struct ClusterTrust {
    /// The operator's name for the cluster; what peers send as `cluster`.
    pub name: String,
    /// The keys its API server signs tokens with.
    pub keys: KeySet,
    /// The service accounts whose tokens are accepted. With none, no token is.
    pub allowed: Vec<AllowedServiceAccount>,
    /// The only `iss` that is accepted. `None`: `iss` is not compared.
    pub issuer: Option<String>,
    /// Audiences, of which a token names at least one. Empty: `aud` is not
    /// compared.
    pub audience: Vec<String>,
    /// How far this clock and the cluster's may differ.
    pub leeway: Duration,
    /// Accept tokens without `exp`, as Kubernetes issued them before bound
    /// tokens. Such a token proves something for as long as its key is
    /// trusted.
    pub allow_unexpiring_tokens: bool,
    /// SHA-256 of the cluster's CA certificate, from
    /// [`thumbprint_of_pem`](crate::thumbprint_of_pem). Handed on as a fact.
    pub ca_thumbprint: Option<String>,
}

/// A service account on an allow list: `namespace:name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllowedServiceAccount {
    namespace: String,
    name: String,
}

impl AllowedServiceAccount {
    /// Compared as a pair, never as one joined string.
    fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }
}

/// Text that is not `namespace:name`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a service account in the form `namespace:name`")]
pub struct MalformedServiceAccount(PeerText);

impl FromStr for AllowedServiceAccount {
    type Err = MalformedServiceAccount;

    /// # Errors
    /// Unless there is exactly one colon, with something on both sides.
    fn from_str(text: &str) -> Result<Self, MalformedServiceAccount> {
        match text.split_once(':') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains(':') =>
            {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err(MalformedServiceAccount(PeerText::new(text))),
        }
    }
}

impl fmt::Display for AllowedServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

/// Verifies service account tokens of the clusters it was given.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    clusters: HashMap<String, ClusterTrust>,
}

impl TokenVerifier {
    /// A verifier for `clusters`. Names are expected to differ; of two
    /// clusters of one name the later counts.
    #[must_use]
    pub fn new(clusters: impl IntoIterator<Item = ClusterTrust>) -> Self {
        let clusters = clusters
            .into_iter()
            .map(|cluster| (cluster.name.clone(), cluster))
            .collect();
        Self { clusters }
    }

    /// Verifies `evidence` as of `now`.
    ///
    /// The checks come in the order of SPIRE's `k8s_sat`, so that a peer that
    /// fails several is told of the same one. Each line needs what the lines
    /// above it established.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        &self,
        evidence: &RawEvidence,
        now: SystemTime,
    ) -> Result<VerifiedEvidence, EvidenceError> {
        let Method::K8sSat = evidence.method();
        let now = now
            .duration_since(UNIX_EPOCH)
            .ok()
            .ok_or(EvidenceError::ClockBeforeEpoch)?;

        let payload = Payload::parse(evidence.payload())?;
        let cluster = self.clusters.get(payload.cluster.as_ref()).ok_or_else(|| {
            EvidenceError::UnknownCluster {
                cluster: PeerText::new(&payload.cluster),
            }
        })?;
        let refused = |source| EvidenceError::Token {
            cluster: cluster.name.clone(),
            source,
        };

        // Bytes: counted, split, and no claim decoded yet.
        let token = CompactToken::split(payload.token()).map_err(refused)?;
        let header = Header::parse(&token).map_err(refused)?;

        // From here on the cluster speaks: its key signed these claims.
        let signed = cluster.keys.verify(token, &header).map_err(refused)?;
        let claims = signed.decode().map_err(refused)?;
        let mut claims = Claims::parse(&claims).map_err(refused)?;

        // What it says is about now, from whom and to whom we expect.
        let rules = TimeRules {
            leeway: cluster.leeway,
            allow_unexpiring: cluster.allow_unexpiring_tokens,
        };
        let times = claims.valid_at(now, rules).map_err(refused)?;
        let issuer = claims
            .issued_by(cluster.issuer.as_deref())
            .map_err(refused)?;
        let audiences = claims.intended_for(&cluster.audience).map_err(refused)?;

        // And it names someone whom the operator lets in.
        let names = Names::parse(claims.object()).map_err(refused)?;
        let names = cluster.admit(names).map_err(refused)?;

        let subject = Subject::ServiceAccount(ServiceAccount {
            cluster: cluster.name.clone(),
            cluster_thumbprint: cluster.ca_thumbprint.clone(),
            namespace: names.namespace,
            name: names.name,
            uid: names.uid,
            pod: names.pod,
            node: names.node,
            issuer,
            audiences,
            token_id: claims.token_id(),
            token_sha256: signed.into_token_sha256(),
            issued_at: times.issued_at,
            expires_at: times.expires_at,
        });
        Ok(VerifiedEvidence::new(payload.claimed_id, subject))
    }
}

impl ClusterTrust {
    /// Names on the allow list, or a refusal.
    fn admit(&self, names: Names) -> Result<Names, TokenError> {
        if self
            .allowed
            .iter()
            .any(|account| account.is(&names.namespace, &names.name))
        {
            return Ok(names);
        }
        Err(TokenError::NotAllowed {
            namespace: PeerText::new(&names.namespace),
            name: PeerText::new(&names.name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::AllowedServiceAccount;

    #[test]
    fn a_service_account_is_a_pair() {
        let account: AllowedServiceAccount = "spire:spire-agent".parse().unwrap();
        assert_eq!(account.to_string(), "spire:spire-agent");
        assert!(account.is("spire", "spire-agent"));
        assert!(!account.is("spire", "spire-agent2"));
        assert!(!account.is("spire:spire-agent", ""));
        assert!(!account.is("", "spire:spire-agent"));
    }

    #[test]
    fn a_pair_has_one_colon_and_two_names() {
        for bad in [
            "",
            ":",
            "spire",
            "spire:",
            ":agent",
            "a:b:c",
            "a::b",
            "system:serviceaccount:a:b",
        ] {
            assert_eq!(
                bad.parse::<AllowedServiceAccount>()
                    .unwrap_err()
                    .to_string(),
                format!("`{bad}` is not a service account in the form `namespace:name`")
            );
        }
    }
}
