//! Whether a naming that fails can be taken back for one before it.
//!
//! An older naming never undoes what the operator restricts: it stands in only
//! for the same clusters, in envelopes and under limits that allow nothing
//! that the newer ones do not. A policy that fails because it was restricted
//! would otherwise lift the restriction.

use crate::namings::Namings;
use crate::probation::Probation;
use std::sync::Arc;

/// Why an older naming does not stand in.
pub(super) const WIDER: &str = "its envelope or limits allow what the new ones do not";

/// The probation of a naming, or why there is none.
#[derive(Debug, Default)]
pub(super) struct GoingBack {
    pub(super) probation: Option<Arc<Probation>>,
    pub(super) warning: Option<String>,
}

impl GoingBack {
    /// What `probation` makes of `before`, where `namings` can be taken back
    /// for it.
    pub(super) fn to(
        before: Result<Namings, String>,
        namings: &Namings,
        probation: impl FnOnce(Namings) -> Probation,
    ) -> Self {
        match before.and_then(|before| returnable(before, namings)) {
            Ok(before) => Self {
                probation: Some(Arc::new(probation(before))),
                warning: None,
            },
            Err(why) => Self {
                probation: None,
                warning: Some(format!(
                    "a naming that fails would not be taken back for the one before: {why}"
                )),
            },
        }
    }
}

fn returnable(before: Namings, namings: &Namings) -> Result<Namings, String> {
    if !before.are_of_the_clusters_of(namings) {
        return Err("other clusters have a policy of their own".to_owned());
    }
    if !before.are_within(namings) {
        return Err(WIDER.to_owned());
    }
    Ok(before)
}
