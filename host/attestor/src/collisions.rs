//! What happens when a policy gives two subjects one ID.
//!
//! That is nobody's attack: the peer proved what it is. It is the policy, or
//! the operator who chose it, that made two of one, so a refusal is a fault
//! and not a rejection.

use crate::error::AttestError;
use crate::holders::{Claim, Holder, Holders, Inheritance, OnCollision};
use crate::identity::AgentIdentity;
use crate::spiffe_id::SpiffeId;
use crate::subject_key::SubjectKeys;
use nameplate_evidence::{Node, Pod, Subject};
use nameplate_policy::Facts;
use std::fmt::Write as _;
use std::sync::Arc;

/// Most characters of a subject in words.
const WORDS: usize = 200;

/// Where it is remembered which subject holds which ID, and what is done with
/// a second one.
#[derive(Clone, Debug)]
pub struct Collisions {
    /// The record.
    pub holders: Arc<Holders>,
    /// What is done with a second subject.
    pub on: OnCollision,
    /// Which facts keep subjects apart.
    pub subjects: SubjectKeys,
}

/// Two subjects of one ID.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("`{id}` is held by {holder}, and was derived for {claimant}")]
pub struct IdentityCollision {
    /// The ID.
    pub id: SpiffeId,
    /// The subject that holds it, in words.
    pub holder: String,
    /// The subject that it was derived for as well, in words.
    pub claimant: String,
}

/// Something about the holder of an ID that an operator will want to know.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderNotice {
    /// Another subject holds the ID; it was given all the same.
    Collision(IdentityCollision),
    /// It could not be said who holds the ID; it was given all the same.
    Unknown(String),
    /// The ID was another subject's before, and that was meant to end: the
    /// operator released it.
    Released(IdentityCollision),
    /// The ID was another subject's before, who was not seen for long.
    Expired(IdentityCollision),
}

impl Collisions {
    /// Claims the ID for the subject of `facts`; something to tell the
    /// operator where there is.
    ///
    /// # Errors
    /// [`AttestError::IdentityCollision`] and [`AttestError::HoldersUnknown`],
    /// where a collision refuses.
    pub(crate) fn claim(
        &self,
        identity: &AgentIdentity,
        facts: &Facts,
    ) -> Result<Option<HolderNotice>, AttestError> {
        let id = identity.spiffe_id();
        let claimant = words(&facts.subject);
        let key = self.subjects.key(facts);
        let claim = self
            .holders
            .claim(id, key, claimant.clone(), facts.attested_at);
        let between = |holder: Holder| IdentityCollision {
            id: id.clone(),
            holder: holder.words,
            claimant,
        };
        match (claim, self.on) {
            (Ok(Claim::Held), _) => Ok(None),
            (Ok(Claim::Inherited { from, why }), _) => Ok(Some(match why {
                Inheritance::Released => HolderNotice::Released(between(from)),
                Inheritance::Expired => HolderNotice::Expired(between(from)),
            })),
            (Ok(Claim::Collision { holder }), OnCollision::Refuse) => {
                Err(AttestError::IdentityCollision(Box::new(between(holder))))
            }
            (Ok(Claim::Collision { holder }), OnCollision::Warn) => {
                Ok(Some(HolderNotice::Collision(between(holder))))
            }
            (Err(error), OnCollision::Refuse) => Err(AttestError::HoldersUnknown(error)),
            (Err(error), OnCollision::Warn) => {
                Ok(Some(HolderNotice::Unknown(crate::error::chain(&error))))
            }
        }
    }
}

impl HolderNotice {
    /// A word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Collision(_) => "collision",
            Self::Unknown(_) => "unknown",
            Self::Released(_) => "released",
            Self::Expired(_) => "expired",
        }
    }
}

impl std::fmt::Display for HolderNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Collision(between) => between.fmt(f),
            Self::Unknown(why) => f.write_str(why),
            Self::Released(between) => write!(
                f,
                "`{}` was released by {} and is held by {}",
                between.id, between.holder, between.claimant
            ),
            Self::Expired(between) => write!(
                f,
                "`{}` was held by {}, not seen for long, and is held by {}",
                between.id, between.holder, between.claimant
            ),
        }
    }
}

/// A subject in words: names for people, UIDs because names are given twice.
fn words(subject: &Subject) -> String {
    let mut text = String::new();
    let put = |text: &mut String, label: &str, value: Option<&str>| {
        if let Some(value) = value {
            let space = if text.is_empty() { "" } else { ", " };
            // Nothing is lost: a `String` takes all that is written to it.
            write!(text, "{space}{label} {value}").ok();
        }
    };
    let pod = |text: &mut String, pod: Option<&Pod>| {
        put(text, "pod", pod.map(|pod| pod.name.as_str()));
        put(text, "UID", pod.and_then(|pod| pod.uid.as_deref()));
    };
    let node = |text: &mut String, node: Option<&Node>| {
        put(text, "node", node.map(|node| node.name.as_str()));
        put(text, "UID", node.and_then(|node| node.uid.as_deref()));
    };
    match subject {
        Subject::ServiceAccount(account) => {
            put(&mut text, "cluster", Some(&account.cluster));
            node(&mut text, account.node.as_ref());
            pod(&mut text, account.pod.as_ref());
            let name = format!("{}:{}", account.namespace, account.name);
            put(&mut text, "service account", Some(&name));
        }
        Subject::Certificate(certificate) => {
            put(&mut text, "cluster", certificate.cluster.as_deref());
            node(&mut text, certificate.node.as_ref());
            put(&mut text, "certificate", Some(&certificate.sha256));
        }
    }
    let plain = |character: char| !character.is_control();
    text.chars().filter(|c| plain(*c)).take(WORDS).collect()
}
