//! Whether a naming that fails can be taken back for one before it.
//!
//! An older naming never undoes what the operator restricts: it stands in only
//! for the same clusters, in envelopes and under limits that allow nothing
//! that the newer ones do not, and where no other component is pinned. A
//! policy that fails because it was restricted would otherwise lift the
//! restriction.

use super::pins::Pins;
use crate::namings::Namings;
use crate::probation::Probation;
use std::sync::Arc;

/// Why an older naming does not stand in.
pub(super) const WIDER: &str = "its envelope or limits allow what the new ones do not";
pub(super) const OTHER_CLUSTERS: &str = "other clusters have a policy of their own";

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
        pins: &Pins,
        probation: impl FnOnce(Namings) -> Probation,
    ) -> Self {
        match before.and_then(|before| returnable(before, namings, pins)) {
            Ok(before) => Self {
                probation: Some(Arc::new(probation(before))),
                warning: None,
            },
            Err(why) => Self {
                probation: None,
                warning: Some(not_back(&why)),
            },
        }
    }

    /// A probation that is under way, where what is pinned now still allows
    /// it.
    pub(super) fn under_way(probation: Option<&Arc<Probation>>, pins: &Pins) -> Self {
        let Some(probation) = probation else {
            return Self::default();
        };
        match pins.allow_namings(probation.before()) {
            Ok(()) => Self {
                probation: Some(Arc::clone(probation)),
                warning: None,
            },
            Err(why) => Self {
                probation: None,
                warning: Some(not_back(&why)),
            },
        }
    }
}

fn not_back(why: &str) -> String {
    format!("a naming that fails would not be taken back for the one before: {why}")
}

fn returnable(before: Namings, namings: &Namings, pins: &Pins) -> Result<Namings, String> {
    if !before.are_of_the_clusters_of(namings) {
        return Err(OTHER_CLUSTERS.to_owned());
    }
    if !before.are_within(namings) {
        return Err(WIDER.to_owned());
    }
    pins.allow_namings(&before)?;
    Ok(before)
}
