//! Service account tokens of cases: claims, the cluster that they are
//! presented to, and what is wrong with them on purpose.

use super::clock::Moment;
use super::evidence::MintError;
use super::keys;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nameplate_evidence::{
    Binding, Cluster, ClusterTrust, KeySet, Method, RawEvidence, TokenVerifier,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A token to be minted, and whom it is presented to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenTemplate {
    /// The operator's name for the cluster.
    pub cluster: String,
    /// What to change in the claims of the usual token, as a JSON Merge Patch
    /// (RFC 7396): `null` takes a claim away.
    pub claims: Map<String, Value>,
    /// The UUID that the peer claims for itself, unproven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_id: Option<String>,
    /// What is wrong with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaw: Option<TokenFlaw>,
    /// What the operator believes of the cluster.
    pub trust: TokenTrust,
}

impl Default for TokenTemplate {
    fn default() -> Self {
        Self {
            cluster: "production".to_owned(),
            claims: Map::new(),
            claimed_id: None,
            flaw: None,
            trust: TokenTrust::default(),
        }
    }
}

/// What the operator believes of a case's cluster, in the words of the
/// configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenTrust {
    /// The service accounts whose tokens are accepted.
    pub service_account_allow_list: Vec<String>,
    /// The only `iss` that is accepted; `null`: it is not compared.
    pub issuer: Option<String>,
    /// Audiences, of which a token names one; none: they are not compared.
    pub audience: Vec<String>,
    /// How far the clocks may differ, in seconds.
    pub leeway_seconds: u64,
    /// Accept tokens without `exp`.
    pub allow_unexpiring_tokens: bool,
    /// Demand a token that is bound to a pod, as `k8s_psat` does.
    pub bound_to_pod: bool,
    /// SHA-256 of the cluster's CA certificate, handed on as a fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_thumbprint: Option<String>,
}

impl Default for TokenTrust {
    fn default() -> Self {
        Self {
            service_account_allow_list: vec!["spire:spire-agent".to_owned()],
            issuer: Some(ISSUER.to_owned()),
            audience: vec!["spire-server".to_owned()],
            leeway_seconds: 60,
            allow_unexpiring_tokens: false,
            bound_to_pod: false,
            cluster_thumbprint: None,
        }
    }
}

/// What is wrong with a token. Whatever else can be, is said by the claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFlaw {
    /// It ended an hour ago.
    Expired,
    /// It begins in an hour.
    NotYetValid,
    /// It is of another issuer.
    WrongIssuer,
    /// It is for another audience.
    WrongAudience,
    /// A key signed it that is not the cluster's.
    ForeignKey,
    /// Its claims were changed after it was signed.
    Tampered,
    /// It says that it needs no signature, and has none.
    Unsigned,
}

impl TokenTemplate {
    /// The method that it is evidence of.
    pub(super) fn method(&self) -> Method {
        if self.trust.bound_to_pod {
            Method::K8sPsat
        } else {
            Method::K8sSat
        }
    }

    /// Signs the token that the cluster would give out at `clock`.
    pub(super) fn mint(&self, clock: Moment) -> Result<RawEvidence, MintError> {
        let claims = self.claims(clock);
        let algorithm = match self.flaw {
            Some(TokenFlaw::Unsigned) => "none",
            _ => "RS256",
        };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(ordered(value).to_string());
        let header = part(&json!({ "alg": algorithm }));
        let signed = format!("{header}.{}", part(&claims));
        let signature = match self.flaw {
            Some(TokenFlaw::Unsigned) => Vec::new(),
            Some(TokenFlaw::ForeignKey) => keys::foreign()?.sign(signed.as_bytes())?,
            _ => keys::cluster()?.sign(signed.as_bytes())?,
        };
        let presented = match self.flaw {
            Some(TokenFlaw::Tampered) => {
                let mut claims = claims;
                merge(&mut claims, &json!({ "jti": "another token" }));
                format!("{header}.{}", part(&claims))
            }
            _ => signed,
        };
        let token = format!("{presented}.{}", URL_SAFE_NO_PAD.encode(signature));
        let claimed = self.claimed_id.as_deref();
        RawEvidence::service_account_token(self.method(), &self.cluster, &token, claimed)
            .map_err(MintError::new)
    }

