//! Verifying `k8s_sat` and `k8s_psat`: a Kubernetes service account token, by
//! the keys of its cluster or by the word of its API server.
//!
//! Trusts the configuration of the cluster that the peer names, the time it is
//! given, and the API server that the configuration names. Everything else is the peer's, until
//! [`TokenVerifier::verify`] has gone through it from top to bottom.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::allowed::AllowedServiceAccount;
use crate::api::{ApiError, ApiStatus, Patience};
use crate::binding::Unbound;
use crate::cluster::{Binding, Cluster, Proof, TrustedKeys, Unsigned};
use crate::error::{Asked, EvidenceError, TokenError};
use crate::key_source::KeysStatus;
use crate::keys::KeySet;
use crate::payload::Payload;
use crate::peer_text::PeerText;
use crate::raw::RawEvidence;
use crate::review;
use crate::subject::{ServiceAccount, Subject};
use crate::token::{Claims, CompactToken, Header, Names, TimeRules};
use crate::verified::{Statement, VerifiedEvidence};

/// How far this clock may differ from that of an API server which has already
/// judged a token's times: SPIRE's leeway.
const REVIEWED_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// A cluster trusted by keys that the operator gave, its tokens bound to
/// anything: the plain form of a [`Cluster`].
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

/// Verifies service account tokens of the clusters it was given.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    clusters: HashMap<String, Cluster>,
}

impl TokenVerifier {
    /// A verifier for `clusters`. Names are expected to differ; of two
    /// clusters of one name the later counts.
    #[must_use]
    pub fn new(clusters: impl IntoIterator<Item: Into<Cluster>>) -> Self {
        let clusters = clusters
            .into_iter()
            .map(Into::into)
            .map(|cluster: Cluster| (cluster.name.clone(), cluster))
            .collect();
        Self { clusters }
    }

    /// Names of the clusters.
    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        self.clusters.keys().map(String::as_str)
    }

    /// The clusters whose keys are followed, by name, and how that goes.
    #[must_use]
    pub fn followed_keys(&self) -> BTreeMap<String, KeysStatus> {
        let status = |cluster: &Cluster| match &cluster.proof.local()?.keys {
            TrustedKeys::Followed(source) => Some((cluster.name.clone(), source.status())),
            TrustedKeys::Fixed(_) => None,
        };
        self.clusters.values().filter_map(status).collect()
    }

    /// The API servers that are asked, by the cluster's name, and how that goes.
    #[must_use]
    pub fn asked_servers(&self) -> BTreeMap<String, ApiStatus> {
        let status = |cluster: &Cluster| Some((cluster.name.clone(), cluster.api()?.status()));
        self.clusters.values().filter_map(status).collect()
    }

    /// The clusters whose tokens others are asked about, sorted.
    #[must_use]
    pub fn waiting_clusters(&self) -> Vec<&str> {
        let clusters = self.clusters.values();
        let waiting = clusters.filter(|cluster| cluster.waits_for_others());
        let mut names: Vec<_> = waiting.map(|cluster| cluster.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The configured cluster that others may be asked about while `evidence`
    /// is verified. None where nobody is: for the cluster that it names, or
    /// because it is refused by its shape. Asks nobody, and proves nothing.
    #[must_use]
    pub fn waits_for(&self, evidence: &RawEvidence) -> Option<&str> {
        let payload = Payload::parse(evidence.payload()).ok()?;
        let cluster = self.clusters.get(payload.cluster.as_ref())?;
        let waits = cluster.waits_with(payload.token());
        waits.then_some(cluster.name.as_str())
    }

    /// Verifies `evidence` as of `now`, asking nobody: a cluster whose API
    /// server has to be asked refuses with [`ApiError::OutOfPatience`].
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        &self,
        evidence: &RawEvidence,
        now: SystemTime,
    ) -> Result<VerifiedEvidence, EvidenceError> {
        self.verify_within(evidence, now, &Patience::none())
    }

    /// Verifies `evidence` as of `now`, waiting for others as long as
    /// `patience` lasts.
    ///
    /// The checks come in the order of SPIRE's `k8s_sat` and `k8s_psat`, so
    /// that a peer that fails several is told of the same one. Each line needs
    /// what the lines above it established.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify_within(
        &self,
        evidence: &RawEvidence,
        now: SystemTime,
        patience: &Patience,
    ) -> Result<VerifiedEvidence, EvidenceError> {
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
        cluster
            .verify(&payload, now, patience)
            .map_err(|refusal| refusal.at(&cluster.name))
            .map(|(subject, statement)| {
                VerifiedEvidence::new(payload.claimed_id, subject, statement)
            })
    }
}

