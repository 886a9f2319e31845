//! Attacks on followed keys: a key that the cluster has withdrawn must verify
//! nothing once its set is due to be fetched again.

use super::TokenGround;
use crate::attack::Expected;
use crate::cluster::Publisher;
use nameplate_evidence::{Cluster, KeySource, LocalProof, Proof, Rhythm, TrustedKeys};
use std::sync::Arc;

/// A cluster that follows the keys of a publisher in this process, as the
/// operator's follows its own.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) cluster: Cluster,
    pub(crate) rhythm: Rhythm,
    publisher: Arc<Publisher>,
    /// What is published in the end.
    withdrawn: String,
}

impl Followed {
    /// The key that signs everything is withdrawn, and nobody asks for keys
    /// until the set is due.
    pub(crate) fn withdraw(&self) {
        self.publisher
            .publish(self.withdrawn.clone(), self.rhythm.refresh);
    }
}

impl TokenGround {
    /// The cluster, its keys followed; none where they are not.
    pub(crate) fn followed(&self) -> Option<Followed> {
        let local = self.local()?;
        let publisher = Arc::new(Publisher::of(self.keys.jwks()));
        let source: &Arc<dyn KeySource> = self.source.as_ref()?;
        let rehearsal = source.rehearsed(Arc::clone(&publisher) as _)?;
        let cluster = Cluster {
            proof: Proof::Local(LocalProof {
                keys: TrustedKeys::Followed(rehearsal.keys),
                ..local.clone()
            }),
            ..self.cluster.clone()
        };
        Some(Followed {
            cluster,
            rhythm: rehearsal.rhythm,
            publisher,
            withdrawn: self.keys.jwks_without_rsa(),
        })
    }
}

/// What has to come of a token that is signed with a withdrawn key.
pub(crate) fn expected(followed: &Followed) -> Expected {
    match followed.rhythm.serve_while_refreshing {
        true => Expected::Unasked("`jwks_serve_while_refreshing = false`"),
        false => Expected::by("signature_invalid"),
    }
}
