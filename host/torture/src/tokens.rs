//! Hostile tokens, each with the one check that has to refuse it.
//!
//! They are minted for what the operator asks of a cluster: its issuer, its
//! audiences, its allow list, its leeway, and what tokens are bound to. Only
//! the keys are not the operator's.

mod claims;
mod followed;
mod header;
mod payload;
mod reviews;

pub(crate) use followed::{Followed, expected as expected_of_withdrawn};

use crate::attack::Expected;
use crate::cluster::{Keys, KnownTokens, Said, Signer};
use crate::cluster::{NODE, NODE_UID, OWN_AUDIENCE, POD_UID};
use crate::error::TortureError;
use nameplate_evidence::{
    Binding, Cluster, ClusterApi, KeySet, KeySource, LocalProof, Lookup, Proof, ReviewProof,
    TokenReview, TrustedKeys,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Evidence, and what has to come of it.
#[derive(Debug)]
pub(crate) struct TokenAttack {
    pub(crate) name: String,
    pub(crate) incident: Option<&'static str>,
    pub(crate) payload: Vec<u8>,
    /// Whether it is the operator's own policy that names it.
    pub(crate) named: bool,
    pub(crate) expected: Expected,
}

/// A cluster of the configuration with throw-away keys in the place of its own.
#[derive(Debug)]
pub(crate) struct TokenGround {
    /// What the operator believes of it, but for the keys.
    pub(crate) cluster: Cluster,
    keys: Keys,
    /// What the operator follows the cluster's keys by, where they are followed.
    source: Option<Arc<dyn KeySource>>,
    api: Arc<KnownTokens>,
    namespace: String,
    account: String,
    now: u64,
}

impl TokenGround {
    /// The same cluster with other keys; none where it lets nobody in.
    pub(crate) fn of(cluster: &Cluster, now: u64) -> Result<Option<Self>, TortureError> {
        let Some(allowed) = cluster.allowed.first() else {
            return Ok(None);
        };
        let allowed = allowed.to_string();
        let (namespace, account) = allowed.split_once(':').unwrap_or_default();
        let keys = Keys::new()?;
        let api = Arc::new(KnownTokens::new(account));
        let proof = match &cluster.proof {
            Proof::Local(local) => {
                let keys = KeySet::from_jwks(keys.jwks().as_bytes());
                Proof::Local(LocalProof {
                    keys: TrustedKeys::Fixed(keys.map_err(|_ours| TortureError::Key("key set"))?),
                    ..local.clone()
                })
            }
            Proof::Review(review) => Proof::Review(ReviewProof {
                api: api.clone(),
                audience: review.audience.clone(),
            }),
        };
        let binding = match &cluster.binding {
            Binding::LookedUp(lookup) => Binding::LookedUp(Lookup {
                api: api.clone(),
                ..lookup.clone()
            }),
            Binding::Any | Binding::Pod => cluster.binding.clone(),
        };
        Ok(Some(Self {
            cluster: Cluster {
                proof,
                binding,
                ..cluster.clone()
            },
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            source: source(&cluster.proof),
            keys,
            api,
            now,
        }))
    }

    /// What an agent of the cluster sends.
    pub(crate) fn twin(&self) -> Result<Vec<u8>, TortureError> {
        Ok(self.payload(&self.issued(&self.claims(), Signer::Rsa)?))
    }

    /// A token that the cluster has issued.
    fn issued(&self, claims: &Value, signer: Signer) -> Result<String, TortureError> {
        self.issued_as(claims, signer, Said::Good(self.review(claims)))
    }

    /// A token that the cluster has issued, of which its API server says this.
    fn issued_as(
        &self,
        claims: &Value,
        signer: Signer,
        said: Said,
    ) -> Result<String, TortureError> {
        let token = self
            .keys
            .token(&header(signer), &claims.to_string(), signer)?;
        self.api.issue(&token, said);
        Ok(token)
    }

    /// What the API server makes of a token of these claims.
    fn review(&self, claims: &Value) -> TokenReview {
        let text = |pointer: &str| claims.pointer(pointer).and_then(Value::as_str);
        let extra = [
            ("pod-name", "/kubernetes.io/pod/name"),
            ("pod-uid", "/kubernetes.io/pod/uid"),
            ("node-name", "/kubernetes.io/node/name"),
            ("node-uid", "/kubernetes.io/node/uid"),
        ];
        let extra = extra.iter().filter_map(|(key, pointer)| {
            let value = text(pointer)?.to_owned();
            Some((format!("authentication.kubernetes.io/{key}"), vec![value]))
        });
        let audiences = match claims.get("aud") {
            Some(Value::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
            None => vec![json!(OWN_AUDIENCE)],
        };
        let audiences = audiences.iter().filter_map(Value::as_str);
        TokenReview {
            authenticated: true,
            error: None,
            username: format!(
                "system:serviceaccount:{}:{}",
                text("/kubernetes.io/namespace").unwrap_or_default(),
                text("/kubernetes.io/serviceaccount/name").unwrap_or_default()
            ),
            uid: text("/kubernetes.io/serviceaccount/uid").map(str::to_owned),
            audiences: audiences.map(str::to_owned).collect(),
            extra: extra.collect(),
        }
    }

    fn audience(&self) -> &[String] {
        match &self.cluster.proof {
            Proof::Local(local) => &local.audience,
            Proof::Review(review) => &review.audience,
        }
    }

    fn local(&self) -> Option<&LocalProof> {
        self.cluster.proof.local()
    }

    /// The claims of a bound token, for whoever the operator lets in.
    fn claims(&self) -> Value {
        let issuer = self
            .local()
            .and_then(|local| local.issuer.clone())
            .unwrap_or_else(|| "https://kubernetes.default.svc.cluster.local".to_owned());
        let audience = match (self.audience(), self.local()) {
            ([], Some(_)) => vec!["spire-server".to_owned()],
            // The only one that an API server takes that is asked for none.
            ([], None) => vec![OWN_AUDIENCE.to_owned()],
            (some, _) => some.to_vec(),
        };
        json!({
            "aud": audience,
            "exp": self.now.saturating_add(3600),
            "iat": self.now.saturating_sub(60),
            "nbf": self.now.saturating_sub(60),
            "iss": issuer,
            "jti": uuid::Uuid::new_v4().to_string(),
            "sub": format!("system:serviceaccount:{}:{}", self.namespace, self.account),
            "kubernetes.io": {
                "namespace": self.namespace,
                "serviceaccount": {
                    "name": self.account,
                    "uid": "8a3f0a0e-9f0b-4b29-9c6c-25f8f5a3c1d2"
                },
                "pod": { "name": "spire-agent-x7k2p", "uid": POD_UID },
                "node": { "name": NODE, "uid": NODE_UID }
            }
        })
    }

    /// The usual claims with some set, by JSON pointer; `null` as it is.
    fn claims_with(&self, changes: &[(&str, Value)]) -> Value {
        let mut claims = self.claims();
        for (pointer, value) in changes {
            set(&mut claims, pointer, Some(value.clone()));
        }
        claims
    }

    /// The usual claims without the one at `pointer`.
    fn claims_without(&self, pointer: &str) -> Value {
        let mut claims = self.claims();
        set(&mut claims, pointer, None);
        claims
    }

    /// What an agent sends with `token`.
    fn payload(&self, token: &str) -> Vec<u8> {
        json!({"cluster": self.cluster.name, "token": token})
            .to_string()
            .into_bytes()
    }

    /// The first of some names that are not `known`.
    fn strange<'a>(&self, names: &[&'a str], known: impl Fn(&str) -> bool) -> &'a str {
        let strange = names.iter().find(|name| !known(name));
        strange.copied().unwrap_or("somebody-else-entirely")
    }

    /// Whether the operator lets this service account in.
    fn lets_in(&self, namespace: &str, account: &str) -> bool {
        let written = format!("{namespace}:{account}");
        let mut allowed = self.cluster.allowed.iter();
        allowed.any(|one| one.to_string() == written)
    }

    /// `reason`, or where an API server judges whose key signed, its verdict. It
    /// is not asked about what has not the shape of a signed token.
    fn refused_by(&self, reason: &'static str) -> Expected {
        match reason {
            "algorithm_mismatch" | "signature_invalid" | "header_critical" => {
                self.judged_by_a_server(reason)
            }
            _ => Expected::by(reason),
        }
    }

    /// The verdict of the API server that judges tokens; `reason`, where this
    /// host does.
    fn judged_by_a_server(&self, reason: &'static str) -> Expected {
        Expected::by(match self.local() {
            Some(_) => reason,
            None => "token_not_authenticated",
        })
    }

    /// This cluster, and one like it whose API server is `api`: that is asked
    /// about its tokens, or about what they are bound to. None where a cluster
    /// asks none.
    pub(crate) fn beside(&self, name: &str, api: Arc<dyn ClusterApi>) -> Option<[Cluster; 2]> {
        let mut other = Cluster {
            name: name.to_owned(),
            ..self.cluster.clone()
        };
        let mut asks = false;
        if let Proof::Review(review) = &mut other.proof {
            review.api = Arc::clone(&api);
            asks = true;
        }
        if let Binding::LookedUp(lookup) = &mut other.binding {
            lookup.api = api;
            asks = true;
        }
        asks.then(|| [self.cluster.clone(), other])
    }
}