/// A refusal, before it is said which cluster's.
enum Refusal {
    Token(TokenError),
    Api(Asked, ApiError),
}

impl Cluster {
    fn verify(
        &self,
        payload: &Payload<'_>,
        now: Duration,
        patience: &Patience,
    ) -> Result<(Subject, Statement), Refusal> {
        // Bytes: counted, split, and no claim decoded yet.
        let token = CompactToken::split(payload.token())?;

        // From here on the cluster speaks: its key signed these claims, or its
        // API server called them good.
        let (signed, reviewed) = match &self.proof {
            Proof::Local(proof) => {
                let header = Header::parse(&token)?;
                (proof.keys.verify(token, &header, patience)?, None)
            }
            Proof::Review(proof) => {
                // What nobody could call good is not sent anywhere.
                token.is_reviewable()?;
                let review = proof
                    .api
                    .review(payload.token(), &proof.audience, patience)
                    .map_err(|error| Refusal::Api(Asked::Review, error))?;
                let names = review::names(&review, &proof.audience)?;
                (token.into_reviewed_claims(), Some(names))
            }
        };
        let claims = signed.decode()?;
        let statement = Statement::of(&claims);
        let mut claims = Claims::parse(&claims)?;

        // What it says is about now, from whom and to whom we expect.
        let times = claims.valid_at(now, self.times())?;
        let (issuer, audiences) = match &self.proof {
            Proof::Local(proof) => (
                claims.issued_by(proof.issuer.as_deref())?,
                claims.intended_for(&proof.audience)?,
            ),
            // The API server has compared both.
            Proof::Review(_) => (claims.issued_by(None)?, claims.intended_for(&[])?),
        };

        // It names someone whom the operator lets in.
        let claimed = Names::parse(claims.object())?;
        let names = match reviewed {
            Some(reviewed) => {
                review::agree(&reviewed, &claimed)?;
                reviewed
            }
            None => claimed,
        };
        let mut names = self.admit(names)?;
        if !matches!(self.binding, Binding::Any) {
            claims.about(&names.namespace, &names.name)?;
        }

        // And what it is bound to is still there.
        self.binding.hold(&mut names, patience)?;

        let subject = Subject::ServiceAccount(ServiceAccount {
            cluster: self.name.clone(),
            cluster_thumbprint: self.ca_thumbprint.clone(),
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
        Ok((subject, statement))
    }

    fn times(&self) -> TimeRules {
        match &self.proof {
            Proof::Local(proof) => TimeRules {
                leeway: proof.leeway,
                allow_unexpiring: proof.allow_unexpiring_tokens,
            },
            // The API server has judged the times by its own clock; this is the
            // net behind it. Only tokens that are bound to nothing may be
            // without an end: the API server revokes them with their Secret.
            Proof::Review(_) => TimeRules {
                leeway: REVIEWED_LEEWAY,
                allow_unexpiring: matches!(self.binding, Binding::Any),
            },
        }
    }

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
            namespace: PeerText::long(&names.namespace),
            name: PeerText::long(&names.name),
        })
    }
}

impl Refusal {
    fn at(self, cluster: &str) -> EvidenceError {
        let cluster = cluster.to_owned();
        match self {
            Self::Token(source) => EvidenceError::Token { cluster, source },
            Self::Api(asked, source) => EvidenceError::Api {
                cluster,
                asked,
                source,
            },
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<Unsigned> for Refusal {
    fn from(unsigned: Unsigned) -> Self {
        match unsigned {
            Unsigned::Token(error) => Self::Token(error),
            Unsigned::Keys(error) => Self::Api(Asked::Keys, error),
        }
    }
}

impl From<Unbound> for Refusal {
    fn from(unbound: Unbound) -> Self {
        match unbound {
            Unbound::Token(error) => Self::Token(error),
            Unbound::Api(asked, error) => Self::Api(asked, error),
        }
    }
}
