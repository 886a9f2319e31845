//! Hostile chains, and hostile answers to a challenge.
//!
//! They are signed by a throw-away authority in the place of the operator's,
//! and meet the operator's own limits and rules.

mod answers;
mod nodes;
mod paths;
mod payloads;
mod peers;

pub(crate) use answers::Answer;

use crate::attack::Expected;
use crate::authority::{self, Authority, Bundle};
use crate::cluster::KnownTokens;
use crate::error::TortureError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nameplate_evidence::certificates::{CertificateVerifier, NodeLookup, NodeRule, Prover, Trust};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use std::sync::Arc;

/// A chain, how its sender answers, and what has to come of it.
#[derive(Debug)]
pub(crate) struct ChainAttack {
    pub(crate) name: String,
    pub(crate) incident: Option<&'static str>,
    pub(crate) payload: Vec<u8>,
    pub(crate) answer: Answer,
    pub(crate) address: Option<String>,
    pub(crate) expected: Expected,
}

/// The verifier of the configuration with a throw-away authority in the place
/// of its own.
#[derive(Debug)]
pub(crate) struct ChainGround {
    pub(crate) verifier: CertificateVerifier,
    pub(crate) bundle: Arc<Bundle>,
    /// The cluster that is asked about its nodes, where one is.
    api: Arc<KnownTokens>,
    root: Authority,
    uri: String,
    prover: Arc<Prover>,
}

impl ChainGround {
    pub(crate) fn of(verifier: &CertificateVerifier) -> Result<Self, TortureError> {
        let root = authority::root("torture")?;
        let bundle = authority::bundle(&root)?;
        let (trust, uri) = match &verifier.trust {
            Trust::Bundle(_) => (
                Trust::Bundle(bundle.clone()),
                "spiffe://example.org/node-7".to_owned(),
            ),
            Trust::Domain(rule) => (
                Trust::Domain(rule.clone()),
                format!("spiffe://{}{}node-7", rule.trust_domain, rule.prefix),
            ),
        };
        let api = Arc::new(KnownTokens::new("spire-agent").on(nodes::NODE));
        let node = verifier.node.as_ref().map(|rule| NodeRule {
            lookup: rule.lookup.as_ref().map(|lookup| NodeLookup {
                api: api.clone(),
                ..lookup.clone()
            }),
        });
        let verifier = CertificateVerifier {
            trust,
            node,
            ..verifier.clone()
        };
        let key = KeyPair::generate()?;
        let leaf = authority::leaf(&uri)?.signed_by(&key, &root)?;
        let prover = authority::prover(&leaf, &[], &key)?;
        let prover = Arc::new(nodes::requested(&verifier, &api, prover, &leaf));
        Ok(Self {
            verifier,
            bundle: Arc::new(Bundle(bundle)),
            api,
            root,
            uri,
            prover,
        })
    }

    /// Whoever has `key`, with the certificates of `chain`, the leaf first; and
    /// with a request at the cluster, where one is looked at.
    fn prover(
        &self,
        leaf: &rcgen::Certificate,
        between: &[&Authority],
        key: &KeyPair,
    ) -> Result<Prover, TortureError> {
        let prover = authority::prover(leaf, between, key)?;
        Ok(nodes::requested(&self.verifier, &self.api, prover, leaf))
    }

    /// What a node sends, and who answers for it.
    pub(crate) fn twin(&self) -> (Vec<u8>, Answer) {
        (
            self.prover.payload(),
            Answer::Honest(Arc::clone(&self.prover)),
        )
    }

    fn leaf(&self) -> Result<CertificateParams, TortureError> {
        authority::leaf(&self.uri)
    }
}

/// The payload of these certificates.
fn payload(chain: &[&[u8]]) -> Vec<u8> {
    let chain: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
    json!({ "certificates": chain }).to_string().into_bytes()
}

/// Every hostile chain and answer for this verifier, and the twins that have
/// to pass.
pub(crate) fn attacks(ground: &ChainGround) -> Result<Vec<ChainAttack>, TortureError> {
    let mut attacks = payloads::attacks(ground)?;
    attacks.extend(paths::attacks(ground)?);
    attacks.extend(peers::attacks(ground)?);
    attacks.extend(nodes::attacks(ground)?);
    attacks.extend(answers::attacks(ground)?);
    Ok(attacks)
}

fn attack(
    name: impl Into<String>,
    payload: Vec<u8>,
    answer: Answer,
    expected: Expected,
    incident: Option<&'static str>,
) -> ChainAttack {
    ChainAttack {
        name: name.into(),
        incident,
        payload,
        answer,
        address: Some(authority::ADDRESS.to_owned()),
        expected,
    }
}
