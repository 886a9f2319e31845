//! The digests that a configuration pins.
//!
//! A pin says which component names machines: no other does, neither by a
//! rollback nor at a start. Otherwise whoever makes a pinned policy fail would
//! bring back the one that the operator replaced. So what stands in for a
//! pinned naming is of the same component, and a naming that was taken back
//! before it was pinned serves.

use super::kept::Tenure;
use crate::config::{AttestorConfig, NamingConfig};
use crate::namings::{self, Namings};
use nameplate_policy::Digest;
use std::collections::BTreeMap;

/// The digests that are pinned, by cluster; none for the attestor's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins(BTreeMap<Option<String>, Digest>);

impl Pins {
    /// Those of `attestor`; none with `despite_digest`.
    pub(super) fn of(attestor: &AttestorConfig) -> Self {
        if attestor
            .swaps
            .rollback
            .is_some_and(|rollback| rollback.despite_digest)
        {
            return Self::default();
        }
        let pinned = |(cluster, naming): (Option<&str>, &NamingConfig)| {
            Some((cluster.map(str::to_owned), naming.digest?))
        };
        let own = std::iter::once((None, &attestor.naming));
        let of_clusters = namings::configured(attestor).map(|(name, naming)| (Some(name), naming));
        Self(own.chain(of_clusters).filter_map(pinned).collect())
    }

    /// Whether namings of these components may name.
    ///
    /// # Errors
    /// Which one may not.
    fn allow<'a>(
        &self,
        components: impl IntoIterator<Item = (Option<&'a str>, Digest)>,
    ) -> Result<(), String> {
        for (cluster, found) in components {
            let pinned = self.0.get(&cluster.map(str::to_owned));
            if let Some(pinned) = pinned.filter(|pinned| **pinned != found) {
                let whose = cluster.map_or_else(String::new, |name| format!(" of `{name}`"));
                return Err(format!(
                    "its component{whose} is {found}, and {pinned} is pinned"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn allow_namings(&self, namings: &Namings) -> Result<(), String> {
        let each = namings.each();
        self.allow(each.map(|(cluster, naming)| (cluster, naming.label.digest)))
    }

    pub(super) fn allow_kept(&self, kept: &Tenure) -> Result<(), String> {
        let each = kept.namings.iter();
        self.allow(each.map(|kept| (kept.cluster.as_deref(), kept.component)))
    }
}