    /// The verifier that the cluster's settings make.
    pub(super) fn verifier(&self) -> Result<TokenVerifier, MintError> {
        let trust = &self.trust;
        let allowed = trust.service_account_allow_list.iter();
        let mut cluster = Cluster::from(ClusterTrust {
            name: self.cluster.clone(),
            keys: KeySet::from_pem(keys::cluster()?.public_pem()?.as_bytes())
                .map_err(MintError::new)?,
            allowed: allowed
                .map(|name| name.parse().map_err(MintError::new))
                .collect::<Result<_, _>>()?,
            issuer: trust.issuer.clone(),
            audience: trust.audience.clone(),
            leeway: Duration::from_secs(trust.leeway_seconds),
            allow_unexpiring_tokens: trust.allow_unexpiring_tokens,
            ca_thumbprint: trust.cluster_thumbprint.clone(),
        });
        if trust.bound_to_pod {
            cluster.binding = Binding::Pod;
        }
        Ok(TokenVerifier::new([cluster]))
    }

    fn claims(&self, clock: Moment) -> Value {
        let mut claims = usual_claims(clock);
        merge(&mut claims, &Value::Object(self.claims.clone()));
        if !self.claims.contains_key("sub") {
            let subject = json!({ "sub": subject(&claims) });
            merge(&mut claims, &subject);
        }
        let flawed = match self.flaw {
            Some(TokenFlaw::Expired) => times(clock.before(2 * HOUR)),
            Some(TokenFlaw::NotYetValid) => times(clock.after(HOUR)),
            Some(TokenFlaw::WrongIssuer) => json!({ "iss": "https://issuer.invalid" }),
            Some(TokenFlaw::WrongAudience) => json!({ "aud": ["audience.invalid"] }),
            Some(TokenFlaw::ForeignKey | TokenFlaw::Tampered | TokenFlaw::Unsigned) | None => {
                return claims;
            }
        };
        merge(&mut claims, &flawed);
        claims
    }
}

const HOUR: u64 = 3_600;

fn times(begin: Moment) -> Value {
    let begin_seconds = begin.seconds();
    json!({ "iat": begin_seconds, "nbf": begin_seconds, "exp": begin.after(HOUR).seconds() })
}

/// What Kubernetes writes into a token that is bound to a pod and its node:
/// the token of the guest crate's sample facts.
fn usual_claims(clock: Moment) -> Value {
    let mut claims = json!({
        "aud": ["spire-server"],
        "iss": ISSUER,
        "jti": "0b1d9c56-33c0-4b3a-8f9e-7a1c2b3d4e5f",
        "kubernetes.io": {
            "namespace": "spire",
            "node": { "name": "node-7", "uid": "e4b7c1a9-0d52-4f83-a6e1-9b8c7d6e5f40" },
            "pod": { "name": "spire-agent-x7k2p", "uid": "3d9f2b64-8c15-4a7e-b0d3-5e6f7a8b9c0d" },
            "serviceaccount": { "name": "spire-agent", "uid": "c8a1e0d2-5b7f-4e36-9d18-2f4a6b8c0e1d" },
        },
    });
    merge(&mut claims, &times(clock.before(60)));
    claims
}

/// The user name of the service account that the claims are about.
fn subject(claims: &Value) -> Value {
    let claim = |pointer: &str| claims.pointer(pointer).and_then(Value::as_str);
    let namespace = claim("/kubernetes.io/namespace");
    let name = claim("/kubernetes.io/serviceaccount/name");
    match (namespace, name) {
        (Some(namespace), Some(name)) => format!("system:serviceaccount:{namespace}:{name}").into(),
        (_, _) => Value::Null,
    }
}

/// RFC 7396 §2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// `value` with the members of every object in order, so that a token has the
/// same bytes whichever map this build of `serde_json` has.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            let members = sorted
                .into_iter()
                .map(|(name, value)| (name.clone(), ordered(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => items.iter().map(ordered).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut claims = json!({ "a": { "b": 1, "c": 2 }, "d": [1] });
        merge(
            &mut claims,
            &json!({ "a": { "b": null, "e": { "f": 3, "g": null } }, "d": [2] }),
        );
        assert_eq!(
            claims,
            json!({ "a": { "c": 2, "e": { "f": 3 } }, "d": [2] })
        );
    }
}