/// What the keys are followed by, where they are followed.
fn source(proof: &Proof) -> Option<Arc<dyn KeySource>> {
    match &proof.local()?.keys {
        TrustedKeys::Followed(source) => Some(Arc::clone(source)),
        TrustedKeys::Fixed(_) => None,
    }
}

/// The header that goes with a signer.
fn header(signer: Signer) -> String {
    let (algorithm, kid) = match signer {
        Signer::Rsa => ("RS256", "rsa"),
        Signer::Pss => ("PS256", "rsa"),
        Signer::P256 => ("ES256", "p256"),
        Signer::P384 => ("ES384", "p384"),
        Signer::Stranger => ("RS256", "stranger"),
        Signer::PublicKey | Signer::EmptyKey => ("HS256", "rsa"),
        Signer::Nobody => ("none", "rsa"),
    };
    json!({"alg": algorithm, "kid": kid, "typ": "JWT"}).to_string()
}

/// Sets what `pointer` (RFC 6901) leads to, or takes it out.
fn set(document: &mut Value, pointer: &str, value: Option<Value>) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return;
    };
    let name = name.replace("~1", "/");
    let Some(Value::Object(members)) = document.pointer_mut(parent) else {
        return;
    };
    match value {
        Some(value) => {
            members.insert(name, value);
        }
        None => {
            members.remove(&name);
        }
    }
}

/// Every hostile token for this cluster, and the twins that have to pass.
pub(crate) fn attacks(ground: &TokenGround) -> Result<Vec<TokenAttack>, TortureError> {
    let mut attacks = Vec::new();
    let mut twins = vec![Signer::Rsa];
    if ground.local().is_some() {
        twins.extend([Signer::Pss, Signer::P256, Signer::P384]);
    }
    for signer in twins {
        let token = ground.issued(&ground.claims(), signer)?;
        attacks.push(TokenAttack {
            name: format!("a token as it should be ({signer:?})"),
            incident: None,
            payload: ground.payload(&token),
            named: false,
            expected: Expected::Twin,
        });
    }
    attacks.extend(payload::attacks(ground)?);
    attacks.extend(header::attacks(ground)?);
    attacks.extend(claims::attacks(ground)?);
    if let Proof::Review(proof) = &ground.cluster.proof {
        attacks.extend(reviews::attacks(ground, proof)?);
    }
    Ok(attacks)
}
